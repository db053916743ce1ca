"""The Calls tab: ladders of real sampling loops, calls with their content, the timeline, live."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from playwright.sync_api import Locator, expect

from mellea_jupyter.demo.wire import LlmRequest, Reply
from mellea_jupyter.testing.scripted_llm import ScriptedLlm
from mellea_jupyter.testing.server import JupyterServer

from .browser import PageWatch
from .conftest import KEPT, CreateRun, Frontend
from .pages import LabPage
from .test_accessibility import expect_none, violations

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

REPLY_SECONDS = 60.0

EMAIL = """\
import sys
from mellea import start_session
from mellea.stdlib.requirements import ValidationResult, req, simple_validate
from mellea.stdlib.sampling import RepairTemplateStrategy

def short(context):
    words = len(context.last_output().value.split())
    return ValidationResult(words <= 8, reason=f"It has {words} words.", score=words)

def dated(text):
    return "Friday" in text, "No date is mentioned."

print("writing", flush=True)
start_session("openai", "gpt-4o").instruct(
    "Write an email that invites the team to lunch.",
    requirements=[
        req("It has at most 8 words.", validation_fn=short),
        req("It mentions the date.", validation_fn=simple_validate(dated)),
        "It is polite.",
    ],
    strategy=RepairTemplateStrategy(loop_budget=int(sys.argv[1])),
)
print("written")
"""

FIRST = "Dear all, please come to lunch with me in the canteen, it will be very nice."
SECOND = "Dear all, please come to lunch with me."
THIRD = "Dear all, please come to lunch on Friday."
MET = [FIRST, "yes", SECOND, "yes", THIRD, "yes"]

ALONE = """\
import asyncio, sys
from mellea import start_session

async def main():
    session = start_session("openai", sys.argv[1])
    count, together = int(sys.argv[2]), int(sys.argv[3])
    for first in range(0, count, together):
        numbers = range(first, min(first + together, count))
        await asyncio.gather(*(ask(session, number) for number in numbers))

async def ask(session, number):
    thunk = await session.ainstruct(f"Question {number}", strategy=None)
    await thunk.avalue()

asyncio.run(main())
"""

NESTED = """\
from mellea import start_session
from mellea.stdlib.requirements import req, simple_validate
from mellea.stdlib.sampling import MajorityVotingStrategyForMath, RejectionSamplingStrategy

session = start_session("openai", "gpt-4o")
session.instruct("2+2", strategy=MajorityVotingStrategyForMath(number_of_samples=3))
session.instruct(
    "say OK",
    requirements=[req("It says OK.", validation_fn=simple_validate(lambda text: "OK" in text))],
    strategy=RejectionSamplingStrategy(loop_budget=2, concurrency_budget=3),
)
"""


BUSY = """\
import time
kept = []
while True:
    kept.append(bytearray(1_000_000))
    sum(range(300_000))
    time.sleep(0.05)
