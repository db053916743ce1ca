"""What the benchmarks share: interleaved rounds, medians, and one way to print a row.

Ratios are quoted, never milliseconds alone: both sides of a ratio run in turn in the same
process (A B A B …), after a warm-up that is thrown away, so that load on the machine burdens both.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from statistics import median


def interleave(
    cases: Mapping[str, Callable[[], Sequence[float]]], *, rounds: int, warm_up: int = 1
) -> dict[str, list[float]]:
    """Run every case once a round, in turn.

    Args:
        cases: by name, a function that does the thing once and returns its times in seconds,
            always as many.
        rounds: rounds that count.
        warm_up: rounds before them that do not.

    Returns:
        By name, the median of each of the case's times, in seconds.
    """
    times: dict[str, list[Sequence[float]]] = {name: [] for name in cases}
    for number in range(warm_up + rounds):
        for name, case in cases.items():
            measured = case()
            if number >= warm_up:
                times[name].append(measured)
    return {name: [median(column) for column in zip(*t, strict=True)] for name, t in times.items()}


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that this share of the values does not exceed; ``share`` in (0, 1]."""
    ordered = sorted(values)
    return ordered[max(1, math.ceil(len(ordered) * share)) - 1]


def row(
    what: str,
    ratio: float,
    *,
    at_most: float | None = None,
    at_least: float | None = None,
    detail: str = "",
) -> None:
    """Print one result with its target, if it has one.

    The verdict is ``ok`` or ``MISSED``; ``detail`` gives the figures behind the ratio.
    """
    target, verdict = "", ""
    if at_most is not None:
        target, verdict = f"≤ {at_most:g}", "ok" if ratio <= at_most else "MISSED"
    elif at_least is not None:
        target, verdict = f"≥ {at_least:g}", "ok" if ratio >= at_least else "MISSED"
    print(f"  {what:<58} {ratio:>9.3g} x  {target:>7} {verdict:<7} {detail}", flush=True)


def milliseconds(seconds: float) -> str:
    """A duration for people."""
    return f"{seconds * 1000:.1f} ms"


def load() -> str:
    """The machine's load average, since figures taken under load mean less."""
    return f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
