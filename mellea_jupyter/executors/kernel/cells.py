"""The cells of a run: what a kernel is sent, one after the other, and what becomes of each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Final

from mellea_jupyter.runtime import notebook
from mellea_jupyter.runtime.spec import RunSpec

_MODULE: Final = "__import__('sys').modules['mellea_runtime.in_kernel']"


def attach_code(run_dir: str) -> str:
    """What sets a kernel up for the run; nobody sees it."""
    return notebook.load_code() + (
        "from mellea_runtime.in_kernel import attach as _attach\n"
        f"_attach({run_dir!r})\n"
        "del _attach\n"
    )


STATUS_EXPRESSION: Final = f"{_MODULE}.status()"
"""The exit status that the program has ended with, or -1; the last cell's in a notebook."""
BEGUN_EXPRESSION: Final = f"{_MODULE}.begun()"
"""The cell that began last, counted from 1."""


def describe_failure_code(number: int) -> str:
    """What has the kernel report the exception that ended a notebook's cell."""
    return f"{_MODULE}.describe_failure({number})"


class Cells(ABC):
    """What is executed; cells are counted from 1.

    Attributes:
        keeps_history: whether cells get numbers as in a notebook.
        finish_code: what is executed behind the last cell, if anything.
        prepare_expression: one that makes the program ready and gives the number of cells.
    """

    keeps_history: bool
    finish_code: str | None = None
    prepare_expression: str | None = None
    total: int

    @abstractmethod
    def code(self, number: int) -> str:
        """The code of a cell."""

    def may_fail(self, number: int) -> bool:
        """Whether the run goes on when the cell raises."""
        del number
        return False

    def add(self, number: int, message: Mapping[str, Any]) -> None:
        """Take a message that came out of the cell."""

    def save(self) -> None:
        """Keep what has been executed so far."""

    def restore(self) -> None:
        """Have what an earlier supervisor has kept."""


class ProgramCells(Cells):
    """A `.py` file or a callable; the kernel reads and splits it itself."""

    keeps_history = False
    finish_code = f"{_MODULE}.finish()"
    prepare_expression = f"{_MODULE}.prepare()"
    total = 0

    def code(self, number: int) -> str:
        """A call of the runtime in the kernel."""
        return f"{_MODULE}.run({number - 1})"


class NotebookCells(Cells):
    """A notebook, which is saved with its outputs as cells are done.

    Raises:
        UnusableNotebook: the file is no notebook.
    """

    keeps_history = True

    def __init__(self, spec: RunSpec) -> None:
        self._spec = spec
        self._notebook = notebook.read(spec)
        self._indices = notebook.executed_cells(self._notebook)
        self._cleared: set[int] = set()
        self._displays: dict[str, list[Any]] = {}
        self.total = len(self._indices)

    def _cell(self, number: int) -> Any:
        return self._notebook.cells[self._indices[number - 1]]

    def code(self, number: int) -> str:
        """The cell's source."""
        return str(self._cell(number).source)

    def may_fail(self, number: int) -> bool:
        """Whether it carries the tag that says so."""
        return notebook.may_fail(self._cell(number))

    def add(self, number: int, message: Mapping[str, Any]) -> None:
        """Take an output as a front end would: consecutive text is one, displays are updated."""
        from nbformat.v4 import output_from_msg

        kind, content = message["msg_type"], message["content"]
        cell = self._cell(number)
        if kind == "execute_input":
            cell["execution_count"] = content.get("execution_count")
            return
        if kind == "clear_output":
            if content.get("wait"):
                self._cleared.add(number)
            else:
                cell["outputs"] = []
            return
        display_id = (content.get("transient") or {}).get("display_id")
        if kind == "update_display_data":
            self._update(display_id, content)
            return
        if kind not in {"stream", "display_data", "execute_result", "error"}:
            return
        if number in self._cleared:
            self._cleared.discard(number)
            cell["outputs"] = []
        outputs = cell["outputs"]
        last = outputs[-1] if outputs else None
        if (
            kind == "stream" and last is not None
            and last.get("output_type") == "stream" and last["name"] == content["name"]
        ):  # fmt: skip
            last["text"] += content["text"]
            return
        output = output_from_msg(message)
        if display_id is not None:
            self._displays.setdefault(display_id, []).append(output)
        outputs.append(output)

    def _update(self, display_id: str | None, content: Mapping[str, Any]) -> None:
        for output in self._displays.get(display_id or "", ()):
            output["data"], output["metadata"] = content["data"], content["metadata"]

    def save(self) -> None:
        """Write it among the outputs."""
        notebook.save(self._notebook, self._spec)

    def restore(self) -> None:
        """Take the outputs over from there, where it is the same notebook still."""
        kept = notebook.saved(self._spec)
        if kept is None or len(kept.cells) != len(self._notebook.cells):
            return
        for index in self._indices:
            before = kept.cells[index]
            if before.cell_type == "code":
                self._notebook.cells[index].update(
                    outputs=before.outputs, execution_count=before.execution_count
                )


def cells_of(spec: RunSpec) -> Cells:
    """The cells of a run.

    Raises:
        UnusableNotebook: its file is no notebook.
    """
    return NotebookCells(spec) if spec.kind == "notebook" else ProgramCells()
