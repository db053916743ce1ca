"""Runs as OpenTelemetry spans. Needs the extra `mellea-jupyter[otel]`."""
