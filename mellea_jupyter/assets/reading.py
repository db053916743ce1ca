"""Reads program files below one root folder: nothing outside it, nothing that is not a file.

The budget of bytes and files is part of the reader, so no caller can forget it.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from mellea_jupyter.exceptions import InvalidInput, InvalidProgram

MAX_SOURCE_BYTES = 50 * 2**20
MAX_FILES = 10_000

_SKIPPED_FOLDERS = frozenset({"__pycache__", "node_modules", "__pypackages__", "site-packages"})
_SKIPPED_SUFFIXES = frozenset({".pyc", ".pyo"})
_KINDS = (
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISDIR, "a folder"),
)


class Reader:
    """Reads below `root` within the limits of one pinned source.

    Args:
        root: resolved folder that nothing may lead out of.
        private_dir: a folder that is never part of a source (our own store).
    """

    def __init__(self, root: Path, private_dir: Path) -> None:
        self.root = root
        self._private_dir = private_dir
        self._bytes_left = MAX_SOURCE_BYTES
        self._files_left = MAX_FILES

    def locate(self, path: str) -> Path:
        """The real, absolute place of a path that a user gave.

        Raises:
            InvalidInput: empty, with a NUL character, not text, or too long.
            InvalidProgram: missing, or not below the root.
        """
        if not path.strip():
            raise InvalidInput("path", "is empty", hint="Name a .py or .ipynb file or a folder.")
        try:
            os.fsencode(path)
        except UnicodeEncodeError:
            raise InvalidInput("path", "is not valid text") from None
        if "\0" in path:
            raise InvalidInput("path", "holds a NUL character", hint="Send the path as it is.")
        if ".." in PurePosixPath(path).parts:
            hint = "Name it as it is seen from the server's root folder."
            raise InvalidProgram("path", f"{path!r} goes up with '..'", hint=hint)
        return self.resolve(self.root / path, path)

    def resolve(self, path: Path, shown: str) -> Path:
        """The real place of a path; links are followed as long as they stay below the root.

        Raises:
            InvalidProgram: missing, not below the root, or a circle of links.
        """
        try:
            real = Path(os.path.realpath(path, strict=True))
        except FileNotFoundError:
            hint = "Paths are relative to the server's root folder."
            raise InvalidProgram("path", f"{shown!r} does not exist", hint=hint) from None
        except OSError as error:
            raise _unreadable(shown, error) from None
        if not real.is_relative_to(self.root):
            raise InvalidProgram(
                "path",
                f"{shown!r} is outside the server's root folder",
                hint="Move it below the root folder, or start the server with a wider one.",
            )
        return real

    def read(self, path: Path, shown: str) -> bytes:
        """The content of a real path, counted against the limits.

        Raises:
            InvalidProgram: not a regular file, not readable, or over the limits.
        """
        try:
            require_kind(os.lstat(path), shown)  # so that a device is not even opened
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            with os.fdopen(os.open(path, flags), "rb") as file:
                require_kind(os.fstat(file.fileno()), shown)
                content = file.read(self._bytes_left + 1)
        except OSError as error:
            raise _unreadable(shown, error) from None
        self.spend(len(content))
        return content

    def spend(self, size_bytes: int) -> None:
        """Count one file of this size.

        Raises:
            InvalidProgram: over the limits.
        """
        self._bytes_left -= size_bytes
        self._files_left -= 1
        hint = "Keep data outside the program's folder and open it by path, or register one file."
        if self._bytes_left < 0:
            limit = MAX_SOURCE_BYTES // 2**20
            raise InvalidProgram("path", f"is more than {limit} MB of source", hint=hint)
        if self._files_left < 0:
            raise InvalidProgram("path", f"is more than {MAX_FILES:,} files", hint=hint)

    def iter_folder(self, folder: Path) -> Iterator[tuple[PurePosixPath, Path]]:
        """Yields `(path relative to the folder, real path)` of its files, ordered by path.

        Left out: names that begin with a dot (version control, caches, and `.env`, whose secrets
        must not be copied), `__pycache__` and the like, virtual environments, our own store.

        Raises:
            InvalidProgram: something in it leads out of the root or is no file; the first one met.
        """
        yield from self._iter(folder, PurePosixPath(), frozenset())

    def _iter(
        self, folder: Path, relative: PurePosixPath, above: frozenset[Path]
    ) -> Iterator[tuple[PurePosixPath, Path]]:
        if folder in above or folder == self._private_dir:
            return
        try:
            names = sorted(entry.name for entry in folder.iterdir())
        except OSError as error:
            raise _unreadable(str(relative), error) from None
        if "pyvenv.cfg" in names:
            return
        for name in names:
            if name.startswith(".") or name in _SKIPPED_FOLDERS:
                continue
            path = relative / name
            _require_text(path)
            real = self.resolve(folder / name, str(path))
            if real.is_dir():
                yield from self._iter(real, path, above | {folder})
            elif real.suffix not in _SKIPPED_SUFFIXES:
                yield path, real


def require_kind(status: os.stat_result, shown: str) -> None:
    """Refuse what is not a regular file.

    Raises:
        InvalidProgram: says what it is instead.
    """
    if stat.S_ISREG(status.st_mode):
        return
    what = next((name for is_kind, name in _KINDS if is_kind(status.st_mode)), "not a file")
    hint = "Only regular files can be pinned; move it out of the program's folder."
    raise InvalidProgram("path", f"{shown!r} is {what}", hint=hint)


def _require_text(path: PurePosixPath) -> None:
    try:
        str(path).encode()
    except UnicodeEncodeError:
        shown = str(path).encode("utf-8", "replace").decode()
        hint = "Rename it, or move it out of the program's folder."
        raise InvalidProgram("path", f"the name of {shown!r} is not UTF-8", hint=hint) from None


def _unreadable(shown: str, error: OSError) -> InvalidProgram:
    reason = os.strerror(error.errno or errno.EIO).lower()
    hint = "Check that the path is right and that the server may read it."
    return InvalidProgram("path", f"{shown!r} can not be read: {reason}", hint=hint)
