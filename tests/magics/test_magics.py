"""`%mellea_run` and `%%mellea_run` in a real IPython shell, and in a real kernel."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell
from nbclient import NotebookClient
from traitlets.config import Config

from mellea_jupyter.client import RunHandle
from mellea_jupyter.magics.completion import complete
from mellea_jupyter.models.run import Run
from tests.client.fake_server import FakeServer, a_frame, a_run

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def shell(fake: FakeServer) -> Iterator[InteractiveShell]:
    InteractiveShell.clear_instance()
    config = Config({"HistoryManager": {"enabled": False}})
    shell = InteractiveShell.instance(config=config)
    shell.run_line_magic("load_ext", "mellea_jupyter")
    yield shell
    InteractiveShell.clear_instance()


def _run(shell: InteractiveShell, cell: str) -> Any:
    """What IPython says of a cell it ran."""
    return shell.run_cell(cell)  # type: ignore[no-untyped-call]  # IPython has no types here


def _config(fake: FakeServer) -> dict[str, Any]:
    config: dict[str, Any] = fake.seen("POST", "/api/runs")[0][1]["config"]
    return config


def test_the_line_magic_returns_a_handle(shell: InteractiveShell, fake: FakeServer) -> None:
    done = _run(shell, "%mellea_run trip.py --model a/b --tag t -- --city 'São Paulo'\n")
    assert isinstance(done.result, RunHandle)
    assert done.result.id in fake.runs
    assert (_config(fake)["args"], _config(fake)["model"]) == (["--city", "São Paulo"], "a/b")
    _run(shell, "run = _")
    assert shell.user_ns["run"] is done.result


def test_variables_are_filled_in_on_the_line(shell: InteractiveShell, fake: FakeServer) -> None:
    _run(shell, "city = 'Lisbon'; n = 3")
    _run(shell, "%mellea_run trip.py -- --city $city --n {n + 1}")
    assert _config(fake)["args"] == ["--city", "Lisbon", "--n", "4"]


def test_the_cell_magic_runs_the_cell_as_it_stands(
    shell: InteractiveShell, fake: FakeServer
) -> None:
    _run(shell, "%%mellea_run --name x\nprint('{not filled in} $here')\n")
    assert fake.seen("POST", "/api/assets")[0][1]["source"] == "print('{not filled in} $here')\n"
    assert fake.seen("POST", "/api/runs")[0][1]["name"] == "x"


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("%mellea_run", "no program given"),
        ("%mellea_run missing.py", "there is no program 'missing.py'"),
        ("%mellea_run trip.py --isolation hot", "invalid choice: 'hot'"),
        ("%mellea_run trip.py --repeat 0", "--repeat must be at least 1"),
        ("%mellea_run trip.py --model a/b,a/b", "names a model twice"),
        ("%mellea_run trip.py --nonsense", "unrecognized arguments: --nonsense"),
        ("%mellea_run trip.py 'open", "No closing quotation"),
        ("%%mellea_run trip.py\nx = 1", "the cell is the program"),
        ("%%mellea_run\n\n", "the cell is empty"),
    ],
)
def test_wrong_lines_are_one_message(
    shell: InteractiveShell, fake: FakeServer, capsys: Capture, cell: str, said: str
) -> None:
    done = _run(shell, cell)
    text = "".join(capsys.readouterr())
    assert said in text
    assert "Traceback" not in text
    assert done.result is None
    assert fake.seen("POST", "/api/runs") == []


def test_waiting_shows_the_run_from_the_cells_own_thread(
    shell: InteractiveShell, fake: FakeServer, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def create(body: dict[str, Any]) -> Run:
        run = fake.add(a_run(), a_frame(1, "hello"), a_frame(2, "oops", "stderr"))
        threading.Timer(0.1, fake.end, (run.id,)).start()
        return run

    fake.on_create = create
    writers: set[str] = set()
    monkeypatch.setattr(
        "mellea_jupyter.client.console.RunConsole.write",
        _noting(writers),
    )
    done = _run(shell, "%mellea_run trip.py --wait")
    out, err = capsys.readouterr()
    assert out.startswith("hello\n")
    assert "oops\n" in err
    assert "succeeded" in err
    assert "\x1b[2K" not in err
    assert writers == {threading.current_thread().name}
    assert done.result.run.is_terminal


def _noting(writers: set[str]) -> Any:
    from mellea_jupyter.client.console import RunConsole

    original = RunConsole.write

    def write(self: RunConsole, frames: Any) -> None:
        writers.add(threading.current_thread().name)
        original(self, frames)

    return write


def test_it_works_inside_a_running_event_loop(shell: InteractiveShell, fake: FakeServer) -> None:
    async def main() -> Any:
        return shell.run_line_magic("mellea_run", "trip.py")

    assert asyncio.run(main()).id in fake.runs


def test_provider_variables_set_in_the_notebook_are_sent(
    shell: InteractiveShell, fake: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MISTRAL_API_KEY", "before")  # undone after the test
    _run(shell, "import os; os.environ['MISTRAL_API_KEY'] = 'sk-1'")
    _run(shell, "%mellea_run trip.py")
    assert _config(fake)["env_vars"] == {"MISTRAL_API_KEY": "sk-1"}


def test_help_is_complete(shell: InteractiveShell) -> None:
    text = shell.object_inspect("%mellea_run")["docstring"]  # type: ignore[no-untyped-call]  # likewise
    for flag in ("--model", "--environment", "--dataset", "--wait", "--no-wait", "--max-llm-calls"):
        assert flag in text


def test_completion_in_the_shell(shell: InteractiveShell, fake: FakeServer) -> None:
    (fake.root / "notes.txt").touch()
    (fake.root / "sub").mkdir()
    assert {"--model", "--model-steering"} <= _completed(shell, "%mellea_run trip.py --mod")
    assert "trip.py" in _completed(shell, "%mellea_run tr")
    assert "--isolation" in _completed(shell, "%%mellea_run --iso")


def _completed(shell: InteractiveShell, line: str) -> set[str]:
    """As a notebook asks for it."""
    assert shell.Completer is not None
    with provisionalcompleter():
        return {each.text for each in shell.Completer.completions(line, len(line))}


def test_completion_of_values_and_paths(fake: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    (fake.root / "notes.txt").touch()
    (fake.root / "sub").mkdir()
    (fake.root / "sub" / "a.ipynb").touch()
    monkeypatch.setenv("OPENAI_API_KEY", "x")
    assert complete("%mellea_run --isolation ", "") == ["fresh", "warm"]
    assert complete("%mellea_run --model-steering f", "f") == ["force"]
    assert "OPENAI_API_KEY" in complete("%mellea_run -e OPEN", "OPEN")
    assert complete("%mellea_run ", "") == ["sub/", "trip.py"]
    assert complete("%mellea_run sub/", "sub/") == ["sub/a.ipynb"]
    assert complete("%mellea_run --strict-requirements t", "t") == ["trip.py"]
    assert complete("%mellea_run trip.py -- t", "t") == []
    assert complete("%mellea_run nowhere/x", "nowhere/x") == []


def test_in_a_real_kernel(fake: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    monkeypatch.delenv("MISTRAL_API_KEY", raising=False)
    cells = [
        "%load_ext mellea_jupyter",
        "import os; os.environ['MISTRAL_API_KEY'] = 'sk-1'",
        "%mellea_run trip.py",
        "run = _\nprint(type(run).__name__, (await run.aio.refresh()).status)",
    ]
    notebook = nbformat.from_dict(
        {
            "nbformat": 4, "nbformat_minor": 4, "metadata": {},
            "cells": [
                {
                    "cell_type": "code", "source": each, "metadata": {}, "outputs": [],
                    "execution_count": None,
                }
                for each in cells
            ],
        }
    )  # fmt: skip
    NotebookClient(notebook, timeout=60, resources={"metadata": {"path": str(fake.root)}}).execute()
    shown = notebook.cells[2].outputs[0].data
    assert "text/html" in shown
    assert shown["text/plain"].startswith("run ")
    assert "RunHandle running" in notebook.cells[3].outputs[0].text
    assert _config(fake)["env_vars"] == {"MISTRAL_API_KEY": "sk-1"}
    assert "MISTRAL_API_KEY" not in os.environ
