"""An operator's own prices: a JSON file in litellm's per-token schema.

``{"openai/gpt-4o": {"input_cost_per_token": 0.0000025, "output_cost_per_token": 0.00001}}``. The
file that mellea reads from ``MELLEA_PRICING_FILE`` works, and so does litellm's own list. Names are
exact: ``provider/model``, or a bare model, which is then priced with each provider that is not
local, or with the one of its ``litellm_provider``.

**Source:** litellm's ``model_prices_and_context_window.json``; mellea's ``telemetry/pricing.py``.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import Any, Final

TOKENS_PER_MTOK: Final = 10**6
MAX_FILE_BYTES: Final = 32 << 20
LARGEST_USD_PER_TOKEN: Final = Decimal(1000)

_FIELDS: Final = {
    "input_cost_per_token": "input",
    "output_cost_per_token": "output",
    "cache_read_input_token_cost": "cache_read",
    "cache_creation_input_token_cost": "cache_write",
    "output_cost_per_reasoning_token": "reasoning",
}
_TIER: Final = re.compile(r"(.+)_above_([1-9][0-9]{0,5})k_tokens")
_MODES_OF_TEXT: Final = (None, "chat", "completion", "responses")
_EXAMPLE: Final = "sample_spec"
"""An entry of litellm's list that explains the fields."""
_PARENT: Final = {"cache_read": "input", "cache_write": "input", "reasoning": "output"}


@dataclass(frozen=True)
class Rate:
    """Pico-dollars per million tokens.

    Each tier is what all of them cost in a call whose prompt has more tokens than it says.
    """

    base: int
    tiers: tuple[tuple[int, int], ...] = ()

    def at(self, input_tokens: int) -> int:
        """The rate for a prompt of this size."""
        rate = self.base
        for start, price in self.tiers:
            if input_tokens > start:
                rate = price
        return rate


@dataclass(frozen=True)
class TokenRates:
    """What the tokens of a model cost.

    By class: input, output, cache_read, cache_write, reasoning.
    """

    by_class: Mapping[str, Rate]

    def rate(self, name: str) -> Rate | None:
        """The rate of a class, or of the class that it is a part of."""
        found = self.by_class.get(name)
        return found if found is not None else self.by_class.get(_PARENT.get(name, ""))


@dataclass(frozen=True)
class Overrides:
    """Prices of a file, as it was when it was read.

    Attributes:
        file: Its path.
        version: The first 12 digits of its SHA-256.
        dated: The day it was last changed, ISO 8601 in UTC.
        rates: By name, in lower case; a text instead says what is wrong with the entry.
        problems: All that is wrong, each naming file, model and field.
    """

    file: str
    version: str
    dated: str
    rates: Mapping[str, TokenRates | str]
    providers: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()

    def find(self, provider: str | None, name: str, *, is_local: bool) -> TokenRates | str | None:
        """The prices of a model; a text where its entry is wrong; None where it has none."""
        name = name.lower()
        provider = provider.lower() if provider else None
        if provider and provider != "litellm":
            full, bare = f"{provider}/{name}", name
        else:
            full, bare = name, name.partition("/")[2] or name
            provider = name.partition("/")[0] if "/" in name else None
        if full in self.rates:
            return self.rates[full]
        # A model of one's own machine is priced only where the file says that it is meant.
        if is_local or bare not in self.rates:
            return None
        meant = self.providers.get(bare)
        return self.rates[bare] if meant is None or meant == provider else None


def read_overrides(path: str | Path) -> Overrides:
    """Read a file of prices. Never raises: what is wrong is in `problems`. Blocks.

    A file that can not be read gives no prices. A wrong entry makes its model unpriced.
    """
    file = Path(path).expanduser()
    try:
        content = _read(file)
        dated = datetime.fromtimestamp(file.stat().st_mtime, UTC).date().isoformat()
    except OSError as error:
        return _unusable(file, error.strerror or str(error))
    version = hashlib.sha256(content).hexdigest()[:12]
    try:
        entries = json.loads(content, parse_float=Decimal, parse_int=Decimal)
    except (ValueError, RecursionError, ArithmeticError) as error:
        return _unusable(file, f"is not JSON: {error}", version, dated)
    if not isinstance(entries, dict):
        return _unusable(file, "has to be a JSON object of models", version, dated)
    rates: dict[str, TokenRates | str] = {}
    providers: dict[str, str] = {}
    problems: list[str] = []
    for name, entry in entries.items():
        if name == _EXAMPLE:
            continue
        try:
            found = _rates(entry)
        except ValueError as error:
            rates[name.lower()] = str(error)
            problems.append(f"{file}: {name}: {error}")
            continue
        if found is not None:
            rates[name.lower()] = found
            meant = entry.get("litellm_provider")
            if isinstance(meant, str):
                providers[name.lower()] = meant.lower()
    return Overrides(str(file), version, dated, rates, providers, tuple(problems))


def _read(file: Path) -> bytes:
    if not file.is_file():
        raise OSError(0, "is no file" if file.exists() else "does not exist")
    with file.open("rb") as source:
        content = source.read(MAX_FILE_BYTES + 1)
    if len(content) > MAX_FILE_BYTES:
        raise OSError(0, f"is larger than {MAX_FILE_BYTES >> 20} MiB")
    return content


def _unusable(file: Path, why: str, version: str = "none", dated: str = "") -> Overrides:
    return Overrides(str(file), version, dated, {}, problems=(f"{file}: {why}",))


def _rates(entry: Any) -> TokenRates | None:
    """The rates of an entry; None for one without prices of tokens. Raises ValueError."""
    if not isinstance(entry, dict):
        msg = "has to be an object with input_cost_per_token and output_cost_per_token"
        raise ValueError(msg)  # noqa: TRY004 - one kind of error for all that is wrong in a file
    bases: dict[str, int] = {}
    tiers: dict[str, list[tuple[int, int]]] = {}
    for name, start, value in _prices(entry):
        if start is None:
            bases[name] = value
        else:
            tiers.setdefault(name, []).append((start, value))
    if not bases and not tiers:
        return None
    for name in ("input", "output"):
        if name not in bases:
            key = next(key for key, kind in _FIELDS.items() if kind == name)
            if entry.get("mode") not in _MODES_OF_TEXT:
                continue  # an embedding has no output, and speech has other prices besides
            msg = f"{key} is missing; 0 says that these tokens are free"
            raise ValueError(msg)
    for name in tiers:
        if name not in bases:
            msg = f"a price of {name} tokens above a size needs one below it"
            raise ValueError(msg)
    return TokenRates(
        {name: Rate(base, tuple(sorted(tiers.get(name, ())))) for name, base in bases.items()}
    )


def _prices(entry: Mapping[str, Any]) -> Iterator[tuple[str, int | None, int]]:
    """Yields class, size above which it counts, and pico-dollars per million tokens."""
    for key, value in entry.items():
        tier = _TIER.fullmatch(key)
        kind = _FIELDS.get(tier[1] if tier else key)
        if kind is None or value is None:
            continue
        if not isinstance(value, Decimal) or not 0 <= value <= LARGEST_USD_PER_TOKEN:
            shown = json.dumps(value, default=str)[:40]
            msg = f"{key} has to be a number of US dollars from 0 to 1000, not {shown}"
            raise ValueError(msg)
        per_mtok = (value * TOKENS_PER_MTOK * 10**12).to_integral_value(ROUND_HALF_EVEN)
        yield kind, int(tier[2]) * 1000 if tier else None, int(per_mtok)
