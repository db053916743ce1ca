"""What a single exception says of a failure: its type first, its text last.

**Source:** the exceptions of the OpenAI, LiteLLM, Ollama, httpx, requests and pydantic packages
and of mellea itself, as programs that use them end with.
"""

from __future__ import annotations

import builtins
import errno
import re
from dataclasses import dataclass
from typing import Final

from mellea_jupyter.failures.evidence import Raised
from mellea_jupyter.models.failures import FailureCategory
from mellea_jupyter.models.failures import FailureType as T


@dataclass(frozen=True, slots=True)
class Finding:
    """A type, how sure it is, what it rests on, and the exception behind it."""

    type: T
    confidence: float
    evidence: str
    raised: Raised | None = None

    @property
    def blames_program(self) -> bool:
        """Whether it says no more than that the program raised something."""
        return self.type in (T.RUNTIME_ERROR, T.PYTHON_ERROR)

    @property
    def is_of_user_code(self) -> bool:
        """Whether the program has to change."""
        return self.type.category == FailureCategory.USER_CODE


_BUILTIN_NAMES: Final = frozenset(
    name
    for name, value in vars(builtins).items()
    if isinstance(value, type) and issubclass(value, BaseException)
)
BUDGET_ERROR: Final = re.compile(r"mellea_(runtime|jupyter(\.runtime)?)\b.*\bBudgetExceeded")

_PROVIDERS: Final = re.compile(
    r"(openai|litellm|ollama|anthropic|groq|mistralai|cohere|together|huggingface_hub|ibm_watsonx_ai"
    r"|google\.(genai|api_core)|botocore)\."
)
_HTTP_CLIENTS: Final = re.compile(
    r"(httpx|httpcore|requests|urllib|urllib3|aiohttp|http\.client|websockets|websocket|grpc|boto3"
    r"|botocore|obstore|paramiko|smtplib|ftplib|redis|pymongo|psycopg|psycopg2|asyncpg|sqlalchemy)\."
)

# Of a provider's exception, by the class's own name.
_PROVIDER_CLASSES: Final = {
    "AuthenticationError": T.AUTHENTICATION_ERROR,
    "PermissionDeniedError": T.AUTHENTICATION_ERROR,
    "RateLimitError": T.RATE_LIMITED,
    "NotFoundError": T.MODEL_NOT_FOUND,
    "ContextWindowExceededError": T.CONTEXT_LENGTH_EXCEEDED,
    "BudgetExceededError": T.PROVIDER_QUOTA_EXCEEDED,
    "APITimeoutError": T.PROVIDER_TIMEOUT,
    "Timeout": T.PROVIDER_TIMEOUT,
    "APIConnectionError": T.CONNECTION_ERROR,
    "BadRequestError": T.PYTHON_ERROR,  # the program asks for what there is not
    "UnprocessableEntityError": T.PYTHON_ERROR,
    "JSONSchemaValidationError": T.GENERATIVE_ERROR,
    "LengthFinishReasonError": T.GENERATIVE_ERROR,
}
_PROVIDER_REPLIES: Final = re.compile(r"\.(API\w*Error|ResponseError|ClientError|HTTP\w*Error)$")
_STATUSES: Final = {
    401: T.AUTHENTICATION_ERROR,
    402: T.PROVIDER_QUOTA_EXCEEDED,
    403: T.AUTHENTICATION_ERROR,
    407: T.AUTHENTICATION_ERROR,
    408: T.PROVIDER_TIMEOUT,
    413: T.CONTEXT_LENGTH_EXCEEDED,
    429: T.RATE_LIMITED,
    504: T.PROVIDER_TIMEOUT,
}
_SERVER_ERRORS: Final = range(500, 600)

