"""`run` and `connect`: from what a person names to a run on a server."""

from __future__ import annotations

import atexit
import os
import re
import threading
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import JsonValue, ValidationError

from mellea_jupyter.client import discovery
from mellea_jupyter.client.aio import AsyncMelleaClient
from mellea_jupyter.client.connection import Connection
from mellea_jupyter.client.errors import (
    ConnectionFailed,
    InvalidConfig,
    InvalidProgram,
    invalid_config,
)
from mellea_jupyter.client.handle import RunHandle
from mellea_jupyter.client.handle_async import AsyncRunHandle
from mellea_jupyter.client.sync import MelleaClient
from mellea_jupyter.client.variables import variables_to_forward
from mellea_jupyter.models.assets import AssetCreate
from mellea_jupyter.models.config import RunConfig
from mellea_jupyter.models.requests import CheckReply, RunCheck, RunCreate

_CALLABLE: Final = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")

Datasets = Mapping[str, str] | Sequence[str] | None


@dataclass(frozen=True, slots=True)
class Program:
    """What to run: a file, notebook or folder, a `module:callable`, or literal source."""

    path: Path | None = None
    entry_point: str | None = None
    source: str | None = None

    def asset(self, connection: Connection, name: str | None = None) -> AssetCreate:
        """Its registration at a server. Raises `InvalidProgram` outside the server's root."""
        path = None if self.path is None else connection.relative_path(self.path)
        return AssetCreate(path=path, source=self.source, entry_point=self.entry_point, name=name)


def parse_program(
    program: str | os.PathLike[str] | None,
    *,
    source: str | None = None,
    entry_point: str | None = None,
) -> Program:
    """What a person means by `program`, seen from the working directory.

    Args:
        program: path of a `.py`, `.ipynb` or folder, or `module:callable`.
        source: Python source instead.
        entry_point: the file of a folder to start.

    Raises:
        InvalidProgram: there is no such program.
    """
    if source is not None:
        if program is not None:
            raise InvalidProgram("give either a program or source, not both")
        return Program(source=source)
    if program is None or not os.fspath(program).strip():
        raise InvalidProgram(
            "no program given", hint="Name a .py, .ipynb, folder or module:callable."
        )
    text = os.fspath(program)
    if "\n" in text:
        raise InvalidProgram("the program has several lines", hint="Pass source text as source=….")
    path = Path(text).expanduser()
    if path.exists():
        return Program(path=Path(os.path.abspath(path)), entry_point=entry_point)  # noqa: PTH100 - keeps links
    if _CALLABLE.fullmatch(text):
        return _callable_program(text)
    raise InvalidProgram(
        f"there is no program {text!r} in {Path.cwd()}",
        hint="Name a .py, .ipynb, folder or module:callable; paths are relative to this folder.",
    )


def _callable_program(target: str) -> Program:
    """A local module is taken from the working directory, as by `python -m`, any other by name."""
    first = target.partition(":")[0].split(".")[0]
    folder = Path.cwd()
    is_local = (folder / f"{first}.py").is_file() or (folder / first).is_dir()
    return Program(path=folder if is_local else None, entry_point=target)


def make_config(
    *,
    model: str | None = None,
    args: Sequence[str | os.PathLike[str] | float] = (),
    parameters: Mapping[str, JsonValue] | None = None,
    env: Mapping[str, str] | None = None,
    environment: str | None = None,
    timeout: float | None = None,
    quota: float | None = None,
    datasets: Datasets = None,
    **config: Any,
) -> RunConfig:
    """A `RunConfig` from the short names of `run`.

    Raises:
        InvalidConfig: a value that `RunConfig` does not allow; names the field.
    """
    values: dict[str, Any] = {
        "model": model,
        "args": [os.fspath(arg) if isinstance(arg, os.PathLike) else str(arg) for arg in args],
        "parameters": dict(parameters or {}),
        "env_vars": dict(env or {}),
        "environment_id": environment,
        "timeout_seconds": timeout,
        "artifact_quota_mb": quota,
        "datasets": _bindings(datasets),
        **config,
    }
    given = {name: value for name, value in values.items() if value is not None}
    try:
        return RunConfig.model_validate(given)
    except ValidationError as exc:
        raise invalid_config(exc) from exc


def _bindings(datasets: Datasets) -> list[dict[str, str]]:
    """`{"docs": "data/docs"}` or `["docs=data/docs"]`; `Datasets.bind` looks at what it is."""
    if not datasets:
        return []
    if not isinstance(datasets, Mapping):
        pairs = [text.partition("=") for text in datasets]
        if wrong := [name for name, sep, value in pairs if not sep or not value]:
            raise InvalidConfig(f"dataset {wrong[0]!r} is not NAME=PATH, NAME=URL or NAME=ID")
        datasets = {name: value for name, _, value in pairs}
    return [{"name": name, "dataset_id": value} for name, value in datasets.items()]


