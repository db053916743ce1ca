"""The OpenAPI 3.1 document, made from the route table, the verbs' annotations and the models.

Nothing about an endpoint is written here a second time. Models keep their names in
`components.schemas`; where a model differs as an input (defaults may be left out), that form is
`<Name>Input`.

Source: https://spec.openapis.org/oas/v3.1.1.html
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import responses as reasons
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode

import mellea_jupyter
from mellea_jupyter.handlers.channel import RunsChannel
from mellea_jupyter.handlers.endpoint import JSON, Endpoint, find_endpoint, path_parameters
from mellea_jupyter.handlers.routes import PARAMETERS, ROUTES
from mellea_jupyter.models.requests import ErrorBody
from mellea_jupyter.models.websocket import ClientMessage, ServerMessage

_REF = "#/components/schemas/{model}"
_VERBS = ("get", "post", "put", "patch", "delete")
_ALWAYS = (403, 500, 503)  # not let in; a fault of ours; the store is busy

_RETRY_AFTER = {
    "Retry-After": {
        "description": "Seconds until asking again may help.",
        "schema": {"type": "integer"},
    }
}

_PARAMETER_TEXTS = {
    "run_id": "A run's id.",
    "asset_id": "An asset's id.",
    "artifact_id": "The id of an artifact of this run.",
    "dataset_id": "A dataset's id.",
    "notice_id": "A notice's id.",
    "call": "Number of an LLM call in its run, from 1.",
    "environment_id": "An environment's id, or its name where that is plain text.",
}


@dataclass(frozen=True)
class Operation:
    """One verb of one path."""

    path: str
    verb: str
    handler: type
    endpoint: Endpoint

    @property
    def id(self) -> str:
        """`listRuns`-like names would be a second spelling; this one follows from the table."""
        words = re.findall(r"\w+", re.sub(r"[{}]", "", self.path))
        return "_".join((self.verb, *words))


class _Schema(GenerateJsonSchema):
    """Replies always have all their fields, so clients need not doubt any of them."""

    def field_is_required(self, field: Any, total: bool) -> bool:  # noqa: FBT001 - pydantic's
        return self.mode == "serialization" or super().field_is_required(field, total)

    def default_schema(self, schema: Any) -> dict[str, Any]:
        if self.mode == "serialization":  # a field that is always there needs no default
            return self.generate_inner(schema["schema"])
        return super().default_schema(schema)


def operations() -> Iterator[Operation]:
    """All verbs of the route table that have an `Endpoint`, in its order."""
    for path, handler in ROUTES:
        for verb in _VERBS:
            found = find_endpoint(getattr(handler, verb))
            if found is not None:
                yield Operation(path, verb, handler, found)


@functools.lru_cache(maxsize=4)
def build_document(server: str) -> dict[str, Any]:
    """The document for the API under the URL path `server` (base URL and prefix)."""
    schemas = _Schemas()
    paths: dict[str, dict[str, Any]] = {path: {} for path, _ in ROUTES}
    for operation in operations():
        paths[operation.path][operation.verb] = _operation(operation, schemas)
    for path, handler in ROUTES:
        if handler is RunsChannel:
            paths[path]["get"] = _channel(schemas)
    return {
        "openapi": "3.1.1",
        "info": {
            "title": "mellea-jupyter",
            "version": mellea_jupyter.__version__,
            "description": inspect.getdoc(mellea_jupyter),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": server}],
        "security": [{"token": []}, {"cookie": [], "xsrf": []}],
        "paths": paths,
        "components": {
            "schemas": schemas.components,
            "securitySchemes": {
                "token": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Authorization",
                    "description": "`token <the Jupyter server's token>`",
                },
                "cookie": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": "username-{port}",
                    "description": "The Jupyter server's login cookie.",
                },
                "xsrf": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "X-XSRFToken",
                    "description": "The value of the `_xsrf` cookie, for all verbs but GET.",
                },
            },
        },
    }


class _Schemas:
    """JSON schemas of all types that the operations name, generated together."""

    def __init__(self) -> None:
        self._queries: set[str] = set()
        wanted: dict[tuple[str, JsonSchemaMode], Any] = {
            _key("validation", ClientMessage): ClientMessage,
            _key("serialization", ServerMessage): ServerMessage,
            _key("serialization", ErrorBody): ErrorBody,
        }
        for operation in operations():
            described = operation.endpoint
            for kind in (described.query, described.body):
                if kind is not None:
                    wanted[_key("validation", kind)] = kind
            if described.reply is not None:
                wanted[_key("serialization", described.reply)] = described.reply
        by_key, definitions = TypeAdapter.json_schemas(
            [(name, mode, TypeAdapter(kind)) for (name, mode), kind in wanted.items()],
            ref_template=_REF,
            schema_generator=_Schema,
        )
        self._by_key = {key: _renamed(schema) for key, schema in by_key.items()}
        self._all: dict[str, Any] = _renamed(definitions)["$defs"]
        self._all["ClientMessage"] = self._by_key[_key("validation", ClientMessage)]
        self._all["ServerMessage"] = self._by_key[_key("serialization", ServerMessage)]

    @property
    def components(self) -> dict[str, Any]:
        """All named schemas but those that are spelled out as query parameters."""
        return {name: self._all[name] for name in sorted(self._all) if name not in self._queries}

    def of(self, mode: JsonSchemaMode, kind: Any) -> dict[str, Any]:
        """The schema of a type; a reference for a model."""
        schema: dict[str, Any] = self._by_key[_key(mode, kind)]
        return schema

    def query_fields(self, kind: Any) -> dict[str, dict[str, Any]]:
        """Schemas of a query model's fields by name."""
        name = self.of("validation", kind)["$ref"].rpartition("/")[2]
        self._queries.add(name)
        properties: dict[str, dict[str, Any]] = self._all[name]["properties"]
        return properties


