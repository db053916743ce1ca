"""A run's tab: cancel, retry, markup that stays text, and the keyboard alone."""

from __future__ import annotations

import httpx
import pytest
from playwright.sync_api import expect

from mellea_jupyter.testing.server import JupyterServer

from .pages import LabPage

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

STUBBORN = """\
import signal, time
signal.signal(signal.SIGTERM, lambda *_: print("asked to stop", flush=True))
print("started", flush=True)
while True:
    time.sleep(0.1)
"""

GREETING = """\
import os, sys
name = os.environ.get("GREETED")
if not name:
    sys.exit("GREETED is not set")
print("hello", name)
"""

MARKUP = """\
print("<img src=x onerror=\\"document.title='owned'\\"><b>bold</b>")
print("<script>document.title='owned'</script>")
print("\\x1b]8;;https://example.org\\x07link\\x1b]8;;\\x07 \\x1b[31mred\\x1b[0m")
"""


def test_a_running_run_is_cancelled_and_seen_stopping(
    lab: LabPage, server: JupyterServer, http: httpx.Client
) -> None:
    server.write("stubborn.py", STUBBORN)
    run = server.create(http, "stubborn.py")
    tab = lab.open_run(run["id"])
    expect(tab.log.lines).to_contain_text("started")
    lab.show_sidebar()
    tab.controls.get_by_role("button", name="Cancel").click()
    tab.expect_status("stopping")
    expect(tab.header).to_contain_text("Stopping")
    expect(lab.sidebar_item("stubborn.py").first).to_contain_text("stopping…")
    expect(tab.log.lines).to_contain_text("asked to stop")
    tab.expect_status("cancelled")
    expect(tab.controls.get_by_role("button", name="Cancel")).to_have_count(0)
    expect(tab.controls.get_by_role("button", name="Retry", exact=True)).to_be_enabled()


def test_a_failed_run_is_retried_with_another_variable(
    lab: LabPage, server: JupyterServer, http: httpx.Client
) -> None:
    server.write("greeting.py", GREETING)
    run = server.create(http, "greeting.py")
    server.wait_for(http, run["id"], ["failed"])
    tab = lab.open_run(run["id"])
    tab.expect_status("failed")
    tab.controls.get_by_role("button", name="Retry with changes…").click()
    lab.dialog.get_by_role("button", name="Add variable").click()
    lab.dialog.get_by_label("Name").fill("GREETED")
    lab.dialog.get_by_label("Value of GREETED").fill("the sea")
    lab.dialog.get_by_role("button", name="Run", exact=True).click()
    expect(tab.header).to_contain_text(f"retry of {run['id'][:6]}")
    tab.expect_status("succeeded")
    expect(tab.log.lines).to_contain_text("hello the sea")


def test_markup_in_a_log_and_in_a_notice_stays_text(
    lab: LabPage, server: JupyterServer, http: httpx.Client
) -> None:
    name = "<img src=x onerror=alert(1)>"
    server.write("markup.py", MARKUP)
    lab.open()
    title = lab.page.title()
    run = server.create(http, "markup.py")
    http.patch(f"api/runs/{run['id']}", json={"name": name}).raise_for_status()
    expect(lab.toast(name)).to_contain_text("succeeded")
    assert lab.toast(name).locator("img[src=x]").count() == 0
    lab.toast(name).get_by_role("button", name="Open").click()
    tab = lab.run_tab
    expect(tab.header.get_by_role("heading")).to_have_text(name)
    expect(tab.log.line(1)).to_contain_text("<img src=x onerror=\"document.title='owned'\">")
    expect(tab.log.line(2)).to_contain_text("<script>document.title='owned'</script>")
    expect(tab.log.line(3)).to_contain_text("link red")
    assert tab.log.lines.locator("img, script, b, a[href^='https://example']").count() == 0
    assert "owned" not in lab.page.title() or title == lab.page.title()


def test_the_sidebar_and_the_run_tab_work_by_keyboard_alone(
    lab: LabPage, server: JupyterServer, http: httpx.Client
) -> None:
    server.write("keys.py", "for number in range(200):\n    print('line', number)\n")
    for _ in range(2):
        server.wait_for(http, server.create(http, "keys.py")["id"])
    lab.open()
    press = lab.page.keyboard.press

    press("Control+Alt+m")
    expect(lab.sidebar).to_be_visible()
    search = lab.sidebar.get_by_role("searchbox", name="Filter runs")
    for _ in range(6):
        if search.evaluate("element => element === document.activeElement"):
            break
        press("Tab")
    expect(search).to_be_focused()
    lab.page.keyboard.type("keys.py")
    items = lab.sidebar_item("keys.py")
    press("Tab")
    expect(items.nth(0).get_by_role("button").first).to_be_focused()
    press("ArrowDown")
    expect(items.nth(1).get_by_role("button").first).to_be_focused()
    press("Enter")

    tab = lab.run_tab
    tab.expect_status("succeeded")
    expect(tab.log.lines).to_contain_text("line 199")
    logs = tab.tab("Logs")
    for _ in range(12):
        if logs.evaluate("element => element === document.activeElement"):
            break
        press("Tab")
    expect(logs).to_be_focused()
    for name in ("Calls", "Artifacts"):
        press("ArrowRight")
        expect(tab.tab(name)).to_be_focused()
    press("Home")
    expect(logs).to_be_focused()
    for _ in range(12):
        if tab.log.lines.evaluate("element => element === document.activeElement"):
            break
        press("Tab")
    expect(tab.log.lines).to_be_focused()
    press("Control+Home")
    expect(tab.log.line(1)).to_be_visible()
    press("Control+End")
    expect(tab.log.line(200)).to_be_visible()
    press("Control+f")
    expect(tab.log.search).to_be_focused()
    lab.page.keyboard.type("line 42")
    expect(tab.log.hits).to_have_text("1/1")
    expect(tab.log.line(43)).to_be_visible()
