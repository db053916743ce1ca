"""Which services are taken for alive."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from mellea_jupyter.service.leases import ServiceLease
from tests.conftest import no_descriptors_left


def test_a_lease_is_held_until_its_service_gives_it_up(tmp_path: Path) -> None:
    first, second = ServiceLease(tmp_path), ServiceLease(tmp_path)
    assert second.is_held(first.id)
    assert first.is_held(first.id)
    first.close()
    assert not second.is_held(first.id)
    assert not second.is_held("never-there")
    second.close()


def test_a_lease_is_not_free_because_it_can_not_be_looked_at(tmp_path: Path) -> None:
    first, second = ServiceLease(tmp_path), ServiceLease(tmp_path)
    with no_descriptors_left(), pytest.raises(OSError, match="open files") as caught:
        second.is_held(first.id)
    assert caught.value.errno == errno.EMFILE
    assert second.is_held(first.id)
    first.close()
    second.close()
