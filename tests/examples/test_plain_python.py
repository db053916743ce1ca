"""Each example is an ordinary mellea program: `python example.py` works, without a run.

The model answers over the Ollama protocol, which is what `start_session()` uses by itself.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from mellea_jupyter.demo.server import DemoModel

ROOT = Path(__file__).parent.parent.parent
EXAMPLES = ROOT / "examples"


def run_plain(demo: DemoModel, folder: Path, program: str, *arguments: str) -> str:
    """What the program prints; it has to end with exit code 0."""
    done = subprocess.run(
        [sys.executable, EXAMPLES / program, *arguments],
        cwd=folder,
        env={**os.environ, "OLLAMA_HOST": demo.url, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_example_has_a_test_here_and_a_managed_one() -> None:
    names = {path.name for path in EXAMPLES.glob("*.py")}
    for test in (Path(__file__), Path(__file__).parent / "test_managed_runs.py"):
        text = test.read_text(encoding="utf-8")
        assert {name for name in names if f'"{name}"' not in text} == set()


def test_trip_is_repaired_once(demo: DemoModel, tmp_path: Path) -> None:
    said = run_plain(demo, tmp_path, "trip.py", "--city", "Porto")
    assert "All requirements met after 2 attempts" in said
    assert "Porto" in said.splitlines()[-1]


def test_reviews_are_classified(demo: DemoModel, tmp_path: Path) -> None:
    said = run_plain(demo, tmp_path, "reviews.py", "Lovely.", "Broken.")
    assert said.count("Lovely.") == 1
    assert "complaint about" in said


def test_lipogram_gives_up_and_ends_well(demo: DemoModel, tmp_path: Path) -> None:
    assert "not met after 2 attempts" in run_plain(demo, tmp_path, "lipogram.py", "--attempts", "2")


def test_postcards_come_in_the_order_of_their_cities(demo: DemoModel, tmp_path: Path) -> None:
    said = run_plain(demo, tmp_path, "postcards.py", "Lisbon", "Faro")
    assert "Lisbon is written" in said
    assert said.index("\nLisbon\n") < said.index("\nFaro\n")


def test_report_writes_its_table_beside_itself(demo: DemoModel, tmp_path: Path) -> None:
    run_plain(demo, tmp_path, "report.py", "Bern")
    table = (tmp_path / "outputs" / "cities.csv").read_text(encoding="utf-8")
    assert table.splitlines()[0] == "name,country,population"
    assert table.splitlines()[1].startswith("Bern,")
