"""Records the corpus: performs every case on a real server and writes what is known of it.

``python -m tests.failures.record`` records all of it, with the names of cases only these. It needs
root (a small file system is mounted), the engine and images of ``.ci/docker_engine.sh``, and
``docker-registry``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final, Self

import httpx

from mellea_jupyter.client.channel import Channel
from mellea_jupyter.client.connection import Connection
from mellea_jupyter.client.errors import ConnectionFailed
from mellea_jupyter.testing.scripted_llm import ScriptedLlm
from mellea_jupyter.testing.server import START_SECONDS, JupyterServer
from tests.docker.conftest import host_address

from .cases import CASES, TYPES, Case
from .evidence import collect
from .meddling import ACTS, Scene
from .stage import ENVIRONMENTS, NOBODY, PROGRAMS, Stage

FOLDER: Final = Path(__file__).parent
CORPUS: Final = FOLDER / "corpus"
WORKERS: Final = 8
ENDED: Final = frozenset({"succeeded", "failed", "cancelled"})


class Watch:
    """Which statuses each run of a server has had, in order, as its websocket tells."""

    def __init__(self, server: JupyterServer) -> None:
        self._server = server
        self._seen: dict[str, list[str]] = defaultdict(list)
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._read()), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._ready.wait(2 * START_SECONDS):
            raise TimeoutError("the websocket does not answer")
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._channel.close)  # `_read` ends when that is done
        self._thread.join()

    def failed_in(self, run_id: str) -> str:
        """The status that a run had before its last one, once that was told."""
        give_up = time.monotonic() + 30
        while not (seen := self._seen[run_id]) or seen[-1] not in ENDED:
            if time.monotonic() > give_up:
                raise TimeoutError(f"the end of {run_id} was never told: {seen}")
            time.sleep(0.01)
        return seen[-2]

    async def _read(self) -> None:
        url = self._server.url.rstrip("/")
        connection = Connection(base_url=url, token=self._server.token)
        self._loop = asyncio.get_running_loop()
        async with await _opened(connection) as channel:
            self._channel = channel
            await channel.send(json.dumps({"type": "subscribe", "topic": "runs"}))
            while (text := await channel.receive()) is not None:
                message = json.loads(text)
                if message["type"] == "subscribed":
                    self._ready.set()
                run = (message.get("event") or {}).get("run")
                if run is not None and self._seen[run["id"]][-1:] != [run["status"]]:
                    self._seen[run["id"]].append(run["status"])


async def _opened(connection: Connection) -> Channel:
    """The websocket of a server that has just started, which may take a while to answer."""
    give_up = time.monotonic() + START_SECONDS
    while True:
        try:
            return await Channel.open(connection)
        except ConnectionFailed:
            if time.monotonic() > give_up:
                raise
            await asyncio.sleep(0.5)


class Recorder:
    """Performs cases on a `Stage`."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._stack = ExitStack()
        self._watches: dict[str, Watch] = {}
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def record(self, case: Case) -> dict[str, Any]:
        """Perform a case; what its file holds.

        Raises:
            AssertionError: the run did not fail.
        """
        with ExitStack() as stack:
            return self._record(case, stack)

    def _record(self, case: Case, stack: ExitStack) -> dict[str, Any]:
        server, watch = self._watched(case.server)
        http = stack.enter_context(server.http())
        llm = stack.enter_context(self._endpoint(case))
        filled = {
            "llm": llm.url if llm else NOBODY,
            "service": self._stage.service.url,
            "nobody": NOBODY,
        }
        config: dict[str, Any] = {
            **case.config,
            "environment_id": case.environment,
            "env_vars": {name: text.format(**filled) for name, text in case.env.items()},
            "args": [
                text.format(full=stack.enter_context(self._stage.small_disk(case.name)))
                if text == "{full}"
                else text
                for text in case.args
            ],
        }
        if case.dataset is not None:
            dataset_id = self._stage.store.register(http)
            config["datasets"] = [{"name": "trips", "dataset_id": dataset_id}]
            stack.enter_context(self._stage.store.failing(case.dataset))
        asset = http.post("api/assets", json=_put_program(case, server))
        asset.raise_for_status()
        asset_id = asset.json()["id"]
        if case.meddling == "delete_environment":
            run = _run_without_environment(server, http, asset_id, config)
        else:
            run = _create(http, asset_id, config)
        if case.meddling in ACTS:
            own_engine = self._stage.own_engine if case.server == "own-engine" else None
            ACTS[case.meddling](Scene(server, http, run, own_engine))
        final = server.wait_for(http, run["id"], seconds=case.seconds)
        assert final["status"] == "failed", f"{case.name} has not failed: {final}"
        evidence = collect(server, http, final, self._stage.places)
        return {
            "name": case.name,
            "label": {"category": case.category, "type": case.type},
            "program": case.program,
            "executor": ENVIRONMENTS.get(case.environment, {}).get("executor", "process"),
            "environment": {
                name: value
                for name, value in ENVIRONMENTS.get(case.environment, {}).items()
                if name in ("image", "memory_mb", "network")
            },
            "failed_in": watch.failed_in(run["id"]),
            **evidence,
        }

    def _watched(self, name: str) -> tuple[JupyterServer, Watch]:
        with self._locks[name]:
            server = self._stage.server(name)
            if name not in self._watches:
                self._watches[name] = self._stack.enter_context(Watch(server))
            return server, self._watches[name]

    @contextmanager
    def _endpoint(self, case: Case) -> Iterator[ScriptedLlm | None]:
        """The case's own endpoint; of a container, where the engine's bridge has this machine."""
        if case.replies is None:
            yield None
            return
        host = "127.0.0.1" if case.environment in ("default", "litellm") else host_address()
        with ScriptedLlm(case.replies, host=host) as llm:
            yield llm


