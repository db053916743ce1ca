"""The price list in use, and pricing history anew."""

from __future__ import annotations

from pydantic import Field

from mellea_jupyter.models.base import Model, Timestamp
from mellea_jupyter.models.metrics import Usd


class PriceOverrides(Model):
    """An operator's own prices."""

    file: str = Field(description="Where they are read from.")
    version: str = Field(description="The first 12 digits of its SHA-256.")
    dated: str = Field(description="The day it was last changed, ISO 8601.")
    models: int = Field(description="Models it prices.")
    problems: tuple[str, ...] = Field((), description="What is wrong in it; names model and field.")


class PriceListReply(Model):
    """Where prices come from."""

    source: str = Field("genai-prices", description="The bundled list.")
    version: str = Field(description="Its version.")
    dated: str | None = Field(None, description="It is at least as new as this day, ISO 8601.")
    overrides: PriceOverrides | None = Field(None, description="What goes before it.")


class RepriceRequest(Model):
    """`POST /api/prices/reprice`: price calls of ended runs anew, from their stored tokens."""

    since: Timestamp | None = Field(None, description="Only runs created at or after this time.")
    model: str | None = Field(
        None, description='Only calls of this model, "provider/name" or its name alone.'
    )
    dry_run: bool = Field(False, description="Only say what would change.")


class RepricedRun(Model):
    """A run whose cost changed."""

    run_id: str = Field(description="The run.")
    asset_name: str = Field(description="Its program.")
    calls: int = Field(description="Calls whose price changed.")
    before_usd: Usd | None = Field(description="Its cost before; null when unpriced.")
    after_usd: Usd | None = Field(description="Its cost now; null when unpriced.")
    unpriced_before: int = Field(description="Unpriced calls before.")
    unpriced_after: int = Field(description="Unpriced calls now.")


class RepriceReply(Model):
    """What pricing anew changed, or would change."""

    dry_run: bool = Field(description="As asked for: nothing was changed.")
    runs_seen: int = Field(description="Ended runs that were looked at.")
    calls_seen: int = Field(description="Their calls, those of other models not counted.")
    runs_changed: int = Field(description="Runs whose calls have another price now.")
    calls_changed: int = Field(description="Calls with another price.")
    before_usd: Usd = Field(description="Cost of the changed runs before, priced calls only.")
    after_usd: Usd = Field(description="And now.")
    runs: tuple[RepricedRun, ...] = Field(description="The changed runs, at most 1000 of them.")
    list_version: str = Field(description="The price list that was used.")
