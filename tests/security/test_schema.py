"""The API against its own document: requests that a generator makes of it, always the same ones.

Ids in paths are those of things that are there; wrong ones are in test_paths.py.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from mellea_jupyter.testing.server import JupyterServer
from tests.security.api import EXAMPLES

pytestmark = pytest.mark.timeout(240)

CHECKS = (
    "not_a_server_error", "status_code_conformance", "content_type_conformance",
    "response_headers_conformance", "response_schema_conformance",
)  # fmt: skip
KEEPS = """\
from mellea_jupyter import current_run
(current_run.output_dir / "kept.json").write_text('{"kept": 1}')
current_run.output({"kept": 1})
print("line")
"""


def existing(server: JupyterServer) -> dict[str, str]:
    """Ids of things that are there, by the parameter that asks for one."""
    with server.http() as http:
        server.write("data.csv", "a,b\n1,2\n")
        run = server.create(http, server.write("keeps.py", KEEPS))
        final = server.wait_for(http, run["id"])
        assert final["status"] == "succeeded", final
        dataset = http.post("api/datasets", json={"path": "data.csv"}).json()
        made = http.post("api/environments", json={"name": "mine", "executor": "process"}).json()
        notices = http.get("api/notifications").json()["notifications"]
        return {
            "run_id": run["id"],
            "asset_id": run["asset_id"],
            "artifact_id": final["artifacts"][0]["id"],
            "dataset_id": dataset["id"],
            "environment_id": made["id"],
            "notice_id": notices[0]["id"],
        }


def generate(server: JupyterServer, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run schemathesis."""
    ids = existing(server)
    settings = ["[parameters]", *(f'"path.{name}" = "{value}"' for name, value in ids.items())]
    settings += ["[phases.coverage]", "unexpected-methods = []"]  # test_access.py has those
    config = folder / "schemathesis.toml"
    config.write_text("\n".join(settings) + "\n")
    return subprocess.run(
        [
            sys.executable, "-m", "schemathesis.cli", "--config-file", str(config),
            "run", f"{server.url}api/openapi.json",
            "--header", f"Authorization: token {server.token}",
            "--checks", ",".join(CHECKS),
            "--phases", "coverage,fuzzing",
            "--max-examples", "4", "--seed", "1", "--generation-deterministic",
            "--request-timeout", "30", "--continue-on-failure", "--no-color", "--workers", "1",
        ],
        cwd=folder, capture_output=True, text=True, check=False, timeout=200,
    )  # fmt: skip


def test_the_api_is_as_its_document_says(server: JupyterServer, tmp_path: Path) -> None:
    report = generate(server, tmp_path)
    assert report.returncode == 0, report.stdout[-20_000:] + report.stderr
    assert int(re.findall(r"(\d+) generated", report.stdout)[0]) > 1500
    log = server.log_path.read_text("utf-8", "replace")
    assert "Traceback" not in log
    assert " 500 " not in log


@pytest.mark.parametrize("number", [1 << 64, -(1 << 63) - 1, 10**40])
def test_a_number_that_can_not_be_kept_is_refused(
    server: JupyterServer, http: httpx.Client, number: int
) -> None:
    asset_id = http.post("api/assets", json={"path": server.write("a.py", "")}).json()["id"]
    for parameters in ({"a": number}, {"a": [{"b": number}]}):
        body = {"asset_id": asset_id, "config": {"parameters": parameters}}
        reply = http.post("api/runs", content=json.dumps(body))
        assert reply.status_code == httpx.codes.UNPROCESSABLE_ENTITY, reply.text
        assert "more than 64 bits" in reply.json()["message"]
    for path in ("api/runs/check", f"api/runs/{EXAMPLES['run_id']}/retry"):
        body = {"asset_id": asset_id, "config": {"a": number}, "config_overrides": {"a": number}}
        assert http.post(path, content=json.dumps(body)).status_code in (404, 422)
