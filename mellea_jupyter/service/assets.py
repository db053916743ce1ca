"""`AssetService`: registering programs and finding them again."""

from __future__ import annotations

from pathlib import Path

from mellea_jupyter import clock
from mellea_jupyter.assets.blobs import materialize
from mellea_jupyter.assets.pinning import pin
from mellea_jupyter.auth.owner import User
from mellea_jupyter.exceptions import AssetNotFound
from mellea_jupyter.models.assets import Asset, AssetCreate
from mellea_jupyter.models.pages import AssetPage
from mellea_jupyter.service.access import visible_to
from mellea_jupyter.service.environments import EnvironmentService
from mellea_jupyter.service.offload import Offload
from mellea_jupyter.stores.runs.base import RunStore

_DEFAULT = "default_environment_id"


class AssetService:
    """Assets of one server root; their pinned sources are kept by content."""

    def __init__(
        self,
        *,
        store: RunStore,
        environments: EnvironmentService,
        root: Path,
        sources_dir: Path,
        offload: Offload,
    ) -> None:
        self._store = store
        self._environments = environments
        self._root = root
        self._sources_dir = sources_dir
        self._offload = offload

    async def register(self, request: AssetCreate, user: User) -> Asset:
        """Pin a program as it is now; the same program keeps its id and gets a new version.

        Its default environment stays where the request does not speak of one.

        Raises:
            InvalidProgram, InvalidInput: the path or source can not become an asset.
            EnvironmentNotFound: no such default environment for this user.
        """
        environment_id = request.default_environment_id
        if environment_id is not None:
            environment_id = (await self._environments.resolve(environment_id, user)).id
        pinned = await self._offload.place(
            pin, request, root=self._root, store_dir=self._sources_dir
        )
        now = clock.now()
        asset = Asset(
            id=clock.new_id("prog"),
            kind=pinned.kind,
            name=request.name or pinned.name,
            path=pinned.path,
            program_dir=pinned.program_dir,
            entry_point=pinned.entry_point,
            version=pinned.version,
            content_hash=pinned.content_hash,
            owner_id=user.owner_id,
            default_environment_id=environment_id,
            created_at=now,
            updated_at=now,
        )
        origin = "\0".join((user.owner_id, *pinned.origin))
        keep = () if "default_environment_id" in request.model_fields_set else (_DEFAULT,)
        return await self._offload.write(
            self._store.upsert_asset, asset, origin, pinned.files, keep=keep
        )

    async def get(self, asset_id: str, user: User) -> Asset:
        """An asset the user may execute.

        Raises:
            AssetNotFound: no such asset for this user.
        """
        asset = await self._offload.io(self._store.get_asset, asset_id)
        if user.is_admin or asset.owner_id == user.owner_id:
            return asset
        raise AssetNotFound(asset_id)

    async def find_id(self, like: Asset, user: User) -> str | None:
        """The id under which the user registered this file before; None if never."""
        origin = "\0".join((user.owner_id, like.kind, like.path or like.entry_point, ""))
        found = await self._offload.io(self._store.find_asset, origin)
        return None if found is None else found.id

    async def list(self, user: User, *, limit: int, cursor: str | None) -> AssetPage:
        """The user's assets, most recently registered first.

        Raises:
            InvalidCursor: not a cursor of this listing.
        """
        return await self._offload.io(
            self._store.list_assets, visible_to=visible_to(user), limit=limit, cursor=cursor
        )

    def materialize(self, content_hash: str, target: Path) -> None:
        """Copy a pinned source into a run's `source/`. Blocks.

        Raises:
            StoreError, OSError: it could not be copied completely.
        """
        files = self._store.pinned_files(content_hash)
        materialize(content_hash, files, self._sources_dir, target)
