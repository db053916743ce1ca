"""Memory, CPU time and cost over a run's time, in a bounded number of points."""

from __future__ import annotations

from typing import Final, NamedTuple

MAX_POINTS: Final = 300


class Point(NamedTuple):
    """A moment of a run: Unix seconds, MiB and CPU seconds of its processes, money so far."""

    t: float
    memory_mb: float
    cpu_seconds: float
    picodollars: int | None


class Series:
    """Samples in order of time; neighbours are merged once there are too many.

    A merged point has the time, CPU time and cost of its last sample and the highest memory of
    all. The same samples always give the same points.
    """

    def __init__(self) -> None:
        self._points: list[Point] = []
        self._stride = 1  # samples in a point
        self._pending = 0  # samples in the last point
        self.is_changed = False

    @property
    def points(self) -> list[Point]:
        """At most `MAX_POINTS`."""
        return list(self._points)

    def add(self, sample: Point) -> None:
        """Take a sample into account; one that goes back in time is passed over."""
        if self._points and sample.t < self._points[-1].t:
            return
        self.is_changed = True
        if self._points and self._pending < self._stride:
            self._points[-1] = _merged(self._points[-1], sample)
            self._pending += 1
            return
        if len(self._points) == MAX_POINTS:
            pairs = zip(self._points[::2], self._points[1::2], strict=True)
            self._points = [_merged(first, second) for first, second in pairs]
            self._stride *= 2
        self._points.append(sample)
        self._pending = 1


def _merged(first: Point, second: Point) -> Point:
    return second._replace(memory_mb=max(first.memory_mb, second.memory_mb))
