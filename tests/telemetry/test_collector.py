"""Addresses, headers and answers of collectors."""

from __future__ import annotations

import asyncio

import pytest

from mellea_jupyter.models.config import RunConfig
from mellea_jupyter.models.run import Run
from mellea_jupyter.telemetry.collector import (
    Collector,
    ExportFailed,
    endpoint_url,
    parse_headers,
)
from mellea_jupyter.telemetry.setup import OtlpSettings, make_collector
from mellea_jupyter.telemetry.spans import Trace, spans_of
from tests.client.fake_server import a_run
from tests.telemetry.conftest import OtlpEndpoint


def a_trace() -> Trace:
    run: Run = a_run(config=RunConfig(model="a/b"))
    return Trace(run=run)


def export(endpoint: OtlpEndpoint) -> None:
    spans = spans_of(a_trace(), service_name="test")
    asyncio.run(Collector(endpoint_url(endpoint.url)).export(spans))


@pytest.mark.parametrize(
    ("endpoint", "url"),
    [
        ("http://localhost:4318", "http://localhost:4318/v1/traces"),
        ("https://otel.example.org/", "https://otel.example.org/v1/traces"),
        ("https://otel.example.org/intake/v1", "https://otel.example.org/intake/v1"),
        ("http://localhost:4318?key=1", "http://localhost:4318/v1/traces?key=1"),
    ],
)
def test_a_path_is_added_where_there_is_none(endpoint: str, url: str) -> None:
    assert endpoint_url(endpoint) == url


@pytest.mark.parametrize("endpoint", ["localhost:4318", "ftp://x/", "http://", "grpc://x:4317"])
def test_what_is_no_web_address_is_refused(endpoint: str) -> None:
    with pytest.raises(ValueError, match="http"):
        endpoint_url(endpoint)


def test_headers_come_from_a_text_or_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-key=from%20there,x-b=2")
    assert parse_headers(None) == {"x-key": "from there", "x-b": "2"}
    assert parse_headers("x-key = here\n\nx-c=3\n") == {"x-key": "here", "x-c": "3"}
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_HEADERS")
    assert parse_headers(None) == {}


@pytest.mark.parametrize(
    ("answer", "is_final"),
    [(500, True), (503, False), (429, False), (408, False), (400, True), (401, True), (302, True)],
)
def test_the_answer_says_whether_to_try_again(
    endpoint: OtlpEndpoint, answer: int, *, is_final: bool
) -> None:
    endpoint.answers.append(answer)
    with pytest.raises(ExportFailed, match=str(answer)) as caught:
        export(endpoint)
    assert caught.value.is_final is is_final


def test_dropped_spans_are_a_failure_that_stays(endpoint: OtlpEndpoint) -> None:
    endpoint.rejects = 1
    with pytest.raises(ExportFailed, match="dropped 1 span") as caught:
        export(endpoint)
    assert caught.value.is_final


@pytest.mark.parametrize(
    "settings",
    [
        OtlpSettings(endpoint="localhost:4318"),
        OtlpSettings(endpoint="http://localhost:4318", headers_file="/no/such/file"),
    ],
)
def test_a_wrong_setting_is_logged_and_exports_nothing(
    settings: OtlpSettings, caplog: pytest.LogCaptureFixture
) -> None:
    assert make_collector(settings) is None
    assert "otlp_endpoint" in caplog.text
    assert make_collector(OtlpSettings()) is None


def test_a_missing_package_is_said_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "mellea_jupyter.telemetry.collector", None)
    assert make_collector(OtlpSettings(endpoint="http://localhost:4318")) is None
    assert "pip install 'mellea-jupyter[otel]'" in caplog.text
