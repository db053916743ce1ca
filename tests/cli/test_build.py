"""`jupyter mellea build`, as far as it needs no engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from mellea_jupyter.cli import main
from mellea_jupyter.cli.build import DOCKERFILE, _requirements


def test_the_dockerfile_is_printed_to_be_changed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["build", "--print-dockerfile"]) == 0
    assert capsys.readouterr().out == DOCKERFILE.read_text()


def test_an_image_needs_a_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["build", "requirements.txt"]) == 2
    assert "jupyter mellea build -t" in capsys.readouterr().err


def test_a_list_that_can_not_be_read_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["build", "-t", "x", "no-such-file.txt"]) == 2
    assert "no-such-file.txt can not be read" in capsys.readouterr().err


def test_without_an_engine_the_next_step_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nothing.sock")
    assert main(["build", "-t", "x"]) == 3
    assert "Start Docker" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "added"),
    [
        ("mellea==0.8.0\n", False),
        ("Mellea\n", False),
        ("pandas\n", True),
        ("mellea-jupyter\n", True),
        ("# mellea\nnumpy\n", True),
    ],
)
def test_mellea_is_added_where_the_list_leaves_it_out(
    tmp_path: Path, given: str, *, added: bool
) -> None:
    path = tmp_path / "requirements.txt"
    path.write_text(given)
    text = _requirements(str(path))
    assert text.startswith(given.rstrip())
    assert (text != given) is added
    assert "\nmellea<" in text or not added
