"""The bytes that are kept of runs: how many there are, and their removal when they expire."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from mellea_jupyter.datasets.inputs import make_writable
from mellea_jupyter.models.run import Run
from mellea_jupyter.service.run_folder import RunFolders
from mellea_jupyter.stores.artifacts.base import ArtifactStore
from mellea_jupyter.stores.journals.base import JournalStore

# What a retry needs stays: the secrets and what was run. The log goes through the journal store.
_EXPIRING: Final = ("outputs", "work", "inputs")


class KeptBytes:
    """What a run keeps in its folder and in the stores. Everything here blocks."""

    def __init__(
        self,
        *,
        data_dir: Path,
        folders: RunFolders,
        journals: JournalStore,
        artifacts: ArtifactStore,
    ) -> None:
        self._data_dir = data_dir
        self._folders = folders
        self._journals = journals
        self._artifacts = artifacts

    def size_of(self, run: Run) -> int:
        """Bytes that go when the run expires."""
        folder = self._folders.path(run.id)
        on_disk = sum(_size(folder / name, linked=False) for name in (*_EXPIRING, "journal"))
        return on_disk + sum(artifact.size_bytes for artifact in run.artifacts)

    def remove(self, run_id: str) -> None:
        """Remove a run's log, artifacts and working files; its source stays. Idempotent."""
        self._artifacts.delete_run(run_id)
        self._journals.delete(run_id)
        make_writable(self._folders.path(run_id) / "inputs")
        for name in _EXPIRING:
            shutil.rmtree(self._folders.path(run_id) / name, ignore_errors=True)

    def disk_use(self) -> tuple[int, int]:
        """Bytes that the data folder takes, and those left on its disk."""
        return _size(self._data_dir), shutil.disk_usage(self._data_dir).free


def _size(folder: Path, *, linked: bool = True) -> int:
    """Bytes that the files below a folder take; links count as themselves, holes do not count.

    A file of several names counts once; without `linked`, as one that is kept elsewhere, not.
    """
    seen: set[tuple[int, int]] = set()
    size = 0
    for status in _iter_status(folder):
        if status.st_nlink > 1 and stat.S_ISREG(status.st_mode):
            if not linked or (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
        size += status.st_blocks * 512
    return size


def _iter_status(folder: Path) -> Iterator[os.stat_result]:
    pending = [] if folder.is_symlink() else [os.fspath(folder)]  # a program may have put it there
    while pending:
        try:
            with os.scandir(pending.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
                    yield entry.stat(follow_symlinks=False)
        except OSError:  # removed meanwhile, or not ours to read
            continue
