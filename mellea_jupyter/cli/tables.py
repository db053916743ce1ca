"""Where tables for people go."""

from __future__ import annotations

from mellea_jupyter.client.safe_console import SafeConsole


def console() -> SafeConsole:
    """As wide as the terminal; a pipe gets every column whole."""
    found = SafeConsole()
    return found if found.is_terminal else SafeConsole(width=400)
