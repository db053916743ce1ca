"""What the last frames of a journal say of a program's end, in the words of the record.

Frames are claims of the run's own side and may hold anything: every value is checked here.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from mellea_jupyter import clock
from mellea_jupyter.executors.base import Liveness
from mellea_jupyter.models.run import ErrorDetails, KeptKernel, Run, StatusReason

MESSAGE_LIMIT = 2000
TRACE_LIMIT = 20_000
LOST_MESSAGE = (
    "The process that supervised the run is gone and left no word on how the program ended. "
    "What was left of the program has been stopped."
)

_BUDGET_ERROR: Final = re.compile(r"(mellea_(runtime|jupyter\.runtime)\..*)?BudgetExceeded")
"""In a notebook an exception's name comes without its module."""
_MAX_CAUSES: Final = 20
_OWN_ENDS: Final = frozenset({"exit_code", "signal"})
_ASKED: Final = frozenset({StatusReason.USER, StatusReason.OPERATOR, StatusReason.ADMIN})
_KILLED_OR_TOLD: Final = frozenset({StatusReason.TERMINATED})
_SIGNALLED: Final = 128


def text(value: object, limit: int = MESSAGE_LIMIT) -> str | None:
    """A string cut to `limit`, or None for anything else."""
    if not isinstance(value, str) or not value:
        return None
    return value if len(value) <= limit else value[: limit - 1] + "…"


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def frame_time(frame: Mapping[str, Any]) -> datetime:
    """When a frame was written; now, where it says nonsense."""
    seconds = _number(frame.get("t"))
    try:
        return clock.from_unix(seconds) if seconds is not None else clock.now()
    except (OverflowError, OSError, ValueError):
        return clock.now()


def progress(frame: Mapping[str, Any]) -> dict[str, Any] | None:
    """`{done, total, text}` of a progress frame, and `unit` where its text is of the counting."""
    done, total = _number(frame.get("done")), _number(frame.get("total"))
    if done is None:
        return None
    said = {"done": done, "total": total, "text": text(frame.get("text"), 200)}
    unit = text(frame.get("unit"), 20)
    return said if unit is None else {**said, "unit": unit}


@dataclass(frozen=True, slots=True)
class Ending:
    """How a program ended: `stopped` is None when it ended by itself."""

    exit_code: int | None
    stopped: str | None
    execution_ms: int
    message: str | None

    @classmethod
    def of(cls, end: Mapping[str, Any], liveness: Liveness) -> Ending:
        """From the end frame, overruled by the executor's word where it has one."""
        code = _number(end.get("exit_code"))
        exit_code = liveness.exit_code if liveness.exit_code is not None else code
        said = text(end.get("reason"), 50)
        reason = liveness.reason or said or liveness.otherwise or "exit_code"
        return cls(
            exit_code=None if exit_code is None else int(exit_code),
            stopped=None if reason in _OWN_ENDS else reason,
            execution_ms=max(0, round(_number(end.get("execution_ms")) or 0)),
            message=liveness.message or text(end.get("message")),
        )


def vetted(
    end: Mapping[str, Any] | None, liveness: Liveness, *, asked: str | None
) -> tuple[dict[str, Any], Liveness]:
    """An end frame that the program may have written, and the executor's word, made to agree.

    The executor's exit code counts; the frame's is kept where it says the same (a shell's 128 + N
    is signal N). That somebody asked for a stop is believed when somebody did, and that memory ran
    out when the executor says so.

    Args:
        end: the frame; None when there is none.
        liveness: of a run that is not alive.
        asked: the recorded reason of a stop request.
    """
    frame = dict(end or {})
    claimed = _number(frame.get("exit_code"))
    code = liveness.exit_code
    if code is not None:
        agrees = claimed is not None and code == (claimed if claimed >= 0 else _SIGNALLED - claimed)
        code = int(claimed) if agrees and claimed is not None else _as_exit_code(code)
    reason = text(frame.get("reason"), 50)
    if reason in _ASKED:
        reason = asked or liveness.otherwise
    elif reason in _KILLED_OR_TOLD or reason is None:
        reason = liveness.otherwise or (asked if end is None else reason)
    elif reason == StatusReason.OUT_OF_MEMORY:
        reason = None
    frame["reason"] = reason
    return frame, liveness.model_copy(update={"exit_code": code})


