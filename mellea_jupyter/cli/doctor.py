"""`doctor`: what runs need, checked one by one, each with a next step where it is missing.

It prints names of variables, never their values.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import sqlite3
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Literal

import httpx
import psutil
from jupyter_core.paths import jupyter_config_path, jupyter_path
from rich.text import Text

from mellea_jupyter import __version__
from mellea_jupyter.app import SETTINGS_HINT, MelleaApp
from mellea_jupyter.certificates import trust_for
from mellea_jupyter.client import discovery
from mellea_jupyter.client.connection import Connection
from mellea_jupyter.client.errors import ClientError
from mellea_jupyter.client.safe_console import SafeConsole
from mellea_jupyter.client.sync import MelleaClient
from mellea_jupyter.client.terminal import json_text
from mellea_jupyter.client.variables import provider_variables
from mellea_jupyter.environments.configured import configured_environments
from mellea_jupyter.exceptions import InvalidInput, LaunchFailed
from mellea_jupyter.executors.registry import list_executors, load_executor
from mellea_jupyter.models.environments import BUILT_IN_EXECUTORS
from mellea_jupyter.models.prices import PriceListReply
from mellea_jupyter.service.providers import ollama_url

EXIT_FAILED: Final = 1
FRONT_END: Final = "mellea-jupyter"
_NETWORK_FILE_SYSTEMS: Final = frozenset(
    {
        "9p", "afpfs", "afs", "beegfs", "ceph", "cifs", "fuse.ceph", "fuse.glusterfs", "fuse.s3fs",
        "fuse.sshfs", "gpfs", "lustre", "nfs", "nfs4", "smb3", "smbfs",
    }
)  # fmt: skip

State = Literal["ok", "note", "problem"]
_MARKS: Final = {"ok": ("✓", "green"), "note": ("·", "yellow"), "problem": ("✗", "bold red")}


@dataclass(frozen=True, slots=True)
class Check:
    """One finding. `next_step` is empty where nothing is to be done."""

    name: str
    state: State
    finding: str
    next_step: str = ""


def doctor(flags: argparse.Namespace) -> int:
    """`jupyter mellea doctor`: 1 when something that every run needs is missing."""
    checks = list(iter_checks(flags.url))
    if flags.json:
        report = {"version": __version__, "checks": [asdict(check) for check in checks]}
        print(json_text(report))
    else:
        console = SafeConsole(soft_wrap=True)
        for check in checks:
            mark, style = _MARKS[check.state]
            console.print(Text.assemble((mark, style), f" {check.name}: {check.finding}"))
            if check.next_step:
                console.print(Text(f"    {check.next_step}", style="dim"))
    return EXIT_FAILED if any(check.state == "problem" for check in checks) else 0


def iter_checks(url: str | None) -> Iterator[Check]:
    """Yields the checks in the order people should read them."""
    yield check_python()
    yield check_mellea()
    yield check_sqlite()
    yield check_server_extension()
    app = MelleaApp.from_configuration_files()
    yield check_settings(app)
    yield check_front_end()
    yield from check_executors()
    connection = None
    try:
        connection = discovery.given(url) if url else discovery.find_server(start=False)
    except ClientError as exc:
        yield Check(
            "server",
            "note",
            exc.message,
            "None is needed: `jupyter mellea run` starts a headless one.",
        )
    if connection is not None:
        yield from check_server(connection)
    yield check_data_dir(Path(app.data_dir or app.default_data_dir()).expanduser())
    yield check_keys()
    yield check_ollama(os.environ.get("OLLAMA_HOST", ""))


def check_python() -> Check:
    """The interpreter this command runs in."""
    return Check("python", "ok", f"{platform.python_version()} at {sys.executable}")


def check_mellea() -> Check:
    """Whether mellea is installed beside us."""
    try:
        version = importlib.metadata.version("mellea")
    except importlib.metadata.PackageNotFoundError:
        return Check("mellea", "problem", "not installed", "pip install mellea")
    return Check("mellea", "ok", f"{version}, with mellea-jupyter {__version__}")


def check_sqlite() -> Check:
    """Whether Python's SQLite has what the store of runs uses: upserts and full-text search."""
    version = sqlite3.sqlite_version
    connection = sqlite3.connect(":memory:")
    try:
        connection.execute("CREATE VIRTUAL TABLE words USING fts5(text)")
        connection.execute("CREATE TABLE t (a PRIMARY KEY) WITHOUT ROWID")
        connection.execute("INSERT INTO t VALUES (1) ON CONFLICT DO UPDATE SET a = 2 RETURNING a")
    except sqlite3.Error as exc:
        step = "Use a Python that is built with SQLite 3.35 or newer and FTS5."
        return Check("sqlite", "problem", f"{version}: {exc}", step)
    finally:
        connection.close()
    return Check("sqlite", "ok", version)


