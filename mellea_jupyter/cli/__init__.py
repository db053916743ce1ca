"""`jupyter mellea`: run programs and look after runs from a terminal.

Exit codes: the program's own for `run` (128 + N when signal N ended it), 1 for a run that failed
without one, 2 for wrong usage, 3 for no server or a refused request, 130 after Ctrl-C.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module

from mellea_jupyter.cli.parser import COMMANDS, make_parser

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_REFUSED = 3
EXIT_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the return value is the exit code."""
    from mellea_jupyter.client.flags import UsageError, split_program_args

    words, program_args = split_program_args(list(sys.argv[1:] if argv is None else argv))
    parser = make_parser()
    try:
        flags = parser.parse_args(words)
    except SystemExit as exc:
        return exc.code if isinstance(exc.code, int) else EXIT_USAGE
    if flags.command is None:
        parser.print_help()
        return EXIT_USAGE
    if program_args and flags.command != "run":
        print(f"jupyter mellea {flags.command} takes no program arguments", file=sys.stderr)
        return EXIT_USAGE
    from mellea_jupyter.client.errors import ClientError
    from mellea_jupyter.client.terminal import escape

    module, function = COMMANDS[flags.command]
    flags.program_args = program_args
    try:
        return int(getattr(import_module(f"mellea_jupyter.cli.{module}"), function)(flags))
    except UsageError as exc:
        print(escape(str(exc)), file=sys.stderr)
        return EXIT_USAGE
    except ClientError as exc:
        print(escape(str(exc)), file=sys.stderr)
        return EXIT_USAGE if exc.code in ("invalid_program", "invalid_input") else EXIT_REFUSED
    except KeyboardInterrupt as exc:
        print(f"\n{exc}" if str(exc) else "", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has enough. Python would complain once more when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
