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
from mellea_jupyter.testing.scripted_llm import ScriptedLlm

from .scenarios.expected import EXPECTED, PROTOCOLS, Protocol

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


def folded(frames: list[dict[str, Any]]) -> dict[str, Any]:
    state = UsageState()
    for frame in frames:
        state.fold(frame)
    return state.metrics()


@pytest.mark.parametrize(("protocol", "name"), CASES)
def test_a_scenario_is_counted_as_the_endpoint_counted_it(
    launcher: Launcher, endpoint: ScriptedLlm, protocol: Protocol, name: str
) -> None:
    expected = EXPECTED[protocol][name]
    status, frames = launcher.run(SCENARIOS / f"{name}.py", environment(endpoint, protocol))
    assert status == expected.exit_code, launcher.output
    metrics, counts = folded(frames), endpoint.counts()
    assert {key: metrics[key] for key in expected.metrics()} == expected.metrics()
    assert counts["requests"] == (expected.requests or expected.llm_calls)
    for tokens in ("input_tokens", "output_tokens"):
        assert metrics[tokens] == (counts[tokens] if expected.reads_reply else 0)
    assert metrics["malformed_frames"] == 0
    assert not [frame for frame in frames if frame["kind"] == "degraded"]
