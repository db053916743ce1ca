"""The files of an output folder, which a program filled and may have filled with traps.

Every folder and file is opened relative to the descriptor of the folder it is in, without
following links and without blocking; only regular files are handed out.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

INTERNAL_FOLDER: Final = ".mellea"
"""Ours, at the top of the output folder; not an artifact."""

_CHUNK_BYTES: Final = 1 << 20
_MAX_DEPTH: Final = 64  # one descriptor is open for each level
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Changed(Exception):
    """A file changed while it was read."""


@dataclass(frozen=True, slots=True)
class Found:
    """An open regular file. Its descriptor is closed when the walk goes on."""

    path: str
    descriptor: int
    status: os.stat_result


@dataclass(frozen=True, slots=True)
class Passed:
    """Something that is not handed out, and why."""

    path: str
    reason: str
    size_bytes: int | None = None


def walk(folder: Path) -> Iterator[Found | Passed]:
    """Everything below a folder that is not a folder, ordered by path within each folder.

    A folder that is not there yields nothing. Paths are relative, with `/`.
    """
    try:
        descriptor = os.open(folder, _FOLDER)
    except FileNotFoundError:
        return
    except OSError as error:
        yield Passed("", _reason(error))
        return
    try:
        yield from _walk(descriptor, "", 0)
    finally:
        os.close(descriptor)


def read(file: Found) -> Iterator[bytes]:
    """The file's bytes, exactly as many as its size was when it was found.

    Raises:
        Changed: there are more or fewer, or it was written to.
    """
    left = file.status.st_size
    while data := os.read(file.descriptor, min(_CHUNK_BYTES, left + 1)):
        left -= len(data)
        if left < 0:
            raise Changed
        yield data
    now = os.fstat(file.descriptor)
    if left or now.st_mtime_ns != file.status.st_mtime_ns:
        raise Changed


def _walk(folder: int, prefix: str, depth: int) -> Iterator[Found | Passed]:
    try:
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except OSError as error:
        yield Passed(prefix.rstrip("/"), _reason(error))
        return
    for entry in entries:
        if prefix or entry.name != INTERNAL_FOLDER:
            yield from _entry(folder, entry, prefix, depth)


def _entry(
    folder: int, entry: os.DirEntry[str], prefix: str, depth: int
) -> Iterator[Found | Passed]:
    name = entry.name
    path = prefix + name
    try:
        path.encode()
    except UnicodeEncodeError:  # bytes that are no UTF-8 arrive as lone surrogates
        yield Passed(os.fsencode(path).decode(errors="replace"), "name")
        return
    try:
        if entry.is_symlink():
            yield Passed(path, "link")
        elif entry.is_dir(follow_symlinks=False) and depth >= _MAX_DEPTH:
            yield Passed(path, "too_deep")
        elif entry.is_dir(follow_symlinks=False):
            descriptor = os.open(name, _FOLDER, dir_fd=folder)
            try:
                yield from _walk(descriptor, f"{path}/", depth + 1)
            finally:
                os.close(descriptor)
        elif not entry.is_file(follow_symlinks=False):
            yield Passed(path, "not_regular")
        else:
            yield from _file(folder, name, path)
    except OSError as error:
        yield Passed(path, _reason(error))


def _file(folder: int, name: str, path: str) -> Iterator[Found | Passed]:
    descriptor = os.open(name, _FILE, dir_fd=folder)
    try:
        status = os.fstat(descriptor)
        if stat.S_ISREG(status.st_mode):
            yield Found(path, descriptor, status)
        else:  # replaced between the two looks
            yield Passed(path, "not_regular")
    finally:
        os.close(descriptor)


def _reason(error: OSError) -> str:
    if error.errno == errno.ELOOP:
        return "link"
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return "changed"
    return "unreadable"
