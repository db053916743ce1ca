"""Notebook 7: its menus start runs, and a run opens in a browser tab of its own."""

from __future__ import annotations

import re

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from playwright.sync_api import expect

from mellea_jupyter.testing.server import JupyterServer

from .conftest import Desk
from .pages import RunTab

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


def test_a_notebook_is_run_from_the_menu_and_its_run_opens_in_a_tab(
    desk: Desk, server: JupyterServer
) -> None:
    cells = [new_code_cell("print('from a notebook')")]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    server.write("nb.ipynb", nbformat.writes(new_notebook(cells=cells, metadata=kernel)))
    page, watch = desk.new_page(server)
    page.goto(f"{server.url}notebooks/nb.ipynb")
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.locator(".lm-Menu-item").filter(has_text="Run with Mellea…").click()
    dialog = page.get_by_role("dialog")
    page.screenshot(path="/tmp/e2e/nb.png")
    expect(dialog.get_by_label("Program")).to_have_value("nb.ipynb")
    with page.expect_popup() as popup:
        dialog.get_by_role("button", name="Run", exact=True).click()
    opened = popup.value
    expect(opened).to_have_url(re.compile(f"^{re.escape(server.url)}lab"))
    tab = RunTab(opened)
    tab.expect_status("succeeded")
    expect(tab.log.lines).to_contain_text("from a notebook")
    opened.close()
    print(watch.console)


def test_a_file_is_run_from_the_tree(desk: Desk, server: JupyterServer) -> None:
    server.write("leaf.py", "print('leaf')\n")
    page, watch = desk.new_page(server)
    page.goto(f"{server.url}tree")
    page.get_by_role("listitem").filter(has_text="leaf.py").click(button="right")
    page.get_by_role("menuitem", name="Run with Mellea…").click()
    expect(page.get_by_role("dialog").get_by_label("Program")).to_have_value("leaf.py")
    print(watch.console)
