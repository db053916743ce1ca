"""Fixtures and helpers of all tests."""

from __future__ import annotations

import os
import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import pytest

from mellea_jupyter.testing.server import shared_fork_servers

from .frontend import build_wheel, copy_checkout
from .s3 import s3_variables, serve_s3

BUILDS_FRONT_END = ("tests/test_frontend.py", "tests/widgets/test_notebook.py")

pytest_plugins = ["pytest_jupyter.jupyter_server"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of the browser tests."""
    group = parser.getgroup("browser", "browser tests (tests/e2e)")
    group.addoption(
        "--as-built",
        action="store_true",
        help="use mellea_jupyter/labextension as it stands, instead of building the front end",
    )
    group.addoption(
        "--screenshots", action="store_true", help="make the pictures of the README anew"
    )


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With ``--dist=loadfile``, what needs the built front end stays on one worker.

    So it is built once, and there is one browser and one JupyterLab beside the other tests.
    """
    if config.getvalue("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling  # type: ignore[import-untyped]  # has no types

    class Scheduling(LoadFileScheduling):  # type: ignore[misc]  # see above
        def _split_scope(self, nodeid: str) -> str:
            file = super()._split_scope(nodeid)
            needs_it = file.startswith("tests/e2e/") or file in BUILDS_FRONT_END
            return "front end" if needs_it else file

    return Scheduling(config, log)


def require(component: str, reason: str) -> NoReturn:
    """Leave the test because a component is missing here.

    On a laptop the test is skipped with the reason. Where ``CI`` is set it fails, since there
    everything has to be present: a test that silently stops running is worse than none.
    """
    text = f"needs {component}: {reason}"
    if os.environ.get("CI"):
        pytest.fail(text, pytrace=False)
    pytest.skip(text)


@contextmanager
def no_descriptors_left() -> Iterator[None]:
    """Inside, whatever this process opens fails with EMFILE."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture(scope="session", autouse=True)
def fork_servers() -> Iterator[None]:
    """The servers of all tests share prepared interpreters, as those of one user do."""
    with shared_fork_servers():
        yield


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the files that git knows, with nothing built."""
    for tool in ("git", "node", "npm"):
        if shutil.which(tool) is None:
            require(tool, "the front end can not be built without it")
    folder = tmp_path_factory.mktemp("checkout")
    copy_checkout(folder)
    return folder


@pytest.fixture(scope="session")
def built_wheel(checkout: Path) -> Path:
    """The wheel with the built front end; `checkout` has it in its place, too."""
    return build_wheel(checkout)


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """The URL of an S3 endpoint."""
    with serve_s3() as url:
        yield url


@pytest.fixture
def s3(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A client of the store, which this process's environment now names; it has bucket `data`."""
    import boto3  # type: ignore[import-untyped]  # it has no types

    for name, value in s3_variables(s3_endpoint).items():
        monkeypatch.setenv(name, value)
    client = boto3.client("s3", endpoint_url=s3_endpoint, region_name="us-east-1")
    client.create_bucket(Bucket="data")
    yield client
    pages = client.get_paginator("list_objects_v2").paginate(Bucket="data")
    for each in [each for page in pages for each in page.get("Contents", ())]:
        client.delete_object(Bucket="data", Key=each["Key"])
    client.delete_bucket(Bucket="data")
    client.close()
