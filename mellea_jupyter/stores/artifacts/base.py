"""The contract of the artifact store: content by checksum, collected from a run's output folder."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path

from mellea_jupyter.models.artifacts import ArtifactList, ArtifactRef


class ArtifactStore(ABC):
    """Bytes that runs produced. Synchronous; called from worker threads."""

    @abstractmethod
    def collect(self, run_id: str, output_dir: Path, *, quota_bytes: int) -> ArtifactList:
        """Store the regular files below `output_dir`, up to the quota.

        No link is followed, nothing but regular files is opened. Idempotent: a file stored before
        is not stored again. What is not kept is listed with its reason.
        """

    @abstractmethod
    def iter_bytes(
        self, artifact: ArtifactRef, *, start: int = 0, end: int | None = None
    ) -> Iterator[bytes]:
        """The stored bytes in chunks, `end` exclusive.

        Raises:
            ArtifactNotFound: the bytes are not there any more.
            StoreError: the store does not answer.
        """

    @abstractmethod
    def delete_run(self, run_id: str) -> None:
        """Remove a run's artifacts. Idempotent."""
