"""What a call costs, inside the program: the price list that lies beside `spec.json`.

`prices.json` holds the server's whole list in a form that needs no package: which models a program
will ask is not known before it asks. It is read when the first call of a run with a budget in
money is about to be made. The matching is that of the server (`accounting/pricing.py`), rule by
rule. Standard library only; money is integer pico-dollars.
"""

from __future__ import annotations

import json
import os
import re
import time
from datetime import date
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

FILE_NAME = "prices.json"
PICODOLLARS_PER_USD = 10**12
_TOKENS_PER_MTOK = 10**6
_COMPACT_DATE = re.compile(r"(-)(20\d{2})(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?=-|:|$)")
_PARENT = {"cache_read": "input", "cache_write": "input", "reasoning": "output"}
_DAY_SECONDS = 86400


class Tokens(NamedTuple):
    """`cached` and `cache_write` are parts of `input`, `reasoning` is one of `output`."""

    input: int
    output: int
    cached: int = 0
    cache_write: int = 0
    reasoning: int = 0


class Rates:
    """Pico-dollars per million tokens of each class, with the tiers that large prompts pay."""

    def __init__(self, by_class: Dict[str, Any]) -> None:
        self._by_class = by_class

    @property
    def is_free(self) -> bool:
        """Whether no token costs anything."""
        return not any(self._by_class.values())

    def cost(self, tokens: Tokens) -> int:
        """Pico-dollars of these tokens, rounded half to even at the end."""
        cached = min(tokens.cached, tokens.input)
        written = min(tokens.cache_write, tokens.input - cached)
        reasoning = min(tokens.reasoning, tokens.output)
        counts = (
            ("input", tokens.input - cached - written),
            ("cache_read", cached),
            ("cache_write", written),
            ("output", tokens.output - reasoning),
            ("reasoning", reasoning),
        )
        total = sum(count * self._rate(name, tokens.input) for name, count in counts)
        whole, rest = divmod(total, _TOKENS_PER_MTOK)
        half = _TOKENS_PER_MTOK // 2
        return whole + (1 if rest > half or (rest == half and whole % 2) else 0)

    def least(self, tokens: int) -> int:
        """The least that so many input tokens can cost: the cheapest class of input there is."""
        names = ("input", "cache_read")
        return tokens * min(self._rate(name, 0) for name in names) // _TOKENS_PER_MTOK

    def _rate(self, name: str, input_tokens: int) -> int:
        rate = self._by_class.get(name)
        if rate is None:
            rate = self._by_class.get(_PARENT.get(name, ""), 0)
        if isinstance(rate, int):
            return rate
        price = int(rate[0])
        for start, tier in rate[1]:
            if input_tokens > start:
                price = int(tier)
        return price


FREE = Rates({})


