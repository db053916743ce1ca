"""What all handlers share: the one error shape, JSON replies, and the way to the service.

Handlers translate, nothing else; domain exceptions become HTTP here and only here. Imported when
the server starts, so models and pydantic are imported inside the functions that need them.
"""

from __future__ import annotations

import math
import re
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from http.client import responses
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol, cast

from jupyter_server.auth.decorator import authorized as _authorized
from jupyter_server.base.handlers import APIHandler, JupyterHandler
from tornado import web

from mellea_jupyter import exceptions as errors
from mellea_jupyter.auth.owner import promoted, resolve_owner

if TYPE_CHECKING:
    from mellea_jupyter.auth.owner import OwnerResolver, User
    from mellea_jupyter.handlers.rates import Rate, RateLimits
    from mellea_jupyter.handlers.streams import OpenStreams
    from mellea_jupyter.service.services import Services

SETTING = "mellea_jupyter"

_MOST_UNSEEN = 64 << 20
"""Bytes of a refused body that are read, and not kept, so that the client gets its answer."""

Verb = Callable[..., Awaitable[Any]]

authorized = cast("Callable[..., Callable[[Verb], Verb]]", _authorized)
"""Jupyter's decorator with a type; always given the resource, since a bare one on a shared base
would remember that of the first class that is asked."""

# The first line that fits decides.
_STATUS_OF_ERROR: tuple[tuple[type[errors.MelleaJupyterError], int], ...] = (
    (errors.NotFound, 404),
    (errors.InvalidInput, 422),
    (errors.IdempotencyConflict, 422),  # the request is wrong, not the state of a run
    (errors.Conflict, 409),
    (errors.Expired, 410),
    (errors.PermissionDenied, 403),
    (errors.QuotaExceeded, 413),
    (errors.StoreBusy, 503),
    (errors.SchemaTooNew, 503),
)

# Failures of the server whose texts are meant for callers.
_TOLD = (errors.StoreError, errors.QuotaExceeded, errors.InvalidSettings)

_CODE_OF_STATUS = {
    400: "bad_request",
    401: "not_authenticated",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    415: "unsupported_media_type",
    416: "range_not_satisfiable",
    429: "too_many_requests",
    503: "unavailable",
}

_HINT_OF_STATUS = {
    403: "Send the server's token, or the X-XSRFToken header beside a login cookie.",
    404: "GET openapi.json beside this path lists what there is; ids of runs are UUIDs.",
}

_REQUEST_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")


class Extension(Protocol):
    """What handlers need of the extension app, which is `settings["mellea_jupyter"]`."""

    owner_resolver: OwnerResolver | None
    admin_users: Sequence[str]
    admin_groups: Sequence[str]
    max_body_bytes: int
    rates: RateLimits
    heartbeat_seconds: float
    streams: OpenStreams

    async def services(self) -> Services:
        """The service, built on the first call."""

    def met(self, user: User) -> None:
        """Told who makes a request."""


class RequestError(web.HTTPError):
    """A request that is refused before it reaches the service, with a next step."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        hint: str = "",
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        super().__init__(status, message)
        self.message = message
        self.hint = hint
        self.headers = headers


def status_of(error: BaseException) -> int:
    """The HTTP status that tells about this error."""
    if isinstance(error, web.HTTPError):
        return int(error.status_code)
    if isinstance(error, errors.QuotaExceeded) and error.details.get("scope") == "store":
        return 507  # there is no room at all, however small the request
    return next((status for kind, status in _STATUS_OF_ERROR if isinstance(error, kind)), 500)


def describe(error: BaseException, status: int, request_id: str) -> dict[str, Any]:
    """The body of the error reply (`models.requests.ErrorBody`), as JSON-ready values.

    Texts of errors that are not meant for callers are left out: they may name paths or secrets.
    """
    if status >= 500 and not isinstance(error, _TOLD):
        message, hint = (
            "The server failed to answer",
            f"The server's log says more at request {request_id}.",
        )
        return _body("internal_error", message, hint, {}, request_id)
    if isinstance(error, errors.MelleaJupyterError):
        return _body(error.code, error.message, error.hint, error.details, request_id)
    if isinstance(error, RequestError):
        return _body(_CODE_OF_STATUS[status], error.message, error.hint, {}, request_id)
    said = None
    if isinstance(error, web.HTTPError) and error.log_message:
        said = error.log_message % error.args
    code = _CODE_OF_STATUS.get(status, "error")
    message = said or responses.get(status, "Unknown error")
    return _body(code, message, _HINT_OF_STATUS.get(status, ""), {}, request_id)


def _body(
    code: str, message: str, hint: str, details: dict[str, Any], request_id: str
) -> dict[str, Any]:
    return {
        "code": code,
        "message": message,
        "hint": hint,
        "details": details,
        "request_id": request_id,
    }


def encode(value: Any) -> bytes:
    """JSON of a model, or of anything made of models and JSON values, spelled as in the API."""
    from pydantic_core import to_json

    return to_json(value, inf_nan_mode="null")


def _exc_info(error: Exception) -> tuple[type[Exception], Exception, None]:
    return type(error), error, None


class ErrorShape(JupyterHandler):
    """Makes every error of a handler the one JSON shape, and keeps our secrets out of the log."""

    _request_id: str | None = None

    @property
    def request_id(self) -> str:
        """Names this request in the reply and in the log; a sane `X-Request-Id` is kept."""
        if self._request_id is None:
            given = self.request.headers.get("X-Request-Id", "")
            self._request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        return self._request_id

    @property
    def app(self) -> Extension:
        """The extension this handler belongs to."""
        return cast("Extension", self.settings[SETTING])

    @property
    def user(self) -> User:
        """Who makes the request, as the service knows them."""
        found = (self.app.owner_resolver or resolve_owner)(self)
        found = promoted(found, self.app.admin_users, self.app.admin_groups)
        self.app.met(found)
        return found

    def set_default_headers(self) -> None:
        """Nothing of ours is to be kept by a cache, unless a verb says so."""
        super().set_default_headers()
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Request-Id", self.request_id)

    def compute_etag(self) -> str | None:
        """No entity tags: replies change with every log line, and hashing them costs."""
        return None

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Write the error body; tornado calls it with the status that `status_of` gave."""
        error = kwargs.get("exc_info", (None, None, None))[1]
        if error is None:
            error = web.HTTPError(status_code)
        if status_code == 405:
            self.set_header("Allow", ", ".join(self.implemented_methods()))
        if status_code == 503:
            self.set_header("Retry-After", "1")
        for name, value in error.headers.items() if isinstance(error, RequestError) else ():
            self.set_header(name, value)
        self.set_header("Content-Type", "application/json")
        self.finish(encode(describe(error, status_code, self.request_id)))

    def send_error(self, status_code: int = 500, **kwargs: Any) -> None:
        """Reply with an error; a reply that has begun is broken off, so that it looks broken."""
        if self._headers_written:
            self.request.connection.stream.close()  # type: ignore[union-attr]
            return
        error = kwargs.get("exc_info", (None, None, None))[1]
        super().send_error(status_code if error is None else status_of(error), **kwargs)

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        """Log what the caller is not told, under the request id; the query may hold a token."""
        status = status_of(value) if value is not None else 500
        where = (self.request.method, self.request.path, self.request_id)
        if status < 500 or isinstance(value, errors.InvalidSettings):  # those were logged at start
            self.log.debug("%s %s refused with %s (request %s)", *where[:2], status, where[2])
        else:
            self.log.error("%s %s failed (request %s)", *where, exc_info=(typ, value, tb))

    @classmethod
    def implemented_methods(cls) -> list[str]:
        """The verbs this handler has, in alphabetical order."""
        return sorted(
            name
            for name in cls.SUPPORTED_METHODS
            if getattr(cls, name.lower()) is not getattr(web.RequestHandler, name.lower())
        )


