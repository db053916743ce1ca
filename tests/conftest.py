"""Fixtures and helpers of all tests."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest

pytest_plugins = ["pytest_jupyter.jupyter_server"]


def require(component: str, reason: str) -> NoReturn:
    """Leave the test because a component is missing here.

    On a laptop the test is skipped with the reason. Where ``CI`` is set it fails, since there
    everything has to be present: a test that silently stops running is worse than none.
    """
    text = f"needs {component}: {reason}"
    if os.environ.get("CI"):
        pytest.fail(text, pytrace=False)
    pytest.skip(text)
