"""The run's budget, checked before each call: so many calls, so many US dollars.

**Calls.** A call is refused when it, and those before it, would be more than `max_llm_calls`.

**Money.** A call is refused when it would cross `max_cost_usd` for certain, as far as that can be
known before it is made::

    spent + reserved + expected > max_cost_usd      or      spent + reserved >= max_cost_usd

- *spent*: what the calls that have ended cost, by the tokens that their backends reported. Of a
  call that was given up, or whose backend reports nothing, what was expected of it.
- *reserved*: for each call under way what such calls cost on average in this run; before one has
  ended, its prompt and as many output tokens as the program allows it at most, where it says so.
- *expected*: the cheapest call of the same model and purpose in this run so far; at least one input
  token for each `CHARACTERS_A_TOKEN` characters of the prompt, at the price of a cached one.

So one call after another never passes the budget while calls cost alike; a call that is dearer
than all before it may, by what it costs more. Calls of free models are never refused for money.
Calls of a model without a price can not be counted: they are made, and a line of the log says so.

Counted is what this process does; processes that the program starts count for themselves.
Standard library only.
"""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from collections.abc import Callable
from typing import Any

from .prices import PICODOLLARS_PER_USD, PriceTable, Rates, Tokens, load_prices
from .spec import DEFAULT_ASK_SECONDS

CHARACTERS_A_TOKEN = 16
"""No prompt of words is shorter in tokens; one in other scripts has more."""
ANSWER_FILE = "budget.json"
POLL_SECONDS = 0.1
MAX_REFUSALS_TOLD = 100

Key = tuple[Any, Any, str]


class BudgetExceeded(RuntimeError):
    """The next LLM call would pass the run's budget; it was not made.

    Attributes:
        kind: `calls` or `cost`.
        max_llm_calls: The limit of calls, where that is what was reached.
        max_cost_usd: The limit in US dollars, as text, where that is what was reached.
        spent_usd: What the calls before it cost, as text.
    """

    def __init__(
        self,
        max_llm_calls: int | None = None,
        *,
        max_cost_usd: str | None = None,
        spent_usd: str | None = None,
    ) -> None:
        self.kind = "cost" if max_llm_calls is None else "calls"
        self.max_llm_calls = max_llm_calls
        self.max_cost_usd = max_cost_usd
        self.spent_usd = spent_usd
        if max_llm_calls is not None:
            text = f"this run may make {max_llm_calls} LLM call(s) (max_llm_calls) and has made "
            text += "them all"
        else:
            text = f"the next LLM call would pass ${max_cost_usd} (max_cost_usd); "
            text += f"${spent_usd} are spent"
        super().__init__(text)

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (self.max_llm_calls, self.max_cost_usd, self.spent_usd)


def _again(calls: int | None, cost: str | None, spent: str | None) -> BudgetExceeded:
    return BudgetExceeded(calls, max_cost_usd=cost, spent_usd=spent)


class Wish:
    """What is known of a call before it is made."""

    __slots__ = ("calls", "characters", "max_output", "model", "provider", "purpose")

    def __init__(
        self,
        provider: str | None,
        model: str | None,
        purpose: str,
        *,
        calls: int = 1,
        characters: int = 0,
        max_output: int | None = None,
    ) -> None:
        self.provider = provider
        self.model = model
        self.purpose = purpose
        self.calls = calls
        self.characters = characters
        self.max_output = max_output


class Ticket:
    """A call that may be made, and what is reserved for it until it has ended."""

    __slots__ = ("charged", "expected", "key", "reserved", "wish")

    def __init__(self, wish: Wish, key: Key, expected: int, reserved: int) -> None:
        self.wish = wish
        self.key = key
        self.expected = expected
        self.reserved = reserved
        self.charged = 0  # what is in `spent` for it; a call given up may still end


class _Question:
    """What the run waits for, put to whoever watches it."""

    def __init__(self, number: int, until: float) -> None:
        self.number = number
        self.until = until  # on the monotonic clock
        self.is_open = True


