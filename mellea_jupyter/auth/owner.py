"""Who acts, and whose runs these are.

Jupyter Server's stock providers know one shared secret and no people: a request that carries the
token gets a new random user name each time. Runs keyed by that name would be lost to the person
who started them, so the *owner* is resolved here, apart from the acting user.

Imported when the server starts: standard library only.
"""

from __future__ import annotations

import getpass
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jupyter_server.auth import IdentityProvider
    from jupyter_server.auth import User as JupyterUser
    from jupyter_server.base.handlers import JupyterHandler

_STOCK_PROVIDERS = "jupyter_server.auth.identity"
_NAMING_METHODS = ("get_user", "get_user_token", "generate_anonymous_user", "process_login_form")
_HUB_ADMIN_SCOPES = frozenset({"admin:users", "admin:servers"})


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Who makes a request.

    Attributes:
        id: who acts, for `cancelled_by` and the audit trail.
        owner_id: whose runs they start and list.
        is_admin: whether they may see and stop everybody's runs.
        name: how they are shown.
        groups: groups they are in, in order; what is shared with one of them is shared with them.
    """

    id: str
    owner_id: str
    is_admin: bool = False
    name: str = ""
    groups: tuple[str, ...] = ()


OwnerResolver = Callable[["JupyterHandler"], User]
"""Says who makes an authenticated request; called for each."""


def resolve_owner(handler: JupyterHandler) -> User:
    """The default `OwnerResolver`: what Jupyter knows of the user decides."""
    return owner_of(handler.current_user, handler.identity_provider)


def owner_of(jupyter_user: JupyterUser, provider: IdentityProvider) -> User:
    """Our user for Jupyter's, and the provider that identified them.

    A provider that names people (JupyterHub, or any that is not one of Jupyter Server's own) gives
    the owner; with a stock provider everybody who knows the secret is the account that runs the
    server, and its administrator.
    """
    name = jupyter_user.display_name or jupyter_user.name or jupyter_user.username
    if not names_people(provider):
        account = account_name()
        return User(id=account, owner_id=account, is_admin=True, name=account)
    hub_user: dict[str, Any] = getattr(jupyter_user, "hub_user", None) or {}
    user_id = jupyter_user.username
    if hub_user.get("kind") == "service":  # a hub service may have the name of a user
        user_id = f"service:{user_id}"
    return User(
        id=user_id,
        owner_id=user_id,
        is_admin=_is_hub_admin(hub_user),
        name=name,
        groups=_groups_of(jupyter_user, hub_user),
    )


def promoted(user: User, admin_users: Collection[str], admin_groups: Collection[str]) -> User:
    """The user, as administrator where the operator's settings name them or a group of theirs."""
    is_named = user.owner_id in admin_users or not set(admin_groups).isdisjoint(user.groups)
    return replace(user, is_admin=True) if is_named else user


def names_people(provider: IdentityProvider) -> bool:
    """Whether this provider's user names belong to people, and are the same on each request.

    True when it has its own way to find a user: one of the methods that decide it is not the stock
    implementation. A subclass that only changes, say, how a user is shown does not count.
    """
    kind = type(provider)
    if _is_stock(kind) and kind.__name__ == "LegacyIdentityProvider":
        return not provider.login_handler_class.__module__.startswith("jupyter_server.")
    return any(getattr(kind, name).__module__ != _STOCK_PROVIDERS for name in _NAMING_METHODS)


def account_name() -> str:
    """The operating system's name for the account of this process, or `local`."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # a container whose uid has no passwd entry
        return "local"


def _is_stock(kind: type) -> bool:
    return kind.__module__ == _STOCK_PROVIDERS


def _is_hub_admin(hub_user: dict[str, Any]) -> bool:
    """Hubs of today always tell `admin`; of a token with administrators' scopes these tell it."""
    return hub_user.get("admin") is True or not _HUB_ADMIN_SCOPES.isdisjoint(
        hub_user.get("scopes") or ()
    )


def _groups_of(jupyter_user: JupyterUser, hub_user: dict[str, Any]) -> tuple[str, ...]:
    """What the hub says (to tokens that may read it), or the `groups` of a provider's own user."""
    found = hub_user.get("groups") or getattr(jupyter_user, "groups", None) or ()
    return tuple(sorted({str(group) for group in found}))
