"""What a run kept, in its tab: previews of all kinds, and files that mean harm."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from playwright.sync_api import Locator, expect

from mellea_jupyter.testing.server import JupyterServer

from .browser import PageWatch
from .conftest import KEPT
from .pages import LabPage, RunTab

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

PIXEL = base64.b64encode(
    base64.b64decode(
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
    )
).decode()

PROGRAM = """\
import base64, json, os, sys
from mellea_jupyter import current_run
folder = current_run.output_dir
(folder / "charts").mkdir()
for name, text in json.loads(open("files.json", encoding="utf-8").read()).items():
    (folder / name).write_text(text, encoding="utf-8")
(folder / "charts" / "dot.png").write_bytes(base64.b64decode("PIXEL"))
(folder / "charts" / "broken.png").write_bytes(b"no picture")
(folder / "weights.bin").write_bytes(bytes(range(256)) * 40)
(folder / "long.log").write_text("a line of a log\\n" * 40_000)
os.symlink("/etc/passwd", folder / "passwd")
current_run.output({"city": "Lisbon", "plan": ["tram 28"]}, schema_version="3")
print("done")
""".replace("PIXEL", PIXEL)

DRAWING = """<svg xmlns="http://www.w3.org/2000/svg" width="220" height="90" onload="alert(1)">
<script>parent.document.title = 'owned'; new Image().src = 'FOREIGN/svg-script'</script>
<image href="FOREIGN/svg-image" width="5" height="5"/>
<rect width="220" height="90" fill="#e8f0fe"/><text x="20" y="50">a drawing</text></svg>"""

PAGE = """<!doctype html><html><head><title>x</title>
<link rel="stylesheet" href="FOREIGN/link.css"><link rel="dns-prefetch" href="FOREIGN/dns">
<meta http-equiv="refresh" content="0;url=FOREIGN/refresh"><base href="FOREIGN/base/">
<style>@import url(FOREIGN/import.css); body { background: url(FOREIGN/css.png) }
h1 { color: darkgreen }</style></head>
<body onload="parent.document.title = 'owned'"><h1>A report</h1>
<script>parent.document.title = 'owned'; fetch('FOREIGN/fetch')</script>
<img src="FOREIGN/img.png" onerror="parent.document.title = 'owned'">
<iframe src="FOREIGN/frame"></iframe><object data="FOREIGN/object"></object>
<video poster="FOREIGN/poster" src="FOREIGN/video"></video>
<form action="FOREIGN/form"><button>send</button></form>
<p><a href="FOREIGN/click" target="_top">a way out</a></p></body></html>"""


class Foreign:
    """A host that should never be asked for anything."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append(self.path)
                self.send_response(200)
                self.end_headers()

            def do_POST(self) -> None:
                self.do_GET()

            def log_message(self, *_: object) -> None:
                """Nothing: `asked` is the log."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture(scope="module")
def foreign() -> Iterator[Foreign]:
    host = Foreign()
    yield host
    host.close()


@pytest.fixture(scope="module")
def run(server: JupyterServer, foreign: Foreign) -> dict[str, Any]:
    """A run that left a file of every kind."""
    files = {
        "plan.md": "# Lisbon\n\n<img src=x onerror=alert(1)> **tram 28**\n",
        "plan.json": json.dumps({"city": "Lisbon", "stops": [{"at": "Alfama", "hours": 2}] * 3}),
        "costs.csv": 'what,cost,"a note"\ntram,3,=HYPERLINK("FOREIGN/csv")\nfado,<b>20</b>,\n',
        "empty.txt": "",
        "charts/drawing.svg": DRAWING,
        "report.html": PAGE,
        "key.txt": "key: hunter2-hunter2\n",
    }
    text = json.dumps(files).replace("FOREIGN", foreign.url)
    server.write("files.json", text)
    server.write("keeping.py", PROGRAM)
    with server.http() as http:
        key = {"MY_API_KEY": "hunter2-hunter2"}
        created = server.create(http, "keeping.py", env_vars=key)
        final = server.wait_for(http, created["id"])
    assert final["status"] == "succeeded", final["error_message"]
    return final


def open_artifacts(lab: LabPage, run: dict[str, Any]) -> RunTab:
    tab = lab.open_run(run["id"])
    tab.tab("Artifacts").click()
    expect(tab.root.get_by_role("tree", name="Files")).to_be_visible()
    return tab


def choose(tab: RunTab, path: str) -> Locator:
    """The preview of a file."""
    tab.root.locator(f"[role=treeitem][title='{path}']").click()
    preview = tab.root.get_by_role("region", name=path).first
    expect(preview.get_by_role("heading", name=path)).to_be_visible()
    expect(preview.get_by_text("Loading…")).to_have_count(0)
    return preview


def test_every_kind_of_file_is_shown_as_what_it_is(lab: LabPage, run: dict[str, Any]) -> None:
    tab = open_artifacts(lab, run)
    outputs = tab.root.get_by_role("region", name="Outputs")
    expect(outputs).to_contain_text("schema version 3")
    expect(outputs).to_contain_text("tram 28")
    expect(choose(tab, "plan.md").locator("pre")).to_contain_text("<img src=x onerror=alert(1)>")
    tree = choose(tab, "plan.json").locator("details").first
    expect(tree).to_contain_text("Lisbon")
    tree.get_by_text("0:").click()
    expect(tree).to_contain_text("Alfama")
    cells = choose(tab, "costs.csv").get_by_role("table")
    expect(cells.get_by_role("columnheader")).to_have_text(["what", "cost", "a note"])
    expect(cells).to_contain_text("=HYPERLINK(")
    expect(cells).to_contain_text("<b>20</b>")
    expect(choose(tab, "empty.txt")).to_contain_text("The file is empty.")
    expect(choose(tab, "weights.bin")).to_contain_text("no text and no picture")
    expect(choose(tab, "long.log")).to_contain_text("Showing the first 262")
    expect(choose(tab, "charts/broken.png")).to_contain_text("not the picture")
    picture = choose(tab, "charts/dot.png").get_by_role("img")
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") == 1
    expect(choose(tab, "key.txt").locator("pre")).to_have_text("key: ••••\n")
    expect(tab.root).to_contain_text("a symbolic link")
    with lab.page.expect_download() as begun:
        tab.root.get_by_role("link", name="Download", exact=True).click()
    assert begun.value.path().read_text() == "key: hunter2-hunter2\n"


def test_hostile_files_run_nothing_and_ask_for_nothing(
    lab: LabPage, watch: PageWatch, run: dict[str, Any], foreign: Foreign
) -> None:
    watch.expect("Content Security Policy", "[Ss]andbox")
    lab.page.on("dialog", lambda dialog: pytest.fail(f"a dialog: {dialog.message}"))
    tab = open_artifacts(lab, run)
    page = choose(tab, "report.html").locator("iframe")
    inside = page.content_frame
    expect(inside.get_by_role("heading", name="A report")).to_be_visible()
    assert inside.locator("h1").evaluate("h => getComputedStyle(h).color") == "rgb(0, 100, 0)"
    inside.get_by_text("a way out").click()
    inside.get_by_role("button", name="send").click()
    expect(inside.get_by_role("heading", name="A report")).to_be_visible()
    drawing = choose(tab, "charts/drawing.svg").get_by_role("img")
    assert drawing.evaluate("image => image.decode().then(() => image.naturalWidth)") == 220
    cells = choose(tab, "costs.csv")
    expect(cells.get_by_role("table")).to_be_visible()
    assert cells.get_by_role("table").locator("a, b, img").count() == 0
    lab.page.wait_for_load_state("networkidle")
    assert "owned" not in lab.page.title()
    assert foreign.asked == []
    tried = {request.failure for request in watch.requests if foreign.url in request.url}
    assert tried <= {"csp"}  # the policy stopped it, which the browser tells as a request


def test_files_are_chosen_by_keyboard(lab: LabPage, run: dict[str, Any]) -> None:
    tab = open_artifacts(lab, run)
    press = lab.page.keyboard.press
    tab.tab("Artifacts").focus()
    first = tab.root.get_by_role("treeitem").first
    for _ in range(20):
        if first.evaluate("element => element === document.activeElement"):
            break
        press("Tab")
    expect(first).to_be_focused()
    press("ArrowLeft")
    expect(first).to_have_attribute("aria-expanded", "false")
    press("ArrowDown")
    expect(tab.root.locator("[role=treeitem][title='costs.csv']")).to_be_focused()
    press("Enter")
    expect(tab.root.get_by_role("table")).to_contain_text("tram")


def test_what_has_expired_meanwhile_is_told(
    lab: LabPage, watch: PageWatch, server: JupyterServer, http: httpx.Client
) -> None:
    watch.expect("404", "410")
    server.write("two.py", "open(__import__('os').environ['MELLEA_OUTPUT_DIR'] + '/a.txt', 'w')\n")
    run = server.wait_for(http, server.create(http, "two.py")["id"])
    lab.page.route("**/preview*", lambda route: route.fulfill(
        status=410, json={"code": "expired", "message": "It expired", "hint": "", "details": {},
                          "request_id": ""}))  # fmt: skip
    tab = open_artifacts(lab, run)
    expect(tab.root.get_by_role("alert")).to_contain_text("It expired")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_previews_are_pictured(
    lab: LabPage,
    watch: PageWatch,
    run: dict[str, Any],
    choose_theme: Callable[[str], None],
    theme: str,
) -> None:
    watch.expect("Content Security Policy", "[Ss]andbox")
    choose_theme(f"JupyterLab {theme.title()}")
    lab.page.set_viewport_size({"width": 1280, "height": 860})
    tab = open_artifacts(lab, run)
    for path in ("plan.json", "costs.csv", "report.html", "charts/drawing.svg", "plan.md"):
        preview = choose(tab, path)
        preview.scroll_into_view_if_needed()
        name = path.replace("/", "-").replace(".", "-")
        picture = KEPT / "pictures" / f"artifact-{name}-{theme}.png"
        lab.page.screenshot(path=picture, animations="disabled")
        assert picture.stat().st_size > 10_000
