"""Says why a run failed, from what is known of it. Pure: no I/O, no clock.

The order of evidence: the phase it failed in, what the executor and the exit code say, the
exception with its causes, and only then words in its output. Each step answers only what it knows
better than those after it.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from hashlib import blake2b
from typing import Final

from mellea_jupyter.failures.evidence import Evidence, Frame, Raised, location_of
from mellea_jupyter.failures.exceptions import Finding, examine, headline
from mellea_jupyter.failures.suggestions import advise
from mellea_jupyter.models.failures import ErrorClassification
from mellea_jupyter.models.failures import FailureType as T
from mellea_jupyter.models.run import RunStatus, StatusReason

MAX_TRACE = 20_000
SURE = 0.7
"""What is less sure of an exception alone gives way to what its causes say."""
NEAR_LIMIT = 0.9
"""A program that was killed while it used so much of its memory limit is believed to be over it."""

_BEFORE_PROGRAM: Final = frozenset(
    {RunStatus.CREATED, RunStatus.QUEUED, RunStatus.PULLING_IMAGE, RunStatus.STARTING}
)
_BY_REASON: Final = {
    StatusReason.TIMEOUT: T.TIMEOUT,
    StatusReason.OUT_OF_MEMORY: T.OUT_OF_MEMORY,
    StatusReason.BUDGET_EXCEEDED: T.BUDGET_EXCEEDED,
    StatusReason.REQUIREMENTS_UNMET: T.REQUIREMENTS_UNMET,
    StatusReason.QUOTA_EXCEEDED: T.STORAGE_ERROR,
    StatusReason.LOST: T.LOST,
    StatusReason.SERVER_STOPPED: T.SERVER_STOPPED,
    StatusReason.TERMINATED: T.SERVER_STOPPED,
    StatusReason.ENGINE_RESTARTED: T.ENGINE_ERROR,
    StatusReason.ENVIRONMENT_UNAVAILABLE: T.ENVIRONMENT_UNAVAILABLE,
    "kernel_died": T.KERNEL_DIED,
}
_NETWORK: Final = re.compile(
    r"connection refused|connection reset|no such host|timed? ?out|timeout|unreachable|dial tcp"
    r"|name resolution|name or service|tls|x509|certificate|EOF|server misbehaving"
    r"|could not be reached|does not answer",
    re.IGNORECASE,
)
_STORAGE: Final = re.compile(
    r"no space left|disk (is )?full|disk quota|read-only file system", re.IGNORECASE
)
_PERMISSION: Final = re.compile(
    r"permission denied|not permitted|access denied|forbidden|privileges", re.IGNORECASE
)
_OBJECT_STORE: Final = re.compile(r"\b(s3|gs|az|https?)://|object store|bucket", re.IGNORECASE)
_ENGINE: Final = re.compile(r"docker|container|engine|daemon|OCI runtime", re.IGNORECASE)
_NOT_THERE: Final = re.compile(
    r"executable file not found|no such file or directory|not found in \$PATH|exec format error"
    r"|does not start|interpreter|no python",
    re.IGNORECASE,
)

SIGKILL, SIGXCPU, SIGXFSZ = 9, 24, 25
_CRASHES: Final = {4: "SIGILL", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE", 11: "SIGSEGV"}
_SHELL_SIGNAL: Final = 128

_LAST_LINE: Final = re.compile(
    r"^(?P<type>[A-Za-z_][\w.]*(?:Error|Exception|Warning|Interrupt|Exit|Failure|Timeout|Unmet))"
    r"(?:: (?P<message>.*))?$"
)
_TRACEBACK: Final = "Traceback (most recent call last):"
_OUTPUT_WORDS: Final = (
    (_STORAGE, T.STORAGE_ERROR),
    (re.compile(r"out of memory|cannot allocate memory|\bKilled\b|bad_alloc", re.IGNORECASE),
     T.OUT_OF_MEMORY),
    (re.compile(r"segmentation fault|core dumped|fatal python error", re.IGNORECASE),
     T.RUNTIME_ERROR),
    (re.compile(r"no module named", re.IGNORECASE), T.MISSING_DEPENDENCY),
    (re.compile(r"(api[_ ]?key|credentials?).{0,40}(missing|not set|required|invalid)"
                r"|unauthori[sz]ed", re.IGNORECASE), T.AUTHENTICATION_ERROR),
    (re.compile(r"rate limit|too many requests", re.IGNORECASE), T.RATE_LIMITED),
    (re.compile(r"connection refused|could not connect|name resolution|unreachable", re.IGNORECASE),
     T.CONNECTION_ERROR),
    (_PERMISSION, T.PERMISSION_ERROR),
)  # fmt: skip


def classify(evidence: Evidence) -> ErrorClassification:
    """Why the run failed; never raises, and always gives an answer."""
    finding = (
        _by_phase(evidence)
        or _by_end(evidence)
        or _by_exception(evidence)
        or _by_signal(evidence)
        or _by_failed_call(evidence)
        or _by_output(evidence)
        or Finding(T.UNCLASSIFIED, 0.2, evidence.message or "Nothing says why it ended.")
    )
    raised = finding.raised
    user = _user_frame(evidence.exception if evidence.exception is not None else raised)
    advice = advise(finding, evidence, user)
    said = [finding.evidence]
    if evidence.exception is not None and raised is not evidence.exception:
        said.append(headline(evidence.exception))
    if evidence.reason:
        said.append(f"status reason {evidence.reason}")
    return ErrorClassification(
        category=finding.type.category,
        type=finding.type,
        confidence=finding.confidence,
        evidence=tuple(dict.fromkeys(said)),
        retryable=advice.retryable,
        summary=advice.summary,
        explanation=advice.explanation,
        suggestion=advice.suggestion,
        next_step=advice.next_step,
        stack_trace=_stack_trace(evidence.exception),
        location=location_of(user),
        fingerprint=_fingerprint(finding, evidence, user),
    )


# -- the phase ------------------------------------------------------------------------------------


def _by_phase(evidence: Evidence) -> Finding | None:
    """A run that failed before its program began: nothing of it is the program's."""
    text, reason = evidence.message, evidence.reason
    if reason == StatusReason.IMAGE_PULL_FAILED:
        kind = T.NETWORK_ERROR if _NETWORK.search(text) else T.IMAGE_PULL_FAILED
        return Finding(kind, 0.95, text)
    if evidence.phase not in _BEFORE_PROGRAM or reason != StatusReason.LAUNCH_FAILED:
        return None
    if _STORAGE.search(text):
        return Finding(T.STORAGE_ERROR, 0.9, text)
    if _OBJECT_STORE.search(text):
        kind = T.PERMISSION_ERROR if _PERMISSION.search(text) else T.NETWORK_ERROR
        return Finding(kind, 0.8, text)
    if _NOT_THERE.search(text):
        return Finding(T.ENVIRONMENT_UNAVAILABLE, 0.9, text)
    if _PERMISSION.search(text):
        return Finding(T.PERMISSION_ERROR, 0.9, text)
    is_engine = evidence.executor == "docker" or _ENGINE.search(text)
    return Finding(T.ENGINE_ERROR if is_engine else T.ENVIRONMENT_UNAVAILABLE, 0.8, text)


