"""Pictures of the panels in both themes, for people to look at and for the README.

They are in `build/e2e/pictures`. With `--screenshots`, those that the README shows are made anew.
Nothing is compared pixel by pixel; the test says that each picture can be taken, error-free.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import expect

from mellea_jupyter.stores.runs.sql import SqlRunStore
from mellea_jupyter.testing.seeding import seed_runs
from mellea_jupyter.testing.server import JupyterServer
from tests.frontend import ROOT

from .conftest import KEPT, Desk, StartLab
from .notebooks import NotebookPage, write_shown

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

WAITING = "import time\nprint('translating 1 of 40', flush=True)\ntime.sleep(600)\n"
FAILING = "import json\n\nprint('reading the answers')\njson.loads('not what was asked for')\n"


@pytest.fixture(scope="module")
def gallery(start_lab: StartLab) -> tuple[JupyterServer, dict[str, Any]]:
    """A server with runs worth a picture; the run of `trip.py` among them."""

    def prepare(server: JupyterServer) -> None:
        shutil.copytree(ROOT / "examples", server.root, dirs_exist_ok=True)
        server.data_dir.mkdir(parents=True, mode=0o700)
        store = SqlRunStore.open(server.data_dir / "runs.sqlite")
        seed_runs(store, 400, days=25, owners=3, programs=6)
        store.close()

    server = start_lab(prepare=prepare)
    server.write("answers.py", FAILING)
    server.write("translate.py", WAITING)
    with server.http() as http:
        server.wait_for(http, server.create(http, "answers.py")["id"])
        report = server.create(http, "report.py", model="demo/scripted", args=["Lisbon", "Turku"])
        server.wait_for(http, report["id"])
        trip = server.create(http, "trip.py", model="demo/scripted", args=["--city", "Lisbon"])
        trip = server.wait_for(http, trip["id"])
        waiting = server.create(http, "translate.py")
        server.wait_for(http, waiting["id"], ["running"])
    return server, trip


@pytest.fixture
def http(gallery: tuple[JupyterServer, dict[str, Any]]) -> Iterator[httpx.Client]:
    with gallery[0].http() as client:
        yield client


@pytest.fixture
def keep(request: pytest.FixtureRequest) -> Callable[[Path], None]:
    """What is done with a picture that was taken."""
    readme = (ROOT / "README.md").read_text("utf-8")

    def keep(picture: Path) -> None:
        place = Path("docs", "images", picture.name)
        if request.config.getoption("--screenshots") and place.as_posix() in readme:
            shutil.copyfile(picture, ROOT / place)

    return keep


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_panels_are_pictured(
    desk: Desk,
    gallery: tuple[JupyterServer, dict[str, Any]],
    choose_theme: Callable[[str], None],
    keep: Callable[[Path], None],
    theme: str,
) -> None:
    server, trip = gallery
    choose_theme(f"JupyterLab {theme.title()}")
    lab, _ = desk.new_lab(server)
    lab.page.set_viewport_size({"width": 1180, "height": 720})

    def take(name: str) -> None:
        picture = KEPT / "pictures" / f"{name}-{theme}.png"
        lab.page.screenshot(path=picture, animations="disabled")
        assert picture.stat().st_size > 10_000
        keep(picture)

    tab = lab.open_run(trip["id"])
    lab.show_sidebar()
    expect(lab.sidebar_item("translate.py").get_by_role("img", name="running")).to_be_visible()
    expect(tab.log.footer).to_contain_text("ended")
    take("run")
    tab.controls.get_by_role("button", name="Clone configuration").click()
    expect(lab.dialog.get_by_label("Program")).to_be_visible()
    take("launch")
    lab.dialog.get_by_role("button", name="Cancel").click()
    dashboard = lab.open_dashboard()
    dashboard.expect_idle()
    expect(dashboard.card("Total runs")).to_have_text("404")
    take("dashboard")
    source = "%mellea_run trip.py --model demo/scripted -- --city Lisbon"
    write_shown(server, "trip.ipynb", (source, trip["id"]))
    lab.open("/tree/trip.ipynb")
    notebook = NotebookPage(lab.page)
    notebook.expect_idle()
    card = notebook.card("trip.py")
    expect(card.log.lines).to_contain_text("All requirements met")
    expect(card.root.get_by_role("list", name="Artifacts")).to_be_visible()
    take("card")
