"""The fake server as the one that started this kernel, and a thread that is gone afterwards."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mellea_jupyter.client import MelleaClient
from mellea_jupyter.widgets.bridge import BRIDGE
from tests.cli.conftest import fake
from tests.client.fake_server import FakeServer

__all__ = ["fake"]


@pytest.fixture
def client(fake: FakeServer) -> Iterator[MelleaClient]:
    with MelleaClient(fake.connection) as client:
        yield client


@pytest.fixture
def bridge() -> Iterator[None]:
    """The thread of the widgets, which has ended after the test."""
    yield
    BRIDGE.stop()
