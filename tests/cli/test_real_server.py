"""`jupyter mellea env` and `dataset` against a real Jupyter server."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mellea_jupyter.cli import main
from mellea_jupyter.client.errors import ServerError
from mellea_jupyter.client.handle_async import AsyncRunHandle
from mellea_jupyter.client.launch import connect
from mellea_jupyter.testing.scripted_llm import ScriptedLlm
from mellea_jupyter.testing.server import JupyterServer

Capture = pytest.CaptureFixture[str]

READER = "from mellea_jupyter import current_run\nprint(current_run.dataset('d').read_text())\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JupyterServer]:
    home = tmp_path_factory.mktemp("server")
    with JupyterServer(home, options=["--MelleaApp.prewarm=False"]) as server:
        server.write("reader.py", READER)
        yield server


@pytest.fixture(autouse=True)
def here(server: JupyterServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the server's root folder, with the variables it gives its terminals."""
    token_file = tmp_path / "token"
    token_file.touch(0o600)
    token_file.write_text(server.token)
    for name in [name for name in os.environ if name.startswith(("JUPYTERHUB", "JPY"))]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(server.root)
    monkeypatch.setenv("MELLEA_JUPYTER_URL", server.url)
    monkeypatch.setenv("MELLEA_JUPYTER_TOKEN_FILE", str(token_file))
    monkeypatch.setenv("MELLEA_JUPYTER_ROOT_DIR", str(server.root))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(server.home / "runtime"))


def printed(capsys: Capture, *words: str) -> str:
    """What a command that works prints."""
    code = main(words)
    out, err = capsys.readouterr()
    assert code == 0, err
    return out


def as_json(capsys: Capture, *words: str) -> Any:
    return json.loads(printed(capsys, *words, "--json"))


def rows(text: str) -> dict[str, str]:
    pairs = (line.split(None, 1) for line in text.splitlines() if line.strip())
    return {pair[0]: pair[1].strip() for pair in pairs if len(pair) == 2}


def test_an_environment_is_made_shown_changed_and_removed(capsys: Capture) -> None:
    words = ("env", "add", "My box", "--memory", "300", "--pass", "HOUSE", "--pass", "OTHER")
    made = as_json(capsys, *words)
    assert (made["memory_mb"], made["env_passthrough"]) == (300, ["HOUSE", "OTHER"])
    shown = rows(printed(capsys, "env", "show", "My box"))
    assert (shown["works"], shown["limits"], shown["variables"]) == (
        "yes", "300 MiB", "HOUSE, OTHER",
    )  # fmt: skip
    changed = printed(capsys, "env", "set", made["id"][:6], "python=/no/such", "memory_mb=null")
    assert rows(changed)["works"].startswith("no: There is no interpreter '/no/such'")
    listed = printed(capsys, "env", "ls", "--refresh")
    assert "This server's Python" in listed
    assert "no: There is no interpreter" in listed
    assert printed(capsys, "env", "rm", "My box") == f"{made['id']} deleted\n"
    assert [each["id"] for each in as_json(capsys, "env", "ls")] == ["default"]


