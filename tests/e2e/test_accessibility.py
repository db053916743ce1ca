"""axe-core finds nothing serious in what is ours, in the light and the dark theme."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, expect

from mellea_jupyter.testing.server import JupyterServer

from .conftest import Frontend
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


def violations(part: Locator, rules: str) -> list[str]:
    """Serious and critical violations within a part of the page."""
    part.page.evaluate(rules)
    found = part.evaluate("""async element => {
        const { violations } = await axe.run(element, { resultTypes: ['violations'] });
        return violations.filter(each => ['serious', 'critical'].includes(each.impact)).map(each =>
            ({ id: each.id, nodes: each.nodes.map(node => [node.html, node.failureSummary]) }));
    }""")
    return [json.dumps(each, indent=1) for each in found]


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
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
    assert not any(found.values()), "\n".join(text for texts in found.values() for text in texts)
