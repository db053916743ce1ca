"""A run's folders as its container sees them, and who may do what in them.

::

    on this machine                  in the container
    <run>/control/                   /mellea/run/           read-only: spec.json, secrets …
    <run>/source/  inputs/           /mellea/run/source/ …  read-only
    <run>/work/  outputs/  journal/  /mellea/run/work/ …    writable
    <this package>/runtime/          /mellea/runtime/       read-only

Nothing else of this machine is mounted. What the program may write is its own, and hostile input to
us; what tells it what to do (`control/`) it may only read, and no other run sees either.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mellea_jupyter.executors import run_folder
from mellea_jupyter.executors.base import LaunchSpec
from mellea_jupyter.runtime.sidecar import GO

RUN = "/mellea/run"
RUNTIME = "/mellea/runtime"
CONTROL = "control"
WRITABLE = ("work", "outputs", "journal")
READABLE = ("source", "inputs")


@dataclass(frozen=True, slots=True)
class Account:
    """The numeric user and group that a container's processes have.

    Those of the server, so that it can read and remove what a run writes; a fixed pair without
    any rights on this machine where the server is root.
    """

    uid: int
    gid: int

    @classmethod
    def choose(cls, fixed: int) -> Account:
        """The server's own, or `fixed` for both where the server is root."""
        return cls(os.getuid(), os.getgid()) if os.getuid() else cls(fixed, fixed)

    def own(self, path: Path) -> None:
        """Give a file or folder to the account; links are not followed."""
        if os.getuid() == 0:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)

    def __str__(self) -> str:
        return f"{self.uid}:{self.gid}"


def inside(path: str, run_dir: Path) -> str:
    """A path below the run's folder as the container has it; any other as it is."""
    prefix = os.fspath(run_dir)
    if path == prefix or path.startswith(f"{prefix}/"):
        return RUN + path[len(prefix) :]
    return path


def make_control(folder: Path) -> Path:
    """Make a control folder with the places where the others are mounted; its path."""
    control = folder / CONTROL
    control.mkdir(mode=0o755, exist_ok=True)
    control.chmod(0o755)  # whatever the umask: the account only enters and reads
    for name in (*READABLE, *WRITABLE):
        (control / name).mkdir(mode=0o755, exist_ok=True)
        (control / name).chmod(0o755)
    return control


def make_writable(folder: Path, account: Account) -> None:
    """Make the writable folders and give them to the account."""
    for name in WRITABLE:
        path = folder / name
        path.mkdir(mode=0o700, exist_ok=True)
        account.own(path)


def open_source(run_dir: Path) -> None:
    """Let the account read what the run was given; the run's folder above stays closed."""
    for name in READABLE:
        folder = run_dir / name
        folder.mkdir(mode=0o755, exist_ok=True)
        for path in (folder, *folder.rglob("*")):
            status = path.lstat()
            if stat.S_ISLNK(status.st_mode):
                continue
            wanted = 0o555 if stat.S_ISDIR(status.st_mode) else 0o444
            if status.st_mode & wanted != wanted:
                path.chmod(stat.S_IMODE(status.st_mode) | wanted)


def fill_work(run_dir: Path, account: Account) -> None:
    """Copy the source to `work/`, where the program starts and may write beside its files."""
    work = run_dir / "work"
    shutil.copytree(run_dir / "source", work, symlinks=True, dirs_exist_ok=True)
    for path in (work, *work.rglob("*")):
        account.own(path)


def write_instructions(
    control: Path, content: Mapping[str, Any], spec: LaunchSpec, account: Account
) -> None:
    """Write what the supervisor reads, `content` as `spec.json`; secrets for the account alone."""
    if spec.secrets:
        run_folder.write_json(control / run_folder.SECRETS, spec.secrets)
        account.own(control / run_folder.SECRETS)
    if spec.prices is not None:
        run_folder.write_bytes(control / run_folder.PRICES, spec.prices, mode=0o644)
    run_folder.write_json(control / run_folder.SPEC, content, mode=0o644)


def write_stop(run_dir: Path, reason: str, by: str, grace_seconds: float) -> None:
    """Write why a run is to stop; the first reason stays, the signal comes afterwards."""
    stop = {"v": 1, "reason": reason, "by": by, "grace_seconds": grace_seconds}
    with suppress(OSError):  # a full disk must not keep a run from being stopped
        run_folder.write_json(run_dir / CONTROL / run_folder.STOP, stop, replace=False, mode=0o644)


def write_answer(run_dir: Path, answer: Mapping[str, Any]) -> None:
    """Write the answer to a run that asks. Raises OSError."""
    run_folder.write_json(run_dir / CONTROL / run_folder.ANSWER, answer, mode=0o644)


def read_stop_reason(run_dir: Path) -> str | None:
    """Why the run was asked to stop. The container can not have written it."""
    import json

    try:
        return str(json.loads((run_dir / CONTROL / run_folder.STOP).read_bytes())["reason"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def forget_secrets(run_dir: Path) -> None:
    """Remove the container's copy of the secrets."""
    (run_dir / CONTROL / run_folder.SECRETS).unlink(missing_ok=True)


def mounts(folder: Path, runtime_dir: Path, *, is_ahead: bool = False) -> Iterator[dict[str, Any]]:
    """Yields the mounts of a container, as keyword arguments of the SDK's `Mount`.

    `is_ahead`: for a container made before its run is known, whose source comes into `control/`.
    """
    bound = [(folder / CONTROL, RUN, True), (runtime_dir, RUNTIME, True)]
    if not is_ahead:
        bound += [(folder / name, f"{RUN}/{name}", True) for name in READABLE]
    bound += [(folder / name, f"{RUN}/{name}", False) for name in WRITABLE]
    for source, target, is_read_only in bound:
        yield {
            "source": os.fspath(source),
            "target": target,
            "type": "bind",
            "read_only": is_read_only,
        }


def make_go(control: Path) -> None:
    """Make the FIFO on which a container that was made ahead waits for its run."""
    path = control / GO
    os.mkfifo(path)
    path.chmod(0o444)