def test_what_an_environment_is_made_of_says_where_it_runs(capsys: Capture) -> None:
    made = as_json(capsys, "env", "add", "box", "--image", "python:3.12-slim", "--cpus", "2")
    assert (made["executor"], made["cpus"]) == ("docker", 2)
    kernel = as_json(capsys, "env", "add", "ir", "--kernel", "ir")
    assert kernel["executor"] == "kernel"
    printed(capsys, "env", "rm", "box", "ir")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("env", "show", "nope"), 3, "env ls"),
        (("env", "set", "default", "memory_mb"), 2, "FIELD=JSON"),
        (("env", "set", "default", "memory_mb=5"), 3, "MelleaApp.environments"),
        (("env", "add", "x", "--cpus", "2"), 2, "cpus is for the docker executor"),
        (("env",), 2, "VERB"),
        (("dataset", "add", "nope.csv"), 2, "there is no file or folder"),
        (("dataset", "rm", "nope"), 3, "dataset ls"),
        (("run", "reader.py", "--dataset", "d=nope.csv"), 2, "there is no file or folder"),
        (("run", "reader.py", "--dataset", "d d=reader.py"), 2, "datasets.0.name"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_said_with_the_next_step(
    words: tuple[str, ...], code: int, said: str, capsys: Capture
) -> None:
    assert main(words) == code
    assert said in capsys.readouterr().err


def test_a_dataset_is_added_listed_bound_and_removed(
    server: JupyterServer, capsys: Capture
) -> None:
    server.write("data/train.txt", "first")
    os.mkfifo(server.root / "data" / "pipe")
    added = rows(printed(capsys, "dataset", "add", "data/train.txt", "--name", "Training"))
    assert (added["holds"], added["from"]) == ("1 file, 5 bytes", "data/train.txt")
    assert main(["run", "reader.py", "--dataset", "d=data/train.txt"]) == 0
    assert capsys.readouterr().out == "first\n"
    server.write("data/train.txt", "second")
    assert main(["run", "reader.py", "--dataset", "d=data/train.txt"]) == 0
    assert capsys.readouterr().out == "second\n"
    assert main(["run", "reader.py", "--dataset", f"d={added['id']}@{added['version']}"]) == 0
    assert capsys.readouterr().out == "first\n"
    versions = printed(capsys, "dataset", "versions", "Training").splitlines()
    assert [line.split()[0] == added["version"] for line in versions] == [False, True]

    main(["dataset", "add", "data"])
    assert "left out: pipe: a named pipe" in capsys.readouterr().err
    assert "Training" in printed(capsys, "dataset", "ls")
    assert len(as_json(capsys, "dataset", "ls")) == 2
    assert printed(capsys, "dataset", "rm", added["id"][:9], "data").count("deleted") == 2
    assert main(["dataset", "ls"]) == 0
    assert capsys.readouterr().err == "no datasets\n"


LOOPS = """
from mellea import start_session
from mellea.stdlib.sampling import RejectionSamplingStrategy
m = start_session("openai", "gpt-4o")
m.instruct("write", requirements=["be polite"], strategy=RejectionSamplingStrategy(loop_budget=2))
m.chat("bye")
"""


def test_calls_are_printed_as_a_ladder_and_given_by_handles(
    server: JupyterServer, capsys: Capture
) -> None:
    server.write("loops.py", LOOPS)
    with ScriptedLlm(["some mail", "no", "a better mail", "yes", "bye"]) as endpoint:
        variables = (
            "-e",
            f"OPENAI_BASE_URL={endpoint.openai_url}",
            "-e",
            "OPENAI_API_KEY=sk-x-y-z",
        )
        run = as_json(capsys, "run", "loops.py", *variables)
    lines = printed(capsys, "calls", run["id"][:8]).splitlines()
    assert lines[0].startswith("loop 1 RejectionSamplingStrategy: requirements met, 2 samples, $")
    assert lines[0].endswith("· write")
    first, second = (line.split(None, 4) for line in lines[2:4])
    assert first == ["1", "answer", "#1", "✗", "be polite (judge #2)"]
    assert second[:4] == ["→", "2", "resample", "#3"]
    assert second[4].startswith("✓ (judge #4)")
    assert [line.split()[:3] for line in lines if line.startswith("#")] == [
        ["#1", "answer", "finished"],
        ["#2", "judge", "finished"],
        ["#3", "repair", "finished"],
        ["#4", "judge", "finished"],
        ["#5", "answer", "finished"],
    ]
    of_loop = as_json(capsys, "calls", run["id"], "--loop", "1")
    assert ([call["call"] for call in of_loop["calls"]], len(of_loop["loops"])) == ([1, 2, 3, 4], 1)
    assert main(("calls", run["id"], "--loop", "2")) == 2
    assert "no sampling loop 2; it has 1" in capsys.readouterr().err

    client = connect()
    handle = client.handle(run["id"])
    assert [loop.model_dump(mode="json") for loop in handle.loops()] == of_loop["loops"]
    assert [call.call for call in handle.calls()] == [1, 2, 3, 4, 5]
    assert handle.call_content(5).reply == "bye"
    assert [point.t for point in handle.usage()] == sorted(point.t for point in handle.usage())
    with pytest.raises(ServerError, match="No LLM call"):
        handle.call_content(6)

    async def awaited() -> None:
        other = AsyncRunHandle(client.connection, handle.run)
        assert await other.loops() == handle.loops()
        assert await other.calls() == handle.calls()
        assert await other.call_content(1) == handle.call_content(1)
        assert await other.usage() == handle.usage()

    asyncio.run(awaited())
    client.close()
