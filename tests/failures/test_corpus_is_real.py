"""What the corpus holds still happens: a sample is performed again on a real server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from .cases import CASES
from .record import Recorder, file_of
from .stage import Stage

SAMPLE = (
    "unclosed-bracket",
    "key-error",
    "own-exception-from-key-error",
    "group-of-own-errors",
    "printed-traceback-then-exit",
    "exit-code-only",
    "segfault",
    "missing-package",
    "wrapped-validation",
    "device-full",
    "timeout-sleeping",
    "requests-refused",
    "openai-401",
    "openai-404",
    "openai-429-group",
    "openai-quota-caught",
    "ollama-500",
    "generative-not-a-number",
)


@pytest.fixture(scope="module")
def recorder() -> Iterator[Recorder]:
    with Stage(()) as stage, Recorder(stage) as recorder:
        yield recorder


def shape_of(recorded: dict[str, Any]) -> dict[str, Any]:
    """What of a record must not change: how it ended, what was raised, and where."""
    run, exception, end = recorded["run"], recorded["exception"], recorded["end"]
    return {
        "failed_in": recorded["failed_in"],
        "status_reason": run["status_reason"],
        "exit_code": run["exit_code"],
        "end": end["reason"],
        "exception": exception and _shape_of_exception(exception),
        # Of calls made side by side, chance decides which are cancelled when the first one fails.
        "failed_calls": {
            call["error"]["type"] for call in recorded["failed_calls"] if not call["cancelled"]
        },
        "has_stderr": bool(recorded["stderr"]),
    }


def _shape_of_exception(exception: dict[str, Any]) -> dict[str, Any]:
    cause = exception.get("cause")
    return {
        "type": exception["type"],
        "code": exception.get("code"),
        "status": exception.get("status"),
        "user_functions": [frame["function"] for frame in exception["frames"] if frame["user"]],
        "leaves": {(leaf["type"], leaf.get("status")) for leaf in exception.get("leaves", ())},
        "cause": cause and _shape_of_exception(cause),
    }


@pytest.mark.parametrize("name", SAMPLE)
def test_a_case_fails_today_as_it_was_recorded(recorder: Recorder, name: str) -> None:
    case = CASES[name]
    kept = json.loads(file_of(case).read_text("utf-8"))
    assert shape_of(recorder.record(case)) == shape_of(kept)
