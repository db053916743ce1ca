"""Wrong settings keep our service from starting, say which they are, and harm nothing else."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from mellea_jupyter.testing.server import JupyterServer

WRONG = {
    "a value of the wrong type": ({"max_runs": "many"}, "'max_runs'"),
    "a value out of its range": ({"grace_seconds": -1.0}, "'grace_seconds'"),
    "an environment without an id": ({"environments": [{"python": "python3"}]}, "environments[0]"),
    "a wrong field of an environment": (
        {"environments": [{"id": "big", "memory_mb": "much"}]},
        "MelleaApp.environments[0].memory_mb",
    ),
}


@pytest.mark.parametrize(("settings", "named"), WRONG.values(), ids=WRONG)
def test_a_wrong_setting_is_named_and_no_other_one_is_worked_with(
    tmp_path: Path, settings: dict[str, object], named: str
) -> None:
    file = tmp_path / "settings.json"
    file.write_text(json.dumps({"MelleaApp": {"default_model": "demo/scripted", **settings}}))
    server = JupyterServer(tmp_path, options=[f"--config={file}"])
    with server, server.http() as http:
        reply = http.get("api/runs")
        assert (reply.status_code, reply.json()["code"]) == (500, "invalid_settings")
        assert named in reply.json()["message"]
        assert "restart the server" in reply.json()["hint"]
        assert http.get("api/contents").status_code == 200
        said = f"does not start: {reply.json()['message']}"
        deadline = time.monotonic() + 30
        while said not in server.log() and time.monotonic() < deadline:
            time.sleep(0.1)
        assert said in server.log()
    assert not server.data_dir.exists()
    assert "Traceback" not in server.log()


@pytest.mark.parametrize(
    "given", ["{'id': 'big'}", "[{'id': 'big'}]"], ids=["an item", "a list with one item"]
)
def test_a_single_environment_may_come_from_the_command_line(tmp_path: Path, given: str) -> None:
    server = JupyterServer(tmp_path, options=[f"--MelleaApp.environments={given}"])
    with server, server.http() as http:
        found = http.get("api/environments").raise_for_status().json()
    assert "big" in {each["id"] for each in found["environments"]}
