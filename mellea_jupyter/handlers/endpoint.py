"""`@endpoint`: the signature of a verb is its contract.

A verb names its inputs and its reply by annotations::

    @web.authenticated
    @authorized(resource="runs")
    @endpoint(status=202, errors=(409,))
    async def delete(self, run_id: str) -> Run:

`query` and `body` parameters are read from the request and validated as the model of their
annotation, all other parameters come from the path, and what is returned is written as JSON. The
OpenAPI document is made from the same annotations, so the two can not differ. A verb that returns
None has written its reply by itself; `media` says what that is. A body of type `Model | None` may
be left out.

Models are named only under `TYPE_CHECKING` where handlers are defined and are looked up on the
first request, because handlers are imported when the server starts.
"""

from __future__ import annotations

import functools
import inspect
import json
import re
import types
import typing
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from mellea_jupyter.exceptions import InvalidInput
from mellea_jupyter.handlers.base import ApiHandler, RequestError, Verb

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError

JSON: Final = "application/json"

# Parameters that are about the request and may stand in any query: Jupyter's own, and the number
# that browsers' clients append so that no cache answers.
_ANYWHERE = re.compile(r"token|_xsrf|no_track_activity|_|\d+")

_LONG_NUMBER = re.compile(rb"\d{19}")

# What curl and tornado's client say of a body when they are not told what it is.
_UNSPECIFIED_TYPE = "application/x-www-form-urlencoded"


@functools.cache
def api_models() -> dict[str, Any]:
    """What annotations of verbs may name: everything public in `models` and `parameters`."""
    import importlib
    import pkgutil

    from mellea_jupyter import models

    modules = [f"{models.__name__}.{each.name}" for each in pkgutil.iter_modules(models.__path__)]
    names: dict[str, Any] = {}
    for module in (*modules, "mellea_jupyter.handlers.parameters"):
        public = vars(importlib.import_module(module)).items()
        names |= {name: value for name, value in public if not name.startswith("_")}
    return names


@dataclass(frozen=True)
class Endpoint:
    """What a verb takes and gives, apart from how it does it.

    Attributes:
        method: the verb as written.
        status: HTTP status of a success.
        also: other statuses of a success.
        errors: statuses besides those that follow from the signature.
        media: content types of a success.
        headers: request headers it reads, with a description.
        fixed: query fields that the path decides, which a request may not give.
        is_open: it needs no login: what it is asked with says who may.
    """

    method: Callable[..., Awaitable[Any]]
    status: int
    also: tuple[int, ...]
    errors: tuple[int, ...]
    media: tuple[str, ...]
    headers: Mapping[str, str]
    fixed: tuple[str, ...]
    is_open: bool

    @functools.cached_property
    def hints(self) -> dict[str, Any]:
        """Types of the parameters and of the reply (`return`)."""
        return typing.get_type_hints(self.method, localns=api_models())

    @property
    def query(self) -> type[BaseModel] | None:
        """The model of the query string."""
        model: type[BaseModel] | None = self.hints.get("query")
        return model

    def query_requires(self, name: str) -> bool:
        """Whether a request must have this query parameter."""
        return self.query is not None and self.query.model_fields[name].is_required()

    @functools.cached_property
    def body(self) -> type[BaseModel] | None:
        """The model of the request's body."""
        model: type[BaseModel] | None = _without_none(self.hints.get("body"))
        return model

    @property
    def reply(self) -> Any:
        """The type of a JSON reply; None where all replies are of another kind."""
        return _without_none(self.hints["return"])

    @functools.cached_property
    def is_body_optional(self) -> bool:
        """Whether a request without a body is a whole request."""
        return isinstance(self.hints.get("body"), types.UnionType)

    async def serve(self, handler: ApiHandler, path: Mapping[str, str]) -> None:
        """Read the inputs, call the verb, write what it returns."""
        inputs: dict[str, Any] = dict(path)
        fields = read_query(handler.request.query_arguments, self.query, fixed=self.fixed)
        if self.query is not None:
            inputs["query"] = fields
        if self.body is not None:
            inputs["body"] = self._read_body(handler, self.body)
        handler.set_status(self.status)
        result = await self.method(handler, **inputs)
        if result is not None:
            handler.reply(result)

    def _read_body(self, handler: ApiHandler, model: type[BaseModel]) -> BaseModel | None:
        raw = handler.body
        if not raw.strip() and self.is_body_optional:
            return None
        said = handler.request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if raw and said not in ("", JSON, _UNSPECIFIED_TYPE) and not said.endswith("+json"):
            raise RequestError(
                415, f"The body is {said}, not JSON", hint=f"Send Content-Type: {JSON}."
            )
        return read_body(raw, model)