# What providers say where neither class nor status does.
_CONTEXT: Final = re.compile(
    r"context_length_exceeded|context (length|window)|maximum context|prompt is too long"
    r"|too many tokens|exceeds? the (model'?s )?(maximum|available) context",
    re.IGNORECASE,
)
_QUOTA: Final = re.compile(
    r"insufficient_quota|exceeded your current quota|billing|credit balance|out of credits"
    r"|payment required|spending limit|balance is too low",
    re.IGNORECASE,
)
_NO_MODEL: Final = re.compile(
    r"model_not_found|model\b[^.\n]{0,120}?(not found|does not exist|not supported"
    r"|could not be pulled|not exist|is not available|unknown)|not have access to model"
    r"|LLM Provider NOT provided|unknown model|invalid model|pull model",
    re.IGNORECASE,
)
_NO_KEY: Final = re.compile(
    r"(api[_ -]?key|credentials?|access[_ ]token)[^\n]{0,80}?(required|must be set|not set|missing"
    r"|not found|not provided|no default|invalid|incorrect)"
    r"|(incorrect|invalid|missing|no|unable to locate) (api[_ -]?key|credentials)|unauthori[sz]ed",
    re.IGNORECASE,
)
_TIMED_OUT: Final = re.compile(r"timed? ?out|deadline exceeded", re.IGNORECASE)
_NO_CONNECTION: Final = re.compile(
    r"connection (error|refused|reset|aborted|closed)|connect(ion)? failed|failed to connect"
    r"|cannot connect|could not connect|all connection attempts failed|name or service not known"
    r"|temporary failure in name resolution|nodename nor servname|network is unreachable"
    r"|no route to host|getaddrinfo failed|max retries exceeded|server disconnected"
    r"|remote end closed|peer closed connection|server not running|certificate verify failed"
    r"|name resolution",
    re.IGNORECASE,
)
_HTTP_STATUS: Final = re.compile(
    r"(?:error code:?|http error|status(?: code)?:?|error|http/\d(?:\.\d)?\"?) ['\"]?([45]\d\d)\b"
    r"|\b([45]\d\d) (?:client|server) error",
    re.IGNORECASE,
)

# Of libraries for the network, by their own name for it; bases count.
_CONNECTION_NAMES: Final = re.compile(
    r"((httpx|httpcore)\.(_exceptions\.)?(NetworkError|ConnectError|ReadError|WriteError|CloseError"
    r"|ConnectTimeout|ProtocolError|RemoteProtocolError|ProxyError)"
    r"|requests\.exceptions\.(ConnectionError|SSLError|ProxyError|ConnectTimeout|ChunkedEncodingError)"
    r"|urllib3\.exceptions\.(NewConnectionError|MaxRetryError|ProtocolError|SSLError)"
    r"|urllib\.error\.URLError|http\.client\.(RemoteDisconnected|IncompleteRead|BadStatusLine)"
    r"|aiohttp\.client_exceptions\.(ClientConnectionError|ClientPayloadError)"
    r"|socket\.(gaierror|herror)|ssl\.SSLError|ConnectionError"
    r"|websockets\.exceptions\.WebSocketException|redis\.exceptions\.ConnectionError"
    r"|smtplib\.(SMTPConnectError|SMTPServerDisconnected)|psycopg2?\.OperationalError)"
)
_READ_TIMEOUTS: Final = re.compile(
    r"((httpx|httpcore)\.(_exceptions\.)?(TimeoutException|ReadTimeout|WriteTimeout|PoolTimeout)"
    r"|requests\.exceptions\.(Timeout|ReadTimeout)|urllib3\.exceptions\.TimeoutError"
    r"|aiohttp\.client_exceptions\.ServerTimeoutError|openai\.APITimeoutError)"
)
_STATUS_ERRORS: Final = re.compile(
    r"(httpx\.(_exceptions\.)?HTTPStatusError|requests\.exceptions\.HTTPError"
    r"|urllib\.error\.HTTPError|aiohttp\.client_exceptions\.ClientResponseError)"
)
_SOCKET_FILES: Final = ("/socket.py", "/ssl.py", "/http/client.py", "/selector_events.py")
_READING: Final = frozenset({"readinto", "recv", "recv_into", "read", "_safe_read"})

