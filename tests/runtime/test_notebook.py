"""A notebook as the program."""

from __future__ import annotations

import json
from typing import Any

from mellea_jupyter.testing.scripted_llm import ScriptedLlm

from .conftest import Execute, MakeRun
from .support import RunFolder, run_fresh


def code(source: str, *tags: str) -> dict[str, Any]:
    """A code cell."""
    return {
        "cell_type": "code",
        "source": source,
        "metadata": {"tags": tags},
        "outputs": [],
        "execution_count": None,
    }


def make_notebook_run(make_run: MakeRun, *cells: Any, **spec: Any) -> RunFolder:
    """A run of a notebook with these cells."""
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    notebook = {"nbformat": 4, "nbformat_minor": 4, "metadata": metadata, "cells": cells}
    text = json.dumps(notebook)
    entry = {"kind": "notebook", "path": "story.ipynb"}
    return make_run({"story.ipynb": text}, entry=entry, **spec)


def test_cells_print_and_the_executed_notebook_is_kept(make_run: MakeRun, execute: Execute) -> None:
    run = make_notebook_run(
        make_run,
        {"cell_type": "markdown", "source": "# Story", "metadata": {}},
        code("city = 'Rome'\nprint('default', city)", "parameters"),
        code("print('now', city)\nimport sys; print('loud', file=sys.stderr)\n6 * 7"),
        code("from mellea_runtime import current_run\ncurrent_run.output({'city': city})"),
        parameters={"city": "Lisbon"},
    )
    end = execute(run)
    assert end["exit_code"] == 0, run.output("stderr").decode()
    assert run.output("stdout") == b"default Rome\nnow Lisbon\n42\n"
    assert b"loud\n" in run.output("stderr")
    assert run.frame("structured_output")["data"] == {"city": "Lisbon"}
    saved = json.loads((run.outputs / "story.ipynb").read_text())
    sources = ["".join(cell["source"]) for cell in saved["cells"]]
    assert len(sources) == 5
    assert "city = 'Lisbon'" in sources[2]
    assert saved["cells"][3]["outputs"][-1]["data"]["text/plain"] in ("42", ["42"])


def test_a_kernel_waits_for_what_executes_its_cells_and_no_output_is_lost(
    make_run: MakeRun,
) -> None:
    run = make_notebook_run(
        make_run,
        code(
            "import os, signal, threading\n"
            "ours = os.getppid()\n"
            "os.kill(ours, signal.SIGSTOP)\n"
            "threading.Timer(3, os.kill, (ours, signal.SIGCONT)).start()\n"
            "for n in range(3000):\n"
            "    display({'text/plain': f'{n} ' + 10_000 * 'x'}, raw=True)\n"
        ),
        code("print('next')"),
    )
    end = run_fresh(run)
    assert end["exit_code"] == 0, run.output("stderr").decode()
    words = [line.split()[0].decode() for line in run.output("stdout").splitlines()]
    assert words == [*map(str, range(3000)), "next"]


def test_a_failing_cell_ends_the_run_with_its_exception(make_run: MakeRun) -> None:
    run = make_notebook_run(make_run, code("print('one')"), code("{}['key']"), code("1"))
    end = run_fresh(run)
    assert end["exit_code"] == 1
    exception = run.frame("exception")
    assert (exception["type"], exception["message"]) == ("KeyError", "'key'")
    assert exception["frames"][0]["file"] == "cell 2"
    assert b"KeyError" in run.output("stderr")
    assert (run.outputs / "story.ipynb").exists()


def test_a_file_that_is_no_notebook_is_explained(make_run: MakeRun) -> None:
    entry = {"kind": "notebook", "path": "story.ipynb"}
    run = make_run({"story.ipynb": "not json"}, entry=entry)
    assert run_fresh(run)["exit_code"] == 1
    assert b"cannot be read as a notebook" in run.output("stderr")
    assert "Traceback" not in run.output("stderr").decode()


def test_the_llm_calls_of_a_notebook_are_reported_and_steered(make_run: MakeRun) -> None:
    with ScriptedLlm(["yes"]) as llm:
        run = make_notebook_run(
            make_run,
            code("import mellea\nm = mellea.start_session()"),
            code("print(m.chat('hello').content)"),
            model="demo/scripted",
            env={"OPENAI_BASE_URL": llm.openai_url, "OPENAI_API_KEY": "none"},
        )
        end = run_fresh(run)
    assert end["exit_code"] == 0, run.output("stderr").decode()
    assert run.frame("call_finished")["model"] == "demo/scripted"
    assert run.output("stdout").endswith(b"yes\n")
