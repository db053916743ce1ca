"""`compare`, and how a group of runs is shown while it runs."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from typing import TextIO

from mellea_jupyter.cli.picking import open_client, pick_run
from mellea_jupyter.cli.tables import console
from mellea_jupyter.client import phrases, side_by_side
from mellea_jupyter.client.flags import UsageError
from mellea_jupyter.client.group import RunGroupHandle
from mellea_jupyter.client.handle import RunHandle
from mellea_jupyter.client.terminal import escape_line, json_text
from mellea_jupyter.models.comparisons import LEAST_COMPARED, MOST_COMPARED, RunComparison
from mellea_jupyter.models.run import Run

LOOK_SECONDS = 0.5
TICK_SECONDS = 0.1
PIPE_WIDTH = 160


def compare(flags: argparse.Namespace) -> int:
    """`jupyter mellea compare RUN RUN…`, or `--group GROUP`."""
    if bool(flags.runs) == bool(flags.group):
        raise UsageError("name two to ten runs, or --group GROUP")
    with open_client(flags) as client:
        run_ids = list(dict.fromkeys(pick_run(client, given) for given in flags.runs))
        if flags.runs and not LEAST_COMPARED <= len(run_ids) <= MOST_COMPARED:
            raise UsageError(
                f"{LEAST_COMPARED} to {MOST_COMPARED} different runs are compared, "
                f"not {len(run_ids)}"
            )
        found = client.compare_runs(run_ids, group_id=flags.group)
    print_comparison(found, sys.stdout, as_json=flags.json, shows_same=flags.all, diffs=flags.diff)
    return 0


def print_comparison(
    found: RunComparison,
    file: TextIO,
    *,
    as_json: bool = False,
    shows_same: bool = False,
    diffs: bool = True,
) -> None:
    """As wide as the terminal; a pipe gets `PIPE_WIDTH`."""
    if as_json:
        print(json_text(found.to_json()), file=file)
        return
    width = console().width if file.isatty() else PIPE_WIDTH
    text = side_by_side.as_text(found, width=width, shows_same=shows_same, diffs=diffs)
    print(text, file=file)


def follow_group(group: RunGroupHandle, file: TextIO, should_leave: Callable[[], bool]) -> bool:
    """Say of each run that it has ended, above a status line where that can be rewritten.

    Returns:
        Whether all runs have ended; False when `should_leave` said so.
    """
    told: set[str] = set()
    rewrites = file.isatty()
    looked_at = float("-inf")
    while True:
        if should_leave():
            _clear(file, rewrites)
            return False
        if time.monotonic() - looked_at >= LOOK_SECONDS:
            looked_at = time.monotonic()
            group.refresh()
            _clear(file, rewrites)
            for handle in group:
                if handle.run.is_terminal and handle.id not in told:
                    told.add(handle.id)
                    file.write(f"{escape_line(_ended_line(handle))}\n")
            if group.has_ended:
                file.flush()
                return True
            if rewrites:
                file.write(_status_line(group)[: console().width - 1])
            file.flush()
        time.sleep(TICK_SECONDS)


def exit_code(runs: tuple[Run, ...]) -> int:
    """0 when all runs of a group succeeded, else 1."""
    return int(any(run.status != "succeeded" for run in runs))


def _clear(file: TextIO, rewrites: bool) -> None:  # noqa: FBT001 - private, passed by its name
    if rewrites:
        file.write("\r\x1b[2K")


def _ended_line(handle: RunHandle) -> str:
    run = handle.run
    model = run.config.model or ", ".join(run.models_used)
    parts = [phrases.short_id(run.id), model, phrases.ending(run), phrases.one_line(run)]
    return "  ".join(filter(None, parts))


def _status_line(group: RunGroupHandle) -> str:
    runs = [handle.run for handle in group]
    ended = sum(run.is_terminal for run in runs)
    calls = sum(run.metrics.llm_calls for run in runs)
    return f"{ended} of {phrases.count(len(runs), 'run')} ended · {phrases.count(calls, 'call')}"
