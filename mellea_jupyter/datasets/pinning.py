"""`pin_path`: read a file or folder once and keep its bytes by content.

A file that is named has to be one. In a folder, what can not be data is left out and listed with
its reason: links that lead out of the server's root, pipes, sockets, devices, what can not be
read. Links that stay inside are followed, and their targets' bytes are kept.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from mellea_jupyter.assets.blobs import content_hash_of
from mellea_jupyter.assets.reading import Reader
from mellea_jupyter.datasets.blobs import Changed, keep_file
from mellea_jupyter.exceptions import InvalidInput, InvalidProgram, QuotaExceeded
from mellea_jupyter.models.datasets import DatasetFile, DatasetKind, SkippedFile

MAX_FILES: Final = 100_000
MAX_SKIPPED_LISTED: Final = 1000
ATTEMPTS: Final = 3

_LEFT_OUT: Final = frozenset(
    {".git", ".hg", ".svn", ".env", ".ipynb_checkpoints", "__pycache__", ".DS_Store"}
)
_KINDS: Final = (
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


@dataclass(frozen=True, slots=True)
class Pinned:
    """A dataset as it was at this moment.

    Attributes:
        place: the path relative to the root, or the URL; with the kind it is what makes the
            dataset the same one next time.
        version: SHA-256 over the files' paths and checksums.
        files: ordered by path.
    """

    kind: DatasetKind
    name: str
    place: str
    version: str
    files: tuple[DatasetFile, ...]
    skipped: tuple[SkippedFile, ...] = ()

    @property
    def size_bytes(self) -> int:
        """Sum of the sizes."""
        return sum(file.size_bytes for file in self.files)


class _Unfit(Exception):
    """Something in a folder that is no data; the text is the reason."""


def pin_path(path: str, *, root: Path, store_dir: Path, max_bytes: int) -> Pinned:
    """Pin the file or folder at `path`, relative to `root`. Blocks as long as there are bytes.

    Raises:
        InvalidInput: it is not below the root, is no file or folder, or has no files.
        QuotaExceeded: it is larger than allowed, or the disk is full.
    """
    reader = Reader(root.resolve(), store_dir.resolve())
    if not path.strip():
        raise InvalidInput("path", "is empty", hint="Name a file or a folder.")
    try:
        place = reader.locate(path)
    except InvalidProgram as error:
        message = error.message.removeprefix("path: ")
        raise InvalidInput("path", message, hint=error.hint) from error
    shown = place.relative_to(reader.root).as_posix()
    budget = _Budget(max_bytes)
    if place.is_dir():
        return _pin_folder(place, shown, reader, store_dir, budget)
    try:
        file = _keep(PurePosixPath(place.name), place, store_dir, budget)
    except _Unfit as error:
        hint = "Name a regular file, or a folder."
        raise InvalidInput("path", f"{shown!r} is {error}", hint=hint) from None
    return Pinned(DatasetKind.FILE, place.name, shown, version_of([file]), (file,))


def version_of(files: list[DatasetFile]) -> str:
    """SHA-256 over paths and checksums, 64 hexadecimal digits."""
    return content_hash_of(files)


class _Budget:
    """How much may still be kept: `left` bytes."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self.left = max_bytes

    def spend(self, size_bytes: int) -> None:
        """Raises QuotaExceeded."""
        self.left -= size_bytes
        if self.left < 0:
            raise QuotaExceeded(
                f"The dataset is larger than the {self._max_bytes >> 20} MiB allowed here",
                hint="Register a part of it, bind it by URL, or have the operator raise "
                "MelleaApp.max_dataset_mb.",
            )


def _pin_folder(
    folder: Path, shown: str, reader: Reader, store_dir: Path, budget: _Budget
) -> Pinned:
    files: list[DatasetFile] = []
    skipped: list[SkippedFile] = []
    for found in _walk(folder, PurePosixPath(), reader, store_dir.resolve(), frozenset()):
        if isinstance(found, SkippedFile):
            skipped.append(found)
            continue
        path, real = found
        try:
            files.append(_keep(path, real, store_dir, budget))
        except _Unfit as error:
            skipped.append(SkippedFile(path=str(path), reason=str(error)))
        if len(files) > MAX_FILES:
            raise QuotaExceeded(
                f"The folder {shown!r} has more than {MAX_FILES:,} files",
                hint="Register a part of it, or pack it into an archive.",
            )
    if not files:
        why = f"; left out were {_listed(skipped)}" if skipped else ""
        raise InvalidInput("path", f"{shown!r} has no files{why}", hint="Put data into it.")
    return Pinned(
        DatasetKind.FOLDER, folder.name, shown, version_of(files), tuple(files),
        tuple(skipped[:MAX_SKIPPED_LISTED]),
    )  # fmt: skip


def _listed(skipped: list[SkippedFile]) -> str:
    return ", ".join(f"{each.path} ({each.reason})" for each in skipped[:3])


def _walk(
    folder: Path, relative: PurePosixPath, reader: Reader, private: Path, above: frozenset[Path]
) -> Iterator[tuple[PurePosixPath, Path] | SkippedFile]:
    """Yields `(path relative to the dataset, real path)`, or what is left out, ordered by path."""
    try:
        names = sorted(entry.name for entry in os.scandir(folder))
    except OSError as error:
        yield SkippedFile(path=str(relative), reason=f"can not be read: {error.strerror}")
        return
    for name in names:
        path = relative / name
        try:
            str(path).encode()
        except UnicodeEncodeError:
            text = str(path).encode("utf-8", "replace").decode()
            yield SkippedFile(path=text, reason="its name is not UTF-8")
            continue
        if name in _LEFT_OUT:
            yield SkippedFile(path=str(path), reason="never part of a dataset")
            continue
        try:
            real = reader.resolve(folder / name, str(path))
        except InvalidProgram:
            yield SkippedFile(path=str(path), reason="a link that leads out or nowhere")
            continue
        if not real.is_dir():
            yield path, real
        elif real == private:
            yield SkippedFile(path=str(path), reason="the store of datasets itself")
        elif real in above or real == folder:
            yield SkippedFile(path=str(path), reason="a link that leads back")
        else:
            yield from _walk(real, path, reader, private, above | {folder})


def _keep(path: PurePosixPath, real: Path, store_dir: Path, budget: _Budget) -> DatasetFile:
    """Raises _Unfit, QuotaExceeded, InvalidInput (it changes all the time)."""
    left = budget.left
    for _ in range(ATTEMPTS):
        budget.left = left
        try:
            _require_regular(os.lstat(real))  # so that a device is not even opened
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            with os.fdopen(os.open(real, flags), "rb") as source:
                _require_regular(os.fstat(source.fileno()))
                checksum, size = keep_file(source, store_dir, budget.spend)
        except Changed:
            continue
        except PermissionError:
            raise _Unfit("not readable by the server") from None
        except FileNotFoundError:
            raise _Unfit("gone while it was read") from None
        except OSError as error:
            raise QuotaExceeded(
                f"{path} can not be kept: {error.strerror or error}",
                hint="Check the disk that holds MelleaApp.data_dir.",
                scope="store",
            ) from error
        return DatasetFile(path=str(path), checksum=checksum, size_bytes=size)
    raise InvalidInput(
        "path", f"{str(path)!r} changes while it is read", hint="Try again when it is written."
    )


def _require_regular(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        what = next((name for is_kind, name in _KINDS if is_kind(status.st_mode)), "not a file")
        raise _Unfit(what)
