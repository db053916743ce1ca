"""`EnvironmentService`: which environments there are, who may use and change them.

Two kinds. Those in the server's settings are for everybody, and only the settings change them.
Those made over REST belong to who made them: nobody else sees or uses them, but administrators. An
administrator may make one that is shared: everybody uses it, administrators change it.

A user may name any interpreter: programs run as the server's account in any case, so that gives
them nothing that a program of their own would not.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from mellea_jupyter import clock
from mellea_jupyter.auth.owner import User
from mellea_jupyter.environments.configured import with_defaults
from mellea_jupyter.exceptions import (
    EnvironmentNotFound,
    InvalidInput,
    NameTaken,
    PermissionDenied,
)
from mellea_jupyter.models.environments import (
    BUILT_IN_EXECUTORS,
    Environment,
    EnvironmentCreate,
    EnvironmentList,
    EnvironmentPatch,
)
from mellea_jupyter.service.offload import Offload
from mellea_jupyter.service.probing import Probing
from mellea_jupyter.stores.runs.base import RunStore


class EnvironmentService:
    """List, resolve, make, change and delete environments.

    Args:
        configured: those of the settings by id, as `configured_environments` gives them.
        defaults: the operator's defaults for new ones.
        default_id: environment of runs that name none.
        executors: names that an environment may have as its executor, besides the built-in ones.

    Raises:
        EnvironmentNotFound: there is no configured environment `default_id`.
    """

    def __init__(
        self,
        *,
        store: RunStore,
        offload: Offload,
        probing: Probing,
        configured: Mapping[str, Environment],
        defaults: Mapping[str, Any],
        default_id: str,
        executors: frozenset[str],
    ) -> None:
        if default_id not in configured:
            known = ", ".join(sorted(configured))
            raise EnvironmentNotFound(default_id, hint=f"The settings have: {known}.")
        self._store = store
        self._offload = offload
        self._probing = probing
        self._configured = configured
        self._defaults = defaults
        self._default_id = default_id
        self._executors = executors.union(BUILT_IN_EXECUTORS)

    # -- looking ------------------------------------------------------------------------------

    async def list(self, user: User, *, refresh: bool = False) -> EnvironmentList:
        """Those the user may use, ordered by name, each with what is known of it.

        With `refresh` all are checked now, which may take as long as the slowest; otherwise
        answers may be a little old, and one that is not known yet says so.
        """
        found = await self._visible(user)
        await self._probing.refresh(found, force=refresh)
        shown = sorted(map(self._probing.shown, found), key=lambda e: (e.name.casefold(), e.id))
        return EnvironmentList(environments=tuple(shown), default_id=self._default_id)

    async def get(self, environment_id: str, user: User, *, refresh: bool = False) -> Environment:
        """One environment with what is known of it, checked now with `refresh`.

        Raises:
            EnvironmentNotFound: no such environment for this user.
        """
        environment = await self.resolve(environment_id, user)
        await self._probing.refresh([environment], force=refresh)
        return self._probing.shown(environment)

    async def resolve(self, environment_id: str | None, user: User) -> Environment:
        """The environment of a run that names this one; the default one for None. Not checked.

        A name instead of an id is enough where only one that the user may use has it.

        Raises:
            EnvironmentNotFound: no such environment for this user; the hint names those there are.
        """
        wanted = environment_id or self._default_id
        if (configured := self._configured.get(wanted)) is not None:
            return configured
        visible = await self._visible(user)
        found = [each for each in visible if each.id == wanted]
        found = found or [each for each in visible if each.name == wanted]
        if len(found) == 1:
            return found[0]
        known = ", ".join(sorted(each.id for each in found or visible))
        raise EnvironmentNotFound(wanted, hint=f"There are: {known}.")

    def load(self, environment_id: str) -> Environment:
        """The environment of a run that was let in before. Blocks; called when it is placed.

        Raises:
            EnvironmentNotFound: it was deleted, or the settings do not have it any more.
        """
        configured = self._configured.get(environment_id)
        return configured or self._store.get_environment(environment_id)

    def to_prepare(self) -> tuple[Environment, ...]:
        """Those of the settings that are worth getting warm for when the server starts."""
        return tuple(
            each
            for each in self._configured.values()
            if each.prewarm or each.id == self._default_id
        )

    async def _visible(self, user: User) -> tuple[Environment, ...]:
        """All that the user may use; those of the settings hide stored ones of the same id."""
        stored = await self._offload.io(
            self._store.list_environments, visible_to=None if user.is_admin else user.owner_id
        )
        others = (each for each in stored if each.id not in self._configured)
        return (*self._configured.values(), *others)

    # -- changing -----------------------------------------------------------------------------

    async def get_or_create(
        self, request: EnvironmentCreate, user: User
    ) -> tuple[Environment, bool]:
        """The user's environment of this name, made when there is none; and whether it was made.

        One that does not work yet is kept all the same, and says why.

        Raises:
            NameTaken: there is one of this name that is described otherwise.
            PermissionDenied: a shared one needs an administrator.
            InvalidInput: its executor is not known, or a default does not fit.
        """
        if request.shared and not user.is_admin:
            raise PermissionDenied(
                "Only administrators may share an environment with everybody",
                hint="Leave `shared` out to make one of your own.",
            )
        described = request.model_dump(exclude={"shared"}, exclude_unset=True)
        now = clock.now()
        wanted = self._checked(
            {
                **with_defaults(described, self._defaults),
                "id": self._new_id(request.name),
                "owner_id": None if request.shared else user.owner_id,
                "created_at": now,
                "updated_at": now,
            }
        )
        stored = await self._offload.write(self._store.add_environment, wanted)
        if stored.definition() != wanted.definition():
            raise NameTaken("environment", stored.name, stored.id)
        await self._probing.refresh([stored])
        return self._probing.shown(stored), stored == wanted

    async def update(self, environment_id: str, patch: EnvironmentPatch, user: User) -> Environment:
        """Change what is given; null resets a field to its default. Runs under way go on as before.

        Raises:
            EnvironmentNotFound, PermissionDenied, InvalidInput
            NameTaken: its owner has another one of the new name.
        """
        environment = await self._changeable(environment_id, user)
        given = {name: getattr(patch, name) for name in patch.model_fields_set}
        kept = environment.model_dump(exclude=set(given))
        changed = {name: value for name, value in given.items() if value is not None}
        updated = self._checked({**kept, **changed, "updated_at": clock.now()})
        await self._offload.write(self._store.save_environment, updated)
        await self._probing.refresh([updated])
        return self._probing.shown(updated)

    async def delete(self, environment_id: str, user: User) -> Environment:
        """Remove it; what it was. Its runs stay as they are, and those that wait will fail.

        Raises:
            EnvironmentNotFound, PermissionDenied
        """
        environment = await self._changeable(environment_id, user)
        await self._offload.write(self._store.delete_environment, environment.id)
        shown = self._probing.shown(environment)
        self._probing.forget(environment.id)
        return shown

    async def close(self) -> None:
        """Stop checking."""
        await self._probing.close()

    async def _changeable(self, environment_id: str, user: User) -> Environment:
        environment = await self.resolve(environment_id, user)
        if environment.is_configured:
            raise PermissionDenied(
                f"The environment {environment.id!r} comes from the server's settings",
                hint="Its operator changes it in MelleaApp.environments.",
            )
        if environment.owner_id is None and not user.is_admin:
            raise PermissionDenied(
                f"The environment {environment.id!r} is shared with everybody",
                hint="Ask an administrator, or make one of your own.",
            )
        return environment

    def _checked(self, fields: Mapping[str, Any]) -> Environment:
        """Raises InvalidInput."""
        try:
            environment = Environment.model_validate(fields)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            field = ".".join(map(str, first["loc"])) or "environment"
            raise InvalidInput(field, first["msg"].removeprefix("Value error, ")) from error
        if environment.executor not in self._executors:
            known = ", ".join(sorted(self._executors))
            raise InvalidInput(
                "executor", f"there is no {environment.executor!r}", hint=f"There are: {known}."
            )
        return environment

    def _new_id(self, name: str) -> str:
        """An id that reads like the name, with a part of its own so that it is never there."""
        words = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40].strip("-") or "env"
        return f"{words}-{uuid.uuid4().hex[:6]}"
