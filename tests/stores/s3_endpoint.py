"""A real S3 endpoint on loopback, and the environment that leads to it."""

from __future__ import annotations

import logging
import os
from types import TracebackType
from typing import Any, Final, Self

SETTINGS: Final = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_REGION": "us-east-1",
    "AWS_ALLOW_HTTP": "true",
}


class S3Endpoint:
    """Serves S3 while the `with` block lasts; `environment` is set for this process as well."""

    def __init__(self) -> None:
        from moto.server import ThreadedMotoServer

        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self._before: dict[str, str | None] = {}

    def __enter__(self) -> Self:
        self._server.start()
        host, port = self._server.get_host_and_port()
        self.environment = {**SETTINGS, "AWS_ENDPOINT_URL": f"http://{host}:{port}"}
        self._before = {name: os.environ.get(name) for name in self.environment}
        os.environ.update(self.environment)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for name, value in self._before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
        self._server.stop()

    def make_bucket(self, name: str) -> None:
        """An empty bucket."""
        import boto3  # type: ignore[import-untyped]  # it has no types

        client: Any = boto3.client("s3", endpoint_url=self.environment["AWS_ENDPOINT_URL"])
        client.create_bucket(Bucket=name)
