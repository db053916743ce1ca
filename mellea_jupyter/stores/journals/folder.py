"""A run's journal folder, opened as the hostile input that it is.

Everything is opened relative to a kept descriptor of the folder, without following links, without
blocking on a FIFO, and only when it is a regular file. What the folder is like is a fact; that this
process can not look (no descriptors left, an I/O error) is none, and raises `OSError`.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_WINDOW_BYTES = 256 * 1024
_REPLACED = frozenset({errno.ELOOP, errno.ENXIO, errno.ENOTDIR, errno.EACCES, errno.EPERM})
"""A link, a socket, a file in the place of a folder, or an entry that was closed to its owner."""


class Refused(Exception):
    """Something in the folder is not what it has to be, and is not read. Never leaves us."""


def is_plain_name(name: str) -> bool:
    """Whether the text names an entry of a folder and nothing elsewhere."""
    return bool(name) and name not in {".", ".."} and "/" not in name and "\0" not in name


class JournalFolder:
    """Descriptors of one journal. Holds at most three: the folder, the frames, one segment."""

    def __init__(self, root: Path, run_id: str) -> None:
        self._root = root
        self._run_id = run_id
        self._folder: int | None = None
        self._frames: int | None = None
        self._segment: tuple[int, int] | None = None  # number and descriptor
        self._window: tuple[int, int, bytes] = (-1, 0, b"")  # segment, offset, bytes
        self._sequential = (-1, 0)  # segment and offset at which the last read ended

    def frames(self) -> int | None:
        """The descriptor of `frames.ndjson`; None while there is none.

        Raises:
            Refused: it is there and not a regular file.
            OSError: it can not be told.
        """
        if self._frames is None:
            self._frames = self._open_file("frames.ndjson")
        return self._frames

    def read_segment(self, segment: int, offset: int, length: int) -> bytes | None:
        """Bytes of an output segment, fewer where the file ends before; None when it is gone.

        Raises:
            Refused: it is there and not a regular file.
            OSError: it can not be told, or not be read.
        """
        number, start, window = self._window
        if number == segment and start <= offset and offset + length <= start + len(window):
            self._sequential = (segment, offset + length)
            return window[offset - start : offset - start + length]
        descriptor = self._open_segment(segment)
        if descriptor is None:
            return None
        ahead = _WINDOW_BYTES if self._sequential == (segment, offset) else 0
        data = os.pread(descriptor, max(length, ahead), offset)
        if ahead > length:
            self._window = (segment, offset, data)
        self._sequential = (segment, offset + length)
        return data[:length]

    def segment_size(self, segment: int) -> int | None:
        """Size of an output segment; None when it is gone.

        Raises:
            Refused: it is there and not a regular file.
        """
        descriptor = self._open_segment(segment)
        return None if descriptor is None else os.fstat(descriptor).st_size

    def close(self) -> None:
        """Close all descriptors. Idempotent."""
        for descriptor in (self._frames, self._folder):
            if descriptor is not None:
                os.close(descriptor)
        self._frames = self._folder = None
        self._close_segment()

    def _open_segment(self, segment: int) -> int | None:
        if self._segment is not None and self._segment[0] == segment:
            return self._segment[1]
        descriptor = self._open_file(f"output.{segment:03d}")
        if descriptor is not None:
            self._close_segment()
            self._segment = (segment, descriptor)
        return descriptor

    def _close_segment(self) -> None:
        if self._segment is not None:
            os.close(self._segment[1])
            self._segment = None

    def _open_file(self, name: str) -> int | None:
        folder = self._open_folder()
        if folder is None:
            return None
        try:
            descriptor = os.open(name, _FILE, dir_fd=folder)
        except OSError as error:
            _refuse_unless_absent(error, name)
            return None
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise Refused(name)
        return descriptor

    def _open_folder(self) -> int | None:
        if self._folder is None and is_plain_name(self._run_id):
            self._folder = self._open_folders()
        return self._folder

    def _open_folders(self) -> int | None:
        name = self._run_id
        try:
            run = os.open(self._root / name, _FOLDER)
            try:
                name = "journal"
                return os.open(name, _FOLDER, dir_fd=run)
            finally:
                os.close(run)
        except OSError as error:
            _refuse_unless_absent(error, name)
            return None


def _refuse_unless_absent(error: OSError, name: str) -> None:
    """An entry that is not there is no harm, one that is something else is refused.

    Raises:
        Refused
        OSError: the error says nothing about the entry.
    """
    if error.errno in _REPLACED:
        raise Refused(name) from error
    if error.errno not in {errno.ENOENT, errno.ENAMETOOLONG}:
        raise error
