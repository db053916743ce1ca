"""Two people in two browsers: what is shared is seen, what is private is not."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import httpx
import pytest
from playwright.sync_api import Browser, expect

from mellea_jupyter.testing.people import people_options, token_of
from mellea_jupyter.testing.server import JupyterServer

from .browser import PageWatch
from .conftest import DEADLINE_MS, KEPT, StartLab
from .pages import LabPage

PEOPLE = {"ada": ["lab"], "bob": ["lab"], "eve": []}
OpenLab = Callable[[str], LabPage]
FAILS = "print('what she saw')\nraise SystemExit(3)\n"


@pytest.fixture(scope="module")
def hub(start_lab: StartLab) -> JupyterServer:
    """A server of several people."""
    return start_lab(options=people_options(PEOPLE))


@pytest.fixture(scope="module")
def ada(hub: JupyterServer) -> Iterator[httpx.Client]:
    with hub.http(token=token_of(hub.token, "ada")) as client:
        yield client


@pytest.fixture
def open_lab(browser: Browser, hub: JupyterServer) -> Iterator[OpenLab]:
    """Opens JupyterLab as one of the people, each in a browser profile of their own."""
    contexts = []

    def open_as(name: str) -> LabPage:
        context = browser.new_context(viewport={"width": 1280, "height": 800})
        contexts.append(context)
        context.request.get(f"{hub.url}lab?token={token_of(hub.token, name)}")
        page = context.new_page()
        page.set_default_timeout(DEADLINE_MS)
        return LabPage(page, PageWatch(page), hub)

    yield open_as
    for context in contexts:
        context.close()


def ended(hub: JupyterServer, http: httpx.Client, name: str) -> str:
    """A failed run of this program."""
    run = hub.create(http, hub.write(name, FAILS))
    return str(hub.wait_for(http, run["id"])["id"])


def test_a_second_user_sees_the_shared_run_and_not_the_private_one(
    hub: JupyterServer, ada: httpx.Client, open_lab: OpenLab
) -> None:
    shared, private = ended(hub, ada, "shared_one.py"), ended(hub, ada, "private_one.py")
    lab = open_lab("bob")
    sidebar = lab.open().show_sidebar()
    expect(sidebar.get_by_text("No runs yet.")).to_be_visible()
    body = {"kind": "user", "name": "bob", "role": "viewer"}
    ada.post(f"api/runs/{shared}/share", json=body).raise_for_status()

    # It comes by itself, with a notice.
    section = sidebar.get_by_role("region", name="Shared with me")
    expect(section.get_by_role("listitem")).to_have_count(1)
    expect(section).to_contain_text("shared_one.py")
    expect(section).to_contain_text("ada")
    expect(section.get_by_role("button", name="Retry shared_one.py")).to_have_count(0)
    expect(lab.toast("ada shared shared_one.py with you")).to_be_visible()
    expect(sidebar).not_to_contain_text("private_one.py")
    lab.page.screenshot(path=KEPT / "sharing-sidebar.png")

    run_tab = lab.open_run(shared)
    run_tab.expect_status("failed")
    expect(run_tab.log.lines).to_contain_text("what she saw")
    expect(run_tab.header).to_contain_text("you may look at it")
    retry = run_tab.controls.get_by_role("button", name="Retry", exact=True)
    expect(retry).to_be_disabled()
    expect(retry).to_have_attribute("title", "Only its owner and operators may. Ask ada.")
    run_tab.controls.get_by_role("button", name="More actions").click()
    menu = lab.page.get_by_role("menu", name="More actions")
    expect(menu.get_by_role("menuitem", name="Copy id")).to_be_visible()
    for absent in ("Share…", "Delete…"):
        expect(menu.get_by_role("menuitem", name=absent)).to_have_count(0)
    lab.page.screenshot(path=KEPT / "sharing-viewer.png")

    dashboard = lab.open_dashboard()
    expect(dashboard.rows).to_have_count(1)
    assert dashboard.column("Owner") == ["ada"]
    dashboard.filters.get_by_label("Shared with me").check()
    expect(dashboard.rows).to_have_count(1)
    expect(dashboard.filters.get_by_text("shared with me", exact=True)).to_be_visible()

    lab.open_run(private)
    expect(lab.page.get_by_text(f"No run with id '{private}'")).to_be_visible()

    # A role that is raised changes what is offered; one that is revoked takes the run away.
    run_tab = lab.open_run(shared)
    expect(retry).to_be_disabled()
    ada.post(f"api/runs/{shared}/share", json={**body, "role": "operator"}).raise_for_status()
    expect(retry).to_be_enabled()
    params = {"kind": "user", "name": "bob"}
    ada.delete(f"api/runs/{shared}/share", params=params).raise_for_status()
    section = lab.show_sidebar().get_by_role("region", name="Shared with me")
    expect(section).to_have_count(0)


def test_the_share_dialog_shares_changes_and_revokes(
    hub: JupyterServer, ada: httpx.Client, open_lab: OpenLab
) -> None:
    run_id = ended(hub, ada, "dialog.py")
    bob = hub.http(token=token_of(hub.token, "bob"))
    lab = open_lab("ada")
    run_tab = lab.open_run(run_id)
    run_tab.controls.get_by_role("button", name="More actions").click()
    lab.page.get_by_role("menuitem", name="Share…").click()
    dialog = lab.page.get_by_role("dialog").filter(has_text="Share dialog.py")
    expect(dialog.get_by_text("Only ada and administrators see this run.")).to_be_visible()
    name = dialog.get_by_label("Name")
    expect(name).to_be_visible()
    assert bob.get(f"api/runs/{run_id}").status_code == 404

    name.fill("bob")
    name.press("Enter")
    expect(dialog.get_by_text("Shared with bob.")).to_be_visible()
    assert bob.get(f"api/runs/{run_id}").json()["role"] == "viewer"
    dialog.get_by_role("combobox", name="Share with").select_option("group")
    name.fill("lab")
    dialog.get_by_role("combobox", name="Role", exact=True).select_option("operator")
    dialog.get_by_role("button", name="Share", exact=True).click()
    expect(dialog.get_by_role("listitem")).to_have_count(2)
    assert bob.get(f"api/runs/{run_id}").json()["role"] == "operator"
    lab.page.screenshot(path=KEPT / "sharing-dialog.png")

    name.fill("ada")
    dialog.get_by_role("combobox", name="Share with").select_option("user")
    name.press("Enter")
    expect(dialog.get_by_role("alert")).to_contain_text("ada is the owner")
    for who in ("group lab", "bob"):
        dialog.get_by_role("button", name=f"Revoke {who}").click()
        expect(dialog.get_by_role("button", name=f"Revoke {who}")).to_have_count(0)
    assert bob.get(f"api/runs/{run_id}").status_code == 404
    dialog.get_by_role("button", name="Done").click()
    expect(dialog).to_have_count(0)
    bob.close()
