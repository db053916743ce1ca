"""An identity provider with several people, for tests of what each of them may see."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from jupyter_server.auth import IdentityProvider, User
from tornado import web
from traitlets import Dict


@dataclass
class Person(User):
    """A user who is in groups."""

    groups: list[str] = field(default_factory=list)


class People(IdentityProvider):
    """The token of `ada` is the server's with `.ada` behind it; the bare one is nobody's."""

    people = Dict(help="Their names, each with the groups they are in.").tag(config=True)

    async def get_user_token(self, handler: web.RequestHandler) -> User | None:
        """Whose token the request has.

        Pages of JupyterLab send the bare one, so with it whoever has logged in counts.
        """
        token = self.get_token(handler) or ""
        if token == self.token:
            logged_in = self.get_user_cookie(handler)
            return logged_in if isinstance(logged_in, User) else self._person("nobody")
        _, _, name = token.rpartition(".")
        return self._person(name) if token == token_of(self.token, name) else None

    def user_from_cookie(self, cookie_value: str) -> User | None:
        """Groups are as they are now, not as they were at the login."""
        name = str(json.loads(cookie_value)["username"])
        return self._person(name) if name in self.people else None

    def _person(self, name: str) -> User:
        return Person(username=name, groups=list(self.people.get(name, ())))


def token_of(server_token: str, name: str) -> str:
    """The token of one of the people."""
    return f"{server_token}.{name}"


def people_options(people: Mapping[str, Sequence[str]]) -> list[str]:
    """Command-line options of a server with these people: names, each with their groups."""
    known: dict[str, Any] = {name: list(groups) for name, groups in people.items()}
    return [
        f"--ServerApp.identity_provider_class={People.__module__}.{People.__qualname__}",
        f"--People.people={known!r}",
    ]
