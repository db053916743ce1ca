"""`DockerExecutor`: a container a run, with our supervisor inside and the engine's word outside.

**Who is believed.** The supervisor in the container writes the journal, where the program could
write as well. So frames show what a run does, and the engine says whether it lives, how it ended
and whether memory ran out. The exit status that it sees is the program's own (`sidecar.py`).

**One launch a run.** As for the process executor (`process.py`) the file `launch` says how far the
launch came, under a lock. A container has the run's name and is created before it is started: one
that was never started when its launcher died is removed, and the run is lost before its start.

**Nothing stays behind.** Containers carry labels; `cleanup` removes a run's, `sweep` those whose
run has ended or was never recorded.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from mellea_jupyter.environments.variables import inherited_variables
from mellea_jupyter.exceptions import LaunchFailed
from mellea_jupyter.executors.base import Executor, LaunchSpec, Liveness, Pull, RunHandle
from mellea_jupyter.executors.docker import folders
from mellea_jupyter.executors.docker.config import (
    CONTAINER_UID,
    LABEL,
    NETWORK,
    RUN_LABEL,
    SIDECAR_LABEL,
    Body,
    Limits,
    ahead_command,
    cold_command,
    container_config,
)
from mellea_jupyter.executors.docker.engine import (
    Container,
    Engine,
    EngineRefused,
    EngineUnreachable,
    Image,
)
from mellea_jupyter.executors.docker.folders import Account, inside
from mellea_jupyter.executors.docker.pulling import ImagePull
from mellea_jupyter.executors.docker.sidecars import Kind, Sidecars
from mellea_jupyter.executors.forkservers import template_env
from mellea_jupyter.executors.identity import boot_id
from mellea_jupyter.executors.run_folder import LaunchRecord, launch_record, read_head
from mellea_jupyter.models.environments import Environment, EnvironmentProbe
from mellea_jupyter.models.ids import RunId
from mellea_jupyter.models.run import RunImage, StatusReason
from mellea_jupyter.models.variables import is_secret_name
from mellea_jupyter.runtime.forkserver import IMPORT_TIME_PREFIXES

START_PATIENCE_SECONDS = 5.0
INTERRUPT_PATIENCE_SECONDS = 5.0
KILL_PATIENCE_SECONDS = 10.0
SCOPE_LABEL = f"{LABEL}.scope"

_PATHS = ("source_dir", "working_directory", "output_dir")


@dataclass(frozen=True, slots=True)
class DockerOptions:
    """What an operator decides.

    Attributes:
        idle_seconds: containers made ahead for an environment go away when no run asked for it
            so long.
        url: where the engine listens; None as the docker client finds it.
        account: uid and gid of programs where the server is root.
        limits: of containers whose environment names none.
        pull_timeout_seconds: the longest a pull may take.
    """

    url: str | None = None
    account: int = CONTAINER_UID
    limits: Limits = field(default_factory=Limits)
    pull_timeout_seconds: float = 3600.0
    idle_seconds: float = 1800.0


class DockerExecutor(Executor):
    """Places runs in containers.

    Args:
        data_dir: the folder that `run_dir` of all runs is below; only its containers are swept.
        options: what an operator decides.
        runtime_dir: folder of the runtime; None is the one of this package.
    """

    name = "docker"
    trusts_journal: ClassVar[bool] = False

    def __init__(
        self,
        data_dir: Path | None = None,
        options: DockerOptions | None = None,
        *,
        runtime_dir: Path | None = None,
    ) -> None:
        self._options = options or DockerOptions()
        self._engine = Engine(self._options.url)
        self._runtime_dir = runtime_dir or Path(__file__).resolve().parents[2] / "runtime"
        self._scope = hashlib.sha256(os.fsencode(data_dir or "")).hexdigest()[:16]
        self._account = Account.choose(self._options.account)
        self._cpus: float | None = None
        self._images: dict[str, Image] = {}  # by id, which never means another image
        self.sidecars = Sidecars(
            (data_dir or Path(tempfile.gettempdir())) / "sidecars",
            self._account,
            remove=self._engine.remove,
            is_alive=self._still_waits,
            idle_seconds=self._options.idle_seconds,
        )

    def _still_waits(self, container_id: str) -> bool:
        container = self._engine.find(container_id)
        return container is not None and container.is_alive

    # -- images -----------------------------------------------------------------------------

    def pull(self, environment: Environment, before: RunImage | None) -> Pull:
        """Get the environment's image, the one that a retried run had if that can be had."""
        reference = environment.image or ""
        return ImagePull(self._engine, reference, before, self._options.pull_timeout_seconds)

    def probe(self, environment: Environment) -> EnvironmentProbe:
        """Whether the engine answers; an image that it has not got is pulled by the first run."""
        try:
            engine = self._engine.facts()
            image = self._engine.find_image(environment.image or "")
        except LaunchFailed as error:
            return EnvironmentProbe(available=False, reason=f"{error}. {error.hint}")
        except (EngineUnreachable, EngineRefused) as error:
            return EnvironmentProbe(available=False, reason=str(error))
        facts = {
            "engine": str(engine.get("ServerVersion") or "?"),
            "network": environment.network or "bridge",
            "image": "is pulled by the first run" if image is None else image.digest or image.id,
        }
        return EnvironmentProbe(available=True, facts=facts)

    def _image(self, spec: LaunchSpec) -> Image:
        reference = spec.image_id or spec.environment.image
        if not reference:
            msg = f"The environment {spec.environment.name!r} names no image"
            raise LaunchFailed(msg, reason=StatusReason.ENVIRONMENT_UNAVAILABLE)
        image = self._images.get(reference) or self._engine.find_image(reference)
        if image is None:
            msg = f"The engine has no image {spec.environment.image}"
            reason = StatusReason.IMAGE_PULL_FAILED
            raise LaunchFailed(msg, reason=reason, hint="It was removed; start the run again.")
        self._images[image.id] = image
        return image

    # -- placing ----------------------------------------------------------------------------

    def launch(self, spec: LaunchSpec) -> RunHandle:
        """Place the run, or give the handle of the launch it already had.

        Raises:
            LaunchFailed: nothing was placed. `environment_unavailable`: there is no engine.
                `image_pull_failed`: it has not got the image. `lost`: an earlier launch died
                half-way, and nothing of it runs.
            EngineUnreachable: whether something was placed can not be told now; `find` will tell.
        """
        try:
            with launch_record(spec.run_dir) as record:
                if record.state is None:
                    return self._place(spec, record)
                handle = self._find_launched(spec.run_id, spec.run_dir, record)
        except EngineUnreachable:
            raise
        except OSError as error:  # all before a container is started
            msg = f"The run's folder can not be used: {error.strerror or error}"
            raise LaunchFailed(msg, hint="Check the disk that holds the runs.") from error
        if handle is None:
            msg = "The server stopped while it started this run, before the program began."
            raise LaunchFailed(msg, reason=StatusReason.LOST, hint="Retry the run.")
        return handle

    def _place(self, spec: LaunchSpec, record: LaunchRecord) -> RunHandle:
        try:
            image = self._image(spec)
            reason = _find_cold_reason(spec)
            if reason is None:
                handle = self._place_ahead(spec, image, record)
                if handle is not None:
                    return handle
                reason = "no container was ready"
            engine = self._engine.identity()
            self._write_folders(spec, image, reason)
            container_id = self._create(spec, image)
        except EngineUnreachable as error:  # nothing was started, and only we could start it
            unavailable = StatusReason.ENVIRONMENT_UNAVAILABLE
            raise LaunchFailed(str(error), reason=unavailable) from error
        record.write("starting")
        try:
            self._engine.start(container_id)
        except EngineRefused as error:
            self._engine.remove(container_id)
            record.write(None)
            raise LaunchFailed(_start_problem(spec, str(error))) from error
        handle = self._handle(spec.run_id, container_id, engine)
        with suppress(OSError):  # the disk is full: `find` asks the engine then
            record.write("placed", handle.to_json())
        return handle

    def _write_folders(self, spec: LaunchSpec, image: Image, cold_reason: str) -> None:
        control = folders.make_control(spec.run_dir)
        folders.open_source(spec.run_dir)
        folders.make_writable(spec.run_dir, self._account)
        folders.fill_work(spec.run_dir, self._account)
        content = self._inside(spec, image, cold_reason)
        folders.write_instructions(control, content, spec, self._account)

    def _place_ahead(
        self, spec: LaunchSpec, image: Image, record: LaunchRecord
    ) -> RunHandle | None:
        """Place the run in a container that waits for one; None when none is ready."""
        if not spec.environment.prewarm:
            return None
        kind = self._kind(spec.environment, image)
        taken = self.sidecars.take(kind.key)
        self.sidecars.want(kind)
        if taken is None:
            return None
        sidecar, go = taken
        handle = self._handle(spec.run_id, sidecar.container_id, sidecar.engine, sidecar.id)
        try:
            record.write("starting", handle.to_json())
            (self.sidecars.marker(sidecar.id)).write_text(spec.run_id)
            folders.open_source(spec.run_dir)
            sidecar.hand_over(spec.run_dir)
            folders.fill_work(spec.run_dir, self._account)
            content = self._inside(spec, image, None)
            control = spec.run_dir / folders.CONTROL
            folders.write_instructions(control, content, spec, self._account)
            os.write(go, b"g")
        except OSError:
            self._engine.remove(sidecar.container_id)
            raise
        finally:
            os.close(go)
        with suppress(OSError):  # the disk is full: `find` asks the journal then
            record.write("placed", handle.to_json())
        return handle

    def prepare(self, environment: Environment) -> None:
        """Have containers ready for the environment, as many as its `prewarm` says.

        An image that the engine has not got is left to the first run, which shows its progress.
        """
        try:
            image = self._engine.find_image(environment.image or "")
        except (EngineUnreachable, EngineRefused, LaunchFailed):
            return  # each run says why it does not start
        if image is not None and environment.prewarm:
            self._images[image.id] = image
            self.sidecars.want(self._kind(environment, image))

    def _kind(self, environment: Environment, image: Image) -> Kind:
        """What containers for this environment are like, now."""
        variables = {**_OWN_VARIABLES, **image.env, **inherited_variables(environment, os.environ)}
        env = {n: v for n, v in template_env(variables).items() if not is_secret_name(n)}
        decisive = {**environment.definition(), "name": "", "prewarm": 0}
        described = [decisive, image.id, env, str(self._account)]
        key = hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()[:16]

        def make(folder: Path, name: str) -> tuple[str, str | None]:
            body = Body(
                image_id=image.id,
                command=ahead_command(environment.preload, self._options.idle_seconds + 60),
                mounts=list(folders.mounts(folder, self._runtime_dir, is_ahead=True)),
                labels={SCOPE_LABEL: self._scope, SIDECAR_LABEL: name},
                env=env,
            )
            engine = self._engine.identity()
            container_id = self._create_container(f"mellea-{name}", body, environment)
            try:
                self._engine.start(container_id)
            except EngineRefused:
                self._engine.remove(container_id)
                raise
            return container_id, engine

        return Kind(key, environment.prewarm, make)

    def _inside(self, spec: LaunchSpec, image: Image, cold_reason: str | None) -> dict[str, Any]:
        """`spec.json` as the supervisor in the container needs it."""
        content = dict(spec.spec)
        for name in _PATHS:
            if isinstance(path := content.get(name), str):
                content[name] = inside(path, spec.run_dir)
        given = {
            name: inside(str(value), spec.run_dir)
            for name, value in (content.get("env") or {}).items()
        }
        content["env"] = {**_OWN_VARIABLES, **image.env, **given}
        content["datasets"] = {
            name: inside(str(path), spec.run_dir)
            for name, path in (content.get("datasets") or {}).items()
        }
        content["memory_limit_mb"] = None  # the kernel's business here
        content["isolation"] = "warm" if cold_reason is None else "fresh"
        content["fresh_reason"] = cold_reason
        return content

    def _create(self, spec: LaunchSpec, image: Image) -> str:
        body = Body(
            image_id=image.id,
            command=cold_command(),
            mounts=list(folders.mounts(spec.run_dir, self._runtime_dir)),
            labels={SCOPE_LABEL: self._scope, RUN_LABEL: spec.run_id},
            env={},
        )
        try:
            return self._create_container(_container_name(spec.run_id), body, spec.environment)
        except EngineRefused as error:
            raise LaunchFailed(_start_problem(spec, str(error))) from error

    def _create_container(self, name: str, body: Body, environment: Environment) -> str:
        if self._cpus is None:
            self._cpus = float(self._engine.facts().get("NCPU") or 1)
        if environment.network == "internal":
            self._engine.ensure_network(NETWORK, {LABEL: "1"})
        config = container_config(
            body, environment, self._options.limits, self._account, engine_cpus=self._cpus
        )
        return self._engine.create(name, config)

    def _handle(
        self, run_id: str, container_id: str, engine: str | None, sidecar: str | None = None
    ) -> RunHandle:
        return RunHandle(
            executor=self.name,
            run_id=run_id,
            host=socket.gethostname(),
            boot_id=boot_id(),
            data={"container": container_id, "engine": engine, "sidecar": sidecar},
        )

    # -- finding ----------------------------------------------------------------------------

    def find(self, run_id: RunId, run_dir: Path) -> RunHandle | None:
        """The handle of the run's launch, if it was launched.

        Raises:
            EngineUnreachable: it can not be told.
        """
        if not run_dir.is_dir():
            return None
        with launch_record(run_dir) as record:
            return self._find_launched(run_id, run_dir, record)

    def _find_launched(
        self, run_id: RunId, run_dir: Path, record: LaunchRecord
    ) -> RunHandle | None:
        if record.state == "placed":
            with suppress(ValueError):
                return RunHandle.model_validate(record.data)
        elif record.state != "starting":
            return None
        if record.data:  # a container that was made ahead: was it sent off?
            return self._find_sent_off(RunHandle.model_validate(record.data), run_dir, record)
        container = self._engine.find(_container_name(run_id))
        if container is None or container.status == "created":
            if container is not None:
                self._engine.remove(container.id)
            record.write("withdrawn")
            return None
        handle = self._handle(run_id, container.id, None)
        with suppress(OSError):
            record.write("placed", handle.to_json())
        return handle

    def _find_sent_off(
        self, handle: RunHandle, run_dir: Path, record: LaunchRecord
    ) -> RunHandle | None:
        """The handle if the run began in it; else the container is removed, and it never will."""
        give_up = time.monotonic() + START_PATIENCE_SECONDS
        while read_head(run_dir) is None:
            if time.monotonic() >= give_up or not self._still_waits(_container(handle)):
                break
            time.sleep(0.02)
        if read_head(run_dir) is None:
            self._engine.remove(_container(handle))
            record.write("withdrawn")
            return None
        with suppress(OSError):
            record.write("placed", handle.to_json())
        return handle

    def poll(self, handle: RunHandle, run_dir: Path) -> Liveness:
        """Alive as long as the engine says so.

        Raises:
            EngineUnreachable: it does not answer.
        """
        container = self._engine.find(_container(handle))
        if container is None:
            return Liveness(
                alive=False,
                otherwise=self._why_ended(handle, run_dir),
                message="Its container is not there any more.",
            )
        if container.is_alive:
            return Liveness(alive=True)
        return self._ended(container, handle, run_dir)

    def _ended(self, container: Container, handle: RunHandle, run_dir: Path) -> Liveness:
        code = container.exit_code
        if container.oom_killed and code:
            return Liveness(alive=False, exit_code=code, reason=StatusReason.OUT_OF_MEMORY)
        otherwise = self._why_ended(handle, run_dir)
        if otherwise is None and code and read_head(run_dir) is None:
            # The supervisor writes to the engine's log only what keeps it from its journal. No
            # word there: it had a journal, and the program took it away.
            said = container.error or self._engine.log_tail(container.id)
            if said:
                message = _never_began(code, said)
                return Liveness(alive=False, reason=StatusReason.LAUNCH_FAILED, message=message)
        return Liveness(alive=False, exit_code=code, otherwise=otherwise)

    def _why_ended(self, handle: RunHandle, run_dir: Path) -> str | None:
        """Why a run ended that did not end by itself: we asked, or the engine went away."""
        asked = folders.read_stop_reason(run_dir)
        if asked is not None:
            return asked
        engine = handle.data.get("engine")
        if engine is not None and engine != self._engine.identity():
            return StatusReason.ENGINE_RESTARTED
        return None

    # -- stopping ---------------------------------------------------------------------------

    def cancel(
        self, handle: RunHandle, run_dir: Path, *, reason: str, by: str, grace_seconds: float
    ) -> None:
        """Write why, then have the engine send SIGTERM to the supervisor. The first reason stands.

        Raises:
            EngineUnreachable: it does not answer.
        """
        container = self._engine.find(_container(handle))
        if container is not None and container.is_alive:
            folders.write_stop(run_dir, reason, by, grace_seconds)
            self._engine.send(container.id, "SIGTERM")

    def answer(self, handle: RunHandle, run_dir: Path, answer: Mapping[str, Any]) -> None:
        """Write the answer where the container can only read it."""
        folders.write_answer(run_dir, answer)

    def kill(
        self, handle: RunHandle, run_dir: Path, *, reason: str = "terminated", by: str = ""
    ) -> bool:
        """Have the supervisor kill its tree, then have the engine kill the container.

        Takes up to 15 seconds, usually some milliseconds.

        Raises:
            EngineUnreachable: it does not answer.
        """
        container = self._engine.find(_container(handle))
        if container is None or not container.is_alive:
            return True
        folders.write_stop(run_dir, reason, by, 0.0)
        for name, patience in (
            ("SIGINT", INTERRUPT_PATIENCE_SECONDS),
            ("SIGKILL", KILL_PATIENCE_SECONDS),
        ):
            self._engine.send(container.id, name)
            if self._await_end(container.id, patience):
                return True
        return False

    def _await_end(self, container_id: str, seconds: float) -> bool:
        give_up = time.monotonic() + seconds
        while (container := self._engine.find(container_id)) is not None and container.is_alive:
            if time.monotonic() >= give_up:
                return False
            time.sleep(0.02)
        return True

    # -- what is left -----------------------------------------------------------------------

    def cleanup(self, handle: RunHandle, run_dir: Path) -> None:
        """Remove the container and its copy of the secrets.

        Raises:
            EngineUnreachable: it does not answer; `sweep` removes the container later.
        """
        folders.forget_secrets(run_dir)
        self._engine.remove(_container(handle))
        if (sidecar := handle.data.get("sidecar")) is not None:
            self.sidecars.marker(str(sidecar)).unlink(missing_ok=True)

    def sweep(self, is_active: Callable[[RunId], bool]) -> int:
        """Remove containers of this data folder whose run is not active; how many.

        Raises:
            EngineUnreachable: it does not answer.
        """
        removed = 0
        for container in self._engine.list_labelled(SCOPE_LABEL, self._scope):
            sidecar = container.labels.get(SIDECAR_LABEL)
            run_id = container.labels.get(RUN_LABEL) or self.sidecars.find_run(sidecar)
            wanted = is_active(RunId(run_id)) if run_id else self.sidecars.owns(str(sidecar))
            if not wanted:
                self._engine.remove(container.id)
                removed += 1
        self.sidecars.tidy()
        return removed

    def close(self) -> None:
        """The server stops. Containers of runs go on, those that wait for one are removed."""
        self.sidecars.close()
        self._engine.close()


