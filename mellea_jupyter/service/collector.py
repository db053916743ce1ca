"""What is kept of a run: its artifacts, its structured outputs, its calls."""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson

from mellea_jupyter.accounting.usage import UsageState
from mellea_jupyter.models.artifacts import ArtifactList, SkippedArtifact, StructuredOutput
from mellea_jupyter.models.run import Run
from mellea_jupyter.service.offload import Offload
from mellea_jupyter.stores.artifacts.base import ArtifactStore
from mellea_jupyter.stores.runs.base import CallRow

log = logging.getLogger(__name__)

OUTPUT_LIMIT_BYTES = 8 << 20
OUTPUT_FILE = ".mellea/output.json"


class Collector:
    """Collects after the program's tree is dead; a failure here never keeps a run from ending."""

    def __init__(self, *, artifacts: ArtifactStore, offload: Offload) -> None:
        self._artifacts = artifacts
        self._offload = offload

    async def collect(self, run: Run, run_dir: Path) -> ArtifactList:
        """Store the files of the run's output folder; what could not be kept is listed."""
        quota = int(run.config.artifact_quota_mb * 1024 * 1024)
        try:
            return await self._offload.collect(
                self._artifacts.collect, run.id, run_dir / "outputs", quota_bytes=quota
            )
        except Exception as error:  # whatever it is, the run has to get its final status
            log.exception("run %s: artifacts could not be collected", run.id)
            reason = f"storage_error: {type(error).__name__}"
            return ArtifactList(skipped=(SkippedArtifact(path=".", reason=reason),))

    async def outputs(
        self, run: Run, run_dir: Path, frames: Sequence[dict[str, Any]], kept: ArtifactList
    ) -> list[StructuredOutput]:
        """The structured outputs the program declared, in order."""
        found: list[StructuredOutput] = []
        for frame in frames:
            data = frame.get("data")
            if "data" not in frame:
                data = await self._offload.io(_read_output, run_dir / "outputs")
            by_path = {artifact.path: artifact.id for artifact in kept.artifacts}
            artifact_id = by_path.get(str(frame.get("path", "")), f"out_{run.id}_{len(found)}")
            version = str(frame.get("schema_version", "1"))[:100]
            found.append(
                StructuredOutput(artifact_id=artifact_id, schema_version=version, data=data)
            )
        return found

    @staticmethod
    def changed_calls(usage: UsageState) -> list[CallRow]:
        """Calls that changed since the last time this was asked, as rows."""
        return [
            CallRow(
                call=call.call,
                seq=call.seq or 0,
                started_at=call.started_at or 0.0,
                purpose=call.purpose,
                provider=call.provider,
                model=call.model,
                status="active" if call.status == "started" else call.status,
                input_tokens=call.input_tokens,
                output_tokens=call.output_tokens,
                latency_ms=call.latency_ms,
                cost_pico_usd=call.price.picodollars if call.price else None,
                loop=call.loop,
                attempt=call.attempt,
                error=_error_text(call.error),
            )
            for call in usage.take_changed_calls()
        ]


def _error_text(error: dict[str, Any] | None) -> str | None:
    if error is None:
        return None
    return ": ".join(str(error[key]) for key in ("type", "message") if error.get(key))[:2000]


def _read_output(output_dir: Path) -> Any:
    """A structured output that was too large for a frame; None when it can not be read."""
    try:
        fd = os.open(
            output_dir / OUTPUT_FILE,
            os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC,
        )
    except OSError:
        return None
    with os.fdopen(fd, "rb") as file:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode) or found.st_size > OUTPUT_LIMIT_BYTES:
            return None
        try:
            return orjson.loads(file.read(OUTPUT_LIMIT_BYTES))
        except orjson.JSONDecodeError:
            return None
