"""The policy, role by role and action by action."""

from __future__ import annotations

import pytest

from mellea_jupyter import clock
from mellea_jupyter.auth.owner import User
from mellea_jupyter.exceptions import PermissionDenied, RunNotFound
from mellea_jupyter.models.config import RunConfig
from mellea_jupyter.models.run import Run, RunStatus
from mellea_jupyter.models.sharing import RunRole, ShareRole
from mellea_jupyter.service.access import (
    ALLOWED,
    Action,
    principals_of,
    require,
    role_of,
    strongest,
)

RUN = Run(
    id="00000000-0000-4000-8000-000000000000",
    asset_id="prog_1",
    asset_version="1",
    owner_id="ada",
    config=RunConfig(),
    status=RunStatus.FAILED,
    created_at=clock.now(),
)
ADA = User(id="ada", owner_id="ada")
BOB = User(id="bob", owner_id="bob", groups=("class", "lab"))
ROOT = User(id="root", owner_id="root", is_admin=True)

MAY = {
    Action.READ: {RunRole.VIEWER, RunRole.OPERATOR, RunRole.OWNER, RunRole.ADMIN},
    Action.CANCEL: {RunRole.OPERATOR, RunRole.OWNER, RunRole.ADMIN},
    Action.RETRY: {RunRole.OPERATOR, RunRole.OWNER, RunRole.ADMIN},
    Action.RECONFIGURE: {RunRole.OWNER, RunRole.ADMIN},
    Action.ANSWER_BUDGET: {RunRole.OWNER, RunRole.ADMIN},
    Action.CHANGE: {RunRole.OWNER, RunRole.ADMIN},
    Action.DELETE: {RunRole.OWNER, RunRole.ADMIN},
    Action.SHARE: {RunRole.OWNER, RunRole.ADMIN},
    Action.OPEN_KERNEL: {RunRole.OWNER, RunRole.ADMIN},
    Action.AUDIT: {RunRole.OWNER, RunRole.ADMIN},
}


def test_the_table_has_every_action_and_every_role() -> None:
    assert set(MAY) == set(Action)
    assert set(ALLOWED) == set(RunRole)


@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize("role", RunRole)
def test_what_a_role_may_do(role: RunRole, action: Action) -> None:
    if role in MAY[action]:
        assert require(RUN, role, action) is role
        return
    with pytest.raises(PermissionDenied) as refused:
        require(RUN, role, action)
    assert refused.value.message.startswith(("A viewer of this run may", "An operator of this"))
    assert "ada" in refused.value.hint
    assert refused.value.details == {"role": role, "action": action, "owner_id": "ada"}


@pytest.mark.parametrize("action", Action)
def test_without_a_role_a_run_is_not_there(action: Action) -> None:
    with pytest.raises(RunNotFound) as refused:
        require(RUN, None, action)
    absent = RunNotFound(RUN.id)
    said = refused.value
    assert (said.message, said.hint, said.details) == (absent.message, absent.hint, absent.details)


@pytest.mark.parametrize(
    ("user", "shared", "role"),
    [
        (ADA, None, RunRole.OWNER),
        (ADA, ShareRole.VIEWER, RunRole.OWNER),
        (ROOT, None, RunRole.ADMIN),
        (ROOT, ShareRole.VIEWER, RunRole.ADMIN),
        (BOB, None, None),
        (BOB, ShareRole.VIEWER, RunRole.VIEWER),
        (BOB, ShareRole.OPERATOR, RunRole.OPERATOR),
    ],
)
def test_what_somebody_is_to_a_run(
    user: User, shared: ShareRole | None, role: RunRole | None
) -> None:
    assert role_of("ada", user, shared) is role


def test_of_several_shares_the_strongest_counts() -> None:
    assert strongest([]) is None
    assert strongest([ShareRole.VIEWER]) is ShareRole.VIEWER
    assert strongest([ShareRole.VIEWER, ShareRole.OPERATOR]) is ShareRole.OPERATOR


def test_a_user_is_named_by_name_by_group_and_with_everyone() -> None:
    assert principals_of(BOB) == ("user:bob", "group:class", "group:lab", "everyone")
    group_of_that_name = User(id="lab", owner_id="lab")
    assert not set(principals_of(group_of_that_name)) & {"group:lab"}
