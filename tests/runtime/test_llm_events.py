"""What `llm_events` emits, on mellea's own backends in process, and what it leaves alone."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from mellea import MelleaSession
from mellea.backends.dummy import DummyBackend
from mellea.core.backend import Backend
from mellea.core.base import CBlock, GenerateLog, ModelOutputThunk
from mellea.core.requirement import Requirement
from mellea.core.sampling import SamplingStrategy
from mellea.stdlib.context import SimpleContext
from mellea.stdlib.requirements import req, simple_validate
from mellea.stdlib.sampling import RejectionSamplingStrategy

from mellea_jupyter.runtime import llm_events
from mellea_jupyter.runtime.llm_events_content import (
    MAX_ENCODED_CHARS,
    MAX_MEASURED_PARTS,
    MAX_MESSAGES,
    content_fields,
    cut,
    prompt_fields,
    usage_fields,
)
from mellea_jupyter.runtime.llm_events_recorder import Recorder, requirement_kind


class Frames(list[dict[str, Any]]):
    """A channel that keeps its frames."""

    def emit(self, kind: str, **fields: Any) -> None:
        self.append(json.loads(json.dumps({"kind": kind, **fields})))

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [frame for frame in self if frame["kind"] == kind]


@pytest.fixture
def frames() -> Iterator[Frames]:
    channel = Frames()
    llm_events.install(channel)
    yield channel
    llm_events.uninstall()


class Conversation(DummyBackend):
    """A backend that logs a long chat as its prompt and reports its usage."""

    async def _generate_from_context(self, action: Any, ctx: Any, **options: Any) -> Any:
        thunk, context = await super()._generate_from_context(action, ctx)
        prompt = [{"role": "user", "content": f"turn {n}"} for n in range(100)]
        thunk._generate_log = GenerateLog(prompt=prompt)
        thunk.generation.usage = {
            "prompt_tokens": 200,
            "completion_tokens": 3,
            "prompt_tokens_details": {"cached_tokens": 150},
            "completion_tokens_details": {"reasoning_tokens": 2},
        }
        thunk.generation.response_model = "dummy-2026"
        thunk.generation.finish_reasons = ["stop"]
        return thunk, context


def session(backend: Backend) -> MelleaSession[SimpleContext]:
    return MelleaSession(backend, SimpleContext())


def ok(text: str) -> tuple[bool, str]:
    return "OK" in text, "no OK found"


def generate(backend: Backend) -> Any:
    return asyncio.run(backend.generate_from_context(CBlock("hi"), SimpleContext()))


def test_a_loop_is_told_attempt_by_attempt(frames: Frames) -> None:
    requirement = req("say OK", validation_fn=simple_validate(ok))
    with pytest.raises(AssertionError):  # the dummy backend writes no log, which mellea wants
        session(DummyBackend(["bad", "OK"])).instruct(
            "say {{what}}",
            user_variables={"what": "hi"},
            requirements=[requirement],
            strategy=RejectionSamplingStrategy(loop_budget=3),
        )
    kinds = [frame["kind"] for frame in frames]
    attempt = ["call_started", "call_finished", "verdict"]
    assert kinds == ["loop_started", *attempt, "repair", *attempt, "loop_ended"]
    loop = frames[0]
    assert loop["requirements"] == [{"index": 0, "text": "say OK", "kind": "function"}]
    assert (loop["loop"], loop["strategy"], loop["budget"]) == (1, "RejectionSamplingStrategy", 3)
    assert [f["attempt"] for f in frames.of("call_started")] == [1, 2]
    assert [f["purpose"] for f in frames.of("call_started")] == ["answer", "repair"]
    assert [f["passed"] for f in frames.of("verdict")] == [False, True]
    first = frames.of("verdict")[0]
    assert (first["reason"], first["attempt"], first["index"]) == ("no OK found", 1, 0)
    assert frames.of("repair")[0]["form"] == "resample"
    assert frames.of("loop_ended")[0]["error"]["type"] == "AssertionError"


def test_a_finished_call_carries_what_the_backend_reported(frames: Frames) -> None:
    generate(Conversation(["hello"]))
    [call] = frames.of("call_finished")
    assert (call["provider"], call["model"]) == ("dummy", "dummy")
    assert call["response_model"] == "dummy-2026"
    assert (call["input_tokens"], call["output_tokens"]) == (200, 3)
    assert (call["cached_tokens"], call["reasoning_tokens"]) == (150, 2)
    assert (call["finish_reason"], call["reply"], call["lines"]) == ("stop", "hello", 1)
    assert call["prompt"][-1] == {"role": "user", "content": "turn 99"}
    assert len(call["prompt"]) == MAX_MESSAGES
    assert call["truncated"] is True


def test_content_is_left_out_when_it_is_not_wanted() -> None:
    channel = Frames()
    llm_events.install(channel, capture_content=False)
    try:
        requirement = req("say OK", validation_fn=simple_validate(ok))
        context = SimpleContext().add(CBlock("hi")).add(ModelOutputThunk("a secret"))
        asyncio.run(requirement.validate(DummyBackend(None), context))
        generate(Conversation(["a secret"]))
    finally:
        llm_events.uninstall()
    text = json.dumps(channel)
    assert "secret" not in text
    assert "turn 99" not in text
    assert "no OK found" not in text
    assert channel.of("call_finished")[0]["input_tokens"] == 200


def test_the_call_beyond_the_limit_is_refused_and_not_made() -> None:
    channel = Frames()
    llm_events.install(channel, max_llm_calls=2)
    backend = DummyBackend(["a", "b", "c"])
    try:
        generate(backend)
        generate(backend)
        with pytest.raises(llm_events.BudgetExceeded, match=r"2 LLM call\(s\)") as refused:
            generate(backend)
    finally:
        llm_events.uninstall()
    assert refused.value.max_llm_calls == 2
    assert backend.idx == 2
    assert len(channel.of("call_started")) == 2


def test_an_error_before_the_reply_is_a_failed_call(frames: Frames) -> None:
    with pytest.raises(Exception, match="no more than 0 calls"):
        generate(DummyBackend([]))
    [failure] = frames.of("call_failed")
    assert failure["error"]["type"] == "Exception"
    assert failure["cancelled"] is False


class Slow(DummyBackend):
    """A backend whose replies arrive when the test says so."""

    async def _generate_from_context(self, action: Any, ctx: Any, **options: Any) -> Any:
        from mellea.core.base import GenerateType

        thunk: ModelOutputThunk[str] = ModelOutputThunk(None)
        thunk._gen.generate_type = GenerateType.ASYNC
        thunk._call.action = action
        thunk._gen.process = self._process
        thunk._gen.post_process = self._post_process
        return thunk, ctx

    async def _process(self, thunk: ModelOutputThunk[str], chunk: str) -> None:
        thunk._underlying_value = (thunk._underlying_value or "") + chunk

    async def _post_process(self, thunk: ModelOutputThunk[str]) -> None:
        thunk.generation.usage = {"prompt_tokens": 1, "completion_tokens": 1}


def test_a_reader_that_gave_up_may_read_the_reply_later(frames: Frames) -> None:
    async def main() -> None:
        thunk, _ = await Slow(None).generate_from_context(CBlock("hi"), SimpleContext())
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(thunk.avalue(), 0.01)
        for chunk in ("late", None):
            await thunk._gen.queue.put(chunk)
        assert await thunk.avalue() == "late"

    asyncio.run(main())
    [gave_up] = frames.of("call_failed")
    [finished] = frames.of("call_finished")
    assert gave_up["cancelled"] is True
    assert gave_up["call"] == finished["call"] == 1
    assert finished["reply"] == "late"


def test_a_generation_that_the_program_cancels_is_told_as_cancelled(frames: Frames) -> None:
    async def main() -> None:
        thunk, _ = await Slow(None).generate_from_context(CBlock("hi"), SimpleContext())
        await thunk.cancel_generation()

    asyncio.run(main())
    [cancelled] = frames.of("call_failed")
    assert cancelled["cancelled"] is True
    assert not frames.of("call_finished")


def test_a_call_made_by_a_tool_is_told_as_such(frames: Frames) -> None:
    from mellea.backends.tools import MelleaTool
    from mellea.core.base import ModelToolCall

    backend = DummyBackend(None)
    ask = MelleaTool.from_callable(lambda: str(generate(backend)[0]), name="ask")
    assert ModelToolCall("ask", ask, {}).call_func() == "dummy"
    assert frames.of("call_started")[0]["purpose"] == "tool"


def test_a_channel_that_raises_never_reaches_the_program() -> None:
    class Broken:
        def emit(self, kind: str, **fields: Any) -> None:
            raise OSError("gone")

    llm_events.install(Broken())
    try:
        assert generate(DummyBackend(["fine"]))[0].value == "fine"
        requirement = req("say OK", validation_fn=simple_validate(ok))
        context = SimpleContext().add(CBlock("hi")).add(ModelOutputThunk("OK"))
        assert asyncio.run(requirement.validate(DummyBackend(None), context))
    finally:
        llm_events.uninstall()


def test_installing_twice_wraps_once_and_uninstalling_restores() -> None:
    class Own(Requirement):
        async def validate(self, *args: Any, **options: Any) -> Any:
            return await super().validate(*args, **options)

    watched = [
        (Backend, "generate_from_context"),
        (Backend, "generate_from_raw"),
        (ModelOutputThunk, "astream"),
        (Requirement, "validate"),
        (Own, "validate"),
        (RejectionSamplingStrategy.__mro__[1], "sample"),
    ]
    before = [owner.__dict__[name] for owner, name in watched]
    channel = Frames()
    llm_events.install(channel)
    once = [owner.__dict__[name] for owner, name in watched]
    llm_events.install(channel)
    llm_events.install(Frames())
    assert [owner.__dict__[name] for owner, name in watched] == once
    assert all(new.__wrapped__ is old for new, old in zip(once, before, strict=True))
    llm_events.uninstall()
    assert [owner.__dict__[name] for owner, name in watched] == before
    assert "__init_subclass__" not in SamplingStrategy.__dict__


def test_another_channel_begins_another_run() -> None:
    first, second = Frames(), Frames()
    for channel in (first, second):
        llm_events.install(channel)
        generate(DummyBackend(None))
    llm_events.uninstall()
    assert [frame["call"] for frame in first + second] == [1, 1, 1, 1]


def test_what_cannot_be_wrapped_is_reported_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(ModelOutputThunk, "cancel_generation")
    channel = Frames()
    llm_events.install(channel)
    try:
        generate(DummyBackend(None))
    finally:
        llm_events.uninstall()
    [degraded] = channel.of("degraded")
    assert degraded["missing"] == ["ModelOutputThunk.cancel_generation"]
    assert degraded["mellea"].startswith("0.8")
    assert channel.of("call_finished")


def test_wrapped_functions_keep_their_names(frames: Frames) -> None:
    assert Backend.generate_from_context.__qualname__ == "Backend.generate_from_context"


@pytest.mark.parametrize(
    ("text", "limit", "kept"),
    [("abc", 3, "abc"), ("abcd", 3, "abc"), ("éé", 3, "é"), ("é", 1, ""), ("\ud800x", 9, "?x")],
)
def test_texts_are_cut_to_bytes_of_whole_characters(text: str, limit: int, kept: str) -> None:
    assert cut(text, limit)[0] == kept


def test_a_prompt_is_cut_from_its_beginning_and_a_message_from_its_end() -> None:
    long = [{"role": "user", "content": "a" * 50}, {"role": "user", "content": "b" * 50}]
    assert prompt_fields(long, 60) == {
        "prompt": [{"role": "user", "content": "a" * 10}, {"role": "user", "content": "b" * 50}],
        "truncated": True,
    }
    parts = [{"type": "text", "text": "look"}, {"type": "image_url", "image_url": {}}]
    assert prompt_fields([{"role": "user", "content": parts}], 60) == {
        "prompt": [{"role": "user", "content": "look\n[image_url]"}]
    }
    assert prompt_fields(None, 60) == {}


def test_a_prompt_is_no_longer_than_its_limit_in_bytes() -> None:
    turns = prompt_fields([{"role": "user", "content": "日本語" * 5}] * 3, 100)["prompt"]
    assert [len(turn["content"].encode()) for turn in turns] == [9, 45, 45]


def test_sizes_are_told_of_what_is_cut_where_they_are_found_quickly() -> None:
    assert content_fields("a" * 50, "é" * 50, 60) == {
        "prompt": "a" * 50,
        "reply": "é" * 30,
        "truncated": True,
        "prompt_bytes": 50,
        "reply_bytes": 100,
    }
    assert "prompt_bytes" not in content_fields("short", "short", 60)
    turns = [{"role": "user", "content": "a" * 50}] * (MAX_MEASURED_PARTS + 1)
    fields = content_fields(turns, "short", 60)
    assert (fields["truncated"], fields["reply_bytes"]) == (True, 5)
    assert "prompt_bytes" not in fields
    assert "prompt_bytes" not in content_fields("é" * (MAX_ENCODED_CHARS + 1), "short", 60)


def test_a_stand_in_of_a_requirement_is_that_requirement(frames: Frames) -> None:
    recorder = Recorder(frames.emit)
    kind, brief = req("be kind"), req("be brief")
    loop = recorder.loop_started(object(), None, [kind, brief, req("twice"), req("twice")])
    assert [loop.index_of(each) for each in (kind, brief)] == [0, 1]
    assert loop.index_of(req("be brief")) == 1
    assert loop.index_of(req("twice")) is None  # it may be either
    assert loop.index_of(req("another")) is None


@pytest.mark.parametrize("usage", [None, "many", {"prompt_tokens": "1"}, {"prompt_tokens": -1}])
def test_tokens_are_reported_or_missing_never_guessed(usage: Any) -> None:
    assert usage_fields(usage) == {}


def test_a_plain_requirement_is_judged_by_a_model() -> None:
    assert requirement_kind(req("be kind")) == "judge"
