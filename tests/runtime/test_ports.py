"""Ports for servers that listen a while after they are told where."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from mellea_jupyter.runtime import ports
from mellea_jupyter.runtime.ports import free_ports


def test_they_differ_and_are_none_that_the_system_gives_away() -> None:
    found = free_ports(50)
    assert len(set(found)) == 50
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert all(1024 <= port < first for port in found)


def test_one_that_is_taken_is_not_found(monkeypatch: pytest.MonkeyPatch) -> None:
    taken, free = free_ports(2)
    monkeypatch.setattr(ports._RANDOM, "sample", lambda *_: [taken, free])
    with socket.create_server(("127.0.0.1", taken)):
        assert free_ports(1) == [free]
        with pytest.raises(OSError, match="in use"):
            free_ports(2)


def test_an_address_of_another_machine_is_an_error() -> None:
    with pytest.raises(OSError, match="assign"):
        free_ports(1, "192.0.2.1")
