"""Which model a program gets, and what mellea's own log says: with the real mellea."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mellea_jupyter.runtime.steering import Target, UnknownModel, resolve_model
from mellea_jupyter.testing.scripted_llm import ScriptedLlm

from .conftest import Execute, MakeRun
from .support import ForkServer


@pytest.fixture(scope="module")
def llm() -> Iterator[ScriptedLlm]:
    """An endpoint for both protocols."""
    with ScriptedLlm(["yes"]) as server:
        yield server


def keys(llm: ScriptedLlm) -> dict[str, str]:
    """Variables that make a program talk to the endpoint."""
    return {
        "OPENAI_BASE_URL": llm.openai_url,
        "OPENAI_API_KEY": "none",
        "OLLAMA_HOST": llm.url,
    }


@pytest.mark.parametrize(
    ("model", "target"),
    [
        ("openai/gpt-4o", Target("openai", "gpt-4o")),
        ("ollama/granite4:micro", Target("ollama", "granite4:micro")),
        ("granite4:micro", Target("ollama", "granite4:micro")),
        ("demo/scripted", Target("openai", "demo/scripted")),
        ("litellm/anthropic/claude", Target("litellm", "anthropic/claude")),
        ("hf/ibm/granite", Target("hf", "ibm/granite")),
        ("huggingface/ibm/granite", Target("hf", "ibm/granite")),
        ("watsonx/ibm/granite", Target("watsonx", "ibm/granite")),
    ],
)
def test_a_model_names_its_backend(model: str, target: Target) -> None:
    assert resolve_model(model) == target


def test_a_provider_that_needs_litellm_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(UnknownModel, match=r"pip install 'mellea\[litellm\]'"):
        resolve_model("anthropic/claude")
    monkeypatch.setattr("importlib.util.find_spec", lambda _: object())
    assert resolve_model("anthropic/claude") == Target("litellm", "anthropic/claude")


START = "from mellea import start_session, start_backend\n"


@pytest.mark.parametrize(
    ("start", "steering", "used"),
    [
        ("m = start_session()", "default", ("openai", "gpt-4o")),
        ("m = start_session('openai')", "default", ("openai", "gpt-4o")),
        ("m = start_session('ollama')", "default", ("ollama", "granite4.2:3b")),
        ("m = start_session('ollama', 'llama3')", "default", ("ollama", "llama3")),
        ("m = start_session(model_id='llama3')", "default", ("ollama", "llama3")),
        ("m = start_session()", "off", ("ollama", "granite4.2:3b")),
        ("m = start_session('ollama', 'llama3')", "force", ("openai", "gpt-4o")),
        ("m = start_session(backend_name='openai', model_id='x')", "force", ("openai", "gpt-4o")),
        ("m = start_session()", "force", ("openai", "gpt-4o")),
    ],
)
def test_a_session_gets_the_steered_model(  # noqa: PLR0917  # pytest passes by name
    make_run: MakeRun,
    execute: Execute,
    llm: ScriptedLlm,
    start: str,
    steering: str,
    used: tuple[str, str],
) -> None:
    run = make_run(
        f"{START}{start}\nprint(m.chat('hello'))",
        model="openai/gpt-4o",
        model_steering=steering,
        env=keys(llm),
    )
    end = execute(run)
    assert end["exit_code"] == 0, run.output("stderr").decode()
    call = run.frame("call_finished")
    assert (call["provider"], call["model"]) == used


def test_a_backend_of_its_own_is_forced_with_a_remark(
    make_run: MakeRun, execute: Execute, llm: ScriptedLlm
) -> None:
    source = """
from mellea import MelleaSession, start_backend
from mellea.backends.ollama import OllamaModelBackend
from mellea.backends.openai import OpenAIBackend
from mellea.stdlib.context import SimpleContext
for backend in (OllamaModelBackend("llama3"), OpenAIBackend(model_id="gpt-5"),
                start_backend("ollama", "llama3")[1]):
    print(MelleaSession(backend, SimpleContext()).chat("hello"))
"""
    run = make_run(source, model="openai/gpt-4o", model_steering="force", env=keys(llm))
    end = execute(run)
    assert end["exit_code"] == 0, run.output("stderr").decode()
    calls = [(call["provider"], call["model"]) for call in run.frames("call_finished")]
    assert calls == [("openai", "gpt-4o")] * 3
    remarks = [frame["message"] for frame in run.frames("system")]
    assert any("asked for OllamaModelBackend, llama3" in remark for remark in remarks)
    assert any("asked for OpenAIBackend, gpt-5" in remark for remark in remarks)
    assert any("asked for ollama, llama3" in remark for remark in remarks)


def test_wrong_arguments_fail_as_mellea_says_it(make_run: MakeRun, execute: Execute) -> None:
    run = make_run(f"{START}start_session('openai', 'x', None, 1)", model="openai/gpt-4o")
    assert execute(run)["exit_code"] == 1
    assert run.frame("exception")["type"] == "TypeError"


def test_a_model_that_cannot_be_used_fails_and_says_why(
    make_run: MakeRun, execute: Execute
) -> None:
    run = make_run(f"{START}start_session()", model="anthropic/claude")
    assert execute(run)["exit_code"] == 1
    exception = run.frame("exception")
    assert exception["type"] == "mellea_runtime.steering.UnknownModel"
    assert "mellea[litellm]" in exception["message"]


def test_mellea_log_is_in_the_system_stream_and_not_in_stdout(
    make_run: MakeRun, execute: Execute, llm: ScriptedLlm
) -> None:
    run = make_run(
        f"{START}m = start_session()\nprint(m.chat('hello').content)",
        model="demo/scripted",
        env=keys(llm),
    )
    execute(run)
    records = [frame for frame in run.frames("record") if frame["stream"] == "system"]
    assert any("Starting Mellea session" in record["message"] for record in records)
    assert {record["logger"] for record in records} == {"mellea"}
    assert run.output("stdout") == b"yes\n"


def test_a_program_that_wants_mellea_log_on_its_console_gets_it(
    make_run: MakeRun, fork_server: ForkServer, llm: ScriptedLlm
) -> None:
    from .support import run_fresh

    env = {**keys(llm), "MELLEA_LOGS_CONSOLE": "true"}
    run = make_run(f"{START}start_session()", model="demo/scripted", env=env)
    answer = fork_server.ask({"run_dir": str(run.path)})
    assert answer["ok"] is False
    assert "MELLEA_LOGS_CONSOLE" in answer["reason"]
    run_fresh(run, answer["reason"])
    records = run.frames("record")
    assert {record["stream"] for record in records} == {"stdout"}
    assert any("Starting Mellea session" in record["message"] for record in records)
