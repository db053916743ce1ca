"""Whose certificates our HTTP clients trust.

Reading the list takes some 40 ms of processor time for each client (httpx 0.28): wasted where the
address is not encrypted, as that of a server on this machine, and too long for an event loop.
"""

from __future__ import annotations

import ssl
from functools import cache


def trust_for(url: str) -> ssl.SSLContext:
    """The `verify` of clients that ask this address only; takes 40 ms for the first https one.

    For http it trusts nobody, so that a client of it never talks to a host that was not verified.
    """
    return _known_authorities() if url.lower().startswith("https:") else _nobody()


@cache
def _known_authorities() -> ssl.SSLContext:
    import httpx

    return httpx.create_ssl_context()


@cache
def _nobody() -> ssl.SSLContext:
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