def _key(mode: JsonSchemaMode, kind: Any) -> tuple[str, JsonSchemaMode]:
    return repr(kind), mode


def _renamed(schema: Any) -> Any:
    """Pydantic's `Run-Output` is `Run`, and `Run-Input` is `RunInput`, wherever they stand."""
    if isinstance(schema, dict):
        return {_new_name(key): _renamed(value) for key, value in schema.items()}
    if isinstance(schema, list):
        return [_renamed(value) for value in schema]
    return _new_name(schema) if isinstance(schema, str) and schema.startswith("#/") else schema


def _new_name(name: str) -> str:
    return name.removesuffix("-Output").replace("-Input", "Input")


def _operation(operation: Operation, schemas: _Schemas) -> dict[str, Any]:
    described = operation.endpoint
    described_body = {}
    if described.body is not None:
        content = {JSON: {"schema": schemas.of("validation", described.body)}}
        described_body = {
            "requestBody": {"required": not described.is_body_optional, "content": content}
        }
    return {
        "operationId": operation.id,
        "tags": [operation.path.split("/")[1]],
        **_texts(described.method),
        "parameters": [*_path_parameters(described), *_other_parameters(described, schemas)],
        **described_body,
        # Where the link itself says who asks.
        **({"security": []} if described.is_open else {}),
        "responses": _responses(described, schemas),
    }


def _texts(method: Any) -> dict[str, str]:
    """The first paragraph of a docstring as the summary, all of it as the description."""
    text = inspect.getdoc(method) or ""
    return {"summary": text.partition("\n\n")[0].replace("\n", " "), "description": text}


def _path_parameters(described: Endpoint) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": _PARAMETER_TEXTS[name],
            "schema": {"type": "string", "pattern": f"^{PARAMETERS[name]}$"},
        }
        for name in path_parameters(described)
    ]


def _other_parameters(described: Endpoint, schemas: _Schemas) -> Iterator[dict[str, Any]]:
    fields = {} if described.query is None else schemas.query_fields(described.query)
    for name, schema in fields.items():
        if name not in described.fixed:
            inner = {key: value for key, value in schema.items() if key != "description"}
            yield {
                "name": name,
                "in": "query",
                "required": described.query_requires(name),
                "description": schema.get("description", ""),
                "schema": inner,
            }
    for name, text in described.headers.items():
        yield {
            "name": name,
            "in": "header",
            "required": False,
            "description": text,
            "schema": {"type": "string"},
        }


def _responses(described: Endpoint, schemas: _Schemas) -> dict[str, Any]:
    # Of files a schema could say nothing, and of events not what tools take it for.
    success: dict[str, Any] = {
        media: {"schema": {"type": "string"}} if media.startswith("text/plain") else {}
        for media in described.media
        if media != JSON
    }
    if described.reply is not None:
        success[JSON] = {"schema": schemas.of("serialization", described.reply)}
    codes = {422, *described.errors, *_ALWAYS}  # 422: at least for unknown query parameters
    if path_parameters(described):
        codes.add(404)
    if described.body is not None:
        codes |= {400, 413, 415}
    good = {described.status, *described.also}
    if "Idempotency-Key" in described.headers:
        good.add(200)
    if "Range" in described.headers:
        good.add(206)
    error = {JSON: {"schema": schemas.of("serialization", ErrorBody)}}
    return {
        **{str(code): {"description": reasons[code], "content": success} for code in sorted(good)},
        **{
            str(code): {
                "description": reasons[code],
                **({"headers": _RETRY_AFTER} if code in (429, 503) else {}),
                "content": error,
            }
            for code in sorted(codes)
        },
    }


def _channel(schemas: _Schemas) -> dict[str, Any]:
    """The websocket: OpenAPI has no word for one, so its messages stand in an extension field."""
    error = {JSON: {"schema": schemas.of("serialization", ErrorBody)}}
    return {
        "operationId": "get_runs_ws",
        "tags": ["runs"],
        **_texts(RunsChannel.get),
        "responses": {
            "101": {"description": reasons[101]},
            **{str(code): {"description": reasons[code], "content": error} for code in (400, 403)},
        },
        "x-websocket-messages": {
            "client": {"$ref": _REF.format(model="ClientMessage")},
            "server": {"$ref": _REF.format(model="ServerMessage")},
        },
    }
