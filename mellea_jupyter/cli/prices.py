"""`budget` and `reprice`: answer runs that wait at their budget; price history anew."""

from __future__ import annotations

import argparse
import re
from datetime import UTC, datetime, timedelta

from mellea_jupyter import clock
from mellea_jupyter.cli.picking import open_client, pick_run
from mellea_jupyter.client import phrases
from mellea_jupyter.client.budget import STOP, more
from mellea_jupyter.client.flags import UsageError
from mellea_jupyter.client.terminal import escape_line, json_text
from mellea_jupyter.models.prices import RepriceRequest
from mellea_jupyter.models.run import Run

_AGO = re.compile(r"([1-9][0-9]{0,4})([hdw])")
_UNITS = {"h": "hours", "d": "days", "w": "weeks"}


def budget(flags: argparse.Namespace) -> int:
    """`jupyter mellea budget RUN [--allow USD] [--allow-calls N] [--stop]`."""
    is_raise = flags.allow is not None or flags.allow_calls is not None
    if is_raise and flags.stop:
        raise UsageError("give --stop, or what is allowed, not both")
    with open_client(flags) as client:
        run = client.get_run(pick_run(client, flags.run))
        if is_raise:
            client.answer_budget(run.id, more(run, usd=flags.allow, calls=flags.allow_calls))
        elif flags.stop:
            client.answer_budget(run.id, STOP)
        else:
            print(_standing(run))
            return 0
    print(f"{phrases.short_id(run.id)} {'goes on' if is_raise else 'gets no more calls'}")
    return 0


def _standing(run: Run) -> str:
    if run.waiting is not None:
        return phrases.question(run)
    limits = phrases.limits(run)
    return f"{phrases.short_id(run.id)} {limits or 'has no budget'}"


def reprice(flags: argparse.Namespace) -> int:
    """`jupyter mellea reprice [--since WHEN] [--model MODEL] [--dry-run]`."""
    since = None if flags.since is None else parse_since(flags.since)
    request = RepriceRequest(since=since, model=flags.model, dry_run=flags.dry_run)
    with open_client(flags) as client:
        reply = client.reprice(request)
    if flags.json:
        print(json_text(reply.to_json()))
        return 0
    for run in reply.runs:
        before = phrases.cost_of(run.before_usd, run.unpriced_before)
        after = phrases.cost_of(run.after_usd, run.unpriced_after)
        calls = phrases.count(run.calls, "call")
        name = escape_line(run.asset_name)
        print(f"{phrases.short_id(run.run_id)} {name}  {before} → {after}  ({calls})")
    if reply.runs_changed > len(reply.runs):
        print(f"and {phrases.count(reply.runs_changed - len(reply.runs), 'more run')}")
    verb = "would change" if reply.dry_run else "changed"
    seen = f"{phrases.count(reply.calls_seen, 'call')} of {phrases.count(reply.runs_seen, 'run')}"
    print(
        f"{phrases.count(reply.calls_changed, 'call')} in "
        f"{phrases.count(reply.runs_changed, 'run')} {verb} "
        f"({phrases.usd(reply.before_usd)} → {phrases.usd(reply.after_usd)}), {seen} looked at"
    )
    print(f"prices: genai-prices {reply.list_version}")
    return 0


def parse_since(text: str) -> datetime:
    """`2026-03-01`, `2026-03-01T12:00:00Z`, `7d`, `24h`, `4w`; without a zone, of this machine.

    Raises:
        UsageError: none of these.
    """
    if (ago := _AGO.fullmatch(text)) is not None:
        return clock.now() - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise UsageError(f"--since {text!r} is no time; write 2026-03-01 or 7d") from None
