"""Runs are started where people are: in the file browser; for cells see `test_cards.py`."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from mellea_jupyter.testing.server import JupyterServer

from .pages import LabPage

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


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
