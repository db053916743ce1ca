"""Fixtures and helpers of all tests."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
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


@contextmanager
def no_descriptors_left() -> Iterator[None]:
    """Inside, whatever this process opens fails with EMFILE."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
