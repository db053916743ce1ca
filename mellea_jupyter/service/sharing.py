"""`Sharing`: who may see and do what at this moment, and how that changes.

A request asks the store each time. Open streams ask again when something changed: shares that were
given or revoked are read from the audit trail, so those of other services on the same store are
noticed like our own, and users are remembered as they were when they last made a request.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from mellea_jupyter import clock
from mellea_jupyter.auth.owner import User
from mellea_jupyter.exceptions import InvalidInput, ShareNotFound
from mellea_jupyter.models.audit import AuditAction
from mellea_jupyter.models.run import Run
from mellea_jupyter.models.sharing import Principal, RunRole, Share, ShareList, ShareRequest
from mellea_jupyter.service.access import Action, principals_of, require, role_of, strongest
from mellea_jupyter.service.auditing import audit_entry
from mellea_jupyter.service.broker import AccessChanged, Broker
from mellea_jupyter.service.notices import NoticeService
from mellea_jupyter.service.offload import Offload
from mellea_jupyter.stores.runs.base import Identity, RunStore, Viewer

log = logging.getLogger(__name__)

KNOWN_USERS: Final = 10_000
KNOWN_RUNS: Final = 1_000


def viewer_of(user: User) -> Viewer:
    """The user, for listings of the store."""
    return Viewer(user.owner_id, principals_of(user), sees_all=user.is_admin)


class Sharing:
    """Roles of users, shares of runs, and word of what changes."""

    def __init__(
        self, *, store: RunStore, broker: Broker, notices: NoticeService, offload: Offload
    ) -> None:
        self._store = store
        self._broker = broker
        self._notices = notices
        self._offload = offload
        self._users: OrderedDict[str, User] = OrderedDict()
        self._shares: OrderedDict[str, Sequence[Share]] = OrderedDict()  # for events only
        self._saving: set[asyncio.Task[None]] = set()
        self._looked_at: int | None = None
        self._looking = asyncio.Lock()
        self._moved = asyncio.Event()

    # -- who somebody is ------------------------------------------------------------------------

    def met(self, user: User) -> None:
        """They make a request: remember them as they are. Does not wait for the store."""
        known = self._users.get(user.owner_id)
        if known == user:
            return
        self._users[user.owner_id] = user
        self._users.move_to_end(user.owner_id)
        while len(self._users) > KNOWN_USERS:
            self._users.popitem(last=False)
        task = asyncio.get_running_loop().create_task(self._save(user))
        self._saving.add(task)
        task.add_done_callback(self._saving.discard)
        if known is not None:
            self._tell()

    async def _save(self, user: User) -> None:
        identity = Identity(
            owner_id=user.owner_id,
            user_id=user.id,
            name=user.name,
            is_admin=user.is_admin,
            groups=user.groups,
        )
        try:
            if await self._offload.io(self._store.find_identity, user.owner_id) != identity:
                await self._offload.write(self._store.save_identity, identity)
        except Exception:
            log.exception("user %s could not be remembered", user.owner_id)

    async def find_user(self, owner_id: str) -> User:
        """A user as they were known last; who was never seen is in no group, and no admin."""
        known = self._users.get(owner_id)
        if known is not None:
            return known
        found = await self._offload.io(self._store.find_identity, owner_id)
        if found is None:
            return User(id=owner_id, owner_id=owner_id)
        return User(
            id=found.user_id,
            owner_id=owner_id,
            is_admin=found.is_admin,
            name=found.name,
            groups=found.groups,
        )

    # -- what they are to a run -----------------------------------------------------------------

    async def find_role(self, run: Run, user: User) -> RunRole | None:
        """What the user is to the run now; None: it does not exist for them."""
        own = role_of(run.owner_id, user, None)
        if own is not None:
            return own
        found = await self._offload.io(self._store.find_roles, [run.id], principals_of(user))
        return role_of(run.owner_id, user, found.get(run.id))

    async def require(self, run: Run, user: User, action: Action) -> Run:
        """The run as the user sees it, if they may do this to it.

        Raises:
            RunNotFound, PermissionDenied: as `access.require`.
        """
        role = require(run, await self.find_role(run, user), action)
        return run.model_copy(update={"role": role})

    async def with_roles(self, runs: Sequence[Run], user: User) -> tuple[Run, ...]:
        """Runs of a listing of the user, each with their role."""
        others = [run.id for run in runs if role_of(run.owner_id, user, None) is None]
        found = await self._offload.io(self._store.find_roles, others, principals_of(user)) if (
            others
        ) else {}  # fmt: skip
        roles = (role_of(run.owner_id, user, found.get(run.id)) for run in runs)
        return tuple(
            run.model_copy(update={"role": role})
            for run, role in zip(runs, roles, strict=True)
            if role is not None  # revoked since the page was read
        )

    # -- sharing --------------------------------------------------------------------------------

    async def shares(self, run: Run) -> ShareList:
        """With whom a run is shared. Check access before, here and below."""
        shares = await self._offload.io(self._store.list_shares, run.id)
        return ShareList(owner_id=run.owner_id, shares=tuple(shares))

    async def share(self, run: Run, request: ShareRequest, user: User) -> ShareList:
        """Share a run, or change the role of a share; those who are new to it are told.

        Raises:
            InvalidInput: with its owner.
            QuotaExceeded: it is shared with too many already.
        """
        if request.kind == "user" and request.name == run.owner_id:
            raise InvalidInput("name", f"{run.owner_id} is the owner, who may do everything")
        before = await self._offload.io(self._store.list_shares, run.id)
        same = next((each for each in before if each.key == request.key), None)
        if same is not None and same.role is request.role:
            return ShareList(owner_id=run.owner_id, shares=tuple(before))
        share = Share(
            kind=request.kind,
            name=request.name,
            role=request.role,
            shared_by=user.id,
            shared_at=clock.now(),
        )
        entry = audit_entry(
            user,
            AuditAction.SHARE,
            run,
            principal=request.key,
            role=request.role.value,
            role_before=None if same is None else same.role.value,
        )
        told = [] if same is not None else await self._people_of(request)
        told = [each for each in told if each not in (run.owner_id, user.owner_id)]
        await self._offload.write(
            self._store.save_share,
            run.id,
            share,
            audit=[entry],
            tell=self._notices.tell_shared(run, told, by=user.id),
        )
        self._notices.look()
        await self.look()
        return await self.shares(run)

    async def _people_of(self, principal: Principal) -> list[str]:
        """Owner ids of those whom a new share is news to; everyone is nobody in particular."""
        if principal.kind == "user":
            return [principal.name]
        if principal.kind == "group":
            return await self._offload.io(self._store.list_members, principal.name)
        return []

    async def unshare(self, run: Run, principal: Principal, user: User) -> ShareList:
        """Revoke a share; open streams of those who may not see the run any more end.

        Raises:
            ShareNotFound: it is not shared with them.
        """
        entry = audit_entry(user, AuditAction.UNSHARE, run, principal=principal.key)
        is_gone = await self._offload.write(
            self._store.delete_share, run.id, principal, audit=[entry]
        )
        if not is_gone:
            raise ShareNotFound(
                principal.key, hint="GET runs/{run_id}/shares lists with whom it is shared."
            )
        await self.look()
        return await self.shares(run)

    # -- word of changes ------------------------------------------------------------------------

    async def look(self) -> None:
        """Tell of shares that were given or revoked since the last look, here or elsewhere."""
        async with self._looking:
            if self._looked_at is None:
                self._looked_at = await self._offload.io(self._store.last_audit)
                self._shares.clear()
                self._tell()
                return
            entries = await self._offload.io(self._store.list_sharing_after, self._looked_at)
            for entry in entries:
                self._looked_at = entry.id
                if entry.run_id is not None:
                    self._changed(
                        entry.run_id, entry.owner_id or "", str(entry.details["principal"])
                    )
            if entries:
                self._tell()

    def run_deleted(self, run: Run, shares: Sequence[Share]) -> None:
        """Those it was shared with have it no more."""
        for share in shares:
            self._changed(run.id, run.owner_id, share.key)

    def _changed(self, run_id: str, owner_id: str, principal: str) -> None:
        self._shares.pop(run_id, None)
        self._broker.publish(AccessChanged(run_id=run_id, owner_id=owner_id, principal=principal))

    def _tell(self) -> None:
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    async def seen_by(self, run: Run, user: User) -> Run | None:
        """A run of an event as the user sees it, or None; from memory where that is current."""
        user = self._users.get(user.owner_id, user)
        role = role_of(run.owner_id, user, None)
        if role is None:
            shares = self._shares.get(run.id)
            if shares is None:
                shares = await self._offload.io(self._store.list_shares, run.id)
                self._shares[run.id] = shares
                while len(self._shares) > KNOWN_RUNS:
                    self._shares.popitem(last=False)
            own = principals_of(user)
            role = role_of(
                run.owner_id, user, strongest(each.role for each in shares if each.key in own)
            )
        return None if role is None else run.model_copy(update={"role": role})

    def concerns(self, change: AccessChanged, user: User) -> bool:
        """Whether a change of access is one of this user's."""
        user = self._users.get(user.owner_id, user)
        is_own = role_of(change.owner_id, user, None) is not None
        return not is_own and change.principal in principals_of(user)

    async def until_lost(self, run: Run, user: User) -> None:
        """Return when the user may not see the run any more: for what they follow of it."""
        while True:
            moved = self._moved
            now = self._users.get(user.owner_id, user)
            if await self.find_role(run, now) is None:
                return
            await moved.wait()

    async def close(self) -> None:
        """Wait for what is being written."""
        if self._saving:
            await asyncio.wait(self._saving)
