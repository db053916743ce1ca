"""Logs and artifacts that expire, through a real server."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mellea_jupyter.testing.scripted_llm import ScriptedLlm
from mellea_jupyter.testing.server import JupyterServer

PROGRAM = """
import os, pathlib
from mellea import start_session
start_session("openai", "gpt-4o").instruct("say hi")
pathlib.Path(os.environ["MELLEA_OUTPUT_DIR"], "a.txt").write_text("kept")
print(os.environ["API_KEY"] == "s3cret", flush=True)
raise SystemExit(3)
"""

REPORTS = ("calls", "loops", "usage")
"""What stays with the record."""


@pytest.fixture
def hasty(tmp_path: Path) -> JupyterServer:
    """A server where everything expires a tenth of a second after its end."""
    return JupyterServer(tmp_path, options=["--MelleaApp.retention_days=0.000001"])


def test_what_expired_is_gone_and_said_so_and_a_retry_still_works(hasty: JupyterServer) -> None:
    with ScriptedLlm(["hello"]) as endpoint, hasty, hasty.http() as http:
        variables = {"OPENAI_BASE_URL": endpoint.openai_url, "OPENAI_API_KEY": "sk-scripted"}
        created = hasty.create(
            http,
            hasty.write("fails.py", PROGRAM),
            env_vars={"API_KEY": "s3cret", **variables},
        )
        run = hasty.wait_for(http, created["id"])
        assert run["expires_at"] > run["finished_at"]
        (artifact,) = run["artifacts"]
        content = http.get(f"api/runs/{run['id']}/calls/1/content").json()
        assert (content["prompt"], content["reply"]) == ("user: say hi", "hello")
        told = [http.get(f"api/runs/{run['id']}/{what}").json() for what in REPORTS]
        assert len(told[0]["calls"]) == len(told[1]["loops"]) == 1
        pinned = hasty.create(http, hasty.write("short.py", "print(1)\n"))["id"]
        assert http.patch(f"api/runs/{pinned}", json={"pinned": True}).status_code == 200
        hasty.wait_for(http, pinned)

        preview = http.post("api/retention/sweep", json={"dry_run": True}).json()
        assert [one["run_id"] for one in preview["runs"]] == [run["id"]]
        swept = http.post("api/retention/sweep", json={}).json()
        assert [one["run_id"] for one in swept["runs"]] == [run["id"]]
        assert swept["failed"] == 0

        after = http.get(f"api/runs/{run['id']}").json()
        assert (after["artifacts"], after["artifacts_purged"]) == ([], True)
        assert told == [http.get(f"api/runs/{run['id']}/{what}").json() for what in REPORTS]
        logs = ("logs", "logs?download=text", "logs/stream")
        for path in (*logs, f"artifacts/{artifact['id']}", "calls/1/content"):
            reply = http.get(f"api/runs/{run['id']}/{path}")
            assert (reply.status_code, reply.json()["code"]) == (410, "expired"), path
            assert "expired on" in reply.json()["message"]
        assert http.get(f"api/runs/{pinned}/logs").status_code == 200

        again = http.post(f"api/runs/{run['id']}/retry", json={}).json()
        assert hasty.wait_for(http, again["id"])["exit_code"] == 3
        log = http.get(f"api/runs/{again['id']}/logs?stream=stdout").json()
        assert [frame["message"] for frame in log["frames"]] == ["True"]
        kept = http.get("api/retention").json()
        assert kept["used_bytes"] > 0
        assert kept["free_bytes"] > 0


def test_the_terminal_pins_runs_and_sweeps(hasty: JupyterServer) -> None:
    def cli(*words: str) -> str:
        command = [sys.executable, "-m", "mellea_jupyter.cli", "--url", hasty.url, *words]
        done = subprocess.run(
            command,
            env=hasty.environment(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    with hasty, hasty.http() as http:
        ids = [hasty.create(http, hasty.write("short.py", "print(1)\n"))["id"] for _ in range(2)]
        for run_id in ids:
            hasty.wait_for(http, run_id)
        kept, expired = ids
        assert cli("pin", kept[:8]) == f"{kept[:8]} pinned: kept for good\n"
        assert "pinned: kept for good" in cli("show", kept)
        listed = cli("sweep", "--dry-run")
        assert expired[:8] in listed
        assert kept[:8] not in listed
        assert "1 run, " in listed
        assert "would be removed" in listed
        assert "removed\nruns take" in cli("sweep")
        assert json.loads(cli("sweep", "--json"))["runs"] == []
        assert "expired on" in cli("show", expired)
        assert cli("unpin", kept).startswith(f"{kept[:8]} expires ")
