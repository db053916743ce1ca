"""Containers made ahead: each waits with the environment's modules imported, and serves one run.

A container's mounts can not be changed once it exists, but a mounted folder may be renamed: the
folders of a waiting container become those of its run. Nothing of any program has run in it before,
and it ends with its run, so warm runs are as far from each other as cold ones.

A pool belongs to one server. The file `<pool>.lock` is locked while that lives; containers of a
pool whose lock is free are swept by whoever finds them, and end by themselves after a while.
"""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from mellea_jupyter.exceptions import LaunchFailed
from mellea_jupyter.executors.base import ExecutorUnreachable
from mellea_jupyter.executors.docker import folders
from mellea_jupyter.executors.docker.engine import EngineRefused
from mellea_jupyter.executors.docker.folders import Account
from mellea_jupyter.runtime.sidecar import GO

log = logging.getLogger(__name__)

LOOK_SECONDS = 10.0
RETRY_SECONDS = 30.0
REPLACE_AFTER_SECONDS = 1.0
"""How long the run that took a container has the engine and the processors to itself."""


@dataclass(frozen=True, slots=True)
class Sidecar:
    """A container that waits for a run.

    Attributes:
        id: its name among those of this data folder.
        folder: holds `control/` and the writable folders that it has mounted.
        container_id: the engine's id.
        engine: the engine that it was started on, as `Engine.identity` has it.
    """

    id: str
    folder: Path
    container_id: str
    engine: str | None

    def hand_over(self, run_dir: Path) -> None:
        """Make its folders those of a run, whose own are empty so far."""
        for name in (folders.CONTROL, *folders.WRITABLE):
            (self.folder / name).rename(run_dir / name)
        source = run_dir / folders.CONTROL / "source"
        shutil.copytree(
            run_dir / "source", source, symlinks=True, dirs_exist_ok=True, copy_function=os.link
        )
        with suppress(OSError):
            self.folder.rmdir()


@dataclass(frozen=True, slots=True)
class Kind:
    """What containers of one kind have in common; equal kinds can stand in for each other.

    Attributes:
        key: everything that decides what they are like.
        size: how many are kept ready.
        make: creates and starts one with the folder and the name given; its container's id and
            the engine's identity.
    """

    key: str
    size: int = field(compare=False)
    make: Callable[[Path, str], tuple[str, str | None]] = field(compare=False, hash=False)


