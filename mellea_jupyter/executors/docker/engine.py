"""The container engine, as far as runs need it: every word with it goes through here.

The docker SDK is imported at first use, because it is an optional dependency and a slow import.
Whatever keeps the engine from answering is `EngineUnreachable`: it says nothing about containers,
which may go on running. What the engine answers and does not do is `EngineRefused`.
"""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from mellea_jupyter.exceptions import LaunchFailed
from mellea_jupyter.executors.base import ExecutorUnreachable
from mellea_jupyter.executors.identity import read_process
from mellea_jupyter.models.run import StatusReason

ANSWER_SECONDS = 30.0
LOG_TAIL_LINES = 5
LOG_TAIL_CHARS = 600
ALIVE = frozenset({"running", "paused", "restarting"})

_INSTALL = "Install it in the server's environment: pip install 'mellea-jupyter[docker]'."


class EngineUnreachable(ExecutorUnreachable):
    """The engine does not answer, or not this user; its containers may run all the same."""


class EngineRefused(Exception):
    """The engine answered that it does not do what was asked; the text is its own.

    Attributes:
        status: the HTTP status of the answer.
    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Image:
    """An image that the engine has.

    Attributes:
        id: `sha256:…`, exactly this image on this engine.
        digest: `name@sha256:…` under which a registry has it; None for one built here.
        env: variables that it sets.
    """

    id: str
    digest: str | None
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Container:
    """What the engine says of a container.

    Attributes:
        status: `created`, `running`, `paused`, `restarting`, `removing`, `exited` or `dead`.
        exit_code: of its first process, once that has ended.
        oom_killed: the kernel killed a process of it because memory ran out.
        error: why it could not be started, in the engine's words.
    """

    id: str
    name: str
    status: str
    exit_code: int | None = None
    oom_killed: bool = False
    error: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_alive(self) -> bool:
        """Whether something of it may still execute."""
        return self.status in ALIVE


class PullStream:
    """Events of one pull, as the engine sends them; `close` from any thread ends the pull."""

    def __init__(self, response: Any) -> None:
        from docker.types import CancellableStream

        lines = (line for line in response.iter_lines(chunk_size=1) if line)
        self._stream = CancellableStream(lines, response)
        self._response = response

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yields JSON objects until the pull has ended or was closed."""
        import requests

        try:
            for line in self._stream:
                event = json.loads(line)
                if isinstance(event, dict):
                    yield event
        except (requests.RequestException, ValueError, AttributeError) as error:
            # A stream that is closed by another thread ends in any of these.
            msg = f"The engine broke the pull off: {error}"
            raise EngineUnreachable(msg) from error
        finally:
            self._response.close()

    def close(self) -> None:
        """Break off: the engine gives a pull up whose client has gone. Idempotent."""
        with suppress(OSError, AttributeError):
            self._stream.close()


