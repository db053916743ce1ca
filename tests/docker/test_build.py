"""`jupyter mellea build` against a real engine."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mellea_jupyter.cli import main
from tests.executors.kinds import BARE_IMAGE

from .conftest import add

pytestmark = [pytest.mark.docker, pytest.mark.timeout(240)]

BASE = "mellea-jupyter-test/with-wheel:1"
BUILT = "mellea-jupyter-test/built:1"
WHEEL = "mellea-0.0.1-py3-none-any.whl"


@pytest.fixture(scope="module")
def base(engine: Any) -> Iterator[str]:
    """A base image that holds a tiny package, so that no package index is needed."""
    wheel = io.BytesIO()
    with zipfile.ZipFile(wheel, "w") as archive:
        info = "mellea-0.0.1.dist-info"
        archive.writestr("mellea.py", "NAME = 'tiny'\n")
        archive.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: mellea\nVersion: 0.0.1\n"
        )
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as archive:
        add(archive, WHEEL, wheel.getvalue())
        add(archive, "Dockerfile", f"FROM {BARE_IMAGE}\nCOPY {WHEEL} /opt/{WHEEL}\n".encode())
    context.seek(0)
    for line in engine.build(
        fileobj=context, custom_context=True, tag=BASE, rm=True, forcerm=True, decode=True
    ):
        assert "error" not in line, line
    yield BASE
    for name in (BUILT, BASE):  # by name: a failed build leaves its cached steps upon them
        if engine.images(name):
            engine.remove_image(name, force=True)


def test_an_image_is_built_from_a_list_of_requirements(
    base: str, engine: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    requirements = tmp_path / "requirements.txt"
    requirements.write_text(f"mellea @ file:///opt/{WHEEL}\n")
    code = main(["build", "-t", BUILT, "--base", base, "--network", "none", str(requirements)])
    said = capsys.readouterr()
    assert code == 0, said.err
    assert said.out == f"{BUILT}\n"
    assert "Successfully installed mellea-0.0.1" in said.err
    container = engine.create_container(
        BUILT, ["python3", "-c", "import mellea; print(mellea.NAME)"], network_disabled=True
    )
    try:
        engine.start(container)
        assert engine.wait(container)["StatusCode"] == 0
        assert engine.logs(container) == b"tiny\n"
    finally:
        engine.remove_container(container, force=True)


def test_a_step_that_fails_is_told_and_leaves_no_container(
    base: str, engine: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("mellea @ file:///opt/nothing.whl\n")
    code = main(["build", "-t", BUILT, "--base", base, "--network", "none", str(requirements)])
    assert code == 1
    assert "The image was not built:" in capsys.readouterr().err
    assert engine.containers(all=True, filters={"ancestor": base}) == []
