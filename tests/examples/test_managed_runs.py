"""Each example as a managed run, through REST and a real server.

What a run counted is compared with what the endpoint counted for its key.
"""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

import mellea_jupyter
from mellea_jupyter.client import MelleaClient, RunHandle
from mellea_jupyter.demo.server import DemoModel
from mellea_jupyter.models.run import RunStatus
from mellea_jupyter.testing.server import JupyterServer

DEADLINE_SECONDS = 60.0


class Runner:
    """Starts examples with the demo model and waits for their end."""

    def __init__(self, client: MelleaClient, server: JupyterServer, demo: DemoModel) -> None:
        self._client, self._server, self._demo = client, server, demo

    def run(self, program: str, *arguments: str, **config: Any) -> RunHandle:
        """The ended run; its counts are those of the endpoint."""
        key = f"demo-{program}-{os.urandom(4).hex()}"
        variables = {"OPENAI_BASE_URL": self._demo.openai_url, "OPENAI_API_KEY": key}
        run = mellea_jupyter.run(
            self._server.root / program,
            model="demo/scripted",
            args=arguments,
            env=variables,
            client=self._client,
            **config,
        )
        run.wait(DEADLINE_SECONDS)
        counted = self._demo.counts(key)
        metrics = run.metrics
        assert metrics.llm_calls == counted["requests"], log_of(run)
        assert metrics.input_tokens == counted["input_tokens"]
        assert metrics.output_tokens == counted["output_tokens"]
        assert metrics.samples_generated + metrics.judge_calls == metrics.llm_calls
        assert metrics.estimated_cost_usd == 0
        return run


@pytest.fixture
def runner(client: MelleaClient, server: JupyterServer, demo: DemoModel) -> Runner:
    return Runner(client, server, demo)


def log_of(run: RunHandle) -> str:
    return "\n".join(frame.message for frame in run.logs())


def test_trip_is_repaired_and_leaves_its_plan(runner: Runner) -> None:
    run = runner.run("trip.py", "--city", "Porto")
    assert run.status is RunStatus.SUCCEEDED, log_of(run)
    metrics = run.metrics
    assert (metrics.samples_generated, metrics.repair_attempts, metrics.judge_calls) == (2, 1, 2)
    assert (metrics.loop_iterations, metrics.loops_exhausted) == (2, 0)
    assert run.artifact("plan.md").read().startswith(b"# Porto\n")
    assert "Planning 2 days in Porto" in log_of(run)


def test_reviews_are_typed_calls_without_a_loop(runner: Runner) -> None:
    run = runner.run("reviews.py", "Lovely.", "Broken.")
    assert run.status is RunStatus.SUCCEEDED, log_of(run)
    assert (run.metrics.llm_calls, run.metrics.loop_iterations) == (3, 0)


def test_lipogram_succeeds_and_says_that_its_requirement_was_not_met(runner: Runner) -> None:
    run = runner.run("lipogram.py", "--attempts", "3")
    assert run.status is RunStatus.SUCCEEDED, log_of(run)
    metrics = run.metrics
    assert (metrics.samples_generated, metrics.loops_exhausted) == (3, 1)


def test_lipogram_fails_under_strict_requirements(runner: Runner) -> None:
    run = runner.run("lipogram.py", "--attempts", "2", strict_requirements=True)
    assert run.status is RunStatus.FAILED
    assert run.run.status_reason == "requirements_unmet"


def test_postcards_are_written_together(runner: Runner) -> None:
    run = runner.run("postcards.py", "Lisbon", "Porto", "Faro")
    assert run.status is RunStatus.SUCCEEDED, log_of(run)
    assert (run.metrics.llm_calls, run.metrics.samples_generated) == (3, 3)


def test_report_leaves_a_table_and_a_structured_result(runner: Runner) -> None:
    run = runner.run("report.py", "Bern", "Turku")
    assert run.status is RunStatus.SUCCEEDED, log_of(run)
    rows = list(csv.DictReader(io.StringIO(run.artifact("cities.csv").read().decode())))
    assert [row["name"] for row in rows] == ["Bern", "Turku"]
    assert [city["name"] for city in run.output["cities"]] == ["Bern", "Turku"]


def test_the_quickstart_notebook_runs_from_top_to_bottom(
    server: JupyterServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = tmp_path / "token"
    token.touch(0o600)
    token.write_text(server.token)
    monkeypatch.setenv("MELLEA_JUPYTER_URL", server.url)
    monkeypatch.setenv("MELLEA_JUPYTER_TOKEN_FILE", str(token))
    monkeypatch.setenv("MELLEA_JUPYTER_ROOT_DIR", str(server.root))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent.parent.parent))
    notebook = nbformat.read(server.root / "quickstart.ipynb", as_version=4)
    NotebookClient(
        notebook, timeout=DEADLINE_SECONDS, resources={"metadata": {"path": str(server.root)}}
    ).execute()
    said = [
        output.get("text") or output["data"]["text/plain"]
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
    ]
    assert any("succeeded" in text.lower() for text in said), said
    assert any("4 calls, 2 samples, 1 repair" in text for text in said), said
    assert any("'city': 'Porto'" in text for text in said), said
    assert any("name,country,population" in text for text in said), said
