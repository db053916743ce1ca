"""`logs`: print what a run wrote, stdout to stdout and stderr to stderr."""

from __future__ import annotations

import argparse
import sys

from mellea_jupyter.cli.picking import open_client, pick_run
from mellea_jupyter.cli.run import interrupts
from mellea_jupyter.client.console import RunConsole, show_until_end
from mellea_jupyter.client.flags import UsageError
from mellea_jupyter.client.handle import come_back
from mellea_jupyter.client.sync import MelleaClient
from mellea_jupyter.models.frames import LogFrame

EXIT_INTERRUPTED = 130


def logs(flags: argparse.Namespace) -> int:
    """`jupyter mellea logs RUN`."""
    if flags.tail is not None and flags.tail < 1:
        raise UsageError("--tail must be at least 1")
    console = RunConsole(out=sys.stdout, err=sys.stderr, shows_status=False, raw=flags.raw)
    with open_client(flags) as client:
        run_id = pick_run(client, flags.run)
        position = _print_written(client, run_id, flags, console)
        if not flags.follow:
            return 0
        if position is None:
            return 0
        with interrupts() as caught:
            ended = show_until_end(
                client.handle(run_id),
                console,
                after=position or None,
                should_leave=lambda: caught.is_pending,
                shows=lambda frame: _matches(frame, flags),
            )
    if not ended:
        console.say(come_back(run_id), style="")
        return EXIT_INTERRUPTED
    return 0


def _print_written(
    client: MelleaClient, run_id: str, flags: argparse.Namespace, console: RunConsole
) -> str | None:
    """Print what is there; where to go on from (empty: the beginning), None after the end."""
    which = {"stream": flags.stream, "level": flags.level, "search": flags.search}
    if flags.tail is not None:
        page = client.read_log(run_id, tail=flags.tail, **which)
        console.write(page.frames)
        return None if page.ended else page.next or ""
    position = ""
    while True:
        page = client.read_log(run_id, after=position or None, limit=1000, **which)
        console.write(page.frames)
        if page.ended:
            return None
        if page.next in (None, position):
            return position
        position = page.next or ""


def _matches(frame: LogFrame, flags: argparse.Namespace) -> bool:
    """Whether a live line passes the flags; the server filters the ones written before."""
    return (
        (flags.stream is None or frame.stream == flags.stream)
        and (flags.level is None or frame.level == flags.level)
        and (flags.search is None or flags.search.lower() in frame.message.lower())
    )
