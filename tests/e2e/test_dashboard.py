"""The dashboard over ten thousand runs, and what it does with those that are chosen."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest
from playwright.sync_api import expect

from mellea_jupyter.testing.server import JupyterServer

from .conftest import SEEDED_RUNS
from .pages import LabPage

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

DRAWN_ROWS_AT_MOST = 100
PAGED_RUNS = 1500  # fifteen pages
PAGE = 100
SLEEPING = "import time\nprint('sleeping', flush=True)\ntime.sleep(600)\n"


def oldest_runs(http: httpx.Client, count: int) -> list[str]:
    """The ids of the runs that were created first, as the API orders them."""
    query: dict[str, Any] = {"sort": "created_at", "limit": 500}
    found: list[str] = []
    while len(found) < count:
        reply = http.get("api/runs", params=query).raise_for_status().json()
        found += [run["id"] for run in reply["runs"]]
        query["cursor"] = reply["next"]
    return found


def test_ten_thousand_runs_are_filtered_sorted_and_paged(lab: LabPage, http: httpx.Client) -> None:
    dashboard = lab.open().open_dashboard()
    expect(dashboard.card("Total runs")).to_have_text(re.compile(r"^10\s\d{3}$"))

    # A filter by status, one by words, both as chips; the totals follow.
    dashboard.filter("Status").select_option("failed")
    dashboard.filter("Search runs").fill("weekly report")
    query = {"status": "failed", "search": "weekly report"}
    found = http.get("api/runs/summary", params=query).json()["total_runs"]
    assert 0 < found < SEEDED_RUNS / 10
    expect(dashboard.card("Total runs")).to_have_text(str(found))
    expect(dashboard.card("Success rate")).to_have_text("0 %")
    dashboard.expect_idle()
    assert set(dashboard.column("Asset")) == {"weekly report"}
    assert all("failed" in text for text in dashboard.column("Status"))

    # Sorted by the server: over all runs of the filter, not over those that are loaded.
    dashboard.sort_by("Duration")
    longest_first = dashboard.table.get_by_role("columnheader", name="Duration")
    expect(longest_first).to_have_attribute("aria-sort", "descending")
    dashboard.expect_idle()
    longest = dashboard.column("Duration")[0]
    dashboard.sort_by("Duration")
    expect(longest_first).to_have_attribute("aria-sort", "ascending")
    dashboard.expect_idle()
    expect(dashboard.rows.first).not_to_contain_text(longest)

    # Without filters, oldest first, page after page: each row follows the one before, none is
    # there twice, and a row stays where it is while others come.
    dashboard.filters.get_by_role("button", name="Clear all").click()
    dashboard.sort_by("Started")
    dashboard.sort_by("Started")
    expect(dashboard.table.get_by_role("columnheader", name="Started")).to_have_attribute(
        "aria-sort", "ascending"
    )
    dashboard.expect_idle()
    oldest = oldest_runs(http, PAGED_RUNS + PAGE)
    loaded = 0
    while loaded < PAGED_RUNS:
        before = loaded
        top = dashboard.scroll_to_end()
        expect(dashboard.table).not_to_have_attribute("aria-rowcount", str(before + 1))
        loaded = dashboard.loaded_rows()
        assert dashboard.scroller.evaluate("element => element.scrollTop") == top
        drawn = dashboard.drawn()
        assert len(drawn) <= DRAWN_ROWS_AT_MOST
        assert drawn == {number: oldest[number] for number in drawn}
    dashboard.scroller.evaluate("element => { element.scrollTop = 0 }")
    expect(dashboard.rows.first).to_have_attribute("data-run-id", oldest[0])


def test_five_runs_are_cancelled_at_once(
    lab: LabPage, server: JupyterServer, http: httpx.Client
) -> None:
    server.write("sleeper.py", SLEEPING)
    runs = [server.create(http, "sleeper.py") for _ in range(5)]
    for run in runs:
        server.wait_for(http, run["id"], ["running", "queued"])
    dashboard = lab.open().open_dashboard()
    dashboard.filter("Search runs").fill("sleeper.py")
    expect(dashboard.rows).to_have_count(5)
    dashboard.table.get_by_role("checkbox", name="Select all loaded runs").check()
    expect(dashboard.selection).to_contain_text("5 selected")
    dashboard.selection.get_by_role("button", name="Cancel").click()
    expect(lab.dialog).to_contain_text("Cancel 5 runs?")
    lab.dialog.get_by_role("button", name="Cancel 5 runs").click()
    expect(dashboard.rows.filter(has_text="cancelled")).to_have_count(5)
    for run in runs:
        assert server.wait_for(http, run["id"])["status"] == "cancelled"
