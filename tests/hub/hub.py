"""A real JupyterHub with its proxy, whose users' servers are processes of this account."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Self

import httpx

from mellea_jupyter.executors.process import ProcessExecutor
from mellea_jupyter.runtime.ports import free_port

PACKAGE_ROOT = Path(__file__).parents[2]
START_SECONDS = 60.0
PASSWORD = "shared-by-all-users"

_CONFIG = """\
import json, os, sys
told = json.loads(os.environ["HUB_TEST"])
home = told["home"]

c = get_config()
c.JupyterHub.bind_url = told["url"]
c.JupyterHub.hub_bind_url = told["hub_url"]
c.JupyterHub.db_url = f"sqlite:///{home}/hub.sqlite"
c.JupyterHub.cookie_secret_file = f"{home}/cookie_secret"
c.JupyterHub.last_activity_interval = 0  # the proxy counts every byte; servers know better
c.ConfigurableHTTPProxy.command = told["proxy"]
c.ConfigurableHTTPProxy.api_url = told["proxy_api_url"]
c.ConfigurableHTTPProxy.pid_file = f"{home}/proxy.pid"
c.ConfigurableHTTPProxy.auth_token = told["token"]

c.JupyterHub.authenticator_class = "dummy"
c.DummyAuthenticator.password = told["password"]
c.Authenticator.allow_all = True
c.Authenticator.admin_users = {"root"}
c.JupyterHub.load_groups = {"course": {"users": ["ada", "eve"]}}
c.JupyterHub.services = [{"name": "test", "api_token": told["token"]}]
c.JupyterHub.load_roles = [
    {"name": "test", "services": ["test"],
     "scopes": ["admin:users", "admin:servers", "tokens", "list:users", "read:hub"]},
    {"name": "guest-of-ada", "users": ["eve"], "scopes": ["access:servers!server=ada/"]},
    {"name": "guest-of-bob", "users": ["root"], "scopes": ["access:servers!server=bob/"]},
]

