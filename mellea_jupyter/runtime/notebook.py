"""Execute a notebook as the program: cell by cell in a Jupyter kernel, through nbclient.

What cells print goes to stdout and stderr as it happens. Parameters are assigned in a cell after
the one tagged `parameters`, as papermill does. The executed notebook is saved among the run's
outputs whenever a cell is done, also when it fails. The kernel reports its LLM calls on the run's
own channel. Cells are counted from 1, only those with code, as `In [n]` counts them.

The kernel executor, which has no nbclient in between, shares what is not about nbclient.
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any, Dict, List

from .control import Channel
from .ports import choose_kernel_ports
from .redaction import Redactor
from .spec import RunSpec

PARAMETERS_TAG = "parameters"
INJECTED_TAG = "injected-parameters"
SKIP_TAG = "skip-execution"
RAISES_TAG = "raises-exception"
RUNTIME_DIR = os.path.dirname(os.path.abspath(__file__))


class UnusableNotebook(Exception):
    """The notebook cannot be executed in this environment; the text says what to do."""


class CellFailed(Exception):
    """A cell raised; named like the exception in the cell.

    Attributes:
        error_type: The exception's class name as the kernel gives it.
        error_message: Its text.
        frames: The cell as the only frame of an `exception` frame.
    """

    def __init__(self, error_type: str, error_message: str, number: int, source: str) -> None:
        super().__init__(f"{error_type}: {error_message}")
        self.error_type = error_type
        self.error_message = error_message
        self.frames = [
            {
                "file": f"cell {number}",
                "line": 1,
                "function": "<module>",
                "text": source[:500],
                "user": True,
            }
        ]


def execute(spec: RunSpec, channel: Channel) -> None:
    """Run the whole notebook.

    Args:
        spec: The run; `spec.program_path` is the notebook.
        channel: Where progress goes; its descriptor is passed on to the kernel.

    Raises:
        UnusableNotebook: nbclient is missing, or the file is no notebook.
        CellFailed: A cell raised; its traceback is on stderr already.
    """
    try:
        import nbclient
    except ImportError as error:
        raise UnusableNotebook(
            f"running a notebook needs nbclient and ipykernel in the run's environment ({error}): "
            "pip install nbclient ipykernel"
        ) from error
    notebook = read(spec)
    try:
        asyncio.run(_execute_cells(nbclient, notebook, spec, channel))
    finally:
        save(notebook, spec)


def read(spec: RunSpec) -> Any:
    """The run's notebook with its parameters and without outputs, as nbformat gives it.

    Raises:
        UnusableNotebook: The file is no notebook.
    """
    import nbformat

    try:
        notebook = nbformat.read(spec.program_path, as_version=4)
    except Exception as error:
        raise UnusableNotebook(f"{spec.target} cannot be read as a notebook: {error}") from error
    inject_parameters(notebook, spec.parameters)
    for index in executed_cells(notebook):
        notebook.cells[index].update(outputs=[], execution_count=None)
    return notebook


def executed_cells(notebook: Any) -> List[int]:
    """The indices of the cells that are executed, in order."""
    return [
        index
        for index, cell in enumerate(notebook.cells)
        if cell.cell_type == "code" and cell.source.strip() and SKIP_TAG not in _tags(cell)
    ]


def may_fail(cell: Any) -> bool:
    """Whether the notebook goes on when this cell raises, as nbclient has it."""
    return RAISES_TAG in _tags(cell)


def save(notebook: Any, spec: RunSpec) -> None:
    """Write the notebook as executed so far to the run's outputs, in one step, secrets masked."""
    import nbformat

    os.makedirs(spec.output_dir, exist_ok=True)
    target = _target(spec)
    redactor = Redactor(spec.secret_values)
    masked = nbformat.from_dict(redactor.value(notebook))
    temporary = f"{target}.part"
    nbformat.write(masked, temporary)
    os.replace(temporary, target)


def saved(spec: RunSpec) -> Any:
    """What `save` has written; None where it can not be read."""
    import nbformat

    try:
        return nbformat.read(_target(spec), as_version=4)
    except Exception:
        return None


def _target(spec: RunSpec) -> str:
    return os.path.join(spec.output_dir, os.path.basename(spec.program_path))


