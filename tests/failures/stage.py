"""`Stage`: the servers, environments, images and services that the cases run on.

Each is made when the first case needs it, and gone at the end. Only the interpreter that has
LiteLLM, which takes two minutes to install, stays, in ``MELLEA_RECORDING_DIR``.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import threading
import venv
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final, Self

import httpx

from mellea_jupyter.runtime.ports import free_port
from mellea_jupyter.testing.server import JupyterServer
from tests.docker.conftest import Registry
from tests.docker.own_engine import OwnEngine
from tests.executors.kinds import BARE_IMAGE, MELLEA_IMAGE
from tests.s3 import s3_variables, serve_s3

from .evidence import Places
from .services import FaultyService

PROGRAMS: Final = Path(__file__).parent / "programs"
NOBODY: Final = "http://127.0.0.1:9"
KEPT: Final = Path(os.environ.get("MELLEA_RECORDING_DIR", "/var/tmp/mellea-jupyter-recording"))
EMPTY_IMAGE: Final = "mellea-jupyter-test/empty:1"
BROKEN_IMAGE: Final = "mellea-jupyter-test/broken:1"
FULL_BYTES: Final = 2 << 20

ENVIRONMENTS: Final[dict[str, dict[str, Any]]] = {
    "litellm": {"python": "{litellm}/bin/python", "preload": ["mellea", "mellea.backends.litellm"]},
    "plain-venv": {"python": "{home}/plain-venv/bin/python"},
    "small": {"memory_mb": 200, "preload": ["json"]},
    "missing": {"python": "/opt/python-3.9/bin/python3"},
    "exits": {"python": "{home}/exits/python"},
    "crashes": {"python": "{home}/crashes/python"},
    "dangling": {"python": "{home}/dangling/bin/python"},
    "nowhere": {"executor": "slurm"},
    "kernel": {"executor": "kernel", "kernel_name": "python3"},
    "bare": {"executor": "docker", "image": BARE_IMAGE, "network": "none"},
    "mellea": {"executor": "docker", "image": MELLEA_IMAGE},
    "small-container": {"executor": "docker", "image": BARE_IMAGE, "memory_mb": 64},
    "too-small": {"executor": "docker", "image": BARE_IMAGE, "memory_mb": 2},
    "empty-image": {"executor": "docker", "image": EMPTY_IMAGE},
    "broken-image": {"executor": "docker", "image": BROKEN_IMAGE},
    "no-tag": {"executor": "docker", "image": "{registry}/team/trips:9"},
    "private": {"executor": "docker", "image": "{service}/private-image:1"},
    "denied": {"executor": "docker", "image": "{service}/denied-image:1"},
    "malformed": {"executor": "docker", "image": "Team/Trips:1"},
    "registry-down": {"executor": "docker", "image": "127.0.0.1:9/team/trips:1"},
    "registry-unknown": {"executor": "docker", "image": "registry.invalid/team/trips:1"},
}
"""Environments of the servers, by id. Braces are filled by `Stage`."""

SERVERS: Final = (
    "main", "narrow", "engine-absent", "engine-refuses", "own-engine", "store",
)  # fmt: skip
"""`narrow` runs one run at a time; `store` reads datasets of an object store that goes away."""


class Stage:
    """Where cases are performed; a context manager, used from several threads.

    Args:
        environments: ids of those that the main server has besides its own.
    """

    def __init__(self, environments: Collection[str]) -> None:
        self._environments = environments
        self._stack = ExitStack()
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._made: dict[str, Any] = {}

    def __enter__(self) -> Self:
        self.home = Path(
            self._stack.enter_context(tempfile.TemporaryDirectory(prefix="mj-failures-"))
        )
        self.service = self._stack.enter_context(FaultyService())
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _once(self, name: str, make: Callable[[], Any]) -> Any:
        with self._locks[name]:
            if name not in self._made:
                self._made[name] = make()
            return self._made[name]

    @property
    def places(self) -> Places:
        """Paths that name this machine."""
        known = {
            str(
                KEPT / "litellm" / "lib" / f"python3.{sys.version_info.minor}"
            ): "/opt/env/lib/python3",
            str(KEPT / "litellm"): "/opt/env",
            str(self.home / "full"): "/mnt/full",
            str(self.home): "/opt/made",
        }
        return Places(known)

    # -- servers --------------------------------------------------------------------------------

    def server(self, name: str) -> JupyterServer:
        """The server of that name, started."""
        server: JupyterServer = self._once(f"server {name}", lambda: self._start(name))
        return server

    def _start(self, name: str) -> JupyterServer:
        needed = self._environments if name == "main" else ("bare",)
        options = ["--MelleaApp.grace_seconds=1.5", "--MelleaApp.prewarm=False"]
        options += [
            f"--MelleaApp.{trait}={1 if name == 'narrow' else 6}"
            for trait in ("max_runs", "max_runs_per_owner")
        ]
        environments = [
            {"id": id_, **self._filled(fields)}
            for id_, fields in ENVIRONMENTS.items()
            if id_ in needed
        ]
        # Without it, LiteLLM fetches its prices from the network while it is imported.
        environment = {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}
        if name == "engine-absent":
            options.append("--MelleaApp.docker_host=unix:///run/no-engine.sock")
        if name == "engine-refuses":
            options.append("--MelleaApp.docker_host=tcp://127.0.0.1:9")
        if name == "own-engine":
            options.append(f"--MelleaApp.docker_host={self.own_engine.url}")
        if name == "store":
            environment = s3_variables(self.store.url)
        home = self.home / name
        # On the command line, a list of one dictionary is read as a text.
        config = home / "config" / "jupyter_server_config.json"
        config.parent.mkdir(parents=True, mode=0o700)
        config.write_text(json.dumps({"MelleaApp": {"environments": environments}}))
        server = JupyterServer(home, options=options, environment=environment)
        return self._stack.enter_context(server)

    def _filled(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        return {
            name: self._fill(value) if isinstance(value, str) else value
            for name, value in fields.items()
        }

    def _fill(self, text: str) -> str:
        if "{litellm}" in text:
            return text.format(litellm=self.litellm)
        if "{home}" in text:
            return text.format(home=self.made_interpreters)
        if "{registry}" in text:
            return text.format(registry=self.registry.name("").rstrip("/"))
        if text in (EMPTY_IMAGE, BROKEN_IMAGE):
            self.make_images()
        return text.format(service=self.service.url.removeprefix("http://"))

    # -- interpreters ---------------------------------------------------------------------------

    @property
    def litellm(self) -> Path:
        """A virtual environment with mellea and LiteLLM."""
        folder: Path = self._once("litellm", _litellm)
        return folder

    @property
    def made_interpreters(self) -> Path:
        """A folder with interpreters of which none but `plain-venv` works."""
        folder: Path = self._once("interpreters", self._make_interpreters)
        return folder

    def _make_interpreters(self) -> Path:
        folder = self.home / "interpreters"
        venv.create(folder / "plain-venv", symlinks=True)
        (folder / "dangling" / "bin").mkdir(parents=True)
        (folder / "dangling" / "bin" / "python").symlink_to("/opt/python-3.9-removed/bin/python3")
        bodies = {"exits": "echo 'no licence' >&2\nexit 3", "crashes": "kill -SEGV $$"}
        for name, body in bodies.items():
            (folder / name).mkdir()
            script = folder / name / "python"
            script.write_text(f"#!/bin/sh\n{body}\n")
            script.chmod(0o755)
        return folder

    # -- disks, engines, registries, stores -----------------------------------------------------

    @contextmanager
    def small_disk(self, name: str) -> Iterator[Path]:
        """A file system of `FULL_BYTES`, of that name."""
        folder = self.home / "full" / name
        folder.mkdir(parents=True)
        command = ["mount", "-t", "tmpfs", "-o", f"size={FULL_BYTES}", "none", str(folder)]
        subprocess.run(command, check=True)
        try:
            yield folder
        finally:
            subprocess.run(["umount", str(folder)], check=True)
            folder.rmdir()

    def make_images(self) -> None:
        """Two images without a Python that works; they are removed at the end."""
        self._once("images", self._import_images)

    def _import_images(self) -> bool:
        import docker

        client = docker.APIClient(version="auto", timeout=60)
        self._stack.callback(client.close)
        for name, content in ((EMPTY_IMAGE, None), (BROKEN_IMAGE, b"\x7fELF no program")):
            repository, _, tag = name.partition(":")
            client.import_image_from_data(_layer(content), repository=repository, tag=tag)
            self._stack.callback(client.remove_image, name, force=True)
        return True

    @property
    def registry(self) -> Registry:
        """An image registry that has no image."""

        def make() -> Registry:
            registry = Registry(self.home)
            registry.start()
            self._stack.callback(registry.stop)
            return registry

        found: Registry = self._once("registry", make)
        return found

    @property
    def own_engine(self) -> OwnEngine:
        """A container engine that may be stopped, with the bare image."""

        def make() -> OwnEngine:
            import docker

            folder = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="mj-engine-"))
            engine = OwnEngine(Path(folder))
            engine.start()
            self._stack.callback(engine.close)
            client = docker.APIClient(version="auto", timeout=60)
            engine.load(client, BARE_IMAGE)
            client.close()
            return engine

        found: OwnEngine = self._once("own engine", make)
        return found

    @property
    def store(self) -> Store:
        """An object store that goes away."""
        found: Store = self._once("store", Store)
        return found


class Store:
    """An S3 endpoint that works while datasets are registered, and fails when they are read."""

    def __init__(self) -> None:
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"

    def register(self, http: httpx.Client) -> str:
        """Register a dataset of one object while the store works; its id."""
        import boto3  # type: ignore[import-untyped]  # it has no types

        with serve_s3(self._port) as url:
            variables = s3_variables(url)
            client = boto3.client(
                "s3",
                endpoint_url=url,
                region_name=variables["AWS_REGION"],
                aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
                aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
            )
            client.create_bucket(Bucket="team")
            client.put_object(Bucket="team", Key="trips.csv", Body=b"city,nights\n")
            client.close()
            reply = http.post("api/datasets", json={"url": "s3://team/trips.csv"})
            reply.raise_for_status()
            found: str = reply.json()["id"]
            return found

    @contextmanager
    def failing(self, how: str) -> Iterator[None]:
        """`denied`: it refuses our credentials; `refused`: nobody listens."""
        if how == "refused":
            yield
            return
        server = ThreadingHTTPServer(("127.0.0.1", self._port), _Denying)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


class _Denying(BaseHTTPRequestHandler):
    """What S3 says to credentials that may not read the object."""

    def log_message(self, *_: Any, **__: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        body = (
            b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>AccessDenied</Code>'
            b"<Message>Access Denied</Message><RequestId>0</RequestId></Error>"
        )
        self.send_response(403)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _litellm() -> Path:
    folder = KEPT / "litellm"
    if not (folder / "installed").is_file():
        print("Installing mellea[litellm], once", file=sys.stderr)
        venv.create(folder, with_pip=True, clear=True)
        command = [str(folder / "bin" / "pip"), "install", "--quiet", "mellea[litellm]>=0.8,<0.9"]
        subprocess.run(command, check=True)
        (folder / "installed").touch()
    return folder


def _layer(python: bytes | None) -> bytes:
    """An archive that is an image's only layer; `python` are the bytes of its interpreter."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for name, content in {"etc/name": b"empty\n", "usr/bin/python3": python}.items():
            if content is not None:
                entry = tarfile.TarInfo(name)
                entry.size, entry.mode = len(content), 0o755
                archive.addfile(entry, io.BytesIO(content))
    return data.getvalue()
