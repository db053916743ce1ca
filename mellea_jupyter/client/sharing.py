"""With whom things are shared, and who did what: `client.sharing`, blocking and for `await`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

from mellea_jupyter.client import requests
from mellea_jupyter.client.errors import ClientError
from mellea_jupyter.client.requests import AsyncSend, Send
from mellea_jupyter.models.audit import MAX_AUDIT_PAGE, AuditEntry, AuditQuery
from mellea_jupyter.models.sharing import (
    EVERYONE,
    AssetShareList,
    Principal,
    ShareList,
    ShareRequest,
    ShareRole,
)


def parse_principal(text: str) -> Principal:
    """`user:ada`, `group:lab`, `everyone`.

    Raises:
        ClientError: none of these.
    """
    kind, _, name = text.strip().partition(":")
    if kind == EVERYONE and not name:
        return Principal(kind="everyone")
    if kind in ("user", "group") and name.strip():
        return Principal(kind="user" if kind == "user" else "group", name=name)
    raise ClientError(
        f"{text!r} is nobody to share with", hint="Write user:NAME, group:NAME or everyone."
    )


def _request(with_: str, role: ShareRole | str) -> ShareRequest:
    try:
        known = ShareRole(role)
    except ValueError:
        raise ClientError(f"{role!r} is no role", hint="Write viewer or operator.") from None
    principal = parse_principal(with_)
    return ShareRequest(kind=principal.kind, name=principal.name, role=known)


class Sharing:
    """Shares of runs and programs, and the audit trail. All methods raise `ClientError`."""

    def __init__(self, send: Send) -> None:
        self._send = send

    def shares(self, run_id: str) -> ShareList:
        """With whom a run is shared."""
        return self._send(requests.list_shares(run_id))

    def share(self, run_id: str, with_: str, role: ShareRole | str = ShareRole.VIEWER) -> ShareList:
        """Share a run, or change the role of a share; all its shares.

        Args:
            run_id: the run.
            with_: `user:ada`, `group:lab` or `everyone`.
            role: `viewer` reads it, `operator` cancels and retries it as well.
        """
        return self._send(requests.share_run(run_id, _request(with_, role)))

    def unshare(self, run_id: str, with_: str) -> ShareList:
        """Revoke a share; those that are left."""
        return self._send(requests.unshare_run(run_id, parse_principal(with_)))

    def asset_shares(self, asset_id: str) -> AssetShareList:
        """Who may run a program besides its owner."""
        return self._send(requests.list_asset_shares(asset_id))

    def share_asset(self, asset_id: str, with_: str) -> AssetShareList:
        """Let somebody run a program; all who may."""
        return self._send(requests.share_asset(asset_id, parse_principal(with_)))

    def unshare_asset(self, asset_id: str, with_: str) -> AssetShareList:
        """Revoke it; those who are left."""
        return self._send(requests.unshare_asset(asset_id, parse_principal(with_)))

    def iter_audit(
        self, run_id: str | None = None, query: AuditQuery | None = None
    ) -> Iterator[AuditEntry]:
        """Who did what, the latest first.

        Args:
            run_id: only to this run, for its owner; without, to all, for administrators.
            query: filters, only without `run_id`.
        """
        asked = query or AuditQuery(limit=MAX_AUDIT_PAGE)
        while True:
            page = self._send(requests.list_audit(run_id, asked))
            yield from page.entries
            if page.next is None:
                return
            asked = asked.model_copy(update={"cursor": page.next})


class AsyncSharing:
    """`Sharing` for `await`, which says the rest."""

    def __init__(self, send: AsyncSend) -> None:
        self._send = send

    async def shares(self, run_id: str) -> ShareList:
        """With whom a run is shared."""
        return await self._send(requests.list_shares(run_id))

    async def share(
        self, run_id: str, with_: str, role: ShareRole | str = ShareRole.VIEWER
    ) -> ShareList:
        """Share a run, or change the role of a share; all its shares."""
        return await self._send(requests.share_run(run_id, _request(with_, role)))

    async def unshare(self, run_id: str, with_: str) -> ShareList:
        """Revoke a share; those that are left."""
        return await self._send(requests.unshare_run(run_id, parse_principal(with_)))

    async def asset_shares(self, asset_id: str) -> AssetShareList:
        """Who may run a program besides its owner."""
        return await self._send(requests.list_asset_shares(asset_id))

    async def share_asset(self, asset_id: str, with_: str) -> AssetShareList:
        """Let somebody run a program; all who may."""
        return await self._send(requests.share_asset(asset_id, parse_principal(with_)))

    async def unshare_asset(self, asset_id: str, with_: str) -> AssetShareList:
        """Revoke it; those who are left."""
        return await self._send(requests.unshare_asset(asset_id, parse_principal(with_)))

    async def iter_audit(
        self, run_id: str | None = None, query: AuditQuery | None = None
    ) -> AsyncIterator[AuditEntry]:
        """Who did what, the latest first."""
        asked = query or AuditQuery(limit=MAX_AUDIT_PAGE)
        while True:
            page = await self._send(requests.list_audit(run_id, asked))
            for entry in page.entries:
                yield entry
            if page.next is None:
                return
            asked = asked.model_copy(update={"cursor": page.next})
