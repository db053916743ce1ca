"""The rules of notices. Pure: time is an argument."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from datetime import time as clock_time
from typing import Final
from zoneinfo import ZoneInfo

from mellea_jupyter.models.notifications import (
    LISTED_RUNS,
    Notice,
    NoticeFailure,
    NoticeRun,
    NoticeType,
    NotificationPreferences,
    is_address,
)
from mellea_jupyter.models.run import Run, RunStatus, StatusReason

LONG_RUN_MS: Final = 60_000
"""A run that took longer is worth a mail although it did not fail (spec.md §5.10.1)."""

BURST: Final = timedelta(seconds=5)
"""Runs that end within this time of the one before share a notice …"""

LONGEST_BURST: Final = timedelta(seconds=60)
"""… for at most so long."""

FIRST_PAUSE: Final = timedelta(seconds=15)
LONGEST_PAUSE: Final = timedelta(hours=1)
GIVE_UP_AFTER: Final = timedelta(days=2)

_LONGEST_NAME: Final = 120
_ERROR_TYPE: Final = re.compile(r"[A-Za-z_][\w.]{0,119}")

_REASONS: Final[Mapping[str, str]] = {
    StatusReason.TIMEOUT: "timed out",
    StatusReason.OUT_OF_MEMORY: "out of memory",
    StatusReason.LOST: "lost",
    StatusReason.LAUNCH_FAILED: "could not be started",
    StatusReason.IMAGE_PULL_FAILED: "image not available",
    StatusReason.ENVIRONMENT_UNAVAILABLE: "environment not available",
    StatusReason.QUOTA_EXCEEDED: "over the artifact quota",
    StatusReason.BUDGET_EXCEEDED: "over the budget",
    StatusReason.REQUIREMENTS_UNMET: "requirements not met",
    StatusReason.SERVER_STOPPED: "server stopped",
    StatusReason.TERMINATED: "terminated",
    StatusReason.ENGINE_RESTARTED: "engine restarted",
    StatusReason.OPERATOR: "by an operator",
    StatusReason.ADMIN: "by an administrator",
}

_BY_OTHERS: Final = (_REASONS[StatusReason.OPERATOR], _REASONS[StatusReason.ADMIN])


def one_line(text: str, limit: int = _LONGEST_NAME) -> str:
    """Text of people as it may stand in a title or a mail's header.

    Control and format characters (line ends and those that turn the direction of writing among
    them) and lone surrogates are gone, runs of blanks are one.
    """
    kept = "".join(" " if unicodedata.category(c)[0] in "CZ" else c for c in text)
    line = " ".join(kept.split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def address_from(template: str, user_id: str) -> str | None:
    """The mail address that an operator's template gives a user; None where it gives none."""
    address = template.replace("{username}", user_id).strip()
    return address if is_address(address) else None


def link_to(run_id: str) -> str:
    """Opens the run in JupyterLab; relative to the server's base URL."""
    return f"lab?mellea-run={run_id}"


def link_to_failures(fingerprint: str) -> str:
    """Opens the dashboard with the runs that failed so; relative to the server's base URL."""
    return f"lab?mellea-dashboard&mellea-failure={fingerprint}"


def facts(run: Run, at: datetime) -> NoticeRun:
    """What a notice says of a run that has ended.

    Error messages are left out: they repeat prompts, completions and what a program had in hand.
    """
    metrics = run.metrics
    return NoticeRun(
        run_id=run.id,
        name=one_line(run.name or "") or one_line(run.asset_name) or run.id[:8],
        status=run.status,
        reason=_reason(run),
        failure=_failure(run),
        owner_id=run.owner_id,
        finished_at=run.finished_at or at,
        total_duration_ms=metrics.total_duration_ms,
        llm_calls=metrics.llm_calls,
        estimated_cost_usd=metrics.estimated_cost_usd,
        unpriced_calls=metrics.unpriced_calls,
        link=link_to(run.id),
    )


def _failure(run: Run) -> NoticeFailure | None:
    why = run.error_classification
    if why is None:
        return None
    step = why.next_step
    command = None if step is None else step.command_for(run.id, run.environment_id)
    return NoticeFailure(
        type=why.type,
        category=why.category,
        summary=one_line(why.summary),
        explanation=one_line(why.explanation, 300),
        suggestion=one_line(why.suggestion, 300),
        next_step=step,
        command=None if command is None else one_line(command, 300),
        fingerprint=why.fingerprint,
        seen=run.seen,
    )


def _reason(run: Run) -> str:
    if run.status == RunStatus.SUCCEEDED:
        return "requirements not met" if run.metrics.loops_exhausted else ""
    if run.error_classification is not None:
        return one_line(run.error_classification.summary)
    if run.status == RunStatus.FAILED and run.error is not None:
        kind = run.error.type.removeprefix("builtins.")
        if _ERROR_TYPE.fullmatch(kind):
            return kind
    said = _REASONS.get(run.status_reason or "")
    if said is not None:
        return said
    if run.exit_code is None or run.status == RunStatus.CANCELLED:
        return ""
    return f"exit {run.exit_code}" if run.exit_code >= 0 else f"signal {-run.exit_code}"


