"""The command line's grammar. Standard library only: `--help` is quick."""

from __future__ import annotations

import argparse
from typing import Any, Final

from mellea_jupyter import __version__
from mellea_jupyter.client.flags import add_run_flags

COMMANDS: Final = {
    "run": ("run", "run"),
    "ls": ("runs", "ls"),
    "show": ("runs", "show"),
    "logs": ("logs", "logs"),
    "cancel": ("runs", "cancel"),
    "retry": ("run", "retry"),
    "rm": ("runs", "rm"),
    "pin": ("retention", "pin"),
    "unpin": ("retention", "unpin"),
    "sweep": ("retention", "sweep"),
    "doctor": ("doctor", "doctor"),
}
"""Command: module of this package and function in it."""

STATUSES: Final = (
    "created", "queued", "pulling_image", "starting", "running", "succeeded", "failed", "cancelled",
)  # fmt: skip
STREAMS: Final = ("stdout", "stderr", "system")
LEVELS: Final = ("debug", "info", "warn", "error")

_EXIT_CODES: Final = """exit codes:
  the program's own (128+N for signal N); 1 failed without one; 2 wrong usage;
  3 no server, or it refused; 130 after Ctrl-C

Ctrl-C in a terminal asks whether to [d]etach or [c]ancel; a second one detaches. Without a
terminal it detaches: the run goes on, and a line says how to follow and how to stop it."""


def make_parser() -> argparse.ArgumentParser:
    """The parser of `jupyter mellea`."""
    parser = argparse.ArgumentParser(
        prog="jupyter mellea",
        description="Run mellea programs as managed runs, and look after them.",
        epilog="jupyter mellea COMMAND --help says more.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    parser.add_argument("--url", help="the Jupyter server to use instead of one that is found")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    _add_run(commands)
    _add_ls(commands)
    _add_runs(commands)
    _add_logs(commands)
    _add_retry(commands)
    _add_retention(commands)
    doctor = commands.add_parser("doctor", help="check what runs need, with next steps")
    doctor.add_argument("--json", action="store_true", help="print the checks as JSON")
    return parser


def _add_run(commands: Any) -> None:
    run = commands.add_parser(
        "run",
        help="run a program and show it until it ends",
        description="Run a mellea program as a managed run. Its stdout and stderr appear here as "
        "they are; everything else goes to stderr.",
        epilog=_EXIT_CODES,
        usage="jupyter mellea run PROGRAM [options] [-- PROGRAM ARGS]",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    run.add_argument("program", metavar="PROGRAM", help=".py, .ipynb, folder or module:callable")
    add_run_flags(run, waits=True)
    run.add_argument(
        "--json", action="store_true", help="print the final run on stdout, all else on stderr"
    )


def _add_ls(commands: Any) -> None:
    listing = commands.add_parser("ls", help="list runs, newest first")
    listing.add_argument(
        "--status", action="append", default=[], choices=STATUSES, help="only these; repeatable"
    )
    listing.add_argument("--tag", action="append", default=[], help="only with this label")
    listing.add_argument("--asset", action="append", default=[], metavar="ID", help="of an asset")
    listing.add_argument("--search", metavar="WORDS", help="in name, note, program, model, error")
    listing.add_argument("--limit", type=int, default=20, metavar="N", help="at most (default 20)")
    listing.add_argument("--json", action="store_true", help="print the runs as a JSON array")


def _add_runs(commands: Any) -> None:
    show = commands.add_parser("show", help="show one run")
    show.add_argument("run", metavar="RUN", help="id, or its first digits")
    show.add_argument("--json", action="store_true", help="print the run as JSON")
    cancel = commands.add_parser("cancel", help="stop runs")
    cancel.add_argument("runs", metavar="RUN", nargs="+", help="id, or its first digits")
    rm = commands.add_parser("rm", help="remove ended runs with their logs and artifacts")
    rm.add_argument("runs", metavar="RUN", nargs="+", help="id, or its first digits")
    rm.add_argument("--yes", "-y", action="store_true", help="do not ask")


def _add_logs(commands: Any) -> None:
    logs = commands.add_parser("logs", help="print the log of a run")
    logs.add_argument("run", metavar="RUN", help="id, or its first digits")
    logs.add_argument("-f", "--follow", action="store_true", help="go on until the run ends")
    logs.add_argument("--stream", choices=STREAMS, help="only this stream")
    logs.add_argument("--level", choices=LEVELS, help="only this level")
    logs.add_argument("--tail", type=int, metavar="N", help="only the last lines")
    logs.add_argument("--search", metavar="TEXT", help="only lines with this text")


def _add_retry(commands: Any) -> None:
    retry = commands.add_parser(
        "retry", help="run a failed or cancelled run again", epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    retry.add_argument("run", metavar="RUN", help="id, or its first digits")
    retry.add_argument(
        "-e", "--env", action="append", default=[], metavar="NAME[=VALUE]",
        help="another value; `NAME=` empties it",
    )  # fmt: skip
    retry.add_argument(
        "--set", action="append", default=[], metavar="FIELD=JSON",
        help="replace a field of the config, e.g. --set timeout_seconds=60",
    )  # fmt: skip
    retry.add_argument(
        "--wait", action=argparse.BooleanOptionalAction, default=True, help="show it (default)"
    )
    retry.add_argument("--json", action="store_true", help="print the final run on stdout")


def _add_retention(commands: Any) -> None:
    for name, text in (
        ("pin", "keep the log and artifacts of runs for good"),
        ("unpin", "let them expire again"),
    ):
        pin = commands.add_parser(name, help=text)
        pin.add_argument("runs", metavar="RUN", nargs="+", help="id, or its first digits")
    sweep = commands.add_parser(
        "sweep",
        help="remove the logs and artifacts that have expired",
        description="Remove the logs and artifacts that have expired, now instead of within the "
        "hour. Records and metrics stay. For administrators.",
    )
    sweep.add_argument("--dry-run", action="store_true", help="only say what would be removed")
    sweep.add_argument("--json", action="store_true", help="print the reply as JSON")
