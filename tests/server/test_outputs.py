"""Structured outputs and artifacts, through the complete server."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path

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


def test_all_artifacts_come_as_one_archive(server: JupyterServer, http: httpx.Client) -> None:
    run = server.create(http, server.write("declaring.py", DECLARING))
    final = server.wait_for(http, run["id"])
    reply = http.get(f"api/runs/{run['id']}/artifacts.zip")
    with zipfile.ZipFile(io.BytesIO(reply.content)) as archive:
        paths = [artifact["path"] for artifact in final["artifacts"]]
        assert archive.namelist() == paths == ["folder/result.txt"]
        assert archive.read("folder/result.txt") == b"kept"


def test_a_large_archive_costs_the_server_no_memory_and_ends_with_its_reader(
    server: JupyterServer, http: httpx.Client
) -> None:
    source = (
        "import os\n"
        "folder = os.environ['MELLEA_OUTPUT_DIR']\n"
        "for name in 'ab':\n"
        "    with open(f'{folder}/{name}.bin', 'wb') as file:\n"
        "        for _ in range(80):\n"
        "            file.write(os.urandom(1 << 20))\n"
    )
    run = server.create(http, server.write("large.py", source))
    assert server.wait_for(http, run["id"])["status"] == "succeeded"
    path = f"api/runs/{run['id']}/artifacts.zip"
    with http.stream("GET", path) as reply:
        next(reply.iter_raw())  # and away
    before = _peak_bytes(server.pid)
    with http.stream("GET", path) as reply:
        received = sum(len(piece) for piece in reply.iter_raw())
    assert received > 160 << 20
    assert _peak_bytes(server.pid, reset=False) - before < 16 << 20


def _peak_bytes(pid: int, *, reset: bool = True) -> int:
    """Most memory the process had since the last reset; where it is now, after a reset."""
    if reset:
        Path(f"/proc/{pid}/clear_refs").write_text("5")
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) << 10  # type: ignore[index]
