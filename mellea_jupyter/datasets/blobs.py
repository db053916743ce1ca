"""Files of any size by content: `<store>/blobs/ab/<sha256>`, written once, read-only.

A blob carries a modification time of its own (`_UNTOUCHED`): one that has another was written to
by somebody, and is read again before it is believed.

Its *change* time is that of its last use, which `sweep` goes by: what no dataset names any more
goes when nobody has used it for a while, so a registration under way loses nothing.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final

from mellea_jupyter.exceptions import StoreError
from mellea_jupyter.models.datasets import DatasetFile

CHUNK_BYTES: Final = 1 << 20
_FICLONE: Final = 0x40049409
"""Linux' request to share the blocks of another file, copied when one of both is written to.
Source: ioctl_ficlone(2)."""
_UNTOUCHED: Final = 946_684_800 * 10**9
"""Nanoseconds: the first instant of the year 2000, when nothing of this was written."""


class Changed(Exception):
    """A file was written to while it was read."""


def keep_file(source: BinaryIO, store_dir: Path, spend: Callable[[int], None]) -> tuple[str, int]:
    """Keep what an open file holds; its SHA-256 and its size.

    Args:
        source: open for reading, at its beginning.
        store_dir: where the blobs are.
        spend: called with each number of bytes before they are written; raises to stop.

    Raises:
        Changed: it was written to meanwhile; nothing was kept.
        OSError: it can not be read, or there is no room.
    """
    before = os.fstat(source.fileno())
    blobs = store_dir / "blobs"
    blobs.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(prefix=".new-", dir=blobs)
    try:
        with os.fdopen(descriptor, "r+b") as copy:
            if _clone(source, copy):
                spend(before.st_size)
                checksum, size = _hash(copy)
            else:
                checksum, size = _copy(source, copy, spend)
        if _stamp(before) != _stamp(os.fstat(source.fileno())) or size != before.st_size:
            raise Changed
        _settle(Path(temporary), store_dir, checksum)
    finally:
        Path(temporary).unlink(missing_ok=True)
    return checksum, size


def place(file: DatasetFile, store_dir: Path, target: Path) -> None:
    """Make `target` this file, read-only: shared blocks, a hard link or a copy.

    A hard link only where the account of this process can not write to a read-only file: as root,
    a program that writes to its inputs would change them for all other runs.

    Raises:
        StoreError: the blob is missing or damaged.
        OSError: there is no room.
    """
    blob = blob_path(store_dir, file.checksum)
    _require_whole(blob, file)
    with blob.open("rb") as source, target.open("xb") as copy:
        cloned = _clone(source, copy)
    if not cloned:
        target.unlink()
        if os.geteuid() == 0 or not _link(blob, target):
            with blob.open("rb") as source, target.open("xb") as copy:
                _copy(source, copy, lambda _: None)
    target.chmod(0o444)


def sweep(store_dir: Path, is_needed: Callable[[str], bool], unused_seconds: float) -> int:
    """Remove blobs that no dataset names and nobody used for so long; how many."""
    removed = 0
    for path in _iter_blobs(store_dir / "blobs"):
        with suppress(FileNotFoundError):
            is_old = path.stat().st_ctime < time.time() - unused_seconds
            if is_old and (path.name.startswith(".new-") or not is_needed(path.name)):
                path.unlink()
                removed += 1
    return removed


def blob_path(store_dir: Path, checksum: str) -> Path:
    """Where the blob with this SHA-256 is, whether it exists or not."""
    return store_dir / "blobs" / checksum[:2] / checksum


def _iter_blobs(blobs: Path) -> Iterator[Path]:
    if blobs.is_dir():
        for entry in sorted(blobs.iterdir()):
            yield from sorted(entry.iterdir()) if entry.is_dir() else (entry,)


def _settle(temporary: Path, store_dir: Path, checksum: str) -> None:
    target = blob_path(store_dir, checksum)
    target.parent.mkdir(mode=0o700, exist_ok=True)
    with suppress(FileNotFoundError):
        if target.stat().st_mtime_ns == _UNTOUCHED:
            target.chmod(0o444)  # used now: `sweep` looks at the change time
            return
    temporary.chmod(0o444)
    os.utime(temporary, ns=(_UNTOUCHED, _UNTOUCHED))
    temporary.replace(target)


def _require_whole(blob: Path, file: DatasetFile) -> None:
    hint = "Register the dataset again."
    try:
        status = blob.stat()
        blob.chmod(0o444)
        if status.st_mtime_ns == _UNTOUCHED and status.st_size == file.size_bytes:
            return
        with blob.open("rb") as content:
            checksum, _ = _hash(content)
    except FileNotFoundError:
        msg = f"The pinned copy of {file.path} is missing"
        raise StoreError(msg, hint=hint) from None
    if checksum != file.checksum:
        blob.unlink(missing_ok=True)  # so that registering the same bytes repairs it
        raise StoreError(f"The pinned copy of {file.path} was changed", hint=hint)
    os.utime(blob, ns=(_UNTOUCHED, _UNTOUCHED))


def _clone(source: BinaryIO, copy: BinaryIO) -> bool:
    """Share the blocks, where the file system can."""
    try:
        fcntl.ioctl(copy.fileno(), _FICLONE, source.fileno())
    except OSError:
        return False
    return True


def _link(blob: Path, target: Path) -> bool:
    try:
        os.link(blob, target)
    except OSError:  # another file system, no links there, or too many of this file
        return False
    return True


def _copy(source: BinaryIO, copy: BinaryIO, spend: Callable[[int], None]) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    while chunk := source.read(CHUNK_BYTES):
        spend(len(chunk))
        digest.update(chunk)
        copy.write(chunk)
        size += len(chunk)
    return digest.hexdigest(), size


def _hash(file: BinaryIO) -> tuple[str, int]:
    file.seek(0)
    digest = hashlib.sha256()
    while chunk := file.read(CHUNK_BYTES):
        digest.update(chunk)
    return digest.hexdigest(), file.tell()


def _stamp(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_ino, status.st_size, status.st_mtime_ns