class Budget:
    """Counts what calls cost and refuses those that are too many. Thread-safe.

    Args:
        emit: Takes a frame as ``emit(kind, **fields)``.
        max_llm_calls: The most calls; None for no limit.
        max_cost_usd: The most US dollars, as decimal text; None for no limit.
        asks: Whether to ask before refusing.
        ask_seconds: How long to wait for the answer, which then is no.
        run_dir: Where the price list lies, and where an answer comes.
        on_stop: Called before a call is refused.
    """

    def __init__(
        self,
        emit: Callable[..., object],
        *,
        max_llm_calls: int | None = None,
        max_cost_usd: str | None = None,
        asks: bool = False,
        ask_seconds: float = DEFAULT_ASK_SECONDS,
        run_dir: str = "",
        on_stop: Callable[[], object] = lambda: None,
    ) -> None:
        self._emit = emit
        self._max_calls = max_llm_calls
        self._max_cost = None if max_cost_usd is None else to_pico(max_cost_usd)
        self._asks = asks
        self._ask_seconds = ask_seconds
        self._run_dir = run_dir
        self._on_stop = on_stop
        self._lock = threading.Lock()
        self._calls = 0
        self._spent = 0
        self._reserved = 0
        self._ended: dict[Key, tuple[int, int, int]] = {}  # number, sum, cheapest
        self._unpriced: set[tuple[Any, Any]] = set()
        self._prices: PriceTable | None = None
        self._has_prices = False
        self._question: _Question | None = None
        self._questions = 0
        self._is_stopped = False
        self._refusals = 0

    @property
    def is_limited(self) -> bool:
        """Whether there is a limit at all."""
        return self._max_calls is not None or self._max_cost is not None

    @property
    def counts_money(self) -> bool:
        """Whether there is a limit in money."""
        return self._max_cost is not None

    async def take(self, wish: Wish) -> Ticket | None:
        """Take a call from the budget before it is made; waits for an answer where that is asked.

        Raises:
            BudgetExceeded: It may not be made. Nothing is taken then.
        """
        if not self.is_limited:
            return None
        while True:
            with self._lock:
                kind, ticket = self._try(wish)
                question = None if kind is None else self._ask(kind)
            if ticket is not None:
                return ticket
            if question is None:
                self._refuse(str(kind))
            else:
                await self._wait(question)

    def ended(self, ticket: Ticket | None, tokens: Tokens | None, response_model: Any) -> None:
        """A call has ended: with these tokens, or None where nobody knows them."""
        if ticket is None or not self.counts_money:
            return
        wish = ticket.wish
        with self._lock:
            self._close(ticket)
            rates = self._rates(wish, response_model)
            if rates is None:
                return
            cost = ticket.expected if tokens is None else rates.cost(tokens)
            self._spent += cost - ticket.charged
            ticket.charged = cost
            if tokens is None:
                return
            number, total, cheapest = self._ended.get(ticket.key, (0, 0, cost))
            self._ended[ticket.key] = (number + 1, total + cost, min(cheapest, cost))

    def failed(self, ticket: Ticket | None) -> None:
        """A call has failed, which costs nothing."""
        if ticket is not None:
            with self._lock:
                self._close(ticket)

    # What follows is called with the lock held, unless it says otherwise.

    def _close(self, ticket: Ticket) -> None:
        """Give back what is reserved for a call, once."""
        self._reserved -= ticket.reserved
        ticket.reserved = 0

    def _try(self, wish: Wish) -> tuple[str | None, Ticket | None]:
        """What stands against the call, or its ticket."""
        if self._max_calls is not None and self._calls + wish.calls > self._max_calls:
            return "calls", None
        key = (wish.provider, wish.model, wish.purpose)
        expected = reserved = 0
        if self._max_cost is not None:
            rates = self._rates(wish, None)
            if rates is not None and not rates.is_free:
                expected, reserved = self._estimates(wish, key, rates)
                before = self._spent + self._reserved
                if before >= self._max_cost or before + expected > self._max_cost:
                    return "cost", None
        self._calls += wish.calls
        self._reserved += reserved
        return None, Ticket(wish, key, expected, reserved)

    def _estimates(self, wish: Wish, key: Key, rates: Rates) -> tuple[int, int]:
        prompt = -(-wish.characters // CHARACTERS_A_TOKEN)
        floor = rates.least(prompt)
        number, total, cheapest = self._ended.get(key, (0, 0, 0))
        if number:
            return max(floor, cheapest), max(floor, -(-total // number))
        most = rates.cost(Tokens(prompt, wish.max_output * wish.calls)) if wish.max_output else 0
        return floor, max(floor, most)

    def _rates(self, wish: Wish, response_model: Any) -> Rates | None:
        if not self._has_prices:
            self._has_prices = True
            self._prices = load_prices(self._run_dir)
        names = [name for name in (response_model, wish.model) if name]
        rates = self._prices.rates(wish.provider, names, time.time()) if self._prices else None
        if rates is None and response_model is None:
            self._tell_unpriced(wish)
        return rates

    def _tell_unpriced(self, wish: Wish) -> None:
        key = (wish.provider, wish.model)
        if key in self._unpriced:
            return
        self._unpriced.add(key)
        name = "/".join(filter(None, key)) or "an unknown model"
        message = (
            f"The price of {name} is not known: its calls do not count against max_cost_usd. "
            "Limit them with max_llm_calls."
        )
        self._emit("budget", event="unpriced", model=name, level="warn", message=message, lines=1)

    # Asking

    def _ask(self, kind: str) -> _Question | None:
        """The question to wait for; None where none is asked."""
        if not self._asks or self._is_stopped:
            return None
        if self._question is not None and self._question.is_open:
            return self._question
        self._questions += 1
        self._question = _Question(self._questions, time.monotonic() + self._ask_seconds)
        limit = self._limit_text(kind)
        self._emit(
            "budget",
            event="asked",
            ask=self._questions,
            until=round(time.time() + self._ask_seconds, 3),
            level="warn",
            message=f"The next LLM call would pass {limit}. Waiting for an answer.",
            lines=1,
            **self._figures(kind),
        )
        return self._question

    def _figures(self, kind: str) -> dict[str, Any]:
        """What a frame tells of the budget; limits that are not set are left out."""
        figures: dict[str, Any] = {"limit": kind, "calls": self._calls}
        if self._max_calls is not None:
            figures["max_llm_calls"] = self._max_calls
        if self._max_cost is not None:
            figures["max_cost_usd"] = to_text(self._max_cost)
            figures["spent_usd"] = to_text(self._spent)
        return figures

    def _limit_text(self, kind: str) -> str:
        if kind == "calls":
            return f"{self._max_calls} calls"
        return f"${to_text(self._max_cost or 0)}"

    async def _wait(self, question: _Question) -> None:
        """Until the question is answered, without the lock: other calls go on."""
        while question.is_open:
            with self._lock:
                if question.is_open:
                    self._look_for_answer(question)
            if question.is_open:
                await asyncio.sleep(POLL_SECONDS)

    def _look_for_answer(self, question: _Question) -> None:
        answer = read_answer(self._run_dir, question.number)
        if answer is None:
            if time.monotonic() >= question.until:
                self._answered(question, stop=True, by=None, why="Nobody answered in time")
            return
        by = answer.get("by")
        if answer.get("decision") != "raise":
            self._answered(question, stop=True, by=by, why="Asked to stop")
            return
        calls, cost = answer.get("max_llm_calls"), answer.get("max_cost_usd")
        if isinstance(calls, int) and self._max_calls is not None:
            self._max_calls = max(self._max_calls, calls)
        if isinstance(cost, str) and self._max_cost is not None:
            self._max_cost = max(self._max_cost, to_pico(cost))
        self._answered(question, stop=False, by=by, why="The budget was raised")

    def _answered(self, question: _Question, *, stop: bool, by: Any, why: str) -> None:
        question.is_open = False
        self._is_stopped = self._is_stopped or stop
        said = f" by {by}" if isinstance(by, str) and by else ""
        limits = [
            *([f"${to_text(self._max_cost)}"] if self._max_cost is not None else []),
            *([f"{self._max_calls} calls"] if self._max_calls is not None else []),
        ]
        message = f"{why}{said}." if stop else f"{why}{said}: {' and '.join(limits)}."
        figures = self._figures("cost")
        del figures["limit"]
        self._emit(
            "budget",
            event="answered",
            ask=question.number,
            decision="stop" if stop else "raise",
            level="warn" if stop else "info",
            message=message,
            lines=1,
            **figures,
        )

    def _refuse(self, kind: str) -> None:
        """Raises BudgetExceeded; takes the lock itself."""
        with self._lock:
            self._refusals += 1
            is_told = self._refusals <= MAX_REFUSALS_TOLD
            figures = self._figures(kind)
            limit, spent = self._limit_text(kind), to_text(self._spent)
        if is_told:
            message = f"An LLM call was not made: it would pass {limit}."
            self._emit("budget", event="refused", level="warn", message=message, lines=1, **figures)
        self._on_stop()
        if kind == "calls":
            raise BudgetExceeded(self._max_calls)
        raise BudgetExceeded(max_cost_usd=limit.lstrip("$"), spent_usd=spent)


def read_answer(run_dir: str, number: int) -> dict[str, Any] | None:
    """The answer to this question in `budget.json`; None when there is none yet."""
    try:
        with open(os.path.join(run_dir, ANSWER_FILE), "rb") as file:
            answer = json.load(file)
        if answer["ask"] != number:
            return None
        if answer.get("max_cost_usd") is not None:
            to_pico(answer["max_cost_usd"])
        return dict(answer)
    except (OSError, ValueError, KeyError, TypeError, ArithmeticError):
        return None


def to_pico(usd: str) -> int:
    """US dollars as whole pico-dollars. Raises ValueError, ArithmeticError or TypeError."""
    from decimal import Decimal  # only where there is a budget in money

    return int(Decimal(usd) * PICODOLLARS_PER_USD)


def to_text(picodollars: int) -> str:
    """Pico-dollars as US dollars, exact, at least two decimals: `0.50`, `0.0035`."""
    whole, rest = divmod(picodollars, PICODOLLARS_PER_USD)
    decimals = f"{rest:012d}".rstrip("0").ljust(2, "0")
    return f"{whole}.{decimals}"
