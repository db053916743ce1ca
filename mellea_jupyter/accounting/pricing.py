"""What one LLM call costs, in exact arithmetic and with the price list it comes from.

A `PriceList` is an operator's own prices before the bundled list of ``genai-prices``; local models
and the demo model are free. A model that neither knows is unpriced, never guessed from a similar
name: the bundled list has its own match rules, and names in an operator's file are exact.

**Source:** the ``genai-prices`` package, whose version identifies the list.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from functools import lru_cache
from importlib import metadata
from typing import TYPE_CHECKING, Final

from mellea_jupyter.accounting.overrides import TOKENS_PER_MTOK, Overrides, Rate, TokenRates

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice, Provider, TieredPrices

PICODOLLARS_PER_USD = 10**12
FREE_PROVIDERS = frozenset({"ollama", "huggingface", "hf"})
FREE_MODELS = frozenset({"demo/scripted"})
LITELLM: Final = "litellm"
BUNDLED: Final = "genai-prices"
RATE_KEYS: Final = {
    "input": "input_mtok",
    "output": "output_mtok",
    "cache_read": "cache_read_mtok",
    "cache_write": "cache_write_mtok",
    "reasoning": "output_reasoning_mtok",
}
"""Our classes of tokens, and what the bundled list calls their prices."""


@dataclass(frozen=True)
class Price:
    """What a call costs, in pico-dollars, and the list that says so.

    `source` is ``genai-prices``, ``override`` or ``local``; `version` tells the list from an
    earlier one, and `dated` is its day, ISO 8601, where it has one.
    """

    picodollars: int
    source: str
    version: str
    dated: str | None = None

    @property
    def usd(self) -> Decimal:
        """The price in US dollars, exact."""
        return to_usd(self.picodollars)


@dataclass(frozen=True)
class Tokens:
    """The tokens of a call, as reported.

    `cached` and `cache_write` are parts of `input`, and `reasoning` is a part of `output`.
    """

    input: int
    output: int
    cached: int = 0
    cache_write: int = 0
    reasoning: int = 0

    def classes(self) -> dict[str, int]:
        """The same as classes that no token is in twice, those without a token left out."""
        cached = min(self.cached, self.input)
        written = min(self.cache_write, self.input - cached)
        reasoning = min(self.reasoning, self.output)
        counts = {
            "input": self.input - cached - written,
            "cache_read": cached,
            "cache_write": written,
            "output": self.output - reasoning,
            "reasoning": reasoning,
        }
        return {name: count for name, count in counts.items() if count}


def to_usd(picodollars: int) -> Decimal:
    """Pico-dollars as US dollars, exact."""
    return Decimal(picodollars).scaleb(-12)


class PriceList:
    """Prices calls. Immutable; safe to use from several threads.

    Args:
        overrides: An operator's own prices, which go before the bundled ones.
    """

    def __init__(self, overrides: Overrides | None = None) -> None:
        self.overrides = overrides

    @property
    def version(self) -> str:
        """Tells this list from any other: the bundled version, and that of the overrides."""
        own = "" if self.overrides is None else f"+{self.overrides.version}"
        return f"{bundled_version()}{own}"

    def price(
        self,
        provider: str | None,
        model: str | None,
        input_tokens: int | None,
        output_tokens: int | None,
        *,
        cached_tokens: int | None = None,
        cache_write_tokens: int | None = None,
        reasoning_tokens: int | None = None,
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
            cache_write_tokens: How many of the input tokens were written into it.
            reasoning_tokens: How many of the output tokens were spent on reasoning.
            response_model: The model that answered; it is looked up first.
            at: When the call was made, aware; prices change with time. None for now.
        """
        names = [name for name in (response_model, model) if name]
        own = self._find_own(provider, names)
        if own is None and (provider in FREE_PROVIDERS or model in FREE_MODELS):
            return Price(0, "local", "1")
        if input_tokens is None or output_tokens is None:
            return None
        tokens = Tokens(
            input_tokens,
            output_tokens,
            cached_tokens or 0,
            cache_write_tokens or 0,
            reasoning_tokens or 0,
        )
        if own is not None and self.overrides is not None:
            if not isinstance(own, TokenRates):
                return None  # the operator meant another price than the bundled one
            source = self.overrides
            return Price(cost_of(tokens, own), "override", source.version, source.dated)
        for name in names:
            rates = _bundled_rates(provider, name, at)
            if rates is not None:
                return Price(cost_of(tokens, rates), BUNDLED, bundled_version(), bundled_date())
        return None

    def is_known(self, provider: str | None, model: str) -> bool:
        """Whether a call of this model has a price now."""
        return self.price(provider, model, 0, 0) is not None

    def _find_own(self, provider: str | None, names: list[str]) -> TokenRates | str | None:
        if self.overrides is None:
            return None
        for name in names:
            found = self.overrides.find(provider, name, is_local=provider in FREE_PROVIDERS)
            if found is not None:
                return found
        return None


