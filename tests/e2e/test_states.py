"""What is shown where there is nothing to show."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from .conftest import Desk, StartLab

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


def test_without_runs_the_sidebar_and_the_dashboard_say_what_to_do(
    desk: Desk, start_lab: StartLab
) -> None:
    lab, _ = desk.new_lab(start_lab(options=["--MelleaApp.prewarm=False"]))
    lab.open().show_sidebar()
    expect(lab.sidebar).to_contain_text("No runs yet.")
    expect(lab.sidebar).to_contain_text("Run with Mellea…")
    dashboard = lab.open_dashboard()
    expect(dashboard.root).to_contain_text("No runs yet.")
    lab.sidebar.get_by_role("button", name="Run a file…").click()
    expect(lab.dialog).to_contain_text("Run with Mellea")


def test_without_the_server_part_the_sidebar_names_the_command(
    desk: Desk, start_lab: StartLab
) -> None:
    lab, watch = desk.new_lab(start_lab(extension=False))
    watch.expect(r"404", r"WebSocket connection to .*runs/ws")
    lab.open().show_sidebar()
    expect(lab.sidebar.get_by_role("alert")).to_contain_text(
        "jupyter server extension enable mellea_jupyter"
    )
    dashboard = lab.open_dashboard()
    expect(dashboard.root.get_by_role("alert")).to_be_visible()
