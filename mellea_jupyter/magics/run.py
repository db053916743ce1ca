"""The magics: the terminal's flags in a notebook, and a `RunHandle` as the result.

In a notebook the handle is displayed as the run's card, and `--wait` only keeps the cell busy until
the run has ended. IPython in a terminal gets the run as text.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError as IPythonUsageError
from IPython.core.magic import Magics, line_cell_magic, magics_class

from mellea_jupyter.client.flags import (
    FlagParser,
    UsageError,
    add_run_flags,
    config_of,
    group_of,
    labels_of,
    split_program_args,
)

if TYPE_CHECKING:
    from mellea_jupyter.client.group import RunGroupHandle

_DESCRIPTION = """Run a mellea program as a managed run.

    %mellea_run trip.py --model ollama/granite4:micro -- --city Lisbon
    run = _
    run.wait(), run.logs(), run.metrics, run.output, run.cancel()

As %%mellea_run the cell is the program:

    %%mellea_run --model ollama/granite4:micro
    import mellea
    ...

Several models, or --repeat, start a group: each model runs N times, and the cell shows the
comparison of the runs:

    %mellea_run trip.py --model openai/gpt-4o,ollama/granite4:micro --repeat 5
    group = _
    group.wait(), group.compare(), group.cancel(), list(group)

The run goes on when the kernel restarts or the notebook is closed. $name and {expression} are
filled in from the notebook on the line, not in a cell. Provider variables (OPENAI_API_KEY,
OLLAMA_HOST ...) that were set in the notebook are sent along."""


def make_parser() -> FlagParser:
    """The parser of both magics."""
    parser = FlagParser(
        prog="%mellea_run",
        add_help=False,
        description=_DESCRIPTION,
        usage="%%mellea_run PROGRAM [options] [-- PROGRAM ARGS]",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "program",
        metavar="PROGRAM",
        nargs="?",
        help=".py, .ipynb, folder or module:callable; none for a cell",
    )
    add_run_flags(parser, waits=False)
    return parser


@magics_class
class MelleaMagics(Magics):
    """Registered by `%load_ext mellea_jupyter`."""

    @line_cell_magic
    def mellea_run(self, line: str, cell: str | None = None) -> Any:
        """Replaced below by the parser's own help."""
        from mellea_jupyter.client import launch
        from mellea_jupyter.client.errors import ClientError
        from mellea_jupyter.widgets.display import has_front_end

        try:
            flags, args = parse_line(line)
            config = launch.make_config(**config_of(flags, args))
            group = group_of(flags)
            program = _program(flags, cell)
            client = launch.default_client(program.path)
            if group:
                runs = launch.start_group(client, program, config, **group, **labels_of(flags))
                if flags.wait:
                    _wait_for_group(runs)
                return runs
            handle = launch.start_run(client, program, config, **labels_of(flags))
            if flags.wait:
                if has_front_end():
                    _wait(handle)
                else:
                    self._show(handle)
        except (UsageError, ClientError) as exc:
            # IPython shows it as one message, without a traceback through our code.
            raise IPythonUsageError(str(exc)) from exc
        return handle

    def _show(self, handle: Any) -> None:
        """Show the run until it ends. Everything is printed from here, by the cell's own thread."""
        from mellea_jupyter.client.console import RunConsole, show_until_end
        from mellea_jupyter.client.handle import come_back

        console = RunConsole(sys.stdout, sys.stderr, shows_status=_is_terminal(self.shell))
        console.say(f"run {handle.id}")
        try:
            show_until_end(handle, console)
        except KeyboardInterrupt:
            console.say(come_back(handle.id), style="")
            raise
        console.table(handle.run)


MelleaMagics.mellea_run.__doc__ = make_parser().format_help()


def parse_line(line: str) -> tuple[argparse.Namespace, list[str]]:
    """Flags of a magic's line, and the program's arguments.

    Raises:
        UsageError: a quote that does not end, or flags that do not fit.
    """
    try:
        words = shlex.split(line)
    except ValueError as exc:
        raise UsageError(f"the line can not be split into words: {exc}") from exc
    words, args = split_program_args(words)
    return make_parser().parse_args(words), args


def _wait(handle: Any) -> None:
    """Show the card at once, and its end before the cell ends."""
    from mellea_jupyter.widgets.display import show_first
    from mellea_jupyter.widgets.views import RunCard

    shown = show_first(RunCard(handle))
    handle.wait()
    shown.view.accept(handle.run)
    shown.finish()


def _wait_for_group(group: RunGroupHandle) -> None:
    """Show the comparison at once, where there is a front end, and its end before the cell's."""
    from mellea_jupyter.widgets.comparison import Comparison
    from mellea_jupyter.widgets.display import has_front_end, show_first

    shown = show_first(Comparison(group)) if has_front_end() else None
    group.wait()
    if shown is not None:
        shown.finish()


def _program(flags: argparse.Namespace, cell: str | None) -> Any:
    """The cell, or what the line names."""
    from mellea_jupyter.client import launch

    if cell is None:
        return launch.parse_program(flags.program, entry_point=flags.entry_point)
    if flags.program is not None:
        raise UsageError(f"the cell is the program; remove {flags.program!r} or one percent sign")
    if flags.entry_point is not None:
        raise UsageError("--entry-point is for folders; the cell is the program")
    if not cell.strip():
        raise UsageError("the cell is empty")
    return launch.parse_program(None, source=cell)


def _is_terminal(shell: Any) -> bool:
    """Whether this is IPython in a terminal: only there a line can be rewritten."""
    return hasattr(shell, "pt_app")