class Engine:
    """Talks to one engine. Safe for several threads.

    Args:
        url: where it listens; None means as the docker client finds it (`DOCKER_HOST`, else the
            usual socket).
        answer_seconds: it is unreachable when it takes longer for an answer.
    """

    def __init__(self, url: str | None = None, *, answer_seconds: float = ANSWER_SECONDS) -> None:
        self._url = url
        self._answer_seconds = answer_seconds
        self._lock = threading.Lock()
        self._connected: Any = None

    @property
    def _client(self) -> Any:
        """The SDK's client, connected.

        Raises:
            EngineUnreachable: nobody answers.
            LaunchFailed: the SDK is not installed.
        """
        with self._lock:
            if self._connected is None:
                self._connected = self._connect()
            return self._connected

    def _connect(self) -> Any:
        try:
            import docker
            import docker.errors
            import docker.utils
        except ImportError as error:
            msg = "Containers need the Python package `docker`, which is not installed"
            unavailable = StatusReason.ENVIRONMENT_UNAVAILABLE
            raise LaunchFailed(msg, reason=unavailable, hint=_INSTALL) from error
        self.identity()  # knocks first: the SDK leaves its socket open where nobody answers
        try:
            options = docker.utils.kwargs_from_env()
            if self._url is not None:
                options["base_url"] = self._url
            return docker.APIClient(version="auto", timeout=self._answer_seconds, **options)
        except (docker.errors.DockerException, OSError) as error:
            raise EngineUnreachable(_why_unreachable(error)) from error

    @contextmanager
    def _asking(self) -> Iterator[Any]:
        """The client, with the SDK's errors as ours.

        Raises:
            EngineUnreachable
            EngineRefused
        """
        client = self._client
        import docker.errors
        import requests

        try:
            yield client
        except docker.errors.APIError as error:
            status = error.response.status_code if error.response is not None else 500
            raise EngineRefused(_explanation(error), int(status)) from error
        except (requests.RequestException, docker.errors.DockerException) as error:
            raise EngineUnreachable(_why_unreachable(error)) from error

    def close(self) -> None:
        """Close connections; the next question opens them anew."""
        with self._lock:
            if self._connected is not None:
                self._connected.close()
                self._connected = None

    # -- the engine itself ------------------------------------------------------------------

    def identity(self) -> str | None:
        """Which process the engine is: differs after a restart. None where that can not be told.

        Only on this machine, and only where the engine made its socket itself.
        """
        path = self._socket_path()
        if path is None:
            return None
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(self._answer_seconds)
                connection.connect(path)
                credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        except OSError as error:
            raise EngineUnreachable(_why_unreachable(error)) from error
        pid, _, _ = struct.unpack("3i", credentials)
        process = read_process(pid) if pid > 1 else None  # 1 made the socket and stays
        return None if process is None else f"{process.pid}.{process.start}"

    def _socket_path(self) -> str | None:
        import docker.utils

        url = self._url or docker.utils.kwargs_from_env().get("base_url")
        parsed: str = docker.utils.parse_host(url)
        if not parsed.startswith("http+unix://"):
            return None
        return "/" + parsed.removeprefix("http+unix://").lstrip("/")

    def facts(self) -> dict[str, Any]:
        """The engine's `info`: its machine, its version, what it can do."""
        with self._asking() as client:
            found: dict[str, Any] = client.info()
        return found

    # -- images -----------------------------------------------------------------------------

    def find_image(self, reference: str) -> Image | None:
        """The image, when the engine has it."""
        try:
            with self._asking() as client:
                found = client.inspect_image(reference)
        except EngineRefused as error:
            if error.status in {400, 404}:  # 400: no reference at all; a pull explains it better
                return None
            raise
        digests = [str(digest) for digest in found.get("RepoDigests") or ()]
        pairs = (str(item).partition("=") for item in found["Config"].get("Env") or ())
        return Image(
            id=str(found["Id"]),
            digest=_digest_of(reference, digests),
            env={name: value for name, _, value in pairs},
        )

    def pull(self, reference: str) -> PullStream:
        """Begin to pull; the image is there when the events have ended without an error.

        Raises:
            EngineRefused: the registry does not have it or does not answer, or the reference is
                none.
        """
        from docker import auth
        from docker.utils import parse_repository_tag

        repository, tag = parse_repository_tag(reference)
        with self._asking() as client:
            registry, _ = auth.resolve_repository_name(repository)
            header = auth.get_config_header(client, registry)
            response = client.post(
                f"{client.base_url}/v{client.api_version}/images/create",
                params={"fromImage": repository, "tag": tag or "latest"},
                headers={"X-Registry-Auth": header} if header else {},
                stream=True,
                timeout=None,  # a layer may take minutes; who waits closes the stream
            )
            if not response.ok:
                try:
                    text = str(response.json().get("message"))
                except ValueError:
                    text = response.text
                response.close()
                raise EngineRefused(text, response.status_code)
        return PullStream(response)

    def build(
        self, context: BinaryIO, tag: str, arguments: Mapping[str, str], *, network: str | None
    ) -> Iterator[str]:
        """Build an image from a tar archive with a Dockerfile. Yields what the steps print.

        Raises:
            EngineRefused: a step failed.
        """
        with self._asking() as client:
            events = client.build(
                fileobj=context, custom_context=True, tag=tag, buildargs=dict(arguments),
                network_mode=network, rm=True, forcerm=True, decode=True,
            )  # fmt: skip
            problem = None
            for event in events:  # to its end, which closes the connection
                if isinstance(event.get("error"), str):
                    problem = event["error"].strip()
                if isinstance(event.get("stream"), str):
                    yield event["stream"]
            if problem is not None:
                raise EngineRefused(problem, 500)

    # -- containers -------------------------------------------------------------------------

    def create(self, name: str, config: Mapping[str, Any]) -> str:
        """Create a container from keyword arguments of the SDK; its id.

        `host_config` in it is a mapping of the arguments of the SDK's `create_host_config`.
        """
        with self._asking() as client:
            given = dict(config)
            host = client.create_host_config(**given.pop("host_config"))
            return str(client.create_container(name=name, host_config=host, **given)["Id"])

    def start(self, container_id: str) -> None:
        """Start a created container."""
        with self._asking() as client:
            client.start(container_id)

    def find(self, name_or_id: str) -> Container | None:
        """What the engine knows of a container; None when it has none of that name."""
        try:
            with self._asking() as client:
                found = client.inspect_container(name_or_id)
        except EngineRefused as error:
            if error.status == 404:
                return None
            raise
        state = found["State"]
        status = str(state["Status"])
        return Container(
            id=str(found["Id"]),
            name=str(found["Name"]).lstrip("/"),
            status=status,
            exit_code=int(state["ExitCode"]) if status in {"exited", "dead"} else None,
            oom_killed=bool(state.get("OOMKilled")),
            error=str(state.get("Error") or ""),
            labels=dict(found["Config"].get("Labels") or {}),
        )

    def list_labelled(self, label: str, value: str) -> list[Container]:
        """All containers with this label, those that have ended included."""
        with self._asking() as client:
            found = client.containers(all=True, filters={"label": f"{label}={value}"})
        return [
            Container(
                id=str(each["Id"]),
                name=str((each.get("Names") or [""])[0]).lstrip("/"),
                status=str(each["State"]),
                labels=dict(each.get("Labels") or {}),
            )
            for each in found
        ]

    def send(self, container_id: str, signal_name: str) -> bool:
        """Have the engine signal the container's first process; False when it does not run."""
        try:
            with self._asking() as client:
                client.kill(container_id, signal_name)
        except EngineRefused as error:
            if error.status in {404, 409}:
                return False
            raise
        return True

    def remove(self, container_id: str) -> None:
        """Kill and remove a container with its anonymous volumes. Idempotent."""
        try:
            with self._asking() as client:
                client.remove_container(container_id, force=True, v=True)
        except EngineRefused as error:
            if error.status not in {404, 409}:  # 409: its removal is under way
                raise

    def log_tail(self, container_id: str) -> str:
        """The last lines a container wrote to the engine's own log; for what fails at its start."""
        try:
            with self._asking() as client:
                data = client.logs(container_id, stdout=True, stderr=True, tail=LOG_TAIL_LINES)
        except EngineRefused:
            return ""
        return bytes(data).decode("utf-8", "replace").strip()[-LOG_TAIL_CHARS:]

    def ensure_network(self, name: str, labels: Mapping[str, str]) -> None:
        """Make the internal network unless it is there; containers on it do not see each other."""
        with self._asking() as client:
            if any(network["Name"] == name for network in client.networks(names=[name])):
                return
            client.create_network(
                name,
                driver="bridge",
                internal=True,
                labels=dict(labels),
                options={"com.docker.network.bridge.enable_icc": "false"},
                check_duplicate=True,
            )


def _digest_of(reference: str, digests: list[str]) -> str | None:
    """The digest under the repository of the reference, else any."""
    repository = reference.partition("@")[0]
    head, _, last = repository.rpartition("/")
    repository = f"{head}/{last.partition(':')[0]}" if head else last.partition(":")[0]
    for digest in digests:
        if digest.partition("@")[0] == repository:
            return digest
    return digests[0] if digests else None


def _explanation(error: Any) -> str:
    text = error.explanation or str(error)
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)


def _why_unreachable(error: BaseException) -> str:
    text = str(error)
    if "Permission denied" in text or "PermissionError" in text:
        return (
            "The container engine does not let this user in. "
            "Add the user that runs the Jupyter server to the group `docker`."
        )
    if "FileNotFoundError" in text or "Connection refused" in text or "No such file" in text:
        return "No container engine answers. Start Docker, or set DOCKER_HOST to where it listens."
    return f"The container engine does not answer: {text[:300]}"
