"""Runs side by side: from the dashboard's selection, and a group while it runs in a cell."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator

import httpx
import pytest
from playwright.sync_api import Locator, expect

from mellea_jupyter.testing.server import JupyterServer
from tests.server.by_model import GOOD, POOR, PROGRAM, ByModel

from .conftest import KEPT
from .notebooks import NotebookPage, saved_outputs, write_notebook
from .pages import LabPage

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

PICTURES = KEPT / "pictures"
GATED = """\
import sys, time
from pathlib import Path
while not Path(GATE).exists():
    time.sleep(0.05)
"""


@pytest.fixture(scope="module")
def llm() -> Iterator[ByModel]:
    with ByModel() as endpoint:
        yield endpoint


def row(table: Locator, name: str) -> Locator:
    return table.get_by_role("row").filter(
        has=table.page.get_by_role("rowheader", name=name, exact=True)
    )


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_chosen_runs_are_compared(  # noqa: PLR0917 - fixtures
    lab: LabPage,
    server: JupyterServer,
    http: httpx.Client,
    llm: ByModel,
    choose_theme: Callable[[str], None],
    theme: str,
) -> None:
    choose_theme(theme)
    name = f"chosen-{theme.rpartition(' ')[2].lower()}.py"
    server.write(name, PROGRAM)
    first = server.create(http, name, model=GOOD, env_vars=llm.variables)
    server.wait_for(http, first["id"])
    server.write(name, PROGRAM.replace("loop_budget=2", "loop_budget=3"))
    second = server.create(http, name, model=POOR, env_vars=llm.variables, timeout_seconds=60)
    server.wait_for(http, second["id"])

    dashboard = lab.open().open_dashboard()
    dashboard.filter("Search runs").fill(name)
    expect(dashboard.rows).to_have_count(2)
    dashboard.table.get_by_role("checkbox", name="Select all loaded runs").check()
    tab = dashboard.compare()
    table = tab.get_by_role("table", name="Compared runs")
    expect(row(table, "Model")).to_contain_text(GOOD)
    expect(row(table, "Model")).to_contain_text(POOR)
    expect(row(table, "Timeout")).to_contain_text("1 h 00 m")
    guest = row(table, "The text has guest in it.")
    expect(guest).to_contain_text("1 of 1")
    expect(guest).to_contain_text("0 of 3")
    expect(row(table, "greeting")).to_contain_text("hello guest")
    expect(row(table, "Working directory")).to_have_count(0)
    source = tab.get_by_role("region", name="Source")
    expect(source).to_contain_text("loop_budget=3")
    tab.page.screenshot(path=PICTURES / f"compare-{name.removesuffix('.py')}.png")

    tab.get_by_role("checkbox", name=re.compile("that are the same$")).check()
    expect(row(table, "Working directory")).to_contain_text("program")
    table.get_by_role("button", name=POOR).click()
    lab.run_tab.expect_status("requirements not met")


def test_a_group_is_compared_live_under_its_cell(
    lab: LabPage, server: JupyterServer, http: httpx.Client, llm: ByModel
) -> None:
    gate = server.home / "go-group"
    server.write("sweep.py", GATED.replace("GATE", repr(str(gate))) + PROGRAM)
    variables = " ".join(f"-e {name}={value}" for name, value in llm.variables.items())
    line = f"%mellea_run sweep.py --model {GOOD},{POOR} --repeat 2 {variables}"
    write_notebook(server, "sweep.ipynb", f"%load_ext mellea_jupyter\n{line}")
    notebook = NotebookPage(lab.open("/tree/sweep.ipynb").page)
    notebook.expect_idle()
    notebook.execute(0)
    shown = lab.page.get_by_role("region", name="Comparison of Mellea runs")
    expect(shown).to_contain_text("0 of 4 ended")
    heads = shown.get_by_role("columnheader")
    expect(heads.filter(has_text=POOR)).to_have_count(2)
    expect(shown.get_by_role("button", name="Cancel 4 runs")).to_be_visible()
    lab.page.screenshot(path=PICTURES / "group-live.png")
    gate.touch()
    expect(shown).to_contain_text("4 runs, all ended")
    guest = row(shown.get_by_role("table"), "The text has guest in it.")
    expect(guest.get_by_role("cell")).to_contain_text(["1 of 1", "1 of 1", "0 of 2", "0 of 2"])
    for words in ("0 of 2 (0%)", "hello guest"):  # the kernel's own, for the saved notebook
        notebook.expect_in_outputs(words)
    lab.page.screenshot(path=PICTURES / "group-ended.png")
    notebook.save()
    (saved,) = saved_outputs(server, "sweep.ipynb")
    assert "hello guest" in "".join(saved["text/html"])
    assert "sk-scripted" not in json.dumps(saved)

    shown.get_by_role("button", name="Show in the dashboard").click()
    chips = lab.page.get_by_role("list", name="Active filters")
    expect(chips).to_contain_text(re.compile("group [0-9a-f]{6}"))
    rows = lab.page.get_by_role("row").filter(has_text="sweep.py")
    expect(rows).to_have_count(4)
    run_id = http.get("api/runs", params={"search": "sweep.py"}).json()["runs"][0]["id"]
    lab.open_run(run_id)
    lab.page.get_by_role("button", name="compare its group").click()
    tab = lab.page.get_by_role("region", name="Compare a group")
    expect(tab.get_by_role("columnheader").filter(has_text=f"{GOOD} #")).to_have_count(2)


def test_a_group_is_cancelled_as_a_whole(lab: LabPage, server: JupyterServer) -> None:
    server.write("endless.py", "import time\ntime.sleep(600)\n")
    write_notebook(
        server, "endless.ipynb", "%load_ext mellea_jupyter\n%mellea_run endless.py --repeat 3"
    )
    notebook = NotebookPage(lab.open("/tree/endless.ipynb").page)
    notebook.expect_idle()
    notebook.execute(0)
    shown = lab.page.get_by_role("region", name="Comparison of Mellea runs")
    shown.get_by_role("button", name="Cancel 3 runs").click()
    lab.dialog.get_by_role("button", name="Cancel 3 runs").click()
    expect(shown).to_contain_text("3 runs, all ended")
    expect(shown.get_by_role("columnheader").filter(has_text="cancelled")).to_have_count(3)


def test_totals_by_owner_and_a_chart_of_them(lab: LabPage, server: JupyterServer) -> None:
    write_notebook(
        server,
        "chart.ipynb",
        "from mellea_jupyter import cost_summary\ncost_summary(by='day', last=None).chart()",
    )
    notebook = NotebookPage(lab.open("/tree/chart.ipynb").page)
    notebook.expect_idle()
    notebook.execute(0)
    expect(lab.page.locator(".jp-OutputArea .vega-embed :is(canvas, svg)").first).to_be_visible()
    lab.page.screenshot(path=PICTURES / "cost-chart.png")
    dashboard = lab.open_dashboard()
    dashboard.root.get_by_label("Totals by").select_option("Owner")
    costs = dashboard.root.get_by_role("region", name="Cost of Mellea runs")
    expect(costs.get_by_role("rowheader", name="owner-3", exact=True)).to_be_visible()
    expect(costs.get_by_role("row", name=re.compile("^Total"))).to_contain_text("unpriced")
    days = dashboard.root.get_by_role("img", name=re.compile("^Runs per day"))
    expect(days).to_have_attribute("aria-label", re.compile("2026-01-01"))
    lab.page.screenshot(path=PICTURES / "dashboard-by-owner.png")