def _put_program(case: Case, server: JupyterServer) -> dict[str, str]:
    """Copy a case's program below the server's root; how it is registered."""
    source = PROGRAMS / case.program
    folder = server.root / case.name
    if source.name == "program.py":
        shutil.copytree(source.parent, folder, dirs_exist_ok=True)
    else:
        folder.mkdir(exist_ok=True)
        shutil.copyfile(source, folder / source.name)
    if case.callable is not None:
        return {"path": case.name, "entry_point": f"{source.stem}:{case.callable}"}
    return {"path": f"{case.name}/{source.name}"}


def _create(http: httpx.Client, asset_id: str, config: dict[str, Any]) -> dict[str, Any]:
    reply = http.post("api/runs", json={"asset_id": asset_id, "config": config})
    assert reply.is_success, reply.text
    run: dict[str, Any] = reply.json()
    return run


def _run_without_environment(
    server: JupyterServer, http: httpx.Client, asset_id: str, config: dict[str, Any]
) -> dict[str, Any]:
    """A run whose environment is deleted while it waits for its turn."""
    waiting = server.write("waits.py", "import time\ntime.sleep(600)\n")
    first = server.create(http, waiting)
    server.wait_for(http, first["id"], ("running",))
    made = http.post("api/environments", json={"name": "short-lived"}).raise_for_status().json()
    run = _create(http, asset_id, {**config, "environment_id": made["id"]})
    http.delete(f"api/environments/{made['id']}").raise_for_status()
    http.delete(f"api/runs/{first['id']}").raise_for_status()
    return run


def file_of(case: Case) -> Path:
    """Where a case is kept."""
    return CORPUS / case.type / f"{case.name}.json"


def write(case: Case, recorded: dict[str, Any]) -> None:
    """Keep a case."""
    path = file_of(case)
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [
        f"{json.dumps(name)}: {json.dumps(value, ensure_ascii=False)}"
        for name, value in recorded.items()
    ]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")


def counts() -> str:
    """The table of the README: how many cases there are of each type."""
    recorded = Counter(path.parent.name for path in CORPUS.glob("*/*.json"))
    lines = ["| category | type | cases |", "|---|---|---|"]
    for category, types in TYPES.items():
        lines += [f"| {category} | {type_} | {recorded[type_]} |" for type_ in types]
    return "\n".join([*lines, f"| | all | {recorded.total()} |", ""])


def write_readme() -> None:
    """Bring the table up to date."""
    path = FOLDER / "README.md"
    text = path.read_text("utf-8")
    head, mark, _ = text.partition("<!-- counts, written by record.py -->\n")
    path.write_text(head + mark + counts(), "utf-8")


def _in_groups(names: Sequence[str]) -> list[list[str]]:
    """What may be performed side by side, the longest first.

    What is done to the surroundings of a server other than `main` meets all its runs, and servers
    that start side by side are slow, so the cases of those come one after the other.
    """
    elsewhere = [name for name in names if CASES[name].server != "main"]
    here = [[name] for name in names if CASES[name].server == "main"]
    return [elsewhere, *here]


def main(arguments: Sequence[str]) -> int:
    """Record; the exit code says whether all cases failed as they should."""
    parser = argparse.ArgumentParser(prog="tests.failures.record", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="cases; all when absent")
    names = parser.parse_args(arguments).names or list(CASES)
    unknown = sorted(set(names) - set(CASES))
    if unknown:
        parser.error(f"no such case: {', '.join(unknown)}")
    failures = []
    began = time.monotonic()
    needed = {CASES[name].environment for name in names}
    with (
        Stage(needed) as stage,
        Recorder(stage) as recorder,
        ThreadPoolExecutor(WORKERS) as pool,
    ):

        def one(name: str) -> None:
            try:
                write(CASES[name], recorder.record(CASES[name]))
            except Exception as error:  # noqa: BLE001  # the others are recorded all the same
                failures.append(f"{name}: {type(error).__name__}: {error}")

        def several(names: Sequence[str]) -> None:
            for name in names:
                one(name)

        list(pool.map(several, _in_groups(names)))
    if names == list(CASES):
        for path in set(CORPUS.glob("*/*.json")) - {file_of(case) for case in CASES.values()}:
            path.unlink()
    write_readme()
    print(f"{len(names) - len(failures)} recorded in {time.monotonic() - began:.0f} s")
    for failure in failures:
        print(f"NOT RECORDED {failure}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
