"""What people are told of a failure: its name, what happened, what to do, a button or a command.

**Source:** the suggestions for infrastructure failures are those of spec.md §5.8.1.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from pydantic import JsonValue

from mellea_jupyter.failures.evidence import Evidence, Frame
from mellea_jupyter.failures.exceptions import Finding
from mellea_jupyter.models.config import MAX_TIMEOUT_SECONDS
from mellea_jupyter.models.failures import FailureType as T
from mellea_jupyter.models.failures import NextAction, NextStep
from mellea_jupyter.models.run import StatusReason


@dataclass(frozen=True, slots=True)
class Advice:
    """What people are told."""

    summary: str
    explanation: str
    suggestion: str
    retryable: bool
    next_step: NextStep | None


# Name in lists; suggestion; whether the same run may succeed when it is tried again.
_TEXTS: Final[dict[T, tuple[str, str, bool]]] = {
    T.SYNTAX_ERROR: ("syntax error", "Correct the line, then run it again.", False),
    T.RUNTIME_ERROR: ("", "Look at the line of your program and what it was given.", False),
    T.PYTHON_ERROR: ("", "Look at the line of your program and what it was given.", False),
    T.VALIDATION_ERROR: (
        "validation failed",
        "The data does not fit the model it is checked against: compare the fields that are named.",
        False,
    ),
    T.GENERATIVE_ERROR: (
        "reply not usable",
        "The model's reply did not have the form that was asked for: try again or simplify it.",
        True,
    ),
    T.MISSING_DEPENDENCY: (
        "package missing",
        "Install the package in the run's environment, or choose one that has it.",
        False,
    ),
    T.REQUIREMENTS_UNMET: (
        "requirements not met",
        "See which requirements failed in Calls; raise the loop budget or reword them.",
        True,
    ),
    T.BUDGET_EXCEEDED: ("budget exceeded", "Raise the run's budget, or let it make fewer calls.",
                        False),
    T.PRECONDITION_FAILED: (
        "precondition failed",
        "The arguments do not satisfy the function's preconditions: check what it was given.",
        False,
    ),
    T.TIMEOUT: ("took too long", "Raise timeout_seconds, or let the program do less.", False),
    T.AUTHENTICATION_ERROR: (
        "key refused",
        "Check the provider's key: it is missing, wrong, or may not use this.",
        False,
    ),
    T.RATE_LIMITED: ("rate limit", "Wait, then try again; or make fewer calls at a time.", True),
    T.PROVIDER_QUOTA_EXCEEDED: (
        "provider's quota used up",
        "Check plan and billing with the provider, or use another model.",
        False,
    ),
    T.CONTEXT_LENGTH_EXCEEDED: (
        "prompt too long",
        "Shorten the prompt or the history, or use a model with a longer context.",
        False,
    ),
    T.MODEL_NOT_FOUND: ("model not found", "Check the model's name, or choose another one.", False),
    T.PROVIDER_ERROR: (
        "provider failed",
        "The provider could not serve the call: try again later, or use another model.",
        True,
    ),
    T.PROVIDER_TIMEOUT: (
        "provider too slow",
        "Try again, or give the calls more time.",
        True,
    ),
    T.CONNECTION_ERROR: (
        "no connection",
        "Check that the address is right and that the service answers.",
        True,
    ),
    T.OUT_OF_MEMORY: (
        "out of memory",
        "Increase memory limit in environment settings or optimize your program's memory usage.",
        False,
    ),
    T.IMAGE_PULL_FAILED: (
        "image not pulled",
        "Check that the container image exists and you have pull permissions.",
        False,
    ),
    T.NETWORK_ERROR: (
        "network error",
        "Verify network connectivity and that the target service is available.",
        True,
    ),
    T.PERMISSION_ERROR: (
        "permission denied",
        "Check file permissions and credential configuration.",
        False,
    ),
    T.STORAGE_ERROR: (
        "no space left",
        "Reduce artifact output size or increase storage quota.",
        False,
    ),
    T.ENVIRONMENT_UNAVAILABLE: (
        "environment not available",
        "Choose another environment; `jupyter mellea doctor` says what is wrong with this one.",
        False,
    ),
    T.ENGINE_ERROR: (
        "container engine failed",
        "Check the engine with `jupyter mellea doctor`, then try again.",
        True,
    ),
    T.KERNEL_DIED: ("kernel died", "Try again; if it dies again, look at its memory and its log.",
                    True),
    T.LOST: ("lost", "Try again: what supervised the run is gone, its end is not known.", True),
    T.SERVER_STOPPED: ("stopped from outside", "Try again: the run was ended from outside.", True),
    T.UNCLASSIFIED: ("failed", "See the end of the log.", False),
}  # fmt: skip

# What happened, where the type says it all. Nothing that a program or a provider wrote.
_EXPLANATIONS: Final[dict[T, str]] = {
    T.GENERATIVE_ERROR: "A model's reply could not be made what was asked for.",
    T.REQUIREMENTS_UNMET: "A sampling loop ended before its requirements were met.",
    T.PRECONDITION_FAILED: "A function was given arguments that its preconditions do not allow.",
    T.AUTHENTICATION_ERROR: "A service refused the key of the call, or there was none.",
    T.RATE_LIMITED: "The provider refused a call: too many of them in too short a time.",
    T.PROVIDER_QUOTA_EXCEEDED: "The provider refused a call: the account's quota is used up.",
    T.CONTEXT_LENGTH_EXCEEDED: "A prompt was longer than its model can read.",
    T.PROVIDER_ERROR: "The provider failed while it served a call.",
    T.PROVIDER_TIMEOUT: "The provider did not answer in time.",
    T.CONNECTION_ERROR: "A service that the program called could not be reached.",
    T.IMAGE_PULL_FAILED: "The container image could not be pulled.",
    T.NETWORK_ERROR: "The engine, the registry or a store could not be reached.",
    T.PERMISSION_ERROR: "A file or a service that the run needs is not open to it.",
    T.STORAGE_ERROR: "There was no space left for what the run wrote.",
    T.ENVIRONMENT_UNAVAILABLE: "The run's environment could not be started.",
    T.ENGINE_ERROR: "The container engine could not run the program.",
    T.KERNEL_DIED: "The kernel died while the program ran in it.",
    T.LOST: "What watched over the run is gone, so nobody can say how it ended.",
    T.SERVER_STOPPED: "The run was ended from outside before its program was done.",
}  # fmt: skip

_KEY_OF_PROVIDER: Final = {
    "openai": "OPENAI_API_KEY",
    "anthropic": "ANTHROPIC_API_KEY",
    "watsonx": "WATSONX_API_KEY",
    "mistral": "MISTRAL_API_KEY",
    "groq": "GROQ_API_KEY",
    "gemini": "GEMINI_API_KEY",
    "huggingface": "HF_TOKEN",
}
_KEY_NAME: Final = re.compile(r"\b([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*_(?:API_?KEY|TOKEN))\b")
_MODULE: Final = re.compile(r"No module named '([^']+)'")
_EXTRA: Final = re.compile(r"pip install ['\"]?([A-Za-z0-9_.\[\],-]+)")
_MODEL_NAME: Final = re.compile(r"[Mm]odel:? ['\"`]([^'\"`\s]+)['\"`]")


def advise(finding: Finding, evidence: Evidence, user: Frame | None) -> Advice:
    """Name, sentence, suggestion and next step of a finding; `user` is the user's own line."""
    summary, suggestion, retryable = _TEXTS[finding.type]
    return Advice(
        summary=summary or _class_name(finding),
        explanation=_explanation(finding, evidence, user),
        suggestion=suggestion,
        retryable=retryable,
        next_step=_next_step(finding, evidence, retryable=retryable),
    )


