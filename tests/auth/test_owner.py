from __future__ import annotations

import getpass
from dataclasses import dataclass, field
from typing import Any

import pytest
from jupyter_server.auth import IdentityProvider, PasswordIdentityProvider
from jupyter_server.auth import User as JupyterUser
from jupyter_server.auth.identity import LegacyIdentityProvider
from jupyter_server.auth.login import LegacyLoginHandler

from mellea_jupyter.auth.owner import User, account_name, names_people, owner_of, promoted


@dataclass
class HubUser(JupyterUser):
    """As `jupyterhub.singleuser.extension.JupyterHubUser`."""

    hub_user: dict[str, Any] = field(default_factory=dict)


class HubProvider(IdentityProvider):
    """As JupyterHub's: it finds the user by itself."""

    async def _get_user(self, handler: Any) -> JupyterUser | None:
        return None

    def get_user(self, handler: Any) -> Any:
        return self._get_user(handler)


class TokenProvider(IdentityProvider):
    """A token for each person."""

    async def get_user_token(self, handler: Any) -> JupyterUser | None:
        return None


class RenamedProvider(PasswordIdentityProvider):
    """Still one secret; only shows users in another way."""

    def identity_model(self, user: JupyterUser) -> dict[str, Any]:
        return {}


class OwnLogin(LegacyLoginHandler):
    """A login handler of an old-style hub."""


def hub(username: str, **known: Any) -> HubUser:
    return HubUser(username=username, hub_user={"name": username, "kind": "user", **known})


@pytest.mark.parametrize("kind", [IdentityProvider, PasswordIdentityProvider, RenamedProvider])
def test_one_shared_secret_is_one_owner_who_is_admin(kind: type[IdentityProvider]) -> None:
    provider = kind()
    users = [owner_of(JupyterUser(username=name), provider) for name in ("a1b2", "c3d4")]
    account = account_name()
    assert users == [User(id=account, owner_id=account, is_admin=True, name=account)] * 2


@pytest.mark.parametrize("kind", [HubProvider, TokenProvider])
def test_a_provider_that_finds_users_names_them(kind: type[IdentityProvider]) -> None:
    user = owner_of(JupyterUser(username="ann", display_name="Ann B."), kind())
    assert user == User(id="ann", owner_id="ann", is_admin=False, name="Ann B.")


def test_an_old_login_handler_names_people_when_it_is_not_jupyters() -> None:
    assert not names_people(LegacyIdentityProvider())
    provider = LegacyIdentityProvider()
    provider.login_handler_class = OwnLogin
    assert names_people(provider)


@pytest.mark.parametrize(
    ("known", "is_admin"),
    [
        ({}, False),
        ({"admin": None}, False),
        ({"admin": False, "scopes": ["access:servers!server=ann/"]}, False),
        ({"scopes": ["admin:users!user=ann"]}, False),
        ({"scopes": None}, False),
        ({"admin": True}, True),
        ({"scopes": ["admin:servers"]}, True),
    ],
)
def test_hub_administrators(known: dict[str, Any], *, is_admin: bool) -> None:
    assert owner_of(hub("ann", **known), HubProvider()).is_admin is is_admin


def test_a_hub_service_is_not_the_user_of_the_same_name() -> None:
    service = owner_of(hub("ann", kind="service"), HubProvider())
    assert (service.id, service.owner_id) == ("service:ann", "service:ann")


def test_an_account_without_a_name_is_local(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found")

    monkeypatch.setattr(getpass, "getuser", nobody)
    assert account_name() == "local"


@pytest.mark.parametrize(
    ("known", "groups"),
    [
        ({}, ()),
        ({"groups": None}, ()),
        ({"groups": ["lab", "class"]}, ("class", "lab")),
    ],
)
def test_groups_are_those_the_hub_tells(known: dict[str, Any], groups: tuple[str, ...]) -> None:
    assert owner_of(hub("ann", **known), HubProvider()).groups == groups


@dataclass
class GroupedUser(JupyterUser):
    """A user of a provider that knows groups."""

    groups: list[str] = field(default_factory=list)


def test_a_provider_may_give_its_users_groups() -> None:
    user = owner_of(GroupedUser(username="ann", groups=["lab"]), TokenProvider())
    assert user.groups == ("lab",)


def test_the_settings_name_administrators_and_their_groups() -> None:
    ann = User(id="ann", owner_id="ann", groups=("lab", "staff"))
    assert promoted(ann, (), ()) == ann
    assert promoted(ann, ("bob",), ("class",)) == ann
    assert promoted(ann, ("ann",), ()).is_admin
    assert promoted(ann, (), ("staff",)).is_admin
    root = User(id="root", owner_id="root", is_admin=True)
    assert promoted(root, (), ()).is_admin