def _find_cold_reason(spec: LaunchSpec) -> str | None:
    """Why the run can not have a container that was made before it, as far as that is known."""
    if spec.spec.get("isolation") == "fresh":
        return str(spec.spec.get("fresh_reason") or "isolation fresh was asked for")
    if not spec.environment.prewarm:
        return "the environment keeps no containers ready"
    if any((spec.run_dir / "inputs").iterdir()):
        return "the run has inputs to be mounted"
    for name in sorted(spec.spec.get("env_var_names") or ()):
        if name.startswith(IMPORT_TIME_PREFIXES):
            return f"the variable {name} is read when modules are imported"
    return None


_OWN_VARIABLES: Mapping[str, str] = {"HOME": "/tmp", "USER": "mellea", "LANG": "C.UTF-8"}  # noqa: S108
"""What the image may leave open: the account has no entry in its list of users."""


def _container_name(run_id: str) -> str:
    return f"mellea-{run_id}"


def _container(handle: RunHandle) -> str:
    return str(handle.data.get("container") or _container_name(handle.run_id))


def _start_problem(spec: LaunchSpec, text: str) -> str:
    """What the engine says about a container that it does not start, with the next step."""
    if "bind source path does not exist" in text or "no such file or directory: unknown" in text:
        return (
            "The container engine does not see the run's folder: it is on another machine, or this "
            f"server is itself in a container. {text}"
        )
    if "executable file not found" in text:
        return f"The image {spec.environment.image} has no python3 on its PATH. {text}"
    return f"The engine can not start the container: {text}"


def _never_began(code: int, said: str) -> str:
    if "python3 failed" in said:
        return f"The image has no python3 that can be started: {said}"
    if "can't open file" in said or "mellea_runtime" in said:
        return f"The container does not have the run's folder as this server wrote it: {said}"
    return f"The container ended (exit code {code}) before the program began: {said}"
