"""`Probing`: whether environments work at present, asked in the background and remembered.

An answer is shown with its age. A list never waits for long: what is not known in time is shown
as unknown, and the check goes on.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from mellea_jupyter import clock
from mellea_jupyter.executors.registry import no_executor
from mellea_jupyter.models.environments import Environment, EnvironmentProbe
from mellea_jupyter.service.offload import Offload

log = logging.getLogger(__name__)

FIRST_ANSWER_SECONDS: Final = 3.0
NEXT_ANSWER_SECONDS: Final = 0.3
CHECK_GOES_ON: Final = "It is being checked; ask again in a moment."

Prober = Callable[[Environment], EnvironmentProbe]
"""An executor's `probe`: called on a thread, may take seconds."""


@dataclass(frozen=True, slots=True)
class _Answer:
    definition: str
    probe: EnvironmentProbe
    at: datetime
    monotonic: float


class Probing:
    """Asks executors about environments, once at a time each; keeps the last answers.

    Args:
        probers: `Executor.probe` by executor.
        problems: why an executor that environments may name is not there, by its name.
        max_age_seconds: an answer is asked for again when it is older.
    """

    def __init__(
        self,
        *,
        probers: Mapping[str, Prober],
        problems: Mapping[str, str],
        offload: Offload,
        max_age_seconds: float,
    ) -> None:
        self._probers = probers
        self._problems = problems
        self._offload = offload
        self._max_age_seconds = max_age_seconds
        self._answers: dict[str, _Answer] = {}
        self._asking: dict[str, asyncio.Task[None]] = {}

    def shown(self, environment: Environment) -> Environment:
        """The environment with the last answer about it."""
        answer = self._known(environment)
        if answer is None:
            unknown = {"available": False, "reason": CHECK_GOES_ON, "checked_at": None}
            return environment.model_copy(update=unknown)
        return environment.model_copy(update={**dict(answer.probe), "checked_at": answer.at})

    async def refresh(self, environments: Iterable[Environment], *, force: bool = False) -> None:
        """Ask about those whose answer is missing or too old; all of them with `force`.

        Returns when all have answered, or after a moment when it is not forced: three seconds
        where nothing at all is known of one, less where only an older answer is.
        """
        asked = {e.id: e for e in environments if force or self._is_due(e)}
        if not asked:
            return
        tasks = [self._ask(environment, force=force) for environment in asked.values()]
        patience = None
        if not force:
            is_news = any(self._known(each) is None for each in asked.values())
            patience = FIRST_ANSWER_SECONDS if is_news else NEXT_ANSWER_SECONDS
        await asyncio.wait(tasks, timeout=patience)

    def forget(self, environment_id: str) -> None:
        """There is no such environment any more."""
        self._answers.pop(environment_id, None)

    async def close(self) -> None:
        """Stop waiting for answers."""
        tasks = tuple(self._asking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _known(self, environment: Environment) -> _Answer | None:
        answer = self._answers.get(environment.id)
        return answer if answer and answer.definition == _definition(environment) else None

    def _is_due(self, environment: Environment) -> bool:
        answer = self._known(environment)
        return answer is None or clock.monotonic() - answer.monotonic > self._max_age_seconds

    def _ask(self, environment: Environment, *, force: bool) -> asyncio.Task[None]:
        """The task that asks now; one that began earlier counts unless it is about other fields.

        A forced question is asked after the one under way, whose answer may be of before.
        """
        key = f"{environment.id}\0{_definition(environment)}"
        before = self._asking.get(key)
        if before is not None and not force:
            return before
        task = asyncio.create_task(self._answer(environment, before), name="mellea-probe")
        self._asking[key] = task
        task.add_done_callback(
            lambda done: self._asking.pop(key, None) if self._asking.get(key) is done else None
        )
        return task

    async def _answer(self, environment: Environment, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait([before])
        prober = self._probers.get(environment.executor)
        if prober is None:
            name = environment.executor
            reason = self._problems.get(name) or no_executor(name)
            probe = EnvironmentProbe(available=False, reason=reason)
        else:
            try:
                probe = await self._offload.probe(prober, environment)
            except Exception as error:
                log.exception("environment %s: its executor could not check it", environment.id)
                reason = f"The check failed: {type(error).__name__}: {error}"
                probe = EnvironmentProbe(available=False, reason=reason[:500])
        self._answers[environment.id] = _Answer(
            _definition(environment), probe, clock.now(), clock.monotonic()
        )


def _definition(environment: Environment) -> str:
    return json.dumps(environment.definition(), sort_keys=True, default=list)
