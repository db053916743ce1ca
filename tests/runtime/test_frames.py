"""The journal's writer, alone: its shape on disk, its cap, and a full disk."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mellea_jupyter.runtime.capture import StreamCapture, open_pipe
from mellea_jupyter.runtime.frames import MAX_FRAME_BYTES, FrameWriter, encode
from tests.conftest import require

from .conftest import MakeRun
from .support import start_fresh


def read_frames(journal: Path) -> list[dict[str, Any]]:
    """All frames, which must be whole, contiguous and consistent about lines."""
    data = (journal / "frames.ndjson").read_bytes()
    assert data.endswith(b"\n")
    frames = [json.loads(line) for line in data.splitlines()]
    line = 0
    for number, frame in enumerate(frames, start=1):
        assert (frame["seq"], frame["line"]) == (number, line)
        line += frame.get("lines", 0)
    return frames


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB.

    Mounted in a mount namespace that only a sleeping helper is in, with a user namespace where we
    are not root; it is reached through that process and goes with it.
    """
    folder = tmp_path / "disk"
    folder.mkdir()
    unshare = ["unshare", "--mount", *(["--user", "--map-root-user"] if os.getuid() else [])]
    script = 'mount -t tmpfs -o size=1m tmpfs "$0" && echo mounted && exec cat'
    with subprocess.Popen(
        [*unshare, "sh", "-c", script, str(folder)], text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as helper:  # fmt: skip
        assert helper.stdin is not None
        assert helper.stdout is not None
        assert helper.stderr is not None
        try:
            if helper.stdout.readline() != "mounted\n":
                require("a file system of 1 MiB", helper.stderr.read().strip())
            yield Path(f"/proc/{helper.pid}/root{folder}")
        finally:
            helper.stdin.close()


def test_frames_take_their_lines_by_kind(tmp_path: Path) -> None:
    writer = FrameWriter(str(tmp_path), 2**20, now=lambda: 1000.12345)
    writer.write("started", pgid=1)
    writer.write("record", stream="stderr", level="info", message="a\nb", lines=99, seq=7)
    writer.write("call_finished", call=1)
    assert writer.write_output("stdout", b"x\ny\n", lines=2) == 4
    writer.write_end(exit_code=0)
    writer.close()
    frames = read_frames(tmp_path)
    assert [frame.get("lines") for frame in frames] == [None, 2, 1, 2, None]
    assert frames[0]["t"] == 1000.123
    assert not (tmp_path / "reserve").exists()


def test_a_journal_is_never_opened_twice(tmp_path: Path) -> None:
    FrameWriter(str(tmp_path), 2**20).close()
    with pytest.raises(FileExistsError):
        FrameWriter(str(tmp_path), 2**20)


@pytest.mark.parametrize(
    "value",
    [
        {"text": "é" * 100_000},
        {"deep": [{"text": "x" * 50_000} for _ in range(100)]},
        {"many": list(range(100_000))},
        {f"k{i}": "v" * 100 for i in range(2000)},
    ],
)
def test_a_frame_is_never_longer_than_64_kib(value: dict[str, Any]) -> None:
    data = encode({"kind": "call_finished", **value}, MAX_FRAME_BYTES)
    assert len(data) <= MAX_FRAME_BYTES
    parsed = json.loads(data)
    assert parsed["kind"] == "call_finished"
    assert parsed["truncated"] is True


def test_values_without_json_become_something(tmp_path: Path) -> None:
    data = json.loads(encode({"a": float("inf"), "b": [{"c": float("nan")}], "d": tmp_path}, 4096))
    assert data == {"a": None, "b": [{"c": None}], "d": str(tmp_path)}


def test_events_of_a_program_that_never_stops_are_capped(tmp_path: Path) -> None:
    writer = FrameWriter(str(tmp_path), 100_000)
    written = [writer.write("record", stream="stderr", message="x" * 100) for _ in range(2000)]
    writer.write_end(exit_code=0)
    writer.close()
    frames = read_frames(tmp_path)
    gap = next(frame for frame in frames if frame["kind"] == "gap")
    assert gap["reason"] == "dropped"
    assert gap["gap_lines"] == written.count(False) > 1000
    assert frames[-1]["kind"] == "end"


def fill(writer: FrameWriter, frames: int) -> None:
    for _ in range(frames):
        writer.write_output("stdout", b"0123456\n" * 512, lines=512)


def test_the_cap_takes_whole_segments_and_no_line(tmp_path: Path) -> None:
    writer = FrameWriter(str(tmp_path), 64 * 1024)
    fill(writer, 40)
    writer.write_end(exit_code=0)
    writer.close()
    frames = read_frames(tmp_path)
    gaps = [frame for frame in frames if frame["kind"] == "gap"]
    assert {(gap["reason"], gap.get("lines")) for gap in gaps} == {("cap", None)}
    removed = [gap["segments"][0] for gap in gaps]
    assert len(removed) == len(set(removed)) > 10
    assert all(not (tmp_path / f"output.{number:03d}").exists() for number in removed)
    assert frames[-1]["line"] == 40 * 512
    assert sum(path.stat().st_size for path in tmp_path.glob("output.*")) <= 64 * 1024


def test_segments_that_the_program_removed_or_replaced_harm_nobody(tmp_path: Path) -> None:
    writer = FrameWriter(str(tmp_path), 64 * 1024)
    fill(writer, 14)
    for path in tmp_path.glob("output.*"):
        path.unlink()
        if path.name.endswith("5"):
            path.mkdir()
    fill(writer, 30)
    assert writer.write_end(exit_code=0)
    writer.close()
    assert read_frames(tmp_path)[-1]["kind"] == "end"


def test_a_full_disk_is_told_when_there_is_space_again(small_disk: Path) -> None:
    writer = FrameWriter(str(small_disk), 2**28)
    filler = small_disk / "filler"
    filler.write_bytes(bytes(500_000))
    line = b"x" * 999 + b"\n"
    taken = sum(writer.write_output("stdout", line * 10, lines=10) is not None for _ in range(100))
    assert 10 < taken < 60
    assert writer.write("exception", type="OSError", message="x" * 20_000, frames=[])
    assert not (small_disk / "reserve").exists(), "given back"
    filler.unlink()
    while writer.write_output("stdout", line, lines=1) is None:
        pass
    writer.write_end(exit_code=0)
    writer.close()
    frames = read_frames(small_disk)
    kinds = [frame["kind"] for frame in frames]
    assert kinds == ["output"] * taken + ["exception", "gap", "output", "end"]
    gap = frames[taken + 1]
    assert gap["reason"] == "disk_full"
    assert gap["bytes"] >= (100 - taken) * 10_000
    assert gap["gap_lines"] == gap["bytes"] // 1000
    assert frames[-2]["offset"] == taken * 10_000, "nothing half-written lies between"


def test_the_end_is_written_on_a_disk_that_stays_full(make_run: MakeRun, small_disk: Path) -> None:
    run = make_run(
        "import time\nfor i in range(50_000): print(i, 'x' * 90)\nprint(open('x').read())"
    )
    run.journal.rmdir()
    (small_disk / "journal").mkdir()
    run.journal.symlink_to(small_disk / "journal")
    (small_disk / "filler").write_bytes(bytes(300_000))
    assert start_fresh(run).wait(60) == 0
    end = run.end()
    assert (end["exit_code"], end["reason"]) == (1, "exit_code")
    (gap,) = run.frames("gap")
    assert gap["reason"] == "disk_full"
    assert gap["bytes"] > 1_000_000
    assert run.frame("exception")["type"] == "FileNotFoundError"


def test_a_capture_bounds_the_lines_of_a_frame(tmp_path: Path) -> None:
    writer = FrameWriter(str(tmp_path), 2**20)
    reading, writing = open_pipe()
    capture = StreamCapture("stdout", reading, writer)
    written = b"y\n" * 5_000 + b"x" * 200 + b"\n" + b"\n" * 100
    os.write(writing, written)
    os.close(writing)
    while capture.drain():
        capture.write_lines(0.0)
    writer.close()
    frames = read_frames(tmp_path)
    assert [frame["lines"] for frame in frames] == [2_000, 2_000, 1_101]
    assert [frame["first_line"] for frame in frames] == [1, 2_001, 4_001]
    assert [frame["offset"] for frame in frames] == [0, 4_000, 8_000]
    assert (tmp_path / "output.000").read_bytes() == written


def test_a_capture_puts_lines_where_an_event_says(tmp_path: Path) -> None:
    writer = FrameWriter(str(tmp_path), 2**20)
    reading, writing = open_pipe()
    capture = StreamCapture("stdout", reading, writer)
    os.write(writing, b"one\ntwo\nthr")
    os.close(writing)
    assert capture.drain() == 11
    capture.write_lines(0.0, up_to=5)
    writer.write("system", level="info", message="between")
    capture.write_lines(0.0)
    assert capture.partial_due() == pytest.approx(0.1)
    capture.write_partial(0.05)
    capture.write_partial(0.2)
    writer.close()
    assert capture.descriptor is None
    frames = read_frames(tmp_path)
    assert [frame["kind"] for frame in frames] == ["output", "system", "output", "output"]
    assert [frame.get("first_line") for frame in frames] == [1, None, 3, 4]
    assert frames[-1]["partial"] is True


# -- going on with a journal whose writer died ---------------------------------------------------


def died(tmp_path: Path) -> FrameWriter:
    """A writer that wrote two lines and a frame and is left without an end."""
    writer = FrameWriter(str(tmp_path), 2**20)
    writer.write("started", host="here")
    writer.write_output("stdout", b"one\ntwo\n", lines=2)
    writer.close()
    return writer


def test_a_resumed_journal_goes_on_behind_its_last_whole_frame(tmp_path: Path) -> None:
    died(tmp_path)
    with (tmp_path / "frames.ndjson").open("ab") as file:
        file.write(b'{"v":1,"seq":3,"kind":"out')  # torn
    writer = FrameWriter(str(tmp_path), 2**20, resume=True)
    assert (writer.seq, writer.line) == (2, 2)
    assert writer.last_written_at > 0
    assert writer.write_output("stdout", b"three\n", lines=1) == 3
    assert writer.write_end(exit_code=0)
    writer.close()
    lines = (tmp_path / "frames.ndjson").read_bytes().splitlines()
    assert [json.loads(line)["seq"] for line in lines] == [1, 2, 3, 4]
    assert (tmp_path / "output.000").read_bytes() == b"one\ntwo\nthree\n"


def test_bytes_without_a_frame_get_theirs_when_a_journal_is_resumed(tmp_path: Path) -> None:
    died(tmp_path)
    with (tmp_path / "output.000").open("ab") as file:
        file.write(b"three\nfo")
    writer = FrameWriter(str(tmp_path), 2**20, resume=True)
    writer.close()
    frame = json.loads((tmp_path / "frames.ndjson").read_bytes().splitlines()[-1])
    assert (frame["offset"], frame["length"], frame["lines"], frame["first_line"]) == (8, 8, 2, 3)
    assert (tmp_path / "output.000").read_bytes() == b"one\ntwo\nthree\nfo"


def test_a_journal_that_has_its_end_is_not_resumed(tmp_path: Path) -> None:
    writer = FrameWriter(str(tmp_path), 2**20)
    writer.write_end(exit_code=0)
    writer.close()
    with pytest.raises(FileExistsError, match="has its end"):
        FrameWriter(str(tmp_path), 2**20, resume=True)
