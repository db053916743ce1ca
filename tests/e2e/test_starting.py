"""Runs are started where people are: in a cell and in the file browser."""

from __future__ import annotations

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from playwright.sync_api import expect

from mellea_jupyter.testing.server import JupyterServer

from .pages import LabPage

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

ASKING = """\
import mellea

print("asking for a haiku")
print(mellea.start_session().instruct("Write a haiku about the sea."))
"""


def test_a_run_from_a_cell_is_seen_to_its_end_and_again_after_a_reload(
    lab: LabPage, server: JupyterServer
) -> None:
    server.write("haiku.py", ASKING)
    cells = [new_code_cell("%load_ext mellea_jupyter\n%mellea_run haiku.py --model demo/scripted")]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    server.write("cell.ipynb", nbformat.writes(new_notebook(cells=cells, metadata=kernel)))

    lab.open("/tree/cell.ipynb")
    lab.show_sidebar()
    idle = lab.page.get_by_role("button", name="Python 3 (ipykernel) | Idle")
    expect(idle).to_be_visible()
    lab.page.locator(".jp-Notebook .jp-Cell .cm-content").click()
    lab.page.keyboard.press("Control+Enter")
    expect(lab.page.locator(".jp-OutputArea-output").first).to_contain_text("haiku.py")
    item = lab.sidebar_item("haiku.py")
    expect(item.get_by_role("img", name="succeeded")).to_be_visible()
    expect(item).to_contain_text("demo/scripted")

    lab.page.keyboard.press("Control+s")
    lab.page.reload()
    lab.wait_until_loaded()
    expect(idle).to_be_visible()  # JupyterLab brings the notebook to the front
    lab.show_sidebar()
    expect(item.get_by_role("img", name="succeeded")).to_be_visible()
    item.get_by_role("button", name="succeeded").dblclick()
    lab.run_tab.expect_status("succeeded")
    expect(lab.run_tab.log.lines).to_contain_text("asking for a haiku")
    expect(lab.run_tab.root).to_contain_text("1 call")


def test_a_file_is_run_from_the_file_browser(lab: LabPage, server: JupyterServer) -> None:
    server.write("greet.py", "import sys\nprint('hello', *sys.argv[1:])\n")
    lab.open()
    files = lab.page.get_by_role("region", name="File Browser Section")
    files.get_by_role("listitem").filter(has_text="greet.py").click(button="right")
    lab.page.get_by_role("menuitem", name="Run with Mellea…").click()
    expect(lab.dialog.get_by_label("Program")).to_have_value("greet.py")
    lab.dialog.get_by_label("Arguments").fill("from the browser")
    lab.dialog.get_by_role("button", name="Run", exact=True).click()
    lab.run_tab.expect_status("succeeded")
    expect(lab.run_tab.log.lines).to_contain_text("hello from the browser")
