"""The flags of a run, once: the terminal and the magics share them, their help and their meaning.

Standard library only, so that `jupyter mellea --help` is quick.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from typing import Any, Final, NoReturn

ISOLATION: Final = ("warm", "fresh")
WORKING_DIRECTORY: Final = ("program", "run")
MODEL_STEERING: Final = ("default", "force", "off")
ON_BUDGET: Final = ("stop", "ask")


class UsageError(Exception):
    """Flags that do not fit; the text says which, and ends with the usage line."""


class FlagParser(argparse.ArgumentParser):
    """An `ArgumentParser` that raises instead of ending the process, as a notebook needs."""

    def error(self, message: str) -> NoReturn:
        """Raise `UsageError`."""
        raise UsageError(f"{message}\n{self.format_usage().strip()}")

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        """Raise `UsageError`: only `--help` comes here, which the magics do not have."""
        raise UsageError(message or "")


def add_run_flags(parser: argparse.ArgumentParser, *, waits: bool) -> None:
    """Add the flags of a run.

    Args:
        parser: gets the flags.
        waits: whether `--wait` is the default.
    """
    what = parser.add_argument_group("how the program runs")
    what.add_argument("--model", metavar="PROVIDER/NAME", help="default model, e.g. ollama/llama3")
    what.add_argument("--environment", metavar="ENV", help="environment to run in, id or name")
    what.add_argument(
        "-e",
        "--env",
        action="append",
        default=[],
        metavar="NAME[=VALUE]",
        help="variable for the program; without a value, the one set here",
    )
    what.add_argument("--timeout", type=float, metavar="SECONDS", help="longest time it may take")
    what.add_argument("--quota", type=float, metavar="MB", help="most artifact storage, in MiB")
    what.add_argument(
        "--dataset",
        action="append",
        default=[],
        metavar="NAME=WHAT[@VERSION]",
        help="data under a name: a path, s3://bucket/key, or a dataset's id",
    )
    what.add_argument("--isolation", choices=ISOLATION, help="forked interpreter, or a new one")
    what.add_argument(
        "--working-directory",
        choices=WORKING_DIRECTORY,
        help="the program's folder, or a fresh one",
    )
    what.add_argument("--model-steering", choices=MODEL_STEERING, help="what --model may change")
    what.add_argument(
        "--strict-requirements",
        action="store_true",
        help="fail when a sampling loop ends with requirements not met",
    )
    what.add_argument("--max-cost", metavar="USD", help="budget in US dollars, e.g. 0.50")
    what.add_argument(
        "--keep-kernel",
        action="store_true",
        help="leave a failed run's kernel for a console; kernel environments only",
    )
    what.add_argument("--max-llm-calls", type=int, metavar="N", help="stop at so many LLM calls")
    what.add_argument(
        "--on-budget", choices=ON_BUDGET, help="what happens when a call would pass the budget"
    )
    what.add_argument("--entry-point", metavar="FILE", help="file of a folder to start")
    how = parser.add_argument_group("how it is kept and shown")
    how.add_argument("--tag", action="append", default=[], metavar="TAG", help="label; repeatable")
    how.add_argument("--name", help="a name for people")
    how.add_argument("--note", help="a note for people")
    how.add_argument(
        "--wait",
        action=argparse.BooleanOptionalAction,
        default=waits,
        help="show the run until it ends (default)" if waits else "show the run until it ends",
    )


def split_program_args(words: list[str]) -> tuple[list[str], list[str]]:
    """The words before and after the first `--`; after it they are the program's own."""
    if "--" not in words:
        return words, []
    at = words.index("--")
    return words[:at], words[at + 1 :]


def parse_variables(flags: list[str], environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """`NAME=VALUE`, or `NAME` for the value set here.

    Raises:
        UsageError: not a name, or not set.
    """
    environ = os.environ if environ is None else environ
    variables: dict[str, str] = {}
    for flag in flags:
        name, has_value, value = flag.partition("=")
        if not name.isidentifier() or not name.isascii():
            raise UsageError(f"-e {name!r} is not the name of a variable")
        if has_value:
            variables[name] = value
        elif name in environ:
            variables[name] = environ[name]
        else:
            raise UsageError(f"-e {name}: no such variable is set here; write {name}=VALUE")
    return variables


def config_of(
    flags: argparse.Namespace, args: list[str], environ: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Keyword arguments of `launch.make_config`. Raises `UsageError`."""
    optional = {
        "isolation": flags.isolation,
        "working_directory": flags.working_directory,
        "model_steering": flags.model_steering,
        "strict_requirements": flags.strict_requirements or None,
        "max_cost_usd": flags.max_cost,
        "keep_kernel": flags.keep_kernel or None,
        "max_llm_calls": flags.max_llm_calls,
        "on_budget": flags.on_budget,
    }
    return {
        "model": flags.model,
        "args": args,
        "env": parse_variables(flags.env, environ),
        "environment": flags.environment,
        "timeout": flags.timeout,
        "quota": flags.quota,
        "datasets": flags.dataset,
        **{name: value for name, value in optional.items() if value is not None},
    }


def labels_of(flags: argparse.Namespace) -> dict[str, Any]:
    """Keyword arguments of `launch.start_run`: name, note and tags."""
    return {"name": flags.name, "note": flags.note, "tags": tuple(flags.tag)}