def _without_none(hint: Any) -> Any:
    """`Model` of `Model | None`; None of `None`."""
    if isinstance(hint, types.UnionType):
        return next(kind for kind in typing.get_args(hint) if kind is not types.NoneType)
    return None if hint is types.NoneType else hint


def endpoint(
    *,
    status: int = 200,
    also: tuple[int, ...] = (),
    errors: tuple[int, ...] = (),
    media: tuple[str, ...] = (JSON,),
    headers: Mapping[str, str] = types.MappingProxyType({}),
    fixed: tuple[str, ...] = (),
    is_open: bool = False,
) -> Callable[[Verb], Callable[..., Awaitable[None]]]:
    """Make an annotated method a verb of the API. See `Endpoint` for the parameters."""

    def decorate(method: Verb) -> Callable[..., Awaitable[None]]:
        described = Endpoint(method, status, also, errors, media, headers, fixed, is_open)

        @functools.wraps(method)
        async def verb(self: ApiHandler, **path: str) -> None:
            await described.serve(self, path)

        verb.endpoint = described  # type: ignore[attr-defined]  # functions take attributes
        return verb

    return decorate


def find_endpoint(verb: Any) -> Endpoint | None:
    """The `Endpoint` of a handler's verb; wrappers made with `functools.wraps` keep it."""
    found: Endpoint | None = getattr(verb, "endpoint", None)
    return found


def path_parameters(described: Endpoint) -> list[str]:
    """Names of the parameters that come from the path, in order."""
    names = inspect.signature(described.method).parameters
    return [name for name in names if name not in ("self", "query", "body")]


def read_query(
    arguments: Mapping[str, list[bytes]],
    model: type[BaseModel] | None,
    *,
    fixed: tuple[str, ...] = (),
) -> BaseModel | None:
    """The query string as `model`; None where there is no model.

    Raises:
        InvalidInput: an unknown or repeated parameter, or a value that does not fit.
    """
    fields = {} if model is None else model.model_fields
    values: dict[str, Any] = {}
    for name, raw in arguments.items():
        if name not in fields or name in fixed:
            if _ANYWHERE.fullmatch(name):
                continue
            known = ", ".join(sorted(fields.keys() - set(fixed))) or "none"
            raise InvalidInput(
                name, "is not a query parameter here", hint=f"Known parameters: {known}."
            )
        try:
            texts = [value.decode() for value in raw]
        except UnicodeDecodeError as error:
            raise InvalidInput(name, "is not UTF-8") from error
        if typing.get_origin(fields[name].annotation) is tuple:
            values[name] = texts
        elif len(texts) == 1:
            values[name] = texts[0]
        else:
            raise InvalidInput(name, "is given more than once")
    return None if model is None else _validate(lambda: model.model_validate(values), "query")


def read_body(raw: bytes, model: type[BaseModel]) -> BaseModel:
    """The body as `model`. Types are not converted: `"5"` is not a number.

    Raises:
        RequestError: 400, not JSON.
        InvalidInput: JSON of another shape.
    """
    import orjson

    try:
        orjson.loads(raw)  # stricter than pydantic's parser: no NaN, no lone surrogates
    except orjson.JSONDecodeError as error:
        raise RequestError(400, f"The body is not JSON: {error}") from error
    if _LONG_NUMBER.search(raw):
        _refuse_large_numbers(raw)
    return _validate(lambda: model.model_validate_json(raw, strict=True), "body")


def _refuse_large_numbers(raw: bytes) -> None:
    """What is kept of a body is JSON that holds 64 bits; pydantic would let any number in."""

    def parse(digits: str) -> int:
        number = int(digits) if len(digits) <= 20 else 1 << 64
        if not -(1 << 63) <= number < 1 << 64:
            raise InvalidInput(
                "body", "holds a whole number of more than 64 bits", hint="Send it as a string."
            )
        return number

    try:
        json.loads(raw, parse_int=parse)
    except RecursionError as error:
        raise RequestError(400, "The body is nested too deeply") from error


def _validate(read: Callable[[], BaseModel], whole: str) -> BaseModel:
    """`read()`, with pydantic's error as ours. Values are not repeated: they may be secret."""
    from pydantic import ValidationError

    try:
        return read()
    except ValidationError as error:
        raise _invalid(error, whole) from None


def _invalid(error: ValidationError, whole: str) -> InvalidInput:
    found = [
        {
            "field": ".".join(str(part) for part in each["loc"] if part != "[key]") or whole,
            "message": each["msg"].removeprefix("Value error, "),
            "type": each["type"],
        }
        for each in error.errors(include_url=False, include_context=False, include_input=False)
    ]
    first = found[0]
    return InvalidInput(first["field"], first["message"], errors=found)
