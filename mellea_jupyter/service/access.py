"""The policy: who may do what to a run, and what is left of it. Pure.

A run is its owner's until they share it. Whom it is not shared with gets the answer of a run that
is not there; who may see it and asks for more than that is told so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Final

from mellea_jupyter.auth.owner import User
from mellea_jupyter.exceptions import Expired, PermissionDenied, RunNotFound
from mellea_jupyter.models.run import Run
from mellea_jupyter.models.sharing import EVERYONE, RunRole, ShareRole


class Action(StrEnum):
    """What people do to runs."""

    READ = "read"  # record, log, calls, artifacts, source, links, comparisons
    CANCEL = "cancel"
    RETRY = "retry"  # as it is: same source, same configuration
    RECONFIGURE = "retry with changes"  # would hand the owner's secrets to another configuration
    ANSWER_BUDGET = "answer_budget"  # spends the owner's money
    CHANGE = "change"  # name, note, tags, pin
    DELETE = "delete"
    SHARE = "share"  # see with whom, add, revoke
    OPEN_KERNEL = "open_kernel"  # executes code where the program left its secrets
    AUDIT = "audit"


_VIEWER: Final = frozenset({Action.READ})
ALLOWED: Final[Mapping[RunRole, frozenset[Action]]] = {
    RunRole.VIEWER: _VIEWER,
    RunRole.OPERATOR: _VIEWER | {Action.CANCEL, Action.RETRY},
    RunRole.OWNER: frozenset(Action),
    RunRole.ADMIN: frozenset(Action),
}
"""What each role may do."""

_DOING: Final[Mapping[Action, str]] = {
    Action.READ: "see it",
    Action.CANCEL: "cancel it",
    Action.RETRY: "retry it",
    Action.RECONFIGURE: "retry it with another configuration",
    Action.ANSWER_BUDGET: "answer it about its budget",
    Action.CHANGE: "rename, tag or pin it",
    Action.DELETE: "delete it",
    Action.SHARE: "share it",
    Action.OPEN_KERNEL: "open its kernel",
    Action.AUDIT: "see who did what to it",
}


def principals_of(user: User) -> tuple[str, ...]:
    """What shares with this user name: the user, their groups, everyone."""
    return (f"user:{user.owner_id}", *(f"group:{group}" for group in user.groups), EVERYONE)


def strongest(roles: Iterable[ShareRole]) -> ShareRole | None:
    """The role of somebody with whom a run is shared several times."""
    found = set(roles)
    return next((role for role in (ShareRole.OPERATOR, ShareRole.VIEWER) if role in found), None)


def role_of(owner_id: str, user: User, shared: ShareRole | None) -> RunRole | None:
    """What the user is to a run that is shared with them so; None: it does not exist for them."""
    if owner_id == user.owner_id:
        return RunRole.OWNER
    if user.is_admin:
        return RunRole.ADMIN
    return None if shared is None else RunRole(shared.value)


def require(run: Run, role: RunRole | None, action: Action) -> RunRole:
    """The role, if it may do this to the run.

    Raises:
        RunNotFound: they may not see it; the same answer as for a run that is not there.
        PermissionDenied: they may see it, and no more than that.
    """
    if role is None:
        raise RunNotFound(run.id)
    if action in ALLOWED[role]:
        return role
    able = next(r for r in (RunRole.OPERATOR, RunRole.OWNER) if action in ALLOWED[r])
    hint = (
        f"Ask {run.owner_id}, whose run it is, to share it with you as an operator."
        if able is RunRole.OPERATOR
        else f"Ask {run.owner_id}, whose run it is, or an administrator."
    )
    article = "An" if role is RunRole.OPERATOR else "A"
    raise PermissionDenied(
        f"{article} {role} of this run may not {_DOING[action]}",
        hint=hint,
        role=role.value,
        action=action.value,
        owner_id=run.owner_id,
    )


def require_kept(run: Run) -> Run:
    """The run, if its log and artifacts are still there.

    Raises:
        Expired: the retention policy has removed them.
    """
    if not run.artifacts_purged:
        return run
    on = f" on {run.artifacts_purged_at:%Y-%m-%d}" if run.artifacts_purged_at else ""
    raise Expired(
        f"The log and artifacts of the run expired{on}",
        hint="Its record and metrics stay. Pin a run to keep all of it.",
        run_id=run.id,
    )


def visible_to(user: User) -> str | None:
    """The owner whose own things a listing is limited to; None for administrators, who see all."""
    return None if user.is_admin else user.owner_id
