"""Attempt ladders in the cards of notebooks: with our JupyterLab extension, and without it."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import expect

from mellea_jupyter.testing.server import JupyterServer

from .conftest import CreateRun, Desk, StartLab
from .notebooks import NotebookPage, saved_outputs, write_notebook, write_shown
from .pages import LabPage, Ladder
from .test_calls import EMAIL, MET

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

LOOP = """\
from mellea import start_session
from mellea.stdlib.requirements import req, simple_validate
from mellea.stdlib.sampling import RejectionSamplingStrategy

check = simple_validate(lambda text: (False, "Too short."))
start_session().instruct(
    "Write one word.",
    requirements=[req("It is long.", validation_fn=check)],
    strategy=RejectionSamplingStrategy(loop_budget=2),
)
"""


def test_a_card_shows_the_ladder_and_opens_its_cells(
    lab: LabPage, server: JupyterServer, finish: CreateRun
) -> None:
    run = finish(MET, EMAIL, "5")
    write_shown(server, "asking.ipynb", ("show", run["id"]))
    card = NotebookPage(lab.open("/tree/asking.ipynb").page).card("asking.py")
    expect(card.root).to_contain_text("RepairTemplate · 3 attempts · met on 3rd")
    ladder = Ladder(card.root.get_by_role("grid", name="Attempts of loop 1"))
    expect(ladder.rows.nth(2)).to_contain_text("chosen")
    ladder.cell(1, 1).get_by_role("button").click()
    expect(card.root.get_by_role("region", name="Attempt 1")).to_contain_text("It has 16 words.")


def test_a_widget_gets_the_ladder_through_its_kernel(desk: Desk, start_lab: StartLab) -> None:
    def disable(server: JupyterServer) -> None:
        folder = server.home / "config" / "labconfig"
        folder.mkdir(parents=True)
        text = json.dumps({"disabledExtensions": {"mellea-jupyter": True}})
        (folder / "page_config.json").write_text(text, "utf-8")

    server = start_lab(prepare=disable, options=["--MelleaApp.prewarm=False"])
    server.write("looping.py", LOOP)
    cell = "%load_ext mellea_jupyter\n%mellea_run looping.py --model demo/scripted"
    write_notebook(server, "looping.ipynb", cell)
    page, _ = desk.new_page(server)
    page.goto(f"{server.url}lab/tree/looping.ipynb")
    notebook = NotebookPage(page)
    notebook.expect_idle()
    notebook.execute(0)
    card = notebook.card("looping.py")
    card.expect_status("requirements not met")
    expect(card.root).to_contain_text("requirements not met after 2")
    ladder = Ladder(card.root.get_by_role("grid", name="Attempts of loop 1"))
    ladder.cell(2, 1).get_by_role("button").click()
    expect(card.root.get_by_role("region", name="Attempt 2")).to_contain_text("Too short.")
    notebook.expect_in_outputs("requirements not met after 2")
    notebook.save()
    (saved,) = saved_outputs(server, "looping.ipynb")
    assert "✕ Too short." in "".join(saved["text/html"])
    assert "→ resample" in "".join(saved["text/plain"])
