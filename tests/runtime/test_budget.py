"""A run's budget: what is refused, what is reserved, what is asked, and the price list it reads."""

from __future__ import annotations

import asyncio
import json
import pickle
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mellea_jupyter.accounting.overrides import read_overrides
from mellea_jupyter.accounting.price_table import encode_table
from mellea_jupyter.accounting.pricing import PriceList
from mellea_jupyter.runtime.budget import Budget, BudgetExceeded, Wish, to_text
from mellea_jupyter.runtime.prices import PriceTable, Tokens

from .test_llm_events import Frames

# 1000 tokens in and 100 out of gpt-4o are $0.0025 + $0.001.
USED = Tokens(1000, 100)


@pytest.fixture(scope="module")
def prices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with the bundled list."""
    folder = tmp_path_factory.mktemp("prices")
    (folder / "prices.json").write_bytes(encode_table(PriceList()))
    return folder


def budget(folder: Path, frames: Frames | None = None, **limits: Any) -> Budget:
    emit = frames.emit if frames is not None else lambda *_, **__: None
    return Budget(emit, run_dir=str(folder), **limits)


def wish(model: str = "gpt-4o", provider: str = "openai", **facts: Any) -> Wish:
    made = Wish(provider, model, "answer")
    for name, value in facts.items():
        setattr(made, name, value)
    return made


def take(of: Budget, made: Wish | None = None) -> Any:
    return asyncio.run(of.take(made or wish()))


def test_a_run_without_limits_is_not_counted(tmp_path: Path) -> None:
    assert take(budget(tmp_path)) is None


def test_the_call_that_would_cross_the_line_is_refused(prices: Path) -> None:
    spending = budget(prices, max_cost_usd="0.01")
    for _ in range(2):
        spending.ended(take(spending), USED, "gpt-4o-2024-08-06")
    with pytest.raises(BudgetExceeded) as refused:  # 0.0070 and 0.0035 more are over 0.0100
        take(spending)
    assert str(refused.value) == (
        "the next LLM call would pass $0.01 (max_cost_usd); $0.007 are spent"
    )
    assert (refused.value.kind, refused.value.max_cost_usd) == ("cost", "0.01")


def test_a_call_that_just_fits_is_made(prices: Path) -> None:
    spending = budget(prices, max_cost_usd="0.0105")
    for _ in range(3):
        spending.ended(take(spending), USED, None)
    with pytest.raises(BudgetExceeded):
        take(spending)


def test_a_prompt_that_alone_is_over_the_budget_is_never_sent(prices: Path) -> None:
    # 16 000 000 characters are a million tokens at least, at $1.25 where all were cached.
    with pytest.raises(BudgetExceeded):
        take(budget(prices, max_cost_usd="1.24"), wish(characters=16_000_000))
    take(budget(prices, max_cost_usd="1.26"), wish(characters=16_000_000))


def test_calls_under_way_reserve_what_such_calls_cost(prices: Path) -> None:
    spending = budget(prices, max_cost_usd="0.0140")
    spending.ended(take(spending), USED, None)
    under_way = [take(spending) for _ in range(3)]
    with pytest.raises(BudgetExceeded):
        take(spending)
    spending.failed(under_way[0])  # a failed call costs nothing and frees its part
    take(spending)


def test_the_first_calls_reserve_what_the_program_allows_them(prices: Path) -> None:
    spending = budget(prices, max_cost_usd="0.05")
    take(spending, wish(max_output=4000))  # $0.04
    take(spending, wish(max_output=4000))  # begins below the line
    with pytest.raises(BudgetExceeded):
        take(spending, wish(max_output=4000))


def test_a_call_that_nobody_counted_costs_what_was_expected(prices: Path) -> None:
    spending = budget(prices, max_cost_usd="0.0100")
    spending.ended(take(spending), USED, None)
    given_up = take(spending)
    spending.ended(given_up, None, None)
    with pytest.raises(BudgetExceeded):
        take(spending)
    spending.ended(given_up, Tokens(10, 1), None)  # it ended after all, and cost next to nothing
    take(spending)


def test_free_models_are_never_refused_for_money(prices: Path) -> None:
    spending = budget(prices, max_cost_usd="0.001")
    spending.ended(take(spending), USED, None)
    with pytest.raises(BudgetExceeded):
        take(spending)
    take(spending, wish("llama3", "ollama"))


def test_calls_without_a_price_are_made_and_said(prices: Path) -> None:
    frames = Frames()
    spending = budget(prices, frames, max_cost_usd="0.001")
    for _ in range(3):
        spending.ended(take(spending, wish("of-my-own")), USED, None)
    (told,) = frames.of("budget")
    assert (told["event"], told["model"], told["level"]) == (
        "unpriced",
        "openai/of-my-own",
        "warn",
    )
    assert "do not count" in told["message"]


def test_a_missing_price_list_is_said_as_well(tmp_path: Path) -> None:
    frames = Frames()
    take(budget(tmp_path, frames, max_cost_usd="0.001"))
    assert [frame["event"] for frame in frames.of("budget")] == ["unpriced"]


def test_a_raw_batch_counts_its_requests(tmp_path: Path) -> None:
    counting = budget(tmp_path, max_llm_calls=4)
    take(counting, Wish("ollama", "llama3", "answer", calls=3))
    with pytest.raises(BudgetExceeded, match="4 LLM call"):
        take(counting, Wish("ollama", "llama3", "answer", calls=2))
    take(counting)


def test_the_exception_can_travel_between_processes() -> None:
    error = BudgetExceeded(max_cost_usd="0.50", spent_usd="0.49")
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.max_cost_usd, again.kind) == (str(error), "0.50", "cost")


def test_concurrent_calls_never_spend_more_than_is_reserved_for_them(prices: Path) -> None:
    spending = budget(prices, max_cost_usd="0.1000")

    async def call() -> bool:
        try:
            ticket = await spending.take(wish())
        except BudgetExceeded:
            return False
        await asyncio.sleep(0)
        spending.ended(ticket, USED, None)
        return True

    async def program() -> list[bool]:
        first = await call()  # from the second on it is known what such a call costs
        return [first, *await asyncio.gather(*(call() for _ in range(100)))]

    made = asyncio.run(program())
    assert sum(made) == 28  # 28 at $0.0035 are $0.0980


# Asking


def answer(folder: Path, **fields: Any) -> None:
    content = {"v": 1, "ask": 1, "decision": "raise", "by": "ada", **fields}
    (folder / "new").write_text(json.dumps(content))
    (folder / "new").rename(folder / "budget.json")


async def asked(frames: Frames, number: int = 1) -> dict[str, Any]:
    while True:
        found = [frame for frame in frames.of("budget") if frame["event"] == "asked"]
        if len(found) >= number:
            return found[-1]
        await asyncio.sleep(0.01)


def test_a_call_waits_until_the_budget_is_raised(tmp_path: Path) -> None:
    frames = Frames()
    spending = budget(tmp_path, frames, max_llm_calls=1, asks=True)

    async def program() -> None:
        await spending.take(wish())
        waiting = [asyncio.create_task(spending.take(wish())) for _ in range(2)]
        question = await asked(frames)
        assert (question["limit"], question["calls"], question["max_llm_calls"]) == ("calls", 1, 1)
        answer(tmp_path, ask=7, max_llm_calls=9)  # of another question
        answer(tmp_path, max_llm_calls=3)
        await asyncio.gather(*waiting)

    asyncio.run(asyncio.wait_for(program(), 30))
    assert [frame["event"] for frame in frames.of("budget")] == ["asked", "answered"]
    assert frames.of("budget")[1]["message"] == "The budget was raised by ada: 3 calls."


def test_an_answer_that_is_too_low_asks_again(tmp_path: Path) -> None:
    frames = Frames()
    spending = budget(tmp_path, frames, max_llm_calls=1, asks=True)

    async def program() -> None:
        await spending.take(wish())
        waiting = asyncio.create_task(spending.take(Wish("ollama", "llama3", "answer", calls=5)))
        await asked(frames)
        answer(tmp_path, max_llm_calls=4)
        await asked(frames, 2)
        answer(tmp_path, ask=2, decision="stop")
        with pytest.raises(BudgetExceeded):
            await waiting
        with pytest.raises(BudgetExceeded):  # stopped once is stopped for good
            await spending.take(Wish("ollama", "llama3", "answer", calls=5))

    asyncio.run(asyncio.wait_for(program(), 30))
    events = [frame["event"] for frame in frames.of("budget")]
    assert events == ["asked", "answered", "asked", "answered", "refused", "refused"]


def test_nobody_answers(tmp_path: Path) -> None:
    frames = Frames()
    spending = budget(tmp_path, frames, max_llm_calls=1, asks=True, ask_seconds=0.2)
    take(spending)
    with pytest.raises(BudgetExceeded):
        take(spending)
    assert frames.of("budget")[1]["message"] == "Nobody answered in time."


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b'{"ask": "1"}', b'{"ask": 1, "decision": "raise", "max_cost_usd": "lots"}'],
)
def test_an_answer_that_makes_no_sense_is_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "budget.json").write_bytes(content)
    spending = budget(tmp_path, max_llm_calls=1, asks=True, ask_seconds=0.2)
    take(spending)
    with pytest.raises(BudgetExceeded):
        take(spending)


def test_money_as_text() -> None:
    assert [to_text(p) for p in (0, 5 * 10**11, 35 * 10**8, 1, 12 * 10**12)] == [
        "0.00",
        "0.50",
        "0.0035",
        "0.000000000001",
        "12.00",
    ]


# The price list


def test_the_runtime_prices_as_the_server_does(tmp_path: Path) -> None:
    own = {
        "openai/gpt-4o": {"input_cost_per_token": 3e-06, "output_cost_per_token": 1.2e-05},
        "acme-1": {"input_cost_per_token": 1e-06, "output_cost_per_token": 0},
        "broken": {"input_cost_per_token": "free"},
    }
    (tmp_path / "own.json").write_text(json.dumps(own))
    server = PriceList(read_overrides(tmp_path / "own.json"))
    runtime = PriceTable(json.loads(encode_table(server)))
    from genai_prices.data_snapshot import get_snapshot

    asked = [(each.id, model.id) for each in get_snapshot().providers for model in each.models]
    asked += [("litellm", f"{provider}/{model}") for provider, model in asked]
    asked += [
        ("openai", "gpt-4o-mini-2024-07-18"), ("openai", "gpt-5.2-20251211"),
        ("openai", "gpt-4o-of-my-own"), ("openai", "acme-1"), ("litellm", "openai/gpt-4o"),
        ("litellm", "gpt-4o"), ("openai", "broken"), ("ollama", "acme-1"), ("ollama", "llama3"),
        ("watsonx", "ibm/granite-3-8b"), ("azure", "gpt-4o"), ("openai", "demo/scripted"),
    ]  # fmt: skip
    for at in (datetime(2025, 1, 1, 3, tzinfo=UTC), datetime(2026, 11, 1, 18, tzinfo=UTC)):
        for tokens in (Tokens(1000, 300, 200, 100, 50), Tokens(900_000, 7)):
            for provider, model in asked:
                price = server.price(
                    provider, model, tokens.input, tokens.output, cached_tokens=tokens.cached,
                    cache_write_tokens=tokens.cache_write, reasoning_tokens=tokens.reasoning, at=at,
                )  # fmt: skip
                rates = runtime.rates(provider, [model], at.timestamp())
                here = None if rates is None else rates.cost(tokens)
                assert here == (None if price is None else price.picodollars), (provider, model)