def check_server_extension() -> Check:
    """Whether Jupyter servers of this installation load us."""
    name = "mellea_jupyter"
    for folder in jupyter_config_path():
        for path in Path(folder, "jupyter_server_config.d").glob("*.json"):
            try:
                enabled = json.loads(path.read_text())["ServerApp"]["jpserver_extensions"][name]
            except (OSError, ValueError, KeyError, TypeError):
                continue
            if enabled:
                return Check("server extension", "ok", f"enabled by {path}")
            step = f"jupyter server extension enable {name}"
            return Check("server extension", "note", f"disabled by {path}", step)
    step = f"jupyter server extension enable {name}, or install mellea-jupyter again."
    return Check("server extension", "note", "not enabled", step)


def check_settings(app: MelleaApp) -> Check:
    """Whether a server would start with what the configuration files say."""
    wrong = app.wrong_settings
    try:
        configured_environments(app.environments, app.environment_defaults)
    except InvalidInput as exc:
        wrong = wrong or f"MelleaApp.{exc.message}"
    if wrong:
        return Check("settings", "problem", wrong, SETTINGS_HINT)
    found = sorted(name for name in app.config.get("MelleaApp", {}) if app.has_trait(name))
    return Check("settings", "ok", ", ".join(found) or "all at their defaults")


def check_front_end() -> Check:
    """Whether JupyterLab of this installation shows runs."""
    try:
        lab = importlib.metadata.version("jupyterlab")
    except importlib.metadata.PackageNotFoundError:
        step = "Only needed for the sidebar and the run tabs: pip install jupyterlab"
        return Check("front end", "note", "JupyterLab is not installed", step)
    for folder in jupyter_path("labextensions"):
        package = Path(folder, FRONT_END, "package.json")
        if package.is_file():
            return Check("front end", "ok", f"{package.parent}, with JupyterLab {lab}")
    step = "Install mellea-jupyter in the environment of JupyterLab."
    return Check("front end", "note", f"JupyterLab {lab} does not have ours", step)


def check_executors() -> Iterator[Check]:
    """Yields: each executor that environments may name, and whether it can be loaded."""
    for name in sorted({*BUILT_IN_EXECUTORS, *list_executors()}):
        label = f"executor {name}"
        if name not in list_executors():
            yield Check(label, "note", "not part of this installation", "Use another executor.")
            continue
        try:
            loaded = load_executor(name)
        except LaunchFailed as exc:
            yield Check(label, "problem" if name == "process" else "note", exc.message, exc.hint)
        else:
            yield Check(label, "ok", f"{loaded.__module__}.{loaded.__qualname__}")


def check_server(connection: Connection) -> Iterator[Check]:
    """Yields: the server answers; each environment works; who prepares interpreters."""
    where = f"{connection.base_url} ({connection.found})"
    try:
        with MelleaClient(connection) as client:
            environments = client.environments.list(refresh=True)
            prices = client.get_prices()
    except ClientError as exc:
        yield Check("server", "problem", f"{where}: {exc.message}", exc.hint)
        return
    yield Check("server", "ok", where)
    if connection.root_dir is not None:
        yield Check("root folder", "ok", str(connection.root_dir))
    for environment in environments:
        name = f"environment {environment.id}"
        if environment.available:
            facts = ", ".join(f"{key} {value}" for key, value in environment.facts.items())
            yield Check(name, "ok", f"{environment.executor}, {facts or 'available'}")
        else:
            reason = environment.reason or "not available"
            step = f"Runs on it fail: repair it, or `jupyter mellea env rm {environment.id}`."
            yield Check(name, "note", reason, step)
    yield from check_prices(prices)
    yield _check_fork_server()


