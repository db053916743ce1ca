"""What every reader of journals does: history, live, places, search, download."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mellea_jupyter.exceptions import InvalidCursor
from mellea_jupyter.models.frames import LogFrame, LogLevel, LogStream
from mellea_jupyter.runtime.frames import FrameWriter
from mellea_jupyter.stores.journals.base import JournalReader, JournalStore, LogQuery, Position
from mellea_jupyter.stores.journals.file import FileJournalStore
from tests.stores.journals.conftest import Open
from tests.stores.journals.writing import JournalWriter


def messages(reader: JournalReader, **query: object) -> list[str]:
    return [frame.message for frame in reader.read(LogQuery(**query)).frames]  # type: ignore[arg-type]


def everything(reader: JournalReader, limit: int = 1000) -> list[LogFrame]:
    frames: list[LogFrame] = []
    after = None
    while True:
        page = reader.read(LogQuery(after=after, limit=limit))
        frames += page.frames
        if page.next == after:
            return frames
        after = page.next


@pytest.fixture
def mixed(journal: JournalWriter) -> JournalWriter:
    """Ten lines: output of both streams, a prompt that is continued, events between."""
    journal.frame("started", supervisor_pid=1)
    journal.output(b"one\ntwo\nName? ")
    journal.frame("call_started", call=1, purpose="answer")
    journal.frame("call_finished", call=1, purpose="answer", provider="openai", model="gpt-4o",
                  input_tokens=12, output_tokens=3, latency_ms=1234.5, lines=1)  # fmt: skip
    journal.output(b"Ada\nfive\n")
    journal.frame("usage", rss_mb=1)
    journal.output(b"Traceback\nKeyError\n", "stderr")
    journal.frame("record", stream="stderr", level="warn", logger="app", message="a\nb", lines=2)
    journal.frame("stop", reason="user", by="ada", grace_seconds=10, lines=1)
    journal.end()
    return journal


class TestViews:
    def test_lines_are_numbered_in_the_order_they_began(
        self, mixed: JournalWriter, open_reader: Open
    ) -> None:
        frames = everything(open_reader())
        assert [(f.line, f.message, f.stream.value) for f in frames] == [
            (1, "one", "stdout"),
            (2, "two", "stdout"),
            (3, "Name? ", "stdout"),
            (4, "LLM call 1 (answer) openai/gpt-4o: 12 tokens in, 3 out, 1.23 s", "system"),
            (3, "Ada", "stdout"),
            (5, "five", "stdout"),
            (6, "Traceback", "stderr"),
            (7, "KeyError", "stderr"),
            (8, "a", "stderr"),
            (9, "b", "stderr"),
            (10, "Stop (user) by ada: SIGTERM sent, SIGKILL after 10 s", "system"),
        ]
        assert [(f.partial, f.continues) for f in frames[2:5]] == [
            (True, False), (False, False), (False, True)
        ]  # fmt: skip
        assert [f.level.value for f in frames][5:9] == ["info", "error", "error", "warn"]

    def test_an_llm_event_is_its_metadata(self, mixed: JournalWriter, open_reader: Open) -> None:
        (frame,) = open_reader().read(LogQuery(line=4, limit=1)).frames
        assert frame.metadata is not None
        assert frame.metadata["kind"] == "call_finished"
        assert frame.metadata["input_tokens"] == 12
        assert "seq" not in frame.metadata

    def test_a_frame_is_found_by_its_number(self, mixed: JournalWriter, open_reader: Open) -> None:
        reader = open_reader()
        position = Position()
        frames = reader.read_frames(position)
        assert [reader.find_frame(frame["seq"]) for frame in frames] == frames
        assert reader.find_frame(0) is None
        assert reader.find_frame(mixed.seq + 1) is None
        assert open_reader("nothing").find_frame(1) is None

    def test_ansi_and_carriage_returns_stay_and_bad_utf8_is_replaced(
        self, journal: JournalWriter, open_reader: Open
    ) -> None:
        journal.output(b'\x1b[31mred\x1b[0m 10%\r20%\n\xff\xfe\n\0\n"quoted","\\\n')
        assert messages(open_reader()) == [
            "\x1b[31mred\x1b[0m 10%\r20%", "\ufffd\ufffd", "\0", '"quoted","\\'
        ]  # fmt: skip
        assert b"".join(open_reader().iter_text()) == journal_bytes(journal)

    @pytest.mark.parametrize("length", [65_537, 10_000_000])
    def test_a_long_line_is_shown_cut(
        self, journal: JournalWriter, open_reader: Open, length: int
    ) -> None:
        journal.output(b"x" * length + b"\n")
        journal.output(b"next\n")
        long, following = everything(open_reader())
        assert long.message == "x" * 65_536
        assert long.metadata == {"cut_bytes": length - 65_536}
        assert (following.message, following.line) == ("next", 2)
        assert sum(map(len, open_reader().iter_text())) == length + 6

    def test_all_shown_kinds_read_as_one_line(
        self, journal: JournalWriter, open_reader: Open
    ) -> None:
        journal.frame("system", level="warn", message="two\nlines", lines=1)
        journal.frame("call_failed", call=2, purpose="judge", provider="ollama", model="m",
                      cancelled=False, error={"type": "E", "message": "m"}, latency_ms=5,
                      lines=1)  # fmt: skip
        journal.frame("call_failed", call=3, purpose="answer", cancelled=True, lines=1)
        journal.frame("loop_ended", loop=1, strategy="Rejection", success=False, samples=3,
                      lines=1)  # fmt: skip
        journal.frame("degraded", missing=["a", "b"], mellea="0.9", lines=1)
        journal.frame("gap", bytes=2048, gap_lines=1200, reason="disk_full", lines=1)
        for unheard in ({"seconds": 3.2}, {"events": 1200}, {}):
            journal.frame("gap", bytes=0, gap_lines=0, reason="unheard", lines=1, **unheard)
        assert [(f.level.value, f.message) for f in everything(open_reader())] == [
            ("warn", "two lines"),
            ("warn", "LLM call 2 (judge) ollama/m failed after 0.01 s: E: m"),
            ("warn", "LLM call 3 (answer) unknown model was cancelled after unknown time"),
            ("warn", "Sampling loop 1 (Rejection) ended, requirements not met, samples: 3"),
            ("warn", "LLM events are incomplete with mellea 0.9: a, b"),
            ("warn", "2.0 KiB (1,200 lines) of output were left out: the disk is full"),
            ("warn", "Nobody listened to the kernel for 3 s; what it printed then is lost"),
            ("warn", "1,200 events of the kernel did not arrive"),
            ("warn", "The kernel did not say that it is done; output before that may be lost"),
        ]


class TestPages:
    @pytest.mark.parametrize("limit", [1, 2, 3, 100])
    def test_pages_forward_give_every_line_once(
        self, mixed: JournalWriter, open_reader: Open, limit: int
    ) -> None:
        assert everything(open_reader(), limit) == everything(open_reader())

    @pytest.mark.parametrize("limit", [1, 2, 3, 100])
    def test_pages_backward_give_every_line_once(
        self, mixed: JournalWriter, open_reader: Open, limit: int
    ) -> None:
        reader = open_reader()
        page = reader.read(LogQuery(tail=limit))
        assert page.ended
        seen = list(page.frames)
        while page.frames:
            page = reader.read(LogQuery(before=page.frames[0].cursor, limit=limit))
            assert len(page.frames) <= limit
            seen = [*page.frames, *seen]
        assert seen == everything(reader)

    def test_ended_is_said_with_the_last_line(
        self, mixed: JournalWriter, open_reader: Open
    ) -> None:
        reader = open_reader()
        assert not reader.read(LogQuery(limit=10)).ended
        last = reader.read(LogQuery(limit=11))
        assert last.ended
        assert reader.read(LogQuery(after=last.next)).ended
        assert not reader.read(LogQuery(before="4.1")).ended

    def test_a_log_without_an_end_has_not_ended(
        self, journal: JournalWriter, open_reader: Open
    ) -> None:
        journal.output(b"a\n")
        reader = open_reader()
        page = reader.read(LogQuery())
        assert not page.ended
        assert not reader.read(LogQuery(tail=1)).ended
        journal.output(b"b\n")
        journal.end()
        more = reader.read(LogQuery(after=page.next))
        assert [f.message for f in more.frames] == ["b"]
        assert more.ended

    def test_a_line_number_finds_its_line(self, mixed: JournalWriter, open_reader: Open) -> None:
        assert messages(open_reader(), line=2, limit=2) == ["two", "Name? "]
        assert messages(open_reader(), line=6, limit=1) == ["Traceback"]
        assert messages(open_reader(), line=9, limit=1) == ["b"]
        assert messages(open_reader(), line=11) == []

    def test_filters_count_kept_lines(self, mixed: JournalWriter, open_reader: Open) -> None:
        stderr = frozenset({LogStream.STDERR})
        assert messages(open_reader(), streams=stderr, limit=3) == ["Traceback", "KeyError", "a"]
        assert messages(open_reader(), streams=stderr, tail=1) == ["b"]
        assert messages(open_reader(), levels=frozenset({LogLevel.WARN})) == ["a", "b"]
        assert messages(open_reader(), search="KEYERR") == ["KeyError"]
        assert messages(open_reader(), search="ada", tail=5)[0] == "Ada"
        assert messages(open_reader(), search="é") == []

    def test_search_goes_on_after_a_page(self, journal: JournalWriter, open_reader: Open) -> None:
        for i in range(50):
            journal.output(f"hit {i}\nmiss\nÜber\n".encode())
        found = []
        after = None
        while len(page := open_reader().read(LogQuery(search="hit", limit=7, after=after)).frames):
            found += [frame.message for frame in page]
            after = page[-1].cursor
        assert found == [f"hit {i}" for i in range(50)]
        assert messages(open_reader(), search="über", limit=2) == ["Über"] * 2

    @pytest.mark.parametrize("cursor", ["", "x", "1", "1.", "-1.0", "1.1.1", "99.1", "01.1", "٣.1"])
    def test_what_is_no_cursor_is_refused(
        self, mixed: JournalWriter, open_reader: Open, cursor: str
    ) -> None:
        for query in (LogQuery(after=cursor), LogQuery(before=cursor)):
            with pytest.raises(InvalidCursor):
                open_reader().read(query)

    def test_a_run_without_a_journal_reads_as_empty_and_appears(
        self, store: JournalStore, tmp_path: Path
    ) -> None:
        with store.open("later") as reader:
            assert reader.read(LogQuery()).frames == ()
            assert reader.read(LogQuery(tail=3)).frames == ()
            assert reader.size() == 0
            position = Position()
            assert reader.read_frames(position) == []
            assert reader.read_encoded(position) is None
            assert list(reader.iter_text()) == []
            JournalWriter(tmp_path, "later").output(b"here\n")
            assert messages(reader) == ["here"]
            assert reader.size() > 0

    def test_delete_removes_the_journal(
        self, mixed: JournalWriter, store: JournalStore, open_reader: Open
    ) -> None:
        store.delete("run")
        store.delete("run")
        store.delete("../run")
        assert not mixed.folder.exists()
        assert messages(open_reader()) == []


class TestEncoded:
    def test_it_is_what_log_frames_serialise_to(
        self, mixed: JournalWriter, open_reader: Open
    ) -> None:
        mixed.output(b'\x1b[0m\xff"\\,"\n' + b"y" * 70_000 + b"\nend without newline")
        expected = everything(open_reader())
        position = Position()
        batch = open_reader().read_encoded(position)
        assert batch is not None
        lines = batch.ndjson.splitlines()
        assert [json.loads(line) for line in lines] == [f.to_json() for f in expected]
        assert [LogFrame.model_validate_json(line) for line in lines] == expected
        events = batch.sse.decode().split("\n\n")[:-1]
        for event, line, frame in zip(events, lines, expected, strict=True):
            head, kind, data = event.split("\n")
            assert (head, kind) == (f"id: {frame.cursor}", "event: log")
            assert data == f"data: {line.decode()}"
        assert (batch.lines, batch.first) == (len(expected), expected[0].cursor)
        assert batch.last == expected[-1].cursor
        assert b"".join(open_reader().iter_ndjson()) == batch.ndjson

    def test_batches_are_bounded_and_go_on(self, journal: JournalWriter, open_reader: Open) -> None:
        for i in range(100):
            journal.output(b"%04d\n" % i * 100)
        reader, position = open_reader(), Position()
        batches = []
        while (batch := reader.read_encoded(position, limit_bytes=5_000)) is not None:
            batches.append(batch)
        assert max(batch.lines for batch in batches) <= 1_100
        assert sum(batch.lines for batch in batches) == 10_000
        joined = b"".join(batch.ndjson for batch in batches)
        assert joined == b"".join(open_reader().iter_ndjson())

    def test_a_batch_of_the_shortest_lines_is_bounded_as_well(
        self, journal: JournalWriter, open_reader: Open
    ) -> None:
        for _ in range(40):
            journal.output(b"y\n" * 2_000)
        reader, position = open_reader(), Position()
        count = 0
        while (batch := reader.read_encoded(position, limit_bytes=1 << 20)) is not None:
            assert len(batch.sse) + len(batch.ndjson) < (1 << 20) + 2_000 * 400
            count += batch.lines
        assert count == 80_000

    def test_every_cursor_resumes_with_the_next_line(
        self, mixed: JournalWriter, open_reader: Open
    ) -> None:
        frames = everything(open_reader())
        for frame, following in pairwise(frames):
            reader = open_reader()
            batch = reader.read_encoded(reader.position_after(frame.cursor))
            assert batch is not None
            assert batch.first == following.cursor
            assert LogFrame.model_validate_json(batch.ndjson.splitlines()[0]) == following

    def test_reading_stops_behind_a_frame_and_goes_on(
        self, mixed: JournalWriter, open_reader: Open
    ) -> None:
        reader, position = open_reader(), Position()
        parts = []
        for seq in range(1, mixed.seq + 1):
            batch = reader.read_encoded(position, through_seq=seq)
            assert position.seq == seq
            parts.append(b"" if batch is None else batch.ndjson)
            assert reader.read_encoded(position, through_seq=seq) is None
        assert b"".join(parts) == b"".join(open_reader().iter_ndjson())

    def test_live_reading_waits_for_whole_frames(
        self, journal: JournalWriter, open_reader: Open
    ) -> None:
        reader, position = open_reader(), Position()
        assert reader.read_encoded(position) is None
        journal.raw(b"hello\n")
        whole = json.dumps({"v": 1, "seq": 1, "t": 1.0, "line": 0, "kind": "output",
                            "stream": "stdout", "segment": 0, "offset": 0, "length": 6,
                            "lines": 1, "first_line": 1})  # fmt: skip
        journal.text(whole[:40])
        assert reader.read_encoded(position) is None
        assert reader.read_frames(Position()) == []
        journal.text(whole[40:] + "\n")
        batch = reader.read_encoded(position)
        assert batch is not None
        assert (batch.first, batch.lines) == ("1.1", 1)
        assert reader.read_encoded(position) is None


class TestFrames:
    def test_frames_are_given_once_in_order(self, mixed: JournalWriter, open_reader: Open) -> None:
        reader, position = open_reader(), Position()
        seen = []
        while frames := reader.read_frames(position, limit_bytes=200):
            assert len(frames) < 5
            seen += frames
        assert [frame["seq"] for frame in seen] == list(range(1, mixed.seq + 1))
        assert position.line == 10
        mixed.frame("usage", rss_mb=2)
        assert [f["kind"] for f in reader.read_frames(position)] == ["usage"]
        assert "bad" not in position.extra


class TestKilledSupervisor:
    def test_captured_bytes_without_a_frame_are_the_last_lines(
        self, journal: JournalWriter, open_reader: Open
    ) -> None:
        journal.output(b"one\ntw")
        journal.raw(b"o\nthree\nfo")
        journal.text('{"v": 1, "seq": 2, "t"')
        assert messages(open_reader()) == ["one", "tw"]
        reader = open_reader(complete=True)
        frames = everything(reader)
        assert [(f.line, f.message, f.continues, f.partial) for f in frames] == [
            (1, "one", False, False),
            (2, "tw", False, True),
            (2, "o", True, False),
            (3, "three", False, False),
            (4, "fo", False, True),
        ]
        assert frames[-1].metadata == {"recovered": True}
        assert everything(reader, 1) == frames
        assert list(reader.read(LogQuery(tail=3)).frames) == frames[2:]
        assert list(reader.read(LogQuery(before=frames[4].cursor)).frames) == frames[:4]
        assert list(reader.read(LogQuery(before=frames[2].cursor)).frames) == frames[:2]
        assert reader.read(LogQuery()).ended
        assert b"".join(reader.iter_text()) == b"one\ntwo\nthree\nfo"
        batch = reader.read_encoded(Position())
        assert batch is not None
        assert batch.lines == 5

    def test_what_read_a_live_run_goes_on_when_it_has_ended(
        self, journal: JournalWriter, open_reader: Open
    ) -> None:
        journal.output(b"one\ntw")
        live, position = open_reader(), Position()
        batch = live.read_encoded(position)
        assert batch is not None
        frames_position = Position()
        live.read_frames(frames_position)
        cursor = live.read(LogQuery()).next
        journal.raw(b"o\nthree\nfo")
        assert live.read_encoded(position) is None
        ended = open_reader(complete=True)
        rest = ended.read_encoded(position)
        assert rest is not None
        assert (batch.last, rest.first) == ("1.2", "2.1")
        assert batch.ndjson + rest.ndjson == b"".join(ended.iter_ndjson())
        assert ended.read_encoded(position) is None
        assert ended.read_frames(frames_position) == []
        page = ended.read(LogQuery(after=cursor))
        assert [frame.message for frame in page.frames] == ["o", "three", "fo"]
        assert page.ended

    def test_a_cursor_of_a_recovered_line_is_known_to_other_readers(
        self, journal: JournalWriter, open_reader: Open
    ) -> None:
        journal.output(b"one\ntw")
        journal.raw(b"o\nthree\nfo")
        frames = everything(open_reader(complete=True))
        for index, frame in enumerate(frames):
            reader = open_reader(complete=True)
            assert list(reader.read(LogQuery(after=frame.cursor)).frames) == frames[index + 1 :]
            batch = reader.read_encoded(reader.position_after(frame.cursor))
            assert (batch.lines if batch else 0) == len(frames) - index - 1

    def test_much_that_was_never_framed_is_given_in_pieces(
        self, journal: JournalWriter, open_reader: Open
    ) -> None:
        journal.output(b"one\n")
        journal.raw(b"y\n" * 100_000 + b"x" * 100_000 + b"\nend")
        reader, position = open_reader(complete=True), Position()
        batches = []
        while (batch := reader.read_encoded(position)) is not None:
            batches.append(batch.lines)
        assert sum(batches) == 1 + 100_000 + 2
        assert max(batches) <= 32 * 1024 + 1
        assert b"".join(reader.iter_text()).endswith(b"x" * 100_000 + b"\nend")

    def test_nothing_is_recovered_after_an_end(
        self, mixed: JournalWriter, open_reader: Open
    ) -> None:
        mixed.raw(b"from a leftover process\n")
        assert everything(open_reader(complete=True)) == everything(open_reader())


class TestRemovedSegments:
    def test_one_gap_stands_for_all_consecutive_ones(
        self, tmp_path: Path, open_reader: Open
    ) -> None:
        journal = JournalWriter(tmp_path, "capped", segment_bytes=60)
        for i in range(40):
            journal.output(b"line %04d\n" % i)
            if i % 3 == 0:
                journal.frame("usage", rss_mb=1)
        journal.frame("gap", bytes=180, gap_lines=18, reason="cap", segments=[2, 4])
        journal.end()
        for segment in (2, 3, 4):
            (journal.folder / f"output.{segment:03d}").unlink()
        reader = open_reader("capped")
        frames = everything(reader)
        gap = frames[12]
        assert gap.line == 13
        why = "the log is over its cap"
        assert gap.message == f"180 bytes (18 lines) of output were left out: {why}"
        assert [f.message for f in frames].count(gap.message) == 1
        assert frames[13].line == 31
        assert len(frames) == 12 + 1 + 10
        assert everything(reader, 1) == frames
        assert list(reader.read(LogQuery(tail=100)).frames) == frames
        assert (
            list(reader.read(LogQuery(before=frames[14].cursor, limit=2)).frames) == frames[12:14]
        )
        assert list(reader.read(LogQuery(before=gap.cursor)).frames) == frames[:12]
        batch = reader.read_encoded(reader.position_after(gap.cursor))
        assert batch is not None
        assert batch.first == frames[13].cursor
        assert b"line 0011\n\n[output is missing here]\nline 0030\n" in b"".join(reader.iter_text())


def test_a_journal_of_the_runtime_is_read_back(tmp_path: Path) -> None:
    folder = tmp_path / "run" / "journal"
    folder.mkdir(parents=True)
    writer = FrameWriter(str(folder), 1 << 20)
    writer.write("system", level="info", message="hello")
    writer.write("record", stream="stderr", level="warn", logger="x", message="two\nlines")
    writer.write("call_failed", call=1, purpose="answer", cancelled=True, latency_ms=2)
    writer.write_end(exit_code=0, signal=None, reason="exit_code", started=True)
    writer.close()
    with FileJournalStore(tmp_path).open("run") as reader:
        page = reader.read(LogQuery())
        position = Position()
        kinds = [frame["kind"] for frame in reader.read_frames(position)]
    assert [f.line for f in page.frames] == [1, 2, 3, 4]
    assert page.ended
    assert kinds == ["system", "record", "call_failed", "end"]
    assert "bad" not in position.extra


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    chunks=st.lists(
        st.tuples(st.sampled_from(["stdout", "stderr", "event"]),
                  st.lists(st.sampled_from([b"a", b"\n", b"\xc3\xa9", b"\r"]), min_size=1,
                           max_size=6)),
        max_size=12,
    ),
    limit=st.integers(1, 4),
)  # fmt: skip
def test_all_ways_to_read_agree(
    tmp_path_factory: pytest.TempPathFactory,
    chunks: list[tuple[str, list[bytes]]],
    limit: int,
) -> None:
    root = tmp_path_factory.mktemp("journal")
    journal = JournalWriter(root)
    written = b""
    for stream, parts in chunks:
        if stream == "event":
            journal.frame("system", level="info", message="m", lines=1)
        else:
            journal.output(b"".join(parts), stream)
            written += b"".join(parts)
    with FileJournalStore(root).open("run") as reader:
        frames = everything(reader)
        assert everything(reader, limit) == frames
        backwards: list[LogFrame] = []
        page = reader.read(LogQuery(tail=limit))
        while page.frames:
            backwards = [*page.frames, *backwards]
            page = reader.read(LogQuery(before=page.frames[0].cursor, limit=limit))
        assert backwards == frames
        parsed = [
            LogFrame.model_validate_json(line)
            for chunk in reader.iter_ndjson()
            for line in chunk.splitlines()
        ]
        assert parsed == frames
        assert b"".join(reader.iter_text()) == written
        begun = [f.line for f in frames if not f.continues]
        assert begun == list(range(1, journal.line + 1))


def test_closing_twice_leaves_no_descriptor(mixed: JournalWriter, store: JournalStore) -> None:
    before = _descriptors()
    for _ in range(20):
        reader = store.open("run")
        reader.read(LogQuery())
        reader.close()
        reader.close()
    assert _descriptors() <= before


def _descriptors() -> int:
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.exists() else 0


def journal_bytes(journal: JournalWriter) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(journal.folder.glob("output.*")))
