"""What is kept of a run: its artifacts and its structured outputs."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mellea_jupyter.models.artifacts import ArtifactList, SkippedArtifact, StructuredOutput
from mellea_jupyter.models.run import Run
from mellea_jupyter.service.masking import Masking
from mellea_jupyter.service.offload import Offload
from mellea_jupyter.service.outputs import read_outputs
from mellea_jupyter.stores.artifacts.base import ArtifactStore

log = logging.getLogger(__name__)


class Collector:
    """Collects after the program's tree is dead; a failure here never keeps a run from ending."""

    def __init__(self, *, artifacts: ArtifactStore, masking: Masking, offload: Offload) -> None:
        self._artifacts = artifacts
        self._masking = masking
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
        self, run: Run, run_dir: Path, frames: Sequence[Mapping[str, Any]], kept: ArtifactList
    ) -> list[StructuredOutput]:
        """The structured outputs the program declared, in order, secret values masked."""

        def read() -> list[StructuredOutput]:
            redactor = self._masking.find_redactor(run)
            return read_outputs(run.id, run_dir / "outputs", frames, kept, redactor)

        return await self._offload.io(read)
