"""`ls`, `show`, `cancel` and `rm`: look after runs that exist."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from itertools import islice

from pydantic import ValidationError
from rich.table import Table
from rich.text import Text

from mellea_jupyter.cli.picking import open_client, pick_run
from mellea_jupyter.cli.tables import console
from mellea_jupyter.client import phrases
from mellea_jupyter.client.console import print_rows
from mellea_jupyter.client.errors import invalid_config
from mellea_jupyter.client.flags import UsageError
from mellea_jupyter.client.terminal import escape_line, json_text
from mellea_jupyter.models.pages import MAX_PAGE, RunQuery
from mellea_jupyter.models.run import Run, RunStatus
from mellea_jupyter.models.sharing import RunRole

EXIT_REFUSED = 3

_STYLES = {
    RunStatus.RUNNING: "blue",
    RunStatus.SUCCEEDED: "green",
    RunStatus.FAILED: "red",
    RunStatus.CANCELLED: "yellow",
}


def ls(flags: argparse.Namespace) -> int:
    """`jupyter mellea ls`."""
    if flags.limit < 1:
        raise UsageError("--limit must be at least 1")
    try:
        query = RunQuery(
            status=tuple(RunStatus(status) for status in flags.status),
            tags=tuple(flags.tag),
            asset_id=tuple(flags.asset),
            group_id=(flags.group,) if flags.group else (),
            fingerprint=tuple(flags.failure),
            search=flags.search,
            shared="with_me" if flags.shared_with_me else None,
            limit=min(flags.limit, MAX_PAGE),
        )
    except ValidationError as exc:
        raise invalid_config(exc) from exc
    with open_client(flags) as client:
        runs = list(islice(client.iter_runs(query), flags.limit))
    if flags.json:
        print(json_text([run.to_json() for run in runs]))
    elif runs:
        console().print(_table(runs))
    else:
        print("no runs", file=sys.stderr)
    return 0


def show(flags: argparse.Namespace) -> int:
    """`jupyter mellea show RUN`."""
    with open_client(flags) as client:
        handle = client.handle(pick_run(client, flags.run))
    run = handle.run
    if flags.json:
        print(json_text(run.to_json()))
        return 0
    rows = [("program", f"{run.asset_name} {run.asset_version}"), *phrases.summary_rows(run)]
    config = run.config
    rows += [("model", ", ".join(run.models_used) or config.model or "-")]
    optional = [
        ("name", run.name),
        ("note", run.note),
        ("tags", ", ".join(run.tags)),
        ("args", " ".join(config.args)),
        ("variables", ", ".join(f"{name}={value}" for name, value in config.env_vars.items())),
        ("owner", _owner(run)),
        ("group", run.group_id),
        ("retry of", run.retry_of and f"{run.retry_of} (attempt {run.attempt})"),
        ("kept", ", ".join(ref.path for ref in run.artifacts)),
        ("log and artifacts", phrases.expiry(run)),
        ("link", handle.url),
    ]
    rows += [(label, value) for label, value in optional if value]
    print_rows(console(), rows, status=run.status)
    if run.error is not None and run.error.stack_trace:
        console().print(Text(run.error.stack_trace.rstrip()))
    return 0


def _owner(run: Run) -> str | None:
    """Whose a run is, where it is not one's own, and what one may do."""
    return None if run.role in {None, RunRole.OWNER} else f"{run.owner_id} (you: {run.role})"


def cancel(flags: argparse.Namespace) -> int:
    """`jupyter mellea cancel RUN…`: asks for the stop, does not wait for it."""
    with open_client(flags) as client:
        run_ids = [pick_run(client, given) for given in flags.runs]
        outcomes = client.cancel_runs(run_ids)
    return _report(outcomes)


def rm(flags: argparse.Namespace) -> int:
    """`jupyter mellea rm RUN…`."""
    with open_client(flags) as client:
        run_ids = list(dict.fromkeys(pick_run(client, given) for given in flags.runs))
        if not flags.yes and not _confirms(len(run_ids)):
            print("nothing removed", file=sys.stderr)
            return 0
        outcomes = client.delete_runs(run_ids)
    return _report(outcomes)


def _confirms(number: int) -> bool:
    if not sys.stdin.isatty():
        raise UsageError("rm asks before it removes; without a terminal say --yes")
    what = phrases.count(number, "run")
    sys.stderr.write(f"Remove {what} with logs and artifacts? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _report(outcomes: dict[str, str]) -> int:
    """Print what became of each run; 3 when one was refused."""
    refused = 0
    for run_id, outcome in outcomes.items():
        is_error = outcome.startswith("error")
        refused += is_error
        text = f"{phrases.short_id(run_id)} {outcome}"
        print(escape_line(text), file=sys.stderr if is_error else sys.stdout)
    return EXIT_REFUSED if refused else 0


def _table(runs: list[Run]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("run", "status", "program", "started", "took", "calls", "cost", "tags"):
        table.add_column(
            title,
            justify="right" if title in ("took", "calls", "cost") else "left",
            overflow="ellipsis",
            no_wrap=title != "program",
        )
    now = datetime.now(UTC)
    for run in runs:
        table.add_row(
            phrases.short_id(run.id),
            Text(phrases.ending(run), style=_STYLES.get(run.status, "")),
            Text(phrases.title_of(run)),
            run.created_at.astimezone().strftime("%Y-%m-%d %H:%M"),
            phrases.duration(phrases.elapsed_seconds(run, now)),
            f"{run.metrics.llm_calls:,}",
            phrases.cost(run),
            Text(", ".join(run.tags)),
        )
    return table
