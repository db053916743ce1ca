"""Prices of spec'd models are exact; unknown models and missing tokens are never guessed."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from mellea_jupyter.accounting.overrides import read_overrides
from mellea_jupyter.accounting.pricing import Price, PriceList, Tokens, price_call


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


@pytest.mark.parametrize(
    ("model", "usd"),
    [
        ("gpt-4o", "0.0125"),
        ("gpt-4o-2024-11-20", "0.0125"),
        ("gpt-4o-mini", "0.00075"),
        ("gpt-4o-mini-2024-07-18", "0.00075"),
        ("gpt-4o-minimal", None),
        ("gpt-4o-2", None),
        ("gpt-4", "0.09"),
    ],
)
def test_a_name_that_begins_like_another_is_another(model: str, usd: str | None) -> None:
    price = price_call("openai", model, 1000, 1000)
    assert (None if price is None else price.usd) == (None if usd is None else Decimal(usd))


def test_a_price_says_its_list_and_day() -> None:
    price = price_call("openai", "gpt-4o", 1, 1)
    assert price is not None
    assert price.source == "genai-prices"
    assert price.dated is not None
    assert "2024-01-01" < price.dated <= datetime.now(UTC).date().isoformat()


def test_a_price_that_changed_is_that_of_the_day_of_the_call() -> None:
    """**Source:** genai-prices, o3: $10 a million input tokens until 2025-06-10, then $2."""
    before = price_call("openai", "o3", 10**6, 0, at=datetime(2025, 6, 1, tzinfo=UTC))
    after = price_call("openai", "o3", 10**6, 0, at=datetime(2025, 7, 1, tzinfo=UTC))
    assert before is not None
    assert after is not None
    assert (before.usd, after.usd) == (Decimal(10), Decimal(2))


def test_no_token_is_in_two_classes() -> None:
    tokens = Tokens(input=1000, output=100, cached=600, cache_write=300, reasoning=40)
    assert tokens.classes() == {
        "input": 100, "cache_read": 600, "cache_write": 300, "output": 60, "reasoning": 40
    }  # fmt: skip
    nonsense = Tokens(input=10, output=5, cached=8, cache_write=8, reasoning=9)
    assert sum(nonsense.classes().values()) == 15


def test_reasoning_is_part_of_the_output_and_not_paid_twice() -> None:
    plain = price_call("openai", "gpt-4o", 1000, 1000)
    assert price_call("openai", "gpt-4o", 1000, 1000, reasoning_tokens=900) == plain


# An operator's own prices


def own(tmp_path: Path, entries: Any) -> PriceList:
    path = tmp_path / "own.json"
    path.write_text(entries if isinstance(entries, str) else json.dumps(entries))
    return PriceList(read_overrides(path))


def test_own_prices_go_before_the_bundled_ones(tmp_path: Path) -> None:
    flat = {"input_cost_per_token": 3e-06, "output_cost_per_token": 1.5e-05}
    prices = own(tmp_path, {"openai/gpt-4o": flat, "acme-1": flat})
    price = prices.price("openai", "gpt-4o", 1000, 1000, response_model="gpt-4o-2024-08-06")
    assert price is not None
    assert (price.usd, price.source) == (Decimal("0.018"), "override")
    assert len(price.version) == 12
    assert price.dated == datetime.now(UTC).date().isoformat()
    assert prices.price("openai", "acme-1", 1000, 0) is not None
    assert prices.price("azure", "gpt-4o", 1000, 1000) != price
    mini = prices.price("openai", "gpt-4o-mini", 1000, 1000)
    assert mini is not None
    assert mini.source == "genai-prices"


def test_a_model_of_ones_own_machine_is_free_unless_it_is_meant(tmp_path: Path) -> None:
    flat = {"input_cost_per_token": 1e-06, "output_cost_per_token": 1e-06}
    bare = own(tmp_path, {"llama3": flat})
    assert bare.price("ollama", "llama3", 1000, 0) == Price(0, "local", "1")
    meant = own(tmp_path, {"ollama/llama3": flat}).price("ollama", "llama3", 1000, 0)
    assert meant is not None
    assert meant.usd == Decimal("0.001")


def test_cache_reasoning_and_tiers_of_own_prices(tmp_path: Path) -> None:
    prices = own(
        tmp_path,
        {
            "acme-1": {
                "input_cost_per_token": 4e-06,
                "input_cost_per_token_above_200k_tokens": 8e-06,
                "output_cost_per_token": 1e-05,
                "output_cost_per_reasoning_token": 2e-05,
                "cache_read_input_token_cost": 4e-07,
                "cache_creation_input_token_cost": 5e-06,
                "litellm_provider": "acme",
                "max_tokens": 4096,
            }
        },
    )
    price = prices.price(
        "acme", "acme-1", 1000, 100, cached_tokens=500, cache_write_tokens=100, reasoning_tokens=50
    )
    assert price is not None
    # 400 at 4, 500 at 0.4, 100 at 5, 50 at 10 and 50 at 20 dollars a million.
    assert price.usd == Decimal("0.0038")
    large = prices.price("acme", "acme-1", 200_001, 0)
    assert large is not None
    assert large.usd == Decimal("1.600008")
    assert prices.price("other", "acme-1", 1, 1) is None


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ("{", "own.json: is not JSON"),
        ("[]", "own.json: has to be a JSON object of models"),
        ({"gpt-4o": 1}, "own.json: gpt-4o: has to be an object"),
        ({"gpt-4o": {"input_cost_per_token": "cheap"}}, "gpt-4o: input_cost_per_token has to be"),
        ({"gpt-4o": {"input_cost_per_token": -1}}, "gpt-4o: input_cost_per_token has to be"),
        ({"gpt-4o": {"input_cost_per_token": True}}, "gpt-4o: input_cost_per_token has to be"),
        ('{"gpt-4o": {"input_cost_per_token": NaN}}', "gpt-4o: input_cost_per_token has to be"),
        ({"gpt-4o": {"input_cost_per_token": 1e-06}}, "gpt-4o: output_cost_per_token is missing"),
        (
            {"gpt-4o": {
                "input_cost_per_token": 1, "output_cost_per_token": 1,
                "cache_read_input_token_cost_above_200k_tokens": 1,
            }},
            "gpt-4o: a price of cache_read tokens above a size",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_names_file_model_and_field(tmp_path: Path, entries: Any, said: str) -> None:
    prices = own(tmp_path, entries)
    assert prices.overrides is not None
    (problem,) = prices.overrides.problems
    assert said in problem
    unpriced = isinstance(entries, dict) or "gpt-4o" in entries
    assert (prices.price("openai", "gpt-4o", 1, 1) is None) == unpriced
    assert prices.price("openai", "gpt-4o-mini", 1, 1) is not None


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    problems = read_overrides(tmp_path / "gone.json").problems
    assert problems == (f"{tmp_path / 'gone.json'}: does not exist",)
    assert read_overrides(tmp_path).problems == (f"{tmp_path}: is no file",)


def test_entries_of_other_kinds_of_models_are_passed_over(tmp_path: Path) -> None:
    prices = own(
        tmp_path,
        {
            "sample_spec": {"input_cost_per_token": "a number"},
            "dall-e-3": {"mode": "image_generation", "input_cost_per_pixel": 1e-08},
            "text-embedding-3-small": {"mode": "embedding", "input_cost_per_token": 2e-08},
        },
    )
    assert prices.overrides is not None
    assert prices.overrides.problems == ()
    assert prices.price("openai", "text-embedding-3-small", 10**6, 0) is not None
