"""Runs in the outputs of a notebook: alive, saved, and there again; without our extension, too."""

from __future__ import annotations

import json
import shutil

import httpx
import pytest
from playwright.sync_api import expect

from mellea_jupyter.testing.server import JupyterServer
from mellea_jupyter.widgets.display import VIEW_MIME_TYPE
from tests.frontend import ROOT

from .conftest import Desk, StartLab
from .notebooks import NotebookPage, saved_outputs, write_notebook
from .pages import LabPage

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

LOAD = "%load_ext mellea_jupyter\n"
WAITING = """\
import time
from pathlib import Path
print("waiting", flush=True)
while not Path("END").exists():
    time.sleep(0.05)
print("at the end")
"""


def write_waiting(server: JupyterServer, name: str) -> None:
    """A program that ends when the file `end` is in the server's home folder."""
    server.write(name, WAITING.replace('"END"', repr(str(server.home / "end"))))


def test_a_run_of_a_cell_is_seen_to_its_end_and_after_a_reload_and_a_restart(
    lab: LabPage, server: JupyterServer
) -> None:
    shutil.copyfile(ROOT / "examples" / "trip.py", server.root / "trip.py")
    run = "%mellea_run trip.py --model demo/scripted -- --city Lisbon"
    write_notebook(server, "trip.ipynb", LOAD + run)
    notebook = NotebookPage(lab.open("/tree/trip.ipynb").page)
    notebook.expect_idle()
    notebook.execute(0)
    card = notebook.card("trip.py")

    def expect_end() -> None:
        card.expect_status("succeeded")
        expect(card.root).to_contain_text("demo/scripted")
        expect(card.log.lines).to_contain_text("All requirements met")
        expect(card.root.get_by_role("list", name="Artifacts")).to_contain_text("plan.md")
        for name in ("Cancel", "Retry"):  # it has done what it should
            expect(card.button(name)).to_have_count(0)

    expect_end()
    notebook.expect_in_outputs("succeeded")  # the kernel's own words, beside what is drawn
    notebook.save()
    (saved,) = saved_outputs(server, "trip.ipynb")
    assert "succeeded" in "".join(saved["text/html"])
    assert saved[VIEW_MIME_TYPE]["view"] == "run"
    assert server.token not in (server.root / "trip.ipynb").read_text("utf-8")

    lab.reload()
    expect_end()
    notebook.expect_idle()
    notebook.restart_kernel()
    lab.reopen()
    expect_end()
    card.button("Open").click()
    lab.run_tab.expect_status("succeeded")
    expect(lab.run_tab.log.lines).to_contain_text("All requirements met")


def test_a_card_is_alive_and_cancels_and_retries(lab: LabPage, server: JupyterServer) -> None:
    write_waiting(server, "patient.py")
    write_notebook(server, "patient.ipynb", f"{LOAD}%mellea_run patient.py")
    notebook = NotebookPage(lab.open("/tree/patient.ipynb").page)
    notebook.expect_idle()
    notebook.execute(0)
    card = notebook.card("patient.py")
    card.expect_status("running")
    expect(card.log.lines).to_contain_text("waiting")
    card.button("Cancel").click()
    card.expect_status("cancelled")
    expect(card.button("Cancel")).to_have_count(0)
    (server.home / "end").touch()
    card.button("Retry").click()
    expect(lab.run_tab.header).to_contain_text("retry of")
    lab.run_tab.expect_status("succeeded")
    expect(lab.run_tab.log.lines).to_contain_text("at the end")


def test_the_log_the_metrics_and_the_costs_of_runs_are_outputs(
    lab: LabPage, server: JupyterServer, http: httpx.Client
) -> None:
    server.write("shown.py", "print('shown in an output')\n")
    run = server.wait_for(http, server.create(http, "shown.py")["id"])
    write_notebook(
        server,
        "views.ipynb",
        "from mellea_jupyter import LogView, RunMetrics, cost_summary",
        f"LogView({run['id']!r})",
        f"RunMetrics({run['id']!r})",
        "cost_summary(by='asset')",
    )
    page = lab.open("/tree/views.ipynb").page
    notebook = NotebookPage(page)
    notebook.expect_idle()
    for cell in range(4):
        notebook.execute(cell)
    log = page.get_by_role("region", name="Log of shown.py")
    expect(log.get_by_role("log")).to_contain_text("shown in an output")
    expect(page.get_by_role("region", name="Metrics of shown.py")).to_contain_text("succeeded")
    costs = page.get_by_role("region", name="Cost of Mellea runs")
    expect(costs.get_by_role("rowheader", name="shown.py")).to_be_visible()


def test_without_the_lab_extension_a_widget_is_the_card(desk: Desk, start_lab: StartLab) -> None:
    def disable(server: JupyterServer) -> None:
        folder = server.home / "config" / "labconfig"
        folder.mkdir(parents=True)
        text = json.dumps({"disabledExtensions": {"mellea-jupyter": True}})
        (folder / "page_config.json").write_text(text, "utf-8")

    server = start_lab(prepare=disable, options=["--MelleaApp.prewarm=False"])
    write_waiting(server, "alone.py")
    write_notebook(server, "alone.ipynb", f"{LOAD}%mellea_run alone.py")
    page, watch = desk.new_page(server)
    page.goto(f"{server.url}lab/tree/alone.ipynb")
    notebook = NotebookPage(page)
    notebook.expect_idle()
    expect(page.get_by_role("tab", name="Mellea runs")).to_have_count(0)
    notebook.execute(0)
    card = notebook.card("alone.py")
    card.expect_status("running")
    expect(card.log.lines).to_contain_text("waiting")
    card.button("Cancel").click()
    card.expect_status("cancelled")
    assert not watch.log_requests()  # the kernel has asked for them
    assert not watch.open_sockets

    # The card is the retry's from now on, also when the kernel tells of the first run's end.
    # One event: between the press and the release of a mouse it might be drawn anew.
    card.button("Retry").dispatch_event("click")
    card.expect_status("running")
    notebook.expect_in_outputs("cancelled")
    (server.home / "end").touch()
    card.expect_status("succeeded")
    expect(card.log.lines).to_contain_text("at the end")
    notebook.save()
    saved = (server.root / "alone.ipynb").read_text("utf-8")
    assert "text/html" in saved
    assert server.token not in saved
