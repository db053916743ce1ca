"""Prices of spec'd models are exact; unknown models and missing tokens are never guessed."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from mellea_jupyter.accounting.pricing import Price, price_call


@pytest.mark.parametrize(
    ("provider", "model", "usd"),
    [
        ("openai", "gpt-4o", "0.0125"),
        (None, "openai/gpt-4o", "0.0125"),
        ("openai", "gpt-4o-mini", "0.00075"),
        ("openai", "gpt-4o-mini-2024-07-18", "0.00075"),
        ("anthropic", "claude-3-5-sonnet", "0.018"),
        ("litellm", "anthropic/claude-3-5-sonnet-20241022", "0.018"),
        ("ollama", "llama3", "0"),
        ("huggingface", "ibm-granite/granite-4.0-micro", "0"),
        ("openai", "demo/scripted", "0"),
    ],
)
def test_a_thousand_tokens_each_way_cost(provider: str | None, model: str, usd: str) -> None:
    price = price_call(provider, model, 1000, 1000)
    assert price is not None
    assert price.usd == Decimal(usd)
    assert price.source in ("genai-prices", "local")
    assert price.version


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("openai", "gpt-4o-of-my-own"),
        ("openai", "granite-3.3-8b-instruct"),
        ("watsonx", "ibm/granite-3-8b"),
        ("openai", ""),
        ("openai", None),
        (None, "gpt-4o"),
        (None, None),
    ],
)
def test_an_unknown_model_is_unpriced(provider: str | None, model: str | None) -> None:
    assert price_call(provider, model, 1000, 1000) is None


def test_missing_tokens_are_unpriced_except_where_tokens_are_free() -> None:
    assert price_call("openai", "gpt-4o", None, 10) is None
    assert price_call("ollama", "llama3", None, None) == Price(0, "local", "1")


def test_the_model_that_answered_is_priced() -> None:
    price = price_call("openai", "gpt-4o", 1000, 1000, response_model="gpt-4o-mini-2024-07-18")
    assert price is not None
    assert price.usd == Decimal("0.00075")


def test_cached_input_is_cheaper() -> None:
    price = price_call("openai", "gpt-4o", 1000, 0, cached_tokens=400)
    assert price is not None
    assert price.usd == Decimal("0.0020")  # 600 at $2.50 and 400 at $1.25 a million


def test_more_cached_tokens_than_input_are_taken_as_all_of_it() -> None:
    price = price_call("openai", "gpt-4o", 1000, 0, cached_tokens=4000)
    assert price is not None
    assert price.usd == Decimal("0.00125")


def test_a_tiered_price_depends_on_the_size_of_the_prompt() -> None:
    at = datetime(2026, 6, 1, tzinfo=UTC)
    small = price_call("google", "gemini-2.5-pro", 1000, 0, at=at)
    large = price_call("google", "gemini-2.5-pro", 1_000_000, 0, at=at)
    assert small is not None
    assert large is not None
    assert large.picodollars > 1000 * small.picodollars
