"""A program tells its secrets wherever it can; afterwards they are looked for everywhere.

They are allowed in three places only: the run's own `secrets` file (0600), the environment of the
program, and the bytes of a file that the program wrote, which is kept as it was written.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import nbformat
import psutil
import pytest
from aiosmtpd.controller import Controller
from nbclient import NotebookClient

from mellea_jupyter.client import Connection
from mellea_jupyter.client.channel import Channel
from mellea_jupyter.runtime.ports import free_port
from mellea_jupyter.testing.scripted_llm import ScriptedLlm
from mellea_jupyter.testing.server import JupyterServer
from tests.executors.kinds import MELLEA_IMAGE, engine_or_leave
from tests.executors.runs import wait_until
from tests.security.api import routes_of
from tests.security.canaries import (
    TELLS,
    Canary,
    arguments_with,
    canary,
    environments_with,
    files_with,
    found_in,
)
from tests.security.conftest import offer_environments

pytestmark = pytest.mark.timeout(240)

ODD = "é\"\\/+ ?&=%'"
CANARIES = {
    each.name: each
    for each in (
        canary("own", ODD),  # in the run's env_vars
        canary("model"),  # the same, and sent to the model's endpoint as its key
        canary("inherited", ODD),  # the server's, passed on because of its name
        canary("passed"),  # the server's, passed on by env_passthrough
        canary("mail"), canary("webhook"), canary("otlp"),  # the server's own
    )
}  # fmt: skip
TOLD = {"MY_API_KEY": "own", "OPENAI_API_KEY": "model", "SERVICE_TOKEN": "inherited",
        "LAB_PASSCODE": "passed"}  # fmt: skip
ENVIRONMENTS = {
    "process": {},
    "kernel": {"executor": "kernel", "kernel_name": "python3"},
    "docker": {"executor": "docker", "image": MELLEA_IMAGE},
}


@dataclass
class Outside:
    """What left the server: mails, and posts of the webhook and of the exporter."""

    mail_port: int = field(default_factory=free_port)
    url: str = ""
    mails: list[bytes] = field(default_factory=list)
    posts: dict[str, list[bytes]] = field(default_factory=lambda: {"/hook": [], "/v1/traces": []})

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        self.mails.append(envelope.content)
        return "250 OK"


@pytest.fixture(scope="module")
def outside() -> Iterator[Outside]:
    box = Outside()

    class Taker(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            box.posts[self.path].append(body)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args: Any) -> None: ...

    http = ThreadingHTTPServer(("127.0.0.1", 0), Taker)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    box.url = f"http://127.0.0.1:{http.server_port}"
    mail = Controller(box, hostname="127.0.0.1", port=box.mail_port)
    mail.start()
    yield box
    mail.stop()
    http.shutdown()
    http.server_close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, outside: Outside) -> Iterator[JupyterServer]:
    """Tells all it can tell: debug messages, mails, webhooks, exports with content."""
    home = tmp_path_factory.mktemp("server")
    own = tmp_path_factory.mktemp("operator")
    for name, text in {
        "mail": CANARIES["mail"].value,
        "webhook": CANARIES["webhook"].value,
        "otlp": f"x-key={CANARIES['otlp'].value}",
    }.items():
        (own / name).touch(0o600)
        (own / name).write_text(text + "\n")
    options = [
        "--ServerApp.log_level=DEBUG",
        "--MelleaApp.smtp_host=127.0.0.1", f"--MelleaApp.smtp_port={outside.mail_port}",
        "--MelleaApp.smtp_security=none", "--MelleaApp.mail_from=runs@example.org",
        "--MelleaApp.mail_address_template={username}@example.org",
        f"--MelleaApp.smtp_password_file={own / 'mail'}",
        f"--MelleaApp.webhook_url={outside.url}/hook",
        f"--MelleaApp.webhook_secret_file={own / 'webhook'}",
        f"--MelleaApp.otlp_endpoint={outside.url}", "--MelleaApp.otlp_content=True",
        f"--MelleaApp.otlp_headers_file={own / 'otlp'}",
    ]  # fmt: skip
    passed = ["SERVICE_TOKEN", "LAB_PASSCODE", "PYTHONPATH"]
    offer_environments(
        home,
        [{"id": id_, "env_passthrough": passed, **each} for id_, each in ENVIRONMENTS.items()],
    )
    (home / "tmp").mkdir()
    environment = {
        "SERVICE_TOKEN": CANARIES["inherited"].value,
        "LAB_PASSCODE": CANARIES["passed"].value,
        "TMPDIR": str(home / "tmp"),
    }
    with JupyterServer(home, options=options, environment=environment) as running:
        running.write("tells.py", TELLS)
        yield running


@dataclass
class Told:
    """A run that told everything, and what was heard of it over the websocket."""

    run: dict[str, Any]
    heard: list[str]
    llm_key_seen: bool


def tell(
    server: JupyterServer,
    environment_id: str,
    host: str,
    seen_as: str,
    look: Callable[[], None] | None = None,
) -> Told:
    """Run the program, look at the machine while it waits, and let it fail."""
    replies = [f"I repeat {CANARIES[each].value}" for each in TOLD.values()]
    with ScriptedLlm(replies, host) as llm:
        url = llm.openai_url.replace(host, seen_as)
        variables = {
            "MY_API_KEY": CANARIES["own"].value,
            "OPENAI_API_KEY": CANARIES["model"].value,
            "OPENAI_BASE_URL": url,
            "TOLD": " ".join(TOLD),
        }
        with server.http() as http:
            wish = {"email_on_run_complete": True}
            http.patch("api/users/me/notification-preferences", json=wish).raise_for_status()
            run = server.create(
                http, "tells.py", environment_id=environment_id, env_vars=variables,
                max_cost_usd=100, capture_content=True,
            )  # fmt: skip
            heard = asyncio.run(listen(server, run["id"], look or look_at_processes))
            final = server.wait_for(http, run["id"])
        keys = {exchange.api_key for exchange in llm.exchanges}
    return Told(final, heard, CANARIES["model"].value in keys)


async def listen(server: JupyterServer, run_id: str, look: Callable[[], None]) -> list[str]:
    """Everything the websocket says of the run; looks and says go when the program is ready."""
    heard: list[str] = []
    async with await Channel.open(Connection(server.url, token=server.token)) as channel:
        for topic in ("runs", f"run/{run_id}", f"run/{run_id}/logs", f"run/{run_id}/calls",
                      "notifications"):  # fmt: skip
            await channel.send(json.dumps({"type": "subscribe", "topic": topic}))
        was_let_go = False
        async with asyncio.timeout(120):
            while (message := await channel.receive()) is not None:
                heard.append(message)
                if not was_let_go and '"message":"ready"' in message:
                    was_let_go = True
                    await asyncio.to_thread(look)
                    (server.data_dir / "runs" / run_id / "outputs" / "go").touch()
                if json.loads(message)["type"] == "complete":
                    channel.close()
    assert was_let_go, "".join(heard)[-3000:]
    return heard


def look_at_processes() -> None:
    """While the program waits: nothing in any command line, and keys only where they are used."""
    assert arguments_with(CANARIES) == []
    of_run = {name: CANARIES[name] for name in ("own", "model")}
    for process in environments_with(of_run):
        command = process.cmdline()
        assert not any("supervisor" in word for word in command), command
        assert "jupyter_server" not in command, command


def views(http: httpx.Client, run: dict[str, Any]) -> Iterator[tuple[str, bytes]]:
    """Every GET of the API, for this run and what belongs to it; but the artifacts' own bytes."""
    artifacts = [each["id"] for each in run["artifacts"]]
    calls = [str(each["call"]) for each in http.get(f"api/runs/{run['id']}/calls").json()["calls"]]
    notices = [each["id"] for each in http.get("api/notifications").json()["notifications"]]
    values = {
        "run_id": [run["id"]], "asset_id": [run["asset_id"]], "artifact_id": artifacts,
        "call": calls, "environment_id": list(ENVIRONMENTS), "notice_id": notices,
        "dataset_id": ["ds_1"],
    }  # fmt: skip
    own_bytes = {"/runs/{run_id}/artifacts/{artifact_id}", "/runs/{run_id}/artifacts.zip",
                 "/runs/{run_id}/artifacts/{artifact_id}/signed"}  # fmt: skip
    queries = {
        "/runs/{run_id}/logs": ["?download=text", "?download=ndjson", "?tail=1000", ""],
        "/runs/summary": ["", "?group_by=model"],
        "/runs/compare": [f"?run_id={run['id']}&run_id={run['id']}"],
    }
    for route in routes_of(http):
        if route.verb != "get" or route.is_websocket or route.path in own_bytes:
            continue
        names = [name for name in values if f"{{{name}}}" in route.path]
        for number in range(max((len(values[name]) for name in names), default=1)):
            given = {name: values[name][min(number, len(values[name]) - 1)] for name in names}
            for query in queries.get(route.path, [""]):
                address = route.address(given) + query
                yield address, http.get(address).content


