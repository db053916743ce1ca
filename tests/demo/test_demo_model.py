"""The demo model over real HTTP: fails first, repairs, judges, counts, and says what it is."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from mellea_jupyter.demo import MODEL_NAME, DemoModel
from mellea_jupyter.demo.replies import JUDGE_OPENING
from mellea_jupyter.demo.wishes import read_wish

REPOSITORY = Path(__file__).parents[2]
PROMPT = "Write a note\n\nFulfill the following requirements:\n* under 20 words\n* mention Lisbon"


@pytest.fixture
def demo() -> Iterator[DemoModel]:
    with DemoModel(latency_seconds=0) as model:
        yield model


def complete(demo: DemoModel, prompt: str, key: str = "k", **body: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": prompt}]
    answer = httpx.post(
        f"{demo.openai_url}/chat/completions",
        json={"model": MODEL_NAME, "messages": messages, **body},
        headers={"Authorization": f"Bearer {key}"},
    )
    completion: dict[str, Any] = answer.raise_for_status().json()
    return completion


def text_of(completion: dict[str, Any]) -> str:
    return str(completion["choices"][0]["message"]["content"])


def judged(output: str, requirement: str) -> str:
    return f"{JUDGE_OPENING}\n...\n  Output: {output}\n  Requirement: {requirement}"


def test_every_reply_is_labelled_as_scripted(demo: DemoModel) -> None:
    completion = complete(demo, "hello")
    assert completion["model"] == "demo/scripted"
    assert completion["system_fingerprint"] == "scripted-demo"
    assert "scripted demo reply" in text_of(completion)


def test_the_first_reply_fails_its_requirements_and_the_second_meets_them(demo: DemoModel) -> None:
    wish = read_wish(["under 20 words", "mention Lisbon"])
    first, second = (text_of(complete(demo, PROMPT)) for _ in range(2))
    assert not wish.is_met_by(first)
    assert wish.is_met_by(second)
    assert "Lisbon" in second


def test_a_repair_prompt_is_answered_well_at_once(demo: DemoModel) -> None:
    prompt = f"{PROMPT}\nThe following requirements failed before:\n* under 20 words"
    assert read_wish(["under 20 words"]).is_met_by(text_of(complete(demo, prompt)))


def test_attempts_are_counted_for_each_key_alone(demo: DemoModel) -> None:
    assert text_of(complete(demo, PROMPT, "a")) == text_of(complete(demo, PROMPT, "b"))


@pytest.mark.parametrize(
    ("output", "requirement", "verdict"),
    [
        ("Dear reader, come to Lisbon.", "Mention Lisbon.", "yes"),
        ("Dear reader, come.", "Mention Lisbon.", "no"),
        ("one two three", "at most 3 words", "yes"),
        ("one two three", "fewer than three words", "no"),
        ("This is a scripted first draft about: x.", "Be polite.", "no"),
        ("Come, please.", "Be polite.", "yes"),
        ("it says never", 'do not use "never"', "no"),
    ],
)
def test_a_judge_prompt_is_answered_yes_or_no(
    demo: DemoModel, output: str, requirement: str, verdict: str
) -> None:
    assert text_of(complete(demo, judged(output, requirement))) == verdict


@pytest.mark.parametrize(
    "requirements",
    [
        ["at least 30 words"],
        ["exactly two sentences", 'mention "Rome" and "Oslo"'],
        ['start with "Dear Ada,"', 'end with "Yours"'],
        ["all lowercase", "under 50 words"],
        ["use bullet points"],
    ],
)
def test_a_second_reply_meets_what_it_understands(demo: DemoModel, requirements: list[str]) -> None:
    bullets = "\n".join(f"* {line}" for line in requirements)
    prompt = f"Write a note\n\nFulfill the following requirements:\n{bullets}"
    replies = [text_of(complete(demo, prompt)) for _ in range(2)]
    wish = read_wish(requirements)
    assert [wish.is_met_by(reply) for reply in replies] == [False, True]


def test_a_schema_gets_a_value_of_it(demo: DemoModel) -> None:
    schema = {
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "days": {"type": "integer", "minimum": 2, "maximum": 4},
            "mood": {"enum": ["sunny", "rainy"]},
            "stops": {"type": "array", "items": {"$ref": "#/$defs/Stop"}, "minItems": 2},
        },
        "$defs": {"Stop": {"type": "object", "properties": {"open": {"type": "boolean"}}}},
    }
    response_format = {"type": "json_schema", "json_schema": {"name": "trip", "schema": schema}}
    value = json.loads(text_of(complete(demo, "plan", response_format=response_format)))
    assert value["city"] == "Lisbon"
    assert value["days"] in (2, 3, 4)
    assert value["mood"] in ("sunny", "rainy")
    assert value["stops"] == [{"open": True}, {"open": True}]


def test_a_tool_is_used_once_and_then_the_final_answer_given(demo: DemoModel) -> None:
    parameters = {"type": "object", "properties": {"city": {"type": "string"}}}
    tools = [
        {"type": "function", "function": {"name": "weather", "parameters": parameters}},
        {"type": "function", "function": {"name": "final_answer", "parameters": {}}},
    ]
    first = complete(demo, "how is it?", tools=tools)["choices"][0]["message"]["tool_calls"]
    assert first[0]["function"] == {"name": "weather", "arguments": '{"city": "Lisbon"}'}
    messages = [{"role": "user", "content": "how is it?"}, {"role": "tool", "content": "sunny"}]
    second = complete(demo, "", messages=messages, tools=tools)["choices"][0]["message"]
    assert second["tool_calls"][0]["function"]["name"] == "final_answer"


def test_a_stream_carries_the_same_text_and_its_usage(demo: DemoModel) -> None:
    body = {
        "model": MODEL_NAME,
        "messages": [{"role": "user", "content": "hello"}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    answer = httpx.post(f"{demo.openai_url}/chat/completions", json=body)
    events = [line.removeprefix("data: ") for line in answer.text.splitlines() if line]
    assert events[-1] == "[DONE]"
    chunks = [json.loads(event) for event in events[:-1]]
    text = "".join(c["choices"][0]["delta"].get("content", "") for c in chunks if c["choices"])
    assert text == text_of(complete(demo, "hello"))
    assert chunks[-1]["usage"]["completion_tokens"] == len(text.split())


def test_counts_are_kept_for_each_key(demo: DemoModel) -> None:
    usages = [complete(demo, "one two three", "demo-1")["usage"] for _ in range(2)]
    complete(demo, "of another run", "demo-2")
    counts = httpx.get(f"{demo.url}/counts", params={"api_key": "demo-1"}).json()
    assert counts["requests"] == counts["replied"] == 2
    assert counts["input_tokens"] == sum(usage["prompt_tokens"] for usage in usages) == 6
    assert counts["output_tokens"] == sum(usage["completion_tokens"] for usage in usages)
    assert httpx.get(f"{demo.url}/counts").json()["requests"] == 3


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_module_serves_until_it_is_interrupted(number: signal.Signals) -> None:
    command = [sys.executable, "-m", "mellea_jupyter.demo", "--latency-ms", "0"]
    env = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[-1]
        assert httpx.get(f"{url}/models").json()["data"][0]["id"] == MODEL_NAME
        process.send_signal(number)
        assert process.wait(60) == 0


def test_importing_it_needs_only_the_standard_library() -> None:
    code = (
        "import sys; before = set(sys.modules); import mellea_jupyter.demo;"
        "print(sorted({m.partition('.')[0] for m in set(sys.modules) - before}"
        " - set(sys.stdlib_module_names)))"
    )
    command = [sys.executable, "-c", code]
    answer = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "['mellea_jupyter']"
