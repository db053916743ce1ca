"""Assets and the files of their sources, in SQL."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import select

from mellea_jupyter.exceptions import AssetNotFound
from mellea_jupyter.models.assets import Asset, PinnedFile
from mellea_jupyter.models.pages import AssetPage
from mellea_jupyter.stores.runs import sqlite as dialect
from mellea_jupyter.stores.runs.base import Viewer
from mellea_jupyter.stores.runs.sql_part import SqlPart, upsert_by_origin
from mellea_jupyter.stores.runs.tables import asset_shares, assets, pinned_files


class SqlAssets(SqlPart):
    """What runs execute."""

    def upsert_asset(
        self, asset: Asset, origin: str, files: Sequence[PinnedFile], *, keep: Collection[str] = ()
    ) -> Asset:
        with self._writing() as connection:
            asset = upsert_by_origin(connection, assets, asset, origin, keep)
            if files:
                rows = [{"content_hash": asset.content_hash, **dict(file)} for file in files]
                connection.execute(dialect.upsert(pinned_files), rows)
        return asset

    def get_asset(self, asset_id: str) -> Asset:
        with self._reading() as connection:
            doc = connection.scalar(select(assets.c.doc).where(assets.c.id == asset_id))
        if doc is None:
            raise AssetNotFound(asset_id)
        return Asset.model_validate_json(doc)

    def find_asset(self, origin_prefix: str) -> Asset | None:
        begins = (assets.c.origin >= origin_prefix, assets.c.origin < f"{origin_prefix}\uffff")
        query = select(assets.c.doc).where(*begins).order_by(assets.c.updated_ms.desc())
        with self._reading() as connection:
            doc = connection.scalar(query.limit(1))
        return None if doc is None else Asset.model_validate_json(doc)

    def list_assets(
        self, *, visible_to: Viewer | None, limit: int, cursor: str | None
    ) -> AssetPage:
        visible = None
        if visible_to is not None and not visible_to.sees_all:
            shared = select(asset_shares.c.asset_id).where(
                asset_shares.c.principal.in_(visible_to.principals)
            )
            visible = (assets.c.owner_id == visible_to.owner_id) | assets.c.id.in_(shared)
        docs, following = self._newest(assets, visible=visible, limit=limit, cursor=cursor)
        return AssetPage(assets=tuple(map(Asset.model_validate_json, docs)), next=following)

    def pinned_files(self, content_hash: str) -> list[PinnedFile]:
        columns = (pinned_files.c.path, pinned_files.c.checksum, pinned_files.c.size_bytes)
        query = select(*columns).where(pinned_files.c.content_hash == content_hash)
        with self._reading() as connection:
            rows = connection.execute(query.order_by(pinned_files.c.path)).all()
        return [PinnedFile.model_validate(row._asdict()) for row in rows]
