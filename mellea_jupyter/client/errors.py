"""What can go wrong between a client and its server, as one tree.

::

    MelleaJupyterError
    └── ClientError
        ├── ServerNotFound                 no server, and none could be started
        ├── ConnectionFailed (ConnectionError)   the server did not answer
        ├── UnexpectedReply                it answered something that is not this API
        ├── ServerError                    it refused; carries code, message, hint, details, status
        ├── InvalidProgram (ValueError)    what to run can not be sent to this server
        ├── InvalidConfig (ValueError)     a field has a value it can not have; names the field
        ├── RunFailed                      `RunHandle.result()` of a run that did not succeed
        └── WaitTimeout (TimeoutError)     the run is still active
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mellea_jupyter.exceptions import MelleaJupyterError

if TYPE_CHECKING:
    from pydantic import ValidationError

    from mellea_jupyter.models.run import Run


class ClientError(MelleaJupyterError):
    """Root of what a client raises. `str()` of it is the message and the next step."""

    code = "client_error"

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class ServerNotFound(ClientError):
    """No Jupyter server with this extension was found, and none could be started."""

    code = "server_not_found"


class ConnectionFailed(ClientError, ConnectionError):
    """The server could not be reached, or the connection broke before its reply was complete."""

    code = "connection_failed"


class UnexpectedReply(ClientError):
    """A reply that this version of the client does not understand."""

    code = "unexpected_reply"


class ServerError(ClientError):
    """The server refused a request.

    Attributes:
        code: the server's identifier of the error, e.g. `run_not_found`.
        status: the HTTP status.
        request_id: finds the request in the server's log; empty when not known.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str,
        status: int,
        hint: str = "",
        details: dict[str, Any] | None = None,
        request_id: str = "",
    ) -> None:
        super().__init__(message, hint=hint, **(details or {}))
        self.code = code
        self.status = status
        self.request_id = request_id


class InvalidProgram(ClientError, ValueError):
    """What was given as the program can not be run as such."""

    code = "invalid_program"


class InvalidConfig(ClientError, ValueError):
    """A field of the configuration has a value it can not have; the text names the field."""

    code = "invalid_input"


def invalid_config(exc: ValidationError, whole: str = "config") -> InvalidConfig:
    """The first complaint of a validation, as one sentence that names the field, without values."""
    first = exc.errors(include_url=False, include_input=False)[0]
    field = ".".join(str(part) for part in first["loc"]) or whole
    text = first["msg"].removeprefix("Value error, ")
    return InvalidConfig(f"{field}: {text}", field=field)


class RunFailed(ClientError):
    """The run ended, but not well; `run` is its record."""

    code = "run_failed"

    def __init__(self, run: Run, message: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.run = run


class WaitTimeout(ClientError, TimeoutError):
    """The run did not end in the time given; it goes on."""

    code = "wait_timeout"
