"""Answers to a run that waits at its budget, from what people say: so much more, or stop."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from mellea_jupyter.client.errors import ClientError
from mellea_jupyter.models.budget import BudgetDecision, RunWaiting
from mellea_jupyter.models.run import Run

STOP = BudgetDecision(decision="stop")


def more(run: Run, *, usd: Decimal | float | str | None, calls: int | None) -> BudgetDecision:
    """The answer that allows so much more than the run's limits are now.

    Raises:
        ClientError: the run does not wait, or the amount is none or not of what it waits for.
    """
    waiting = require_waiting(run)
    if usd is None and calls is None:
        what = "usd=0.50" if waiting.limit == "cost" else "calls=10"
        raise ClientError("say how much more is allowed", hint=f"For example {what}.")
    cost = None
    if usd is not None:
        if waiting.max_cost_usd is None:
            raise ClientError("the run has no limit in money", hint="Allow more calls.")
        cost = waiting.max_cost_usd + _amount(usd)
    if calls is not None and (waiting.max_llm_calls is None or calls < 1):
        problem = "calls have to be 1 or more" if calls < 1 else "the run has no limit of calls"
        raise ClientError(problem, hint="Allow more US dollars." if calls > 0 else "")
    total = None if calls is None else (waiting.max_llm_calls or 0) + calls
    return BudgetDecision(decision="raise", max_cost_usd=cost, max_llm_calls=total)


def require_waiting(run: Run) -> RunWaiting:
    """What the run waits for. Raises ClientError when it does not wait."""
    if run.waiting is None:
        raise ClientError(
            "the run does not wait for an answer about its budget",
            hint="It may have been answered, or waited for too long.",
        )
    return run.waiting


def _amount(usd: Decimal | float | str) -> Decimal:
    """Raises ClientError."""
    try:
        amount = Decimal(str(usd).lstrip("$"))
    except InvalidOperation:
        raise ClientError(f"{usd!r} is no amount of US dollars", hint="Write 0.50.") from None
    if not amount.is_finite() or amount <= 0:
        raise ClientError(f"{usd!r} has to be above 0", hint="Write 0.50.")
    return amount
