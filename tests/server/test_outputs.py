"""Structured outputs and artifacts, through the complete server."""

from __future__ import annotations

import httpx

from mellea_jupyter.testing.server import JupyterServer

DECLARING = """\
from mellea_jupyter import current_run
current_run.output({"small": 1})
current_run.output({"large": "x" * 100_000}, schema_version="2")
current_run.output({"large": "y" * 100_000})
nested = current = []
for _ in range(250):
    inner = []
    current.append(inner)
    current = inner
current_run.output(nested)
(current_run.output_dir / "folder").mkdir()
(current_run.output_dir / "folder" / "result.txt").write_text("kept")
print("done")
"""


def test_outputs_of_all_sizes_and_shapes(server: JupyterServer, http: httpx.Client) -> None:
    run = server.create(http, server.write("declaring.py", DECLARING))
    final = server.wait_for(http, run["id"])
    assert final["status"] == "succeeded", final["error_message"]
    outputs = http.get(f"api/runs/{run['id']}/outputs").json()
    first, second, third, fourth = [output["data"] for output in outputs]
    assert first == {"small": 1}
    assert second == {"large": "x" * 100_000}
    assert third == {"large": "y" * 100_000}
    assert "nested too deeply" in fourth["error"]
    assert [output["schema_version"] for output in outputs] == ["1", "2", "1", "1"]


def test_artifacts_keep_their_paths_and_are_listed_with_size_and_checksum(
    server: JupyterServer, http: httpx.Client
) -> None:
    run = server.create(http, server.write("declaring.py", DECLARING))
    final = server.wait_for(http, run["id"])
    (artifact,) = final["artifacts"]
    assert artifact["path"] == "folder/result.txt"
    assert (artifact["name"], artifact["size_bytes"]) == ("result.txt", 4)
    assert artifact["content_type"] == "text/plain"
    reply = http.get(f"api/runs/{run['id']}/artifacts/{artifact['id']}")
    assert reply.text == "kept"
    listed = http.get(f"api/runs/{run['id']}/artifacts").json()
    assert listed["total_bytes"] == len("kept")


def test_artifacts_over_the_quota_are_listed_as_skipped_also_when_the_run_fails(
    server: JupyterServer, http: httpx.Client
) -> None:
    source = (
        "import os, sys\n"
        "folder = os.environ['MELLEA_OUTPUT_DIR']\n"
        "open(f'{folder}/a.txt', 'w').write('small')\n"
        "open(f'{folder}/b.bin', 'wb').write(b'0' * 3_000_000)\n"
        "os.symlink('/etc/passwd', f'{folder}/c.txt')\n"
        "sys.exit(3)\n"
    )
    run = server.create(http, server.write("over.py", source), artifact_quota_mb=1)
    final = server.wait_for(http, run["id"])
    assert (final["status"], final["exit_code"]) == ("failed", 3)
    assert [artifact["path"] for artifact in final["artifacts"]] == ["a.txt"]
    skipped = {entry["path"]: entry["reason"] for entry in final["artifacts_skipped"]}
    assert skipped["b.bin"] == "quota"
    assert "c.txt" in skipped
