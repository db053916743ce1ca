"""What the tests look at and press, found by role and name as people and screen readers find it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import count
from typing import Self

from playwright.sync_api import Error, Locator, Page, expect

from mellea_jupyter.testing.server import JupyterServer

from .browser import PageWatch

_workspaces = count(1)


class LabPage:
    """JupyterLab in one page, with a workspace of its own."""

    def __init__(self, page: Page, watch: PageWatch, server: JupyterServer) -> None:
        self.page = page
        self._watch = watch
        self._address = f"{server.url}lab/workspaces/test-{next(_workspaces)}"

    def open(self, query: str = "") -> Self:
        """Load JupyterLab and wait for the extension."""
        self._load(lambda: self.page.goto(f"{self._address}{query}"))
        if not query:  # the last to come, and it takes the focus
            expect(self.page.get_by_role("tab", name="Launcher")).to_be_visible()
        return self

    def reload(self) -> None:
        """Load it again and wait for the extension."""
        self._load(self.page.reload)

    def reopen(self) -> None:
        """Load it as it was left; unlike after a reload, no file of the address is shown late."""
        self._load(lambda: self.page.goto(self._address))

    def _load(self, load: Callable[[], object]) -> None:
        """Load until the extension is there, the layout restored and no file missing."""
        while True:  # as long as the test may take
            try:
                load()
                expect(self._sidebar_tab).to_be_visible()
                expect(self.page.locator("#jupyterlab-splash")).to_have_count(0)
            except (AssertionError, Error):
                if not self._watch.forget_lost_network():
                    raise
            else:
                if not self._watch.forget_lost_network():
                    return

    def open_run(self, run_id: str, line: int | None = None) -> RunTab:
        """Load JupyterLab by the link of a run."""
        self.open(f"?mellea-run={run_id}" + (f"&mellea-line={line}" if line else ""))
        return self.run_tab

    @property
    def _sidebar_tab(self) -> Locator:
        return self.page.get_by_role("tab", name="Mellea runs")

    @property
    def sidebar(self) -> Locator:
        return self.page.get_by_role("region", name="Mellea runs")

    @property
    def dialog(self) -> Locator:
        return self.page.get_by_role("dialog")

    @property
    def run_tab(self) -> RunTab:
        return RunTab(self.page)

    def show_sidebar(self) -> Locator:
        if not self.sidebar.is_visible():
            self._sidebar_tab.click()
        expect(self.sidebar).to_be_visible()
        return self.sidebar

    def sidebar_item(self, name: str) -> Locator:
        """The item of a run, by a part of what it says."""
        return self.sidebar.get_by_role("listitem").filter(has_text=name)

    def open_dashboard(self) -> Dashboard:
        self.show_sidebar().get_by_role("button", name="Open the dashboard").click()
        dashboard = Dashboard(self.page)
        expect(dashboard.table).to_be_visible()
        return dashboard

    @property
    def bell(self) -> Bell:
        return Bell(self.page)

    @property
    def today(self) -> Locator:
        """Today's cost in the status bar."""
        return self.page.get_by_role("button", name=re.compile("^Mellea runs today: "))

    def edit_preferences(self) -> Locator:
        """The form of what one is told."""
        self.bell.open().get_by_role("button", name="Preferences").click()
        form = self.page.get_by_role("dialog").filter(has_text="Notification preferences")
        expect(form).to_be_visible()
        return form

    def toast(self, text: str) -> Locator:
        return self.page.get_by_role("alert").filter(has_text=text)


class Bell:
    """The bell in the top bar and its list."""

    def __init__(self, page: Page) -> None:
        self.button = page.get_by_role("button", name=re.compile("^Notifications, "))
        self.list = page.get_by_role("dialog", name="Notifications", exact=True)

    def expect_unread(self, count: int) -> None:
        expect(self.button).to_have_attribute("aria-label", f"Notifications, {count} unread")

    def open(self) -> Locator:
        """The list."""
        if not self.list.is_visible():
            self.button.click()
        expect(self.list).to_be_visible()
        return self.list

    def entry(self, text: str) -> Locator:
        """A notice, by a part of what it says."""
        return self.list.get_by_role("listitem").filter(has_text=text)


