"""What is said about a model before it is called; the endpoint answers as Ollama does."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import httpx
import pytest
from ollama import Client as OllamaClient

from mellea_jupyter.runtime.ports import free_port
from mellea_jupyter.service.providers import (
    find_missing_variables,
    find_ollama_problem,
    ollama_url,
    provider_of,
)


@pytest.mark.parametrize(
    ("model", "provider"),
    [
        ("openai/gpt-4o", "openai"),
        ("litellm/anthropic/claude", "anthropic"),
        ("litellm/gpt-4o", "litellm"),
        ("granite4:micro", "ollama"),
        ("demo/scripted", "demo"),
    ],
)
def test_the_provider_of_a_model(model: str, provider: str) -> None:
    assert provider_of(model) == provider


@pytest.mark.parametrize(
    ("model", "variables", "missing"),
    [
        ("openai/gpt-4o", {}, ["OPENAI_API_KEY"]),
        ("openai/gpt-4o", {"OPENAI_API_KEY": ""}, ["OPENAI_API_KEY"]),
        ("openai/gpt-4o", {"OPENAI_API_KEY": "k"}, []),
        ("gemini/flash", {"GOOGLE_API_KEY": "k"}, []),
        ("gemini/flash", {}, ["GEMINI_API_KEY or GOOGLE_API_KEY"]),
        ("watsonx/granite", {"WATSONX_URL": "u"}, ["WATSONX_API_KEY", "WATSONX_PROJECT_ID"]),
        ("demo/scripted", {}, []),
        ("somebody/else", {}, []),
    ],
)
def test_missing_variables_are_named(
    model: str, variables: dict[str, str], missing: list[str]
) -> None:
    problems = find_missing_variables(model, variables)
    assert [each.message for each in problems] == [
        f"{model} needs {names}, which is not set." for names in missing
    ]
    assert {(each.field, each.severity) for each in problems} <= {("config.model", "warning")}


@pytest.fixture
def ollama() -> Iterator[str]:
    class Tags(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = {"/api/tags": {"models": [{"name": "granite4:micro"}, {"name": "phi:latest"}]}}
            content = json.dumps(found.get(self.path, "not here")).encode()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Tags)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("model", ["ollama/granite4:micro", "granite4:micro", "ollama/phi"])
async def test_a_model_that_was_pulled_is_fine(ollama: str, model: str) -> None:
    for host in (ollama, f"http://{ollama}/"):
        assert await find_ollama_problem(model, {"OLLAMA_HOST": host}) is None


async def test_a_model_that_was_not_pulled_is_named_with_the_command(ollama: str) -> None:
    problem = await find_ollama_problem("ollama/llama3", {"OLLAMA_HOST": ollama})
    assert problem is not None
    assert problem.message == "Ollama has no model llama3 yet."
    assert problem.hint == "Get it with `ollama pull llama3`."


async def test_an_endpoint_that_refuses_or_hangs_is_told_within_its_second() -> None:
    refused = await find_ollama_problem("phi", {"OLLAMA_HOST": f"0.0.0.0:{free_port()}"})
    assert refused is not None
    assert refused.message.startswith("Ollama does not answer at http://127.0.0.1:")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host = f"127.0.0.1:{silent.getsockname()[1]}"
        hanging = await find_ollama_problem("phi", {"OLLAMA_HOST": host})
    assert hanging is not None
    assert hanging.message == f"Ollama does not answer at http://{host}."


async def test_an_address_that_is_none_is_said() -> None:
    problem = await find_ollama_problem("phi", {"OLLAMA_HOST": "here:there"})
    assert problem is not None
    assert problem.message == "OLLAMA_HOST is no address."


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("", "http://127.0.0.1:11434"),
        ("llm.example.org", "http://llm.example.org:11434"),
        ("llm.example.org/path/", "http://llm.example.org:11434/path"),
        (":8000", "http://127.0.0.1:8000"),
        ("http://llm.example.org", "http://llm.example.org:80"),
        ("https://llm.example.org/", "https://llm.example.org:443"),
        ("[fd00::2]", "http://[fd00::2]:11434"),
    ],
)
def test_an_address_is_read_as_ollamas_client_reads_it(
    host: str, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLLAMA_HOST", host)
    assert ollama_url(host) == url
    with httpx.Client(base_url=url) as client:
        assert OllamaClient()._client.base_url == client.base_url


@pytest.mark.parametrize("host", ["0.0.0.0", "http://0.0.0.0:11434/", "[::]"])
def test_an_address_to_listen_on_is_this_machine(host: str) -> None:
    assert ollama_url(host) == "http://127.0.0.1:11434"
