"""Run mellea programs from Jupyter as managed runs.

Names are imported when they are first used: a server that loads the extension, and a program that
asks for `current_run`, pay for nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mellea_jupyter.client.handle import RunHandle
    from mellea_jupyter.client.launch import connect, run
    from mellea_jupyter.magics import load_ipython_extension
    from mellea_jupyter.runtime import BudgetExceeded, current_run
    from mellea_jupyter.widgets import (
        LogView,
        RunCard,
        RunMetrics,
        RunsDashboard,
        RunsTable,
        cost_summary,
    )

__version__ = "0.1.0"

__all__ = [
    "BudgetExceeded",
    "LogView",
    "RunCard",
    "RunHandle",
    "RunMetrics",
    "RunsDashboard",
    "RunsTable",
    "__version__",
    "connect",
    "cost_summary",
    "current_run",
    "load_ipython_extension",
    "run",
]


def __getattr__(name: str) -> Any:
    match name:
        case "RunHandle" | "connect" | "run":
            import mellea_jupyter.client

            return getattr(mellea_jupyter.client, name)
        case "LogView" | "RunCard" | "RunMetrics" | "RunsDashboard" | "RunsTable" | "cost_summary":
            import mellea_jupyter.widgets

            return getattr(mellea_jupyter.widgets, name)
        case "load_ipython_extension":
            from mellea_jupyter.magics import load_ipython_extension

            return load_ipython_extension
        case "BudgetExceeded" | "current_run":
            return getattr(_runtime(), name)
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)


def _runtime() -> Any:
    """The runtime that runs this program, which has its own name beside a run."""
    import sys

    if (runtime := sys.modules.get("mellea_runtime")) is not None:
        return runtime
    import mellea_jupyter.runtime

    return mellea_jupyter.runtime


def __dir__() -> list[str]:
    return sorted(__all__)


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    """Called by Jupyter Server to find the extension's application."""
    from mellea_jupyter.app import MelleaApp

    return [{"module": "mellea_jupyter", "app": MelleaApp}]