class RunTab:
    """The tab of a run that is in front."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.root = page.locator(".jp-MelleaRun:visible")
        self.log = LogPane(self.root)

    @property
    def header(self) -> Locator:
        return self.root.locator(".jp-MelleaRun-header")

    @property
    def failure(self) -> Locator:
        """The box that says why it failed."""
        return self.root.locator(".jp-MelleaRun-failure")

    @property
    def controls(self) -> Locator:
        return self.root.get_by_role("toolbar", name="Run", exact=True)

    def expect_status(self, text: str) -> None:
        expect(self.header.get_by_role("status").first).to_contain_text(text)

    def tab(self, name: str) -> Locator:
        return self.root.get_by_role("tab", name=re.compile(f"^{name}"))

    def open_calls(self) -> CallsPane:
        """The Calls tab."""
        self.tab("Calls").click()
        return CallsPane(self.root)


class CallsPane:
    """Loops, calls, what was opened of them, and the timeline."""

    def __init__(self, root: Locator) -> None:
        self.root = root.locator(".jp-MelleaCalls")
        self.list = self.root.get_by_role("region", name="Loops and calls")
        self.details = self.root.get_by_role("complementary")
        self.timeline = self.root.get_by_role("region", name="Timeline")
        self.bars = self.timeline.locator("[data-call]")

    def loop(self, number: int) -> Locator:
        return self.list.get_by_role("region", name=f"Loop {number}", exact=True)

    def head(self, number: int) -> Locator:
        """The line about a loop."""
        return self.loop(number).get_by_role("button").first

    def ladder(self, number: int) -> Ladder:
        return Ladder(self.list.get_by_role("grid", name=f"Attempts of loop {number}", exact=True))

    def call(self, number: int) -> Locator:
        """A call's row in the list."""
        return self.list.get_by_role("button", name=re.compile(f"^Call {number},"))

    def bar(self, number: int) -> Locator:
        return self.timeline.get_by_role("button", name=re.compile(f"^Call {number},"))


class Ladder:
    """The grid of a loop: attempts and requirements."""

    def __init__(self, grid: Locator) -> None:
        self.grid = grid
        self.rows = grid.locator("tbody tr:not(.jp-MelleaLadder-chain)")

    def cell(self, attempt: int, requirement: int) -> Locator:
        """By the row from 1, and the requirement from 1."""
        return self.rows.nth(attempt - 1).get_by_role("gridcell").nth(requirement - 1)

    def texts(self) -> list[list[str]]:
        """What stands in the rows, without the white space."""
        rows = self.rows.evaluate_all(
            "rows => rows.map(row => [...row.cells].map(cell => cell.innerText))"
        )
        return [[" ".join(text.split()) for text in row] for row in rows]


class LogPane:
    """A log viewer."""

    def __init__(self, root: Locator) -> None:
        self.lines = root.get_by_role("log")
        self.search = root.get_by_role("searchbox", name="Search the log")
        self.hits = root.locator(".jp-MelleaLog-hits")
        self.footer = root.locator(".jp-MelleaLog-footer")
        self.follow = root.get_by_role("checkbox", name="Follow")
        self.return_button = root.get_by_role("button", name=re.compile("new lines?$"))

    def line(self, number: int) -> Locator:
        """A drawn row, by its line number."""
        return self.lines.locator(".jp-MelleaLog-line").filter(
            has=self.lines.page.locator(".jp-MelleaLog-number", has_text=re.compile(f"^{number}$"))
        )

    def node_count(self) -> int:
        """DOM elements in the viewer."""
        return self.lines.locator("*").count()


class Dashboard:
    """The table of all runs."""

    def __init__(self, page: Page) -> None:
        self.root = page.locator(".jp-MelleaDashboard")
        self.table = self.root.get_by_role("table", name="Runs")
        self.rows = self.table.locator("tbody tr:not([aria-hidden])")
        self.scroller = self.root.locator(".jp-MelleaDashboard-rows")
        self.selection = self.root.get_by_role("toolbar", name="Selected runs")
        self.filters = self.root.get_by_role("search", name="Filter runs")

    def filter(self, label: str) -> Locator:
        """A field of the filter bar."""
        return self.filters.locator(f":scope > [aria-label='{label}']")

    def card(self, label: str) -> Locator:
        """The value of a total."""
        return self.root.locator(".jp-MelleaDashboard-card").filter(has_text=label).locator("dd")

    def column(self, title: str) -> list[str]:
        """The texts of a column, of the rows that are drawn."""
        titles: Sequence[str] = self.table.locator("th").all_inner_texts()
        at = next(n for n, text in enumerate(titles) if text.startswith(title))
        return self.rows.locator(f"td:nth-child({at + 1})").all_inner_texts()

    def sort_by(self, title: str) -> None:
        self.table.get_by_role("button", name=title).click()

    def scroll_to_end(self) -> float:
        """Show the last row that is loaded; how far that is from the top, in pixels."""
        return float(
            self.scroller.evaluate(
                "element => { element.scrollTop = element.scrollHeight; return element.scrollTop }"
            )
        )

    def loaded_rows(self) -> int:
        return int(self.table.get_attribute("aria-rowcount") or 1) - 1

    def drawn(self) -> dict[int, str]:
        """The runs whose rows are drawn, by how many rows are above."""
        found = self.rows.evaluate_all(
            "rows => rows.map(row => [Number(row.ariaRowIndex) - 2, row.dataset.runId])"
        )
        return {int(number): run_id for number, run_id in found}

    def compare(self) -> Locator:
        """Compare the selected runs; the tab with them."""
        self.selection.get_by_role("button", name="Compare").click()
        tab = self.root.page.get_by_role("region", name=re.compile(r"^Compare \d+ runs$"))
        expect(tab.get_by_role("table", name="Compared runs")).to_be_visible()
        return tab

    def expect_idle(self) -> None:
        """No page is being read."""
        expect(self.table).to_have_attribute("aria-busy", "false")
