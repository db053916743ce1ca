"""A failed run explains itself: in lists, in its tab and card, in a toast, with the next step."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Literal

import httpx
import pytest
from playwright.sync_api import expect

from mellea_jupyter.demo.wire import Reply
from mellea_jupyter.testing.scripted_llm import ScriptedLlm
from mellea_jupyter.testing.server import JupyterServer

from .conftest import KEPT, Frontend, StartLab
from .notebooks import NotebookPage, write_shown
from .pages import LabPage
from .test_accessibility import THEMES, expect_none, violations

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

ASKING = """\
import os

from mellea import start_session

def plan(city):
    return session.chat(f"plan a day in {city}")

session = start_session("openai", "gpt-4o")
print(plan(os.environ["CITY"]))
"""
HELPER = "def first(found):\n    # what is nearest\n    return found[0]\n"
EMPTY = "from helper import first\n\nprint('looking')\nprint(first([]))\n"
SLOW = "import time\nprint('begun', flush=True)\ntime.sleep(600)\n"
EATING = "import time\nheld = b'x' * (260 << 20)\ntime.sleep(3)\nprint('full')\n"
MISSING = "import surely_not_installed\n"


@pytest.fixture(scope="module")
def server(start_lab: StartLab) -> JupyterServer:
    server = start_lab(options=["--MelleaApp.grace_seconds=2"])
    server.write("asking.py", ASKING)
    server.write("places/helper.py", HELPER)
    server.write("places/nearest.py", EMPTY)
    server.write("slow.py", SLOW)
    server.write("missing.py", MISSING)
    return server


@pytest.fixture
def http(server: JupyterServer) -> Iterator[httpx.Client]:
    with server.http() as client:
        yield client


def fail(server: JupyterServer, http: httpx.Client, path: str, **config: object) -> str:
    """The id of a run that has failed."""
    run = server.create(http, path, **config)
    server.wait_for(http, run["id"], ["failed"])
    return str(run["id"])


@THEMES
def test_a_refused_key_is_explained_and_set_for_the_retry(
    lab: LabPage,
    server: JupyterServer,
    frontend: Frontend,
    choose_theme: Callable[[str], None],
    theme: str,
) -> None:
    rules = frontend.axe.read_text("utf-8")
    refusal = Reply(status=401, text="Incorrect API key provided")
    with server.http() as http, ScriptedLlm([refusal]) as endpoint:
        variables = {
            "OPENAI_BASE_URL": endpoint.openai_url, "OPENAI_API_KEY": "sk-old", "CITY": "Lisbon",
        }  # fmt: skip
        config = {"env_vars": variables, "model": "openai/gpt-4o"}
        runs = [fail(server, http, "asking.py", **config) for _ in range(2)]
    choose_theme(theme)
    tab = lab.open_run(runs[1])
    lab.page.set_viewport_size({"width": 1280, "height": 800})
    found = {}

    tab.expect_status("failed · key refused")
    expect(tab.failure).to_contain_text("A service refused the key of the call")
    expect(tab.failure).to_contain_text("asking.py, line 6")
    expect(tab.failure).to_contain_text("return session.chat")
    expect(tab.failure).to_contain_text("Check the provider's key")
    expect(tab.failure.get_by_role("button", name="Seen")).to_be_visible()
    item = lab.show_sidebar().locator(f"[data-run-id='{runs[1]}']")
    expect(item.locator(".jp-MelleaRuns-second")).to_have_text("key refused")
    expect(item.get_by_role("button").first).to_have_attribute(
        "title", re.compile(re.escape(SENTENCE))
    )
    found["tab"] = violations(tab.root, rules)
    found["sidebar"] = violations(lab.sidebar, rules)
    take(lab, f"failure-{theme}")

    tab.failure.get_by_role("button", name="Set OPENAI_API_KEY…").click()
    value = lab.dialog.get_by_label("Value of OPENAI_API_KEY")
    expect(value).to_have_value("")
    expect(value).to_be_focused()
    expect(lab.dialog.get_by_label("Value of CITY")).to_have_value("Lisbon")
    found["dialog"] = violations(lab.dialog.locator(".jp-MelleaLaunch"), rules)
    take(lab, f"failure-dialog-{theme}")
    lab.dialog.get_by_role("button", name="Cancel").click()

    dashboard = lab.open_dashboard()
    row = dashboard.rows.filter(has_text="asking.py").first
    expect(row.get_by_title(SENTENCE)).to_contain_text("failed · key refused")
    found["dashboard"] = violations(dashboard.root, rules)
    take(lab, f"failure-dashboard-{theme}")
    expect_none(found)


def test_the_line_is_shown_in_the_source(
    lab: LabPage, server: JupyterServer, http: httpx.Client
) -> None:
    run_id = fail(server, http, "places/nearest.py")
    tab = lab.open_run(run_id)
    expect(tab.failure).to_contain_text("IndexError was raised at line 3 of helper.py.")
    tab.failure.get_by_role("button", name="Show the line").click()
    expect(tab.tab("Source")).to_have_attribute("aria-selected", "true")
    editor = tab.root.locator(".jp-MelleaRun-editor")
    expect(editor).to_contain_text("def first(found)")
    expect(tab.root.get_by_label("File")).to_have_value("helper.py")
    marked = editor.locator(".cm-selectionBackground").bounding_box()
    line = editor.locator(".cm-line", has_text="return found[0]").bounding_box()
    assert marked is not None
    assert line is not None
    assert abs(marked["y"] - line["y"]) < line["height"] / 2
    take(lab, "failure-source")


def test_a_run_that_took_too_long_gets_more_time(
    lab: LabPage, server: JupyterServer, http: httpx.Client
) -> None:
    lab.open()
    fail(server, http, "slow.py", timeout_seconds=1)
    toast = lab.toast("slow.py")
    expect(toast).to_contain_text("took too long")
    expect(toast).to_contain_text("It was stopped at its time limit of 1 s.")
    take(lab, "failure-toast", animations="allow")
    toast.get_by_role("button", name="Retry with more time…").click()
    timeout = lab.dialog.get_by_label("Timeout (s)")
    expect(timeout).to_have_value("2")
    expect(timeout).to_be_focused()
    lab.dialog.get_by_role("button", name="Run", exact=True).click()
    tab = lab.run_tab
    expect(tab.header).to_contain_text("attempt 2,")
    tab.expect_status("failed · took too long")
    expect(tab.failure).to_contain_text("time limit of 2 s.")
    lab.bell.open()
    take(lab, "failure-notices")
    entry = lab.bell.entry("It was stopped at its time limit of 2 s.")
    entry.get_by_role("button", name="Retry with more time…").click()
    expect(timeout).to_have_value("4")


def test_more_memory_is_given_to_the_environment(
    lab: LabPage, server: JupyterServer, http: httpx.Client
) -> None:
    box = http.post("api/environments", json={"name": "Small box", "memory_mb": 200}).json()
    server.write("eating.py", EATING)
    run_id = fail(server, http, "eating.py", environment_id=box["id"])
    tab = lab.open_run(run_id)
    tab.expect_status("failed · out of memory")
    expect(tab.failure).to_contain_text("more memory than the 200 MB it may have")
    tab.failure.get_by_role("button", name="Retry with more memory…").click()
    memory = lab.dialog.get_by_label("Memory of the environment (MB)")
    expect(memory).to_have_value("400")
    expect(lab.dialog).to_contain_text("All runs of this environment get it from now on.")
    lab.dialog.get_by_role("button", name="Run", exact=True).click()
    tab.expect_status("succeeded")
    assert http.get(f"api/environments/{box['id']}").json()["memory_mb"] == 400


def test_a_missing_package_is_a_command_to_copy_in_tab_and_card(
    lab: LabPage, server: JupyterServer, http: httpx.Client
) -> None:
    run_id = fail(server, http, "missing.py")
    path = write_shown(server, "missing.ipynb", ("run", run_id))
    card = NotebookPage(lab.open(f"/tree/{path}").page).card("missing.py")
    card.expect_status("failed · package missing")
    expect(card.root).to_contain_text("The package surely_not_installed that the program imports")
    expect(card.root.locator("code", has_text="pip install")).to_be_visible()
    take(lab, "failure-card")
    card.button("Copy command").click()
    expect(lab.toast("Copied: pip install surely_not_installed")).to_be_visible()
    copied = lab.page.evaluate("navigator.clipboard.readText()")
    assert copied == "pip install surely_not_installed"


def test_runs_that_failed_so_are_listed_from_the_box_and_from_a_link(
    lab: LabPage, server: JupyterServer, http: httpx.Client
) -> None:
    server.write("often.py", "print({}['sea'])\n")
    runs = [fail(server, http, "often.py") for _ in range(3)]
    fail(server, http, "missing.py")
    tab = lab.open_run(runs[0])
    tab.failure.get_by_role("button", name=re.compile("^Seen 3 times since")).click()
    dashboard = lab.open_dashboard()
    expect(dashboard.rows).to_have_count(3)
    expect(dashboard.root.get_by_role("list", name="Active filters")).to_contain_text(
        "failure: KeyError"
    )
    expect(dashboard.card("Total runs")).to_have_text("3")
    fingerprint = http.get(f"api/runs/{runs[0]}").json()["error_classification"]["fingerprint"]
    dashboard = lab.open(f"?mellea-dashboard&mellea-failure={fingerprint}&reset").open_dashboard()
    expect(dashboard.rows).to_have_count(3)


def take(lab: LabPage, name: str, animations: Literal["allow", "disabled"] = "disabled") -> None:
    """A picture for people to look at. A toast whose animations are brought to an end is gone."""
    name = name.replace(" ", "-").lower()
    lab.page.screenshot(path=KEPT / "pictures" / f"{name}.png", animations=animations)


SENTENCE = "A service refused the key of the call, or there was none."
