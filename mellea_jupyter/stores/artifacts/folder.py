"""Blobs in a folder of this machine, kept by links where that is safe and by copies elsewhere.

::

    blobs/<first two digits>/<sha256>                the bytes, read-only
    references/<first two digits>/<sha256>.<run_id>  another name of it: this run needs it
    staging/<random>                                 a copy on its way
    lock                                             held while references and blobs change

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
from collections.abc import Callable, Iterable, Iterator
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
        with self._lock() as lock:
            yield lambda file: self._store(run_id, file, lock)

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

    def release(self, run_id: str, checksums: Iterable[str]) -> None:
        """The run does not need these blobs any more; each goes with the last run that did."""
        with self._lock() as lock:
            for checksum in checksums:
                with _held(lock):
                    _unlink(self._reference(checksum, run_id))
                    if not self._is_referenced(checksum):
                        _unlink(self._blob(checksum))

    def _store(self, run_id: str, file: Found, lock: int) -> str:
        if file.status.st_nlink == 1:
            digest = hashlib.sha256()
            for data in walk.read(file):
                digest.update(data)
            checksum = digest.hexdigest()
            if _is_sealed(file) and self._link(run_id, checksum, file, lock):
                return checksum
            os.lseek(file.descriptor, 0, os.SEEK_SET)
        return self._copy(run_id, file, lock)

    def _link(self, run_id: str, checksum: str, file: Found, lock: int) -> bool:
        """Whether the file itself is the blob now, or one of the same bytes was there."""
        # By its descriptor, so that what was hashed is linked.
        source = f"/proc/self/fd/{file.descriptor}"
        try:
            with _held(lock):
                self._keep(run_id, checksum, source)
        except OSError as error:
            if error.errno in _NO_LINK:
                return False
            raise
        os.fchmod(file.descriptor, 0o444)
        return True

    def _copy(self, run_id: str, file: Found, lock: int) -> str:
        staging = os.path.join(self._root, "staging")
        os.makedirs(staging, exist_ok=True)
        copy = os.path.join(staging, uuid.uuid4().hex)
        digest = hashlib.sha256()
        try:
            with open(copy, "xb", buffering=0) as target:
                for data in walk.read(file):
                    digest.update(data)
                    _write_all(target.fileno(), data)
                os.fchmod(target.fileno(), 0o444)
            checksum = digest.hexdigest()
            with _held(lock):
                self._keep(run_id, checksum, copy)
        finally:
            _unlink(copy)
        return checksum

    def _keep(self, run_id: str, checksum: str, source: str) -> None:
        """Make the blob of a file unless it is there, and the run's reference before."""
        blob, reference = self._blob(checksum), self._reference(checksum, run_id)
        try:
            _add_name(blob if os.path.exists(blob) else source, reference)
        except FileExistsError:
            pass
        except OSError as error:
            if error.errno != errno.EMLINK:
                raise
            os.close(os.open(reference, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
        with contextlib.suppress(FileExistsError):
            _add_name(source, blob)

    def _is_referenced(self, checksum: str) -> bool:
        prefix = f"{checksum}."
        try:
            with os.scandir(os.path.dirname(self._reference(checksum, ""))) as entries:
                return any(entry.name.startswith(prefix) for entry in entries)
        except FileNotFoundError:
            return False

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

    def _reference(self, checksum: str, run_id: str) -> str:
        return f"{self._root}/references/{checksum[:2]}/{checksum}.{run_id}"


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
