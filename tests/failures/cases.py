"""The failing runs of the corpus: what each one is, and what truly went wrong.

A case is labelled by what was done to make it fail, never by what its evidence looks like. The
README beside this file says how the doubtful ones were decided.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from mellea_jupyter.demo.wire import Reply

from .services import NGINX_502

TYPES: Final[dict[str, tuple[str, ...]]] = {
    "user_code": (
        "syntax_error",
        "runtime_error",
        "python_error",
        "validation_error",
        "generative_error",
        "missing_dependency",
    ),
    "program_outcome": ("requirements_unmet", "budget_exceeded", "precondition_failed", "timeout"),
    "external_service": (
        "authentication_error",
        "rate_limited",
        "provider_quota_exceeded",
        "context_length_exceeded",
        "model_not_found",
        "provider_error",
        "provider_timeout",
        "connection_error",
    ),
    "infrastructure": (
        "out_of_memory",
        "image_pull_failed",
        "network_error",
        "permission_error",
        "storage_error",
        "environment_unavailable",
        "engine_error",
        "kernel_died",
        "lost",
        "server_stopped",
    ),
    "unknown": ("unclassified",),
}
"""The categories and types that runs are labelled with."""

CATEGORY_OF: Final = {type_: category for category, types in TYPES.items() for type_ in types}


@dataclass(frozen=True)
class Case:
    """One run that fails.

    Attributes:
        name: Unique, and the name of its file.
        type: What truly went wrong, one of `TYPES`.
        program: File below `programs/`; a folder's `program.py` goes with its whole folder.
        args: Command-line arguments; `{full}` is a folder on a disk of 2 MiB.
        config: Further fields of its `RunConfig`.
        env: Its variables; `{llm}`, `{service}` and `{nobody}` are URLs of the scripted endpoint,
            of `FaultyService`, and of a port where nobody listens.
        replies: Script of its endpoint, which speaks the OpenAI and the Ollama protocol; None: it
            has none.
        environment: Id of its environment.
        server: Which server runs it, one of `record.SERVERS`.
        callable: Name of a function in `program` to call, instead of running the file.
        meddling: What happens to the run from outside, one of `meddling.ACTS`.
        dataset: Which dataset of the store it reads.
        seconds: How long it may take.
    """

    name: str
    type: str
    program: str
    args: tuple[str, ...] = ()
    config: Mapping[str, Any] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    replies: tuple[Reply | str, ...] | None = None
    environment: str = "default"
    server: str = "main"
    callable: str | None = None
    meddling: str | None = None
    dataset: str | None = None
    seconds: float = 90.0

    @property
    def category(self) -> str:
        """The category of its type."""
        return CATEGORY_OF[self.type]


def _plain(type_: str, *programs: str) -> list[Case]:
    """Programs that need nothing but Python, named after their files or folders."""
    return [Case(_name_of(Path(program)), type_, program) for program in programs]


def _name_of(program: Path) -> str:
    own = program.parent.name if program.name == "program.py" else program.stem
    return own.replace("_", "-")


# What providers say. Texts, codes and status codes are theirs.

BAD_KEY: Final = Reply(
    status=401,
    text="Incorrect API key provided: sk-proj-********************0000. You can find your API key "
    "at https://platform.openai.com/account/api-keys.",
    error_type="invalid_request_error",
    error_code="invalid_api_key",
)
NO_REGION: Final = Reply(
    status=403,
    text="Country, region, or territory not supported",
    error_type="request_forbidden",
    error_code="unsupported_country_region_territory",
)
NO_ACCESS: Final = Reply(
    status=403,
    text="Project `proj_a1b2c3` does not have access to model `gpt-4o`",
    error_type="invalid_request_error",
    error_code="model_not_found",
)
TOO_FAST: Final = Reply(
    status=429,
    text="Rate limit reached for gpt-4o in organization org-a1b2 on tokens per min (TPM): Limit "
    "30000, Used 29411, Requested 912. Please try again in 646ms.",
    error_type="tokens",
    error_code="rate_limit_exceeded",
    headers={"retry-after-ms": "100"},
)
TOO_LARGE: Final = Reply(
    status=429,
    text="Request too large for gpt-4o in organization org-a1b2 on tokens per min (TPM): Limit "
    "30000, Requested 41230. The input or output tokens must be reduced in order to run "
    "successfully.",
    error_type="tokens",
    error_code="rate_limit_exceeded",
    headers={"retry-after-ms": "100"},
)
NO_MONEY: Final = Reply(
    status=429,
    text="You exceeded your current quota, please check your plan and billing details. For more "
    "information on this error, read the docs: "
    "https://platform.openai.com/docs/guides/error-codes/api-errors.",
    error_type="insufficient_quota",
    error_code="insufficient_quota",
)
TOO_LONG: Final = Reply(
    status=400,
    text="This model's maximum context length is 128000 tokens. However, your messages resulted in "
    "190321 tokens. Please reduce the length of the messages.",
    error_type="invalid_request_error",
    error_code="context_length_exceeded",
)
TOO_LONG_VLLM: Final = Reply(
    status=400,
    body='{"object":"error","message":"This model\'s maximum context length is 4096 tokens. '
    "However, you requested 5210 tokens (4698 in the messages, 512 in the completion). Please "
    'reduce the length of the messages or completion.","type":"BadRequestError","param":null,'
    '"code":400}',
)
NO_MODEL: Final = Reply(
    status=404,
    text="The model `gpt-4o` does not exist or you do not have access to it.",
    error_type="invalid_request_error",
    error_code="model_not_found",
)
BROKEN: Final = Reply(
    status=500,
    text="The server had an error while processing your request. Sorry about that!",
    error_type="server_error",
)
PROXY: Final = Reply(status=502, body=NGINX_502, content_type="text/html")
OVERLOADED: Final = Reply(
    status=503,
    text="The engine is currently overloaded, please try again later.",
    error_type="service_unavailable",
)
BAD_TEMPERATURE: Final = Reply(
    status=400,
    text="Invalid 'temperature': decimal above maximum value. Expected a value <= 2, but got 7.",
    error_type="invalid_request_error",
    error_code="decimal_above_max_value",
)
HANGS: Final = Reply(text="too late", delay_seconds=60)
RESETS: Final = Reply(cut_after=0)
CUT: Final = Reply(text="once upon a time there was a lighthouse by the sea", cut_after=4)

OLLAMA_NO_MODEL: Final = Reply(status=404, text="model 'llama3' not found")
OLLAMA_DIED: Final = Reply(status=500, text="llama runner process has terminated: exit status 2")
OLLAMA_SMALL: Final = Reply(
    status=500,
    text="model requires more system memory (5.6 GiB) than is available (2.1 GiB)",
)
OLLAMA_BUSY: Final = Reply(
    status=503, text="server busy, please try again.  maximum pending requests exceeded"
)
OLLAMA_KEY: Final = Reply(status=401, text="unauthorized")
OLLAMA_FAST: Final = Reply(
    status=429, text="you've reached your hourly usage limit, please upgrade to continue"
)
OLLAMA_LONG: Final = Reply(status=400, text="the input length exceeds the context length")

KEY: Final = "sk-proj-scripted-0000000000000000"
NOBODY: Final = {
    "OPENAI_BASE_URL": "{nobody}/v1",
    "OPENAI_API_KEY": KEY,
    "OLLAMA_HOST": "{nobody}",
    "LLM_URL": "{nobody}",
}


def _openai(
    name: str, type_: str, program: str, *replies: Reply | str, **further: Any
) -> Case:  # fmt: skip
    env = {
        "OPENAI_BASE_URL": "{llm}/v1",
        "OPENAI_API_KEY": KEY,
        "OLLAMA_HOST": "{llm}",
        **further.pop("env", {}),
    }
    return Case(name, type_, f"llm/{program}.py", replies=replies, env=env, **further)


def _litellm(name: str, type_: str, program: str, model: str, *replies: Reply | str,
             url: str = "{llm}/v1", **further: Any) -> Case:  # fmt: skip
    env = {
        "LLM_URL": url,
        "OPENAI_API_KEY": KEY,
        "ANTHROPIC_API_KEY": "sk-ant-scripted-0000000000",
        "GEMINI_API_KEY": "AIza-scripted-00000000000",
        "DEEPSEEK_API_KEY": "sk-scripted-000000000000",
        **further.pop("env", {}),
    }
    return Case(
        name, type_, f"llm/{program}.py", args=(model,), env=env, environment="litellm",
        replies=replies or None, **further,
    )  # fmt: skip


def _weather(name: str, type_: str, program: str, service: str) -> Case:
    url = "{nobody}" if service == "nobody" else f"{{service}}/weather-{service}"
    if service == "invalid":
        url = "http://weather.invalid"
    return Case(name, type_, f"services/{program}.py", env={"WEATHER_URL": url})


USER_CODE: Final = [
    *_plain(
        "syntax_error",
        "syntax/unclosed_bracket.py",
        "syntax/python_two.py",
        "syntax/mixed_indentation.py",
        "syntax/in_imported_module/program.py",
        "syntax/not_utf8_declared.py",
        "syntax/generated_code.py",
    ),
    *_plain(
        "runtime_error",
        "plain/key_error.py",
        "plain/type_error_in_library.py",
        "plain/zero_division.py",
        "plain/own_file_missing.py",
        "plain/own_folder_missing.py",
        "plain/is_a_directory.py",
        "plain/recursion.py",
        "plain/unicode_decode.py",
        "plain/assertion.py",
        "plain/keyboard_interrupt.py",
        "plain/value_error_from_own_file.py",
        "plain/during_handling.py",
        "plain/attribute_of_none.py",
        "plain/name_error.py",
        "plain/unbound_local.py",
        "plain/worker_process.py",
        "plain/worker_thread.py",
        "plain/thread_then_exit.py",
        "plain/group_of_own_errors.py",
        "plain/group_nested.py",
        "plain/own_wait_for.py",
        "plain/numpy_shapes.py",
        "plain/message_about_limits.py",
        "plain/log_about_memory.py",
        "plain/exit_with_message.py",
        "plain/argparse_usage.py",
        "plain/printed_traceback_then_exit.py",
        "plain/segfault.py",
        "plain/segfault_with_faulthandler.py",
        "plain/abort.py",
        "plain/stop_iteration_in_generator.py",
        "plain/broken_import.py",
        "plain/input_is_empty.py",
        "plain/quickstart.ipynb",
        "imports/own_package/program.py",
        "imports/own_name/program.py",
        "imports/stdlib_name.py",
        "machine/lock_held.py",
    ),
    Case(
        "callable-parameters", "runtime_error", "plain/callable_parameters.py", callable="plan",
        config={"parameters": {"city": "Lisbon", "days": 3}},
    ),
    Case("key-error-in-container", "runtime_error", "plain/key_error.py", environment="bare"),
    Case("zero-division-fresh", "runtime_error", "plain/zero_division.py",
         config={"isolation": "fresh"}),
    *_plain(
        "python_error",
        "plain/json_of_a_file.py",
        "plain/own_exception.py",
        "plain/own_exception_from_key_error.py",
        "plain/subprocess_fails.py",
        "plain/subprocess_timeout.py",
        "plain/sqlite.py",
        "plain/decimal_operation.py",
        "plain/queue_empty.py",
        "plain/numpy_linalg.py",
        "imports/openai_of_old.py",
        "data/model_definition.py",
    ),
    Case("own-exception-in-container", "python_error", "plain/own_exception.py",
         environment="bare"),
    *_plain(
        "validation_error",
        "data/own_model.py",
        "data/validated_call.py",
        "data/type_adapter.py",
        "data/wrapped_validation.py",
        "data/settings.py",
    ),
    Case("own-model-in-container", "validation_error", "data/own_model.py", environment="mellea"),
    *_plain(
        "missing_dependency",
        "imports/missing_package.py",
        "imports/missing_package_late.py",
        "imports/missing_submodule_of_library.py",
        "imports/wrapped_import_error.py",
        "imports/litellm_extra.py",
        "imports/hf_extra.py",
        "plain/tool_missing.py",
    ),
    Case("venv-without-mellea", "missing_dependency", "imports/mellea_where_it_is_not.py",
         environment="plain-venv"),
    Case("image-without-mellea", "missing_dependency", "imports/mellea_where_it_is_not.py",
         environment="bare"),
    _openai("generative-not-a-number", "generative_error", "unparsable_number",
            '{"result": "many"}'),
    _openai("generative-not-one-of-them", "generative_error", "classify_tickets",
            '{"result": "low"}', '{"result": "urgent"}'),
    _openai("generative-ollama", "generative_error", "unparsable_ollama",
            '{"result": "happy"}', '{"result": '),
    _openai("generative-nested", "generative_error", "nested_generative",
            '{"result": {"title": "Old town", "stops": "castle, cathedral"}}'),
    _openai("structured-reply-lacks-a-field", "generative_error", "structured_instruct",
            '{"city": "Lisbon", "days": 3}'),
    _openai("structured-reply-cut-short", "generative_error", "structured_instruct",
            '{"city": "Lisbon", "nig'),
    _litellm("litellm-generative", "generative_error", "litellm_generative", "openai/gpt-4o",
             '{"result": "rather not"}'),
    _openai("json-of-reply", "python_error", "json_of_reply", "Sure! Here is your plan: …"),
    _openai("key-of-reply", "runtime_error", "key_of_reply", '{"days": 3}'),
    _openai("int-of-reply", "runtime_error", "int_of_reply", "Eight out of ten."),
    _openai("validation-function-fails", "runtime_error", "validation_function_fails", "No."),
    _openai("asserts-on-sampling", "runtime_error", "asserts_on_sampling", "quietly"),
    _openai("fallback-then-own-mistake", "runtime_error", "fallback_then_own_mistake",
            OVERLOADED, "Faro"),
    _openai("unknown-backend", "runtime_error", "unknown_backend"),
    _openai("react-gives-up", "runtime_error", "react_gives_up",
            Reply(text="I am still thinking.")),
    _openai("requirements-without-strategy", "runtime_error", "requirements_without_strategy"),
    _openai("model-in-options", "runtime_error", "model_in_options", "Lisbon"),
    _openai("bad-parameter", "python_error", "openai_client", BAD_TEMPERATURE),
    Case("bad-request-of-own-type", "python_error", "llm/moderation.py",
         env={"MODERATION_URL": "{service}/moderation-400", "OPENAI_API_KEY": KEY}),
    _weather("requests-404", "python_error", "requests_get", "404"),
    _weather("urllib-404", "python_error", "urllib_get", "404"),
    _weather("key-of-a-service-reply", "runtime_error", "key_of_reply", "ok"),
]  # fmt: skip

OUTCOMES: Final = [
    _openai("strict-rejection", "requirements_unmet", "requirement_never_met", "no full stop",
            config={"strict_requirements": True}),
    _openai("strict-judged-ollama", "requirements_unmet", "requirement_never_met_ollama",
            "Pay!", "no", "Pay now!", "no", config={"strict_requirements": True}),
    _openai("strict-in-container", "requirements_unmet", "requirement_never_met", "no full stop",
            config={"strict_requirements": True}, environment="mellea"),
    _openai("budget-of-calls", "budget_exceeded", "many_calls", "an idea",
            config={"max_llm_calls": 2}),
    _openai("budget-gathered-ollama", "budget_exceeded", "many_calls_ollama", "an answer",
            config={"max_llm_calls": 3}),
    _openai("budget-wrapped", "budget_exceeded", "many_calls_wrapped", "done",
            config={"max_llm_calls": 1}),
    _openai("budget-in-container", "budget_exceeded", "many_calls", "an idea",
            config={"max_llm_calls": 1}, environment="mellea"),
    _openai("precondition", "precondition_failed", "precondition"),
    _openai("precondition-judged-ollama", "precondition_failed", "precondition_judged", "no"),
    _openai("precondition-wrapped", "precondition_failed", "precondition_wrapped"),
    Case("timeout-sleeping", "timeout", "machine/sleeps.py", config={"timeout_seconds": 1}),
    Case("timeout-ignores-sigterm", "timeout", "machine/ignores_sigterm.py",
         config={"timeout_seconds": 1}),
    Case("timeout-computing", "timeout", "machine/computes.py", config={"timeout_seconds": 1}),
    Case("timeout-raises-when-terminated", "timeout", "machine/raises_when_terminated.py",
         config={"timeout_seconds": 1}),
    Case("timeout-in-container", "timeout", "machine/sleeps.py", config={"timeout_seconds": 1},
         environment="bare"),
    _openai("timeout-while-the-model-thinks", "timeout", "summarise_reviews", HANGS,
            config={"timeout_seconds": 3}),
]  # fmt: skip

SERVICES: Final = [
    # authentication
    _openai("openai-401", "authentication_error", "summarise_reviews", BAD_KEY),
    _openai("openai-403-region", "authentication_error", "classify_tickets", NO_REGION),
    _openai("openai-401-client", "authentication_error", "openai_client", BAD_KEY),
    _openai("openai-401-group", "authentication_error", "parallel_briefs", BAD_KEY),
    _openai("openai-401-caught", "authentication_error", "caught_and_told", BAD_KEY),
    _openai("openai-401-http", "authentication_error", "raw_http_chat", BAD_KEY),
    _openai("openai-401-in-container", "authentication_error", "summarise_reviews", BAD_KEY,
            environment="mellea"),
    Case("openai-no-key", "authentication_error", "llm/summarise_reviews.py"),
    Case("openai-no-key-client", "authentication_error", "llm/openai_client.py"),
    _openai("ollama-401", "authentication_error", "ollama_tagline", OLLAMA_KEY),
    _litellm("litellm-401", "authentication_error", "litellm_session", "openai/gpt-4o", BAD_KEY),
    _litellm("litellm-anthropic-401", "authentication_error", "litellm_session",
             "anthropic/claude-sonnet-4-5", url="{service}/anthropic-401"),
    _litellm("litellm-gemini-key", "authentication_error", "litellm_completion",
             "gemini/gemini-2.5-flash", url="{service}/gemini-key"),
    Case("litellm-no-key", "authentication_error", "llm/litellm_session.py",
         args=("anthropic/claude-sonnet-4-5",), environment="litellm"),
    Case("boto-no-credentials", "authentication_error", "services/boto_no_credentials.py",
         environment="litellm", env={"AWS_EC2_METADATA_DISABLED": "true"}),
    _weather("requests-401", "authentication_error", "requests_get", "401"),
    _weather("urllib-403", "authentication_error", "urllib_get", "403"),
    # limits
    _openai("openai-429", "rate_limited", "summarise_reviews", "nice rooms", TOO_FAST),
    _openai("openai-429-too-large", "rate_limited", "chat_history", "go on", TOO_LARGE),
    _openai("openai-429-group", "rate_limited", "parallel_briefs", TOO_FAST),
    _openai("openai-429-wrapped", "rate_limited", "wrapped_failure", TOO_FAST),
    _openai("openai-429-hidden", "rate_limited", "wrapped_without_cause", TOO_FAST),
    _openai("openai-429-threads", "rate_limited", "thread_pool", TOO_FAST),
    _openai("openai-429-callable", "rate_limited", "session_from_callable", TOO_FAST,
            callable="summary", config={"parameters": {"text": "Trams."}}),
    _openai("ollama-429", "rate_limited", "ollama_gathered", OLLAMA_FAST),
    _litellm("litellm-429", "rate_limited", "litellm_completion", "openai/gpt-4o", TOO_FAST),
    _litellm("litellm-anthropic-429", "rate_limited", "litellm_session",
             "anthropic/claude-sonnet-4-5", url="{service}/anthropic-429"),
    _weather("httpx-429", "rate_limited", "httpx_get", "429"),
    _openai("openai-quota", "provider_quota_exceeded", "summarise_reviews", NO_MONEY),
    _openai("openai-quota-caught", "provider_quota_exceeded", "caught_and_told", NO_MONEY),
    Case("openai-quota-embeddings", "provider_quota_exceeded", "llm/embeddings.py",
         env={"EMBEDDINGS_URL": "{service}/embeddings-quota", "OPENAI_API_KEY": KEY}),
    _litellm("litellm-quota", "provider_quota_exceeded", "litellm_completion", "openai/gpt-4o",
             NO_MONEY),
    _litellm("litellm-anthropic-credit", "provider_quota_exceeded", "litellm_session",
             "anthropic/claude-sonnet-4-5", url="{service}/anthropic-credit"),
    _litellm("litellm-deepseek-402", "provider_quota_exceeded", "litellm_completion",
             "deepseek/deepseek-chat", url="{service}/deepseek-402"),
    _openai("openai-context", "context_length_exceeded", "chat_history", "go on", "more", TOO_LONG),
    _openai("openai-context-vllm", "context_length_exceeded", "summarise_reviews", TOO_LONG_VLLM),
    _openai("ollama-context", "context_length_exceeded", "ollama_tagline", OLLAMA_LONG),
    _litellm("litellm-context", "context_length_exceeded", "litellm_session", "openai/gpt-4o",
             TOO_LONG),
    _litellm("litellm-anthropic-context", "context_length_exceeded", "litellm_session",
             "anthropic/claude-sonnet-4-5", url="{service}/anthropic-context"),
    # models
    _openai("openai-404", "model_not_found", "summarise_reviews", NO_MODEL),
    _openai("openai-403-no-access", "model_not_found", "classify_tickets", NO_ACCESS),
    Case("openai-404-embeddings", "model_not_found", "llm/embeddings.py",
         env={"EMBEDDINGS_URL": "{service}/embeddings-model", "OPENAI_API_KEY": KEY}),
    _openai("ollama-404", "model_not_found", "ollama_tagline", OLLAMA_NO_MODEL),
    Case("ollama-cannot-pull", "model_not_found", "llm/ollama_unknown_model.py",
         env={"OLLAMA_HOST": "{service}/ollama-empty"}),
    _litellm("litellm-404", "model_not_found", "litellm_session", "openai/gpt-4o", NO_MODEL),
    _litellm("litellm-ollama-404", "model_not_found", "litellm_session", "ollama_chat/llama3",
             OLLAMA_NO_MODEL, url="{llm}"),
    _litellm("litellm-anthropic-404", "model_not_found", "litellm_completion",
             "anthropic/claude-3-opus-latest", url="{service}/anthropic-model"),
    # errors of the provider
    _openai("openai-500", "provider_error", "summarise_reviews", BROKEN),
    _openai("openai-502-html", "provider_error", "classify_tickets", PROXY),
    _openai("openai-503-group", "provider_error", "parallel_briefs", OVERLOADED),
    _openai("openai-503-httpx", "provider_error", "httpx_chat", OVERLOADED),
    _openai("ollama-500", "provider_error", "ollama_tagline", OLLAMA_DIED),
    _openai("ollama-500-needs-memory", "provider_error", "ollama_tagline", OLLAMA_SMALL),
    _openai("ollama-503-client", "provider_error", "ollama_client", OLLAMA_BUSY),
    _litellm("litellm-500", "provider_error", "litellm_session", "openai/gpt-4o", BROKEN),
    _litellm("litellm-ollama-500", "provider_error", "litellm_completion", "ollama_chat/llama3",
             OLLAMA_DIED, url="{llm}"),
    _litellm("litellm-anthropic-529", "provider_error", "litellm_session",
             "anthropic/claude-sonnet-4-5", url="{service}/anthropic-529"),
    _weather("httpx-500", "provider_error", "httpx_get", "500"),
    _weather("requests-503-wrapped", "provider_error", "wrapped_service_error", "503"),
    _weather("httpx-502-group", "provider_error", "gathered", "502"),
    # silence
    _openai("openai-hangs", "provider_timeout", "short_timeout", HANGS),
    _openai("openai-hangs-client", "provider_timeout", "openai_client", HANGS),
    _openai("openai-hangs-own-deadline", "provider_timeout", "own_deadline", HANGS),
    _openai("openai-hangs-http", "provider_timeout", "raw_http_chat", HANGS),
    _openai("ollama-hangs", "provider_timeout", "ollama_client", HANGS),
    _litellm("litellm-hangs", "provider_timeout", "litellm_completion", "openai/gpt-4o", HANGS),
    _weather("urllib-hangs", "provider_timeout", "urllib_get", "hangs"),
    _weather("httpx-hangs", "provider_timeout", "httpx_get", "hangs"),
    # no connection
    Case("openai-refused", "connection_error", "llm/summarise_reviews.py", env=NOBODY),
    Case("openai-refused-group", "connection_error", "llm/parallel_briefs.py", env=NOBODY),
    Case("openai-refused-wrapped", "connection_error", "llm/wrapped_failure.py", env=NOBODY),
    _openai("openai-reset", "connection_error", "openai_client", RESETS),
    _openai("openai-reset-while-streaming", "connection_error", "stream_story", CUT),
    _openai("openai-client-reset-while-streaming", "connection_error", "openai_stream", CUT),
    Case("openai-unresolvable", "connection_error", "llm/openai_client.py",
         env={**NOBODY, "OPENAI_BASE_URL": "http://llm.invalid/v1"}),
    Case("ollama-refused", "connection_error", "llm/ollama_tagline.py", env=NOBODY),
    Case("ollama-refused-client", "connection_error", "llm/ollama_client.py", env=NOBODY),
    _openai("ollama-reset-while-streaming", "connection_error", "ollama_stream", CUT),
    Case("ollama-refused-in-container", "connection_error", "llm/ollama_tagline.py", env=NOBODY,
         environment="mellea"),
    Case("litellm-refused", "connection_error", "llm/litellm_session.py", args=("openai/gpt-4o",),
         env=NOBODY, environment="litellm"),
    Case("litellm-ollama-refused", "connection_error", "llm/litellm_completion.py",
         args=("ollama_chat/llama3",), env=NOBODY, environment="litellm"),
    _weather("requests-refused", "connection_error", "requests_get", "nobody"),
    _weather("requests-unresolvable-wrapped", "connection_error", "wrapped_service_error",
             "invalid"),
    _weather("httpx-refused-group", "connection_error", "gathered", "nobody"),
    _weather("urllib-refused", "connection_error", "urllib_get", "nobody"),
    _weather("httpx-reset", "connection_error", "httpx_get", "resets"),
    *_plain(
        "connection_error",
        "services/smtp.py",
        "services/raw_socket.py",
        "services/unresolvable.py",
    ),
    Case("boto-unreachable", "connection_error", "services/boto_unreachable.py",
         env={"STORE_URL": "{nobody}"}, environment="litellm"),
    Case("hub-unreachable", "connection_error", "services/hub_unreachable.py",
         env={"HF_ENDPOINT": "{nobody}"}, environment="litellm"),
    Case("no-network-in-container", "connection_error", "services/no_route_in_container.py",
         environment="bare"),
]  # fmt: skip

FULL: Final = ("{full}",)

INFRASTRUCTURE: Final = [
    *_plain(
        "out_of_memory",
        "machine/allocates_too_much.py",
        "machine/numpy_too_large.py",
        "machine/address_space.py",
    ),
    Case("memory-limit", "out_of_memory", "machine/leaks.py", environment="small"),
    Case("memory-limit-of-worker", "out_of_memory", "machine/leaks_in_worker.py",
         environment="small"),
    Case("container-memory-limit", "out_of_memory", "machine/leaks.py",
         environment="small-container"),
    Case("container-memory-limit-of-worker", "out_of_memory", "machine/leaks_in_worker.py",
         environment="small-container"),
    Case("container-memory-limit-of-child", "out_of_memory", "machine/child_is_killed.py",
         environment="small-container"),
    Case("image-tag-unknown", "image_pull_failed", "plain/key_error.py", environment="no-tag"),
    Case("image-needs-login", "image_pull_failed", "plain/key_error.py", environment="private"),
    Case("image-denied", "image_pull_failed", "plain/key_error.py", environment="denied"),
    Case("image-name-malformed", "image_pull_failed", "plain/key_error.py",
         environment="malformed"),
    Case("registry-refused", "network_error", "plain/key_error.py", environment="registry-down"),
    Case("registry-unresolvable", "network_error", "plain/key_error.py",
         environment="registry-unknown"),
    Case("engine-refused", "environment_unavailable", "plain/key_error.py", environment="bare",
         server="engine-refuses"),
    Case("store-refused", "network_error", "machine/counts.py", server="store", dataset="refused"),
    Case("store-denies", "permission_error", "machine/counts.py", server="store",
         dataset="denied"),
    Case("reads-shadow", "permission_error", "machine/reads_shadow.py", environment="bare"),
    Case("writes-beside-itself", "permission_error", "machine/writes_beside_itself.py",
         environment="bare"),
    Case("writes-into-system", "permission_error", "machine/writes_into_system.py",
         environment="bare"),
    Case("changes-owner", "permission_error", "machine/changes_owner.py", environment="bare"),
    Case("wrapped-permission", "permission_error", "machine/wrapped_permission.py",
         environment="bare"),
    *_plain(
        "permission_error", "machine/drops_privileges.py", "machine/script_not_executable.py"
    ),
    *_plain("storage_error", "machine/device_full.py"),
    Case("disk-full", "storage_error", "machine/fills_disk.py", args=FULL),
    Case("disk-full-copying", "storage_error", "machine/copies_to_full_disk.py", args=FULL),
    Case("disk-full-sqlite", "storage_error", "machine/sqlite_full.py", args=FULL),
    Case("disk-full-numpy", "storage_error", "machine/numpy_save_full.py", args=FULL),
    Case("disk-full-in-container", "storage_error", "machine/fills_disk.py", args=("/dev/shm",),
         environment="bare"),
    Case("interpreter-missing", "environment_unavailable", "plain/key_error.py",
         environment="missing"),
    Case("interpreter-exits", "environment_unavailable", "plain/key_error.py",
         environment="exits"),
    Case("interpreter-crashes", "environment_unavailable", "plain/key_error.py",
         environment="crashes"),
    Case("venv-of-a-removed-python", "environment_unavailable", "plain/key_error.py",
         environment="dangling"),
    Case("executor-unknown", "environment_unavailable", "plain/key_error.py",
         environment="nowhere"),
    Case("environment-deleted", "environment_unavailable", "plain/key_error.py", server="narrow",
         meddling="delete_environment"),
    Case("image-without-python", "environment_unavailable", "plain/key_error.py",
         environment="empty-image"),
    Case("image-with-broken-python", "environment_unavailable", "plain/key_error.py",
         environment="broken-image"),
    Case("engine-absent", "environment_unavailable", "plain/key_error.py", environment="bare",
         server="engine-absent"),
    Case("container-refused", "engine_error", "plain/key_error.py", environment="too-small"),
    Case("engine-restarted", "engine_error", "machine/sleeps.py", environment="bare",
         server="own-engine", meddling="restart_engine"),
    Case("engine-killed", "engine_error", "machine/sleeps.py", environment="bare",
         server="own-engine", meddling="kill_engine"),
    Case("kernel-killed", "kernel_died", "machine/sleeps.py", environment="kernel",
         meddling="kill_kernel"),
    Case("kernel-crashed", "kernel_died", "machine/sleeps.py", environment="kernel",
         meddling="crash_kernel"),
    Case("supervisor-killed", "lost", "machine/sleeps.py", meddling="kill_supervisor"),
    Case("supervisor-killed-fresh", "lost", "machine/computes.py", config={"isolation": "fresh"},
         meddling="kill_supervisor"),
    Case("container-removed", "lost", "machine/sleeps.py", environment="bare",
         meddling="remove_container"),
    Case("supervisor-terminated", "server_stopped", "machine/sleeps.py",
         meddling="terminate_supervisor"),
    Case("container-stopped", "server_stopped", "machine/sleeps.py", environment="bare",
         meddling="stop_container"),
]  # fmt: skip

UNKNOWN: Final = _plain(
    "unclassified",
    "plain/exit_code_only.py",
    "plain/exit_at_once.py",
    "plain/kills_itself.py",
    "plain/terminates_itself.py",
)

CASES: Final[dict[str, Case]] = {
    case.name: case for case in [*USER_CODE, *OUTCOMES, *SERVICES, *INFRASTRUCTURE, *UNKNOWN]
}
