"""What is known of a failed run, gathered for the classifier.

Frames come from the run's own side and may hold anything: every value is checked here, and
nothing here raises.
"""

from __future__ import annotations

import builtins
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from mellea_jupyter.models.failures import SourceLocation

MAX_TEXT = 8000
MAX_DEPTH = 8
MAX_FRAMES = 60


@dataclass(frozen=True, slots=True)
class Frame:
    """One line of a traceback."""

    file: str
    line: int
    function: str
    text: str
    is_user: bool


@dataclass(frozen=True, slots=True)
class Raised:
    """One exception of a chain. `type` and `bases` are module-qualified, builtins are bare."""

    type: str
    message: str = ""
    bases: tuple[str, ...] = ()
    code: str | None = None
    status: int | None = None
    errno: int | None = None
    frames: tuple[Frame, ...] = ()
    cause: Raised | None = None
    is_implicit: bool = False
    """It is the cause of another one that was raised while it was handled."""
    leaves: tuple[Raised, ...] = ()

    @classmethod
    def of(cls, fields: object, depth: int = 0) -> Raised | None:
        """From an `exception` frame, the `cause` or leaf of one, or a failed call's `error`."""
        if not isinstance(fields, Mapping) or depth > MAX_DEPTH:
            return None
        kind = _text(fields.get("type"))
        if not kind:
            return None
        code = fields.get("code")
        bases = tuple(each for each in _list(fields.get("bases")) if isinstance(each, str))
        return cls(
            type=kind[:300],
            message=_text(fields.get("message")),
            bases=bases or builtin_bases(kind),
            code=str(code)[:200] if isinstance(code, str | int) else None,
            status=_integer(fields.get("status")),
            errno=_integer(fields.get("errno")),
            frames=tuple(_frames(fields.get("frames"))),
            cause=cls.of(fields.get("cause"), depth + 1),
            is_implicit=fields.get("implicit") is True,
            leaves=tuple(
                leaf
                for each in _list(fields.get("leaves"))
                if (leaf := cls.of(each, depth + 1)) is not None
            ),
        )

    @property
    def names(self) -> tuple[str, ...]:
        """Its type and the bases of that."""
        return (self.type, *self.bases)

    @property
    def user_frame(self) -> Frame | None:
        """The innermost line of the user's own code."""
        return next((frame for frame in reversed(self.frames) if frame.is_user), None)

    @property
    def is_raised_by_user(self) -> bool:
        """Whether the user's own code raised it, rather than a library that it called."""
        return bool(self.frames) and self.frames[-1].is_user

    def passed(self, folder: str) -> bool:
        """Whether a library's folder is on the way from the user's last line to the error."""
        for frame in reversed(self.frames):
            if frame.is_user:
                return False
            if f"/{folder}/" in frame.file:
                return True
        return False


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that is known of a failed run.

    Attributes:
        phase: the status in which it failed.
        reason: its `status_reason`.
        executor: where it ran, `process`, `docker` or `kernel`.
        message: the one sentence that was recorded.
        exit_code: the program's, or `-N` for signal N.
        exception: what ended the program.
        failed_call: the error of the last LLM call, where that one failed.
        calls: LLM calls it made.
        cancelled_calls: those of them that were given up before they were answered.
        error_output: the last lines of its stderr.
        peak_memory_mb: highest memory of its processes.
        memory_limit_mb: what its environment allows.
        asset: the program's name; a failure is compared with those of the same program.
        model: the model that was asked for.
        timeout_seconds: the longest time it was given.
        max_cost_usd: its budget in US dollars, as it was in the end.
        max_llm_calls: its budget in calls, as it was in the end.
    """

    phase: str
    reason: str | None
    executor: str = "process"
    message: str = ""
    exit_code: int | None = None
    exception: Raised | None = None
    failed_call: Raised | None = None
    calls: int = 0
    cancelled_calls: int = 0
    error_output: tuple[str, ...] = ()
    peak_memory_mb: float = 0.0
    memory_limit_mb: float | None = None
    asset: str = ""
    model: str | None = None
    timeout_seconds: float | None = None
    max_cost_usd: Decimal | None = None
    max_llm_calls: int | None = None


def builtin_bases(name: str) -> tuple[str, ...]:
    """The bases of one of Python's own exceptions, below `Exception`; none for others."""
    found = getattr(builtins, name, None)
    if not (isinstance(found, type) and issubclass(found, BaseException)):
        return ()
    common = (Exception, BaseException, object)
    return tuple(base.__name__ for base in found.__mro__[1:] if base not in common)


def location_of(frame: Frame | None) -> SourceLocation | None:
    """A traceback's line as the record has it."""
    if frame is None:
        return None
    return SourceLocation(
        file=frame.file, line=frame.line, function=frame.function, text=frame.text.strip()[:500]
    )


def _frames(value: object) -> Iterator[Frame]:
    for each in _list(value)[-MAX_FRAMES:]:
        if isinstance(each, Mapping):
            yield Frame(
                file=_text(each.get("file"))[:1000],
                line=_integer(each.get("line")) or 0,
                function=_text(each.get("function"))[:300],
                text=_text(each.get("text")),
                is_user=each.get("user") is True,
            )


def _list(value: object) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else ()


def _text(value: object) -> str:
    return value[:MAX_TEXT] if isinstance(value, str) else ""


def _integer(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