_BY_NAME: Final = (
    (re.compile(r"mellea\..*\bPreconditionException"), T.PRECONDITION_FAILED, 1.0),
    (re.compile(r"mellea\..*\bComponentParseError"), T.GENERATIVE_ERROR, 1.0),
    (re.compile(r"mellea\..*\b\w*ValidationError"), T.VALIDATION_ERROR, 1.0),
    (re.compile(r"(.*\.)?_?(Array)?MemoryError|torch\..*OutOfMemoryError"), T.OUT_OF_MEMORY, 1.0),
    (re.compile(r"SyntaxError|IndentationError|TabError"), T.SYNTAX_ERROR, 1.0),
    (re.compile(r"ModuleNotFoundError"), T.MISSING_DEPENDENCY, 1.0),
    (re.compile(r"(importlib\.metadata|pkg_resources)\..*(PackageNotFoundError|DistributionNotFound)"),
     T.MISSING_DEPENDENCY, 0.9),
    (re.compile(r"PermissionError"), T.PERMISSION_ERROR, 0.9),
)  # fmt: skip
_ERRNOS: Final = {
    errno.ENOSPC: T.STORAGE_ERROR,
    errno.EDQUOT: T.STORAGE_ERROR,
    errno.EFBIG: T.STORAGE_ERROR,
    errno.ENOMEM: T.OUT_OF_MEMORY,
    errno.EROFS: T.PERMISSION_ERROR,
    errno.ENETUNREACH: T.CONNECTION_ERROR,
    errno.EHOSTUNREACH: T.CONNECTION_ERROR,
    errno.ETIMEDOUT: T.CONNECTION_ERROR,
}
_ERRNO: Final = re.compile(r"\[Errno (\d{1,3})\]")
_STORAGE_TEXT: Final = re.compile(
    r"no space left on device|disk quota exceeded|database or disk is full|disk is full"
    r"|\d+ requested and \d+ written",
    re.IGNORECASE,
)
_MEMORY_TEXT: Final = re.compile(
    r"CUDA out of memory|out of memory|cannot allocate memory|std::bad_alloc"
    r"|can't start new thread",
    re.IGNORECASE,
)
_VALIDATION_NAMES: Final = re.compile(
    r"(pydantic(_core)?\.[\w.]*|pydantic_core\._pydantic_core\.|jsonschema\.[\w.]*|marshmallow\.[\w.]*"
    r"|cerberus\.[\w.]*|attrs?\.[\w.]*)ValidationError|pydantic[\w.]*\.ValidationError"
)
_READS_JSON: Final = re.compile(r"validate_json|parse_raw|validate_strings")
_EXTRA: Final = re.compile(
    r"requires extra dependencies|pip install|not installed|install the|no module named",
    re.IGNORECASE,
)
_UNKNOWN_SOURCES: Final = frozenset({"<unknown>", "<string>", "<stdin>"})


def examine(raised: Raised, *, has_calls: bool = False, during_call: bool = False) -> Finding:
    """What this exception alone says; its causes are looked at by the caller.

    Args:
        raised: the exception.
        has_calls: the program made LLM calls, so JSON that it reads may be a reply.
        during_call: one of them failed or was given up, so a timeout may be the provider's.
    """
    found = (
        _by_name(raised, has_calls=has_calls)
        or _of_provider(raised)
        or _of_network(raised, during_call=during_call)
        or _of_system(raised)
        or _of_import(raised)
        or _by_text(raised)
    )
    if found is not None:
        kind, confidence = found
        return Finding(kind, confidence, headline(raised), raised)
    own = T.RUNTIME_ERROR if is_builtin(raised.type) else T.PYTHON_ERROR
    return Finding(own, 0.9, headline(raised), raised)


