"""From what a person names to a run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

import mellea_jupyter
from mellea_jupyter.client import ClientError, InvalidProgram, MelleaClient, launch, run_async
from mellea_jupyter.client.variables import variables_to_forward
from mellea_jupyter.models.run import RunStatus
from tests.client.fake_server import FakeServer


@pytest.fixture(autouse=True)
def no_provider_here(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OLLAMA_HOST"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def program(fake: FakeServer, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(fake.root)
    path = fake.root / "trip.py"
    path.write_text("print('hi')")
    return path


def test_run_registers_the_program_and_creates_its_run(
    fake: FakeServer, client: MelleaClient, program: Path
) -> None:
    handle = mellea_jupyter.run(
        "trip.py",
        model="demo/scripted",
        args=["--city", "Lisbon", 3, Path("x")],
        env={"A": "1"},
        timeout=60,
        quota=5,
        datasets={"docs": "ds_1@3", "more": "ds_2"},
        tags=["t"],
        name="n",
        isolation="fresh",
        client=client,
    )
    assert handle.run.status is RunStatus.RUNNING
    assert fake.seen("POST", "/api/assets")[0][1]["path"] == "trip.py"
    body = fake.seen("POST", "/api/runs")[0][1]
    assert (body["name"], body["tags"], body["asset_id"]) == ("n", ["t"], "prog_1")
    config = body["config"]
    assert config["model"] == "demo/scripted"
    assert config["args"] == ["--city", "Lisbon", "3", "x"]
    assert config["env_vars"] == {"A": "1"}
    assert (config["timeout_seconds"], config["artifact_quota_mb"]) == (60, 5)
    assert config["isolation"] == "fresh"
    assert config["datasets"] == [
        {"name": "docs", "dataset_id": "ds_1", "version": "3"},
        {"name": "more", "dataset_id": "ds_2", "version": None},
    ]


async def test_run_async_is_the_same(fake: FakeServer, client: MelleaClient, program: Path) -> None:
    handle = await run_async("trip.py", client=client, tags=["t"])
    fake.end(handle.id)
    assert (await handle.wait(30)).status is RunStatus.SUCCEEDED


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"timeout": 0}, "timeout_seconds"),
        ({"isolation": "hot"}, "isolation"),
        ({"nonsense": 1}, "nonsense"),
        ({"env": {"1A": "x"}}, "env_vars"),
        ({"tags": [""]}, "tags"),
        ({"datasets": ["docs"]}, "NAME=ID"),
    ],
)
def test_a_wrong_field_is_named_and_nothing_is_created(
    fake: FakeServer, client: MelleaClient, program: Path, options: dict[str, object], said: str
) -> None:
    with pytest.raises(ClientError, match=said):
        mellea_jupyter.run("trip.py", client=client, **options)  # type: ignore[arg-type]  # wrong on purpose
    assert fake.seen("POST", "/api/runs") == []


def test_a_secret_is_not_in_the_error_about_it(client: MelleaClient, program: Path) -> None:
    with pytest.raises(ClientError) as caught:
        mellea_jupyter.run("trip.py", client=client, env={"API_KEY": "sec\0ret"})
    assert "ret" not in str(caught.value).replace("retr", "")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("missing.py", "there is no program 'missing.py'"),
        ("", "no program given"),
        (None, "no program given"),
        ("import x\nprint()", "source="),
        ("not a:module", "there is no program"),
    ],
)
def test_a_program_that_is_none_is_refused_here(given: str | None, said: str) -> None:
    with pytest.raises(InvalidProgram, match=said):
        launch.parse_program(given)


def test_a_callable_of_this_folder_names_the_folder(fake: FakeServer, program: Path) -> None:
    local = launch.parse_program("trip:main").asset(fake.connection)
    assert (local.path, local.entry_point) == (".", "trip:main")
    installed = launch.parse_program("json.tool:main").asset(fake.connection)
    assert (installed.path, installed.entry_point) == (None, "json.tool:main")


def test_source_and_folders(fake: FakeServer, program: Path) -> None:
    assert launch.parse_program(None, source="x = 1").asset(fake.connection).source == "x = 1"
    folder = launch.parse_program(fake.root, entry_point="trip.py").asset(fake.connection)
    assert (folder.path, folder.entry_point) == (".", "trip.py")
    with pytest.raises(InvalidProgram, match="not both"):
        launch.parse_program("trip.py", source="x = 1")


def test_provider_variables_set_here_are_forwarded_and_given_ones_win(
    fake: FakeServer, client: MelleaClient, program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "from-notebook")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://here")
    monkeypatch.setenv("WATSONX_URL", "http://ibm")
    monkeypatch.setenv("SOMETHING_ELSE", "x")
    mellea_jupyter.run("trip.py", client=client, env={"OPENAI_BASE_URL": "http://given"})
    assert fake.seen("POST", "/api/runs")[0][1]["config"]["env_vars"] == {
        "OPENAI_API_KEY": "from-notebook",
        "OPENAI_BASE_URL": "http://given",
        "WATSONX_URL": "http://ibm",
    }


def test_what_the_server_has_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = {**os.environ, "OPENAI_API_KEY": "same", "OLLAMA_HOST": "other"}
    with subprocess.Popen(
        [sys.executable, "-c", "print(flush=True); input()"],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as server:
        assert server.stdout is not None
        server.stdout.readline()  # its environment is in place
        monkeypatch.setenv("OPENAI_API_KEY", "same")
        monkeypatch.setenv("OLLAMA_HOST", "here")
        assert variables_to_forward(server.pid) == {"OLLAMA_HOST": "here"}
        server.communicate(b"\n")
    assert not psutil.pid_exists(server.pid)


def test_importing_the_package_imports_next_to_nothing() -> None:
    code = (
        "import sys, mellea_jupyter; "
        "print(sorted({'pydantic', 'httpx', 'IPython', 'rich', 'tornado'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


def test_public_names_resolve() -> None:
    for name in mellea_jupyter.__all__:
        assert getattr(mellea_jupyter, name) is not None
    with pytest.raises(AttributeError, match="nonsense"):
        _ = mellea_jupyter.nonsense
    assert set(mellea_jupyter.__all__) <= set(dir(mellea_jupyter))
    assert not mellea_jupyter.current_run.is_managed


def test_connect_takes_a_link_from_the_browser(fake: FakeServer) -> None:
    with mellea_jupyter.connect(
        f"{fake.url}lab/tree/x.ipynb?token=abc&reset", root_dir=fake.root
    ) as client:
        assert client.connection.base_url == fake.url
        assert client.connection.token == "abc"
    with pytest.raises(ClientError, match="not the URL"):
        mellea_jupyter.connect("localhost")
