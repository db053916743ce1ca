"""What one is told of runs: the bell, toasts, preferences, and today's cost."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import expect

from mellea_jupyter.testing.scripted_llm import ScriptedLlm
from mellea_jupyter.testing.server import JupyterServer

from .conftest import Desk, StartLab

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

ASKING = "import mellea\nprint(mellea.start_session().instruct('Tell me a long story.'))\n"
LONG_REPLY = "once upon a time " * 10_000


@pytest.fixture(scope="module")
def server(start_lab: StartLab) -> JupyterServer:
    """A server of which all notices are known."""
    server = start_lab(options=["--MelleaApp.grace_seconds=4"])
    for name in ("first", "second", "third"):
        server.write(f"{name}.py", f"print({name!r})\n")
    server.write("asking.py", ASKING)
    return server


@pytest.fixture
def http(server: JupyterServer) -> Iterator[httpx.Client]:
    with server.http() as client:
        yield client


def run(server: JupyterServer, http: httpx.Client, name: str) -> None:
    """Run a program to its end, which is told in a notice of its own."""
    server.wait_for(http, server.create(http, name)["id"], ["succeeded"])


def test_the_bell_counts_what_is_unread_and_remembers_what_was_read(
    desk: Desk, server: JupyterServer, http: httpx.Client
) -> None:
    lab, _ = desk.new_lab(server)
    lab.open()
    lab.bell.expect_unread(0)
    run(server, http, "first.py")
    expect(lab.toast("first.py")).to_contain_text("succeeded")
    lab.bell.expect_unread(1)
    lab.bell.open()
    expect(lab.bell.entry("first.py")).to_contain_text("Unread:")
    lab.bell.entry("first.py").get_by_role("button").click()
    lab.run_tab.expect_status("succeeded")
    expect(lab.bell.list).to_have_count(0)
    lab.bell.expect_unread(0)

    lab.reload()
    lab.bell.open()
    expect(lab.bell.entry("first.py")).not_to_contain_text("Unread:")
    lab.bell.expect_unread(0)


def test_without_toasts_only_the_bell_tells(
    desk: Desk, server: JupyterServer, http: httpx.Client
) -> None:
    lab, _ = desk.new_lab(server)
    lab.open()
    before = http.get("api/notifications").json()["unread"]

    def choose_toasts(*, wanted: bool) -> None:
        form = lab.edit_preferences()
        form.get_by_role("switch", name="In-app toast notifications").set_checked(wanted)
        form.get_by_role("button", name="Save").click()
        expect(form).to_have_count(0)

    choose_toasts(wanted=False)
    run(server, http, "second.py")
    lab.bell.expect_unread(before + 1)
    lab.bell.open().get_by_role("button", name="Mark all read").click()
    lab.bell.expect_unread(0)
    expect(lab.toast("second.py")).to_have_count(0)

    lab.page.keyboard.press("Escape")
    choose_toasts(wanted=True)
    run(server, http, "third.py")
    expect(lab.toast("third.py")).to_be_visible()
    expect(lab.toast("second.py")).to_have_count(0)


def test_the_status_bar_says_what_today_has_cost(
    desk: Desk, server: JupyterServer, http: httpx.Client
) -> None:
    lab, _ = desk.new_lab(server)
    lab.open()
    expect(lab.today).to_have_text("Mellea $0.00")
    with ScriptedLlm([LONG_REPLY]) as endpoint:
        variables = {"OPENAI_BASE_URL": endpoint.openai_url, "OPENAI_API_KEY": "scripted"}
        asking = server.create(http, "asking.py", model="openai/gpt-4o", env_vars=variables)
        ended = server.wait_for(http, asking["id"], ["succeeded"])
    cost = float(ended["metrics"]["estimated_cost_usd"])
    assert cost > 0.1
    expect(lab.today).to_have_text(f"Mellea ${cost:.2f}")
    lab.today.click()
    expect(lab.page.get_by_role("table", name="Runs")).to_contain_text("asking.py")
