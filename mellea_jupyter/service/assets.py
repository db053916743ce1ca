"""`AssetService`: registering programs and finding them again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mellea_jupyter import clock
from mellea_jupyter.assets.blobs import materialize
from mellea_jupyter.assets.pinning import pin
from mellea_jupyter.auth.owner import User
from mellea_jupyter.exceptions import (
    AssetNotFound,
    InvalidInput,
    PermissionDenied,
    ShareNotFound,
)
from mellea_jupyter.models.assets import Asset, AssetCreate
from mellea_jupyter.models.audit import AuditAction
from mellea_jupyter.models.pages import AssetPage
from mellea_jupyter.models.sharing import AssetShare, AssetShareList, Principal
from mellea_jupyter.service.access import principals_of
from mellea_jupyter.service.auditing import audit_entry
from mellea_jupyter.service.environments import EnvironmentService
from mellea_jupyter.service.offload import Offload
from mellea_jupyter.service.sharing import viewer_of
from mellea_jupyter.stores.runs.base import NewAudit, RunStore

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
        principals = principals_of(user)
        if await self._offload.io(self._store.is_asset_shared, asset_id, principals):
            return asset
        raise AssetNotFound(asset_id)

    async def shares(self, asset_id: str, user: User) -> AssetShareList:
        """Who may execute an asset besides its owner.

        Raises:
            AssetNotFound: no such asset for this user.
            PermissionDenied: it is somebody else's, who lets them execute it.
        """
        asset = await self._own(asset_id, user)
        shares = await self._offload.io(self._store.list_asset_shares, asset_id)
        return AssetShareList(owner_id=asset.owner_id, shares=tuple(shares))

    async def share(self, asset_id: str, principal: Principal, user: User) -> AssetShareList:
        """Let somebody execute an asset, as it is now and as it will be registered again.

        Raises:
            AssetNotFound, PermissionDenied: as for `shares`.
            InvalidInput: its owner is named.
            QuotaExceeded: too many may already.
        """
        asset = await self._own(asset_id, user)
        if principal.kind == "user" and principal.name == asset.owner_id:
            raise InvalidInput("name", f"{asset.owner_id} is the owner, who may do everything")
        share = AssetShare(
            kind=principal.kind, name=principal.name, shared_by=user.id, shared_at=clock.now()
        )
        entry = self._entry(user, AuditAction.SHARE_ASSET, asset, principal)
        await self._offload.write(self._store.save_asset_share, asset_id, share, audit=[entry])
        return await self.shares(asset_id, user)

    async def unshare(self, asset_id: str, principal: Principal, user: User) -> AssetShareList:
        """Revoke it; runs that they have started go on.

        Raises:
            AssetNotFound, PermissionDenied: as for `shares`.
            ShareNotFound: they may not execute it.
        """
        asset = await self._own(asset_id, user)
        entry = self._entry(user, AuditAction.UNSHARE_ASSET, asset, principal)
        delete = self._store.delete_asset_share
        if not await self._offload.write(delete, asset_id, principal, audit=[entry]):
            raise ShareNotFound(
                principal.key, hint="GET assets/{asset_id}/shares lists who may execute it."
            )
        return await self.shares(asset_id, user)

    async def _own(self, asset_id: str, user: User) -> Asset:
        asset = await self.get(asset_id, user)
        if user.is_admin or asset.owner_id == user.owner_id:
            return asset
        raise PermissionDenied(
            "You may run this program, but not share it",
            hint=f"Ask {asset.owner_id}, whose it is, or an administrator.",
            owner_id=asset.owner_id,
        )

    def _entry(
        self, user: User, action: AuditAction, asset: Asset, principal: Principal
    ) -> NewAudit:
        entry = audit_entry(user, action, asset_id=asset.id, principal=principal.key)
        is_other = asset.owner_id != user.owner_id
        return replace(entry, owner_id=asset.owner_id, admin_override=is_other)

    async def find_id(self, like: Asset, user: User) -> str | None:
        """The id under which the user registered this file before; None if never."""
        origin = "\0".join((user.owner_id, like.kind, like.path or like.entry_point, ""))
        found = await self._offload.io(self._store.find_asset, origin)
        return None if found is None else found.id

    async def list(self, user: User, *, limit: int, cursor: str | None) -> AssetPage:
        """The assets that the user may execute, most recently registered first.

        Raises:
            InvalidCursor: not a cursor of this listing.
        """
        return await self._offload.io(
            self._store.list_assets, visible_to=viewer_of(user), limit=limit, cursor=cursor
        )

    def materialize(self, content_hash: str, target: Path) -> None:
        """Copy a pinned source into a run's `source/`. Blocks.

        Raises:
            StoreError, OSError: it could not be copied completely.
        """
        files = self._store.pinned_files(content_hash)
        materialize(content_hash, files, self._sources_dir, target)
