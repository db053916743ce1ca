"""The Calls tab of a run with 10,000 calls: how soon it is there, and how smoothly it scrolls.

Needs Chromium and the built front end (`make lab` builds it). The run is written into the store;
the tab reads it over REST, page by page. It is there when loops and timeline are drawn.
"""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, sync_playwright

from benchmarks.lab import BUILT, lab_server, log_in, open_lab, wait_ready
from benchmarks.measure import interleave, load, milliseconds, row
from mellea_jupyter.models.calls import LoopAttempt, LoopRequirement, SamplingLoop, Verdict
from mellea_jupyter.models.pages import RunQuery
from mellea_jupyter.stores.runs.base import CallRow, LoopRow, Reports
from mellea_jupyter.stores.runs.sql import SqlRunStore
from mellea_jupyter.testing.lab import CHROMIUM_ARGUMENTS, find_chromium
from mellea_jupyter.testing.seeding import FIRST, seed_runs
from mellea_jupyter.testing.server import JupyterServer

SIZES = (1000, 10_000)
OPEN_SECONDS = 1.5
FRAME_SECONDS = 1 / 60
CALLS_A_LOOP = 4

OPENED = """async () => {
    const find = pattern => [...document.querySelectorAll('[role="tab"]')]
        .find(each => pattern.test(each.textContent) && each.offsetParent);
    const tab = find(/^Calls/);
    const began = performance.now();
    tab.click();
    while (performance.now() - began < 60_000) {
        if (document.querySelector('.jp-MelleaLadder, .jp-MelleaLoop-head')?.offsetParent
            && document.querySelector('[data-call]')?.offsetParent) {
            return performance.now() - began;
        }
        await new Promise(requestAnimationFrame);
    }
    throw new Error('the calls did not appear');
}"""

COMPLETE = """count => document.querySelector('.jp-MelleaWaterfall-bar')
    ?.textContent.replace(/\\D/g, '').startsWith(String(count))"""

SCROLLED = """async () => {
    const scroller = document.querySelector('.jp-MelleaWaterfall-scroller');
    const times = [];
    let before = await new Promise(requestAnimationFrame);
    for (let step = 0; step < 120; step++) {
        scroller.scrollTop += 97;
        const now = await new Promise(requestAnimationFrame);
        times.push(now - before);
        before = now;
    }
    times.sort((a, b) => a - b);
    return times[Math.floor(times.length * 0.95)];
}"""


def seed(server: JupyterServer) -> dict[int, str]:
    """Runs with many calls, written into the server's store; their ids by the number of calls."""
    server.data_dir.mkdir(parents=True, mode=0o700)
    store = SqlRunStore.open(server.data_dir / "runs.sqlite")
    try:
        seed_runs(store, len(SIZES))
        found = {}
        listed = store.list_runs(RunQuery(), visible_to=None).runs
        for size, run in zip(SIZES, listed, strict=True):
            store.save_reports(run.id, reports(size))
            found[size] = run.id
        return found
    finally:
        store.close()


def reports(size: int) -> Reports:
    """So many calls in loops of two attempts, each judged."""
    calls, loops = [], []
    for first in range(1, size, CALLS_A_LOOP):
        number = first // CALLS_A_LOOP + 1
        began = FIRST.timestamp() + first * 0.5
        calls += [
            _call(first + place, number, began, place // 2 + 1, place % 2)
            for place in range(CALLS_A_LOOP)
        ]
        attempts = tuple(
            LoopAttempt(
                chain=1, attempt=each, form="answer" if each == 1 else "repair",
                calls=(first + 2 * each - 2,), is_chosen=each == 2,
                verdicts=(Verdict(requirement=0, text="It is polite.", passed=each == 2,
                                  reason="It is rude.", calls=(first + 2 * each - 1,)),),
            )
            for each in (1, 2)
        )  # fmt: skip
        loop = SamplingLoop(
            loop=number, strategy="RepairTemplateStrategy", instruction=f"Write letter {number}",
            budget=3, requirements=(LoopRequirement(index=0, text="It is polite.", kind="judge"),),
            attempts=attempts, status="met", started_at=began, ended_at=began + 2, samples=2,
        )  # fmt: skip
        loops.append(LoopRow(loop=number, seq=first, doc=loop.model_dump_json()))
    return Reports(calls=tuple(calls), loops=tuple(loops))


def _call(call: int, loop: int, began: float, attempt: int, is_judge: int) -> CallRow:
    return CallRow(
        call=call, seq=call, started_at=began + 0.5 * (call % CALLS_A_LOOP),
        purpose="judge" if is_judge else "answer" if attempt == 1 else "repair",
        provider="openai", model="gpt-4o", status="finished", input_tokens=200, output_tokens=50,
        latency_ms=400, cost_pico_usd=10**9, loop=loop, attempt=attempt, chain=1, requests=1,
        requirement=0 if is_judge else None, has_content=True,
    )  # fmt: skip


def open_calls(
    context: BrowserContext, server: JupyterServer, run_id: str, size: int
) -> tuple[float, float]:
    """Open the tab of a run; seconds until it is there, and of a slow frame while scrolling."""
    page = context.new_page()
    try:
        open_lab(page, server)
        wait_ready(page)
        page.evaluate("id => jupyterapp.commands.execute('mellea:run-open', {runId: id})", run_id)
        page.get_by_role("tab", name="Calls").wait_for()
        opened: float = page.evaluate(OPENED)
        page.wait_for_function(COMPLETE, arg=size)
        frame: float = page.evaluate(SCROLLED)
        return opened / 1000, frame / 1000
    finally:
        page.close()


def measure(browser: Browser, folder: Path) -> None:
    """Print how soon the tab is there, and how long its frames take."""
    ids: dict[int, str] = {}

    def prepare(server: JupyterServer) -> None:
        ids.update(seed(server))

    with lab_server(folder, extension=True, prepare=prepare) as server:
        context = log_in(browser, server)
        cases: dict[str, Any] = {
            str(size): partial(open_calls, context, server, run_id, size)
            for size, run_id in ids.items()
        }
        medians = interleave(cases, rounds=5)
    for size in SIZES:
        opened, frame = medians[str(size)]
        row(
            f"opening the Calls tab of {size:,} calls / {OPEN_SECONDS} s",
            opened / OPEN_SECONDS, at_most=1, detail=f"{milliseconds(opened)}, {load()}",
        )  # fmt: skip
        row(
            f"95th percentile of frames, scrolling {size:,} calls / 16.7 ms",
            frame / FRAME_SECONDS, detail=milliseconds(frame),
        )  # fmt: skip


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
        measure(browser, Path(folder, "calls"))
        browser.close()


if __name__ == "__main__":
    main()
