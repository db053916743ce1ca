"""Which server and which run a command means."""

from __future__ import annotations

import argparse
import uuid
from collections.abc import Sequence
from itertools import islice
from typing import Final

from mellea_jupyter.client.errors import ClientError
from mellea_jupyter.client.launch import connect
from mellea_jupyter.client.sync import MelleaClient
from mellea_jupyter.models.pages import MAX_PAGE, RunQuery

NEWEST: Final = 5 * MAX_PAGE
"""How many of the newest runs the first digits of an id are looked for among."""


def open_client(flags: argparse.Namespace) -> MelleaClient:
    """The client of the server named by `--url`, or found; a headless one reads the same store."""
    return connect(flags.url)


def pick_run(client: MelleaClient, given: str) -> str:
    """The id of the run that `given` is, or is the beginning of.

    Raises:
        ClientError: no run or several begin like this.
    """
    text = given.strip().lower()
    if _is_whole(text):
        return text
    query = RunQuery(limit=MAX_PAGE)
    found = [
        run.id
        for run in islice(client.iter_runs(query), NEWEST)
        if text and run.id.startswith(text)
    ]
    if len(found) == 1:
        return found[0]
    if found:
        listed = ", ".join(run_id[: len(text) + 4] for run_id in found[:5])
        raise ClientError(f"{len(found)} runs begin with {given!r}", hint=f"Say more: {listed}")
    raise ClientError(f"no run begins with {given!r}", hint="`jupyter mellea ls` lists runs.")


def pick_one(
    given: str, known: Sequence[tuple[str, Sequence[str | None]]], *, noun: str, hint: str
) -> str:
    """The id that `given` is, begins, or that one of its other names is.

    Args:
        given: what somebody typed.
        known: ids, each with its other names.
        noun: what they are.
        hint: how to list them.

    Raises:
        ClientError: none or several fit.
    """
    text = given.strip()
    matches = (
        [key for key, _ in known if key == text],
        [key for key, names in known if text in names],
        [key for key, _ in known if text and key.startswith(text)],
    )
    found = next((fitting for fitting in matches if fitting), [])
    if len(found) == 1:
        return found[0]
    if found:
        listed = ", ".join(found[:5])
        raise ClientError(f"{len(found)} {noun}s fit {given!r}", hint=f"Say which: {listed}")
    raise ClientError(f"there is no {noun} {given!r}", hint=hint)


def _is_whole(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False
