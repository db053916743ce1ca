"""`export`: a run as an OpenTelemetry trace, from here."""

from __future__ import annotations

import argparse
import asyncio
from typing import TYPE_CHECKING

from mellea_jupyter.cli.picking import open_client, pick_run
from mellea_jupyter.client import phrases
from mellea_jupyter.client.errors import ClientError
from mellea_jupyter.client.flags import UsageError
from mellea_jupyter.telemetry.setup import MISSING

if TYPE_CHECKING:
    from mellea_jupyter.client.sync import MelleaClient
    from mellea_jupyter.telemetry.spans import Trace


def export(flags: argparse.Namespace) -> int:
    """`jupyter mellea export RUN --otlp URL`."""
    try:
        from mellea_jupyter.telemetry.channel import SERVICE_NAME
        from mellea_jupyter.telemetry.collector import (
            Collector,
            ExportFailed,
            endpoint_url,
            parse_headers,
        )
        from mellea_jupyter.telemetry.spans import spans_of
    except ImportError as exc:
        raise UsageError(MISSING) from exc
    try:
        collector = Collector(endpoint_url(flags.otlp), parse_headers(None))
    except ValueError as exc:
        raise UsageError(f"--otlp {exc}") from exc
    with open_client(flags) as client:
        trace = _read(client, pick_run(client, flags.run), content=flags.content)
    spans = spans_of(trace, service_name=SERVICE_NAME)
    try:
        asyncio.run(collector.export(spans))
    except ExportFailed as exc:
        raise ClientError(
            str(exc), hint="Check the address and OTEL_EXPORTER_OTLP_HEADERS."
        ) from exc
    print(f"{phrases.count(len(spans), 'span')} of trace {trace.run.id.replace('-', '')}")
    return 0


def _read(client: MelleaClient, run_id: str, *, content: bool) -> Trace:
    from mellea_jupyter.telemetry.spans import Trace

    handle = client.handle(run_id)
    run = handle.run
    if not run.is_terminal:
        raise ClientError(f"run {phrases.short_id(run_id)} has not ended", hint="Export it then.")
    calls = handle.calls()
    contents = {}
    if content:
        contents = {call.call: handle.call_content(call.call) for call in calls if call.has_content}
    return Trace(
        run=run,
        calls=calls,
        loops=handle.loops(),
        contents=contents,
        tells_content=content,
    )
