"""Completion on the magics' line: flags, the values some of them have, and paths."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mellea_jupyter.models.variables import is_provider_variable

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

MAGICS = ("%mellea_run", "%%mellea_run")
_PROGRAMS = (".py", ".ipynb")


def install_completer(shell: InteractiveShell) -> None:
    """Make the shell ask us on lines that begin with one of the magics."""
    for magic in MAGICS:
        shell.set_hook("complete_command", complete_event, str_key=magic)  # type: ignore[no-untyped-call]  # IPython has no types here


def complete_event(shell: Any, event: Any) -> list[str]:  # noqa: ARG001 - the hook's signature
    """IPython's hook: `event` has `line`, `text_until_cursor` and the `symbol` to complete."""
    return complete(event.text_until_cursor or event.line, event.symbol)


def complete(line: str, symbol: str) -> list[str]:
    """What `symbol`, the last word of `line`, may become; sorted.

    Nothing after `--`: those words are the program's.
    """
    from mellea_jupyter.magics.run import make_parser

    words = line.split()
    before = words[1:] if not symbol else words[1:-1]
    if "--" in before:
        return []
    parser = make_parser()
    flags = {option: action for action in parser._actions for option in action.option_strings}  # noqa: SLF001 - argparse has no public list
    if symbol.startswith("-"):
        return sorted(flag for flag in flags if flag.startswith(symbol))
    last = flags.get(before[-1]) if before else None
    if last is not None and last.nargs != 0:
        return sorted(_values(last, symbol))
    return sorted(_paths(symbol))


def _values(action: argparse.Action, start: str) -> Iterator[str]:
    """Yields values of a flag that has a list of them."""
    if action.choices is not None:
        yield from (value for value in map(str, action.choices) if value.startswith(start))
    elif action.dest == "env":
        yield from (
            name for name in os.environ if name.startswith(start) and is_provider_variable(name)
        )


def _paths(start: str) -> Iterator[str]:
    """Yields programs and folders that begin so, as they would be typed."""
    folder, _, name = start.rpartition("/")
    is_root = start.startswith("/") and not folder
    base = Path("/" if is_root else folder or ".").expanduser()
    try:
        entries = list(base.iterdir())
    except OSError:
        return
    prefix = f"{folder}/" if "/" in start else ""
    for entry in entries:
        if not entry.name.startswith(name) or (entry.name.startswith(".") and not name):
            continue
        if entry.is_dir():
            yield f"{prefix}{entry.name}/"
        elif entry.suffix in _PROGRAMS:
            yield f"{prefix}{entry.name}"
