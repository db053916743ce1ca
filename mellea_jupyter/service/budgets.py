"""What `budget` frames say of a run: whether it waits for an answer, and how its budget stands.

Frames come from the program's side and may hold anything: every value is checked here.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final, Literal

from mellea_jupyter import clock
from mellea_jupyter.exceptions import InvalidInput
from mellea_jupyter.models.budget import BudgetDecision, RunBudget, RunWaiting
from mellea_jupyter.models.config import RunConfig
from mellea_jupyter.service import endings

MAX_MODELS: Final = 100
_MAX_COUNT: Final = 10**12


class BudgetWatch:
    """Folds the `budget` frames of one run, in order."""

    def __init__(self) -> None:
        self.waiting: RunWaiting | None = None
        self.refused_calls = 0
        self._raised = 0
        self._models: list[str] = []
        self._max_cost_usd: Decimal | None = None
        self._max_llm_calls: int | None = None

    def note(self, frame: Mapping[str, Any]) -> None:
        """Take a frame into account; one that makes no sense is passed over."""
        match frame.get("event"):
            case "asked":
                self.waiting = _waiting(frame)
            case "answered":
                self.waiting = None
                if frame.get("decision") == "raise":
                    self._raised += 1
                    self._max_cost_usd = _usd(frame.get("max_cost_usd"))
                    self._max_llm_calls = _count(frame.get("max_llm_calls"))
            case "refused":
                self.refused_calls += 1
            case "unpriced":
                name = endings.text(frame.get("model"), 300)
                if name and name not in self._models and len(self._models) < MAX_MODELS:
                    self._models.append(name)

    def state(self, config: RunConfig) -> RunBudget | None:
        """How the budget stands; None where there is none, or nothing to tell of it."""
        if not (self._raised or self.refused_calls or self._models):
            return None
        return RunBudget(
            max_cost_usd=self._max_cost_usd or config.max_cost_usd,
            max_llm_calls=self._max_llm_calls or config.max_llm_calls,
            times_raised=self._raised,
            refused_calls=self.refused_calls,
            uncounted_models=tuple(self._models),
        )


def budget_answer(waiting: RunWaiting, decision: BudgetDecision, *, by: str) -> dict[str, Any]:
    """The content of `budget.json` (docs/contributing/journal.md).

    Raises:
        InvalidInput: a limit is missing, or not above what is there.
    """
    answer: dict[str, Any] = {
        "v": 1,
        "ask": waiting.ask,
        "decision": decision.decision,
        "max_cost_usd": None,
        "max_llm_calls": None,
        "by": by,
    }
    if decision.decision == "stop":
        return answer
    field = "max_llm_calls" if waiting.limit == "calls" else "max_cost_usd"
    asked = {"max_cost_usd": decision.max_cost_usd, "max_llm_calls": decision.max_llm_calls}
    if asked[field] is None:
        raise InvalidInput(field, "is what the run waits for", hint="Give the new limit.")
    for name, given in asked.items():
        now: Decimal | int | None = getattr(waiting, name)
        if given is None:
            continue
        if now is None:
            raise InvalidInput(name, "the run has no such limit", hint=f"Give {field} alone.")
        if given <= now:
            raise InvalidInput(
                name, f"has to be above {now}", hint="It is the new limit, not what is added."
            )
        answer[name] = str(given) if isinstance(given, Decimal) else given
    return answer


def _waiting(frame: Mapping[str, Any]) -> RunWaiting | None:
    ask, calls = _count(frame.get("ask")), _count(frame.get("calls"))
    until = _time(frame.get("until"))
    limit: Literal["cost", "calls"] = "calls" if frame.get("limit") == "calls" else "cost"
    if ask is None or calls is None or until is None:
        return None
    return RunWaiting(
        ask=ask,
        limit=limit,
        calls=calls,
        spent_usd=_usd(frame.get("spent_usd")),
        max_cost_usd=_usd(frame.get("max_cost_usd")),
        max_llm_calls=_count(frame.get("max_llm_calls")),
        asked_at=endings.frame_time(frame),
        until=until,
    )


def _count(value: object) -> int | None:
    return value if type(value) is int and 0 <= value <= _MAX_COUNT else None


def _usd(value: object) -> Decimal | None:
    if not isinstance(value, str) or len(value) > 40:
        return None
    try:
        amount = Decimal(value)
    except InvalidOperation:
        return None
    return amount if amount.is_finite() and 0 <= amount <= _MAX_COUNT else None


def _time(value: object) -> datetime | None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        return clock.from_unix(value)
    except (OverflowError, OSError, ValueError):
        return None
