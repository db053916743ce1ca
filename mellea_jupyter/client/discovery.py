"""Finds the Jupyter server to talk to, or starts one.

The first that answers is taken:

1. what was given: `connect(url, token=…)`;
2. `MELLEA_JUPYTER_URL` and `MELLEA_JUPYTER_TOKEN_FILE`, which the server extension sets for its
   kernels and terminals (`MELLEA_JUPYTER_ROOT_DIR` beside them);
3. the hub's variables in a JupyterHub server's kernels and terminals;
4. the running server that is this process's parent (`JPY_PARENT_PID`);
5. another running server of this user, of the same Python installation;
6. the headless server of this Python installation, started when there is none (`local_server.py`).

A server whose root folder does not contain the program is passed over, except a given one.
Nothing here prints or logs a token, and a token is only ever sent to the URL it came with.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import psutil
from jupyter_core.paths import jupyter_runtime_dir

from mellea_jupyter.client import local_server
from mellea_jupyter.client.connection import LOOPBACK_HOSTS, Connection
from mellea_jupyter.client.errors import ClientError, ServerNotFound
from mellea_jupyter.client.sync import MelleaClient

URL_VARIABLE: Final = "MELLEA_JUPYTER_URL"
TOKEN_FILE_VARIABLE: Final = "MELLEA_JUPYTER_TOKEN_FILE"  # noqa: S105 - a variable's name
ROOT_VARIABLE: Final = "MELLEA_JUPYTER_ROOT_DIR"

_PROBE_TIMEOUT: Final = httpx.Timeout(10.0, connect=1.0)


def given(url: str, token: str = "", root_dir: str | Path | None = None) -> Connection:
    """A server the caller names; one that is listed on this machine fills in what is missing.

    Raises:
        ServerNotFound: the URL is not one.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ServerNotFound(f"{url!r} is not the URL of a server", hint="Write http://host:port/")
    # A token pasted with the URL works, but is not kept in it: URLs get shown.
    query_token = dict(
        pair.partition("=")[::2] for pair in parts.query.split("&") if "=" in pair
    ).get("token", "")
    base_url = f"{parts.scheme}://{parts.netloc}{_without_lab(parts.path)}"
    listed = _listed_at(base_url)
    root = Path(root_dir).expanduser().absolute() if root_dir else listed and listed.root_dir
    return Connection(
        base_url,
        token=token or query_token or (listed.token if listed else ""),
        root_dir=root or None,
        found="given",
        pid=listed.pid if listed else None,
    )


def find_server(
    program: Path | None = None,
    *,
    start: bool = True,
    environ: Mapping[str, str] | None = None,
) -> Connection:
    """The server to use; see the module's text for the order.

    Args:
        program: absolute path that the server must be able to see.
        start: whether a headless server may be started.
        environ: instead of this process's environment.

    Raises:
        ServerNotFound: none was found, and `start` is False or starting failed.
    """
    environ = os.environ if environ is None else environ
    passed: list[str] = []
    for candidate in iter_candidates(environ):
        if program is not None and not candidate.contains(program):
            passed.append(f"{candidate.found}: {program} is not in its root folder")
        elif (problem := probe(candidate)) is not None:
            passed.append(f"{candidate.found}: {problem.message}")
        else:
            return candidate
    if start:
        return local_server.find_or_start(probe)
    said = "; ".join(passed) or "none is running"
    raise ServerNotFound(
        f"No Jupyter server with mellea-jupyter was found ({said})",
        hint="Start JupyterLab, or run a program: that starts a server of its own.",
    )


def iter_candidates(environ: Mapping[str, str]) -> Iterator[Connection]:
    """Yields servers in the order they should be tried, unprobed; reading files only."""
    yield from _from_variables(environ)
    yield from _from_hub(environ)
    listed = list(_iter_listed())
    parent = environ.get("JPY_PARENT_PID", "")
    yield from (
        replace(each, found="the server of this kernel")
        for each in listed
        if parent and str(each.pid) == parent
    )
    others = [each for each in listed if str(each.pid) != parent and _is_same_python(each.pid)]
    # The narrowest root first: the server of the project rather than one of the whole home folder.
    yield from sorted(others, key=lambda each: -len(str(each.root_dir or "")))
    if (headless := local_server.find()) is not None:
        yield headless


def probe(connection: Connection) -> ClientError | None:
    """Ask a server for its environments: None when it answers as ours, else what is wrong."""
    try:
        with MelleaClient(connection, timeout=_PROBE_TIMEOUT) as client:
            client.list_environments()
    except ClientError as exc:
        return exc
    return None


