"""`share`, `unshare`, `shares` and `audit`: who else may see a run, and who did what."""

from __future__ import annotations

import argparse
import json
import sys
from itertools import islice
from typing import Any

from rich.table import Table
from rich.text import Text

from mellea_jupyter.cli.picking import open_client, pick_run
from mellea_jupyter.cli.prices import parse_since
from mellea_jupyter.cli.tables import console
from mellea_jupyter.client import phrases
from mellea_jupyter.client.errors import ClientError
from mellea_jupyter.client.sync import MelleaClient
from mellea_jupyter.models.audit import MAX_AUDIT_PAGE, AuditAction, AuditEntry, AuditQuery
from mellea_jupyter.models.sharing import AssetShareList, Share, ShareList

_ASSET = "prog_"


def share(flags: argparse.Namespace) -> int:
    """`jupyter mellea share RUN --with user:ada [--as viewer]`; of a program, who may run it."""
    with open_client(flags) as client:
        reply: ShareList | AssetShareList | None = None
        for given in flags.with_:
            if flags.thing.startswith(_ASSET):
                if flags.role is not None:
                    raise ClientError(
                        "a program has no roles: whom it is shared with may run it",
                        hint="Leave --as out.",
                    )
                reply = client.sharing.share_asset(flags.thing, given)
            else:
                run_id = pick_run(client, flags.thing)
                reply = client.sharing.share(run_id, given, flags.role or "viewer")
    return _print(reply, flags)


def unshare(flags: argparse.Namespace) -> int:
    """`jupyter mellea unshare RUN --with user:ada`."""
    with open_client(flags) as client:
        reply: ShareList | AssetShareList | None = None
        for given in flags.with_:
            if flags.thing.startswith(_ASSET):
                reply = client.sharing.unshare_asset(flags.thing, given)
            else:
                reply = client.sharing.unshare(pick_run(client, flags.thing), given)
    return _print(reply, flags)


def shares(flags: argparse.Namespace) -> int:
    """`jupyter mellea shares RUN`."""
    with open_client(flags) as client:
        return _print(_shares_of(client, flags.thing), flags)


def _shares_of(client: MelleaClient, thing: str) -> ShareList | AssetShareList:
    if thing.startswith(_ASSET):
        return client.sharing.asset_shares(thing)
    return client.sharing.shares(pick_run(client, thing))


def _print(reply: ShareList | AssetShareList | None, flags: argparse.Namespace) -> int:
    if reply is None:
        return 0
    if flags.json:
        print(json.dumps(reply.to_json(), ensure_ascii=False))
        return 0
    if not reply.shares:
        print(f"private to {reply.owner_id}", file=sys.stderr)
        return 0
    for each in reply.shares:
        role = each.role.value if isinstance(each, Share) else "may run it"
        at = each.shared_at.astimezone().strftime("%Y-%m-%d %H:%M")
        print(f"{each.key}  {role}  since {at} by {each.shared_by}")
    return 0


def audit(flags: argparse.Namespace) -> int:
    """`jupyter mellea audit [RUN]`."""
    query = AuditQuery(
        user=tuple(flags.user),
        action=tuple(AuditAction(each) for each in flags.action),
        since=None if flags.since is None else parse_since(flags.since),
        limit=min(flags.limit, MAX_AUDIT_PAGE),
    )
    with open_client(flags) as client:
        run_id = None if flags.run is None else pick_audited(client, flags.run)
        entries = list(islice(client.sharing.iter_audit(run_id, query), flags.limit))
    if flags.json:
        print(json.dumps([entry.to_json() for entry in entries], ensure_ascii=False))
    elif entries:
        console().print(_table(entries))
    else:
        print("nothing is on record", file=sys.stderr)
    return 0


def pick_audited(client: MelleaClient, given: str) -> str:
    """As `pick_run`; a deleted run has to be named by its whole id."""
    try:
        return pick_run(client, given)
    except ClientError as error:
        raise ClientError(str(error), hint="Of a deleted run, give the whole id.") from error


def _table(entries: list[AuditEntry]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("when", "who", "did", "run", "of", "details"):
        table.add_column(title, no_wrap=title != "details", overflow="ellipsis")
    for entry in entries:
        table.add_row(
            entry.at.astimezone().strftime("%Y-%m-%d %H:%M:%S"),
            Text(entry.user + (" (admin)" if entry.admin_override else "")),
            entry.action,
            "" if entry.run_id is None else phrases.short_id(entry.run_id),
            Text(entry.owner_id or ""),
            Text(" ".join(f"{name}={_said(value)}" for name, value in entry.details.items())),
        )
    return table


def _said(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
