"""The corpus is large, covers every type, is what its cases say, and tells nothing of a machine."""

from __future__ import annotations

import json
import socket
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from mellea_jupyter.models.run import Run, StatusReason

from .cases import CASES, CATEGORY_OF, KEY
from .evidence import VERDICT
from .record import CORPUS, FOLDER, counts, file_of
from .stage import PROGRAMS

FILES = sorted(CORPUS.glob("*/*.json"))


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return found


def test_every_case_is_recorded_and_nothing_else() -> None:
    assert {file_of(case) for case in CASES.values()} == set(FILES)


def test_it_has_at_least_120_cases_and_two_of_every_type() -> None:
    recorded = Counter(read(path)["label"]["type"] for path in FILES)
    assert recorded.total() >= 120
    assert {type_ for type_ in CATEGORY_OF if recorded[type_] < 2} == set()


def test_names_are_unique_and_labels_are_those_of_the_cases() -> None:
    names = [path.stem for path in FILES]
    assert len(set(names)) == len(names)
    for path in FILES:
        found, case = read(path), CASES[path.stem]
        assert found["name"] == case.name
        assert found["label"] == {"category": case.category, "type": case.type}
        assert found["program"] == case.program


def test_every_program_is_run_by_a_case() -> None:
    run = {PROGRAMS / case.program for case in CASES.values()}
    folders = {path.parent for path in run if path.name == "program.py"}
    for path in PROGRAMS.rglob("*"):
        if path.is_file() and path.suffix in (".py", ".ipynb"):
            assert path in run or folders & set(path.parents), path


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_record_is_a_failed_run(path: Path) -> None:
    found = read(path)
    run = Run.model_validate(found["run"])
    assert run.status == "failed"
    assert run.status_reason in set(StatusReason)
    if run.error is not None:
        assert run.error.type == found["exception"]["type"]
    assert VERDICT not in found["run"]
    assert found["failed_in"] in ("queued", "pulling_image", "starting", "running")
    if found["failed_in"] == "running" and run.status_reason not in ("lost", "engine_restarted"):
        assert found["end"] is not None


def test_they_are_small_and_name_neither_machine_nor_secret() -> None:
    texts = [path.read_text("utf-8") for path in FILES]
    assert sum(len(text.encode()) for text in texts) < 2_000_000
    home, host = str(Path.home()), socket.gethostname()
    for path, text in zip(FILES, texts, strict=True):
        for told in (KEY, "mj-failures-", "mj-engine-", str(FOLDER), f"{home}/", f'"{host}"'):
            assert told not in text, (path.name, told)


def test_the_readme_has_the_counts() -> None:
    assert (FOLDER / "README.md").read_text("utf-8").endswith(f"-->\n{counts()}")
