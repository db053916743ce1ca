"""Which service holds a placed run, on one machine and without a clock.

Every service keeps a flock on a file of its own under `data_dir/services/`. A run's lease is the
name of that file; when nobody holds its lock any more, the service is gone and another may take
the run over. The kernel drops the lock with the process, so neither a suspended laptop nor a
stepped clock can lose or forge a lease.
"""

from __future__ import annotations

import fcntl
import os
import uuid
from pathlib import Path


class ServiceLease:
    """This service's own lease, and a look at those of others."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.id = uuid.uuid4().hex
        self._fd: int | None = os.open(
            self._path(self.id), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
        )
        fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _path(self, service_id: str) -> Path:
        return self._folder / f"{service_id}.lock"

    def is_held(self, service_id: str) -> bool:
        """Whether the service of this lease still lives. Our own counts as held.

        Raises:
            OSError: it can not be told, for example without a free descriptor.
        """
        if service_id == self.id:
            return self._fd is not None
        try:
            fd = os.open(self._path(service_id), os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        else:
            # Nobody will lock this file again: service ids are never reused.
            self._path(service_id).unlink(missing_ok=True)
            return False
        finally:
            os.close(fd)

    def close(self) -> None:
        """Give the lease up. Idempotent."""
        if self._fd is not None:
            self._path(self.id).unlink(missing_ok=True)
            os.close(self._fd)
            self._fd = None
