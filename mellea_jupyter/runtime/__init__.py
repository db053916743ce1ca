"""The code beside the program: starts it, captures it, stops it, and reports what its LLM calls do.

Standard library only and no import of anything else of ours, so that the folder can be copied
into a bare image and started alone: `python -I -S <this folder> version`. In a run it is loaded
under the name `mellea_runtime`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .current_run import current_run

if TYPE_CHECKING:
    from .budget import BudgetExceeded

__all__ = ["RUNTIME_VERSION", "BudgetExceeded", "current_run"]

RUNTIME_VERSION = "1"
"""Raised when the commands or the fork server's messages change."""


def __getattr__(name: str) -> Any:
    """`BudgetExceeded`, imported when it is asked for: a supervisor does without."""
    if name == "BudgetExceeded":
        from .budget import BudgetExceeded

        return BudgetExceeded
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
