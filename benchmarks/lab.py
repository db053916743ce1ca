"""JupyterLab in a browser: its start with the extension, a very long log, and following a fast one.

Needs Chromium and the built front end (`make lab` builds it). Start is the time until JupyterLab
says that it is restored, in pages loaded in turn from two servers, one without the extension. A log
is there when its last line is drawn and it can be scrolled.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any
from uuid import uuid4

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from benchmarks.measure import interleave, load, milliseconds, row
from mellea_jupyter.testing.lab import CHROMIUM_ARGUMENTS, configure_lab, find_chromium
from mellea_jupyter.testing.server import JupyterServer

ROUNDS = 7
BUILT = Path(__file__).parents[1] / "mellea_jupyter" / "labextension"
LINES = 1_000_000
OPEN_SECONDS = 1.5
RATE = 2000
FOLLOWED_SECONDS = 10
GROWTH_MB = 60
MEGABYTE = 1_000_000

WRITER = """\
import sys
count = int(sys.argv[1])
for first in range(1, count + 1, 1000):
    sys.stdout.write("".join(f"line {n} of a long log\\n" for n in
                             range(first, min(first + 1000, count + 1))))
"""

TICKER = """\
import time
began = time.monotonic()
for tick in range(1, 100_000):
    print("\\n".join(f"tick {tick}, line {n} of a fast log" for n in range(100)), flush=True)
    time.sleep(max(0.0, began + tick * 0.05 - time.monotonic()))
"""

RESTORED = "async () => { await jupyterapp.restored; return performance.now(); }"

READY = "jupyterapp.commands.hasCommand('mellea:run-open')"

OPENED = """async ([runId, last]) => {
    const began = performance.now();
    await jupyterapp.commands.execute('mellea:run-open', { runId });
    while (performance.now() - began < 60_000) {
        const log = [...document.querySelectorAll('[role="log"]')].find(each => each.offsetParent);
        if (log?.textContent.includes(last) && log.scrollHeight > log.clientHeight) {
            return performance.now() - began;
        }
        await new Promise(requestAnimationFrame);
    }
    throw new Error('the log did not appear');
}"""

COUNTED = """count => Number(
    (document.querySelector('.jp-MelleaLog-count')?.textContent ?? '').replace(/\\D/g, '')
) >= count"""


@contextmanager
def lab_server(
    folder: Path, *, extension: bool, prepare: Callable[[JupyterServer], None] | None = None
) -> Iterator[JupyterServer]:
    """A JupyterLab server that has no lab extension but ours, or none."""
    extensions = folder / "labextensions"
    extensions.mkdir(parents=True)
    if extension:
        (extensions / "mellea-jupyter").symlink_to(BUILT)
    paths = f"--LabApp.labextensions_path={extensions}"
    server = JupyterServer(folder, app="lab", options=[paths], extension=extension)
    configure_lab(folder / "config")
    if prepare is not None:
        prepare(server)
    with server:
        yield server


def start(context: BrowserContext, server: JupyterServer) -> tuple[float]:
    """Load the page once; seconds until JupyterLab is restored."""
    page = context.new_page()
    try:
        open_lab(page, server)
        return (page.evaluate(RESTORED) / 1000,)
    finally:
        page.close()


def open_lab(page: Page, server: JupyterServer) -> None:
    """Load JupyterLab once: a workspace that another page has used makes it load again."""
    page.goto(f"{server.url}lab/workspaces/bench-{uuid4().hex}")
    page.wait_for_function("window.jupyterapp")


def wait_ready(page: Page) -> None:
    """Until our commands are there and the layout is restored, which closes what came before."""
    page.wait_for_function(READY)
    page.evaluate(RESTORED)


def log_in(browser: Browser, server: JupyterServer) -> BrowserContext:
    """A browser profile that the server knows."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(120_000)
    context.request.get(f"{server.url}lab?token={server.token}")
    return context


def open_log(context: BrowserContext, server: JupyterServer, run: dict[str, Any]) -> tuple[float]:
    """Open the tab of a run; seconds until the end of its log is there."""
    page = context.new_page()
    try:
        open_lab(page, server)
        wait_ready(page)
        last = f"line {run['config']['args'][0]} of a long log"
        return (page.evaluate(OPENED, [run["id"], last]) / 1000,)
    finally:
        page.close()