c.JupyterHub.spawner_class = "simple"
c.SimpleLocalProcessSpawner.home_dir_template = home + "/{username}"
c.Spawner.cmd = [sys.executable, "-m", "jupyterhub.singleuser"]
c.Spawner.args = told["arguments"]
c.Spawner.http_timeout = c.Spawner.start_timeout = 60
c.Spawner.environment = {
    **told["environment"],
    "WHOSE_SERVER": lambda spawner: spawner.user.name,
    "XDG_RUNTIME_DIR": lambda spawner: told["runtime"] + "/" + spawner.user.name,
}
"""


class Hub:
    """Start as a context manager; every process it started is gone at the end.

    Args:
        home: folder of everything the hub and its servers keep.
        proxy: command of configurable-http-proxy.
        options: further options of users' servers.
    """

    def __init__(self, home: Path, *, proxy: list[str], options: list[str]) -> None:
        self.home = home
        self.token = secrets.token_hex(32)
        self.port = free_port()
        self.data_dir = home / "mellea"
        self.log_path = home / "hub.log"
        # Short, because sockets live below it.
        self._runtime = Path(tempfile.mkdtemp(prefix="mj-"))
        self._process: subprocess.Popen[bytes] | None = None
        self._client = httpx.Client(headers={"Authorization": f"token {self.token}"}, timeout=60)
        self._told = {
            "home": str(home),
            "url": self.url,
            "hub_url": f"http://127.0.0.1:{free_port()}",
            "proxy_api_url": f"http://127.0.0.1:{free_port()}",
            "proxy": proxy,
            "token": self.token,
            "password": PASSWORD,
            "runtime": str(self._runtime),
            "arguments": [
                "--allow-root",
                "--ServerApp.jpserver_extensions={'mellea_jupyter': True}",
                f"--MelleaApp.data_dir={self.data_dir}",
                *options,
            ],
            "environment": {
                "PYTHONPATH": str(PACKAGE_ROOT),
                "JUPYTER_PREFER_ENV_PATH": "1",
                "JUPYTERHUB_ACTIVITY_INTERVAL": "1",
            },
        }

    @property
    def url(self) -> str:
        """Where people reach the hub, below a prefix of its own."""
        return f"http://127.0.0.1:{self.port}/hubs/one/"

    def __enter__(self) -> Self:
        for name in ("ada", "bob", "eve", "root"):
            (self.home / name).mkdir(parents=True)
            (self._runtime / name).mkdir(mode=0o700)
        config = self.home / "jupyterhub_config.py"
        config.write_text(_CONFIG)
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("JUPYTER", "JPY", "MELLEA", "OPENAI", "OLLAMA"))
        }
        command = [sys.executable, "-m", "jupyterhub", "-f", str(config)]
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                command, env={**inherited, "HUB_TEST": json.dumps(self._told)}, cwd=self.home,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        try:
            self.wait(self._answers, "the hub answers")
        except BaseException:
            self.__exit__()
            raise
        return self

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log()
        try:
            return self.api("GET", "info").status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.terminate()  # it stops its servers and its proxy
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)
        self._client.close()
        for sockets in self._runtime.glob("*/mellea-jupyter"):
            ProcessExecutor(socket_folder=sockets).forkservers.stop_all()
        shutil.rmtree(self._runtime, ignore_errors=True)

    def log(self) -> str:
        """The end of the log of the hub, its proxy and its servers."""
        return self.log_path.read_text("utf-8", "replace")[-8000:]

    def wait(self, condition: Callable[[], Any], what: str, seconds: float = START_SECONDS) -> Any:
        """Until the condition holds: what it gave; or TimeoutError with the end of the log."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if found := condition():
                return found
            time.sleep(0.2)
        msg = f"Not within {seconds:g} s: {what}\n{self.log()}"
        raise TimeoutError(msg)

    def api(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> httpx.Response:
        """A request to the hub's own API, as a service that may do everything."""
        return self._client.request(method, f"{self.url}hub/api/{path}", json=body)

    def start_servers(self, *names: str) -> None:
        """Start users' servers that do not run, side by side, and wait until they are ready."""
        names = tuple(name for name in names if not self.is_ready(name))
        for name in names:
            self.api("POST", f"users/{name}")
            self.api("POST", f"users/{name}/server").raise_for_status()
        for name in names:
            self.wait(partial(self.is_ready, name), f"the server of {name} is ready")

    def is_ready(self, name: str) -> bool:
        """Whether a user's server runs."""
        servers = self.api("GET", f"users/{name}").json().get("servers") or {}
        return bool(servers.get("", {}).get("ready"))

    def http(self, user: str, server: str | None = None) -> httpx.Client:
        """A client with a hub token of the user, at the server of that or of another user."""
        token = self.api("POST", f"users/{user}/tokens", {}).json()["token"]
        return httpx.Client(
            base_url=f"{self.url}user/{server or user}/",
            headers={"Authorization": f"token {token}"},
            timeout=60,
        )

    @contextmanager
    def browser(self, user: str) -> Iterator[httpx.Client]:
        """A client that has logged in on the hub's page, with the cookies that gave it."""
        page = f"{self.url}hub/login"
        with httpx.Client(follow_redirects=True, timeout=60) as client:
            client.get(page).raise_for_status()
            form = {"username": user, "password": PASSWORD, "_xsrf": client.cookies["_xsrf"]}
            client.post(page, data=form).raise_for_status()
            yield client

    def enter(self, browser: httpx.Client, server: str) -> None:
        """Open the page of another user's server, and agree to what the hub then asks."""
        asked = browser.get(f"{self.url}user/{server}/lab").raise_for_status()
        form = {
            name: re.findall(rf'name="{name}" value="([^"]*)"', asked.text)
            for name in ("_xsrf", "scopes")
        }
        entered = browser.post(asked.url, data=form, headers={"Referer": str(asked.url)})
        assert entered.url == f"{self.url}user/{server}/lab", entered.text
