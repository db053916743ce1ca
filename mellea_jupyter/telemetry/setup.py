"""An operator's settings become a collector; what keeps it from working is said in the log."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mellea_jupyter.telemetry.collector import Collector

log = logging.getLogger(__name__)

MISSING = "OpenTelemetry is not installed: pip install 'mellea-jupyter[otel]'"


@dataclass(frozen=True, slots=True)
class OtlpSettings:
    """The traits of `MelleaApp` about OpenTelemetry, as they are there."""

    endpoint: str = ""
    headers_file: str = ""
    content: bool = False


def make_collector(settings: OtlpSettings) -> Collector | None:
    """The collector that the settings name; None for none. Reads a file.

    A wrong setting is logged and exports nothing, because runs do not depend on it.
    """
    if not settings.endpoint:
        return None
    try:
        from mellea_jupyter.telemetry.collector import Collector, endpoint_url, parse_headers
    except ImportError:
        log.warning("Runs are not exported. %s", MISSING)
        return None
    try:
        text = None
        if settings.headers_file:
            file = Path(settings.headers_file).expanduser()
            if file.stat().st_mode & 0o077:
                log.warning("%s can be read by others than its owner; chmod 600 mends that", file)
            text = file.read_text("utf-8")
        return Collector(endpoint_url(settings.endpoint), parse_headers(text))
    except (ValueError, OSError) as error:
        log.warning("Runs are not exported: MelleaApp.otlp_endpoint or its headers: %s", error)
        return None
