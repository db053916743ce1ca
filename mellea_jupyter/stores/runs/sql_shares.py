"""Shares of runs and assets, and who was seen in which group, in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, Table, delete, func, insert, select

from mellea_jupyter.clock import from_unix
from mellea_jupyter.exceptions import AssetNotFound, QuotaExceeded, RunNotFound
from mellea_jupyter.models.sharing import (
    MAX_SHARES,
    AssetShare,
    Principal,
    Share,
    ShareRole,
)
from mellea_jupyter.stores.notices.base import Tell
from mellea_jupyter.stores.notices.sql import record as record_notice
from mellea_jupyter.stores.runs import sql_audit
from mellea_jupyter.stores.runs import sqlite as dialect
from mellea_jupyter.stores.runs.base import Identity, NewAudit
from mellea_jupyter.stores.runs.rows import to_ms
from mellea_jupyter.stores.runs.sql_part import SqlPart
from mellea_jupyter.stores.runs.tables import (
    asset_shares,
    assets,
    identities,
    identity_groups,
    runs,
    shares,
)

_USER = "user:"
_GROUP = "group:"


class SqlShares(SqlPart):
    """With whom things are shared."""

    def save_share(
        self, run_id: str, share: Share, *,
        audit: Sequence[NewAudit] = (), tell: Sequence[Tell] = (),
    ) -> None:  # fmt: skip
        with self._writing() as connection:
            if connection.scalar(select(runs.c.n).where(runs.c.id == run_id)) is None:
                raise RunNotFound(run_id)
            row = {"run_id": run_id, "role": share.role.value, **_columns(share)}
            _add(connection, shares, row)
            sql_audit.record(connection, audit)
            for each in tell:
                record_notice(connection, each)

    def delete_share(
        self, run_id: str, principal: Principal, *, audit: Sequence[NewAudit] = ()
    ) -> bool:
        of_run = (shares.c.run_id == run_id, shares.c.principal == principal.key)
        with self._writing() as connection:
            is_there = connection.execute(delete(shares).where(*of_run)).rowcount > 0
            if is_there:
                sql_audit.record(connection, audit)
        return is_there

    def list_shares(self, run_id: str) -> list[Share]:
        query = select(shares).where(shares.c.run_id == run_id).order_by(shares.c.principal)
        with self._reading() as connection:
            return [Share(role=row.role, **_fields(row)) for row in connection.execute(query)]

    def find_roles(self, run_ids: Sequence[str], principals: Sequence[str]) -> dict[str, ShareRole]:
        if not run_ids or not principals:
            return {}
        query = select(shares.c.run_id, shares.c.role).where(
            shares.c.run_id.in_(run_ids), shares.c.principal.in_(principals)
        )
        found: dict[str, ShareRole] = {}
        with self._reading() as connection:
            for run_id, role in connection.execute(query):
                if found.get(run_id) is not ShareRole.OPERATOR:
                    found[run_id] = ShareRole(role)
        return found

    def list_readers(self, run_id: str) -> list[str]:
        with self._reading() as connection:
            owner_id = connection.scalar(select(runs.c.owner_id).where(runs.c.id == run_id))
            named = select(shares.c.principal).where(shares.c.run_id == run_id)
            principals = list(connection.scalars(named))
            users = {p.removeprefix(_USER) for p in principals if p.startswith(_USER)}
            groups = [p.removeprefix(_GROUP) for p in principals if p.startswith(_GROUP)]
            if groups:
                members = select(identity_groups.c.owner_id)
                users.update(connection.scalars(members.where(identity_groups.c.name.in_(groups))))
        return sorted(users - {owner_id})

    def save_asset_share(
        self, asset_id: str, share: AssetShare, *, audit: Sequence[NewAudit] = ()
    ) -> None:
        with self._writing() as connection:
            if connection.scalar(select(assets.c.id).where(assets.c.id == asset_id)) is None:
                raise AssetNotFound(asset_id)
            _add(connection, asset_shares, {"asset_id": asset_id, **_columns(share)})
            sql_audit.record(connection, audit)

    def delete_asset_share(
        self, asset_id: str, principal: Principal, *, audit: Sequence[NewAudit] = ()
    ) -> bool:
        of_asset = (asset_shares.c.asset_id == asset_id, asset_shares.c.principal == principal.key)
        with self._writing() as connection:
            is_there = connection.execute(delete(asset_shares).where(*of_asset)).rowcount > 0
            if is_there:
                sql_audit.record(connection, audit)
        return is_there

    def list_asset_shares(self, asset_id: str) -> list[AssetShare]:
        query = select(asset_shares).where(asset_shares.c.asset_id == asset_id)
        with self._reading() as connection:
            rows = connection.execute(query.order_by(asset_shares.c.principal))
            return [AssetShare(**_fields(row)) for row in rows]

    def is_asset_shared(self, asset_id: str, principals: Sequence[str]) -> bool:
        query = select(asset_shares.c.asset_id).where(
            asset_shares.c.asset_id == asset_id, asset_shares.c.principal.in_(principals)
        )
        with self._reading() as connection:
            return connection.scalar(query.limit(1)) is not None

    def save_identity(self, identity: Identity) -> None:
        row = {
            "owner_id": identity.owner_id,
            "user_id": identity.user_id,
            "name": identity.name,
            "is_admin": identity.is_admin,
        }
        before = delete(identity_groups).where(identity_groups.c.owner_id == identity.owner_id)
        groups = [
            {"owner_id": identity.owner_id, "name": name} for name in dict.fromkeys(identity.groups)
        ]
        with self._writing() as connection:
            connection.execute(dialect.upsert(identities), row)
            connection.execute(before)
            if groups:
                connection.execute(insert(identity_groups), groups)

    def find_identity(self, owner_id: str) -> Identity | None:
        of_owner = identity_groups.c.owner_id == owner_id
        with self._reading() as connection:
            row = connection.execute(
                select(identities).where(identities.c.owner_id == owner_id)
            ).one_or_none()
            if row is None:
                return None
            names = select(identity_groups.c.name).where(of_owner)
            groups = tuple(connection.scalars(names.order_by(identity_groups.c.name)))
        return Identity(**row._asdict(), groups=groups)

    def list_members(self, group: str) -> list[str]:
        members = select(identity_groups.c.owner_id).where(identity_groups.c.name == group)
        with self._reading() as connection:
            return list(connection.scalars(members.order_by(identity_groups.c.owner_id)))


def take_over(connection: Connection, run_id: str, from_run_id: str) -> None:
    """Share a new run as another one is, as part of the transaction that makes it."""
    rows = connection.execute(select(shares).where(shares.c.run_id == from_run_id)).all()
    if rows:
        same = [{**row._asdict(), "run_id": run_id} for row in rows]
        connection.execute(insert(shares), same)


def _add(connection: Connection, table: Table, row: dict[str, Any]) -> None:
    """Raises QuotaExceeded."""
    (own, *_) = table.c
    others = (own == row[own.name], table.c.principal != row["principal"])
    count = connection.scalar(select(func.count()).select_from(table).where(*others)) or 0
    if count >= MAX_SHARES:
        raise QuotaExceeded(
            f"It is shared with {count} users and groups already, the most there can be",
            hint="Revoke one, or share it with a group.",
        )
    connection.execute(dialect.upsert(table), row)


def _columns(share: Share | AssetShare) -> dict[str, Any]:
    return {
        "principal": share.key,
        "shared_by": share.shared_by,
        "shared_ms": to_ms(share.shared_at),
    }


def _fields(row: Row[Any]) -> dict[str, Any]:
    """What all shares have; `everyone < group: < user:`, so the column's order is the shown one."""
    kind, _, name = row.principal.partition(":")
    shared_at = from_unix(row.shared_ms / 1000)
    return {"kind": kind, "name": name, "shared_by": row.shared_by, "shared_at": shared_at}
