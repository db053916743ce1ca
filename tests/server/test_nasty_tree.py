"""Everything that a program can leave in its output folder to trouble who collects it."""

from __future__ import annotations

import hashlib
import io
import os
import re
import subprocess
import sys
import time
import unicodedata
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from mellea_jupyter.testing.server import JupyterServer

pytestmark = pytest.mark.timeout(600)

QUOTA_MB = 120
SMALL_FILES = 10_000
MEMORY_BYTES = 32 << 20

PROGRAM = """\
import os, socket, time
os.chdir(os.environ["MELLEA_OUTPUT_DIR"])
outside = os.environ["OUTSIDE"]
os.mkdir("links")
os.symlink(outside, "links/folder")
os.symlink(outside + "/private.txt", "links/file")
os.symlink("nowhere", "links/dangling")
os.symlink("self", "links/self")
os.symlink("../..", "links/up")
os.mkfifo("pipe")
with socket.socket(socket.AF_UNIX) as server:
    server.bind("socket")
if os.geteuid() == 0:
    os.mknod("null", 0o20666, os.makedev(1, 3))
    os.mknod("zero", 0o60666, os.makedev(7, 0))
with open("sparse.bin", "wb") as file:
    file.truncate(5 << 30)
os.mkdir("small")
for number in range(SMALL_FILES):
    with open(f"small/{number:05}.txt", "w") as file:
        file.write(f"number {number}")
os.mkdir("names")
accents = ("caf\\u00e9", "cafe\\u0301")
for name in ("README.txt", "readme.txt", *accents, "\\u202ecod.exe", " ", "a\\nb"):
    with open(f"names/{name}", "w") as file:
        file.write(name)
open(b"names/\\xff\\xfe.txt", "w").close()
for folder in ("closed", "opened"):
    os.mkdir(folder)
    with open(f"{folder}/file.txt", "w") as file:
        file.write(folder)
os.chmod("closed", 0)
with open("private.txt", "w") as file:
    file.write("private")
os.chmod("private.txt", 0)
with open("large.bin", "wb") as file:
    for _ in range(50):
        file.write(os.urandom(1 << 20))
with open("growing.log", "wb") as file:
    file.truncate(48 << 20)
print("ready", flush=True)
while not os.path.exists(outside + "/go"):
    time.sleep(0.02)
""".replace("SMALL_FILES", str(SMALL_FILES))

STARTING = ("created", "queued", "starting", "running")

GROWING = "import sys\nfile = open(sys.argv[1], 'ab', buffering=0)\nwhile True: file.write(b'x')\n"


class _Confined(JupyterServer):
    """A server for which permissions hold, also where it is root's."""

    def command(self) -> list[str]:
        command = super().command()
        if os.geteuid() == 0:
            dropped = "-dac_override,-dac_read_search"
            return ["setpriv", f"--bounding-set={dropped}", "--", *command]
        return command


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JupyterServer]:
    with _Confined(tmp_path_factory.mktemp("server")) as running:
        yield running


def test_every_file_is_kept_or_listed_with_its_reason(
    server: JupyterServer, http: httpx.Client, tmp_path: Path
) -> None:
    (tmp_path / "private.txt").write_text("not an artifact")
    first = server.create(http, server.write("first.py", "print('warm')\n"))
    server.wait_for(http, first["id"])
    variables = {"OUTSIDE": str(tmp_path)}
    path = server.write("nasty.py", PROGRAM)
    idle = _peak_bytes(server.pid)
    run = server.create(http, path, env_vars=variables, artifact_quota_mb=QUOTA_MB)
    while http.get(f"api/runs/{run['id']}/logs?search=ready").json()["frames"] == []:
        assert http.get(f"api/runs/{run['id']}").json()["status"] in STARTING
    outputs = server.data_dir / "runs" / run["id"] / "outputs"
    growing = [
        subprocess.Popen([sys.executable, "-c", GROWING, outputs / "growing.log"]) for _ in range(2)
    ]
    try:
        (tmp_path / "go").touch()
        while _count_ended(http, run["asset_id"]) == 0:  # which does not read the run's record
            time.sleep(0.1)
    finally:
        for process in growing:
            process.kill()
            process.wait()
    collecting = _peak_bytes(server.pid, reset=False) - idle
    final = http.get(f"api/runs/{run['id']}").json()

    assert final["status"] == "succeeded", final["error_message"]
    names = ("README.txt", "readme.txt", "caf\u00e9", "cafe\u0301", "\u202ecod.exe", " ", "a\nb")
    expected = {
        "large.bin",
        "opened/file.txt",
        *(f"names/{name}" for name in names),
        *(f"small/{number:05}.txt" for number in range(SMALL_FILES)),
    }
    kept = {each["path"]: each for each in final["artifacts"]}
    assert kept.keys() == expected
    skipped = {each["path"]: each["reason"] for each in final["artifacts_skipped"]}
    devices = {"null": "not_regular", "zero": "not_regular"} if os.geteuid() == 0 else {}
    assert skipped == {
        **devices,
        **{f"links/{name}": "link" for name in ("dangling", "file", "folder", "self", "up")},
        "pipe": "not_regular",
        "socket": "not_regular",
        "sparse.bin": "quota",
        "names/\ufffd\ufffd.txt": "name",
        "closed": "unreadable",
        "private.txt": "unreadable",
        "growing.log": "changed",
    }
    assert sum(each["size_bytes"] for each in kept.values()) <= QUOTA_MB << 20
    stored = sum(f.stat().st_size for f in (server.data_dir / "artifacts/blobs").rglob("*"))
    assert stored <= (QUOTA_MB << 20) + 300 * 4096  # and the folders themselves
    assert not list((server.data_dir / "artifacts").glob("staging/*"))

    before = _peak_bytes(server.pid)
    with http.stream("GET", f"api/runs/{run['id']}/artifacts.zip") as reply:
        archive = io.BytesIO(b"".join(reply.iter_raw()))
    sending = _peak_bytes(server.pid, reset=False) - before
    with zipfile.ZipFile(archive) as opened:
        assert opened.testzip() is None
        entries = opened.namelist()
        large = hashlib.sha256(opened.read("large.bin")).hexdigest()
    assert large == kept["large.bin"]["checksum"]
    assert len(entries) == len(kept)
    # each can be unpacked where case and the form of accents do not tell names apart
    folded = {unicodedata.normalize("NFC", entry).casefold() for entry in entries}
    assert len(folded) == len(entries)
    assert sending <= MEMORY_BYTES
    assert collecting <= MEMORY_BYTES


def _count_ended(http: httpx.Client, asset_id: str) -> int:
    query = f"asset_id={asset_id}&status=succeeded&status=failed"
    return http.get(f"api/runs/summary?{query}").json()["total_runs"]  # type: ignore[no-any-return]


def _peak_bytes(pid: int, *, reset: bool = True) -> int:
    """Most memory the process had since the last reset; where it is now, after a reset."""
    if reset:
        Path(f"/proc/{pid}/clear_refs").write_text("5")
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) << 10  # type: ignore[index]