def _class_name(finding: Finding) -> str:
    """An exception's own name is the shortest word for it."""
    if finding.raised is None:
        return "program error"
    return finding.raised.type.rpartition(".")[2][:60]


def _explanation(finding: Finding, evidence: Evidence, user: Frame | None) -> str:
    """What happened, one sentence: figures and places, nothing that the program wrote."""
    place = "" if user is None else f" at line {user.line} of {user.file[-80:]}"
    match finding.type:
        case T.SYNTAX_ERROR:
            return f"The program is not valid Python{place}."
        case T.VALIDATION_ERROR:
            return f"Data did not fit the model it was checked against{place}."
        case T.MISSING_DEPENDENCY:
            package = _package(_said(finding))
            what = "A package" if package is None else f"The package {package}"
            return f"{what} that the program imports is not in its environment."
        case T.MODEL_NOT_FOUND:
            return f"The provider has no model {evidence.model or 'of this name'}."
        case T.TIMEOUT | T.BUDGET_EXCEEDED | T.OUT_OF_MEMORY:
            return _limit(finding.type, evidence)
        case T.RUNTIME_ERROR | T.PYTHON_ERROR | T.UNCLASSIFIED:
            return _ending(finding, evidence, place)
    return _EXPLANATIONS[finding.type]


def _limit(kind: T, evidence: Evidence) -> str:
    """Which limit ended it."""
    if kind == T.BUDGET_EXCEEDED:
        return f"The next call would have passed the budget{_budget(evidence)}."
    if kind == T.OUT_OF_MEMORY:
        limit = evidence.memory_limit_mb
        had = "there was" if limit is None else f"the {limit:g} MB it may have"
        return f"It needed more memory than {had}."
    if evidence.reason != StatusReason.TIMEOUT or evidence.timeout_seconds is None:
        return "It was stopped at a limit of its time."
    return f"It was stopped at its time limit of {evidence.timeout_seconds:g} s."