# -- exit and executor ----------------------------------------------------------------------------


def _by_end(evidence: Evidence) -> Finding | None:
    """What the executor, the supervisor or a limit of ours says for certain."""
    kind = _BY_REASON.get(evidence.reason or "")
    if kind is None:
        return None
    certain = 0.9 if kind in (T.LOST, T.SERVER_STOPPED) else 1.0
    raised = evidence.exception if kind == T.BUDGET_EXCEEDED else None
    return Finding(kind, certain, evidence.message or f"status reason {evidence.reason}", raised)


def _by_signal(evidence: Evidence) -> Finding | None:
    """A program that a signal ended without a word of its own."""
    code = evidence.exit_code
    if code is None:
        return None
    number = -code if code < 0 else code - _SHELL_SIGNAL
    if number == SIGKILL:
        limit = evidence.memory_limit_mb
        if limit is not None and evidence.peak_memory_mb >= NEAR_LIMIT * limit:
            said = f"killed at {evidence.peak_memory_mb:.0f} MB of {limit:.0f} MB"
            return Finding(T.OUT_OF_MEMORY, 0.8, said)
    if evidence.executor == "kernel" and code < 0:
        return Finding(T.KERNEL_DIED, 0.8, f"the kernel was ended by signal {number}")
    if number == SIGKILL:
        return Finding(T.UNCLASSIFIED, 0.4, "killed by SIGKILL, nobody says by whom")
    if number in _CRASHES:
        return Finding(T.RUNTIME_ERROR, 0.7, f"the interpreter crashed ({_CRASHES[number]})")
    if number == SIGXFSZ:
        return Finding(T.STORAGE_ERROR, 0.9, "a file grew over its limit (SIGXFSZ)")
    if number == SIGXCPU:
        return Finding(T.TIMEOUT, 0.8, "over its limit of CPU time (SIGXCPU)")
    return Finding(T.UNCLASSIFIED, 0.4, f"ended by signal {number}") if code < 0 else None


# -- exceptions -----------------------------------------------------------------------------------


def _by_exception(evidence: Evidence) -> Finding | None:
    if evidence.exception is None:
        return None
    found = _judge(evidence.exception, evidence)
    if found.blames_program and _is_deliberate(evidence.exception):
        # What it raised on purpose, with the cause hidden, is often what its last call met.
        return _by_failed_call(evidence) or found
    return found


def _examine(raised: Raised, evidence: Evidence) -> Finding:
    during_call = evidence.failed_call is not None or evidence.cancelled_calls > 0
    return examine(raised, has_calls=evidence.calls > 0, during_call=during_call)


