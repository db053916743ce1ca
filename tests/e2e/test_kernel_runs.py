"""Runs in kernels: how far a notebook is, and a console on the kernel of a failed run."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from playwright.sync_api import expect

from mellea_jupyter.testing.server import JupyterServer

from .pages import LabPage

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


def notebook(*sources: str) -> str:
    cells: list[dict[str, Any]] = [
        {"cell_type": "code", "source": source, "metadata": {}, "outputs": [],
         "execution_count": None}
        for source in sources
    ]  # fmt: skip
    return json.dumps({"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": cells})


@pytest.fixture
def environment(http: httpx.Client) -> str:
    described = {"name": "A kernel", "executor": "kernel", "kernel_name": "python3"}
    made = http.post("api/environments", json=described)
    made.raise_for_status()
    return str(made.json()["id"])


def test_a_console_opens_on_the_kernel_that_a_failed_run_has_left(
    lab: LabPage, server: JupyterServer, http: httpx.Client, environment: str
) -> None:
    server.write("wrong.ipynb", notebook("found = 6 * 7", "raise ValueError('look closer')"))
    lab.open()
    files = lab.page.get_by_role("region", name="File Browser Section")
    files.get_by_role("listitem").filter(has_text="wrong.ipynb").click(button="right")
    lab.page.get_by_role("menuitem", name="Run with Mellea…").click()
    keep = lab.dialog.get_by_label("Keep the kernel")
    expect(lab.dialog.get_by_label("Program")).to_have_value("wrong.ipynb")
    expect(keep).to_have_count(0)
    lab.dialog.get_by_label("Environment").select_option(environment)
    keep.check()
    lab.dialog.get_by_role("button", name="Run", exact=True).click()
    tab = lab.run_tab
    tab.expect_status("failed")
    [run] = http.get("api/runs", params={"search": "wrong.ipynb"}).json()["runs"]
    tab.controls.get_by_role("button", name="Open console").click()
    console = lab.page.locator(".jp-ConsolePanel")
    prompt = console.locator(".jp-CodeConsole-input .cm-content")
    expect(console).to_contain_text("IPython")  # the prompt is made anew with the banner
    expect(prompt).to_be_visible()
    prompt.click()
    lab.page.keyboard.type("print('it is', found)")
    lab.page.keyboard.press("Shift+Enter")
    expect(console.locator(".jp-OutputArea-output").filter(has_text="it is 42")).to_be_visible()
    http.post("api/runs/bulk/delete", json={"run_ids": [run["id"]]}).raise_for_status()


def test_a_notebook_says_which_cell_it_is_at(
    lab: LabPage, server: JupyterServer, http: httpx.Client, environment: str
) -> None:
    waiting = "import pathlib, time\nwhile not pathlib.Path('go').exists(): time.sleep(0.05)"
    server.write("cells.ipynb", notebook("1", waiting, "3"))
    (server.root / "go").unlink(missing_ok=True)
    run = server.create(http, "cells.ipynb", environment_id=environment)
    tab = lab.open_run(run["id"])
    expect(tab.header).to_contain_text("cell 2 of 3")
    lab.show_sidebar()
    expect(lab.sidebar_item("cells.ipynb").first).to_contain_text("cell 2 of 3")
    (server.root / "go").touch()
    tab.expect_status("succeeded")
