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
    "calls": ("calls", "calls"),
    "cancel": ("runs", "cancel"),
    "retry": ("run", "retry"),
    "compare": ("compare", "compare"),
    "export": ("export", "export"),
    "rm": ("runs", "rm"),
    "build": ("build", "build"),
    "env": ("environments", "env"),
    "dataset": ("datasets", "dataset"),
    "pin": ("retention", "pin"),
    "unpin": ("retention", "unpin"),
    "sweep": ("retention", "sweep"),
    "share": ("sharing", "share"),
    "unshare": ("sharing", "unshare"),
    "shares": ("sharing", "shares"),
    "audit": ("sharing", "audit"),
    "budget": ("prices", "budget"),
    "reprice": ("prices", "reprice"),
    "doctor": ("doctor", "doctor"),
}
"""Command: module of this package and function in it."""

STATUSES: Final = (
    "created", "queued", "pulling_image", "starting", "running", "succeeded", "failed", "cancelled",
)  # fmt: skip
STREAMS: Final = ("stdout", "stderr", "system")
NETWORKS: Final = ("none", "bridge", "internal")
ROLES: Final = ("viewer", "operator")
AUDITED: Final = (
    "create", "cancel", "retry", "patch", "pin", "unpin", "delete", "share", "unshare", "budget",
    "kernel", "share_asset", "unshare_asset", "reprice", "sweep",
)  # fmt: skip
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
    _add_calls(commands)
    _add_retry(commands)
    _add_compare(commands)
    _add_export(commands)
    _add_build(commands)
    _add_env(commands)
    _add_dataset(commands)
    _add_sharing(commands)
    _add_retention(commands)
    _add_prices(commands)
    doctor = commands.add_parser("doctor", help="check what runs need, with next steps")
    doctor.add_argument("--json", action="store_true", help="print the checks as JSON")
    return parser


