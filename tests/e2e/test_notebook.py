"""Notebook 7: its menus start runs, and a run opens in a browser tab of its own."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from mellea_jupyter.testing.server import JupyterServer

from .conftest import Desk
from .notebooks import write_notebook
from .pages import RunTab

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

OWN_ERRORS = (
    # Of Notebook 7.6 itself, also without any extension: a settings listener that comes too
    # early, and a second page in the same browser.
    r"reading 'schema'\)[\s\S]*/static/notebook/",
    r'Window name candidate "null" already exists',
)


def test_a_notebook_is_run_from_the_menu_and_its_run_opens_in_a_tab(
    desk: Desk, server: JupyterServer
) -> None:
    write_notebook(server, "nb.ipynb", "print('from a notebook')")
    page, watch = desk.new_page(server)
    watch.expect(*OWN_ERRORS)
    page.goto(f"{server.url}notebooks/nb.ipynb")
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.locator(".lm-Menu-item").filter(has_text="Run with Mellea…").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("Program")).to_have_value("nb.ipynb")
    with page.expect_popup() as popup:
        dialog.get_by_role("button", name="Run", exact=True).click()
    opened = desk.watch(popup.value, server)
    expect(opened).to_have_url(re.compile(f"^{re.escape(server.url)}lab"))
    tab = RunTab(opened)
    tab.expect_status("succeeded")
    expect(tab.log.lines).to_contain_text("from a notebook")
    opened.close()


def test_a_file_is_run_from_the_tree(desk: Desk, server: JupyterServer) -> None:
    server.write("leaf.py", "print('leaf')\n")
    page, watch = desk.new_page(server)
    watch.expect(*OWN_ERRORS)
    page.goto(f"{server.url}tree")
    page.get_by_role("listitem").filter(has_text="leaf.py").click(button="right")
    page.get_by_role("menuitem", name="Run with Mellea…").click()
    expect(page.get_by_role("dialog").get_by_label("Program")).to_have_value("leaf.py")
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
