"""Blobs in a folder of this machine, kept by links where that is safe and by copies elsewhere.

::

    blobs/<first two digits>/<sha256>  the bytes, read-only
    references/<run_id>                the SHA-256 of all blobs that the run needs, a line each
    staging/<random>                   a copy on its way
    lock                               held while references and blobs change

A link is safe when nobody can write to the file any more by what they have open, and when it has
no other name that somebody else goes by. What remains is its name in the run's output folder; the
processes of the run are dead when it is collected, and the file becomes read-only.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import signal
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mellea_jupyter.stores.artifacts import walk
from mellea_jupyter.stores.artifacts.walk import Changed, Found

_CHUNK_BYTES: Final = 1 << 20
_ANY_FOLDER: Final = 0  # not used: all paths are absolute
_NO_LINK: Final = frozenset(
    {errno.EXDEV, errno.EPERM, errno.EACCES, errno.EMLINK, errno.ENOENT, errno.ENOTSUP}
)
"""Another file system, another owner, none that has links, no `/proc`: then it is copied."""


class BlobFolder:
    """Stores, reads and removes blobs. Safe to use from several threads and processes."""

    def __init__(self, root: Path) -> None:
        self._root = os.path.abspath(root)

    @contextlib.contextmanager
    def storing(self, run_id: str) -> Iterator[Callable[[Found], str]]:
        """Gives the function that stores a file's bytes for a run and returns their SHA-256.

        It raises Changed for a file that was written to meanwhile; nothing is stored of that.
        """
        os.makedirs(f"{self._root}/references", mode=0o700, exist_ok=True)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        references = os.open(self._references(run_id), flags, 0o600)
        try:
            with self._lock() as lock:
                yield lambda file: self._store(file, _Keeping(references, lock))
        finally:
            os.close(references)

    def iter_bytes(self, checksum: str, start: int, stop: int) -> Iterator[bytes]:
        """The bytes of a blob in chunks, `stop` exclusive.

        Raises:
            FileNotFoundError: there is no such blob.
        """
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(self._blob(checksum), flags), "rb", buffering=0) as file:
            file.seek(start)
            while start < stop and (data := file.read(min(_CHUNK_BYTES, stop - start))):
                start += len(data)
                yield data

    def release(self, run_id: str) -> None:
        """The run needs no blobs any more; each goes with the last run that did. Idempotent."""
        with self._lock() as lock, _held(lock):
            own = set(_read_lines(self._references(run_id)))
            if own:
                for other in os.listdir(f"{self._root}/references"):
                    if other != run_id:
                        own.difference_update(_read_lines(self._references(other)))
            for checksum in own:
                _unlink(self._blob(checksum))
            _unlink(self._references(run_id))

    def _store(self, file: Found, keeping: _Keeping) -> str:
        if file.status.st_nlink == 1:
            digest = hashlib.sha256()
            for data in walk.read(file):
                digest.update(data)
            checksum = digest.hexdigest()
            if _is_sealed(file) and self._link(checksum, file, keeping):
                return checksum
            os.lseek(file.descriptor, 0, os.SEEK_SET)
        return self._copy(file, keeping)

    def _link(self, checksum: str, file: Found, keeping: _Keeping) -> bool:
        """Whether the file itself is the blob now, or one of the same bytes was there."""
        try:
            # By its descriptor, so that what was hashed is linked.
            self._keep(checksum, f"/proc/self/fd/{file.descriptor}", keeping)
        except OSError as error:
            if error.errno in _NO_LINK:
                return False
            raise
        os.fchmod(file.descriptor, 0o444)
        return True

    def _copy(self, file: Found, keeping: _Keeping) -> str:
        staging = f"{self._root}/staging"
        os.makedirs(staging, exist_ok=True)
        copy = f"{staging}/{uuid.uuid4().hex}"
        digest = hashlib.sha256()
        try:
            with open(copy, "xb", buffering=0) as target:
                for data in walk.read(file):
                    digest.update(data)
                    _write_all(target.fileno(), data)
                os.fchmod(target.fileno(), 0o444)
            checksum = digest.hexdigest()
            self._keep(checksum, copy, keeping)
        finally:
            _unlink(copy)
        return checksum

    def _keep(self, checksum: str, source: str, keeping: _Keeping) -> None:
        """Write the run's reference, then make the blob of a file unless it is there."""
        with _held(keeping.lock), contextlib.suppress(FileExistsError):
            _write_all(keeping.references, f"{checksum}\n".encode())
            _add_name(source, self._blob(checksum))

    @contextlib.contextmanager
    def _lock(self) -> Iterator[int]:
        """The lock file, open."""
        os.makedirs(self._root, mode=0o700, exist_ok=True)
        path = os.path.join(self._root, "lock")
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            yield lock
        finally:
            os.close(lock)

    def _blob(self, checksum: str) -> str:
        return f"{self._root}/blobs/{checksum[:2]}/{checksum}"

    def _references(self, run_id: str) -> str:
        return f"{self._root}/references/{run_id}"


@dataclass(frozen=True, slots=True)
class _Keeping:
    """Descriptors that are open while a run's files are stored."""

    references: int
    lock: int


@contextlib.contextmanager
def _held(lock: int) -> Iterator[None]:
    """No reference or blob changes meanwhile: not even in this process, by another descriptor."""
    fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(lock, fcntl.LOCK_UN)


def _add_name(source: str, target: str) -> None:
    """Another name of a file; its folder is made where it is missing.

    Raises:
        FileNotFoundError: there is no such file.
        FileExistsError: the name is taken.
    """
    try:
        _link_followed(source, target)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        _link_followed(source, target)


def _link_followed(source: str, target: str) -> None:
    # Links in /proc have to be followed, which Python does only when it is given a folder.
    os.link(source, target, src_dir_fd=_ANY_FOLDER)


def _read_lines(path: str) -> Iterator[str]:
    with contextlib.suppress(FileNotFoundError), open(path, encoding="ascii") as file:
        for line in file:
            yield line.rstrip("\n")


def _unlink(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def _is_sealed(file: Found) -> bool:
    """Whether nobody can write by what they have open, and there is no second name of the file.

    Linux grants a read lease only while nobody has the file open for writing. It is given back at
    once, so nobody ever waits for it.
    """
    if os.fstat(file.descriptor).st_nlink != 1:
        return False
    try:
        # What breaks a lease sends SIGIO to its holder, which would end the process.
        fcntl.fcntl(file.descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(file.descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(file.descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except (OSError, AttributeError):  # a writer; or a file system or machine without leases
        return False
    now = os.fstat(file.descriptor)
    if (now.st_mtime_ns, now.st_size) != (file.status.st_mtime_ns, file.status.st_size):
        raise Changed
    return True


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
