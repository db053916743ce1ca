from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from mellea_jupyter.handlers.channel import RunsChannel
from mellea_jupyter.handlers.endpoint import api_models, find_endpoint
from mellea_jupyter.handlers.openapi import build_document, operations
from mellea_jupyter.handlers.routes import ROUTES
from mellea_jupyter.models import websocket
from mellea_jupyter.models.base import Model
from tests.handlers.conftest import Ask, body

VERBS = {"get", "post", "put", "patch", "delete"}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return build_document("/api")


def verbs_of(item: dict[str, Any]) -> set[str]:
    return VERBS & item.keys()


def test_it_is_valid(document: dict[str, Any]) -> None:
    OpenAPIV31SpecValidator(document).validate()


def test_paths_and_verbs_are_those_of_the_route_table(document: dict[str, Any]) -> None:
    expected = {path: {verb for verb in VERBS if verb in vars(handler)} for path, handler in ROUTES}
    assert {path: verbs_of(item) for path, item in document["paths"].items()} == expected


def test_every_verb_but_the_websockets_has_an_endpoint() -> None:
    for _, handler in ROUTES:
        if handler is not RunsChannel:
            verbs = VERBS & vars(handler).keys()
            assert verbs
            assert all(find_endpoint(getattr(handler, verb)) for verb in verbs)


def test_every_operation_says_what_it_does_and_how_it_fails(document: dict[str, Any]) -> None:
    ids = []
    for path, item in document["paths"].items():
        for verb in verbs_of(item):
            operation = item[verb]
            ids.append(operation["operationId"])
            assert len(operation["summary"]) > 10, (path, verb)
            assert "\n" not in operation["summary"]
            assert "403" in operation["responses"]
            if "{" in path:
                assert "404" in operation["responses"]
            if "requestBody" in operation:
                assert {"400", "413", "415", "422"} <= operation["responses"].keys()
            for parameter in operation.get("parameters", ()):
                assert parameter["description"], (path, parameter["name"])
    assert len(ids) == len(set(ids))


def test_all_fields_of_replies_are_there_and_described(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    run = schemas["Run"]
    assert set(run["required"]) == set(run["properties"])
    assert schemas["RunCreate"]["required"] == ["asset_id"]
    assert run["properties"]["config"]["$ref"] == "#/components/schemas/RunConfig"
    assert schemas["RunCreate"]["properties"]["config"] == {
        "$ref": "#/components/schemas/RunConfigInput",
        "description": "How.",
    }
    for name, schema in schemas.items():
        assert "-" not in name
        for field, described in schema.get("properties", {}).items():
            assert described.get("description") or field == "type", f"{name}.{field}"


def test_what_the_path_decides_is_no_parameter(document: dict[str, Any]) -> None:
    own = document["paths"]["/users/me/runs"]["get"]["parameters"]
    names = {parameter["name"] for parameter in own}
    assert "status" in names
    assert "owner_id" not in names


def test_all_messages_of_the_websocket_are_components(document: dict[str, Any]) -> None:
    messages = {
        kind.__name__
        for kind in vars(websocket).values()
        if isinstance(kind, type)
        and issubclass(kind, Model)
        and kind.__module__ == websocket.__name__
    }
    assert messages | {"ClientMessage", "ServerMessage"} <= document["components"]["schemas"].keys()
    tags = document["components"]["schemas"]["ServerMessage"]["discriminator"]["mapping"]
    assert tags["logs"] == "#/components/schemas/Logs"
    named = document["paths"]["/runs/ws"]["get"]["x-websocket-messages"]
    assert named["client"] == {"$ref": "#/components/schemas/ClientMessage"}


def test_statuses_of_success(document: dict[str, Any]) -> None:
    paths = document["paths"]
    good = {
        operation.id: sorted(
            status
            for status in paths[operation.path][operation.verb]["responses"]
            if status < "300"
        )
        for operation in operations()
    }
    assert good["post_runs"] == ["200", "201"]
    assert good["delete_runs_run_id"] == ["202"]
    assert good["post_runs_run_id_retry"] == ["200", "201"]
    assert good["get_runs_run_id_artifacts_artifact_id"] == ["200", "206"]
    assert good["get_runs"] == ["200"]


async def test_it_is_served_for_the_prefix_that_was_asked(ask: Ask) -> None:
    for prefix in ("api", "mellea/api"):
        reply = await ask("GET", f"{prefix}/openapi.json")
        served = body(reply)
        assert served["openapi"].startswith("3.1.")
        assert served["servers"] == [{"url": f"/a%40b/{prefix}"}]


def test_names_in_annotations_are_found_among_the_models() -> None:
    assert {"Run", "RunQuery", "LogPageQuery", "ErrorBody"} <= api_models().keys()


def test_loading_the_routes_imports_neither_pydantic_nor_our_models() -> None:
    """At server start only the standard library, Jupyter's own modules and handlers are loaded."""
    program = """
import json, sys
import jupyter_server.serverapp, jupyter_server.base.websocket, jupyter_server.auth.decorator
import tornado.websocket
before = set(sys.modules)
import mellea_jupyter.handlers.routes
print(json.dumps(sorted(set(sys.modules) - before)))
"""
    found = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=60
    )
    loaded = json.loads(found.stdout)
    foreign = [
        name
        for name in loaded
        if not name.startswith(("mellea_jupyter.handlers", "mellea_jupyter.auth"))
        and name not in ("mellea_jupyter", "mellea_jupyter.exceptions")
        and name.partition(".")[0] not in sys.stdlib_module_names
    ]
    assert foreign == []
    assert "mellea_jupyter.handlers.openapi" not in loaded
    assert "mellea_jupyter.handlers.parameters" not in loaded