def _ending(finding: Finding, evidence: Evidence, place: str) -> str:
    """How a program ended of which no more is known than that."""
    code = evidence.exit_code
    if finding.raised is not None:
        return f"{_class_name(finding)} was raised{place}."
    if code is not None and code < 0:
        return f"Its process was ended by signal {-code}."
    unknown = ", and nothing says why" if finding.type == T.UNCLASSIFIED else ""
    return f"It ended{f' with exit code {code}' if code else ''}{unknown}."


def _budget(evidence: Evidence) -> str:
    said = []
    if evidence.max_cost_usd is not None:
        said.append(f"${evidence.max_cost_usd:f}")
    if evidence.max_llm_calls is not None:
        said.append(f"{evidence.max_llm_calls} calls")
    return f" of {' and '.join(said)}" if said else ""


def _said(finding: Finding) -> str:
    return finding.raised.message if finding.raised is not None else finding.evidence


def _next_step(finding: Finding, evidence: Evidence, *, retryable: bool) -> NextStep | None:
    message = _said(finding)
    match finding.type:
        case T.OUT_OF_MEMORY if evidence.memory_limit_mb is not None:
            return NextStep(
                action=NextAction.RETRY_WITH_MORE_MEMORY,
                label="Retry with more memory…",
                value=f"{2 * evidence.memory_limit_mb:.0f}",
            )
        case T.TIMEOUT:
            return NextStep(
                action=NextAction.RETRY_WITH_MORE_TIME,
                label="Retry with more time…",
                overrides=_more_time(evidence),
            )
        case T.BUDGET_EXCEEDED:
            return NextStep(
                action=NextAction.RETRY_WITH_MORE_BUDGET,
                label="Retry with a larger budget…",
                overrides=_more_budget(evidence, message),
            )
        case T.AUTHENTICATION_ERROR:
            key = _key_name(finding, evidence, message)
            return NextStep(action=NextAction.SET_KEY, label=f"Set {key or 'the key'}…", value=key)
        case T.MODEL_NOT_FOUND:
            return _pull(finding, evidence, message)
        case T.MISSING_DEPENDENCY:
            return _install(message)
    if retryable:
        return NextStep(action=NextAction.RETRY, label="Retry")
    if evidence.exception is not None and finding.is_of_user_code:
        return NextStep(action=NextAction.OPEN_SOURCE, label="Show the line")
    return None


def _more_time(evidence: Evidence) -> dict[str, JsonValue] | None:
    """Twice as much as it had."""
    had = evidence.timeout_seconds
    if had is None or evidence.reason != StatusReason.TIMEOUT or had >= MAX_TIMEOUT_SECONDS:
        return None
    more = min(2 * had, MAX_TIMEOUT_SECONDS)
    return {"timeout_seconds": int(more) if more == int(more) else more}


def _more_budget(evidence: Evidence, message: str) -> dict[str, JsonValue] | None:
    """Twice the limit that was met; twice both where that is not said."""
    cost, calls = evidence.max_cost_usd, evidence.max_llm_calls
    doubled: dict[str, JsonValue] = {}
    if cost is not None and (calls is None or "max_llm_calls" not in message):
        doubled["max_cost_usd"] = f"{2 * Decimal(cost):f}"
    if calls is not None and (cost is None or "max_cost_usd" not in message):
        doubled["max_llm_calls"] = 2 * calls
    return doubled or None


def _key_name(finding: Finding, evidence: Evidence, message: str) -> str | None:
    if found := _KEY_NAME.search(message):
        return found[1]
    names = (evidence.model or "", finding.raised.type if finding.raised is not None else "")
    for provider, key in _KEY_OF_PROVIDER.items():
        if any(name.startswith((f"{provider}/", f"{provider}.", f"litellm/{provider}/"))
               for name in names):  # fmt: skip
            return key
    return None


def _pull(finding: Finding, evidence: Evidence, message: str) -> NextStep | None:
    """Only Ollama's models can be fetched by those who run the program."""
    kind = finding.raised.type if finding.raised is not None else ""
    model = evidence.model or ""
    is_ollama = kind.startswith("ollama.") or "ollama" in message.lower() or (
        model.startswith(("ollama/", "litellm/ollama"))
    )  # fmt: skip
    if not is_ollama:
        return None
    found = _MODEL_NAME.search(message)
    name = found[1] if found else model.rpartition("/")[2]
    if not name:
        return None
    return NextStep(
        action=NextAction.PULL_MODEL,
        label=f"Pull {name}",
        command=f"ollama pull {shlex.quote(name)}",
        value=name,
    )


def _package(message: str) -> str | None:
    if found := _EXTRA.search(message):
        return found[1]
    found = _MODULE.search(message)
    return found[1].partition(".")[0] if found else None


def _install(message: str) -> NextStep | None:
    package = _package(message)
    if package is None:
        return None
    return NextStep(
        action=NextAction.INSTALL_PACKAGE,
        label=f"Install {package}",
        command=f"pip install {shlex.quote(package)}",
        value=package,
    )
