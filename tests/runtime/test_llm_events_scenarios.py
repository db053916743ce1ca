"""Real mellea programs over real HTTP: the folded frames equal what the endpoint counted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mellea_jupyter.accounting.usage import UsageState
from mellea_jupyter.models.calls import SamplingLoop
from mellea_jupyter.service.calls import new_reports
from mellea_jupyter.testing.scripted_llm import ScriptedLlm

from .ladders import ladder
from .scenarios.expected import EXPECTED, LADDERS, PROTOCOLS, Protocol

SCENARIOS = Path(__file__).parent / "scenarios"
REPOSITORY = Path(__file__).parents[2]
CASES = [(protocol, name) for protocol in PROTOCOLS for name in EXPECTED[protocol]]


class Launcher:
    """Runs programs in forks of one observed mellea process."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self._process = process
        self._folder = folder
        self.output = ""

    def run(
        self, program: Path, env: dict[str, str], **options: Any
    ) -> tuple[int, list[dict[str, Any]]]:
        """Run a program; return its exit status and its frames."""
        frames, output = self._folder / "frames.ndjson", self._folder / "output.txt"
        frames.write_bytes(b"")
        task = {"program": program, "frames": frames, "output": output}
        line = json.dumps({**{k: str(v) for k, v in task.items()}, "env": env, "options": options})
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        status = int(self._process.stdout.readline())
        self.output = output.read_text()
        return status, [json.loads(frame) for frame in frames.read_text().splitlines()]


@pytest.fixture(scope="module")
def launcher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launcher]:
    env = {k: v for k, v in os.environ.items() if not k.startswith(("OPENAI_", "OLLAMA_"))}
    env.update(PYTHONPATH=str(REPOSITORY), MELLEA_LOGS_LEVEL="WARNING")
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("observing_launcher.py"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=env,
        text=True,
    )
    with process:
        yield Launcher(process, tmp_path_factory.mktemp("observed"))
        assert process.stdin is not None
        process.stdin.close()
        process.wait(60)


@pytest.fixture
def endpoint() -> Iterator[ScriptedLlm]:
    with ScriptedLlm() as server:
        yield server


def environment(endpoint: ScriptedLlm, protocol: Protocol) -> dict[str, str]:
    if protocol == "ollama":
        return {"OLLAMA_HOST": endpoint.url}
    return {"OPENAI_BASE_URL": endpoint.openai_url}


def folded(frames: list[dict[str, Any]]) -> UsageState:
    state = UsageState()
    for frame in frames:
        state.fold(frame)
    return state


@pytest.mark.parametrize(("protocol", "name"), CASES)
def test_a_scenario_is_counted_and_told_as_it_was(
    launcher: Launcher, endpoint: ScriptedLlm, protocol: Protocol, name: str
) -> None:
    expected = EXPECTED[protocol][name]
    status, frames = launcher.run(SCENARIOS / f"{name}.py", environment(endpoint, protocol))
    assert status == expected.exit_code, launcher.output
    state = folded(frames)
    metrics, counts = state.metrics(), endpoint.counts()
    assert {key: metrics[key] for key in expected.metrics()} == expected.metrics()
    assert counts["requests"] == (expected.requests or expected.llm_calls)
    for tokens in ("input_tokens", "output_tokens"):
        assert metrics[tokens] == (counts[tokens] if expected.reads_reply else 0)
    assert metrics["malformed_frames"] == 0
    assert not [frame for frame in frames if frame["kind"] == "degraded"]
    _assert_ladder(state, LADDERS.get(name, []))


def _assert_ladder(state: UsageState, expected: list[str]) -> None:
    """The loops are these, and their calls say the same of where they belong."""
    reports = new_reports(state)
    assert ladder(SamplingLoop.model_validate_json(row.doc) for row in reports.loops) == expected
    calls = {call.call: call for call in state.calls}
    for loop in state.loops:
        for attempt in loop.attempts.values():
            place = (loop.loop, attempt.chain, attempt.attempt)
            for number in (*attempt.calls, *(n for v in attempt.verdicts for n in v.calls)):
                assert (calls[number].loop, calls[number].chain, calls[number].attempt) == place
            for verdict in attempt.verdicts:
                for number in verdict.calls:
                    assert calls[number].purpose == "judge"
                    assert calls[number].requirement == verdict.requirement