_DEFAULT = PriceList()
price_call = _DEFAULT.price
"""Prices a call by the bundled list alone."""


def cost_of(tokens: Tokens, rates: TokenRates) -> int:
    """Pico-dollars of these tokens, rounded half to even once, at the end.

    A class without a price of its own costs what the class costs that it is a part of.
    """
    total = 0
    for name, count in tokens.classes().items():
        rate = rates.rate(name)
        total += count * (rate.at(tokens.input) if rate is not None else 0)
    return _rounded(total)


def _rounded(micro_picodollars: int) -> int:
    """Whole pico-dollars of millionths of them, half to even."""
    whole, rest = divmod(micro_picodollars, TOKENS_PER_MTOK)
    half = TOKENS_PER_MTOK // 2
    return whole + (rest > half or (rest == half and whole % 2))


# The bundled list


def rates_of(price: ModelPrice) -> TokenRates | None:
    """The prices of text tokens; None where there are none (models of speech or pictures)."""
    known = {
        name: rate
        for name, key in RATE_KEYS.items()
        if (rate := _rate(getattr(price, key, None))) is not None
    }
    return TokenRates(known) if "input" in known or "output" in known else None


def _rate(price: Decimal | TieredPrices | None) -> Rate | None:
    if price is None:
        return None
    if isinstance(price, Decimal):
        return Rate(_per_mtok(price))
    tiers = tuple((tier.start, _per_mtok(tier.price)) for tier in price.tiers)
    return Rate(_per_mtok(price.base), tiers)


def _per_mtok(usd: Decimal) -> int:
    return int((usd * PICODOLLARS_PER_USD).to_integral_value(ROUND_HALF_EVEN))


_flat: dict[tuple[str, str], TokenRates | None] = {}


def _bundled_rates(provider: str | None, name: str, at: datetime | None) -> TokenRates | None:
    """What a model costs at this time; ten thousand calls of one are converted once."""
    found = _find(provider, name)
    if found is None:
        return None
    of, model = found
    if isinstance(model.prices, list):
        return rates_of(model.get_prices(at or datetime.now(UTC)))
    key = (of.id, model.id)
    if key not in _flat:
        _flat[key] = rates_of(model.prices)
    return _flat[key]


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
def bundled_version() -> str:
    """Version of the bundled list."""
    return metadata.version(BUNDLED)


@lru_cache(maxsize=1)
def bundled_date() -> str | None:
    """The last day on which the bundled list says that a price began, today at the latest.

    The list has no date of its own; it is at least that new.
    """
    from genai_prices.data_snapshot import get_snapshot

    today = datetime.now(UTC).date()
    days = [
        day
        for provider in get_snapshot().providers
        for model in provider.models
        for day in _start_days(model)
        if day <= today
    ]
    return max(days).isoformat() if days else None


def _start_days(model: ModelInfo) -> list[date]:
    prices = model.prices if isinstance(model.prices, list) else []
    starts = [getattr(each.constraint, "start_date", None) for each in prices]
    return [day for day in starts if day is not None]
