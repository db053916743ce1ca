"""A notebook as the program."""

from __future__ import annotations

import json
from typing import Any

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from .conftest import MakeRun
from .support import RunFolder, run_fresh


def make_notebook_run(make_run: MakeRun, *cells: Any, **spec: Any) -> RunFolder:
    """A run of a notebook with these cells."""
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    text = nbformat.writes(new_notebook(cells=list(cells), metadata=metadata))
    entry = {"kind": "notebook", "path": "story.ipynb"}
    return make_run({"story.ipynb": text}, entry=entry, **spec)


def test_cells_print_and_the_executed_notebook_is_kept(make_run: MakeRun) -> None:
    run = make_notebook_run(
        make_run,
        new_markdown_cell("# Story"),
        new_code_cell("city = 'Rome'\nprint('default', city)", metadata={"tags": ["parameters"]}),
        new_code_cell("print('now', city)\nimport sys; print('loud', file=sys.stderr)\n6 * 7"),
        new_code_cell("from mellea_runtime import current_run\ncurrent_run.output({'city': city})"),
        parameters={"city": "Lisbon"},
    )
    end = run_fresh(run)
    assert end["exit_code"] == 0, run.output("stderr").decode()
    assert run.output("stdout") == b"default Rome\nnow Lisbon\n42\n"
    assert b"loud\n" in run.output("stderr")
    assert run.frame("structured_output")["data"] == {"city": "Lisbon"}
    saved = json.loads((run.outputs / "story.ipynb").read_text())
    sources = ["".join(cell["source"]) for cell in saved["cells"]]
    assert len(sources) == 5 and "city = 'Lisbon'" in sources[2]
    assert saved["cells"][3]["outputs"][-1]["data"]["text/plain"] in ("42", ["42"])


def test_a_failing_cell_ends_the_run_with_its_exception(make_run: MakeRun) -> None:
    run = make_notebook_run(
        make_run, new_code_cell("print('one')"), new_code_cell("{}['key']"), new_code_cell("1")
    )
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
