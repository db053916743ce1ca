"""`client.datasets`, and what a person means by `train=data/train.csv@latest`."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from mellea_jupyter.client import requests
from mellea_jupyter.client.connection import Connection
from mellea_jupyter.client.errors import InvalidConfig
from mellea_jupyter.client.requests import AsyncSend, Send
from mellea_jupyter.models.config import DatasetBinding
from mellea_jupyter.models.datasets import Dataset, DatasetCreate, DatasetPage, DatasetVersion

_ID: Final = re.compile(r"ds_[A-Za-z0-9_-]+")
_VERSION: Final = re.compile(r"latest|[0-9a-f]{6,64}")


class Datasets:
    """Datasets of one server, blocking."""

    def __init__(self, connection: Connection, send: Send) -> None:
        self._connection = connection
        self._send = send

    def add(self, what: str | os.PathLike[str], *, name: str | None = None) -> Dataset:
        """Register a file or folder, or `s3://…`, as it is now; the same one keeps its id.

        Args:
            what: path, relative to the working directory, or URL.
            name: shown name; the one it had stays where this is left out.

        Raises:
            InvalidConfig: there is no such file or folder.
            InvalidProgram: it is outside the server's root folder.
            ServerError: the server refused; nothing was registered.
        """
        return self._send(requests.create_dataset(_new(what, name, self._connection)))

    def get(self, dataset_id: str) -> Dataset:
        """A dataset and its latest version."""
        return self._send(requests.get_dataset(dataset_id))

    def list(self, *, limit: int = 50, cursor: str | None = None) -> DatasetPage:
        """A page of datasets, most recently registered first."""
        return self._send(requests.list_datasets(limit=limit, cursor=cursor))

    def versions(self, dataset_id: str) -> tuple[DatasetVersion, ...]:
        """Its versions, most recently registered first."""
        return self._send(requests.list_dataset_versions(dataset_id))

    def delete(self, dataset_id: str) -> Dataset:
        """Delete it with all versions; what it was. Runs that have started keep their inputs."""
        return self._send(requests.delete_dataset(dataset_id))

    def bind(self, bindings: Sequence[DatasetBinding]) -> tuple[DatasetBinding, ...]:
        """Bindings as the server wants them: a path or URL in the place of an id is registered.

        Raises: as `add`.
        """
        bound = []
        for binding in bindings:
            what, version = split_version(binding.dataset_id)
            version = binding.version or version
            if not _ID.fullmatch(what):
                added = self.add(what)
                what, version = added.id, version or added.latest.version
            bound.append(binding.model_copy(update={"dataset_id": what, "version": version}))
        return tuple(bound)


class AsyncDatasets:
    """`Datasets` for `await`."""

    def __init__(self, connection: Connection, send: AsyncSend) -> None:
        self._connection = connection
        self._send = send

    async def add(self, what: str | os.PathLike[str], *, name: str | None = None) -> Dataset:
        """Register a file, a folder or objects; as `Datasets.add`."""
        return await self._send(requests.create_dataset(_new(what, name, self._connection)))

    async def get(self, dataset_id: str) -> Dataset:
        """A dataset and its latest version."""
        return await self._send(requests.get_dataset(dataset_id))

    async def list(self, *, limit: int = 50, cursor: str | None = None) -> DatasetPage:
        """A page of datasets, most recently registered first."""
        return await self._send(requests.list_datasets(limit=limit, cursor=cursor))

    async def versions(self, dataset_id: str) -> tuple[DatasetVersion, ...]:
        """Its versions, most recently registered first."""
        return await self._send(requests.list_dataset_versions(dataset_id))

    async def delete(self, dataset_id: str) -> Dataset:
        """Delete it with all versions; what it was. Runs that have started keep their inputs."""
        return await self._send(requests.delete_dataset(dataset_id))


def split_version(text: str) -> tuple[str, str | None]:
    """An id, path or URL, and the version after its last `@`, where there is one.

    A path that exists is a path, whatever is in its name, and a version is `latest` or digits.
    """
    what, at, version = text.rpartition("@")
    is_version = bool(at and what) and (_VERSION.fullmatch(version) or _ID.fullmatch(what))
    if not is_version or Path(text).expanduser().exists():
        return text, None
    return what, version


def _new(what: str | os.PathLike[str], name: str | None, connection: Connection) -> DatasetCreate:
    text = os.fspath(what)
    if "://" in text:
        return DatasetCreate(url=text, name=name)
    path = Path(text).expanduser()
    if not path.exists():
        raise InvalidConfig(
            f"there is no file or folder {text!r} in {Path.cwd()}",
            field="datasets",
            hint="Name a path, a URL such as s3://bucket/key, or an id: "
            "`jupyter mellea dataset ls` lists those.",
        )
    absolute = Path(os.path.abspath(path))  # noqa: PTH100 - keeps links
    return DatasetCreate(path=connection.relative_path(absolute), name=name)