@web.stream_request_body
class ApiHandler(ErrorShape, APIHandler):
    """A handler of the REST API; its verbs are written with `handlers.endpoint`.

    Tornado would keep a body of any size up to the server's own limit, 512 MB, and ask us then.
    So bodies come in pieces, and nothing is kept of one that is too long or whose sender is not
    let in. A request that is refused is answered behind its body, since a client that still sends
    loses the reply when the connection is closed; but at once where the client waits for our word,
    and where the body is longer than `_MOST_UNSEEN`.
    """

    def initialize(self, **kwargs: Any) -> None:
        """Set up what one request holds."""
        super().initialize(**kwargs)
        self._received = bytearray()
        self._seen_bytes = 0
        self._refusal: Exception | None = None
        self._reads_on = False

    async def prepare(self) -> None:  # type: ignore[override]  # as Jupyter's own APIHandler
        """Let nobody send a body in vain."""
        said = self.request.headers.get("Content-Length", "0")
        length = int(said) if said.isdecimal() else 0
        has_body = length > 0 or "Transfer-Encoding" in self.request.headers
        waits = self.request.headers.get("Expect", "").lower() == "100-continue"
        try:
            await super().prepare()
            self._check_body(length, has_body=has_body)
        except Exception as error:
            if waits or length > _MOST_UNSEEN:
                raise
            self._refuse(error)
        self._reads_on = True

    def _check_body(self, length: int, *, has_body: bool) -> None:
        if has_body and not self.current_user:
            raise web.HTTPError(403)
        if length > self.app.max_body_bytes:
            raise self._too_large(f"has {length} bytes")

    def data_received(self, chunk: bytes) -> None:
        """Keep a piece of the body."""
        if self._finished:
            return
        self._seen_bytes += len(chunk)
        if self._refusal is None:
            self._received += chunk
            if len(self._received) > self.app.max_body_bytes:
                self._refuse(self._too_large("goes on"))
        if self._refusal is not None and self._seen_bytes > _MOST_UNSEEN:
            self._reads_on = False
            self.send_error(status_of(self._refusal), exc_info=_exc_info(self._refusal))

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Say so where tornado closes the connection: what it was sent has not all been read."""
        if not self._reads_on:
            self.set_header("Connection", "close")
        super().write_error(status_code, **kwargs)

    def _refuse(self, error: Exception) -> None:
        """Answer with this error when the body has ended, whatever verb was asked for."""

        def verb(*_: str, **__: str) -> None:
            raise error

        self._refusal = error
        self._received.clear()
        setattr(self, str(self.request.method).lower(), verb)  # where tornado looks for it

    @property
    def body(self) -> bytes:
        """The whole body, no longer than `max_body_bytes`."""
        return bytes(self._received)

    def _too_large(self, found: str) -> RequestError:
        return RequestError(
            413,
            f"The body {found}, and at most {self.app.max_body_bytes} bytes are accepted",
            hint="Put large inputs into files beside the program, or into a dataset.",
        )

    def spend(self, rate: Rate, amount: int = 1) -> None:
        """Count a request of this user.

        Raises:
            RequestError: 429, there were too many in the last minute.
        """
        rates = self.app.rates
        seconds = rates.take(rate, self.user.owner_id, amount)
        if seconds:
            wait = max(1, math.ceil(seconds))
            raise RequestError(
                429,
                f"Too many {rate}: a user has {rates.limit_of(rate)} a minute",
                hint=f"Ask again in {wait} s.",
                headers={"Retry-After": str(wait)},
            )

    def reply(self, value: Any) -> None:
        """Finish with `value` as JSON."""
        self.finish(encode(value))