"""


class HeldLlm(ScriptedLlm):
    """Replies one by one, as the test lets it."""

    def __init__(self, script: list[Any]) -> None:
        super().__init__(script)
        self._permits = threading.Semaphore(0)

    def reply_to(self, request: LlmRequest) -> Reply:
        self._permits.acquire(timeout=REPLY_SECONDS)
        return super().reply_to(request)

    def let(self, replies: int) -> None:
        self._permits.release(replies)


@pytest.fixture
def theme(request: pytest.FixtureRequest, choose_theme: Callable[[str], None]) -> str:
    """The theme that a test is for, chosen."""
    name: str = request.param
    choose_theme(name)
    return name


@pytest.fixture
def axe_rules(frontend: Frontend) -> str:
    return frontend.axe.read_text("utf-8")


def test_a_ladder_tells_how_a_loop_came_to_its_result(lab: LabPage, finish: CreateRun) -> None:
    run = finish(MET, EMAIL, "5")
    calls = lab.open_run(run["id"]).open_calls()
    head = calls.head(1)
    expect(head).to_contain_text("instruct “Write an email that invites the team to lunch.”")
    expect(head).to_contain_text("RepairTemplate · 3 attempts · met on 3rd · $")
    expect(head).to_contain_text("(repair ")
    ladder = calls.ladder(1)
    assert ladder.texts() == [
        ["1 answer", "16", "No date is mentioned.", "met", "→ repair"],
        ["2 repair", "8", "No date is mentioned.", "met", "→ repair diff"],
        ["3 repair", "8", "met", "met", "chosen diff"],
    ]

    ladder.cell(1, 1).get_by_role("button").click()
    expect(calls.details).to_contain_text("It has at most 8 words.")
    expect(calls.details).to_contain_text("not met")
    expect(calls.details).to_contain_text("It has 16 words.")
    expect(calls.details).to_contain_text("the program")

    ladder.cell(2, 3).get_by_role("button").click()
    expect(calls.details).to_contain_text("a model")
    judge = calls.details.get_by_role("button", name="call 4")
    expect(calls.details.get_by_label("Reply")).to_have_text("yes")
    judge.click()
    expect(calls.details.get_by_role("heading", name="Call 4")).to_be_visible()
    expect(calls.details).to_contain_text("checks “It is polite.”")

    ladder.rows.nth(2).get_by_role("button", name="Differences from attempt 2 to 3").click()
    expect(calls.details.locator("ins")).to_have_text("on Friday")
    expect(calls.details.locator("del")).to_have_text("with me")
    calls.details.get_by_label("From").select_option(label="1 answer")
    expect(calls.details.locator("del").first).to_contain_text("in the canteen")

    ladder.rows.nth(0).get_by_role("button", name="1 answer").click()
    expect(calls.details.get_by_label("Reply")).to_have_text(FIRST)
    expect(calls.details.get_by_label("Prompt")).to_contain_text("invites the team to lunch")
    expect(calls.details).to_contain_text("genai-prices")


def test_a_loop_that_ran_out_of_its_budget_says_so(lab: LabPage, finish: CreateRun) -> None:
    run = finish([FIRST, "no"], EMAIL, "3")
    tab = lab.open_run(run["id"])
    tab.expect_status("requirements not met")
    calls = tab.open_calls()
    expect(calls.head(1)).to_contain_text("requirements not met after 3")
    expect(calls.head(1)).to_contain_text("best 1 of 3")
    calls.head(1).click()
    expect(calls.ladder(1).grid).to_have_count(0)
    calls.head(1).click()
    expect(calls.ladder(1).rows).to_have_count(3)


def test_a_ladder_grows_while_the_loop_runs(lab: LabPage, create: CreateRun) -> None:
    with HeldLlm(list(MET)) as endpoint:
        run = create(endpoint, EMAIL, "5")
        tab = lab.open_run(run["id"])
        calls = tab.open_calls()
        expect(calls.head(1)).to_contain_text("attempt 1 of 5")
        expect(calls.bar(1)).to_contain_text("running")
        endpoint.let(1)
        ladder = calls.ladder(1)
        expect(ladder.cell(1, 3)).to_have_text("checking…")
        endpoint.let(1)
        expect(ladder.rows.nth(0)).to_contain_text("→ repair")
        expect(calls.head(1)).to_contain_text("attempt 2 of 5")
        expect(tab.tab("Calls")).to_have_text("Calls (3)")
        endpoint.let(10)
        expect(calls.head(1)).to_contain_text("met on 3rd")
        expect(ladder.rows.nth(2)).to_contain_text("chosen")
        expect(calls.bars).to_have_count(6)
        tab.expect_status("succeeded")


def test_calls_and_the_log_lead_to_each_other(lab: LabPage, finish: CreateRun) -> None:
    run = finish(MET, EMAIL, "5")
    tab = lab.open_run(run["id"])
    tab.log.lines.get_by_role("button", name="Show call 3 in Calls").click()
    calls = tab.open_calls()
    expect(calls.details.get_by_role("heading", name="Call 3")).to_be_visible()
    link = calls.details.get_by_role("button", name=re.compile(r"^line \d+$"))
    line = int(link.inner_text().removeprefix("line "))
    link.click()
    expect(tab.tab("Logs")).to_have_attribute("aria-selected", "true")
    expect(tab.log.line(line)).to_have_attribute("data-highlighted", "true")
    expect(tab.log.line(line)).to_contain_text("LLM call 3")
    tab.tab("Calls").click()  # as it was left
    expect(calls.details.get_by_role("heading", name="Call 3")).to_be_visible()
    tab.tab("Logs").click()
    tab.log.lines.get_by_role("button", name="Show loop 1 in Calls").click()
    expect(calls.head(1)).to_be_visible()


def test_loops_in_loops_and_chains_stand_apart(lab: LabPage, finish: CreateRun) -> None:
    run = finish(["\\boxed{4}"] * 3 + ["no", "no", "OK"], NESTED)
    calls = lab.open_run(run["id"]).open_calls()
    expect(calls.head(1)).to_contain_text("MajorityVoting")
    inner = calls.loop(2).bounding_box()
    outer = calls.loop(1).bounding_box()
    assert inner is not None
    assert outer is not None
    assert calls.head(2).evaluate("head => head.getBoundingClientRect().x") > calls.head(
        1
    ).evaluate("head => head.getBoundingClientRect().x")
    chains = calls.list.get_by_role("grid").last
    chains.scroll_into_view_if_needed()
    expect(chains.get_by_text("Chain 3")).to_be_visible()


def test_calls_outside_of_loops_are_rows_with_their_figures(
    lab: LabPage, finish: CreateRun
) -> None:
    script = [{"text": "one"}, {"text": "two", "usage": False}, {"text": "no", "status": 500}]
    run = finish(script, ALONE, "gpt-4o", "3", "1")
    assert run["status"] == "failed"
    calls = lab.open_run(run["id"]).open_calls()
    expect(calls.call(1)).to_contain_text("openai/gpt-4o")
    expect(calls.call(1)).to_contain_text(re.compile(r"\d+ → 1\Wtok"))
    expect(calls.call(2)).to_contain_text("tokens missing")
    expect(calls.call(3)).to_contain_text("failed")
    calls.call(3).click()
    expect(calls.details).to_contain_text("InternalServerError")
    unpriced = finish(["ok"], ALONE, "granite4:micro", "1", "1")
    lab.page.evaluate(
        "id => jupyterapp.commands.execute('mellea:run-open', {runId: id})", unpriced["id"]
    )
    expect(lab.run_tab.open_calls().call(1)).to_contain_text("unpriced")


def test_what_is_not_kept_is_explained(
    lab: LabPage, finish: CreateRun, server: JupyterServer
) -> None:
    run = finish(MET, EMAIL, "5", capture_content=False)
    calls = lab.open_run(run["id"]).open_calls()
    expect(calls.head(1)).to_contain_text("instruct · loop 1")
    calls.ladder(1).rows.nth(0).get_by_role("button", name="1 answer").click()
    expect(calls.details).to_contain_text("capture_content was off")
    calls.ladder(1).cell(1, 1).get_by_role("button").click()
    expect(calls.details).to_contain_text("Reasons are kept only where a run keeps its content.")


def test_content_that_can_not_be_read_is_asked_for_again(
    lab: LabPage, watch: PageWatch, finish: CreateRun
) -> None:
    run = finish(MET, EMAIL, "5")
    tab = lab.open_run(run["id"])
    lab.page.route("**/calls/1/content*", lambda route: route.abort())
    watch.expect(r"net::ERR_FAILED")
    calls = tab.open_calls()
    calls.bar(1).click()
    expect(calls.details.get_by_role("alert")).to_contain_text("does not answer")
    lab.page.unroute("**/calls/1/content*")
    calls.details.get_by_role("button", name="Try again").click()
    expect(calls.details.get_by_label("Reply")).to_have_text(FIRST)


def test_a_program_without_calls_says_so(
    lab: LabPage, server: JupyterServer, http: httpx.Client
) -> None:
    server.write("quiet.py", "print('nothing asked')\n")
    run = server.wait_for(http, server.create(http, "quiet.py")["id"])
    tab = lab.open_run(run["id"])
    tab.tab("Calls").click()
    expect(tab.root).to_contain_text("The program made no LLM calls through mellea.")


def test_the_metrics_say_where_the_money_went(lab: LabPage, finish: CreateRun) -> None:
    run = finish(MET, EMAIL, "5")
    tab = lab.open_run(run["id"])
    tab.tab("Metrics").click()
    split = tab.root.get_by_role("region", name="Where the money went")
    for part in ("useful", "repair", "judge"):
        expect(split.get_by_role("listitem").filter(has_text=part)).to_contain_text("$")
    expect(tab.root.get_by_role("row", name=re.compile("^Accepted outputs"))).to_contain_text("1")
    expect(tab.root.get_by_role("row", name="Cost per accepted output")).to_contain_text("$0.0")


def test_charts_grow_while_a_run_uses_memory_and_time(
    lab: LabPage, server: JupyterServer, http: httpx.Client
) -> None:
    server.write("busy.py", BUSY)
    run = server.create(http, "busy.py")
    tab = lab.open_run(run["id"])
    tab.tab("Metrics").click()
    memory = tab.root.get_by_role("img", name=re.compile("^Memory over"))
    expect(memory).to_be_visible()
    before = memory.get_attribute("aria-label")
    expect(memory).not_to_have_attribute("aria-label", before or "")
    memory.hover()
    expect(tab.root.get_by_text(re.compile(r"MB after"))).to_be_visible()
    expect(tab.root.get_by_role("img", name=re.compile("^CPU over"))).to_be_visible()
    lab.page.screenshot(path=KEPT / "pictures" / "charts.png", animations="disabled")
    http.delete(f"api/runs/{run['id']}").raise_for_status()
    server.wait_for(http, run["id"])


def test_the_calls_tab_works_by_keyboard_alone(lab: LabPage, finish: CreateRun) -> None:
    run = finish(MET, EMAIL, "5")
    calls = lab.open_run(run["id"]).open_calls()
    press = lab.page.keyboard.press
    expect(calls.head(1)).to_be_visible()

    def tab_to(target: Locator) -> None:
        for _ in range(12):
            if target.evaluate("element => element === document.activeElement"):
                break
            press("Tab")
        expect(target).to_be_focused()

    tab_to(calls.head(1))
    press("Enter")
    expect(calls.ladder(1).grid).to_have_count(0)
    press("Enter")
    ladder = calls.ladder(1)
    tab_to(ladder.rows.nth(0).get_by_role("button", name="1 answer"))
    press("ArrowRight")
    press("ArrowDown")
    expect(ladder.cell(2, 1).get_by_role("button")).to_be_focused()
    press("Enter")
    expect(calls.details).to_be_focused()
    expect(calls.details).to_contain_text("It has 8 words.")
    press("Escape")
    expect(calls.details).to_have_count(0)
    expect(ladder.cell(2, 1).get_by_role("button")).to_be_focused()
    tab_to(calls.bar(1))
    press("ArrowDown")
    expect(calls.bar(2)).to_be_focused()
    before = calls.bar(2).locator(".jp-MelleaWaterfall-call").bounding_box()
    press("+")
    press("+")
    expect(calls.timeline.get_by_role("button", name="Fit")).to_be_enabled()
    after = calls.bar(2).locator(".jp-MelleaWaterfall-call").bounding_box()
    assert before is not None
    assert after is not None
    assert after["width"] > before["width"]
    press("0")
    expect(calls.timeline.get_by_role("button", name="Fit")).to_be_disabled()
    press("End")
    expect(calls.bar(6)).to_be_focused()
    press("Enter")
    expect(calls.details.get_by_role("heading", name="Call 6")).to_be_visible()


def test_many_calls_are_drawn_only_where_they_are_seen(lab: LabPage, finish: CreateRun) -> None:
    run = finish(["ok"], ALONE, "gpt-4o", "300", "20")
    calls = lab.open_run(run["id"]).open_calls()
    expect(calls.timeline).to_contain_text("300 calls in")
    assert calls.list.locator("[data-key]").count() < 80
    assert calls.bars.count() < 40
    calls.bar(1).press("End")
    expect(calls.bar(300)).to_be_focused()
    calls.list.evaluate("list => { list.scrollTop = list.scrollHeight }")
    expect(calls.call(300)).to_be_visible()
    assert calls.list.locator("[data-key]").count() < 80


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"], indirect=True)
@pytest.mark.parametrize("width", [1280, 400])
def test_axe_finds_nothing_serious_in_the_calls_tab(
    lab: LabPage, finish: CreateRun, axe_rules: str, theme: str, width: int
) -> None:
    run = finish([FIRST, "no", FIRST, "yes", SECOND, "no"], EMAIL, "3")
    tab = lab.open_run(run["id"])
    lab.page.set_viewport_size({"width": width, "height": 800})
    if width < 800:  # as one would on a small screen
        lab.page.evaluate("jupyterapp.commands.execute('application:toggle-left-area')")
    expect(lab.page.locator("body")).to_have_attribute("data-jp-theme-name", theme)
    found = {}

    def look(part: str) -> None:
        name = f"calls-{part}-{theme.split()[1].lower()}-{width}.png"
        lab.page.screenshot(path=KEPT / "pictures" / name, animations="disabled")
        found[part] = violations(tab.root, axe_rules)

    calls = tab.open_calls()
    expect(calls.head(1)).to_contain_text("requirements not met after 3")
    look("ladder")
    calls.ladder(1).cell(1, 1).get_by_role("button").click()
    look("verdict")
    calls.details.get_by_role("button", name="Close").click()
    calls.ladder(1).rows.nth(2).get_by_role("button", name=re.compile("^Differences")).click()
    expect(calls.details.locator("ins, del").first).to_be_visible()
    look("diff")
    calls.details.get_by_role("button", name="Close").click()
    calls.bar(2).click()
    expect(calls.details.get_by_label("Reply")).to_be_visible()
    look("call")
    tab.tab("Metrics").click()
    expect(tab.root.get_by_role("region", name="Where the money went")).to_be_visible()
    look("metrics")
    expect_none(found)
