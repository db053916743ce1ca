"""The recorded journal reads as it was recorded; the log viewer's tests rely on the same file."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mellea_jupyter.stores.journals.base import LogQuery
from mellea_jupyter.stores.journals.file import FileJournalStore
from tests.recorded import FOLDER

RECORDED = [json.loads(line) for line in (FOLDER / "log.ndjson").read_text("utf-8").splitlines()]


@pytest.mark.parametrize("limit", [1, 7, 1000])
def test_the_recorded_journal_gives_the_recorded_log(limit: int) -> None:
    found: list[dict[str, Any]] = []
    after: str | None = None
    with FileJournalStore(FOLDER).open("run", complete=True) as reader:
        while True:
            page = reader.read(LogQuery(after=after, limit=limit))
            found += [frame.model_dump(mode="json") for frame in page.frames]
            if not page.frames:
                break
            after = page.next
    assert found == RECORDED


def test_the_recording_holds_what_makes_a_log_hard_to_show() -> None:
    assert {frame["stream"] for frame in RECORDED} == {"stdout", "stderr", "system"}
    assert {"info", "warn", "error"} <= {frame["level"] for frame in RECORDED}
    assert any(frame["continues"] for frame in RECORDED)
    assert any("\x1b[" in frame["message"] for frame in RECORDED)
    assert any("\r" in frame["message"] for frame in RECORDED)
    assert any(frame["metadata"] for frame in RECORDED)
