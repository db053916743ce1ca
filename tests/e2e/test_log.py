"""The log viewer on a million lines, on a fast program, and where the log was cut."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest
from playwright.sync_api import expect

from mellea_jupyter.testing.server import JupyterServer

from .browser import PageWatch
from .conftest import Desk, StartLab
from .pages import LabPage

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

LINES = 1_000_000
NODES_AT_MOST = 1000
PROGRAM = """\
import sys
for first in range(1, 1_000_001, 1000):
    sys.stdout.write("".join(
        f"needle at {n}\\n" if n == 700_000 else f"line {n} of a long log\\n"
        for n in range(first, first + 1000)
    ))
"""

FAST = """\
import time
from pathlib import Path
went = Path("go")
print("waiting", flush=True)
while not went.exists():
    time.sleep(0.05)
began = time.monotonic()
for tick in range(120):
    print("\\n".join(f"tick {tick} line {n}" for n in range(100)), flush=True)
    time.sleep(max(0.0, began + (tick + 1) * 0.05 - time.monotonic()))
print("all written", flush=True)
"""

LONG = "for n in range(60_000):\n    print(n, 'x' * 90)\n"


@pytest.fixture(scope="module")
def long_run(server: JupyterServer) -> dict[str, Any]:
    """A run that wrote a million lines."""
    server.write("long.py", PROGRAM)
    with server.http() as http:
        run = server.create(http, "long.py")
        return server.wait_for(http, run["id"], ["succeeded"], seconds=120)


def received_bytes(watch: PageWatch) -> int:
    return sum(request.sizes()["responseBodySize"] for request in watch.log_requests())


def test_a_million_lines_open_at_the_tail_and_are_searched(
    lab: LabPage, watch: PageWatch, long_run: dict[str, Any]
) -> None:
    tab = lab.open_run(long_run["id"])
    expect(tab.log.line(LINES)).to_be_visible()
    expect(tab.log.footer).to_contain_text("1 000 000 lines")
    assert tab.log.node_count() <= NODES_AT_MOST
    assert len(watch.log_requests()) <= 3
    assert received_bytes(watch) <= 500_000

    tab.log.search.fill("needle at")
    expect(tab.log.hits).to_have_text("1/1")
    expect(tab.log.line(700_000)).to_contain_text("needle at 700000")
    expect(tab.log.line(700_000).locator("mark")).to_have_text("needle at")
    expect(tab.log.line(700_005)).to_contain_text("line 700005 of a long log")

    # The scroll bar reaches both ends and the middle.
    tab.log.lines.evaluate("element => { element.scrollTop = 0 }")
    expect(tab.log.line(1)).to_contain_text("line 1 of")
    tab.log.lines.evaluate("element => { element.scrollTop = element.scrollHeight / 2 }")
    expect(tab.log.lines).to_contain_text(re.compile("line (49|50)[0-9]{4} of"))
    assert tab.log.node_count() <= NODES_AT_MOST
    assert len(watch.log_requests()) <= 12
    assert received_bytes(watch) <= 2_500_000


def test_two_thousand_lines_a_second_are_followed(
    lab: LabPage, watch: PageWatch, server: JupyterServer, http: httpx.Client
) -> None:
    go = server.home / "go-fast"
    server.write("fast.py", FAST.replace('"go"', repr(str(go))))
    run = server.create(http, "fast.py")
    tab = lab.open_run(run["id"])
    expect(tab.log.lines).to_contain_text("waiting")
    go.touch()
    expect(tab.log.lines).to_contain_text(re.compile(r"tick [1-9]\d* line"))
    assert tab.log.node_count() <= NODES_AT_MOST

    # Scrolling up lets go of the end; the button says what came since, and returns.
    tab.log.lines.hover()
    lab.page.mouse.wheel(0, -2000)
    expect(tab.log.follow).not_to_be_checked()
    expect(tab.log.return_button).to_be_visible()
    tab.log.return_button.click()
    expect(tab.log.follow).to_be_checked()

    expect(tab.log.lines).to_contain_text("all written")
    tab.expect_status("succeeded")
    expect(tab.log.footer).to_contain_text("12 002 lines")
    assert tab.log.node_count() <= NODES_AT_MOST
    assert len(watch.log_requests()) <= 5


def test_a_cut_log_shows_its_gap(desk: Desk, start_lab: StartLab) -> None:
    server = start_lab(options=["--MelleaApp.log_cap_mb=1", "--MelleaApp.prewarm=False"])
    lab, _ = desk.new_lab(server)
    server.write("long.py", LONG)
    with server.http() as http:
        run = server.create(http, "long.py")
        server.wait_for(http, run["id"], ["succeeded"])
    tab = lab.open_run(run["id"])
    expect(tab.log.line(60_000)).to_be_visible()
    tab.log.lines.evaluate("element => { element.scrollTop = 0 }")
    expect(tab.log.line(1)).to_be_visible()
    gap = tab.log.lines.locator(".jp-MelleaLog-line").filter(has_text="were left out")
    tab.log.search.fill("were left out")
    expect(gap).to_be_visible()
