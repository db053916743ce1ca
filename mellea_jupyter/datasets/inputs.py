"""A run's `inputs/`: each dataset of the run under its name, read-only."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from mellea_jupyter.datasets import objects
from mellea_jupyter.datasets.blobs import place
from mellea_jupyter.models.datasets import Dataset, DatasetFile, DatasetKind


@dataclass(frozen=True, slots=True)
class Input:
    """A dataset that a run is to have."""

    name: str
    dataset: Dataset
    files: tuple[DatasetFile, ...]

    def path_in(self, inputs_dir: Path) -> Path:
        """What the program gets: the file where the dataset is one, else the folder."""
        is_one = self.dataset.kind == DatasetKind.FILE or (
            self.dataset.kind == DatasetKind.URL and not (self.dataset.url or "").endswith("/")
        )
        folder = inputs_dir / self.name
        return folder / self.files[0].path if is_one else folder


def fill(
    inputs_dir: Path, wanted: Iterable[Input], store_dir: Path, *, should_stop: Callable[[], bool]
) -> dict[str, str]:
    """Put the datasets into place; the path of each by its name. Begins anew what was half done.

    Raises:
        LaunchFailed: an object can not be had as it was.
        StoreError: a pinned file is missing or was changed.
        Stopped: `should_stop` said so.
        OSError: there is no room.
    """
    paths = {}
    for each in wanted:
        folder = inputs_dir / each.name
        make_writable(folder)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        if each.dataset.kind == DatasetKind.URL:
            objects.fetch(each.dataset.url or "", each.files, folder, should_stop=should_stop)
        else:
            for file in each.files:
                if should_stop():
                    raise objects.Stopped
                target = folder / file.path
                target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                place(file, store_dir, target)
        _protect(folder)
        paths[each.name] = os.fspath(each.path_in(inputs_dir))
    return paths


def make_writable(folder: Path) -> None:
    """Let the folders in it be removed again; links are not followed."""
    if folder.is_symlink():  # a program put it there
        return
    for path, _, _ in os.walk(folder):
        os.chmod(path, 0o700)  # noqa: PTH101 - `os.walk` gives text


def _protect(folder: Path) -> None:
    """Readable for whoever a container runs as; the run's folder above lets nobody else in."""
    for path, _, _ in os.walk(folder, topdown=False):
        os.chmod(path, 0o555)  # noqa: PTH101, S103