def _judge(raised: Raised, evidence: Evidence) -> Finding:
    """An exception with what is below it: members of a group, causes, what it interrupted."""
    own = _examine(raised, evidence)
    if not own.blames_program and own.confidence >= SURE:
        return own
    if raised.leaves:
        return _most_telling([_judge(leaf, evidence) for leaf in raised.leaves])
    cause = raised.cause
    if cause is not None and _is_translated(raised, cause):
        below = _judge(cause, evidence)
        if not below.blames_program:
            return replace(below, confidence=round(0.9 * below.confidence, 3))
    return own


def _is_deliberate(raised: Raised) -> bool:
    return raised.is_raised_by_user and raised.frames[-1].text.lstrip().startswith("raise ")


def _most_telling(findings: list[Finding]) -> Finding:
    """Of a group: the commonest cause outside the program, else the first."""
    outside = [finding for finding in findings if not finding.is_of_user_code]
    telling = outside or [finding for finding in findings if not finding.blames_program] or findings
    commonest = Counter(finding.type for finding in telling).most_common(1)[0][0]
    return next(finding for finding in telling if finding.type == commonest)


def _is_translated(raised: Raised, cause: Raised) -> bool:
    """Whether the exception passes its cause on, rather than being a bug met on the way.

    `raise … from` does. So does a `raise` in an `except` block, and a library that raises its own
    exception for the one it got: then both came from the same line of the user.
    """
    if not cause.is_implicit:
        return True
    user = raised.user_frame
    if user is None:
        return True
    if raised.is_raised_by_user:
        return _is_deliberate(raised)
    below = cause.user_frame
    return below is None or (below.function, below.line) == (user.function, user.line)


def _user_frame(raised: Raised | None) -> Frame | None:
    """The innermost line of the user's code that led to it, in a member of a group if need be."""
    if raised is None:
        return None
    for leaf in raised.leaves:
        if (frame := _user_frame(leaf)) is not None:
            return frame
    return raised.user_frame or _user_frame(raised.cause)


# -- what else it left ----------------------------------------------------------------------------


def _by_failed_call(evidence: Evidence) -> Finding | None:
    """A program that gave up after its last LLM call failed."""
    if evidence.failed_call is None or not evidence.exit_code:
        return None
    found = _examine(evidence.failed_call, evidence)
    if found.is_of_user_code:
        return None
    return replace(found, confidence=round(0.8 * found.confidence, 3),
                   evidence=f"its last LLM call failed: {found.evidence}")  # fmt: skip


def _by_output(evidence: Evidence) -> Finding | None:
    """The last traceback of the output, then words that stand in it."""
    lines = [line.rstrip() for line in evidence.error_output]
    if any(line.strip() == _TRACEBACK for line in lines):
        for line in reversed(lines):
            if found := _LAST_LINE.match(line):
                raised = Raised.of(found.groupdict()) or Raised(found["type"])
                judged = _examine(raised, evidence)
                return replace(judged, confidence=round(0.7 * judged.confidence, 3), raised=None)
    for line in reversed(lines):
        for pattern, kind in _OUTPUT_WORDS:
            if pattern.search(line):
                return Finding(kind, 0.5, f"its output says: {line.strip()[:300]}")
    if evidence.exit_code and (last := next((line for line in reversed(lines) if line), "")):
        # It ended itself with a code and a word on why, as `sys.exit("no such city")` does.
        return Finding(T.RUNTIME_ERROR, 0.4, f"it ended itself after: {last.strip()[:300]}")
    return None


# -- what is made of it ---------------------------------------------------------------------------


def _stack_trace(raised: Raised | None) -> str | None:
    if raised is None or not raised.frames:
        return None
    lines = [_TRACEBACK]
    for frame in raised.frames:
        lines.append(f'  File "{frame.file}", line {frame.line}, in {frame.function}')
        if frame.text.strip():
            lines.append(f"    {frame.text.strip()[:500]}")
    lines.append(headline(raised))
    return "\n".join(lines)[-MAX_TRACE:]


_VARYING: Final = re.compile(r"0x[0-9a-f]+|\d+|'[^']*'|\"[^\"]*\"|[0-9a-f]{8,}", re.IGNORECASE)


def _fingerprint(finding: Finding, evidence: Evidence, user: Frame | None) -> str:
    """Equal for failures of one program that people would call the same."""
    raised = finding.raised or evidence.exception
    said = raised.message.partition("\n")[0] if raised is not None else ""
    parts = (
        evidence.asset,
        finding.type.value,
        raised.type if raised is not None else "",
        user.file if user is not None else "",
        user.function if user is not None else "",
        _VARYING.sub("#", said)[:200] if finding.is_of_user_code else "",
    )
    return blake2b("\0".join(parts).encode("utf-8", "replace"), digest_size=8).hexdigest()