def _as_exit_code(status: int) -> int:
    """The exit code of a shell's status, as the record has it: `-N` for signal N."""
    return _SIGNALLED - status if status > _SIGNALLED else status


def kept_kernel(end: Mapping[str, Any] | None) -> KeptKernel | None:
    """The kernel that an end frame says is kept."""
    try:
        kept = dict((end or {})["kernel"])
        until = clock.from_unix(float(kept["until"]))
        return KeptKernel(id=str(uuid.UUID(kept["id"])), name=kept["name"][:200], until=until)
    except (KeyError, TypeError, ValueError, OverflowError, OSError, AttributeError):
        return None


def is_over_budget(ending: Ending, exception: Mapping[str, Any], *, refused: int) -> bool:
    """Whether the program ended because the runtime refused it another call.

    Args:
        ending: how it ended.
        exception: the frame of what it raised; causes and members of a group count as well.
        refused: how many calls were refused.
    """
    if ending.stopped is not None or not ending.exit_code or not refused:
        return False
    return any(_BUDGET_ERROR.fullmatch(name) for name in _exception_types(exception))


def _exception_types(exception: Mapping[str, Any]) -> Iterator[str]:
    """Yields the types of an exception, of the members of a group, and of its causes."""
    current: object = exception
    for _ in range(_MAX_CAUSES):
        if not isinstance(current, Mapping):
            return
        leaves = current.get("leaves")
        members = leaves if isinstance(leaves, list) else []
        for each in (current, *(leaf for leaf in members if isinstance(leaf, Mapping))):
            yield text(each.get("type"), 300) or ""
        current = current.get("cause")


def error_details(exception: Mapping[str, Any]) -> ErrorDetails | None:
    """The record of an `exception` frame."""
    kind = text(exception.get("type"), 300)
    if kind is None:
        return None
    return ErrorDetails(
        type=kind,
        message=text(exception.get("message")) or "",
        stack_trace=_stack_trace(exception.get("frames")),
    )


def _stack_trace(frames: object) -> str | None:
    if not isinstance(frames, list):
        return None
    lines = []
    for frame in frames:
        if not isinstance(frame, dict):
            continue
        lines.append(f'  File "{frame.get("file")}", line {frame.get("line")}, '
                     f"in {frame.get('function')}")  # fmt: skip
        if source := text(frame.get("text"), 500):
            lines.append(f"    {source.strip()}")
    return text("\n".join(lines), TRACE_LIMIT)


def sentence(run: Run, ending: Ending, error: ErrorDetails | None) -> str | None:
    """One sentence on why the run did not succeed; None when it did, or was cancelled."""
    if ending.stopped is not None:
        return _stopped_sentence(run, ending, error)
    if ending.exit_code == 0:
        unmet = run.metrics.loops_exhausted if run.config.strict_requirements else 0
        return f"{unmet} sampling loop(s) ended with requirements not met." if unmet else None
    if error is not None:
        first = error.message.strip().partition("\n")[0]
        return f"{error.type}: {first}" if first else error.type
    if ending.exit_code is None:
        return ending.message or "The program ended, nobody knows how."
    if ending.exit_code < 0:
        return f"The program was killed by signal {-ending.exit_code}."
    return f"The program ended with exit code {ending.exit_code}."


def _stopped_sentence(run: Run, ending: Ending, error: ErrorDetails | None) -> str | None:
    match ending.stopped:
        case StatusReason.USER | StatusReason.OPERATOR | StatusReason.ADMIN:
            return None
        case StatusReason.TIMEOUT:
            return f"The run took longer than its limit of {run.config.timeout_seconds:g} s."
        case StatusReason.OUT_OF_MEMORY:
            default = "The run used more memory than its environment allows."
        case StatusReason.LAUNCH_FAILED:
            default = "The program could not be started."
        case StatusReason.TERMINATED:
            default = "The run's supervisor was told to end, as when the machine shuts down."
        case StatusReason.ENGINE_RESTARTED:
            default = "The container engine was restarted, which ended the run's container."
        case StatusReason.BUDGET_EXCEEDED if error is not None:
            default = error.message
        case reason:
            default = f"The run was stopped ({reason})."
    return ending.message or default