class Sidecars:
    """Keeps containers ready, in a thread of its own. Safe for several threads.

    Args:
        folder: where folders of waiting containers are; the same file system as the runs.
        account: whose the writable folders are.
        remove: removes a container by its id.
        is_alive: whether a container still waits.
        idle_seconds: a kind that no run asked for so long is given up.
    """

    def __init__(
        self,
        folder: Path,
        account: Account,
        *,
        remove: Callable[[str], None],
        is_alive: Callable[[str], bool],
        idle_seconds: float,
    ) -> None:
        self._folder = folder
        self._account = account
        self._remove = remove
        self._is_alive = is_alive
        self._idle_seconds = idle_seconds
        self._id = uuid.uuid4().hex[:12]
        self._number = 0
        self._lock_file: int | None = None
        self._changed = threading.Condition()
        self._kinds: dict[str, tuple[Kind, float]] = {}
        self._ready: dict[str, list[Sidecar]] = {}
        self._make_at: dict[str, float] = {}  # not before; absent means at once
        self._thread: threading.Thread | None = None
        self._is_closed = False

    def want(self, kind: Kind) -> None:
        """Keep containers of this kind ready from now on; returns at once."""
        with self._changed:
            if self._is_closed:
                return
            self._kinds[kind.key] = (kind, time.monotonic())
            if self._thread is None:
                self._hold_lock()
                self._thread = threading.Thread(
                    target=self._keep, name="mellea-sidecars", daemon=True
                )
                self._thread.start()
            self._changed.notify()

    def take(self, key: str) -> tuple[Sidecar, int] | None:
        """One that is ready, for this caller alone, with the descriptor to send it off; or None."""
        with self._changed:
            waiting = self._ready.get(key, [])
            for sidecar in list(waiting):
                try:
                    go = os.open(
                        sidecar.folder / folders.CONTROL / GO,
                        os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC,
                    )
                except OSError:
                    continue  # it still imports, or is gone, which the thread finds out
                waiting.remove(sidecar)
                self._make_at.setdefault(key, time.monotonic() + REPLACE_AFTER_SECONDS)
                self._changed.notify()
                return sidecar, go
        return None

    def count_ready(self, key: str) -> int:
        """How many of a kind could be taken now."""
        with self._changed:
            return sum(_is_ready(sidecar) for sidecar in self._ready.get(key, []))

    def owns(self, sidecar_id: str) -> bool:
        """Whether it is one of this pool, or of another that lives."""
        pool = sidecar_id.partition(".")[0]
        return pool == self._id or self._is_held(pool)

    def marker(self, sidecar_id: str) -> Path:
        """The file that names the run a container was given to."""
        return self._folder / f"{sidecar_id}.run"

    def find_run(self, sidecar_id: str | None) -> str | None:
        """The run that a container was given to; None while it waits."""
        if sidecar_id is None:
            return None
        try:
            return self.marker(sidecar_id).read_text()
        except OSError:
            return None

    def tidy(self) -> None:
        """Remove the folders of containers whose pool is gone."""
        for folder in self._folder.glob("*.*"):
            if folder.is_dir() and not self.owns(folder.name):
                shutil.rmtree(folder, ignore_errors=True)

    def close(self) -> None:
        """Remove what waits, and stop. Idempotent."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
            thread = self._thread
        if thread is not None:
            thread.join()
        with self._changed:
            waiting = [sidecar for each in self._ready.values() for sidecar in each]
            self._ready.clear()
        for sidecar in waiting:
            self._drop(sidecar)
        if self._lock_file is not None:
            (self._folder / f"{self._id}.lock").unlink(missing_ok=True)
            os.close(self._lock_file)
            self._lock_file = None

    # -- the thread -------------------------------------------------------------------------

    def _keep(self) -> None:
        while True:
            with self._changed:
                if self._is_closed:
                    return
                kind, due = self._find_short()
                if kind is None:
                    self._changed.wait(max(0.0, due - time.monotonic()))
                    if self._is_closed:
                        return
            if kind is not None:
                self._make(kind)
            else:
                self._look()

    def _find_short(self) -> tuple[Kind | None, float]:
        """A kind that has too few, if any is due, and when to look again."""
        now = time.monotonic()
        due = now + LOOK_SECONDS
        for kind, _ in self._kinds.values():
            if len(self._ready.get(kind.key, [])) >= kind.size:
                continue
            make_at = self._make_at.get(kind.key, 0.0)
            if make_at <= now:
                return kind, now
            due = min(due, make_at)
        return None, due

    def _make(self, kind: Kind) -> None:
        self._number += 1
        name = f"{self._id}.{self._number}"
        folder = self._folder / name
        try:
            folder.mkdir(mode=0o700)
            control = folders.make_control(folder)
            folders.make_go(control)
            folders.make_writable(folder, self._account)
            container_id, engine = kind.make(folder, name)
        except (OSError, EngineRefused, LaunchFailed) as error:
            log.warning("No container could be made ahead: %s", error)
            shutil.rmtree(folder, ignore_errors=True)
            with self._changed:
                self._make_at[kind.key] = time.monotonic() + RETRY_SECONDS
            return
        with self._changed:
            self._make_at.pop(kind.key, None)
            self._ready.setdefault(kind.key, []).append(Sidecar(name, folder, container_id, engine))

    def _look(self) -> None:
        """Give up kinds that nobody asks for, and containers that have ended."""
        now = time.monotonic()
        with self._changed:
            for key, (_, asked_at) in list(self._kinds.items()):
                if now - asked_at > self._idle_seconds:
                    del self._kinds[key]
            waiting = [(key, sidecar) for key, each in self._ready.items() for sidecar in each]
            wanted = set(self._kinds)
        for key, sidecar in waiting:
            try:
                if key in wanted and (_is_ready(sidecar) or self._is_alive(sidecar.container_id)):
                    continue
            except ExecutorUnreachable:
                continue
            with self._changed:
                if sidecar not in self._ready.get(key, []):
                    continue  # taken meanwhile
                self._ready[key].remove(sidecar)
                if key in wanted:
                    self._make_at[key] = now + RETRY_SECONDS
            self._drop(sidecar)

    def _drop(self, sidecar: Sidecar) -> None:
        with suppress(ExecutorUnreachable, EngineRefused):
            self._remove(sidecar.container_id)
        shutil.rmtree(sidecar.folder, ignore_errors=True)

    # -- whose it is ------------------------------------------------------------------------

    def _hold_lock(self) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        self._lock_file = os.open(self._folder / f"{self._id}.lock", flags, 0o600)
        fcntl.flock(self._lock_file, fcntl.LOCK_EX)

    def _is_held(self, pool: str) -> bool:
        path = self._folder / f"{pool}.lock"
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        else:
            path.unlink(missing_ok=True)  # no pool has this name ever again
            return False
        finally:
            os.close(descriptor)


def _is_ready(sidecar: Sidecar) -> bool:
    """Whether it waits for its run now."""
    try:
        descriptor = os.open(
            sidecar.folder / folders.CONTROL / GO, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC
        )
    except OSError:
        return False
    os.close(descriptor)
    return True
