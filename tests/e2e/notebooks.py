"""Notebooks in JupyterLab: cells are executed, and runs are shown in their outputs."""

from __future__ import annotations

import json
import re
from typing import Any

import nbformat
from nbformat.v4 import new_code_cell, new_notebook, new_output
from playwright.sync_api import Locator, Page, expect

from mellea_jupyter.testing.server import JupyterServer
from mellea_jupyter.widgets.display import VIEW_MIME_TYPE

from .pages import LogPane

KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}


def write_notebook(server: JupyterServer, name: str, *cells: str) -> str:
    """A notebook of code cells below the server's root folder; its path."""
    notebook = new_notebook(cells=[new_code_cell(cell) for cell in cells], metadata=KERNEL)
    return server.write(name, nbformat.writes(notebook))


def write_shown(server: JupyterServer, name: str, *cells_of_runs: tuple[str, str]) -> str:
    """A notebook whose cells were executed in the past, and each showed a run: source and id."""
    cells = []
    for count, (source, run_id) in enumerate(cells_of_runs, start=1):
        data = {VIEW_MIME_TYPE: {"view": "run", "run_id": run_id}, "text/plain": "a run"}
        outputs = [new_output("display_data", data)]
        cells.append(new_code_cell(source, outputs=outputs, execution_count=count))
    return server.write(name, nbformat.writes(new_notebook(cells=cells, metadata=KERNEL)))


def saved_outputs(server: JupyterServer, name: str) -> list[dict[str, Any]]:
    """The bundles that a saved notebook holds, by mime type."""
    notebook = json.loads((server.root / name).read_text("utf-8"))
    outputs = [output for cell in notebook["cells"] for output in cell["outputs"]]
    return [output["data"] for output in outputs if "data" in output]


class NotebookPage:
    """A notebook in JupyterLab, in front; the extension need not be there."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.cells = page.locator(".jp-Notebook .jp-CodeCell")

    def expect_idle(self) -> None:
        """A kernel is there and has nothing to do."""
        expect(self.page.get_by_role("button", name="Python 3 (ipykernel) | Idle")).to_be_visible()

    def execute(self, cell: int) -> Locator:
        """Execute a cell; its output. Only the first visit waits for the kernel."""
        self.cells.nth(cell).locator(".cm-content").click()
        self.page.keyboard.press("Control+Enter")
        return self.cells.nth(cell).locator(".jp-OutputArea-output").first

    def card(self, name: str) -> Card:
        """The card of a run that is called so."""
        return Card(self.page.get_by_role("region", name=f"Mellea run {name}", exact=True))

    def expect_in_outputs(self, text: str) -> None:
        """The notebook has this in what it would save."""
        self.page.wait_for_function(
            """text => {
                const content = jupyterapp.shell.currentWidget.content;
                return JSON.stringify(content.model.toJSON()).includes(text);
            }""",
            arg=text,
        )

    def save(self) -> None:
        """Save, and wait until the server has it."""
        with self.page.expect_response(
            lambda reply: reply.request.method == "PUT" and "api/contents" in reply.url
        ):
            self.page.keyboard.press("Control+s")

    def restart_kernel(self) -> None:
        self.page.get_by_role("menuitem", name="Kernel", exact=True).click()
        item = self.page.locator(".lm-Menu-item").filter(has_text=re.compile("^Restart Kernel…"))
        item.click()
        with self.page.expect_response(re.compile("api/kernels/[^/]+/restart")):
            self.page.get_by_role("dialog").get_by_role(
                "button", name="Confirm Kernel Restart"
            ).click()
        self.expect_idle()


class Card:
    """A run in the output of a cell."""

    def __init__(self, root: Locator) -> None:
        self.root = root
        self.log = LogPane(root)

    def expect_status(self, text: str) -> None:
        expect(self.root.get_by_role("status").first).to_contain_text(text)

    def button(self, name: str) -> Locator:
        return self.root.get_by_role("button", name=name, exact=True)
