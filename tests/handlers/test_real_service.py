"""The handlers over the real service: a program runs, and the API shows it from start to end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mellea_jupyter.app import MelleaApp
from tests.handlers.conftest import body

PROGRAM = """
print("hello", flush=True)
open("out.txt", "w")
"""


@pytest.fixture
def jp_server_config(jp_server_config: dict[str, Any], tmp_path: Path) -> dict[str, Any]:
    return {
        **jp_server_config,
        "MelleaApp": {"data_dir": str(tmp_path / "mellea"), "prewarm": False},
    }


@pytest.fixture
def program(jp_root_dir: Path) -> str:
    (jp_root_dir / "hello.py").write_text(PROGRAM)
    return "hello.py"


@pytest.fixture
def real_app(app: MelleaApp, jp_asyncio_loop: Any) -> Iterator[MelleaApp]:
    yield app
    jp_asyncio_loop.run_until_complete(app.stop_extension())


async def test_a_run_from_its_asset_to_its_end(
    jp_fetch: Any, real_app: MelleaApp, program: str
) -> None:
    async def ask(method: str, path: str, sent: Any = None) -> Any:
        headers = {"Content-Type": "application/json"}
        payload = None if sent is None else json.dumps(sent)
        reply = await jp_fetch(
            *path.split("/"), method=method, headers=headers, body=payload, request_timeout=60
        )
        return reply if path.endswith("stream") else body(reply)

    asset = await ask("POST", "api/assets", {"path": program})
    assert (await ask("POST", "api/assets", {"path": program}))["id"] == asset["id"]
    config = {"working_directory": "run", "isolation": "fresh"}
    run = await ask("POST", "api/runs", {"asset_id": asset["id"], "config": config})
    path = f"api/runs/{run['id']}"
    stream = (await ask("GET", f"{path}/logs/stream")).body.decode()
    assert '"message":"hello"' in stream
    assert stream.endswith('data: {"status": "succeeded"}\n\n')
    page = await ask("GET", f"{path}/logs")
    assert page["ended"]
    assert "hello" in [frame["message"] for frame in page["frames"]]
    assert (await ask("GET", path))["status"] == "succeeded"
    assert (await ask("GET", "api/runs/summary"))["by_status"]["succeeded"] == 1
    assert [
        each["id"] for each in (await ask("GET", f"api/assets/{asset['id']}/runs"))["runs"]
    ] == [run["id"]]
    assert (await ask("GET", f"{path}/source"))["files"][0]["text"] == PROGRAM
    assert (await ask("GET", f"{path}/calls"))["calls"] == []
    assert (await ask("GET", "api/environments"))["environments"]
    assert await ask("POST", "api/runs/bulk/delete", {"run_ids": [run["id"]]}) == {
        run["id"]: "deleted"
    }
