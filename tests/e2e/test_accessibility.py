"""axe-core finds nothing serious in what is ours, in the light and the dark theme."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, expect

from mellea_jupyter.testing.server import JupyterServer

from .conftest import Frontend
from .notebooks import NotebookPage, write_shown
from .pages import LabPage

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

WRITING = """\
import sys
from pathlib import Path
from mellea_jupyter import current_run
print("\\x1b[31mred\\x1b[0m \\x1b[32mgreen\\x1b[0m \\x1b[33myellow\\x1b[0m plain")
print("to stderr", file=sys.stderr)
(current_run.output_dir / "table.csv").write_text("a,b\\n1,2\\n")
raise ValueError("bad luck")
"""

LASTING = "import time\nprint('lasting', flush=True)\ntime.sleep(600)\n"


THEMES = pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])


def violations(part: Locator, rules: str) -> list[str]:
    """Serious and critical violations within a part of the page."""
    part.page.evaluate(rules)
    found = part.evaluate("""async element => {
        const { violations } = await axe.run(element, { resultTypes: ['violations'] });
        return violations.filter(each => ['serious', 'critical'].includes(each.impact)).map(each =>
            ({ id: each.id, nodes: each.nodes.map(node => [node.html, node.failureSummary]) }));
    }""")
    return [json.dumps(each, indent=1) for each in found]


@THEMES
def test_axe_finds_nothing_serious(
    lab: LabPage,
    server: JupyterServer,
    frontend: Frontend,
    choose_theme: Callable[[str], None],
    theme: str,
) -> None:
    rules = frontend.axe.read_text("utf-8")
    server.write("writing.py", WRITING)
    with server.http() as http:
        run = server.create(http, "writing.py")
        server.wait_for(http, run["id"])
    choose_theme(theme)
    tab = lab.open_run(run["id"])
    expect(lab.page.locator("body")).to_have_attribute("data-jp-theme-name", theme)
    lab.show_sidebar()
    found = {}

    expect(lab.sidebar_item("writing.py").first).to_be_visible()
    found["sidebar"] = violations(lab.sidebar, rules)
    expect(tab.log.lines).to_contain_text("to stderr")
    for name in ("Logs", "Artifacts", "Metrics", "Configuration", "Source"):
        tab.tab(name).click()
        found[name] = violations(tab.root, rules)
    tab.controls.get_by_role("button", name="Retry with changes…").click()
    lab.dialog.get_by_role("button", name="Add variable").click()
    found["dialog"] = violations(lab.dialog.locator(".jp-MelleaLaunch"), rules)
    lab.dialog.get_by_role("button", name="Cancel").click()
    dashboard = lab.open_dashboard()
    dashboard.filter("Status").select_option("failed")
    dashboard.rows.first.get_by_role("checkbox").check()
    dashboard.expect_idle()
    found["dashboard"] = violations(dashboard.root, rules)
    expect_none(found)


@THEMES
def test_axe_finds_nothing_serious_in_cards_and_notices(
    lab: LabPage,
    server: JupyterServer,
    frontend: Frontend,
    choose_theme: Callable[[str], None],
    theme: str,
) -> None:
    rules = frontend.axe.read_text("utf-8")
    server.write("failing.py", WRITING)
    server.write("lasting.py", LASTING)
    with server.http() as http:
        failed = [server.create(http, "failing.py", args=[arg]) for arg in ("a", "b")]
        for run in failed:
            server.wait_for(http, run["id"])
        running = server.create(http, "lasting.py")
        server.wait_for(http, running["id"], ["running"])
    write_shown(server, "shown.ipynb", ("failed", failed[0]["id"]), ("running", running["id"]))
    choose_theme(theme)
    lab.open("/tree/shown.ipynb")
    expect(lab.page.locator("body")).to_have_attribute("data-jp-theme-name", theme)
    notebook = NotebookPage(lab.page)
    found = {}

    for name, status in (("failing.py", "failed"), ("lasting.py", "running")):
        card = notebook.card(name)
        card.expect_status(status)
        expect(card.log.lines).to_contain_text("to stderr" if status == "failed" else "lasting")
        found[name] = violations(card.root, rules)
    expect(lab.bell.open().get_by_role("listitem").first).to_be_visible()
    found["notices"] = violations(lab.bell.list, rules)
    form = lab.edit_preferences()
    found["preferences"] = violations(form.locator(".jp-MelleaPreferences"), rules)
    form.get_by_role("button", name="Cancel").click()
    dashboard = lab.open_dashboard()
    dashboard.filter("Search runs").fill("failing.py")
    dashboard.expect_idle()
    for row in range(2):
        dashboard.rows.filter(has_text="failing.py").nth(row).get_by_role("checkbox").check()
    found["compare"] = violations(dashboard.compare(), rules)
    with server.http() as http:
        http.delete(f"api/runs/{running['id']}").raise_for_status()
        server.wait_for(http, running["id"])
    expect_none(found)


def expect_none(found: dict[str, list[str]]) -> None:
    """Fail with all violations, by the part of the page they are in."""
    assert not any(found.values()), "\n".join(
        f"{part}: {text}" for part, texts in found.items() for text in texts
    )