def headline(raised: Raised) -> str:
    """Type and first line of the message."""
    first = raised.message.strip().partition("\n")[0][:300]
    return f"{raised.type}: {first}" if first else raised.type


def is_builtin(name: str) -> bool:
    """Whether this is one of Python's own exceptions."""
    return name in _BUILTIN_NAMES


Found = tuple[T, float] | None


def _by_name(raised: Raised, *, has_calls: bool) -> Found:
    if any(BUDGET_ERROR.fullmatch(name) for name in raised.names):
        return T.BUDGET_EXCEEDED, 1.0
    if any(_VALIDATION_NAMES.fullmatch(name) for name in raised.names):
        if raised.passed("mellea"):
            return T.GENERATIVE_ERROR, 0.9
        reads_json = raised.user_frame is not None and _READS_JSON.search(raised.user_frame.text)
        return (T.GENERATIVE_ERROR, 0.7) if has_calls and reads_json else (T.VALIDATION_ERROR, 0.9)
    for name in raised.names:
        for pattern, kind, confidence in _BY_NAME:
            if pattern.fullmatch(name):
                if kind == T.SYNTAX_ERROR and _is_of_generated_code(raised):
                    return T.RUNTIME_ERROR, 0.7
                return kind, confidence
    if raised.type == "json.decoder.JSONDecodeError" and raised.passed("mellea"):
        return T.GENERATIVE_ERROR, 0.8
    return None


def _is_of_generated_code(raised: Raised) -> bool:
    """Source that the program made or was given, such as a reply, and not a file of its own."""
    return bool(raised.frames) and raised.frames[-1].file in _UNKNOWN_SOURCES


def _of_provider(raised: Raised) -> Found:
    if not any(_PROVIDERS.match(name) for name in raised.names):
        return None
    text = f"{raised.code or ''} {raised.message}"
    said = _said_by_provider(raised, text)
    if said is not None:
        return said
    for name in raised.names:
        if _PROVIDERS.match(name) and (kind := _PROVIDER_CLASSES.get(name.rpartition(".")[2])):
            return kind, 0.95
    status = _http_status(raised)
    if status in _STATUSES:
        return _STATUSES[status], 0.95
    if status == 404:
        return T.MODEL_NOT_FOUND, 0.7
    if status in _SERVER_ERRORS:
        return (T.CONNECTION_ERROR, 0.8) if _is_no_connection(raised) else (T.PROVIDER_ERROR, 0.95)
    if _NO_CONNECTION.search(text):
        return T.CONNECTION_ERROR, 0.85
    if status is not None and status < _SERVER_ERRORS.start:
        return T.PYTHON_ERROR, 0.7  # a request that can not be served as it is
    is_reply = any(_PROVIDER_REPLIES.search(name) for name in raised.names)
    return (T.PROVIDER_ERROR, 0.6) if is_reply else (T.PYTHON_ERROR, 0.6)


def _said_by_provider(raised: Raised, text: str) -> Found:
    """What the provider's words say more precisely than the class of the exception."""
    status = _http_status(raised)
    name = raised.type.rpartition(".")[2]
    if _CONTEXT.search(text) and status in (None, 400, 413, 422, 500):
        return T.CONTEXT_LENGTH_EXCEEDED, 0.95
    if status in (None, 400, 402, 403, 429) and _QUOTA.search(text):
        return T.PROVIDER_QUOTA_EXCEEDED, 0.95
    if status in (None, 400, 403, 404, 500) and _NO_MODEL.search(text) and name != "RateLimitError":
        return T.MODEL_NOT_FOUND, 0.9
    if status in (None, 400, 401, 403, 500) and _NO_KEY.search(text):
        return T.AUTHENTICATION_ERROR, 0.9
    if status in (None, 408, 500, 504) and _TIMED_OUT.search(text):
        return T.PROVIDER_TIMEOUT, 0.9
    if name in ("InternalServerError", "ServiceUnavailableError", "APIError") and (
        _NO_CONNECTION.search(text)
    ):
        return T.CONNECTION_ERROR, 0.85
    return None


