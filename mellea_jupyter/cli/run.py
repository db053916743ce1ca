"""`run` and `retry`: start a run, show it, and end as it ended."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, TextIO

from mellea_jupyter.cli.compare import exit_code as group_exit_code
from mellea_jupyter.cli.compare import follow_group, print_comparison
from mellea_jupyter.cli.picking import open_client, pick_run
from mellea_jupyter.client import launch, phrases
from mellea_jupyter.client.console import RunConsole, show_until_end
from mellea_jupyter.client.flags import (
    UsageError,
    config_of,
    group_of,
    labels_of,
    parse_variables,
)
from mellea_jupyter.client.group import RunGroupHandle
from mellea_jupyter.client.handle import RunHandle, come_back
from mellea_jupyter.client.sync import MelleaClient
from mellea_jupyter.client.terminal import escape_line, json_text
from mellea_jupyter.models.budget import Forecast
from mellea_jupyter.models.config import RunConfig
from mellea_jupyter.models.run import Run, RunStatus

EXIT_FAILED = 1
EXIT_INTERRUPTED = 130


def run(flags: argparse.Namespace) -> int:
    """`jupyter mellea run PROGRAM … -- ARGS`."""
    program = launch.parse_program(flags.program, entry_point=flags.entry_point)
    config = launch.make_config(**config_of(flags, flags.program_args))
    group = group_of(flags)
    client = open_client(flags) if flags.url else launch.default_client(program.path)
    if flags.check:
        return check(client, program, config, as_json=flags.json)
    if group:
        started = launch.start_group(client, program, config, **group, **labels_of(flags))
        return present_group(started, waits=flags.wait, as_json=flags.json)
    handle = launch.start_run(client, program, config, **labels_of(flags))
    return present(handle, waits=flags.wait, as_json=flags.json, raw=flags.raw)


def check(
    client: MelleaClient, program: launch.Program, config: RunConfig, *, as_json: bool
) -> int:
    """Say what would be wrong with such a run and what it usually takes; 1 for an error."""
    reply = launch.check_run(client, program, config)
    if as_json:
        print(json_text(reply.to_json()))
    else:
        for problem in reply.problems:
            hint = f" {problem.hint}" if problem.hint else ""
            print(escape_line(f"{problem.severity}: {problem.field}: {problem.message}{hint}"))
        print(phrases.forecast(reply.forecast or Forecast(runs=0)))
    return EXIT_FAILED if any(each.severity == "error" for each in reply.problems) else 0


def retry(flags: argparse.Namespace) -> int:
    """`jupyter mellea retry RUN`."""
    overrides = parse_overrides(flags.set)
    if variables := parse_variables(flags.env):
        overrides["env_vars"] = {**overrides.get("env_vars", {}), **variables}
    with open_client(flags) as client:
        handle = RunHandle(client, client.retry_run(pick_run(client, flags.run), overrides))
        return present(handle, waits=flags.wait, as_json=flags.json, raw=flags.raw)


def parse_overrides(flags: list[str]) -> dict[str, Any]:
    """`FIELD=JSON` pairs; text that is not JSON is taken as a string.

    Raises:
        UsageError: no field.
    """
    overrides: dict[str, Any] = {}
    for flag in flags:
        field, has_value, text = flag.partition("=")
        if not field or not has_value:
            raise UsageError(f"--set {flag!r} is not FIELD=JSON")
        try:
            overrides[field] = json.loads(text)
        except ValueError:
            overrides[field] = text
    return overrides


def present(handle: RunHandle, *, waits: bool, as_json: bool, raw: bool = False) -> int:
    """Show the run until it ends, or say how to come back; the exit code."""
    console = RunConsole(out=sys.stderr if as_json else sys.stdout, err=sys.stderr, raw=raw)
    where = f" · {handle.url}" if handle.url else ""
    console.say(f"run {handle.id}{where}")
    if not waits:
        _print_run(handle.refresh().run, sys.stdout, as_json=as_json)
        return 0
    with interrupts() as caught:
        ended = show_until_end(handle, console, should_leave=lambda: _asks(caught, handle, console))
    if not ended:
        console.say(come_back(handle.id), style="")
        if as_json:
            _print_run(handle.refresh().run, sys.stdout, as_json=True)
        return EXIT_INTERRUPTED
    console.table(handle.run)
    if as_json:
        _print_run(handle.run, sys.stdout, as_json=True)
    return EXIT_INTERRUPTED if caught.was_cancelled else exit_code(handle.run)


def present_group(group: RunGroupHandle, *, waits: bool, as_json: bool) -> int:
    """Show the group until all its runs have ended, then the comparison; the exit code."""
    say = RunConsole(out=sys.stderr, err=sys.stderr).say
    say(f"group {group.id} · {phrases.count(len(group), 'run')}")
    if not waits:
        print(group.id)
        return 0
    with interrupts() as caught:
        ended = follow_group(group, sys.stderr, lambda: _leaves(caught, group.cancel, say))
    if not ended:
        say(f"the runs go on. Compare them: jupyter mellea compare --group {group.id}", style="")
        return EXIT_INTERRUPTED
    print_comparison(group.compare(), sys.stdout, as_json=as_json)
    runs = tuple(handle.run for handle in group)
    return EXIT_INTERRUPTED if caught.was_cancelled else group_exit_code(runs)


def exit_code(run: Run) -> int:
    """What a shell should see of a run that has ended."""
    if run.status is RunStatus.SUCCEEDED:
        return 0
    code = run.exit_code
    if code is None or code == 0:
        return EXIT_FAILED
    return 128 - code if code < 0 else min(code, 255)


class Interrupts:
    """What Ctrl-C did: asked for a word, and whether the word was cancel."""

    def __init__(self) -> None:
        self.is_pending = False
        self.was_cancelled = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """The signal handler. A second Ctrl-C before the first was answered leaves at once."""
        if self.is_pending:
            raise KeyboardInterrupt
        self.is_pending = True


@contextmanager
def interrupts() -> Iterator[Interrupts]:
    """Catch Ctrl-C so that no line is lost to it, and give back what was before."""
    caught = Interrupts()
    before = signal.signal(signal.SIGINT, caught)
    try:
        yield caught
    finally:
        signal.signal(signal.SIGINT, before)


def _asks(caught: Interrupts, handle: RunHandle, console: RunConsole) -> bool:
    if caught.is_pending:
        console.clear()
    return _leaves(caught, handle.cancel, console.say)


def _leaves(caught: Interrupts, cancel: Callable[[], object], say: Callable[[str], object]) -> bool:
    """Whether to leave a run alone; True after Ctrl-C unless the answer is to cancel."""
    if not caught.is_pending:
        return False
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return True
    try:
        answer = _answer()
    except (KeyboardInterrupt, EOFError):
        sys.stderr.write("\n")
        return True
    if answer.startswith("c"):
        cancel()
        caught.was_cancelled = True
        say("stopping; Ctrl-C again leaves it to the server")
        caught.is_pending = False
        return False
    return True


def _answer() -> str:
    """`d` or `c`. The prompt is on stderr: stdout is the program's."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        sys.stderr.write("[d]etach and let it go on, or [c]ancel it? ")
        sys.stderr.flush()
        line = sys.stdin.readline()
    finally:
        signal.signal(signal.SIGINT, before)
    if not line:
        raise EOFError
    return line.strip().lower()


def _print_run(run: Run, file: TextIO, *, as_json: bool) -> None:
    print(json_text(run.to_json()) if as_json else run.id, file=file)
