"""Run mellea programs from Jupyter as managed runs."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from mellea_jupyter.runtime.current_run import CurrentRun

    current_run: CurrentRun


def __getattr__(name: str) -> object:
    """`current_run`, imported only when asked for.

    Inside a run it is the one of the runtime that started the program, which goes by the name
    `mellea_runtime`.
    """
    if name != "current_run":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    running = sys.modules.get("mellea_runtime")
    if running is None:
        running = importlib.import_module("mellea_jupyter.runtime")
    return running.current_run
