"""`pin`, `unpin` and `sweep`: what is kept of ended runs."""

from __future__ import annotations

import argparse

from mellea_jupyter.cli.picking import open_client, pick_run
from mellea_jupyter.client import phrases
from mellea_jupyter.client.terminal import escape_line, json_text
from mellea_jupyter.models.requests import RunPatch


def pin(flags: argparse.Namespace) -> int:
    """`jupyter mellea pin RUN…`."""
    return _set_pins(flags, pinned=True)


def unpin(flags: argparse.Namespace) -> int:
    """`jupyter mellea unpin RUN…`."""
    return _set_pins(flags, pinned=False)


def _set_pins(flags: argparse.Namespace, *, pinned: bool) -> int:
    with open_client(flags) as client:
        for run_id in [pick_run(client, given) for given in flags.runs]:
            run = client.update_run(run_id, RunPatch(pinned=pinned))
            print(f"{phrases.short_id(run_id)} {phrases.expiry(run) or 'not ended yet'}")
    return 0


def sweep(flags: argparse.Namespace) -> int:
    """`jupyter mellea sweep [--dry-run]`; 1 when a run could not be swept."""
    with open_client(flags) as client:
        reply = client.sweep(dry_run=flags.dry_run)
        kept = client.get_retention()
    if flags.json:
        print(json_text(reply.to_json()))
        return 1 if reply.failed else 0
    for run in reply.runs:
        expired = run.expired_at.astimezone().strftime("%Y-%m-%d %H:%M")
        size = phrases.size(run.size_bytes)
        name = escape_line(run.asset_name)
        print(f"{phrases.short_id(run.run_id)} {name}  expired {expired}  {size}")
    verb = "would be removed" if reply.dry_run else "removed"
    print(f"{phrases.count(len(reply.runs), 'run')}, {phrases.size(reply.size_bytes)} {verb}")
    if reply.failed:
        print(f"{phrases.count(reply.failed, 'run')} could not be swept; the server's log says why")
    if reply.more:
        print("there are more; sweep again")
    print(f"runs take {phrases.size(kept.used_bytes)}, {phrases.size(kept.free_bytes)} are free")
    return 1 if reply.failed else 0
