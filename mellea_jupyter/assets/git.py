"""The version of a pinned source as git knows it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

GIT_TIMEOUT_SECONDS = 5.0
_MOST_ARGUMENTS = 500
_CLEAN = ("-c", "core.fsmonitor=false", "-c", "core.quotePath=false")


def find_commit(folder: Path, files: Sequence[str]) -> tuple[str, bool] | None:
    """The commit that is checked out around `folder`, and whether `files` differ from it.

    Args:
        folder: absolute folder that the files are in.
        files: paths relative to it, with `/`. A file that git does not track differs.

    Returns:
        None where there is no git, no work tree or no commit, or git did not answer in time.
    """
    place = _git(folder, "rev-parse", "--show-prefix", "HEAD")
    if place is None:
        return None
    prefix, commit = place.decode("utf-8", "surrogateescape").splitlines()[:2]
    asked = list(files) if len(files) <= _MOST_ARGUMENTS else ["."]
    status = _git(
        folder, "status", "--porcelain=v1", "-z", "--no-renames", "--untracked-files=all",
        "--ignored=matching", "--", *asked,
    )  # fmt: skip
    if status is None:
        return None
    entries = [e[3:] for e in status.decode("utf-8", "surrogateescape").split("\0") if e]
    changed = {e for e in entries if not e.endswith("/")}
    folders = tuple(e for e in entries if e.endswith("/"))
    return commit, any(
        (path := prefix + file) in changed or path.startswith(folders) for file in files
    )


def _git(folder: Path, *arguments: str) -> bytes | None:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    environment |= {
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_LITERAL_PATHSPECS": "1",
        "GIT_NO_LAZY_FETCH": "1",
        "LC_ALL": "C",
    }
    try:
        done = subprocess.run(
            ["git", *_CLEAN, "-C", str(folder), *arguments],  # noqa: S607  # the user's own git
            stdin=subprocess.DEVNULL, capture_output=True, env=environment, check=False,
            timeout=GIT_TIMEOUT_SECONDS,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
