"""The docker executor's own: containers made ahead, crashes half-way, what is swept."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mellea_jupyter.exceptions import LaunchFailed
from mellea_jupyter.executors.base import LaunchSpec
from mellea_jupyter.executors.docker.config import ENGINE_LOG, SIDECAR_LABEL
from mellea_jupyter.executors.docker.engine import Engine, EngineUnreachable
from mellea_jupyter.executors.docker.executor import DockerExecutor
from mellea_jupyter.executors.docker.pulling import ImagePull, Progress
from mellea_jupyter.executors.run_folder import launch_record
from mellea_jupyter.models.environments import Environment
from mellea_jupyter.models.run import RunImage

from .kinds import BARE_IMAGE, DockerKind
from .runs import NewRun, end_frame, frames, output, wait_until

docker = [pytest.mark.docker, pytest.mark.timeout(180)]


@pytest.fixture
def kind_name() -> str:
    return DockerKind.name


@pytest.fixture
def executor(folder: Path, kind: DockerKind) -> Iterator[DockerExecutor]:
    executor = DockerExecutor(folder)
    yield executor
    executor.close()


@pytest.fixture
def ahead(executor: DockerExecutor, kind: DockerKind) -> Environment:
    """An environment that keeps one container ready, which is."""
    environment = kind.environment(prewarm=1, preload=("json", "decimal"))
    executor.prepare(environment)
    get_ready(executor, environment)
    return environment


def get_ready(executor: DockerExecutor, environment: Environment) -> None:
    image = executor._engine.find_image(BARE_IMAGE)
    assert image is not None
    key = executor._kind(environment, image).key
    wait_until(lambda: executor.sidecars.count_ready(key), "a container that waits")


def is_gone(executor: DockerExecutor, handle: Any, spec: LaunchSpec) -> bool:
    return not executor.poll(handle, spec.run_dir).alive


def ends(executor: DockerExecutor, handle: Any, spec: LaunchSpec) -> dict[str, Any]:
    end = end_frame(spec.run_dir)
    wait_until(lambda: is_gone(executor, handle, spec))
    return end


class TestAhead:
    pytestmark = docker

    def test_a_run_is_placed_in_a_container_that_waits_for_it(
        self, executor: DockerExecutor, ahead: Environment, new_run: NewRun
    ) -> None:
        spec = new_run(
            "import os, sys\n"
            "print('decimal' in sys.modules, os.environ['API_KEY'] == 's3cret' + '-value')\n"
            "print(sorted(os.listdir('/mellea/run/source')), os.getcwd())\n"
            "open(os.environ['MELLEA_OUTPUT_DIR'] + '/x', 'w').write('kept')\n"
            "sys.exit(9)\n",
            environment=ahead,
            isolation="warm",
        )
        began = time.monotonic()
        handle = executor.launch(spec)
        assert ends(executor, handle, spec)["exit_code"] == 9
        assert time.monotonic() - began < 5
        [started] = frames(spec.run_dir, "started")
        assert (started["isolation"], started["reason"]) == ("warm", None)
        expected = "True True\n['main.py'] /mellea/run/source\n"
        assert output(spec.run_dir) == expected
        assert (spec.run_dir / "outputs" / "x").read_text() == "kept"
        assert executor.poll(handle, spec.run_dir).exit_code == 9
        executor.cleanup(handle, spec.run_dir)

    def test_each_container_serves_one_run_and_another_takes_its_place(
        self, executor: DockerExecutor, ahead: Environment, new_run: NewRun
    ) -> None:
        used = []
        for number in range(2):
            get_ready(executor, ahead)
            spec = new_run(f"print({number})", environment=ahead, isolation="warm")
            handle = executor.launch(spec)
            ends(executor, handle, spec)
            assert frames(spec.run_dir, "started")[0]["isolation"] == "warm"
            used.append(handle.data["container"])
            executor.cleanup(handle, spec.run_dir)
        assert len(set(used)) == 2

    def test_a_run_that_comes_too_early_starts_cold_and_says_why(
        self, executor: DockerExecutor, kind: DockerKind, new_run: NewRun
    ) -> None:
        environment = kind.environment(prewarm=1)
        spec = new_run("print(1)", environment=environment, isolation="warm")
        handle = executor.launch(spec)
        ends(executor, handle, spec)
        [started] = frames(spec.run_dir, "started")
        assert (started["isolation"], started["reason"]) == ("fresh", "no container was ready")

    @pytest.mark.parametrize(
        ("fields", "reason"),
        [
            ({"isolation": "fresh"}, "isolation fresh was asked for"),
            ({"env_var_names": ["PYTHONPATH"]}, "the variable PYTHONPATH is read when"),
        ],
    )
    def test_what_a_waiting_container_could_not_honour_starts_cold(
        self,
        executor: DockerExecutor,
        ahead: Environment,
        new_run: NewRun,
        fields: dict[str, Any],
        reason: str,
    ) -> None:
        spec = new_run("print(1)", environment=ahead, **{"isolation": "warm", **fields})
        handle = executor.launch(spec)
        ends(executor, handle, spec)
        [started] = frames(spec.run_dir, "started")
        assert started["isolation"] == "fresh"
        assert reason in started["reason"]

    def test_a_program_s_own_module_is_not_shadowed_by_a_preloaded_one(
        self, executor: DockerExecutor, ahead: Environment, new_run: NewRun
    ) -> None:
        spec = new_run("import decimal; print(decimal.MINE)", environment=ahead, isolation="warm")
        (spec.run_dir / "source" / "decimal.py").write_text("MINE = 'mine'\n")
        handle = executor.launch(spec)
        assert ends(executor, handle, spec)["exit_code"] == 0
        assert output(spec.run_dir) == "mine\n"
        assert frames(spec.run_dir, "started")[0]["isolation"] == "fresh"

    def test_limits_and_hardening_hold_before_a_run_is_handed_over(
        self, executor: DockerExecutor, ahead: Environment, kind: DockerKind
    ) -> None:
        [waiting] = [
            each
            for each in kind.ours()
            if SIDECAR_LABEL in each["Labels"] and each["State"] == "running"
        ]
        host = kind.engine.inspect_container(waiting["Id"])["HostConfig"]
        assert host["CapDrop"] == ["ALL"]
        assert host["ReadonlyRootfs"] is True
        assert host["Memory"] == host["MemorySwap"] == 2048 << 20
        assert host["PidsLimit"] == 512
        assert host["NanoCpus"] > 0
        assert host["NetworkMode"] == "none"

    def test_cancel_reaches_the_program(
        self, executor: DockerExecutor, ahead: Environment, new_run: NewRun
    ) -> None:
        spec = new_run(
            "import time\nprint('ready', flush=True)\ntime.sleep(600)",
            environment=ahead,
            isolation="warm",
        )
        handle = executor.launch(spec)
        wait_until(lambda: "ready" in output(spec.run_dir))
        executor.cancel(handle, spec.run_dir, reason="user", by="ada", grace_seconds=30)
        assert ends(executor, handle, spec)["reason"] == "user"

    def test_a_server_that_stops_takes_its_waiting_containers_along_and_no_run(
        self, executor: DockerExecutor, ahead: Environment, kind: DockerKind, new_run: NewRun
    ) -> None:
        spec = new_run("import time\ntime.sleep(600)", environment=ahead, isolation="warm")
        handle = executor.launch(spec)
        get_ready(executor, ahead)
        executor.close()
        left = [each["Id"] for each in kind.ours()]
        assert left == [handle.data["container"]]
        other = DockerExecutor(kind._folder)
        assert other.sweep(lambda run_id: run_id == spec.run_id) == 0
        assert other.find(spec.run_id, spec.run_dir) == handle
        assert other.kill(handle, spec.run_dir)
        other.close()

    def test_containers_of_a_server_that_was_killed_are_swept(
        self, executor: DockerExecutor, ahead: Environment, kind: DockerKind
    ) -> None:
        other = DockerExecutor(kind._folder)
        assert other.sweep(lambda _: False) == 0
        os.close(executor.sidecars._lock_file or -1)  # as the kernel does for a killed server
        executor.sidecars._lock_file = None
        assert other.sweep(lambda _: False) == 1
        wait_until(lambda: kind.ours() == [])
        other.close()

    def test_a_launcher_that_died_before_it_sent_the_container_off_leaves_nothing(
        self, executor: DockerExecutor, ahead: Environment, kind: DockerKind, new_run: NewRun
    ) -> None:
        spec = new_run("print(1)", environment=ahead, isolation="warm")
        [waiting] = kind.ours()
        handle = executor._handle(spec.run_id, waiting["Id"], None, "x.1")
        with launch_record(spec.run_dir) as record:
            record.write("starting", handle.to_json())
        assert executor.find(spec.run_id, spec.run_dir) is None
        assert waiting["Id"] not in [each["Id"] for each in kind.ours()]
        with pytest.raises(LaunchFailed, match="before the program began"):
            executor.launch(spec)


class TestHalfWay:
    pytestmark = docker

    def test_a_container_that_was_created_and_never_started_is_removed(
        self, executor: DockerExecutor, kind: DockerKind, new_run: NewRun
    ) -> None:
        spec = new_run("print(1)")
        image = executor._image(spec)
        executor._write_folders(spec, image, "")
        executor._create(spec, image)
        with launch_record(spec.run_dir) as record:
            record.write("starting")
        assert executor.find(spec.run_id, spec.run_dir) is None
        assert kind.ours() == []
        with pytest.raises(LaunchFailed) as caught:
            executor.launch(spec)
        assert caught.value.reason == "lost"

    def test_a_container_that_was_started_is_found_by_its_name(
        self, executor: DockerExecutor, new_run: NewRun
    ) -> None:
        spec = new_run("import time\ntime.sleep(600)")
        handle = executor.launch(spec)
        with launch_record(spec.run_dir) as record:
            record.write("starting")
        found = executor.find(spec.run_id, spec.run_dir)
        assert found is not None
        assert found.data["container"] == handle.data["container"]
        assert executor.kill(found, spec.run_dir)

    def test_a_folder_that_the_engine_does_not_see_is_told_as_such(
        self, executor: DockerExecutor, kind: DockerKind, new_run: NewRun, folder: Path
    ) -> None:
        blind = DockerExecutor(folder, runtime_dir=folder / "elsewhere")
        with pytest.raises(LaunchFailed, match="does not see"):
            blind.launch(new_run("print(1)"))
        blind.close()
        assert kind.ours() == []


def test_a_pull_s_progress_is_summed_over_its_layers() -> None:
    progress = Progress()
    events: list[dict[str, Any]] = [
        {"status": "Pulling from x", "id": "1"},
        {"status": "Pulling fs layer", "id": "a", "progressDetail": {}},
        {"status": "Already exists", "id": "b", "progressDetail": {}},
        {"status": "Downloading", "id": "a", "progressDetail": {"current": 40, "total": 100}},
    ]
    assert [progress.fold(event) for event in events] == [False, True, True, True]
    now = progress.of("x")
    assert (now.layers_done, now.layers_total) == (1, 2)
    assert (now.bytes_done, now.bytes_extracted, now.bytes_total) == (40, 0, 100)
    progress.fold({"status": "Download complete", "id": "a", "progressDetail": {}})
    progress.fold(
        {"status": "Extracting", "id": "a", "progressDetail": {"current": 30, "total": 100}}
    )
    now = progress.of("x")
    assert (now.bytes_done, now.bytes_extracted) == (100, 30)
    progress.fold({"status": "Pull complete", "id": "a", "progressDetail": {}})
    now = progress.of("x")
    assert (now.layers_done, now.bytes_extracted) == (2, 100)


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"status": "Downloading"},
        {"status": "Downloading", "id": 7},
        {"status": "Downloading", "id": "a", "progressDetail": None},
        {"status": "Downloading", "id": "a", "progressDetail": {"current": "x", "total": -1}},
    ],
)
def test_events_that_say_nothing_do_no_harm(event: dict[str, Any]) -> None:
    progress = Progress()
    progress.fold(event)
    assert progress.of("x").bytes_total == 0


ROTATING = """\
engine = open("/proc/1/fd/1", "w")
for n in range(200_000):
    line = f"line {n} {n:060}"
    print(line)
    print(line, file=engine)
