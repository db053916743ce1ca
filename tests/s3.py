"""An object store that speaks S3, on this machine: its endpoint and the way to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def serve_s3(port: int = 0) -> Iterator[str]:
    """A running endpoint; its URL. Port 0 is any that is free."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


def s3_variables(endpoint: str) -> dict[str, str]:
    """The environment that leads to it."""
    return {
        "AWS_ACCESS_KEY_ID": "test-access-0001",
        "AWS_SECRET_ACCESS_KEY": "test-secret-0001",
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ALLOW_HTTP": "true",
    }
