"""Pinned files by content: `<store_dir>/blobs/ab/<sha256>`, written once and never changed.

A run gets copies, never links: a program may write beside its own source.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from mellea_jupyter.exceptions import StoreError
from mellea_jupyter.models.assets import PinnedFile


def content_hash_of(files: Iterable[PinnedFile]) -> str:
    """SHA-256 over the paths and checksums, ordered by path; 64 hexadecimal digits."""
    digest = hashlib.sha256()
    for file in sorted(files, key=lambda file: file.path):
        digest.update(f"{file.path}\0{file.checksum}\n".encode())
    return digest.hexdigest()


def store_blob(content: bytes, store_dir: Path) -> str:
    """Keep these bytes; returns their SHA-256. Keeping them again does nothing."""
    checksum = hashlib.sha256(content).hexdigest()
    target = _blob_path(store_dir, checksum)
    try:
        if target.stat().st_size == len(content):
            return checksum
    except FileNotFoundError:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(prefix=".new-", dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        Path(temporary).replace(target)
    except BaseException:
        Path(temporary).unlink()
        raise
    return checksum


def materialize(
    content_hash: str, files: Sequence[PinnedFile], store_dir: Path, target: Path
) -> None:
    """Fill `target` (a run's `source/`) with copies of the pinned files. Idempotent.

    Raises:
        StoreError: the list is not that of `content_hash`, or a stored file is missing or damaged.
    """
    if content_hash_of(files) != content_hash:
        msg = f"The file list of the pinned source {content_hash[:12]} is not complete"
        raise StoreError(msg, hint="Register the program again.")
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    for file in files:
        path = PurePosixPath(file.path)
        if path.is_absolute() or ".." in path.parts:
            msg = f"The pinned source {content_hash[:12]} names a file outside itself"
            raise StoreError(msg, hint="Register the program again.")
        content = _read_blob(file, store_dir)
        destination = target / path
        destination.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(destination, flags, 0o600), "wb") as out:
            out.write(content)


def _read_blob(file: PinnedFile, store_dir: Path) -> bytes:
    source = _blob_path(store_dir, file.checksum)
    try:
        content = source.read_bytes()
    except FileNotFoundError:
        content = None
    if content is None or hashlib.sha256(content).hexdigest() != file.checksum:
        source.unlink(missing_ok=True)  # so that pinning the same bytes again repairs it
        msg = f"The pinned copy of {file.path} is {'missing' if content is None else 'damaged'}"
        raise StoreError(msg, hint="Register the program again.")
    return content


def _blob_path(store_dir: Path, checksum: str) -> Path:
    return store_dir / "blobs" / checksum[:2] / checksum