def _from_variables(environ: Mapping[str, str]) -> Iterator[Connection]:
    url, token_file = environ.get(URL_VARIABLE), environ.get(TOKEN_FILE_VARIABLE)
    if not url or not token_file:
        return
    token = _read_private(Path(token_file))
    if token is None:
        return
    listed = _listed_at(url)
    root = environ.get(ROOT_VARIABLE)
    yield Connection(
        url,
        token=token,
        root_dir=Path(root) if root else (listed.root_dir if listed else None),
        found=f"{URL_VARIABLE} of this process",
        pid=listed.pid if listed else None,
    )


def _from_hub(environ: Mapping[str, str]) -> Iterator[Connection]:
    url, token = environ.get("JUPYTERHUB_SERVICE_URL"), environ.get("JUPYTERHUB_API_TOKEN")
    if not url or not token:
        return
    listed = _listed_at(url)
    root = environ.get("JUPYTER_SERVER_ROOT")
    yield Connection(
        _reachable(url),
        token=token,
        root_dir=(listed.root_dir if listed else None) or (Path(root) if root else None),
        found="the server of this hub user",
        pid=listed.pid if listed else None,
    )


def _iter_listed() -> Iterator[Connection]:
    """Servers of this user by their info files, newest first; the token comes with the file."""
    folder = Path(jupyter_runtime_dir())
    headless = local_server.find()
    for path in sorted(folder.glob("jpserver-*.json"), key=_modified, reverse=True):
        info = _read_json(path)
        pid, url = info.get("pid"), info.get("url")
        if not isinstance(pid, int) or not isinstance(url, str) or not psutil.pid_exists(pid):
            continue
        if not url.startswith(("http://", "https://")):
            continue  # a server on a socket file has no URL that a client can use
        if headless is not None and headless.pid == pid:
            continue
        root = info.get("root_dir")
        yield Connection(
            _reachable(url),
            token=str(info.get("token") or ""),
            root_dir=Path(root) if isinstance(root, str) else None,
            found="a running server",
            pid=pid,
        )


def _listed_at(url: str) -> Connection | None:
    wanted = _place(url)
    return next((each for each in _iter_listed() if _place(each.base_url) == wanted), None)


def _place(url: str) -> tuple[str, int | None, str]:
    """What makes two URLs the same server; the names of this machine are one."""
    parts = urlsplit(_reachable(url))
    host = "localhost" if parts.hostname in LOOPBACK_HOSTS else parts.hostname or ""
    return host, parts.port, parts.path.rstrip("/")


def _reachable(url: str) -> str:
    """A URL to connect to: a server that listens everywhere is asked on the loopback."""
    parts = urlsplit(url)
    if parts.hostname not in ("0.0.0.0", "::"):  # noqa: S104 - compared, not bound
        return url
    host = "127.0.0.1" if parts.hostname == "0.0.0.0" else "[::1]"  # noqa: S104
    netloc = f"{host}:{parts.port}" if parts.port else host
    return parts._replace(netloc=netloc).geturl()


def _without_lab(path: str) -> str:
    """The base path of a URL copied from a browser."""
    for page in ("/lab", "/tree", "/notebooks"):
        if f"{page}/" in f"{path}/":
            return path[: f"{path}/".index(f"{page}/")] + "/"
    return path if path.endswith("/") else f"{path}/"


def _is_same_python(pid: int | None) -> bool:
    """Whether a server runs in this Python installation: its default environment is ours."""
    if pid is None:
        return False
    try:
        executable = _executable_of(psutil.Process(pid))
    except psutil.Error:
        return False
    return executable is not None and executable.parent == Path(sys.executable).parent


def _executable_of(process: psutil.Process) -> Path | None:
    """The interpreter as its command names it, absolute; None for a process without a command.

    The link in a virtual environment says which one it is; its target is the same for all.
    """
    name = next(iter(process.cmdline()), "")
    if "/" in name:
        return Path(process.cwd(), name)
    found = shutil.which(name, path=process.environ().get("PATH"))
    return Path(found) if found else None


def _read_private(path: Path) -> str | None:
    """The token in a file that only this user can read; None for any other file."""
    try:
        with path.open(encoding="utf-8") as file:
            status = os.fstat(file.fileno())
            if status.st_uid != os.getuid() or stat.S_IMODE(status.st_mode) & 0o077:
                return None
            return file.read(4096).strip()
    except (OSError, UnicodeDecodeError):
        return None


def _read_json(path: Path) -> dict[str, Any]:
    """An info file's object; empty while it is being written or when it is gone."""
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