"""


@pytest.mark.docker
@pytest.mark.timeout(300)
def test_no_line_is_lost_while_the_engine_s_own_log_rotates(
    executor: DockerExecutor, kind: DockerKind, new_run: NewRun
) -> None:
    """The program writes each line twice: to its stdout, and to what the engine logs."""
    spec = new_run(ROTATING)
    handle = executor.launch(spec)
    assert end_frame(spec.run_dir)["exit_code"] == 0
    wait_until(lambda: is_gone(executor, handle, spec))
    container = kind.engine.inspect_container(handle.data["container"])
    limit = container["HostConfig"]["LogConfig"]["Config"]
    assert limit == ENGINE_LOG["config"] == {"max-size": "1m", "max-file": "1"}
    of_engine = kind.engine.logs(container["Id"]).decode().splitlines()
    assert 0 < len(of_engine) < 100_000  # it rotated, and lost what was before
    assert of_engine[-1] == f"line 199999 {199_999:060}"
    log = Path(container["LogPath"])
    assert sum(path.stat().st_size for path in log.parent.glob(f"{log.name}*")) < 4 << 20
    lines = output(spec.run_dir).splitlines()
    assert lines == [f"line {n} {n:060}" for n in range(200_000)]
    assert sum(frame["lines"] for frame in frames(spec.run_dir, "output")) == 200_000


def test_without_an_engine_nothing_is_known_and_nothing_is_placed(tmp_path: Path) -> None:
    engine = Engine(f"unix://{tmp_path}/nothing.sock")
    with pytest.raises(EngineUnreachable, match="Start Docker"):
        engine.find("x")
    pull = ImagePull(engine, "x", None, 10)
    with pytest.raises(LaunchFailed) as caught:
        pull.run(lambda _: None)
    assert caught.value.reason == "environment_unavailable"


@pytest.mark.docker
def test_a_pull_that_was_cancelled_before_it_began_ends_at_once(kind: DockerKind) -> None:
    pull = ImagePull(Engine(), "127.0.0.1:1/nothing", RunImage(reference="other"), 10)
    pull.cancel()
    with pytest.raises(LaunchFailed) as caught:
        pull.run(lambda _: None)
    assert caught.value.reason == "image_pull_failed"
