"""The run folder as an enemy would leave it: refused or skipped, quickly, and never harmful."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mellea_jupyter.stores.journals.base import JournalReader, LogQuery, Position
from mellea_jupyter.stores.journals.lines import MAX_FRAME_BYTES
from tests.conftest import no_descriptors_left
from tests.stores.journals.conftest import Open
from tests.stores.journals.writing import JournalWriter

pytestmark = pytest.mark.timeout(20)


def _link(path: Path) -> None:
    secret = path.parent.parent / "secret"
    secret.write_text('{"v": 1, "seq": 1, "t": 1, "line": 0, "kind": "end"}\nsecret\n')
    path.symlink_to(secret)


REPLACEMENTS: dict[str, Callable[[Path], None]] = {
    "link": _link,
    "dangling link": lambda path: path.symlink_to("nowhere"),
    "FIFO": os.mkfifo,
    "folder": lambda path: path.mkdir(),
}


@pytest.mark.parametrize("kind", REPLACEMENTS)
def test_replaced_frames_are_refused(journal: JournalWriter, open_reader: Open, kind: str) -> None:
    journal.frames.unlink()
    REPLACEMENTS[kind](journal.frames)
    reader = open_reader()
    page = reader.read(LogQuery())
    assert [f.level.value for f in page.frames] == ["error"]
    assert "frames.ndjson was replaced" in page.frames[0].message
    assert not page.ended
    assert reader.read(LogQuery(after=page.next)).frames == ()
    assert reader.read(LogQuery(tail=5)).frames == page.frames
    assert reader.read(LogQuery(before=page.next)).frames == ()
    position = Position()
    assert reader.read_frames(position) == []
    assert position.extra["bad"] == 1
    batch = reader.read_encoded(position)
    assert batch is not None
    assert batch.lines == 1
    assert reader.read_encoded(position) is None
    assert list(reader.iter_text()) == []
    assert reader.size() == 0
    assert open_reader(complete=True).read(LogQuery()).ended


@pytest.mark.parametrize("kind", REPLACEMENTS)
def test_replaced_segments_are_refused(
    journal: JournalWriter, open_reader: Open, kind: str
) -> None:
    journal.output(b"a\nb\n")
    journal.output(b"c\n")
    segment = journal.folder / "output.000"
    segment.unlink()
    REPLACEMENTS[kind](segment)
    (frame,) = open_reader().read(LogQuery()).frames
    assert frame.message == "6 bytes (3 lines) of output can not be read: its file was replaced"
    assert b"secret" not in b"".join(open_reader(complete=True).iter_text())


def test_a_linked_folder_is_refused(journal: JournalWriter, open_reader: Open) -> None:
    journal.output(b"a\n")
    moved = journal.folder.with_name("elsewhere")
    journal.folder.rename(moved)
    journal.folder.symlink_to(moved)
    assert "was replaced" in open_reader().read(LogQuery()).frames[0].message


def test_a_journal_is_not_gone_because_it_can_not_be_opened(
    journal: JournalWriter, open_reader: Open
) -> None:
    journal.output(b"a\n")
    reader = open_reader()
    with no_descriptors_left(), pytest.raises(OSError, match="open files"):
        reader.read_frames(Position())
    assert len(reader.read_frames(Position())) == 1
    with no_descriptors_left(), pytest.raises(OSError, match="open files"):
        reader.read(LogQuery())
    assert [frame.message for frame in reader.read(LogQuery()).frames] == ["a"]


@pytest.mark.parametrize("run_id", ["..", ".", "", "a/b", "../run", "run\0", "/etc"])
def test_only_plain_names_are_runs(journal: JournalWriter, open_reader: Open, run_id: str) -> None:
    journal.output(b"a\n")
    assert open_reader(run_id).read(LogQuery()).frames == ()


GOOD: dict[str, Any] = {
    "v": 1, "t": 1.0, "line": 1, "kind": "output", "stream": "stdout", "segment": 0, "offset": 0,
    "length": 2, "lines": 1, "first_line": 2,
}  # fmt: skip

PLACE = {k: v for k, v in GOOD.items() if k not in {"v", "t", "line", "kind"}}

WRONG_FIELDS: list[dict[str, Any]] = [
    {"v": 2}, {"v": "1"}, {"seq": 1}, {"seq": "2"}, {"seq": 2.0}, {"seq": 9},
                {"seq": 0}, {"seq": -1}, {"seq": True}, {"t": "now"}, {"t": -1}, {"t": 1e300},
                {"line": None}, {"line": -1}, {"kind": 7}, {"stream": "stdin"}, {"segment": -1},
                {"offset": 1 << 60}, {"length": "2"}, {"lines": [1]}, {"first_line": {}},
                {"lines": 70_000, "length": 1 << 24},
]  # fmt: skip


@pytest.mark.parametrize(
    "line",
    [
        "", "{", "null", "[]", "7", '"text"', "\x00\x01", "{" * 10_000, '{"a":' * 5_000,
        json.dumps({"pad": "x" * MAX_FRAME_BYTES}),
        "x" * (5 * MAX_FRAME_BYTES),
        *(
            json.dumps({**GOOD, "seq": 2, **wrong})
            for wrong in WRONG_FIELDS
        ),
    ],
)  # fmt: skip
def test_what_is_no_frame_is_skipped_and_counted(
    journal: JournalWriter, open_reader: Open, line: str
) -> None:
    journal.output(b"a\n")
    journal.text(line + "\n")
    journal.seq += 1  # a damaged line is one that a frame was on
    journal.output(b"b\n")
    journal.end()
    reader, position = open_reader(), Position()
    assert [frame["seq"] for frame in reader.read_frames(position)] == [1, 3, 4]
    assert position.extra["bad"] >= 1
    page = reader.read(LogQuery())
    assert [f.message for f in page.frames] == ["a", "b"]
    assert page.ended
    assert [f.message for f in reader.read(LogQuery(tail=9)).frames] == ["a", "b"]
    assert [f.message for f in reader.read(LogQuery(after="1.1")).frames] == ["b"]
    assert [f.message for f in reader.read(LogQuery(after="2.1")).frames] == ["b"]
    assert [f.message for f in reader.read(LogQuery(before="3.1")).frames] == ["a"]
    assert [f.message for f in reader.read(LogQuery(line=2)).frames] == ["b"]


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "system", "message": 7, "level": []},
        {"kind": "record", "message": None, "stream": 3, "logger": {}},
        {"kind": "call_finished", "call": {}, "latency_ms": "x", "input_tokens": [], "model": 1},
        {"kind": "call_failed", "error": "text", "cancelled": "no"},
        {"kind": "loop_ended", "samples": None, "strategy": 1},
        {"kind": "degraded", "missing": 4},
        {"kind": "gap", "bytes": "many", "gap_lines": None},
        {"kind": "gap", "bytes": 1e300, "gap_lines": 1e300},
        {"kind": "stop", "by": 4, "grace_seconds": "x"},
        {"kind": "invented", "message": "x"},
    ],
)
def test_events_with_wrong_types_do_no_harm(
    journal: JournalWriter, open_reader: Open, fields: dict[str, Any]
) -> None:
    kind = fields.pop("kind")
    journal.frame(kind, **fields, lines=1)
    for lines in (0, -1, "1", None, 1 << 70):
        journal.text(json.dumps({"v": 1, "seq": journal.seq + 1, "t": 1, "line": 1,
                                 "kind": kind, **fields, "lines": lines}) + "\n")  # fmt: skip
        journal.seq += 1
    journal.output(b"after\n")
    assert open_reader().read(LogQuery()).frames[-1].message == "after"
    assert open_reader().read_encoded(Position()) is not None


def test_a_frame_that_points_at_nothing_reads_as_nothing(
    journal: JournalWriter, open_reader: Open
) -> None:
    journal.output(b"a\n")
    for place in ({"offset": 10**9}, {"length": 1 << 50, "lines": 2}, {"segment": 10**12}):
        journal.frame("output", **{**PLACE, **place})
    _reads_through(open_reader())


def test_a_huge_sparse_segment_costs_little(journal: JournalWriter, open_reader: Open) -> None:
    journal.output(b"a\n")
    os.truncate(journal.folder / "output.000", 1 << 40)
    journal.frame("output", **{**PLACE, "length": 1 << 40})
    frames = open_reader().read(LogQuery()).frames
    assert len(frames[-1].message) < 1 << 17
    assert open_reader().read_encoded(Position()) is not None


def test_a_frame_is_not_more_lines_than_it_says(journal: JournalWriter, open_reader: Open) -> None:
    journal.output(b"a\n")
    journal.raw(b"\n" * (1 << 20))
    journal.frame("output", **{**PLACE, "offset": 2, "length": 1 << 20, "lines": 2})
    batch = open_reader().read_encoded(Position())
    assert batch is not None
    assert batch.lines == 3


def test_a_huge_sparse_frames_file_costs_little(journal: JournalWriter, open_reader: Open) -> None:
    journal.output(b"a\n")
    os.truncate(journal.frames, 1 << 33)
    position = Position()
    reader = open_reader()
    assert len(reader.read_frames(position)) == 1
    assert reader.read(LogQuery(line=1, limit=1)).frames[0].message == "a"
    assert reader.read_encoded(Position()) is not None
    assert reader.read(LogQuery(tail=1)).frames == ()


def _reads_through(reader: JournalReader) -> None:
    assert reader.read(LogQuery()).frames[0].message == "a"
    assert reader.read(LogQuery(tail=1)).frames
    assert reader.read_encoded(Position()) is not None
    assert b"".join(reader.iter_text()).startswith(b"a\n")
