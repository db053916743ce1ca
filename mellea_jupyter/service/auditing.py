"""The audit trail: what is written of what people do, and who may read it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from mellea_jupyter import clock
from mellea_jupyter.auth.owner import User
from mellea_jupyter.exceptions import PermissionDenied, RunNotFound
from mellea_jupyter.models.audit import AuditAction, AuditPage, AuditQuery
from mellea_jupyter.models.run import Run
from mellea_jupyter.service.access import Action
from mellea_jupyter.service.offload import Offload
from mellea_jupyter.stores.runs.base import NewAudit, RunStore


def audit_entry(
    user: User, action: AuditAction, run: Run | None = None, **details: Any
) -> NewAudit:
    """The entry of what this user does now, to a run or in general.

    Details without a value are left out.
    """
    is_other = run is not None and run.owner_id != user.owner_id
    return NewAudit(
        at=clock.now(),
        user=user.id,
        action=action,
        run_id=None if run is None else run.id,
        owner_id=None if run is None else run.owner_id,
        admin_override=is_other and user.is_admin,
        details={name: value for name, value in details.items() if value is not None},
    )


class AuditTrail:
    """Reading it: administrators all, owners what was done to their runs, also deleted ones."""

    def __init__(
        self,
        *,
        store: RunStore,
        offload: Offload,
        get_run: Callable[[str, User, Action], Awaitable[Run]],
    ) -> None:
        self._store = store
        self._offload = offload
        self._get_run = get_run

    async def list(self, query: AuditQuery, user: User) -> AuditPage:
        """A page of all that was done.

        Raises:
            PermissionDenied: the user is no administrator.
            InvalidCursor: not a cursor of this listing.
        """
        if not user.is_admin:
            raise PermissionDenied(
                "Only administrators read the whole audit trail",
                hint="GET runs/{run_id}/audit tells what was done to a run of yours.",
            )
        return await self._offload.io(self._store.list_audit, query)

    async def of_run(self, run_id: str, user: User, *, limit: int, cursor: str | None) -> AuditPage:
        """A page of what was done to a run, also after it was deleted.

        Raises:
            RunNotFound: there never was such a run for this user.
            PermissionDenied: it is only shared with them.
            InvalidCursor: not a cursor of this listing.
        """
        owners: tuple[str, ...] = ()
        try:
            await self._get_run(run_id, user, Action.AUDIT)
        except RunNotFound:
            if not user.is_admin:
                owners = (user.owner_id,)
        query = AuditQuery(run_id=(run_id,), owner_id=owners, limit=limit, cursor=cursor)
        page = await self._offload.io(self._store.list_audit, query)
        if not page.entries and cursor is None:
            raise RunNotFound(run_id)
        return page
