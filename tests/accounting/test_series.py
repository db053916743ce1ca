"""Any number of samples gives a bounded number of points, the peaks kept."""

from __future__ import annotations

import pytest

from mellea_jupyter.accounting.series import MAX_POINTS, Point, Series


def sample(n: int) -> Point:
    return Point(t=float(n), memory_mb=float(n % 97), cpu_seconds=n / 10, picodollars=n)


@pytest.mark.parametrize("count", [0, 1, MAX_POINTS, MAX_POINTS + 1, 1000, 86_400])
def test_points_are_bounded_and_in_order(count: int) -> None:
    series = Series()
    for n in range(count):
        series.add(sample(n))
    points = series.points
    assert len(points) <= MAX_POINTS
    assert len(points) >= min(count, MAX_POINTS // 2)
    assert [point.t for point in points] == sorted(point.t for point in points)
    if count:
        assert (points[-1].cpu_seconds, points[-1].picodollars) == ((count - 1) / 10, count - 1)
        assert max(p.memory_mb for p in points) == max(sample(n).memory_mb for n in range(count))


def test_a_sample_that_goes_back_in_time_is_passed_over() -> None:
    series = Series()
    series.add(sample(5))
    series.add(sample(4))
    assert [point.t for point in series.points] == [5.0]