def progress(number: int, total: int, *, is_done: bool = False) -> Dict[str, Any]:
    """The fields of a `progress` frame for a cell that begins, or is done."""
    done = number if is_done else number - 1
    text = f"cell {number} of {total}"
    return {"done": done, "total": total, "text": text, "unit": "cell"}


async def _execute_cells(nbclient: Any, notebook: Any, spec: RunSpec, channel: Channel) -> None:
    class Client(nbclient.NotebookClient):  # type: ignore[misc]  # nbclient is optional
        def create_kernel_manager(self) -> Any:
            manager = super().create_kernel_manager()
            choose_kernel_ports(manager)
            return manager

        def process_message(self, msg: Dict[str, Any], cell: Any, cell_index: int) -> Any:
            show_message(msg)
            return super().process_message(msg, cell, cell_index)

    client = Client(
        notebook,
        timeout=None,
        resources={"metadata": {"path": spec.working_directory}},
        allow_errors=False,
    )
    from nbformat.v4 import new_code_cell

    descriptor = channel.descriptor
    async with client.async_setup_kernel(pass_fds=(descriptor,), stdin=None):
        begin = new_code_cell(_attach_code(spec, descriptor))
        notebook.cells.insert(0, begin)
        try:
            await client.async_execute_cell(begin, 0, store_history=False)
        finally:
            notebook.cells.remove(begin)
        indices = executed_cells(notebook)
        for number, index in enumerate(indices, 1):
            cell = notebook.cells[index]
            channel.emit("progress", **progress(number, len(indices)))
            try:
                await client.async_execute_cell(cell, index)
            except nbclient.exceptions.CellExecutionError as error:
                raise CellFailed(error.ename, error.evalue, number, cell.source) from None
            save(notebook, spec)
        if indices:
            channel.emit("progress", **progress(len(indices), len(indices), is_done=True))


def _attach_code(spec: RunSpec, descriptor: int) -> str:
    """What the kernel executes before the first cell; it leaves no name behind."""
    return load_code() + (
        "from mellea_runtime.in_kernel import attach_beside as _attach\n"
        f"_attach({spec.run_dir!r}, {descriptor})\n"
        "del _attach\n"
    )


def load_code() -> str:
    """Code that loads this package in a kernel as `mellea_runtime`, and leaves no name behind."""
    return (
        "def _attach():\n"
        "    import importlib.util, os, sys\n"
        f"    folder = {RUNTIME_DIR!r}\n"
        "    spec = importlib.util.spec_from_file_location('mellea_runtime',\n"
        "        os.path.join(folder, '__init__.py'), submodule_search_locations=[folder])\n"
        "    package = importlib.util.module_from_spec(spec)\n"
        "    sys.modules['mellea_runtime'] = package\n"
        "    spec.loader.exec_module(package)\n"
        "_attach()\n"
        "del _attach\n"
    )


def inject_parameters(notebook: Any, parameters: Dict[str, Any]) -> None:
    """Insert a cell that assigns the parameters after the tagged one, else at the top."""
    if not parameters:
        return
    from nbformat.v4 import new_code_cell

    lines = ["# Parameters"] + [f"{name} = {value!r}" for name, value in parameters.items()]
    tagged = {"tags": [INJECTED_TAG]}
    cell = new_code_cell("\n".join(lines), metadata=tagged)
    position = 0
    for index, existing in enumerate(notebook.cells):
        if PARAMETERS_TAG in _tags(existing):
            position = index + 1
    notebook.cells.insert(position, cell)


def _tags(cell: Any) -> List[str]:
    return list(cell.get("metadata", {}).get("tags", []))


def show_message(message: Dict[str, Any]) -> None:
    """Write a kernel message's text to stdout or stderr; images and widgets have none."""
    kind, content = message["msg_type"], message["content"]
    if kind == "stream":
        stream = sys.stderr if content.get("name") == "stderr" else sys.stdout
        stream.write(content.get("text", ""))
        stream.flush()
    elif kind in ("execute_result", "display_data"):
        text = content.get("data", {}).get("text/plain")
        if text:
            print(text, flush=True)
    elif kind == "error":
        print("\n".join(content.get("traceback", [])), file=sys.stderr, flush=True)