def _add_run(commands: Any) -> None:
    run = commands.add_parser(
        "run",
        help="run a program and show it until it ends",
        description="Run a mellea program as a managed run. Its stdout and stderr appear here as "
        "they are, on a terminal as text and colours; everything else goes to stderr.",
        epilog=_EXIT_CODES,
        usage="jupyter mellea run PROGRAM [options] [-- PROGRAM ARGS]",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    run.add_argument("program", metavar="PROGRAM", help=".py, .ipynb, folder or module:callable")
    add_run_flags(run, waits=True)
    run.add_argument(
        "--check", action="store_true",
        help="only say what would be wrong and what it usually takes; 1 when it could not start",
    )  # fmt: skip
    run.add_argument(
        "--json", action="store_true", help="print the final run on stdout, all else on stderr; "
        "of a group, the comparison",
    )  # fmt: skip
    _add_raw(run)


def _add_ls(commands: Any) -> None:
    listing = commands.add_parser("ls", help="list runs, newest first")
    listing.add_argument(
        "--status", action="append", default=[], choices=STATUSES, help="only these; repeatable"
    )
    listing.add_argument("--tag", action="append", default=[], help="only with this label")
    listing.add_argument("--group", metavar="GROUP", help="only those started together")
    listing.add_argument(
        "--failure", action="append", default=[], metavar="FINGERPRINT",
        help="only those that failed so, as `show` names it; repeatable",
    )  # fmt: skip
    listing.add_argument("--asset", action="append", default=[], metavar="ID", help="of an asset")
    listing.add_argument(
        "--shared-with-me", action="store_true", help="only those that others share with you"
    )
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
    _add_raw(logs)


def _add_raw(parser: Any) -> None:
    parser.add_argument(
        "--raw", action="store_true",
        help="let all that the program wrote reach the terminal, not only text and colours",
    )  # fmt: skip


def _add_calls(commands: Any) -> None:
    calls = commands.add_parser(
        "calls",
        help="print what the model was asked: attempts, verdicts, calls and cost",
        description="Print the sampling loops of a run, each with its attempts and what the "
        "requirements said of them, then its LLM calls.",
    )
    calls.add_argument("run", metavar="RUN", help="id, or its first digits")
    calls.add_argument("--loop", type=int, metavar="N", help="only this loop and those inside it")
    calls.add_argument("--json", action="store_true", help="print {loops, calls} as JSON")


def _add_build(commands: Any) -> None:
    build = commands.add_parser("build", help="build an image that runs can execute in")
    build.add_argument(
        "requirements", metavar="REQUIREMENTS", nargs="?",
        help="a requirements.txt; without one the image has mellea alone",
    )  # fmt: skip
    build.add_argument("-t", "--tag", metavar="NAME", help="the image's name")
    build.add_argument(
        "--base", default="python:3.11-slim", metavar="IMAGE", help="default: %(default)s"
    )
    build.add_argument(
        "--network", metavar="NETWORK", help="of the build's steps, e.g. host, as for docker build"
    )
    build.add_argument(
        "--print-dockerfile", action="store_true", help="print what it builds from, to be changed"
    )


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
    _add_raw(retry)


def _add_compare(commands: Any) -> None:
    compare = commands.add_parser(
        "compare",
        help="put runs side by side",
        description="Two to ten runs, or a group: what differs in configuration, results, metrics, "
        "requirements and source.",
    )
    compare.add_argument("runs", metavar="RUN", nargs="*", help="id, or its first digits")
    compare.add_argument("--group", metavar="GROUP", help="the runs that were started together")
    compare.add_argument("--all", action="store_true", help="rows that are the same, too")
    compare.add_argument(
        "--diff", action=argparse.BooleanOptionalAction, default=True,
        help="the differences in source (default)",
    )  # fmt: skip
    compare.add_argument("--json", action="store_true", help="print the comparison as JSON")


def _add_export(commands: Any) -> None:
    export = commands.add_parser(
        "export",
        help="send an ended run to an OpenTelemetry collector",
        description="Send an ended run as one trace by OTLP over HTTP. Headers, such as a key, "
        "come from the variable OTEL_EXPORTER_OTLP_HEADERS. Needs mellea-jupyter[otel].",
    )
    export.add_argument("run", metavar="RUN", help="id, or its first digits")
    export.add_argument(
        "--otlp", required=True, metavar="URL", help="collector, e.g. http://localhost:4318"
    )
    export.add_argument("--content", action="store_true", help="prompts and replies, too")


def _add_env(commands: Any) -> None:
    env = commands.add_parser("env", help="environments: where runs execute")
    verbs = env.add_subparsers(dest="verb", metavar="VERB", required=True)
    listing = verbs.add_parser("ls", help="list them, with the reason where one does not work")
    listing.add_argument("--refresh", action="store_true", help="check all of them now")
    show = verbs.add_parser("show", help="show one, checked now")
    add = verbs.add_parser("add", help="make one")
    add.add_argument("name", metavar="NAME", help="shown name")
    add.add_argument("--executor", metavar="NAME", help="process (default), docker, kernel")
    where = add.add_mutually_exclusive_group()
    where.add_argument("--python", metavar="PATH", help="interpreter, for processes")
    where.add_argument("--image", help="image, for docker")
    where.add_argument("--kernel", metavar="NAME", dest="kernel_name", help="kernelspec")
    add.add_argument("--cpus", type=float, metavar="N", help="processors a run may use at once")
    add.add_argument("--memory", type=int, metavar="MB", dest="memory_mb", help="most memory")
    add.add_argument("--pids", type=int, metavar="N", dest="pids_limit", help="most processes")
    add.add_argument("--network", choices=NETWORKS, help="of a container")
    add.add_argument(
        "--pass", action="append", metavar="VARIABLE", dest="env_passthrough",
        help="variable of the server that programs get; repeatable, and then no other",
    )  # fmt: skip
    add.add_argument("--prewarm", type=int, metavar="N", help="keep so many ready")
    add.add_argument("--shared", action="store_true", default=None, help="for everybody")
    change = verbs.add_parser("set", help="change fields of one")
    change.add_argument("environment", metavar="ENV", help="id or name")
    change.add_argument(
        "fields", nargs="+", metavar="FIELD=JSON",
        help="e.g. memory_mb=4096; null resets a field",
    )  # fmt: skip
    rm = verbs.add_parser("rm", help="delete some; their runs stay")
    rm.add_argument("environments", metavar="ENV", nargs="+", help="id or name")
    show.add_argument("environment", metavar="ENV", help="id or name")
    for each in (listing, show, add, change):
        each.add_argument("--json", action="store_true", help="print it as JSON")


def _add_dataset(commands: Any) -> None:
    dataset = commands.add_parser("dataset", help="datasets: what runs read")
    verbs = dataset.add_subparsers(dest="verb", metavar="VERB", required=True)
    add = verbs.add_parser("add", help="register a file, a folder or objects, as they are now")
    add.add_argument("what", metavar="PATH_OR_URL", help="path, s3://bucket/key or s3://bucket/in/")
    add.add_argument("--name", help="shown name")
    listing = verbs.add_parser("ls", help="list them, most recently registered first")
    versions = verbs.add_parser("versions", help="list the versions of one")
    versions.add_argument("dataset", metavar="DATASET", help="id, its first digits, name or path")
    rm = verbs.add_parser("rm", help="delete some with all their versions")
    rm.add_argument("datasets", metavar="DATASET", nargs="+", help="id, first digits, name or path")
    for each in (add, listing, versions):
        each.add_argument("--json", action="store_true", help="print it as JSON")


def _add_sharing(commands: Any) -> None:
    thing = {"metavar": "RUN", "help": "id, or its first digits; or a program's id, prog_…"}
    share = commands.add_parser(
        "share",
        help="let others see a run",
        description="Share a run. A viewer reads all of it; an operator cancels and retries it as "
        "well. Of a program: let others run it.",
    )
    share.add_argument("thing", **thing)
    share.add_argument("--as", dest="role", choices=ROLES, help="default: viewer")
    unshare = commands.add_parser("unshare", help="revoke that")
    unshare.add_argument("thing", **thing)
    for each in (share, unshare):
        each.add_argument(
            "--with", dest="with_", action="append", required=True, metavar="WHO",
            help="user:NAME, group:NAME or everyone; repeatable",
        )  # fmt: skip
    shares = commands.add_parser("shares", help="list with whom a run is shared")
    shares.add_argument("thing", **thing)
    audit = commands.add_parser(
        "audit",
        help="who did what",
        description="Who did what to a run, the latest first, also after it was deleted; without "
        "a run, to all of them, for administrators.",
    )
    audit.add_argument("run", metavar="RUN", nargs="?", help="id, or its first digits")
    audit.add_argument("--user", action="append", default=[], metavar="NAME", help="done by them")
    audit.add_argument(
        "--action", action="append", default=[], choices=AUDITED, metavar="ACTION",
        help=", ".join(AUDITED),
    )  # fmt: skip
    audit.add_argument("--since", metavar="WHEN", help="since 2026-03-01, or 7d ago")
    audit.add_argument("--limit", type=int, default=50, metavar="N", help="at most (default 50)")
    for each in (share, unshare, shares, audit):
        each.add_argument("--json", action="store_true", help="print it as JSON")


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


def _add_prices(commands: Any) -> None:
    budget = commands.add_parser(
        "budget",
        help="answer a run that waits at its budget",
        description="Answer a run that waits because its next LLM call would pass its budget. "
        "Without a flag it says how the budget stands.",
    )
    budget.add_argument("run", metavar="RUN", help="id, or its first digits")
    budget.add_argument("--allow", metavar="USD", help="so many US dollars more, e.g. 0.50")
    budget.add_argument("--allow-calls", type=int, metavar="N", help="so many LLM calls more")
    budget.add_argument("--stop", action="store_true", help="no more calls")
    reprice = commands.add_parser(
        "reprice",
        help="price the calls of ended runs anew",
        description="Price the calls of ended runs anew, from their stored tokens and by the price "
        "list of the server, whose own prices are read again. Of your runs; for administrators of "
        "all.",
    )
    reprice.add_argument("--since", metavar="WHEN", help="only runs since 2026-03-01, or 7d ago")
    reprice.add_argument("--model", metavar="MODEL", help="only calls of this model")
    reprice.add_argument("--dry-run", action="store_true", help="only say what would change")
    reprice.add_argument("--json", action="store_true", help="print the reply as JSON")
