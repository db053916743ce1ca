"""The page and its server: one websocket a tab, and a server that is killed and started again."""

from __future__ import annotations

import httpx
import pytest
from playwright.sync_api import expect

from mellea_jupyter.testing.server import JupyterServer

from .conftest import Desk, StartLab

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

COUNTING = """\
import time
from pathlib import Path
end = Path("END")
number = 0
while not end.exists():
    print("line", number, flush=True)
    number += 1
    time.sleep(0.05)
print("counted", number, flush=True)
"""
CUT_OFF = (
    r"ERR_(CONNECTION_|EMPTY_RESPONSE|INCOMPLETE)",
    r"WebSocket connection to|Failed to fetch|NetworkError",
)
"""What a page logs whose server is not there, or goes in the middle of a reply."""


def test_a_killed_server_comes_back_and_everything_goes_on(desk: Desk, start_lab: StartLab) -> None:
    server = start_lab()
    end = server.home / "end"
    server.write("counting.py", COUNTING.replace('"END"', repr(str(end))))
    lab, watch = desk.new_lab(server)
    # JupyterLab says so too, in a dialog over everything.
    lab.page.add_locator_handler(
        lab.page.get_by_role("dialog").filter(has_text="Server Connection Error"),
        lambda dialog: dialog.get_by_role("button").first.click(),
    )
    with server.http() as http:
        run = server.create(http, "counting.py")
    tab = lab.open_run(run["id"])
    lab.show_sidebar()
    expect(tab.log.lines).to_contain_text("line 3")
    watch.expect(*CUT_OFF)
    server.kill()
    expect(tab.root.get_by_role("status").filter(has_text="Reconnecting…").first).to_be_visible()
    expect(lab.sidebar).to_contain_text("Reconnecting…")

    server.start()
    expect(tab.root.get_by_text("Reconnecting…")).to_have_count(0)
    expect(lab.sidebar).not_to_contain_text("Reconnecting…")
    end.touch()
    tab.expect_status("succeeded")
    expect(lab.sidebar_item("counting.py").get_by_role("img", name="succeeded")).to_be_visible()
    expect(tab.log.lines).to_contain_text("counted")
    # No line is missing and none is there twice: line n says n - 1.
    last = tab.log.lines.locator(".jp-MelleaLog-line", has_text="counted").inner_text()
    number, _, counted = last.replace("\n", " ").partition(" counted ")
    assert int(number.strip().replace(" ", "")) == int(counted) + 1
    assert len(watch.open_sockets) == 1


def test_two_tabs_have_one_websocket_each(
    desk: Desk, server: JupyterServer, http: httpx.Client
) -> None:
    server.write("quick.py", "print('quick')\n")
    first, watch = desk.new_lab(server)
    second, other_watch = desk.new_lab(server)
    for lab in (first, second):
        lab.open()
        lab.show_sidebar()
        lab.open_dashboard()
    run = server.create(http, "quick.py")
    for lab in (first, second):
        item = lab.sidebar.locator(f"[data-run-id='{run['id']}']")
        expect(item.get_by_role("img", name="succeeded")).to_be_visible()
        item.get_by_role("button").first.dblclick()
        lab.run_tab.expect_status("succeeded")
        expect(lab.run_tab.log.lines).to_contain_text("quick")
    assert [len(each.open_sockets) for each in (watch, other_watch)] == [1, 1]