def check_prices(prices: PriceListReply) -> Iterator[Check]:
    """Yields: the price list, and each thing that is wrong in the operator's own."""
    finding = f"{prices.source} {prices.version}, {prices.dated or 'undated'} or newer"
    own = prices.overrides
    if own is not None:
        finding += f"; {own.models} of {own.file} ({own.version}) go before"
    yield Check("prices", "ok", finding)
    for problem in own.problems if own is not None else ():
        step = "Correct it, then: jupyter mellea reprice. Its model is unpriced until then."
        yield Check("prices", "problem", problem, step)


def _check_fork_server() -> Check:
    """How many prepared interpreters of this user run now, seen from their command lines."""
    running = sum(
        _is_fork_server(process.info["cmdline"] or [])
        for process in psutil.process_iter(["uids", "cmdline"])
        if process.info["uids"] is not None and process.info["uids"].real == os.getuid()
    )
    if running:
        return Check("prepared interpreters", "ok", f"{running} running")
    return Check("prepared interpreters", "note", "none at present", "The next run starts one.")


def _is_fork_server(command: list[str]) -> bool:
    return len(command) > 2 and command[2] == "forkserver" and "mellea" in command[1]


def check_data_dir(folder: Path) -> Check:
    """Whether the store's folder can hold a database."""
    existing = next(each for each in (folder, *folder.parents) if each.exists())
    kind = file_system_of(existing)
    if kind in _NETWORK_FILE_SYSTEMS:
        return Check(
            "data folder",
            "problem",
            f"{folder} is on a network file system ({kind}), where locks are not reliable",
            "Set c.MelleaApp.data_dir to a folder on a local disk.",
        )
    if not os.access(existing, os.W_OK):
        return Check(
            "data folder", "problem", f"{existing} can not be written to", "Check its owner."
        )
    free_gb = psutil.disk_usage(str(existing)).free / 1e9
    state: State = "ok" if free_gb >= 1 else "note"
    step = "" if free_gb >= 1 else "Make room: jupyter mellea rm removes runs."
    return Check("data folder", state, f"{folder} ({kind}, {free_gb:,.0f} GB free)", step)


def file_system_of(path: Path) -> str:
    """The type of the file system that holds an existing path; `unknown` where it is not listed."""
    real = path.resolve()
    mounts = [
        (Path(each.mountpoint), each.fstype)
        for each in psutil.disk_partitions(all=True)
        if real.is_relative_to(each.mountpoint)
    ]
    return max(mounts, key=lambda mount: len(mount[0].parts), default=(real, "unknown"))[1]


def check_keys() -> Check:
    """Which providers are configured in this environment, by name."""
    names = sorted(name for name, value in provider_variables(os.environ).items() if value)
    if names:
        return Check("model variables", "ok", ", ".join(names))
    return Check(
        "model variables",
        "note",
        "none is set",
        "Set e.g. OPENAI_API_KEY, or use Ollama, or --model demo/scripted.",
    )


def check_ollama(host: str) -> Check:
    """Whether Ollama answers, and with how many models. Source: Ollama's API, `GET /api/tags`."""
    try:
        url = ollama_url(host)
    except ValueError:
        return Check("ollama", "note", "OLLAMA_HOST is no address", "Write it as host:port.")
    try:
        reply = httpx.get(f"{url}/api/tags", timeout=2.0, trust_env=False, verify=trust_for(url))
        names = [str(model["name"]) for model in reply.raise_for_status().json()["models"]]
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError):
        step = "Only needed for ollama/… models: start it with `ollama serve`."
        return Check("ollama", "note", f"does not answer at {url}", step)
    if not names:
        return Check("ollama", "note", f"{url} has no models", "ollama pull granite4:micro")
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return Check("ollama", "ok", f"{url}: {', '.join(names[:3])}{more}")
