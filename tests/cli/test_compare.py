"""`compare`, and `run` with several models, against a real server and real mellea."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import mellea_jupyter
from mellea_jupyter.cli import main
from mellea_jupyter.client import launch
from mellea_jupyter.testing.server import JupyterServer
from tests.server.by_model import GOOD, POOR, PROGRAM, ByModel

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def llm() -> Iterator[ByModel]:
    with ByModel() as endpoint:
        yield endpoint


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JupyterServer]:
    home = tmp_path_factory.mktemp("server")
    with JupyterServer(home, options=["--MelleaApp.prewarm=False"]) as server:
        server.write("greet.py", PROGRAM)
        yield server


@pytest.fixture(autouse=True)
def here(server: JupyterServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """In the server's root folder, with the variables it gives its terminals."""
    token_file = tmp_path / "token"
    token_file.touch(0o600)
    token_file.write_text(server.token)
    for name in [name for name in os.environ if name.startswith(("JUPYTERHUB", "JPY"))]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(server.root)
    monkeypatch.setattr(launch, "_default", None)
    monkeypatch.setenv("MELLEA_JUPYTER_URL", server.url)
    monkeypatch.setenv("MELLEA_JUPYTER_TOKEN_FILE", str(token_file))
    monkeypatch.setenv("MELLEA_JUPYTER_ROOT_DIR", str(server.root))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(server.home / "runtime"))
    yield
    if launch._default is not None:
        launch._default.close()


def variables(llm: ByModel) -> list[str]:
    return [word for name, value in llm.variables.items() for word in ("-e", f"{name}={value}")]


def test_models_are_run_together_and_compared(llm: ByModel, capsys: Capture) -> None:
    words = ["run", "greet.py", "--model", f"{GOOD},{POOR}", "--repeat", "2", *variables(llm)]
    assert main(words) == 0
    out, err = capsys.readouterr()
    assert "group grp_" in err
    assert err.count("succeeded") == 4
    lines = {line.split("  ")[0]: line for line in out.splitlines() if line}
    assert f"{GOOD} #1" in out.splitlines()[0]
    assert lines["loops_met"].count("1 of 1 (100%)") == 2
    assert lines["loops_met"].count("0 of 1 (0%)") == 2
    assert "rows the same." in out
    group_id = next(word for word in err.split() if word.startswith("grp_"))
    assert main(["compare", "--group", group_id, "--json"]) == 0
    compared = json.loads(capsys.readouterr().out)
    assert [column["label"] for column in compared["columns"]] == [
        f"{GOOD} #1", f"{GOOD} #2", f"{POOR} #1", f"{POOR} #2",
    ]  # fmt: skip
    assert main(["ls", "--group", group_id, "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 4

    shown = mellea_jupyter.compare(group_id)
    assert shown.to_dict() == compared
    assert shown.to_pandas().loc[("requirements", "loops_met")].tolist() == [1, 1, 0, 0]
    assert "0 of 2 (0%)" in shown.snapshot().html

    first, second = (compared["columns"][place]["runs"][0]["id"] for place in (0, 2))
    assert main(["compare", first[:12], second, "--all"]) == 0
    out = capsys.readouterr().out
    assert "isolation" in out
    assert "the same" not in out


def test_a_group_that_is_not_waited_for_is_named(llm: ByModel, capsys: Capture) -> None:
    assert main(["run", "greet.py", "--repeat", "2", "--no-wait", "--model", GOOD,
                 *variables(llm)]) == 0  # fmt: skip
    assert capsys.readouterr().out.startswith("grp_")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["compare"], "--group"),
        (["compare", "a", "--group", "grp_1"], "--group"),
        (["compare", "00000000-0000-4000-8000-000000000000"], "2 to 10"),
        (["run", "greet.py", "--repeat", "0"], "--repeat"),
        (["run", "greet.py", "--model", "a/b,"], "name is missing"),
        (["run", "greet.py", "--model", "a/b,a/b"], "names a model twice"),
    ],
)
def test_what_does_not_fit_is_wrong_usage(words: list[str], said: str, capsys: Capture) -> None:
    assert main(words) == 2
    assert said in capsys.readouterr().err


def test_a_group_of_too_many_is_refused_by_the_server(capsys: Capture) -> None:
    assert main(["run", "greet.py", "--repeat", "101"]) == 2
    assert "MelleaApp.max_group_runs" in capsys.readouterr().err
