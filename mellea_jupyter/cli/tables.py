"""Where tables for people go."""

from __future__ import annotations

from rich.console import Console


def console() -> Console:
    """As wide as the terminal; a pipe gets every column whole."""
    found = Console(highlight=False)
    return found if found.is_terminal else Console(highlight=False, width=400)
