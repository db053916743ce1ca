"""The budget in JupyterLab: the question and its answers, cost while it is spent, the forecast."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import expect

from mellea_jupyter.demo.wire import Reply
from mellea_jupyter.testing.scripted_llm import ScriptedLlm
from mellea_jupyter.testing.server import JupyterServer

from .notebooks import NotebookPage, write_shown
from .pages import LabPage

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

CALLS = """\
from mellea import start_session

session = start_session("openai", "gpt-4o")
for _ in range(6):
    session.chat("say something")
"""


@pytest.fixture
def endpoint() -> Iterator[ScriptedLlm]:
    """Each call costs $0.0035."""
    with ScriptedLlm([Reply(text="ok", input_tokens=1000, output_tokens=100)]) as running:
        yield running


def start(
    server: JupyterServer, http: httpx.Client, endpoint: ScriptedLlm, name: str, **config: Any
) -> str:
    variables = {"OPENAI_BASE_URL": endpoint.openai_url, "OPENAI_API_KEY": "sk-scripted"}
    run = server.create(http, server.write(name, CALLS), env_vars=variables, **config)
    return str(run["id"])


def test_a_run_asks_in_its_tab_and_in_the_sidebar(
    lab: LabPage, server: JupyterServer, http: httpx.Client, endpoint: ScriptedLlm
) -> None:
    run_id = start(server, http, endpoint, "asks.py", max_cost_usd="0.01", on_budget="ask")
    tab = lab.open_run(run_id)
    expect(tab.header).to_contain_text("Would pass $0.010.")
    expect(tab.root.locator(".jp-MelleaRun-numbers")).to_contain_text("$0.0070")
    tab.expect_status("running")
    assert endpoint.counts()["requests"] == 2
    tab.header.get_by_role("button", name="Allow $0.010 more").click()
    expect(tab.header).to_contain_text("Would pass $0.020.")
    expect(tab.root.locator(".jp-MelleaRun-numbers")).to_contain_text("$0.018")
    assert endpoint.counts()["requests"] == 5
    lab.show_sidebar()
    item = lab.sidebar_item("asks.py")
    expect(item).to_contain_text("Would pass $0.020.")
    expect(item).to_contain_text("$0.018")
    item.get_by_role("button", name="Stop").click()
    tab.expect_status("failed · budget exceeded")
    expect(tab.header).to_contain_text("1 call was not made: over the budget.")
    expect(tab.header.get_by_role("button", name="Stop")).to_have_count(0)
    assert endpoint.counts()["requests"] == 5


def test_a_card_asks_under_its_cell(
    lab: LabPage, server: JupyterServer, http: httpx.Client, endpoint: ScriptedLlm
) -> None:
    run_id = start(server, http, endpoint, "card_asks.py", max_llm_calls=2, on_budget="ask")
    path = write_shown(server, "asked.ipynb", ("run", run_id))
    card = NotebookPage(lab.open(f"/tree/{path}").page).card("card_asks.py")
    expect(card.root).to_contain_text("Would pass 2 calls.")
    expect(card.root).to_contain_text("$0.0070")
    card.button("Allow 2 calls more").click()
    expect(card.root).to_contain_text("Would pass 4 calls.")
    expect(card.root).to_contain_text("$0.014")
    card.button("Allow 2 calls more").click()
    card.expect_status("succeeded")
    expect(card.root).to_contain_text("$0.021")
    assert endpoint.counts()["requests"] == 6


def test_the_launch_dialog_forecasts_and_takes_a_budget(
    lab: LabPage, server: JupyterServer, http: httpx.Client, endpoint: ScriptedLlm
) -> None:
    server.wait_for(http, start(server, http, endpoint, "usual.py"))
    server.write("never.py", CALLS)
    lab.open()
    lab.show_sidebar().get_by_role("button", name="Run a file with Mellea…").click()
    dialog = lab.dialog
    dialog.get_by_label("Program").fill("never.py")
    expect(dialog).to_contain_text("No history of this program.")
    dialog.get_by_label("Program").fill("usual.py")
    expect(dialog).to_contain_text("and $0.021, from 1 run.")
    dialog.get_by_label("Budget (US$)").fill("none")
    expect(dialog).to_contain_text("US dollars above 0")
    dialog.get_by_label("Budget (US$)").fill("0.01")
    dialog.get_by_label("At the budget").select_option("ask me")
    dialog.get_by_role("button", name="Add variable").click()
    dialog.get_by_label("Name").fill("OPENAI_BASE_URL")
    dialog.get_by_label("Value of OPENAI_BASE_URL").fill(endpoint.openai_url)
    dialog.get_by_role("button", name="Add variable").click()
    dialog.get_by_label("Name").nth(1).fill("OPENAI_API_KEY")
    dialog.get_by_label("Value of OPENAI_API_KEY").fill("sk-scripted")
    dialog.get_by_role("button", name="Run", exact=True).click()
    tab = lab.run_tab
    expect(tab.header).to_contain_text("Would pass $0.010.")
    tab.header.get_by_role("button", name="Stop").click()
    tab.expect_status("failed · budget exceeded")