class PriceTable:
    """The prices that `accounting/price_table.py` wrote."""

    def __init__(self, data: Dict[str, Any]) -> None:
        self._providers: List[Dict[str, Any]] = data["providers"]
        self._by_id: Dict[str, Dict[str, Any]] = {each["id"]: each for each in self._providers}
        self._own: Dict[str, Any] = data["own"]
        self._own_providers: Dict[str, str] = data["own_providers"]
        self._free_providers = frozenset(data["free_providers"])
        self._free_models = frozenset(data["free_models"])
        self._found: Dict[Tuple[Optional[str], str], Any] = {}

    def rates(self, provider: Optional[str], names: List[str], at: float) -> Optional[Rates]:
        """Prices of the first of these names that has some, at a Unix time; None without."""
        for name in names:
            own = self._find_own(provider, name)
            if own is not None:
                return Rates(own) if own else None
        if provider in self._free_providers or any(name in self._free_models for name in names):
            return FREE
        for name in names:
            key = (provider, name)
            if key not in self._found:
                self._found[key] = self._find(provider, name)
            prices = self._found[key] or ()
            active = (rates for limit, rates in prices if limit is None or _is_active(limit, at))
            by_class = next(active, None)
            if by_class:
                return Rates(by_class)
        return None

    def _find_own(self, provider: Optional[str], name: str) -> Optional[Dict[str, Any]]:
        """An operator's prices; an empty object for an entry that is wrong."""
        name = name.lower()
        named = provider.lower() if provider else None
        if named and named != "litellm":
            full, bare = f"{named}/{name}", name
        else:
            full, bare = name, name.partition("/")[2] or name
            named = name.partition("/")[0] if "/" in name else None
        if full in self._own:
            found: Dict[str, Any] = self._own[full]
            return found
        if provider in self._free_providers or bare not in self._own:
            return None
        meant = self._own_providers.get(bare)
        of_any: Dict[str, Any] = self._own[bare]
        return of_any if meant is None or meant == named else None

    # The bundled list. **Source:** genai-prices, `data_snapshot.py` and `types.py`.

    def _find(self, provider: Optional[str], name: str) -> Optional[List[Any]]:
        if provider is None:
            provider, _, name = name.rpartition("/")
        if not provider:
            return None
        name = name.lower()
        asked: Optional[str] = provider
        if provider.lower() == "litellm":
            first, slash, rest = name.partition("/")
            if slash and first and self._provider(first) is not None:
                asked, name = first, rest
        of = self._provider(asked or "")
        if of is None and (asked or "").lower() == "litellm":
            those = (each for each in self._providers if _matches(each["models_are"], name))
            of = next(those, None)
        if of is None:
            return None
        dated = _COMPACT_DATE.sub(_with_dashes, name)
        for text in dict.fromkeys((name, dated)):
            found = self._match(of, text)
            if found is not None:
                return found
        return None

    def _provider(self, name: str) -> Optional[Dict[str, Any]]:
        name = name.lower().strip()
        if name in self._by_id:
            return self._by_id[name]
        matching = (each for each in self._providers if _matches(each["match"], name))
        found: Optional[Dict[str, Any]] = next(matching, None)
        return found

    def _match(self, of: Dict[str, Any], name: str) -> Optional[List[Any]]:
        others = [self._by_id[other] for other in of["fallback"] if other in self._by_id]
        for provider in (of, *others):
            for clause, prices in provider["models"]:
                if _matches(clause, name):
                    found: List[Any] = prices
                    return found
        return None


def load_prices(run_dir: str) -> Optional[PriceTable]:
    """The run's price list; None where it has none that can be read."""
    try:
        with open(os.path.join(run_dir, FILE_NAME), "rb") as file:
            return PriceTable(json.load(file))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _matches(clause: Optional[List[Any]], text: str) -> bool:
    if clause is None:
        return False
    kind, value = clause
    if kind == "or":
        return any(_matches(each, text) for each in value)
    if kind == "and":
        return all(_matches(each, text) for each in value)
    if kind == "regex":
        return re.search(value, text) is not None
    text, value = text.lower(), value.lower()
    if kind == "equals":
        return bool(text == value)
    if kind == "starts_with":
        return text.startswith(value)
    return text.endswith(value) if kind == "ends_with" else value in text


def _with_dashes(match: "re.Match[str]") -> str:
    year, month, day = (int(match.group(index)) for index in (2, 3, 4))
    try:
        date(year, month, day)
    except ValueError:
        return match.group(0)
    return f"{match.group(1)}{year:04d}-{month:02d}-{day:02d}"


def _is_active(constraint: List[Any], at: float) -> bool:
    """`["from", "2026-01-31"]`, or `["daily", from, until]` in seconds of the UTC day."""
    if constraint[0] == "from":
        return time.strftime("%Y-%m-%d", time.gmtime(at)) >= str(constraint[1])
    _, start, end = constraint
    second = at % _DAY_SECONDS
    return bool(start <= second < end if start <= end else second >= start or second < end)
