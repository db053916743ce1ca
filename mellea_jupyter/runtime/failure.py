"""Describe an exception as the fields of an `exception` frame."""

from __future__ import annotations

import itertools
import os
import sysconfig
import traceback
from types import TracebackType
from typing import Any, Dict, Iterator, List, Optional, Sequence

MAX_FRAMES = 40
MAX_CAUSE_FRAMES = 8
MAX_CAUSES = 5
MAX_LEAVES = 10
MAX_MESSAGE_CHARS = 8000
MAX_BASES = 8
_COMMON_BASES = (Exception, BaseException, object)

RUNTIME_DIR = os.path.dirname(os.path.abspath(__file__))


def own_frames_removed(trace: Optional[TracebackType]) -> Optional[TracebackType]:
    """The traceback as plain python would have it: without the runtime's frames at its top."""
    while trace is not None and _is_below(trace.tb_frame.f_code.co_filename, RUNTIME_DIR):
        trace = trace.tb_next
    return trace


def describe(error: BaseException, user_dirs: Sequence[str]) -> Dict[str, Any]:
    """The fields of an `exception` frame.

    Args:
        error: What ended the program.
        user_dirs: Folders of the user's own code. The first is where the program's source lies;
            files in it are named relative to it.
    """
    fields = _describe_one(error, user_dirs, MAX_FRAMES)
    if hasattr(error, "exceptions"):
        leaves = itertools.islice(_leaves(error), MAX_LEAVES)
        fields["leaves"] = [_describe_one(leaf, user_dirs, MAX_CAUSE_FRAMES) for leaf in leaves]
    nested = fields
    seen = {id(error)}
    for _ in range(MAX_CAUSES):
        cause = _cause_of(error)
        if cause is None or id(cause) in seen:
            break
        seen.add(id(cause))
        nested["cause"] = _describe_one(cause, user_dirs, MAX_CAUSE_FRAMES)
        if error.__cause__ is None:
            nested["cause"]["implicit"] = True  # raised while that one was handled, not from it
        nested, error = nested["cause"], cause
    return fields


def _describe_one(error: BaseException, user_dirs: Sequence[str], limit: int) -> Dict[str, Any]:
    fields = _headline(error)
    fields["frames"] = _frames(error, user_dirs, limit)
    return fields


def _headline(error: BaseException) -> Dict[str, Any]:
    """Type, its bases, message, and what libraries attach: `code`, HTTP `status`, `errno`."""
    cls = type(error)
    fields: Dict[str, Any] = {"type": _qualified(cls), "message": _message(error)}
    bases = [_qualified(base) for base in cls.__mro__[1:] if base not in _COMMON_BASES]
    if bases:
        fields["bases"] = bases[:MAX_BASES]
    code = _attribute(error, "code")
    if isinstance(code, (str, int)) and not isinstance(error, SystemExit):
        fields["code"] = code
    status = _status_of(error)
    if status is not None:
        fields["status"] = status
    number = _attribute(error, "errno")
    if isinstance(error, OSError) and isinstance(number, int):
        fields["errno"] = number
    return fields


def _qualified(cls: type) -> str:
    return (
        cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"
    )


def _status_of(error: BaseException) -> Optional[int]:
    """The HTTP status that an exception of a client library tells of, whichever way it does."""
    for owner in (error, _attribute(error, "response")):
        for name in ("status_code", "status"):
            status = _attribute(owner, name)
            if isinstance(status, int) and not isinstance(status, bool):
                return status
    return None


def _attribute(owner: object, name: str) -> Any:
    try:
        return getattr(owner, name, None)
    except Exception:  # a property of the program's
        return None


def _message(error: BaseException) -> str:
    try:
        return str(error)[:MAX_MESSAGE_CHARS]
    except Exception as broken:
        return f"<its text cannot be made: {type(broken).__name__}>"


def _cause_of(error: BaseException) -> Optional[BaseException]:
    if error.__cause__ is not None:
        return error.__cause__
    return None if error.__suppress_context__ else error.__context__


def _leaves(error: BaseException) -> Iterator[BaseException]:
    for inner in getattr(error, "exceptions", ()):
        if hasattr(inner, "exceptions"):
            yield from _leaves(inner)
        else:
            yield inner


def _frames(error: BaseException, user_dirs: Sequence[str], limit: int) -> List[Dict[str, Any]]:
    """Outermost first; of a long traceback the innermost part, and the outermost few."""
    entries = list(traceback.extract_tb(own_frames_removed(error.__traceback__)))
    if isinstance(error, SyntaxError) and error.filename:
        place = traceback.FrameSummary(
            error.filename, error.lineno or 0, "<module>", line=(error.text or "").strip()
        )
        entries.append(place)
    if len(entries) > limit:
        entries = entries[: limit // 4] + entries[len(entries) - (limit - limit // 4) :]
    return [
        {
            "file": _shown_path(entry.filename, user_dirs),
            "line": entry.lineno,
            "function": entry.name,
            "text": (entry.line or "")[:500],
            "user": is_user_code(entry.filename, user_dirs),
        }
        for entry in entries
    ]


def is_user_code(filename: str, user_dirs: Sequence[str]) -> bool:
    """Whether a file is the user's own: in one of the folders and not an installed library."""
    path = os.path.abspath(filename)
    if os.sep + "site-packages" + os.sep in path or _is_below(path, RUNTIME_DIR):
        return False
    if _is_below(path, sysconfig.get_path("stdlib")):
        return False
    return any(_is_below(path, folder) for folder in user_dirs)


def _shown_path(filename: str, user_dirs: Sequence[str]) -> str:
    if user_dirs and _is_below(filename, user_dirs[0]):
        return os.path.relpath(filename, user_dirs[0])
    return filename


def _is_below(path: str, folder: str) -> bool:
    return path.startswith(folder.rstrip(os.sep) + os.sep)
