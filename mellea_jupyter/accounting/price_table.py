"""A price list as the runtime reads it: everything in one JSON object (`runtime/prices.py`).

Shape: `{v, version, free_providers, free_models, own: {name: rates}, own_providers: {name:
provider}, providers: [{id, match, models_are, fallback, models: [[clause, [[constraint, rates],
…]], …]}]}`. Rates are pico-dollars per million tokens by class, `[base, [[start, rate], …]]` where
a prompt's size matters; empty rates are an entry that gives no price. Of several constraints the
first that holds counts.
"""

from __future__ import annotations

from datetime import time
from typing import TYPE_CHECKING, Any

import orjson

from mellea_jupyter.accounting.overrides import TokenRates
from mellea_jupyter.accounting.pricing import (
    FREE_MODELS,
    FREE_PROVIDERS,
    PriceList,
    rates_of,
)

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, Provider


def encode_table(prices: PriceList) -> bytes:
    """The list as JSON, about 600 kB. Takes some tens of milliseconds; keep what it gives."""
    from genai_prices.data_snapshot import get_snapshot

    own = prices.overrides.rates if prices.overrides is not None else {}
    return orjson.dumps(
        {
            "v": 1,
            "version": prices.version,
            "free_providers": sorted(FREE_PROVIDERS),
            "free_models": sorted(FREE_MODELS),
            "own": {
                name: _rates(rates) if isinstance(rates, TokenRates) else {}
                for name, rates in own.items()
            },
            "own_providers": {} if prices.overrides is None else dict(prices.overrides.providers),
            "providers": [_provider(each) for each in get_snapshot().providers],
        }
    )


def _provider(provider: Provider) -> dict[str, Any]:
    return {
        "id": provider.id,
        "match": _clause(provider.provider_match),
        "models_are": _clause(provider.model_match),
        "fallback": list(provider.fallback_model_providers or ()),
        "models": [[_clause(model.match), _prices(model)] for model in provider.models],
    }


def _prices(model: ModelInfo) -> list[list[Any]]:
    if not isinstance(model.prices, list):
        return [[None, _rates(rates_of(model.prices))]]
    found = [[_constraint(each.constraint), _rates(rates_of(each.prices))] for each in model.prices]
    # The last that holds counts, and the first where none does.
    return [*reversed(found), [None, found[0][1]]]


def _rates(rates: TokenRates | None) -> dict[str, Any]:
    if rates is None:
        return {}
    return {
        name: [rate.base, rate.tiers] if rate.tiers else rate.base
        for name, rate in rates.by_class.items()
    }


def _constraint(constraint: Any) -> list[Any] | None:
    if constraint is None:
        return None
    if hasattr(constraint, "start_date"):
        return ["from", constraint.start_date.isoformat()]
    return ["daily", _utc_second(constraint.start_time), _utc_second(constraint.end_time)]


def _utc_second(moment: time) -> float:
    """Seconds into the UTC day; a time without a zone is UTC."""
    offset = moment.utcoffset()
    seconds = moment.hour * 3600 + moment.minute * 60 + moment.second + moment.microsecond / 1e6
    return (seconds - (offset.total_seconds() if offset is not None else 0)) % 86400


def _clause(clause: Any) -> list[Any] | None:
    """A match rule as `["starts_with", text]` or `["or", [clause, …]]`."""
    if clause is None:
        return None
    ((name, value),) = vars(clause).items()
    name = name.removesuffix("_")
    return [name, [_clause(each) for each in value] if name in ("or", "and") else value]
