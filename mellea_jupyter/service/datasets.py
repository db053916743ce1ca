"""`DatasetService`: registering data, and putting the right version before each run.

A dataset belongs to who registered it; nobody else sees or binds it, but administrators.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from mellea_jupyter import clock
from mellea_jupyter.auth.owner import User
from mellea_jupyter.datasets import blobs, inputs, objects
from mellea_jupyter.datasets.pinning import Pinned, pin_path
from mellea_jupyter.exceptions import DatasetNotFound, InvalidInput, LaunchFailed
from mellea_jupyter.models.config import DatasetBinding
from mellea_jupyter.models.datasets import (
    Dataset,
    DatasetCreate,
    DatasetKind,
    DatasetPage,
    DatasetVersion,
    DatasetVersionList,
)
from mellea_jupyter.service.access import visible_to
from mellea_jupyter.service.offload import Offload
from mellea_jupyter.stores.runs.base import RunStore

LATEST = "latest"
_SHORTEST_VERSION = 6


class DatasetService:
    """Datasets of one server root.

    Args:
        store_dir: where the bytes of files are kept.
        max_bytes: largest file or folder that may be registered.
    """

    def __init__(
        self, *, store: RunStore, root: Path, store_dir: Path, offload: Offload, max_bytes: int
    ) -> None:
        self._store = store
        self._root = root
        self._store_dir = store_dir
        self._offload = offload
        self._max_bytes = max_bytes

    async def register(self, request: DatasetCreate, user: User) -> Dataset:
        """Pin what is at a path or URL now; the same one keeps its id and gets a version.

        Raises:
            InvalidInput: it can not be a dataset; says why.
            QuotaExceeded: it is too large, or there is no room.
        """
        pinned = await self._offload.fetch(self._pin, request)
        now = clock.now()
        latest = DatasetVersion(
            version=pinned.version,
            file_count=len(pinned.files),
            size_bytes=pinned.size_bytes,
            skipped=pinned.skipped,
            created_at=now,
        )
        is_url = pinned.kind == DatasetKind.URL
        dataset = Dataset(
            id=clock.new_id("ds"),
            kind=pinned.kind,
            name=request.name or pinned.name,
            path=None if is_url else pinned.place,
            url=pinned.place if is_url else None,
            owner_id=user.owner_id,
            latest=latest,
            created_at=now,
            updated_at=now,
        )
        origin = f"{user.owner_id}\0{pinned.kind}\0{pinned.place}"
        keep = () if request.name else ("name",)
        return await self._offload.write(
            self._store.upsert_dataset, dataset, origin, pinned.files, keep=keep
        )

    def _pin(self, request: DatasetCreate) -> Pinned:
        if request.url is not None:
            return objects.look_up(request.url)
        return pin_path(
            request.path or "",
            root=self._root,
            store_dir=self._store_dir,
            max_bytes=self._max_bytes,
        )

    async def get(self, dataset_id: str, user: User) -> Dataset:
        """A dataset the user may bind.

        Raises:
            DatasetNotFound: no such dataset for this user.
        """
        dataset = await self._offload.io(self._store.get_dataset, dataset_id)
        if user.is_admin or dataset.owner_id == user.owner_id:
            return dataset
        raise DatasetNotFound(dataset_id)

    async def list(self, user: User, *, limit: int, cursor: str | None) -> DatasetPage:
        """The user's datasets, most recently registered first.

        Raises:
            InvalidCursor: not a cursor of this listing.
        """
        return await self._offload.io(
            self._store.list_datasets, visible_to=visible_to(user), limit=limit, cursor=cursor
        )

    async def versions(self, dataset_id: str, user: User) -> DatasetVersionList:
        """All versions, most recently registered first. Raises DatasetNotFound."""
        dataset = await self.get(dataset_id, user)
        found = await self._offload.io(self._store.list_dataset_versions, dataset.id)
        return DatasetVersionList(versions=tuple(found))

    async def delete(self, dataset_id: str, user: User) -> Dataset:
        """Remove a dataset with all versions; what it was. Its bytes go within some hours.

        Runs that have their inputs keep them; those that still wait will fail.

        Raises:
            DatasetNotFound: no such dataset for this user.
        """
        dataset = await self.get(dataset_id, user)
        await self._offload.write(self._store.delete_dataset, dataset.id)
        return dataset

    async def bind(
        self, bindings: Sequence[DatasetBinding], user: User
    ) -> tuple[DatasetBinding, ...]:
        """The bindings with the version that each means now, written out.

        Raises:
            DatasetNotFound: no such dataset for this user.
            InvalidInput: it has no such version, or two bindings have one name.
        """
        bound = []
        for index, binding in enumerate(bindings):
            dataset = await self.get(binding.dataset_id, user)
            version = await self._version(dataset, binding.version or LATEST, index)
            bound.append(binding.model_copy(update={"version": version}))
        return tuple(bound)

    async def _version(self, dataset: Dataset, wanted: str, index: int) -> str:
        if wanted == LATEST:
            return dataset.latest.version
        known = await self._offload.io(self._store.list_dataset_versions, dataset.id)
        found = [each.version for each in known if each.version.startswith(wanted)]
        if len(found) == 1 and len(wanted) >= _SHORTEST_VERSION:
            return found[0]
        there_are = ", ".join(each.version[:12] for each in known[:5])
        raise InvalidInput(
            f"config.datasets.{index}.version",
            f"{dataset.name!r} has {'several versions' if found else 'no version'} {wanted!r}",
            hint=f"There are: {there_are}. At least {_SHORTEST_VERSION} digits name one.",
        )

    def fill(
        self,
        bindings: Sequence[DatasetBinding],
        inputs_dir: Path,
        *,
        should_stop: Callable[[], bool],
    ) -> dict[str, str]:
        """Put a run's datasets into its `inputs/`; their paths by name. Blocks.

        Raises:
            LaunchFailed: a dataset is gone, or an object can not be had as it was.
            StoreError: a pinned file is missing or was changed.
            Stopped: `should_stop` said so.
            OSError: there is no room.
        """
        wanted = []
        for binding in bindings:
            try:
                dataset = self._store.get_dataset(binding.dataset_id)
            except DatasetNotFound as error:
                msg = f"The dataset {binding.name!r} was deleted before the run started"
                raise LaunchFailed(msg, hint="Register it again.") from error
            files = self._store.dataset_files(binding.version or dataset.latest.version)
            wanted.append(inputs.Input(binding.name, dataset, tuple(files)))
        return inputs.fill(inputs_dir, wanted, self._store_dir, should_stop=should_stop)

    def sweep(self, unused_seconds: float) -> int:
        """Remove bytes that no dataset has any more; how many files. Blocks."""
        return blobs.sweep(self._store_dir, self._store.is_dataset_checksum_known, unused_seconds)
