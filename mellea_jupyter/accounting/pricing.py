"""What one LLM call costs, in exact arithmetic and with the price list it comes from.

Prices are looked up in the bundled list of ``genai-prices``; local models and the demo model are
free. A model that the list does not know is unpriced, never guessed from a similar name.

**Source:** the ``genai-prices`` package, whose version identifies the list.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from functools import lru_cache
from importlib import metadata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, Provider

PICODOLLARS_PER_USD = 10**12
FREE_PROVIDERS = frozenset({"ollama", "huggingface", "hf"})
FREE_MODELS = frozenset({"demo/scripted"})
_TOKENS_PER_MTOK = 10**6


@dataclass(frozen=True)
class Price:
    """What a call costs, in pico-dollars, and the list and version that say so."""

    picodollars: int
    source: str
    version: str

    @property
    def usd(self) -> Decimal:
        """The price in US dollars, exact."""
        return to_usd(self.picodollars)


def to_usd(picodollars: int) -> Decimal:
    """Pico-dollars as US dollars, exact."""
    return Decimal(picodollars).scaleb(-12)


def price_call(
    provider: str | None,
    model: str | None,
    input_tokens: int | None,
    output_tokens: int | None,
    *,
    cached_tokens: int | None = None,
    response_model: str | None = None,
    at: datetime | None = None,
) -> Price | None:
    """Price one call; None when its model or its tokens are unknown.

    Args:
        provider: mellea's name of the backend; with ``litellm`` the model carries the provider.
        model: The requested model. ``provider/model`` when there is no provider.
        input_tokens: Tokens of the prompt, cached ones included.
        output_tokens: Tokens of the reply, reasoning included.
        cached_tokens: How many of the input tokens came from the provider's cache.
        response_model: The model that answered; it is looked up first.
        at: When the call was made, aware; prices change with time. None for now.
    """
    if provider in FREE_PROVIDERS or model in FREE_MODELS:
        return Price(0, "local", "1")
    if input_tokens is None or output_tokens is None:
        return None
    for name in (response_model, model):
        found = _find(provider, name) if name else None
        if found is not None:
            tokens = (input_tokens, output_tokens, cached_tokens)
            picodollars = _calculate(*found, tokens, at)
            return Price(picodollars, "genai-prices", _list_version())
    return None


def _calculate(
    provider: Provider,
    model: ModelInfo,
    tokens: tuple[int, int, int | None],
    at: datetime | None,
) -> int:
    input_tokens, output_tokens, cached_tokens = tokens
    rates = _flat_rates(provider.id, model.id, model) if not cached_tokens else None
    if rates is not None:
        return input_tokens * rates[0] + output_tokens * rates[1]
    from genai_prices import Usage

    usage = Usage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cache_read_tokens=min(cached_tokens or 0, input_tokens) or None,
    )
    total = model.calc_price(usage, provider, genai_request_timestamp=at).total_price
    return int((total * PICODOLLARS_PER_USD).to_integral_value(ROUND_HALF_EVEN))


_rates: dict[tuple[str, str], tuple[int, int] | None] = {}


def _flat_rates(provider_id: str, model_id: str, model: ModelInfo) -> tuple[int, int] | None:
    """Pico-dollars per input and output token, or None where they depend on time or on size.

    Ten thousand calls of one model are then priced by two multiplications each.
    """
    key = (provider_id, model_id)
    if key not in _rates:
        prices = (
            getattr(model.prices, "input_mtok", None),
            getattr(model.prices, "output_mtok", None),
        )
        per_token = [
            price * PICODOLLARS_PER_USD / _TOKENS_PER_MTOK
            for price in prices
            if isinstance(price, Decimal)
        ]
        is_flat = len(per_token) == 2 and all(rate == int(rate) for rate in per_token)
        _rates[key] = (int(per_token[0]), int(per_token[1])) if is_flat else None
    return _rates[key]


@lru_cache(maxsize=4096)
def _find(provider: str | None, name: str) -> tuple[Provider, ModelInfo] | None:
    from genai_prices.data_snapshot import get_snapshot

    if provider is None:
        provider, _, name = name.rpartition("/")
    if not provider:
        return None
    try:
        return get_snapshot().find_provider_model(name, None, provider, None)
    except LookupError:
        return None


@lru_cache(maxsize=1)
def _list_version() -> str:
    return metadata.version("genai-prices")