def run(
    program: str | os.PathLike[str] | None = None,
    *,
    source: str | None = None,
    entry_point: str | None = None,
    model: str | None = None,
    args: Sequence[str | os.PathLike[str] | float] = (),
    parameters: Mapping[str, JsonValue] | None = None,
    env: Mapping[str, str] | None = None,
    environment: str | None = None,
    timeout: float | None = None,
    quota: float | None = None,
    datasets: Datasets = None,
    tags: Sequence[str] = (),
    name: str | None = None,
    note: str | None = None,
    wait: bool = False,
    client: MelleaClient | None = None,
    **config: Any,
) -> RunHandle:
    """Run a mellea program as a managed run.

    Provider variables (`OPENAI_API_KEY`, `OLLAMA_HOST` …) that were set in this process and that
    the server does not have are sent along; `env` goes before them.

    Args:
        program: path of a `.py`, `.ipynb` or folder (relative to the working directory), or
            `module:callable`.
        source: Python source to run instead.
        entry_point: the file of a folder to start.
        model: default model, `provider/name`, e.g. `ollama/granite4:micro`.
        args: command-line arguments of the program.
        parameters: keyword arguments of a callable, or parameters of a notebook.
        env: variables for the program.
        environment: id of the environment to run in.
        timeout: longest wall-clock time, in seconds.
        quota: most artifact storage, in MiB.
        datasets: `{name: "data/train.csv"}`: a path, which is registered as it is now, a URL
            (`s3://…`) or a dataset's id; `…@VERSION` names an earlier version.
        tags: labels.
        name: a name for people.
        note: a note for people.
        wait: return when the run has ended.
        client: the server to use; by default it is found, or a headless one started.
        config: further fields of `RunConfig`: `isolation`, `working_directory`,
            `model_steering`, `strict_requirements`, `max_cost_usd`, `max_llm_calls`,
            `on_budget` …

    Raises:
        InvalidProgram: there is no such program, or the server can not see it.
        ServerNotFound: no server was found and none could be started.
        ServerError: the server refused; nothing was started.
        InvalidConfig: a field of the configuration is not valid.
    """
    what = parse_program(program, source=source, entry_point=entry_point)
    settings = make_config(
        model=model,
        args=args,
        parameters=parameters,
        env=env,
        environment=environment,
        timeout=timeout,
        quota=quota,
        datasets=datasets,
        **config,
    )
    handle = start_run(
        client or default_client(what.path), what, settings, name=name, note=note, tags=tags
    )
    return handle.wait() if wait else handle


async def run_async(
    program: str | os.PathLike[str] | None = None,
    *,
    client: MelleaClient | None = None,
    wait: bool = False,
    **options: Any,
) -> AsyncRunHandle:
    """`run` for `await`: the same arguments, without blocking the event loop."""
    import anyio.to_thread

    handle = await anyio.to_thread.run_sync(lambda: run(program, client=client, **options))
    return await handle.aio.wait() if wait else handle.aio


def start_run(
    client: MelleaClient,
    program: Program,
    config: RunConfig,
    *,
    name: str | None = None,
    note: str | None = None,
    tags: Sequence[str] = (),
) -> RunHandle:
    """Register its data and the program and create the run; never two of it.

    Raises: as `run`.
    """
    config = _with_variables(client, config)
    if config.datasets:
        config = config.model_copy(update={"datasets": client.datasets.bind(config.datasets)})
    asset = client.create_asset(program.asset(client.connection))
    try:
        request = RunCreate(
            asset_id=asset.id, config=config, name=name, note=note, tags=tuple(tags)
        )
    except ValidationError as exc:
        raise invalid_config(exc) from exc
    return RunHandle(client, client.create_run(request, idempotency_key=uuid.uuid4().hex))


def _with_variables(client: MelleaClient, config: RunConfig) -> RunConfig:
    """The config with the provider variables that are set here and not at the server."""
    forwarded = variables_to_forward(client.connection.pid)
    if not forwarded:
        return config
    return config.model_copy(update={"env_vars": {**forwarded, **config.env_vars}})


def check_run(client: MelleaClient, program: Program, config: RunConfig) -> CheckReply:
    """What would be wrong with a run of a program, and what it usually takes; creates no run.

    A program that is no file or folder is registered for it.

    Raises: as `run`.
    """
    config = _with_variables(client, config)
    fields = config.model_dump(mode="json", exclude_defaults=True)
    fields.pop("datasets", None)  # not registered for a look
    wanted = program.asset(client.connection)
    if wanted.path is not None and wanted.entry_point is None:
        return client.check_run(RunCheck(path=wanted.path, config=fields))
    asset = client.create_asset(wanted)
    return client.check_run(RunCheck(asset_id=asset.id, config=fields))


def connect(
    url: str | None = None,
    *,
    token: str = "",
    root_dir: str | os.PathLike[str] | None = None,
    start: bool = True,
) -> MelleaClient:
    """A client of the Jupyter server at `url`, or of the one that is found.

    Args:
        url: e.g. `http://localhost:8888/`; a link copied from the browser works too.
        token: the server's token; for a server on this machine it is looked up.
        root_dir: the server's root folder, where it can not be looked up.
        start: whether a headless server may be started when none is found.

    Raises:
        ServerNotFound: none was found.
    """
    if url is None:
        return MelleaClient(discovery.find_server(start=start))
    root = None if root_dir is None else os.fspath(root_dir)
    return MelleaClient(discovery.given(url, token, root))


def connect_async(url: str, *, token: str = "") -> AsyncMelleaClient:
    """An awaiting client of the Jupyter server at `url`. Use it with `async with`."""
    return AsyncMelleaClient(discovery.given(url, token))


_default: MelleaClient | None = None
_default_lock = threading.Lock()


def default_client(program: Path | None = None, *, start: bool = True) -> MelleaClient:
    """The client that calls without one share; found again when its server has gone.

    Args:
        program: absolute path the server must be able to see.
        start: whether a headless server may be started.
    """
    global _default  # noqa: PLW0603 - one per process, behind its lock
    with _default_lock:
        if _default is not None and (program is None or _default.connection.contains(program)):
            with suppress(ConnectionFailed):
                _default.list_environments()
                return _default
        connection = discovery.find_server(program, start=start)
        # Handles may still use the one before; it closes with the last of them.
        _default = MelleaClient(connection)
        return _default


@atexit.register
def _close_default() -> None:
    if _default is not None:
        _default.close()
