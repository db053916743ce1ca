"""Runs in the outputs of a notebook: a live card, logs, metrics, tables and costs.

Python is thin here: a view says what is to be shown (`views.py`), a static snapshot of it is saved
with the notebook (`snapshot.py`), and what is alive is drawn by our JupyterLab extension, or, where
that is not, by a widget (`widget.py`) that the kernel answers (`bridge.py`).

Names are imported when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mellea_jupyter.lazy import lazy_names

if TYPE_CHECKING:
    from mellea_jupyter.widgets.comparison import Comparison, compare
    from mellea_jupyter.widgets.costs import CostRow, CostSummary, cost_summary
    from mellea_jupyter.widgets.views import (
        LogView,
        RunCard,
        RunMetrics,
        RunsDashboard,
        RunsTable,
        View,
    )

_MODULES = {
    "Comparison": "comparison",
    "CostRow": "costs",
    "CostSummary": "costs",
    "LogView": "views",
    "RunCard": "views",
    "RunMetrics": "views",
    "RunsDashboard": "views",
    "RunsTable": "views",
    "View": "views",
    "compare": "comparison",
    "cost_summary": "costs",
}

__all__ = [
    "Comparison",
    "CostRow",
    "CostSummary",
    "LogView",
    "RunCard",
    "RunMetrics",
    "RunsDashboard",
    "RunsTable",
    "View",
    "compare",
    "cost_summary",
]


__getattr__ = lazy_names(__name__, _MODULES)


def __dir__() -> list[str]:
    return sorted(__all__)