def search(server: JupyterServer, outside: Outside, told: Told) -> None:
    """Look everywhere."""
    final = told.run
    assert final["status"] == "failed", final
    assert final["error"]["type"].endswith("Wrong"), final["error"]
    assert told.llm_key_seen
    assert final["metrics"]["llm_calls"] >= 3 * len(TOLD)
    leaks: dict[str, list[str]] = {}

    def look(where: str, data: bytes | str) -> None:
        if found := found_in(data.encode() if isinstance(data, str) else data, CANARIES):
            leaks[where] = found

    with server.http() as http:
        seen = dict(views(http, final))
        assert len(seen) > 35
        for address, content in seen.items():
            look(address, content)
        log = seen[f"api/runs/{final['id']}/logs?download=text"].decode()
        assert log.count("the key is ••••\n") == len(TOLD)
        assert "no newline after ••••\n" in log
        assert "half of ••••" in str(told.heard)
        wait_until(lambda: len(outside.mails) > 0, "a mail")
        wait_until(lambda: len(outside.posts["/v1/traces"]) > 0, "an export")
        wait_until(lambda: len(outside.posts["/hook"]) > 0, "a webhook")
    look("websocket", "\n".join(told.heard))
    for number, mail in enumerate(outside.mails):
        look(f"mail {number}", mail)
    for path, posts in outside.posts.items():
        look(path, b"\n".join(posts))
    look("server log", server.log_path.read_bytes())
    leaks |= files_with([server.home, server._runtime_folder], CANARIES)
    runs = server.data_dir / "runs"
    assert leaks.pop(str(runs / final["id"] / "secrets"), None) is not None
    assert (runs / final["id"] / "secrets").stat().st_mode & 0o777 == 0o600
    others = [path for path in leaks if path.startswith(str(runs)) and path.endswith("/secrets")]
    assert {path: each for path, each in leaks.items() if path not in others} == {}
    assert arguments_with(CANARIES) == []