def starts(browser: Browser, folder: Path) -> None:
    """Print how much later JupyterLab is there with the extension."""
    with ExitStack() as stack:
        cases: dict[str, Callable[[], tuple[float]]] = {}
        for name, extension in (("without", False), ("with", True)):
            server = stack.enter_context(lab_server(folder / name, extension=extension))
            cases[name] = partial(start, log_in(browser, server), server)
        medians = interleave(cases, rounds=ROUNDS)
    (without,), (with_it,) = medians["without"], medians["with"]
    row(
        "JupyterLab's start with the extension / without",
        with_it / without,
        at_most=1.1,
        detail=f"{milliseconds(with_it)} / {milliseconds(without)}, {load()}",
    )


def long_log(context: BrowserContext, server: JupyterServer) -> None:
    """Print how soon a log of a million lines is there."""
    server.write("writer.py", WRITER)
    runs = {}
    with server.http() as http:
        for lines in (1000, LINES):
            run = server.create(http, "writer.py", args=[str(lines)])
            runs[lines] = server.wait_for(http, run["id"], ["succeeded"], seconds=120)
    medians = interleave(
        {str(lines): partial(open_log, context, server, run) for lines, run in runs.items()},
        rounds=5,
    )
    (short,), (long,) = medians["1000"], medians[str(LINES)]
    detail = f"{milliseconds(long)}, {load()}"
    row(
        f"opening {LINES:,} lines / {OPEN_SECONDS} s", long / OPEN_SECONDS, at_most=1, detail=detail
    )
    row(f"opening {LINES:,} lines / 1,000 lines", long / short, detail=milliseconds(short))


def following(context: BrowserContext, server: JupyterServer) -> None:
    """Print by how much the page's heap grows while it follows a fast log."""
    server.write("ticker.py", TICKER)
    grown = [_growth(context, server) for _ in range(3)]
    row(
        f"heap growth in {FOLLOWED_SECONDS} s at {RATE:,} lines/s / {GROWTH_MB} MB",
        median(grown) / GROWTH_MB,
        at_most=1,
        detail=f"{', '.join(f'{each:.1f}' for each in grown)} MB, {load()}",
    )


def _growth(context: BrowserContext, server: JupyterServer) -> float:
    with server.http() as http:
        run = server.create(http, "ticker.py")
        page = context.new_page()
        try:
            open_lab(page, server)
            wait_ready(page)
            page.evaluate("id => jupyterapp.commands.execute('mellea:run-open', {runId: id})",
                          run["id"])  # fmt: skip
            page.wait_for_function(COUNTED, arg=RATE)
            text = page.locator(".jp-MelleaLog-count").inner_text()
            seen = int("".join(filter(str.isdigit, text)))
            before = _heap(page)
            page.wait_for_function(COUNTED, arg=seen + RATE * FOLLOWED_SECONDS)
            return (_heap(page) - before) / MEGABYTE
        finally:
            page.close()
            http.delete(f"api/runs/{run['id']}")
            server.wait_for(http, run["id"])


def _heap(page: Page) -> float:
    """Bytes of the page's live objects."""
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    session.send("Performance.enable")
    metrics = session.send("Performance.getMetrics")["metrics"]
    session.detach()
    return next(float(m["value"]) for m in metrics if m["name"] == "JSHeapUsedSize")


def main() -> None:
    """Measure and print."""
    if not (BUILT / "package.json").is_file():
        raise SystemExit("The front end is not built: run `make lab` once")
    with tempfile.TemporaryDirectory(prefix="mj-") as folder, sync_playwright() as playwright:
        chromium = find_chromium(playwright)
        if chromium is None:
            raise SystemExit("No Chromium: install it, or name one in the variable CHROMIUM")
        browser = playwright.chromium.launch(
            executable_path=chromium, args=list(CHROMIUM_ARGUMENTS)
        )
        starts(browser, Path(folder))
        with lab_server(Path(folder, "logs"), extension=True) as server:
            context = log_in(browser, server)
            long_log(context, server)
            following(context, server)
        browser.close()


if __name__ == "__main__":
    main()
