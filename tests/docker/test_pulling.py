"""Images on their way: real pulls from a registry on loopback, and each way in which they fail."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from mellea_jupyter.runtime.ports import free_port
from mellea_jupyter.testing.server import JupyterServer
from tests.executors.runs import wait_until

from .conftest import Registry, add, containers_of, environments, log_of, remove_image

pytestmark = [pytest.mark.docker, pytest.mark.timeout(240)]

EMPTY_IMAGE = "mellea-jupyter-test/no-python:1"


@pytest.fixture(scope="module")
def server(
    engine: Any, registry: Registry, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[JupyterServer]:
    """A server with an environment for each image, and for each that can not be had."""
    without_python = io.BytesIO()
    with tarfile.open(fileobj=without_python, mode="w") as archive:
        add(archive, "nothing", b"here")
    engine.import_image_from_data(without_python.getvalue(), repository=EMPTY_IMAGE)
    images = {
        "little": registry.name("mellea-test/small:1"),
        "large": registry.name("mellea-test/large:1"),
        "no-tag": registry.name("mellea-test/small:nope"),
        "no-name": "Not A Name".replace(" ", "-") + "//x",
        "down": f"127.0.0.1:{free_port()}/mellea-test/small:1",
        "no-python": EMPTY_IMAGE,
    }
    described = {
        name: {"executor": "docker", "image": image, "network": "none"}
        for name, image in images.items()
    }
    home = tmp_path_factory.mktemp("server")
    options = ["--MelleaApp.prewarm=False", *environments(**described)]
    with JupyterServer(home, options=options) as running:
        running.write("hello.py", "print('hello')")
        yield running
        wait_until(lambda: containers_of(engine, running) == [], "no container left")
    remove_image(engine, EMPTY_IMAGE)


def create(server: JupyterServer, http: httpx.Client, environment_id: str) -> dict[str, Any]:
    return server.create(http, "hello.py", environment_id=environment_id)


def test_a_pull_is_a_status_with_layers_and_bytes_and_its_digest_is_kept(
    server: JupyterServer, http: httpx.Client, engine: Any, registry: Registry
) -> None:
    name = registry.name("mellea-test/large:1")
    remove_image(engine, name)
    run = create(server, http, "large")
    seen: list[dict[str, Any]] = []

    def look() -> bool:
        now = http.get(f"api/runs/{run['id']}").json()
        if now["status"] == "pulling_image" and now["image"]:
            seen.append(now["image"])
        return now["status"] in {"succeeded", "failed"}

    wait_until(look)
    final = server.wait_for(http, run["id"])
    assert final["status"] == "succeeded", final["error_message"]
    grown = [image["bytes_done"] for image in seen]
    assert seen, "never seen while it was pulled"
    assert grown == sorted(grown)
    image = final["image"]
    assert image["layers_done"] == image["layers_total"] >= 2
    assert image["bytes_done"] == image["bytes_extracted"] == image["bytes_total"] > 90 << 20
    [digest] = engine.inspect_image(name)["RepoDigests"]
    assert image["digest"] == digest
    assert final["metrics"]["startup_duration_ms"] > 100


def test_a_retry_has_the_same_image_although_the_tag_moved(
    server: JupyterServer, http: httpx.Client, engine: Any, registry: Registry
) -> None:
    server.write("fails.py", "import sys; sys.exit(3)")
    run = server.create(http, "fails.py", environment_id="little")
    first = server.wait_for(http, run["id"])
    assert first["exit_code"] == 3, first["error_message"]
    name = registry.name("mellea-test/small:1")
    remove_image(engine, name)
    engine.tag("mellea-jupyter-test/base:1", name)  # another image has the tag now
    retried = http.post(f"api/runs/{run['id']}/retry", json={}).json()
    second = server.wait_for(http, retried["id"])
    assert second["exit_code"] == 3, second["error_message"]
    assert second["image"]["digest"] == first["image"]["digest"]
    assert second["image"]["id"] == first["image"]["id"]
    engine.remove_image(name, force=True)
    remove_image(engine, first["image"]["digest"])


@pytest.mark.parametrize(
    ("environment_id", "text"),
    [
        ("no-tag", "The registry has no image"),
        ("no-name", "is not the name of an image"),
        ("down", "does not answer"),
    ],
)
def test_an_image_that_can_not_be_had_is_a_failure_of_its_own(
    server: JupyterServer, http: httpx.Client, engine: Any, environment_id: str, text: str
) -> None:
    run = create(server, http, environment_id)
    final = server.wait_for(http, run["id"])
    assert (final["status"], final["status_reason"]) == ("failed", "image_pull_failed")
    assert text in final["error_message"]
    assert containers_of(engine, server) == []


def test_an_image_without_python_is_told_as_such(server: JupyterServer, http: httpx.Client) -> None:
    run = create(server, http, "no-python")
    final = server.wait_for(http, run["id"])
    assert (final["status"], final["status_reason"]) == ("failed", "launch_failed")
    assert "no python3" in final["error_message"]


def test_cancel_while_pulling_ends_the_pull_and_leaves_no_container(
    server: JupyterServer, http: httpx.Client, engine: Any, registry: Registry
) -> None:
    name = registry.name("mellea-test/large:1")
    remove_image(engine, name)
    run = create(server, http, "large")
    wait_until(
        lambda: (
            (now := http.get(f"api/runs/{run['id']}").json())["status"] == "pulling_image"
            and now["image"]
        )
    )
    assert http.delete(f"api/runs/{run['id']}").status_code == 202
    final = server.wait_for(http, run["id"])
    assert (final["status"], final["status_reason"]) == ("cancelled", "user")
    assert final["cancelled_by"]
    assert containers_of(engine, server) == []
    assert log_of(http, run) == ""


def test_an_engine_that_is_not_there_is_told_with_the_next_step(tmp_path: Path) -> None:
    options = ["--MelleaApp.prewarm=False", *environments()]
    nowhere = {"DOCKER_HOST": f"unix://{tmp_path}/nothing.sock"}
    with (
        JupyterServer(tmp_path / "home", options=options, environment=nowhere) as server,
        server.http() as http,
    ):
        server.write("hello.py", "print('hello')")
        run = server.create(http, "hello.py", environment_id="bare")
        final = server.wait_for(http, run["id"])
        assert (final["status"], final["status_reason"]) == ("failed", "environment_unavailable")
        assert "No container engine answers. Start Docker" in final["error_message"]
        found = http.get("api/environments", params={"refresh": "true"}).json()["environments"]
        [bare] = [each for each in found if each["id"] == "bare"]
        assert bare["available"] is False
        assert "Start Docker" in bare["reason"]