def test_the_search_finds_what_is_there(tmp_path: Path) -> None:
    import base64

    one: Canary = CANARIES["own"]
    for shift in range(5):
        encoded = base64.b64encode(b"p" * shift + one.value.encode() + b"rest of it")
        assert found_in(encoded, {"own": one}), shift
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "file").write_bytes(b"\0\1" + json.dumps(one.value).encode())
    [(path, found)] = files_with([tmp_path], {"own": one}).items()
    assert path.endswith("deep/file")
    assert "own (JSON)" in found
    with subprocess.Popen(
        [sys.executable, "-c", "input()", one.value], stdin=subprocess.PIPE,
        env={**os.environ, "A": one.value},
    ) as process:  # fmt: skip
        assert [each.partition(":")[0] for each in arguments_with(CANARIES)] == [str(process.pid)]
        assert [each.pid for each in environments_with(CANARIES)] == [process.pid]
        process.communicate(b"\n")
    assert not psutil.pid_exists(process.pid)


@pytest.mark.parametrize("environment_id", ["process", "kernel"])
def test_secrets_stay_where_they_belong(
    server: JupyterServer, outside: Outside, environment_id: str
) -> None:
    search(server, outside, tell(server, environment_id, "127.0.0.1", "127.0.0.1"))


@pytest.mark.docker
def test_secrets_of_a_container_stay_where_they_belong(
    server: JupyterServer, outside: Outside
) -> None:
    from tests.docker.conftest import containers_of, host_address

    engine = engine_or_leave()

    def look() -> None:
        look_at_processes()
        names = containers_of(engine, server)
        assert names
        for name in names:
            told = json.dumps(engine.inspect_container(name)).encode()
            assert found_in(told, CANARIES) == []

    try:
        search(
            server, outside, tell(server, "docker", host_address(), "host.docker.internal", look)
        )
    finally:
        engine.close()


