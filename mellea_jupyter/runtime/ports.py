"""Ports for servers that are told where to listen before they do. Standard library only."""

from __future__ import annotations

import random
import socket
from contextlib import ExitStack
from typing import Any, List

_RANDOM = random.SystemRandom()
_ASKED_FOR = range(10_000, 32_768)
"""Which Linux and macOS give only to those who ask for one of them."""
_MAX_TRIES = 100
_KERNEL_PORTS = ("shell_port", "iopub_port", "stdin_port", "control_port", "hb_port")


def free_ports(count: int, ip: str = "127.0.0.1") -> List[int]:
    """Free ports that nobody is given by chance until a server listens there.

    One that the system chooses may be that of somebody's next connection.

    Raises:
        OSError: there are not enough, or the address is none of this machine's.
    """
    ports: List[int] = []
    with ExitStack() as held:
        for port in _RANDOM.sample(_ASKED_FOR, _MAX_TRIES):
            ours = held.enter_context(socket.socket())
            try:
                ours.bind((ip, port))
            except OSError as error:
                problem = error
                continue
            ports.append(port)
            if len(ports) == count:
                return ports
    raise problem


def free_port() -> int:
    """One of them, on loopback."""
    return free_ports(1)[0]


def choose_kernel_ports(manager: Any) -> None:
    """Give a kernel that is to be started its ports.

    Its manager would have the system choose them, and a kernel that finds one of them taken hangs.

    Args:
        manager: jupyter_client's, of a kernel on this machine.
    """
    if manager.transport != "tcp":
        return
    try:
        ports = free_ports(len(_KERNEL_PORTS), manager.ip)
    except OSError:
        return  # the manager says what is wrong with the address
    manager.cache_ports = False
    for name, port in zip(_KERNEL_PORTS, ports):
        setattr(manager, name, port)
