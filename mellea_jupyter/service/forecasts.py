"""What a program usually takes, told before it is started: from its own runs, or nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from mellea_jupyter.auth.owner import User
from mellea_jupyter.models.budget import Forecast, Interval
from mellea_jupyter.service.access import visible_to
from mellea_jupyter.service.offload import Offload
from mellea_jupyter.stores.runs.base import RunFigures, RunStore

MAX_RUNS: Final = 200
ENOUGH_FOR_QUANTILES: Final = 5
LOW: Final = 0.1
HIGH: Final = 0.9


class Forecasts:
    """Forecasts from the runs that a user may see."""

    def __init__(self, *, store: RunStore, offload: Offload) -> None:
        self._store = store
        self._offload = offload

    async def of_asset(self, asset_id: str, model: str | None, user: User) -> Forecast:
        """From the latest runs of the asset that succeeded, with this model if one is named."""
        figures = await self._offload.io(
            self._store.list_figures,
            asset_id,
            model=model,
            visible_to=visible_to(user),
            limit=MAX_RUNS,
        )
        return make_forecast(figures, model)


def make_forecast(figures: Sequence[RunFigures], model: str | None) -> Forecast:
    """Pure: intervals of what runs took."""
    if not figures:
        return Forecast(runs=0, model=model)
    unpriced = sum(each.cost_usd is None or each.unpriced_calls > 0 for each in figures)
    costs = [float(each.cost_usd or 0) for each in figures]
    return Forecast(
        runs=len(figures),
        model=model,
        duration_ms=interval([each.duration_ms for each in figures]),
        cost_usd=None if unpriced else interval(costs),
        llm_calls=interval([each.llm_calls for each in figures]),
        unpriced_runs=unpriced,
    )


def interval(values: Sequence[float]) -> Interval:
    """The 10 % and 90 % quantiles, between neighbours in proportion; of few values all of them."""
    ordered = sorted(values)
    if len(ordered) < ENOUGH_FOR_QUANTILES:
        return Interval(low=ordered[0], high=ordered[-1])
    return Interval(low=_quantile(ordered, LOW), high=_quantile(ordered, HIGH))


def _quantile(ordered: Sequence[float], share: float) -> float:
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])