def _is_no_connection(raised: Raised) -> bool:
    return _NO_CONNECTION.search(raised.message) is not None


def _of_network(raised: Raised, *, during_call: bool) -> Found:
    if any(_STATUS_ERRORS.fullmatch(name) for name in raised.names):
        status = _http_status(raised)
        if status in _STATUSES:
            return _STATUSES[status], 0.8
        return (T.PROVIDER_ERROR, 0.8) if status in _SERVER_ERRORS else None
    if any(_READ_TIMEOUTS.fullmatch(name) for name in raised.names) and not any(
        _CONNECTION_NAMES.fullmatch(name) for name in raised.names
    ):
        return T.PROVIDER_TIMEOUT, 0.85
    if raised.type == "BrokenPipeError" and raised.is_raised_by_user:
        return None
    if any(_CONNECTION_NAMES.fullmatch(name) for name in raised.names):
        return T.CONNECTION_ERROR, 0.9
    if "TimeoutError" in raised.names:
        innermost = raised.frames[-1] if raised.frames else None
        if innermost is not None and innermost.file.endswith(_SOCKET_FILES):
            kind = T.PROVIDER_TIMEOUT if innermost.function in _READING else T.CONNECTION_ERROR
            return kind, 0.85
        if during_call and raised.passed("asyncio"):
            return T.PROVIDER_TIMEOUT, 0.7
    return None


def _of_system(raised: Raised) -> Found:
    number = raised.errno
    if number is None and (told := _ERRNO.match(raised.message)):
        number = int(told[1])
    if "OSError" in raised.names and number in _ERRNOS:
        return _ERRNOS[number], 0.95
    if _STORAGE_TEXT.search(raised.message):
        return T.STORAGE_ERROR, 0.85
    if _MEMORY_TEXT.search(raised.message) and not is_user_defined(raised):
        return T.OUT_OF_MEMORY, 0.8
    return None


def is_user_defined(raised: Raised) -> bool:
    """Whether the exception's class is of the program itself."""
    return raised.type.startswith("__main__.")


def _of_import(raised: Raised) -> Found:
    if raised.type == "FileNotFoundError" and raised.frames:
        # A command that is not installed.
        is_command = raised.frames[-1].file.endswith("/subprocess.py")
        return (T.MISSING_DEPENDENCY, 0.8) if is_command else None
    if "ImportError" not in raised.names:
        return None
    if _EXTRA.search(raised.message):
        return T.MISSING_DEPENDENCY, 0.95
    origin = re.search(r"\((?P<path>[^()]+)\)$", raised.message.strip())
    is_installed = origin is not None and "site-packages" in origin["path"]
    if origin is not None and not is_installed and "unknown location" not in origin["path"]:
        return None  # a name that the user's own module does not have
    return T.MISSING_DEPENDENCY, 0.85


def _by_text(raised: Raised) -> Found:
    """Only of exceptions that a library raised: a program's own words mean what it likes."""
    if raised.is_raised_by_user or is_user_defined(raised):
        return None
    text = raised.message
    is_backend = raised.passed("mellea") or bool(_HTTP_CLIENTS.match(raised.type))
    if not is_backend and raised.frames:
        return None
    if _NO_KEY.search(text):
        return T.AUTHENTICATION_ERROR, 0.85
    if _NO_MODEL.search(text):
        return T.MODEL_NOT_FOUND, 0.8
    if _NO_CONNECTION.search(text):
        return T.CONNECTION_ERROR, 0.8
    return None


def _http_status(raised: Raised) -> int | None:
    if raised.status is not None:
        return raised.status
    if raised.code is not None and re.fullmatch(r"[45]\d\d", raised.code):
        return int(raised.code)
    found = _HTTP_STATUS.search(raised.message)
    return int(found[1] or found[2]) if found else None
