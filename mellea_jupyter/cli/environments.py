"""`env`: make, look at, change and delete environments."""

from __future__ import annotations

import argparse
from typing import Final

from rich.table import Table
from rich.text import Text

from mellea_jupyter.cli.picking import open_client, pick_one
from mellea_jupyter.cli.run import parse_overrides
from mellea_jupyter.cli.tables import console
from mellea_jupyter.client.console import print_rows
from mellea_jupyter.client.sync import MelleaClient
from mellea_jupyter.client.terminal import json_text
from mellea_jupyter.models.environments import Environment

_FIELDS: Final = (
    "executor", "python", "image", "kernel_name", "cpus", "memory_mb", "pids_limit", "network",
    "env_passthrough", "prewarm", "shared",
)  # fmt: skip


def env(flags: argparse.Namespace) -> int:
    """`jupyter mellea env VERB`."""
    with open_client(flags) as client:
        return _VERBS[flags.verb](client, flags)


def _ls(client: MelleaClient, flags: argparse.Namespace) -> int:
    found = client.environments.list(refresh=flags.refresh)
    if flags.json:
        print(json_text([each.to_json() for each in found]))
    else:
        console().print(_table(found))
    return 0


def _show(client: MelleaClient, flags: argparse.Namespace) -> int:
    found = client.environments.get(_pick(client, flags.environment), refresh=True)
    return _print(found, as_json=flags.json)


def _add(client: MelleaClient, flags: argparse.Namespace) -> int:
    given = {name: getattr(flags, name) for name in _FIELDS}
    given = {name: value for name, value in given.items() if value is not None}
    if "executor" not in given:  # what it is made of says where it runs
        if "image" in given:
            given["executor"] = "docker"
        elif "kernel_name" in given:
            given["executor"] = "kernel"
    return _print(client.environments.create(flags.name, **given), as_json=flags.json)


def _set(client: MelleaClient, flags: argparse.Namespace) -> int:
    fields = parse_overrides(flags.fields)
    changed = client.environments.update(_pick(client, flags.environment), **fields)
    return _print(changed, as_json=flags.json)


def _rm(client: MelleaClient, flags: argparse.Namespace) -> int:
    for environment_id in [_pick(client, given) for given in flags.environments]:
        print(f"{client.environments.delete(environment_id).id} deleted")
    return 0


_VERBS: Final = {"ls": _ls, "show": _show, "add": _add, "set": _set, "rm": _rm}


def _pick(client: MelleaClient, given: str) -> str:
    return pick_one(
        given,
        [(each.id, (each.name,)) for each in client.environments.list()],
        noun="environment",
        hint="`jupyter mellea env ls` lists environments.",
    )


def _print(environment: Environment, *, as_json: bool) -> int:
    if as_json:
        print(json_text(environment.to_json()))
        return 0
    fields = environment.definition()
    optional = [
        ("limits", _limits(environment)),
        ("network", environment.network),
        ("variables", _passed(environment)),
        ("prewarm", str(fields["prewarm"]) if fields["prewarm"] else ""),
        *sorted(environment.facts.items()),
    ]
    print_rows(
        console(),
        [
            ("id", environment.id),
            ("name", environment.name),
            ("runs in", _place(environment)),
            ("works", _state(environment)),
            *((label, value) for label, value in optional if value),
        ],
    )
    return 0


def _table(found: tuple[Environment, ...]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("environment", "name", "runs in", "limits", "works"):
        table.add_column(title, no_wrap=title == "environment")
    for each in found:
        table.add_row(
            Text(each.id),
            Text(each.name),
            Text(_place(each)),
            Text(_limits(each)),
            Text(_state(each), style="green" if each.available else "yellow"),
        )
    return table


def _place(environment: Environment) -> str:
    what = environment.image or environment.kernel_name or environment.python
    return f"{environment.executor} {what}" if what else environment.executor


def _limits(environment: Environment) -> str:
    limits = (
        (environment.cpus, "cpus"),
        (environment.memory_mb, "MiB"),
        (environment.pids_limit, "processes"),
    )
    return ", ".join(f"{value:g} {unit}" for value, unit in limits if value is not None)


def _passed(environment: Environment) -> str:
    passed = environment.env_passthrough
    return "" if passed is None else ", ".join(passed) or "none"


def _state(environment: Environment) -> str:
    return "yes" if environment.available else f"no: {environment.reason}"
