"""The client against a real Jupyter server: one somebody runs, and the headless one."""

from __future__ import annotations

import asyncio
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from mellea_jupyter.client import (
    MelleaClient,
    RunHandle,
    ServerNotFound,
    discovery,
    launch,
    local_server,
)
from mellea_jupyter.client.aio import AsyncMelleaClient
from mellea_jupyter.client.datasets import split_version
from mellea_jupyter.client.errors import InvalidConfig, InvalidProgram, ServerError
from mellea_jupyter.models.run import RunStatus
from mellea_jupyter.testing.server import JupyterServer

PROGRAM = """
import os, pathlib, sys
from mellea_jupyter import current_run
print("hello", *sys.argv[1:])
print("to stderr", file=sys.stderr)
(current_run.output_dir / "plan.md").write_text("the plan")
current_run.output({"city": sys.argv[1]})
print(os.environ.get("OPENAI_API_KEY", "no key") == "sk-from-here")
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JupyterServer]:
    home = tmp_path_factory.mktemp("server")
    with JupyterServer(home, options=["--MelleaApp.prewarm=False"]) as server:
        server.write("trip.py", PROGRAM)
        yield server


@pytest.fixture
def client(server: JupyterServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[MelleaClient]:
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(server.home / "runtime"))
    for name in ("MELLEA_JUPYTER_URL", "JUPYTERHUB_SERVICE_URL", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    environ = {"JPY_PARENT_PID": str(server.pid)}
    program = server.root / "trip.py"
    with MelleaClient(discovery.find_server(program, environ=environ, start=False)) as client:
        yield client


def test_a_program_from_start_to_artifacts(
    server: JupyterServer, client: MelleaClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-from-here")
    assert client.connection.found == "the server of this kernel"
    handle = launch.run(
        server.root / "trip.py", args=["Lisbon"], tags=["t"], isolation="fresh", client=client
    )
    lines = [(frame.stream.value, frame.message) for frame in handle.follow()]
    assert sorted(lines) == [
        ("stderr", "to stderr"),
        ("stdout", "True"),
        ("stdout", "hello Lisbon"),
    ]
    assert handle.result(60) == {"city": "Lisbon"}
    assert handle.artifact("plan.md").read() == b"the plan"
    assert [(each.stream.value, each.message) for each in handle.logs()] == lines
    assert handle.run.config.env_vars["OPENAI_API_KEY"] != "sk-from-here"
    assert client.list_asset_runs(handle.run.asset_id).runs[0].id == handle.id
    assert client.list_own_runs().runs[0].id == handle.id
    assert client.summarize_runs().total_runs >= 1
    assert client.cancel_runs([handle.id])[handle.id].startswith("error")
    assert handle.cancel().status is RunStatus.SUCCEEDED
    assert client.delete_runs([handle.id]) == {handle.id: "deleted"}


def test_cancel_and_retry_a_run_of_a_cell(client: MelleaClient) -> None:
    source = "import time\nprint('up', flush=True)\ntime.sleep(600)\n"
    handle = launch.run(source=source, isolation="fresh", client=client)
    assert next(iter(handle.follow())).message == "up"
    assert handle.cancel().wait(60).status is RunStatus.CANCELLED
    again = handle.retry(timeout_seconds=1)
    assert again.wait(60).run.status_reason == "timeout"
    assert (again.run.retry_of, again.run.attempt) == (handle.id, 2)


async def test_the_awaiting_face(client: MelleaClient) -> None:
    handle = await launch.run_async(source="print(1)", isolation="fresh", client=client)
    assert [frame.message async for frame in handle.follow()] == ["1"]
    assert (await handle.wait(60)).exit_code == 0


@pytest.fixture
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Jupyter folders of their own; a headless server started in them is gone afterwards."""
    for name in ("CONFIG", "DATA", "RUNTIME"):
        (tmp_path / name).mkdir(mode=0o700)
        monkeypatch.setenv(f"JUPYTER_{name}_DIR", str(tmp_path / name))
    for name in [name for name in os.environ if name.startswith(("JPY_", "JUPYTERHUB", "MELLEA"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    (tmp_path / "CONFIG" / "jupyter_server_config.py").write_text(
        "c.MelleaApp.prewarm = False\nc.ServerApp.password = 'x'\nc.ServerApp.base_url = '/other'\n"
    )
    yield tmp_path
    if (found := local_server.find()) is not None and found.pid is not None:
        process = psutil.Process(found.pid)
        process.terminate()
        process.wait(30)


def test_two_terminals_start_one_headless_server(own_folders: Path) -> None:
    (own_folders / "trip.py").write_text("print('hello')")
    command = [sys.executable, "-m", "mellea_jupyter.cli", "run", "trip.py", "--isolation", "fresh"]
    terminals = [
        subprocess.Popen(
            command, cwd=own_folders, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    shown = [terminal.communicate(timeout=110) for terminal in terminals]
    assert [out for out, _ in shown] == ["hello\n", "hello\n"], shown
    assert [terminal.returncode for terminal in terminals] == [0, 0]
    found = local_server.find()
    assert found is not None
    assert found.base_url.startswith("http://127.0.0.1:")  # not the user's base URL
    files = local_server.state_files()
    assert stat.S_IMODE(files.state.stat().st_mode) == 0o600
    assert stat.S_IMODE(files.folder.stat().st_mode) == 0o700
    log = files.log.read_text()
    assert log.count("is running at") == 1
    assert found.token not in log
    with MelleaClient(found) as client:
        assert len(client.list_runs().runs) == 2
    assert discovery.find_server(own_folders / "trip.py", start=False).pid == found.pid


def test_a_headless_server_that_can_not_start_shows_its_log(
    own_folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MELLEA_JUPYTER_HEADLESS_IDLE_SECONDS", "nonsense")
    with pytest.raises(ServerNotFound, match="ended with code 1") as caught:
        discovery.find_server()
    assert "invalid literal" in str(caught.value)


def test_environments_are_made_found_changed_and_deleted(client: MelleaClient) -> None:
    made = client.environments.create("box", memory_mb=512)
    assert made.available
    assert client.environments.create("box", memory_mb=512).id == made.id
    with pytest.raises(ServerError, match="'box'"):
        client.environments.create("box", memory_mb=513)
    assert client.environments.get_or_create("box", memory_mb=513) == client.environments.get(
        made.id
    )
    changed = client.environments.update(made.id, memory_mb=None, python="/no/python")
    assert (changed.memory_mb, changed.available) == (None, False)
    with pytest.raises(InvalidConfig, match="memory_mb"):
        client.environments.update(made.id, memory_mb="much")
    with pytest.raises(InvalidConfig, match="cpus is for the docker executor"):
        client.environments.create("other", cpus=2)
    listed = client.environments.list(refresh=True)
    assert {each.name for each in listed} == {"box", "This server's Python"}
    assert client.environments.delete(made.id).id == made.id


def text_of(handle: RunHandle) -> str:
    return "\n".join(frame.message for frame in handle.logs() if frame.stream == "stdout")


def test_data_beside_the_program_is_registered_as_it_is_bound(
    server: JupyterServer, client: MelleaClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.write("data/a@latest.txt", "odd name")
    server.write(
        "show.py",
        "from mellea_jupyter import current_run\nprint(current_run.dataset('d').read_text())\n",
    )
    monkeypatch.chdir(server.root)
    options = {"client": client, "wait": True}
    first = launch.run("show.py", datasets={"d": "data/a@latest.txt"}, **options)  # type: ignore[arg-type]
    assert text_of(first) == "odd name"
    server.write("data/a@latest.txt", "newer")
    again = launch.run("show.py", datasets=["d=data/a@latest.txt"], **options)  # type: ignore[arg-type]
    assert text_of(again) == "newer"
    (binding,) = first.run.config.datasets
    assert binding.version is not None
    old = f"{binding.dataset_id}@{binding.version[:8]}"
    assert text_of(launch.run("show.py", datasets={"d": old}, **options)) == "odd name"  # type: ignore[arg-type]
    (dataset,) = client.datasets.list().datasets
    assert [each.version for each in client.datasets.versions(dataset.id)][1] == binding.version
    assert client.datasets.get(dataset.id) == dataset
    with pytest.raises(InvalidConfig, match="there is no file or folder"):
        launch.run("show.py", datasets={"d": "nope.csv"}, client=client)
    with pytest.raises(InvalidProgram, match="outside the root folder"):
        client.datasets.add("/etc/hostname")
    assert client.datasets.delete(dataset.id).id == dataset.id


def test_the_awaiting_client_has_both(server: JupyterServer, client: MelleaClient) -> None:
    server.write("data/b.txt", "b")

    async def use() -> None:
        async with AsyncMelleaClient(client.connection) as aio:
            made = await aio.environments.get_or_create("aio", memory_mb=64)
            assert await aio.environments.get_or_create("aio") == made
            assert (await aio.environments.update(made.id, prewarm=1)).prewarm == 1
            assert made.id in {each.id for each in await aio.environments.list()}
            assert (await aio.environments.get(made.id)).prewarm == 1
            await aio.environments.delete(made.id)
            added = await aio.datasets.add(server.root / "data/b.txt", name="B")
            assert (await aio.datasets.get(added.id)).name == "B"
            assert added in (await aio.datasets.list()).datasets
            assert len(await aio.datasets.versions(added.id)) == 1
            await aio.datasets.delete(added.id)

    asyncio.run(use())


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("ds_12@3", ("ds_12", "3")),
        ("ds_12", ("ds_12", None)),
        ("a/b.csv@latest", ("a/b.csv", "latest")),
        ("a/b.csv@abcdef12", ("a/b.csv", "abcdef12")),
        ("a/b@home.csv", ("a/b@home.csv", None)),
        ("abfs://box@account/in/", ("abfs://box@account/in/", None)),
        ("s3://data/a.csv@0123ab", ("s3://data/a.csv", "0123ab")),
        ("@latest", ("@latest", None)),
    ],
)
def test_a_version_is_what_follows_the_last_at_sign(
    text: str, parts: tuple[str, str | None]
) -> None:
    assert split_version(text) == parts
