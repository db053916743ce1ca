"""A comparison as text, in wide and narrow terminals."""

from __future__ import annotations

from typing import Any

import pytest

from mellea_jupyter.client.side_by_side import as_text, change_text, value_text
from mellea_jupyter.models.comparisons import ComparedRow, ComparedValue, RunComparison


def row(unit: str = "number", *values: dict[str, Any], **fields: Any) -> ComparedRow:
    cells = tuple(ComparedValue(**value) for value in values)
    given = {"section": "metrics", "name": "x", "differs": True, **fields}
    return ComparedRow.model_validate({"unit": unit, "values": cells, **given})


@pytest.mark.parametrize(
    ("unit", "value", "text"),
    [
        ("number", {"value": 1204}, "1,204"),
        ("number", {"value": 2.5, "least": 2, "most": 3}, "2.5 (2 … 3)"),
        ("milliseconds", {"value": 3200}, "3.2 s"),
        ("usd", {"value": 0.0031}, "$0.0031"),
        ("usd", {"value": 0.12, "missing": 3}, "≥ $0.1200, 3 calls unpriced"),
        ("usd", {"value": None, "missing": 3}, "unpriced"),
        ("number", {"value": 10, "missing": 1}, "10, 1 call without usage"),
        ("share", {"value": 4, "of": 5}, "4 of 5 (80%)"),
        ("share", {"value": None}, ""),
        ("json", {"value": ["a"]}, '["a"]'),
        ("text", {"value": True}, "true"),
    ],
)
def test_values_are_said_with_their_unit(unit: str, value: dict[str, Any], text: str) -> None:
    assert value_text(row(unit, value), ComparedValue(**value)) == text


@pytest.mark.parametrize(
    ("first", "second", "text"),
    [
        (100, 112, "+12 %"),
        (100, 50, "-50 %"),
        (2, 30, "x15"),
        (0, 5, ""),
        (None, 5, ""),
        (5, 5, ""),
    ],
)
def test_a_change_is_said_against_the_first(first: Any, second: Any, text: str) -> None:
    assert change_text(row("number", {"value": first}, {"value": second}), 1) == text


def comparison(columns: int) -> RunComparison:
    return RunComparison.model_validate(
        {
            "columns": [
                {
                    "label": f"model-{n}",
                    "runs": [
                        {"id": f"{n}" * 36, "title": "a", "status": "succeeded", "is_unmet": False}
                    ],
                }
                for n in range(columns)
            ],
            "rows": [
                {
                    "section": "outputs",
                    "name": "greeting",
                    "unit": "json",
                    "values": [{"value": f"a long greeting of number {n}"} for n in range(columns)],
                    "differs": True,
                },
                {
                    "section": "configuration",
                    "name": "isolation",
                    "unit": "text",
                    "values": [{"value": "warm"}] * columns,
                    "differs": False,
                },
            ],
            "left_out_runs": 3,
        }
    )


def test_columns_stand_beside_each_other_where_they_fit() -> None:
    text = as_text(comparison(2), width=80)
    assert text.splitlines()[0].split() == ["model-0", "model-1"]
    assert "greeting  a long greeting of number 0  a long greeting of number 1" in text
    assert "isolation" not in text
    assert "1 row the same." in text
    assert "3 runs of the group are not shown." in text
    assert "isolation" in as_text(comparison(2), width=80, shows_same=True)


@pytest.mark.parametrize("width", [30, 60, 100])
def test_otherwise_they_stand_below_each_other(width: int) -> None:
    text = as_text(comparison(10), width=width)
    assert "  model-9  a long" in text
    assert max(map(len, text.splitlines())) <= max(width, 40)
