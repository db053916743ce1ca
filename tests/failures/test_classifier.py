"""The order of evidence, one rule at a time. How often it is right is told by the corpus."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mellea_jupyter.failures.classifier import classify
from mellea_jupyter.failures.evidence import Evidence, Raised
from mellea_jupyter.failures.exceptions import Finding
from mellea_jupyter.failures.suggestions import advise
from mellea_jupyter.models.failures import FailureCategory, FailureType, NextAction

RATE_LIMIT = {
    "type": "openai.RateLimitError",
    "bases": ["openai.APIStatusError", "openai.APIError", "openai.OpenAIError"],
    "message": "Error code: 429 - {'error': {'code': 'rate_limit_exceeded'}}",
    "status": 429,
    "code": "rate_limit_exceeded",
}


def line(
    text: str, *, number: int = 3, function: str = "main", user: bool = True
) -> dict[str, Any]:
    file = "trip.py" if user else "/lib/site-packages/openai/_base_client.py"
    return {"file": file, "line": number, "function": function, "text": text, "user": user}


def ended_with(exception: dict[str, Any] | None, **fields: Any) -> Evidence:
    known = {"phase": "running", "reason": "exit_code", "exit_code": 1, "asset": "trip", **fields}
    return Evidence(**known, exception=Raised.of(exception))


def type_of(exception: dict[str, Any] | None, **fields: Any) -> FailureType:
    return classify(ended_with(exception, **fields)).type


def test_every_type_has_a_category_and_the_names_are_those_of_the_specification() -> None:
    by_category = {
        category: [kind.value for kind in FailureType if kind.category == category]
        for category in FailureCategory
    }
    assert by_category == {
        "user_code": [
            "syntax_error", "runtime_error", "python_error", "validation_error",
            "generative_error", "missing_dependency",
        ],
        "program_outcome": [
            "requirements_unmet", "budget_exceeded", "precondition_failed", "timeout",
        ],
        "external_service": [
            "authentication_error", "rate_limited", "provider_quota_exceeded",
            "context_length_exceeded", "model_not_found", "provider_error", "provider_timeout",
            "connection_error",
        ],
        "infrastructure": [
            "out_of_memory", "image_pull_failed", "network_error", "permission_error",
            "storage_error", "environment_unavailable", "engine_error", "kernel_died", "lost",
            "server_stopped",
        ],
        "unknown": ["unclassified"],
    }  # fmt: skip


def test_the_phase_comes_before_words() -> None:
    found = classify(
        Evidence(
            phase="pulling_image",
            reason="image_pull_failed",
            message="SyntaxError: manifest unknown",
        )
    )
    assert (found.type, found.category) == ("image_pull_failed", "infrastructure")


def test_what_the_executor_says_comes_before_the_exception() -> None:
    killed = {"type": "RuntimeError", "message": "worker gone", "frames": [line("work()")]}
    assert type_of(killed, reason="out_of_memory") == "out_of_memory"
    assert type_of(killed, reason="timeout") == "timeout"


def test_an_error_raised_from_another_is_that_other_one() -> None:
    outer = {
        "type": "__main__.TripError",
        "message": "no plan",
        "frames": [line("raise TripError('no plan') from error")],
        "cause": {**RATE_LIMIT, "frames": [line("ask()"), line("raise", user=False)]},
    }
    found = classify(ended_with(outer))
    assert (found.type, found.retryable) == ("rate_limited", True)
    assert found.confidence < 1
    assert found.location is not None
    assert found.location.text == "raise TripError('no plan') from error"
    assert found.evidence[1] == "__main__.TripError: no plan"


@pytest.mark.parametrize(
    ("text", "expected"),
    [("raise TripError('later')", "rate_limited"), ("print(error.reson)", "runtime_error")],
    ids=["translated on purpose", "a bug in the handler"],
)
def test_what_is_raised_while_another_is_handled(text: str, expected: str) -> None:
    handled = {**RATE_LIMIT, "implicit": True, "frames": [line("ask()", number=7)]}
    outer = {"type": "AttributeError", "frames": [line(text, number=9)], "cause": handled}
    assert type_of(outer) == expected


def test_a_library_that_translates_does_it_on_one_line_of_the_user() -> None:
    user = line("session.instruct('…')", number=7)
    inner = {"type": "ValueError", "implicit": True, "message": "x",
             "cause": RATE_LIMIT, "frames": [user, line("f()", user=False)]}  # fmt: skip
    outer = {"type": "RuntimeError", "message": "failed", "cause": inner,
             "frames": [user, line("raise RuntimeError", user=False)]}  # fmt: skip
    assert type_of(outer) == "rate_limited"


def test_a_group_is_its_commonest_cause_outside_the_program() -> None:
    group = {
        "type": "ExceptionGroup", "message": "three tasks",
        "leaves": [{"type": "KeyError", "frames": [line("plan['city']")]}, RATE_LIMIT, RATE_LIMIT],
    }  # fmt: skip
    assert type_of(group) == "rate_limited"
    group["leaves"] = [{"type": "KeyError", "frames": [line("plan['city']", number=12)]}]
    found = classify(ended_with(group))
    assert found.type == "runtime_error"
    assert found.location is not None
    assert found.location.line == 12


def test_words_of_the_program_itself_mean_what_it_likes() -> None:
    own = {"type": "ValueError", "message": "connection refused by the guest list",
           "frames": [line("raise ValueError(…)")]}  # fmt: skip
    assert type_of(own) == "runtime_error"


def test_a_program_that_gave_up_after_a_failed_call() -> None:
    assert type_of(None, failed_call=Raised.of(RATE_LIMIT)) == "rate_limited"


def test_the_last_traceback_of_the_output_comes_last() -> None:
    error = "ModuleNotFoundError: No module named 'pandas'"
    output = ("Traceback (most recent call last):", '  File "x.py", line 1', error, "worker ended")
    found = classify(ended_with(None, error_output=output))
    assert found.type == "missing_dependency"
    assert found.confidence < 0.8


def test_nothing_known_is_unclassified() -> None:
    found = classify(ended_with(None, exit_code=3, message="The program ended with exit code 3."))
    assert (found.category, found.type) == ("unknown", "unclassified")
    assert found.confidence < 0.5
    assert found.suggestion


@pytest.mark.parametrize(
    ("exception", "model", "action", "value"),
    [
        ({"type": "openai.AuthenticationError", "status": 401}, "openai/gpt-4o",
         NextAction.SET_KEY, "OPENAI_API_KEY"),
        ({"type": "ollama._types.ResponseError", "status": 404,
          "message": "model 'llama3' not found (status code: 404)"}, "ollama/llama3",
         NextAction.PULL_MODEL, "llama3"),
        ({"type": "ModuleNotFoundError", "bases": ["ImportError"],
          "message": "No module named 'pandas.core'"}, None,
         NextAction.INSTALL_PACKAGE, "pandas"),
        (RATE_LIMIT, None, NextAction.RETRY, None),
    ],
)  # fmt: skip
def test_the_next_step_is_one_click(
    exception: dict[str, Any], model: str | None, action: NextAction, value: str | None
) -> None:
    step = classify(ended_with(exception, model=model)).next_step
    assert step is not None
    assert (step.action, step.value) == (action, value)


def test_the_same_failure_has_the_same_fingerprint() -> None:
    def told(message: str, function: str = "plan", asset: str = "trip") -> str:
        raised = {"type": "KeyError", "message": message, "frames": [line("x", function=function)]}
        return classify(ended_with(raised, asset=asset)).fingerprint

    assert told("'a1' at 0x7f3c") == told("'b2' at 0x11aa")
    assert told("'a1'") != told("'a1'", function="book")
    assert told("'a1'") != told("'a1'", asset="mail")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
LINES = st.lists(st.dictionaries(st.sampled_from(["file", "line", "text", "user"]), JSON))
OTHERS = ("message", "bases", "code", "status", "errno", "frames", "leaves", "cause")
FIELDS = st.fixed_dictionaries(
    {"type": st.text(min_size=1) | JSON}, optional=dict.fromkeys(OTHERS, JSON | LINES)
)


@given(exception=FIELDS, output=st.lists(st.text(), max_size=5))
def test_whatever_a_journal_holds_there_is_an_answer(
    exception: dict[str, Any], output: list[str]
) -> None:
    found = classify(ended_with(exception, error_output=tuple(output)))
    assert found.category == found.type.category
    assert 0 <= found.confidence <= 1
    assert found.suggestion
    assert found.summary


@pytest.mark.parametrize(
    ("exception", "fields", "said"),
    [
        (RATE_LIMIT, {}, "The provider refused a call: too many of them in too short a time."),
        (
            {"type": "KeyError", "message": "'sk-live-1'", "frames": [line('trip["sk-live-1"]')]},
            {},
            "KeyError was raised at line 3 of trip.py.",
        ),
        (
            {"type": "ModuleNotFoundError", "message": "No module named 'numpy.core'"},
            {},
            "The package numpy that the program imports is not in its environment.",
        ),
        (
            None,
            {"reason": "timeout", "timeout_seconds": 2.5},
            "It was stopped at its time limit of 2.5 s.",
        ),
        (
            None,
            {"reason": "budget_exceeded", "max_cost_usd": Decimal("0.50"), "max_llm_calls": 7},
            "The next call would have passed the budget of $0.50 and 7 calls.",
        ),
        (
            None,
            {"reason": "out_of_memory", "memory_limit_mb": 300.0},
            "It needed more memory than the 300 MB it may have.",
        ),
        (None, {"exit_code": 4}, "It ended with exit code 4, and nothing says why."),
        (None, {"exit_code": -9}, "Its process was ended by signal 9."),
    ],
)
def test_what_happened_is_one_sentence(
    exception: dict[str, Any] | None, fields: dict[str, Any], said: str
) -> None:
    assert classify(ended_with(exception, **fields)).explanation == said


@pytest.mark.parametrize("kind", FailureType)
def test_every_type_is_explained_in_a_sentence(kind: FailureType) -> None:
    told = advise(Finding(kind, 0.9, "said sk-live-1"), ended_with(None, exit_code=1), None)
    assert told.explanation.endswith(".")
    assert "sk-live-1" not in told.explanation
    assert told.suggestion.endswith(".")


@pytest.mark.parametrize(
    ("fields", "overrides", "command"),
    [
        (
            {"reason": "timeout", "timeout_seconds": 3600.0},
            {"timeout_seconds": 7200},
            "jupyter mellea retry 0123abcd --set timeout_seconds=7200",
        ),
        (
            {"reason": "timeout", "timeout_seconds": 0.25},
            {"timeout_seconds": 0.5},
            "jupyter mellea retry 0123abcd --set timeout_seconds=0.5",
        ),
        ({"reason": "timeout", "timeout_seconds": 7 * 24 * 3600.0}, None, None),
        (
            {"reason": "budget_exceeded", "max_cost_usd": Decimal("0.50")},
            {"max_cost_usd": "1.00"},
            "jupyter mellea retry 0123abcd --set max_cost_usd=1.00",
        ),
        (
            {
                "reason": "budget_exceeded", "max_cost_usd": Decimal("0.50"), "max_llm_calls": 3,
                "message": "this run may make 3 LLM call(s) (max_llm_calls) and has made them all",
            },
            {"max_llm_calls": 6},
            "jupyter mellea retry 0123abcd --set max_llm_calls=6",
        ),
        (
            {"reason": "out_of_memory", "memory_limit_mb": 300.0},
            None,
            "jupyter mellea env set env_1 memory_mb=600 && jupyter mellea retry 0123abcd",
        ),
    ],
)  # fmt: skip
def test_a_limit_that_was_met_is_doubled_for_the_retry(
    fields: dict[str, Any], overrides: dict[str, Any] | None, command: str | None
) -> None:
    step = classify(ended_with(None, **fields)).next_step
    assert step is not None
    assert step.overrides == overrides
    assert step.command_for("0123abcd-0000", "env_1") == command


def test_a_missing_key_is_given_to_the_retry() -> None:
    error = {"type": "openai.AuthenticationError", "message": "set OPENAI_API_KEY", "status": 401}
    step = classify(ended_with(error)).next_step
    assert step is not None
    assert step.action == NextAction.SET_KEY
    assert step.command_for("0123abcd-0000") == "jupyter mellea retry 0123abcd -e OPENAI_API_KEY"
