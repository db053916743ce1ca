"""How often the classifier is right about failures that really happened."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import pytest

from mellea_jupyter.failures.classifier import classify
from mellea_jupyter.failures.evidence import Evidence, Raised
from mellea_jupyter.models.failures import ErrorClassification, FailureCategory, FailureType

from .record import CORPUS

ENOUGH = 0.95


def classified(path: Path) -> tuple[str, ErrorClassification]:
    """The label of a recorded failure, and what is made of it."""
    case = json.loads(path.read_text("utf-8"))
    run = case["run"]
    calls = case["failed_calls"]
    evidence = Evidence(
        phase=case["failed_in"],
        reason=run["status_reason"],
        executor=case["executor"],
        message=run["error_message"] or "",
        exit_code=run["exit_code"],
        exception=Raised.of(case["exception"]),
        failed_call=Raised.of(calls[-1]["error"]) if calls else None,
        calls=run["metrics"]["llm_calls"],
        cancelled_calls=sum(call["cancelled"] for call in calls),
        error_output=tuple(case["stderr"]),
        peak_memory_mb=run["metrics"]["peak_memory_mb"],
        asset=run["asset_name"],
        model=run["config"]["model"],
    )
    return case["label"]["type"], classify(evidence)


def test_nineteen_of_twenty_are_right_and_no_infrastructure_failure_is_blamed_on_the_program(
    capsys: pytest.CaptureFixture[str],
) -> None:
    right: dict[str, list[bool]] = defaultdict(list)
    wrong, blamed = [], []
    for path in sorted(CORPUS.glob("*/*.json")):
        label, found = classified(path)
        right[label].append(found.type == label)
        if found.type != label:
            wrong.append(f"{path.stem}: {label}, found {found.type}")
        is_ours = FailureType(label).category == FailureCategory.INFRASTRUCTURE
        if is_ours and found.category == FailureCategory.USER_CODE:
            blamed.append(path.stem)
    total = sum(len(each) for each in right.values())
    hits = sum(sum(each) for each in right.values())
    with capsys.disabled():
        print(f"\n{'type':<26}{'cases':>6}{'right':>6}")
        for label, outcomes in sorted(right.items()):
            print(f"{label:<26}{len(outcomes):>6}{sum(outcomes):>6}")
        print(f"{'all':<26}{total:>6}{hits:>6}  {hits / total:.1%}")
        for each in wrong:
            print(f"wrong: {each}")
    assert blamed == []
    assert hits / total >= ENOUGH
