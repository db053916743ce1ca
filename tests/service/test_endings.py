"""What is believed of an end frame that the program could have written."""

from __future__ import annotations

from typing import Any

import pytest

from mellea_jupyter.executors.base import Liveness
from mellea_jupyter.service.endings import Ending, vetted

CASES: dict[str, tuple[dict[str, Any] | None, dict[str, Any], str | None, int | None, str | None]]
CASES = {
    # frame, the executor's word, stop asked for -> exit code, stopped
    "they agree": ({"exit_code": 3, "reason": "exit_code"}, {"exit_code": 3}, None, 3, None),
    "a signal": ({"exit_code": -11, "reason": "signal"}, {"exit_code": 139}, None, -11, None),
    "143 is no signal": ({"exit_code": 143, "reason": "exit_code"}, {"exit_code": 143}, None, 143,
                         None),
    "success is a lie": ({"exit_code": 0, "reason": "exit_code"}, {"exit_code": 7}, None, 7, None),
    "no frame": (None, {"exit_code": 137}, None, -9, None),
    "nobody asked": ({"exit_code": 0, "reason": "user"}, {"exit_code": 7}, None, 7, None),
    "somebody asked": ({"exit_code": 0, "reason": "user"}, {"exit_code": 0}, "admin", 0, "admin"),
    "killed, frame lost": (None, {"exit_code": 137}, "user", -9, "user"),
    "ended before the stop": ({"exit_code": 0, "reason": "exit_code"}, {"exit_code": 0}, "user", 0,
                              None),
    "memory, says the frame": ({"exit_code": -9, "reason": "out_of_memory"}, {"exit_code": 137},
                               None, -9, None),
    "memory, says the engine": ({"exit_code": -9, "reason": "signal"},
                                {"exit_code": 137, "reason": "out_of_memory"}, None, -9,
                                "out_of_memory"),
    "engine restarted": ({"exit_code": -15, "reason": "terminated"},
                         {"exit_code": 143, "otherwise": "engine_restarted"}, None, -15,
                         "engine_restarted"),
    "engine restarted, own end": ({"exit_code": 4, "reason": "exit_code"},
                                  {"exit_code": 4, "otherwise": "engine_restarted"}, None, 4, None),
    "timeout": ({"exit_code": -15, "reason": "timeout"}, {"exit_code": 143}, None, -15, "timeout"),
    "container gone": ({"exit_code": 5, "reason": "exit_code"}, {}, None, 5, None),
    "nonsense": ({"exit_code": "x", "reason": ["y"]}, {"exit_code": 1}, None, 1, None),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_frame_counts_as_far_as_the_executor_agrees(name: str) -> None:
    frame, word, asked, exit_code, stopped = CASES[name]
    end, liveness = vetted(frame, Liveness(alive=False, **word), asked=asked)
    ending = Ending.of(end, liveness)
    assert (ending.exit_code, ending.stopped) == (exit_code, stopped)
