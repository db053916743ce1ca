"""What it takes to look at a run of 10,000 LLM calls: ``python -m benchmarks.calls``.

The run is a real one: mellea's sampling loops over a backend that answers at once, observed by
the runtime, folded by the server. Pages are read over REST one after another, as a tab does that
shows all of them; the target is that of opening the Calls tab.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import httpx

from benchmarks.measure import load, milliseconds, row
from mellea_jupyter.testing.server import JupyterServer

LOOPS = 2500
ATTEMPTS = 4
OPEN_SECONDS = 1.5
ROUNDS = 5

PROGRAM = f"""\
from itertools import count

from mellea import MelleaSession
from mellea.backends.dummy import DummyBackend
from mellea.core.base import GenerateLog, ModelOutputThunk
from mellea.stdlib.requirements import req, simple_validate
from mellea.stdlib.sampling import RejectionSamplingStrategy

numbers = count(1)


class InstantBackend(DummyBackend):
    async def _generate_from_context(self, action, ctx, **options):
        number = next(numbers)
        said = "OK" if number % {ATTEMPTS} == 0 else f"bad {{number}}"
        thunk = ModelOutputThunk(said)
        thunk.generation.model, thunk.generation.provider = "gpt-4o", "openai"
        thunk.generation.usage = {{"prompt_tokens": 900, "completion_tokens": 70}}
        prompt = [{{"role": "user", "content": "Write a greeting that says OK. " * 20}}]
        thunk._generate_log = GenerateLog(prompt=prompt)
        return thunk, ctx.add(action).add(thunk)


session = MelleaSession(InstantBackend(None))
checks = [
    req("must contain OK", validation_fn=simple_validate(lambda text: ("OK" in text, "no OK"))),
    req("must be short", validation_fn=simple_validate(lambda text: len(text) < 100)),
]
for _ in range({LOOPS}):
    session.instruct(
        "Write a greeting", requirements=checks,
        strategy=RejectionSamplingStrategy(loop_budget={ATTEMPTS}),
    )
"""


def read_pages(http: httpx.Client, run_id: str, what: str) -> tuple[list[Any], list[float]]:
    """All calls or loops of a run, and the seconds that each page took."""
    found: list[Any] = []
    seconds: list[float] = []
    following: int | None = 0
    while following is not None:
        began = time.perf_counter()
        page = http.get(f"api/runs/{run_id}/{what}", params={"after": following}).json()
        seconds.append(time.perf_counter() - began)
        found += page[what]
        following = page["next"]
    return found, seconds


def show(what: str, seconds: list[float]) -> None:
    """Print the median as a share of the time in which the tab has to be open."""
    typical = median(seconds)
    detail = f"{milliseconds(typical)}, at most {milliseconds(max(seconds))}"
    row(f"{what} / {OPEN_SECONDS} s", typical / OPEN_SECONDS, at_most=1, detail=detail)


def main() -> None:
    """Print a row for calls, one for loops, and one for the content of a call."""
    print(f"  {load()}; {LOOPS * ATTEMPTS:,} calls in {LOOPS:,} loops")
    with tempfile.TemporaryDirectory() as folder:
        server = JupyterServer(Path(folder))
        with server, server.http() as http:
            path = server.write("many.py", PROGRAM)
            began = time.monotonic()
            run = server.create(http, path)
            final = server.wait_for(http, run["id"], seconds=1200)
            took = time.monotonic() - began
            if final["status"] != "succeeded":
                raise RuntimeError(f"the run ended as {final['status']}: {final['error_message']}")
            print(f"  the run took {took:.1f} s")
            for what, number in (("calls", LOOPS * ATTEMPTS), ("loops", LOOPS)):
                times: list[float] = []
                pages: list[float] = []
                for _ in range(ROUNDS):
                    found, seconds = read_pages(http, run["id"], what)
                    if len(found) != number:
                        raise RuntimeError(f"{len(found)} {what} instead of {number}")
                    times.append(sum(seconds))
                    pages += seconds
                show(f"all {what}, page after page", times)
                show(f"a page of up to 1,000 {what}", pages)
            contents = []
            for call in range(1, LOOPS * ATTEMPTS, LOOPS * ATTEMPTS // 50):
                began = time.perf_counter()
                reply = http.get(f"api/runs/{run['id']}/calls/{call}/content").json()["reply"]
                contents.append(time.perf_counter() - began)
                if not reply:
                    raise RuntimeError(f"call {call} has no content")
            show("prompt and reply of a call", contents)


if __name__ == "__main__":
    main()
