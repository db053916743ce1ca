"""What a Python interpreter is and has installed, by asking it once.

An answer holds as long as the interpreter's file and its folders of installed packages have not
changed, which `stat` tells without starting anything.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

PROBE_TIMEOUT_SECONDS = 20.0
MINIMUM_PYTHON = (3, 9)

_QUESTION = """
import json, os, site, sys
from importlib import metadata
try:
    mellea = metadata.version("mellea")
except metadata.PackageNotFoundError:
    mellea = None
folders = [p for p in [*sys.path, *site.getsitepackages(), site.getusersitepackages()]
           if p.endswith(("site-packages", "dist-packages"))]
print(json.dumps({"version": list(sys.version_info[:3]), "mellea": mellea,
                  "folders": sorted(set(folders))}))
"""


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A Python that answered.

    Attributes:
        path: absolute path, links not followed: a virtual environment is recognised by its own.
        version: e.g. (3, 11, 7).
        mellea_version: installed mellea, or None.
        package_dirs: absolute folders that packages are installed into, ordered; some may not
            exist yet.
    """

    path: str
    version: tuple[int, ...]
    mellea_version: str | None
    package_dirs: tuple[str, ...]

    @property
    def version_text(self) -> str:
        """The version as people write it: `3.11.7`."""
        return ".".join(map(str, self.version))

    def package_stamp(self) -> str:
        """A text that differs after packages were installed or removed; costs some `stat` calls.

        Installing adds or replaces the package's `.dist-info` folder, which touches its parent.
        """
        return _stamp([self.path, *self.package_dirs])


class InterpreterError(Exception):
    """The interpreter can not be used; the text says why, in one sentence."""


class Interpreters:
    """Asks interpreters and remembers the answers. Safe for use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, tuple[str, Interpreter | InterpreterError]] = {}

    def get(self, python: str | None) -> Interpreter:
        """What this interpreter is; starts it only when nothing valid is remembered.

        Args:
            python: path or command name; None is the interpreter of this process.

        Raises:
            InterpreterError: there is none, it does not start, or it is too old.
        """
        path = find_python(python)
        with self._lock:
            stamp, answer = self._known.get(path, ("", None))
        if answer is None or stamp != _answer_stamp(path, answer):
            try:
                answer = _ask(path)
            except InterpreterError as error:
                answer = error
            with self._lock:
                self._known[path] = (_answer_stamp(path, answer), answer)
        if isinstance(answer, InterpreterError):
            raise InterpreterError(str(answer))
        return answer


def find_python(python: str | None) -> str:
    """The absolute path of an interpreter.

    Raises:
        InterpreterError: there is no such executable.
    """
    named = python or sys.executable
    found = shutil.which(Path(named).expanduser()) if named else None
    if found is None:
        msg = f"There is no interpreter {named!r}."
        raise InterpreterError(msg)
    return str(Path(found).absolute())


def _ask(path: str) -> Interpreter:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    try:
        done = subprocess.run(
            [path, "-I", "-c", _QUESTION],
            stdin=subprocess.DEVNULL, capture_output=True, env=environment, check=False,
            timeout=PROBE_TIMEOUT_SECONDS, cwd="/",
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        msg = f"{path} did not answer within {PROBE_TIMEOUT_SECONDS:.0f} seconds."
        raise InterpreterError(msg) from None
    except OSError as error:
        msg = f"{path} does not start: {error.strerror or error}."
        raise InterpreterError(msg) from error
    try:
        answer = json.loads(done.stdout)
        interpreter = Interpreter(
            path, tuple(answer["version"]), answer["mellea"], tuple(answer["folders"])
        )
    except (ValueError, KeyError, TypeError):
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        last = f": {said[-1][:200]}" if said else ""
        msg = f"{path} is not a working Python (exit code {done.returncode}){last}"
        raise InterpreterError(msg) from None
    if interpreter.version < MINIMUM_PYTHON:
        needed = ".".join(map(str, MINIMUM_PYTHON))
        msg = f"{path} is Python {interpreter.version_text}; {needed} or newer is needed."
        raise InterpreterError(msg)
    return interpreter


def _answer_stamp(path: str, answer: Interpreter | InterpreterError) -> str:
    return answer.package_stamp() if isinstance(answer, Interpreter) else _stamp([path])


def _stamp(paths: list[str]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        try:
            status = Path(path).stat()
        except OSError:
            continue  # one that does not exist counts when it does
        digest.update(f"{path}\0{status.st_ino}\0{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()
