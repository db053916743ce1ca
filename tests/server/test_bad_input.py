"""What is refused, with a sentence that names the field, and nothing created; and what is a run
that fails and says why."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from mellea_jupyter.testing.server import JupyterServer

UNPROCESSABLE = 422


@pytest.fixture
def asset_id(server: JupyterServer, http: httpx.Client) -> str:
    path = server.write("fine.py", "print('fine')\n")
    return str(http.post("api/assets", json={"path": path}).json()["id"])


@pytest.fixture
def nothing_created(server: JupyterServer, http: httpx.Client, asset_id: str) -> Iterator[None]:
    def state() -> tuple[int, int, set[str]]:
        runs = http.get("api/runs/summary").json()["total_runs"]
        assets = len(http.get("api/assets", params={"limit": 1000}).json()["assets"])
        return runs, assets, {path.name for path in (server.data_dir / "runs").iterdir()}

    before = state()
    yield
    assert state() == before


REFUSED: list[tuple[dict[str, Any], int, str]] = [
    ({"asset_id": "prog_unknown"}, 404, "asset"),
    ({"config": {"environment_id": "mars"}}, 404, "environment"),
    ({"config": {"datasets": [{"name": "d", "dataset_id": "ds_unknown"}]}}, 404, "dataset"),
    ({"config": {"timeout_seconds": 0}}, UNPROCESSABLE, "config.timeout_seconds"),
    ({"config": {"timeout_seconds": -5}}, UNPROCESSABLE, "config.timeout_seconds"),
    ({"config": {"timeout_seconds": 1e9}}, UNPROCESSABLE, "config.timeout_seconds"),
    ({"config": {"artifact_quota_mb": -1}}, UNPROCESSABLE, "config.artifact_quota_mb"),
    ({"config": {"colour": "red"}}, UNPROCESSABLE, "config.colour"),
    ({"config": {"env_vars": {"not a name": "x"}}}, UNPROCESSABLE, "config.env_vars"),
    ({"config": {"env_vars": {"NAME": 5}}}, UNPROCESSABLE, "config.env_vars"),
    ({"config": {"isolation": "frozen"}}, UNPROCESSABLE, "config.isolation"),
    ({"config": {"parameters": {"a": 1}}}, UNPROCESSABLE, "config.parameters"),
    ({"config": {"max_llm_calls": 0}}, UNPROCESSABLE, "config.max_llm_calls"),
    ({"config": {"args": "not a list"}}, UNPROCESSABLE, "config.args"),
    ({"tags": [""]}, UNPROCESSABLE, "tags"),
    ({"surprise": 1}, UNPROCESSABLE, "surprise"),
]


@pytest.mark.usefixtures("nothing_created")
@pytest.mark.parametrize(("change", "status", "named"), REFUSED, ids=str)
def test_a_run_that_is_refused(
    http: httpx.Client, asset_id: str, change: dict[str, Any], status: int, named: str
) -> None:
    reply = http.post("api/runs", json={"asset_id": asset_id, **change})
    body = reply.json()
    assert reply.status_code == status, body
    assert set(body) == {"code", "message", "hint", "details", "request_id"}
    assert named in f"{body['message']} {body['details']}", body


@pytest.mark.usefixtures("nothing_created")
@pytest.mark.parametrize(
    ("params", "named"),
    [
        ({"cursor": "nonsense"}, "cursor"),
        ({"limit": "0"}, "limit"),
        ({"limit": "1001"}, "limit"),
        ({"sort": "beauty"}, "sort"),
        ({"status": "happy"}, "status"),
        ({"started_after": "yesterday"}, "started_after"),
        ({"colour": "red"}, "colour"),
    ],
    ids=str,
)
def test_a_listing_that_is_refused(http: httpx.Client, params: dict[str, str], named: str) -> None:
    reply = http.get("api/runs", params=params)
    body = reply.json()
    assert reply.status_code == UNPROCESSABLE, body
    assert named in f"{body['message']} {body['details']}", body


def programs_that_are_refused(root: Path) -> dict[str, Any]:
    """Paths by name, made below the root where they have to exist."""
    outside = root.parent / "outside.py"
    outside.write_text("print('outside')\n")
    link = root / "link.py"
    link.unlink(missing_ok=True)
    link.symlink_to(outside)
    fifo = root / "fifo.py"
    if not fifo.exists():
        os.mkfifo(fifo)
    (root / "nothing").mkdir(exist_ok=True)
    (root / "nothing" / "data.txt").write_text("no program here\n")
    (root / "huge").mkdir(exist_ok=True)
    (root / "huge" / "main.py").write_text("print('main')\n")
    with (root / "huge" / "weights.bin").open("wb") as file:
        file.truncate(51 << 20)
    (root / "notes.txt").write_text("not a program\n")
    return {
        "outside": str(outside),
        "dots": "../outside.py",
        "link": "link.py",
        "fifo": "fifo.py",
        "device": "/dev/zero",
        "folder without entry point": "nothing",
        "over 50 MB": "huge",
        "missing": "missing.py",
        "not a program": "notes.txt",
        "empty": "",
        "nul": "a\0b.py",
    }


NAMES = [
    "outside", "dots", "link", "fifo", "device", "folder without entry point", "over 50 MB",
    "missing", "not a program", "empty", "nul",
]  # fmt: skip


@pytest.mark.usefixtures("nothing_created")
@pytest.mark.parametrize("name", NAMES)
def test_a_program_that_is_refused(server: JupyterServer, http: httpx.Client, name: str) -> None:
    paths = programs_that_are_refused(server.root)
    assert set(paths) == set(NAMES)
    reply = http.post("api/assets", json={"path": paths[name]})
    body = reply.json()
    assert reply.status_code == UNPROCESSABLE, body
    assert body["details"]["field"] in ("path", "entry_point"), body
    assert body["hint"], body


def failed(server: JupyterServer, http: httpx.Client, path: str, **config: Any) -> dict[str, Any]:
    run = server.create(http, path, **config)
    final = server.wait_for(http, run["id"])
    assert final["status"] == "failed", final
    return final


def test_a_program_that_does_not_parse(server: JupyterServer, http: httpx.Client) -> None:
    final = failed(server, http, server.write("broken.py", "def (:\n"))
    assert final["error"]["type"] == "SyntaxError"
    assert final["error_message"].startswith("SyntaxError")


CALLING = "from mellea import start_session\nprint(start_session().chat('hello'))\n"


def test_a_model_nobody_knows(server: JupyterServer, http: httpx.Client) -> None:
    final = failed(server, http, server.write("call.py", CALLING), model="nonsense/x")
    assert "nonsense" in final["error_message"]


def test_a_missing_key(server: JupyterServer, http: httpx.Client) -> None:
    final = failed(server, http, server.write("call.py", CALLING), model="openai/gpt-4o")
    assert "OPENAI_API_KEY" in final["error_message"]
