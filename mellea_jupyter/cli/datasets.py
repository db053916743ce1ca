"""`dataset`: register, look at and delete datasets."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from typing import Final

from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

from mellea_jupyter.cli.picking import open_client, pick_one
from mellea_jupyter.cli.tables import console
from mellea_jupyter.client.console import print_rows
from mellea_jupyter.client.phrases import count
from mellea_jupyter.client.sync import MelleaClient
from mellea_jupyter.client.terminal import escape_line, json_text
from mellea_jupyter.models.datasets import Dataset
from mellea_jupyter.models.pages import MAX_PAGE


def dataset(flags: argparse.Namespace) -> int:
    """`jupyter mellea dataset VERB`."""
    with open_client(flags) as client:
        return _VERBS[flags.verb](client, flags)


def _add(client: MelleaClient, flags: argparse.Namespace) -> int:
    added = client.datasets.add(flags.what, name=flags.name)
    if flags.json:
        print(json_text(added.to_json()))
        return 0
    latest = added.latest
    rows = [
        ("id", added.id),
        ("name", added.name),
        ("version", latest.version[:12]),
        ("holds", f"{count(latest.file_count, 'file')}, {decimal(latest.size_bytes)}"),
        ("from", added.url or added.path or ""),
    ]
    print_rows(console(), rows)
    for each in latest.skipped:
        print(escape_line(f"left out: {each.path}: {each.reason}"), file=sys.stderr)
    return 0


def _ls(client: MelleaClient, flags: argparse.Namespace) -> int:
    found = list(_iter_all(client))
    if flags.json:
        print(json_text([each.to_json() for each in found]))
    elif found:
        console().print(_table(found))
    else:
        print("no datasets", file=sys.stderr)
    return 0


def _versions(client: MelleaClient, flags: argparse.Namespace) -> int:
    found = client.datasets.versions(_pick(client, flags.dataset))
    if flags.json:
        print(json_text([each.to_json() for each in found]))
        return 0
    for each in found:
        at = each.created_at.astimezone().strftime("%Y-%m-%d %H:%M")
        print(f"{each.version[:12]}  {at}  {count(each.file_count, 'file')}, "
              f"{decimal(each.size_bytes)}")  # fmt: skip
    return 0


def _rm(client: MelleaClient, flags: argparse.Namespace) -> int:
    for dataset_id in [_pick(client, given) for given in flags.datasets]:
        print(f"{client.datasets.delete(dataset_id).id} deleted")
    return 0


_VERBS: Final = {"add": _add, "ls": _ls, "versions": _versions, "rm": _rm}


def _iter_all(client: MelleaClient) -> Iterator[Dataset]:
    cursor = None
    while True:
        page = client.datasets.list(limit=MAX_PAGE, cursor=cursor)
        yield from page.datasets
        cursor = page.next
        if cursor is None:
            return


def _pick(client: MelleaClient, given: str) -> str:
    return pick_one(
        given,
        [(each.id, (each.name, each.path, each.url)) for each in _iter_all(client)],
        noun="dataset",
        hint="`jupyter mellea dataset ls` lists datasets.",
    )


def _table(found: list[Dataset]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("dataset", "name", "version", "files", "size", "from"):
        justify = "right" if title in ("files", "size") else "left"
        table.add_column(title, justify=justify, no_wrap=title != "from")  # type: ignore[arg-type]  # a literal each
    for each in found:
        table.add_row(
            each.id[:11],
            Text(each.name),
            each.latest.version[:12],
            f"{each.latest.file_count:,}",
            decimal(each.latest.size_bytes),
            Text(each.url or each.path or ""),
        )
    return table