def joined(
    open_notice: Notice | None, run: NoticeRun, *, notice_id: str, user_id: str, type_: NoticeType,
    at: datetime, by: str = "",
) -> Notice:  # fmt: skip
    """The notice that tells of this run: `open_notice` with one more, or a new one.

    `by` is who shared it, where that is what it tells of.

    `open_notice` is the user's latest that nothing has been sent of yet; it is taken only while
    its burst lasts (`closes_at`), is of the same type and has not been read.
    """
    if (
        open_notice is None
        or open_notice.type != type_
        or open_notice.read_at is not None
        or at >= closes_at(open_notice)
    ):
        counts = {run.status: 1}
        title, body = _texts(type_, (run,), 1, counts, by)
        return Notice(
            id=notice_id,
            user_id=user_id,
            type=type_,
            title=title,
            body=body,
            link=run.link,
            runs=(run,),
            by_status=counts,
            created_at=at,
            updated_at=at,
        )
    runs = (*open_notice.runs, run)[:LISTED_RUNS]
    counts = {**open_notice.by_status}
    counts[run.status] = counts.get(run.status, 0) + 1
    count = open_notice.run_count + 1
    title, body = _texts(type_, runs, count, counts, by)
    return open_notice.model_copy(
        update={
            "title": title,
            "link": open_notice.link or run.link,
            "body": body,
            "runs": runs,
            "run_count": count,
            "by_status": counts,
            "updated_at": max(at, open_notice.updated_at),
        }
    )


def closes_at(notice: Notice) -> datetime:
    """When the burst of a notice is over: no run joins any more, and mail about it may go."""
    return min(notice.updated_at + BURST, notice.created_at + LONGEST_BURST)


def counted(by_status: Mapping[RunStatus, int]) -> str:
    """`3 failed, 47 succeeded`: failures first."""
    order = (RunStatus.FAILED, RunStatus.CANCELLED, RunStatus.SUCCEEDED)
    return ", ".join(f"{by_status[s]} {s.value}" for s in order if by_status.get(s))


def _texts(
    type_: NoticeType, runs: tuple[NoticeRun, ...], count: int, by_status: Mapping[RunStatus, int],
    by: str,
) -> tuple[str, str]:  # fmt: skip
    """Title and body."""
    first = runs[0]
    is_new = type_ == NoticeType.RUN_SHARED
    if count > 1:
        names = list(dict.fromkeys(run.name for run in runs))
        more = ", …" if len(names) > 3 or count > len(runs) else ""
        listed = ", ".join(names[:3]) + more
        if is_new:
            return f"{count} runs were shared with you", listed
        return f"{count} runs ended: {counted(by_status)}", listed
    if is_new:
        whose = "" if by == first.owner_id else f"run of {one_line(first.owner_id)}"
        return f"{one_line(by)} shared {first.name} with you", whose
    shared = "Shared run" if type_ == NoticeType.SHARED_RUN_COMPLETE else "Run"
    said = [first.reason, duration(first.total_duration_ms), cost(first)]
    title = f"{shared} {first.status.value}: {first.name}"
    return title, " · ".join(each for each in said if each)


def duration(milliseconds: int) -> str:
    """`850 ms`, `3.2 s`, `4 m 12 s`, `2 h 05 m`."""
    if milliseconds < 1000:
        return f"{max(milliseconds, 0)} ms"
    seconds = milliseconds // 1000
    if seconds < 10:
        return f"{milliseconds // 100 / 10:.1f} s"
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} m {seconds % 60} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60:02d} m"


def cost(run: NoticeRun) -> str:
    """`$0.0041`, `≥ $0.12` with unpriced calls, `unpriced`; empty without a call."""
    if run.llm_calls == 0:
        return ""
    usd = run.estimated_cost_usd
    if usd is None:
        return "unpriced"
    if usd >= 1 or usd == 0:
        text = f"${usd:.2f}"
    else:
        text = f"${float(usd):.2g}" if usd >= 10**-4 else f"${usd:.8f}".rstrip("0")
    return f"≥ {text}" if run.unpriced_calls else text


def deserves_mail(run: NoticeRun, preferences: NotificationPreferences, user_id: str) -> bool:
    """Whether this user wants a mail about this run: it failed, or it took over a minute.

    Whoever cancels a run knows that it ended; one that somebody else cancelled is told.
    """
    own = run.owner_id == user_id
    asked = preferences.email_on_run_complete if own else preferences.email_on_shared_complete
    if not asked:
        return False
    if run.status == RunStatus.FAILED:
        return True
    if preferences.failures_only:
        return False
    if run.status == RunStatus.CANCELLED:
        return run.reason in _BY_OTHERS
    return run.total_duration_ms > LONG_RUN_MS


def quiet_until(preferences: NotificationPreferences, at: datetime) -> datetime | None:
    """The end of the quiet hours that `at` falls into; None outside of them."""
    quiet = preferences.quiet_hours
    if quiet is None:
        return None
    zone = ZoneInfo(preferences.time_zone)
    local = at.astimezone(zone)
    start, end = clock_time.fromisoformat(quiet.start), clock_time.fromisoformat(quiet.end)
    now = local.time().replace(tzinfo=None)
    over_midnight = end < start
    is_quiet = (now >= start or now < end) if over_midnight else start <= now < end
    if not is_quiet:
        return None
    day = local.date()
    if over_midnight and now >= start:
        day += timedelta(days=1)
    until = datetime.combine(day, end, zone).astimezone(UTC)
    # A clock that goes back at the end passes the end twice; the first time counts.
    return until if until > at else None


def next_attempt(attempts: int, first_due: datetime, at: datetime) -> datetime | None:
    """When to try again after `attempts` failures, growing pauses; None to give up."""
    pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(attempts - 1, 20))
    return at + pause if at + pause <= first_due + GIVE_UP_AFTER else None