def command(server: JupyterServer, tmp_path: Path, *words: str) -> bytes:
    """What a command of the terminal prints."""
    token = tmp_path / "token"
    token.touch(0o600)  # a token that others may read is not used
    token.write_text(server.token)
    named = {
        "MELLEA_JUPYTER_URL": server.url,
        "MELLEA_JUPYTER_TOKEN_FILE": str(token),
        "MELLEA_JUPYTER_ROOT_DIR": str(server.root),
        "MY_API_KEY": CANARIES["own"].value,
    }
    done = subprocess.run(
        [sys.executable, "-m", "mellea_jupyter.cli", *words],
        env={**server.environment(), **named}, capture_output=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.stdout
    return done.stdout + done.stderr


SHORT = "import os\nprint(os.environ['MY_API_KEY'])\nraise ValueError(os.environ['MY_API_KEY'])\n"


def test_terminals_and_notebooks_show_no_secret(
    server: JupyterServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.write("short.py", SHORT)
    started = command(
        server, tmp_path, "run", str(server.root / "short.py"), "--env", "MY_API_KEY", "--json"
    )
    assert found_in(started, CANARIES) == []
    run_id = json.loads(started.splitlines()[0])["id"] if started.startswith(b"{") else ""
    assert run_id, started
    for words in (["ls"], ["ls", "--json"], ["show"], ["show", "--json"], ["logs"], ["calls"]):
        chosen = words if words[0] == "ls" else [words[0], run_id, *words[1:]]
        printed = command(server, tmp_path, *chosen)
        assert found_in(printed, CANARIES) == [], words
        assert words[0] != "logs" or b"\xe2\x80\xa2\xe2\x80\xa2" in printed

    token = tmp_path / "token"
    for name, value in (
        ("MELLEA_JUPYTER_URL", server.url), ("MELLEA_JUPYTER_TOKEN_FILE", str(token)),
        ("MELLEA_JUPYTER_ROOT_DIR", str(server.root)), ("MY_API_KEY", CANARIES["own"].value),
        ("PYTHONPATH", str(Path(__file__).parents[2])),
    ):  # fmt: skip
        monkeypatch.setenv(name, value)
    cells = [
        "%load_ext mellea_jupyter\nfrom mellea_jupyter import *",
        "%mellea_run short.py -e MY_API_KEY --wait",
        "run = _\nrun.run",
        "LogView(run)",
        "RunsTable()",
        "list(run.logs())",
        "try:\n    run.result()\nexcept Exception as error:\n    print(error, repr(error))",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(each) for each in cells])
    where = {"metadata": {"path": str(server.root)}}
    NotebookClient(notebook, timeout=60, resources=where, allow_errors=True).execute()
    with server.http() as http:
        newest = http.get("api/runs?limit=1").json()["runs"][0]
    assert newest["asset_name"] == "short.py"
    assert newest["id"] != run_id
    text = nbformat.writes(notebook)
    assert newest["id"] in text
    assert "••••" in text or "\\u2022" in text
    assert found_in(text.encode(), CANARIES) == []
    assert server.token not in text
