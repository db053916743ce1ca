"""Getting an image: progress from the engine's events, and failures that say what to do."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from mellea_jupyter.exceptions import LaunchFailed
from mellea_jupyter.executors.docker.engine import (
    Engine,
    EngineRefused,
    EngineUnreachable,
    Image,
    PullStream,
)
from mellea_jupyter.models.run import RunImage, StatusReason

_DONE: Final = frozenset({"Pull complete", "Already exists"})
_DOWNLOADED: Final = frozenset({"Download complete", "Verifying Checksum", "Extracting"})
_LAYER: Final = frozenset({"Pulling fs layer", "Waiting", "Downloading"}) | _DOWNLOADED | _DONE


@dataclass(slots=True)
class _Layer:
    size: int = 0
    downloaded: int = 0
    extracted: int = 0
    is_done: bool = False


@dataclass(slots=True)
class Progress:
    """How far a pull is, from the engine's events."""

    layers: dict[str, _Layer] = field(default_factory=dict)

    def fold(self, event: Mapping[str, Any]) -> bool:
        """Take one event into account; whether anything changed that is shown."""
        status, layer_id = event.get("status"), event.get("id")
        if status not in _LAYER or not isinstance(layer_id, str):
            return False
        layer = self.layers.setdefault(layer_id, _Layer())
        detail = event.get("progressDetail")
        current, total = _numbers(detail if isinstance(detail, dict) else {})
        if status in {"Downloading", "Extracting"}:
            layer.size = max(layer.size, total, current)
        if status == "Downloading":
            layer.downloaded = max(layer.downloaded, current)
        elif status in _DOWNLOADED:
            layer.downloaded = layer.size
            layer.extracted = max(layer.extracted, current)
        elif status in _DONE:
            layer.is_done = True
            layer.downloaded = layer.extracted = layer.size
        return True

    def of(self, reference: str) -> RunImage:
        """The sums over all layers known so far."""
        layers = self.layers.values()
        return RunImage(
            reference=reference,
            layers_done=sum(layer.is_done for layer in layers),
            layers_total=len(layers),
            bytes_done=sum(layer.downloaded for layer in layers),
            bytes_extracted=sum(layer.extracted for layer in layers),
            bytes_total=sum(layer.size for layer in layers),
        )


class ImagePull:
    """One image for one run. `run` once; `cancel` from any thread.

    Args:
        engine: where the image is needed.
        reference: what the environment names.
        before: the image that a retried run had: the same one is used while it can be had.
        timeout_seconds: the longest a pull may take.
    """

    def __init__(
        self, engine: Engine, reference: str, before: RunImage | None, timeout_seconds: float
    ) -> None:
        self._engine = engine
        self._reference = reference
        same = before is not None and before.reference == reference
        self._before = before if same else None
        self._timeout_seconds = timeout_seconds
        self._lock = threading.Lock()
        self._stream: PullStream | None = None
        self._broken_off: str | None = None

    def cancel(self) -> None:
        """Break the pull off; the engine gives up what it downloads."""
        self._break_off("The pull was broken off.")

    def _break_off(self, why: str) -> None:
        with self._lock:
            self._broken_off = self._broken_off or why
            if self._stream is not None:
                self._stream.close()

    def run(self, report: Callable[[RunImage], None]) -> RunImage:
        """The image, pulled unless the engine has it already.

        Raises:
            LaunchFailed: `image_pull_failed`, or `environment_unavailable` without an engine.
        """
        timer = threading.Timer(
            self._timeout_seconds,
            self._break_off,
            [f"The pull took longer than {self._timeout_seconds:g} s."],
        )
        timer.daemon = True
        timer.start()
        try:
            return self._find() or self._pull(report)
        except EngineUnreachable as error:
            reason = StatusReason.ENVIRONMENT_UNAVAILABLE
            if self._broken_off is not None:
                raise self._failed(self._broken_off, "Try again.") from error
            raise LaunchFailed(str(error), reason=reason) from error
        finally:
            timer.cancel()

    def _find(self) -> RunImage | None:
        """The image, if the engine has it."""
        if self._before is not None and self._before.id:
            image = self._engine.find_image(self._before.id)
            if image is not None:
                return self._named(image)
        if self._before is None or self._before.digest is None:
            image = self._engine.find_image(self._reference)
            return None if image is None else self._named(image)
        return None

    def _pull(self, report: Callable[[RunImage], None]) -> RunImage:
        wanted = self._reference
        if self._before is not None and self._before.digest:
            wanted = self._before.digest
        progress = Progress()
        report(progress.of(self._reference))
        for event in self._events(wanted):
            if isinstance(event.get("error"), str):
                raise self._refused(event["error"], 500)
            if progress.fold(event):
                report(progress.of(self._reference))
        if self._broken_off is not None:
            raise self._failed(self._broken_off, "Try again.")
        image = self._engine.find_image(wanted)
        if image is None:
            raise self._failed("The engine ended the pull without the image.", "Try again.")
        pulled = progress.of(self._reference)
        return pulled.model_copy(update={"id": image.id, "digest": image.digest})

    def _events(self, wanted: str) -> PullStream:
        try:
            stream = self._engine.pull(wanted)
        except EngineRefused as error:
            raise self._refused(str(error), error.status) from error
        with self._lock:
            self._stream = stream
            if self._broken_off is not None:
                stream.close()
        return stream

    def _named(self, image: Image) -> RunImage:
        return RunImage(reference=self._reference, digest=image.digest, id=image.id)

    def _refused(self, text: str, status: int) -> LaunchFailed:
        """What the registry or engine says, as a sentence and a next step."""
        name = self._reference
        for pattern, sentence, hint in _REFUSALS:
            if re.search(pattern, text, re.IGNORECASE):
                return self._failed(sentence.format(name=name, text=text), hint)
        return self._failed(f"{name} can not be pulled: {text} ({status}).", "Try again later.")

    def _failed(self, message: str, hint: str) -> LaunchFailed:
        text = f"{message} {hint}"
        return LaunchFailed(text, reason=StatusReason.IMAGE_PULL_FAILED, hint=hint)


_REFUSALS: Final = (
    (
        r"invalid reference format|invalid repository name|couldn't parse",
        "{name!r} is not the name of an image.",
        "Write it as name:tag, in lower case.",
    ),
    (
        r"manifest unknown|manifest for .* not found|tag .* not found",
        "The registry has no image {name}.",
        "Check the tag in the environment.",
    ),
    (
        r"access denied|repository does not exist|unauthorized|authentication required|denied:",
        "The registry does not give {name} out: it has none, or wants a login.",
        "Check the name, or run `docker login` as the user of the Jupyter server.",
    ),
    (
        r"connection refused|no such host|timeout|deadline exceeded|no route|unreachable|TLS|EOF",
        "The registry of {name} does not answer: {text}.",
        "Check its address and the engine's network, then try again.",
    ),
    (
        r"no space left",
        "There is no room on the engine's disk for {name}.",
        "Remove unused images: docker image prune.",
    ),
)


def _numbers(detail: Mapping[str, Any]) -> tuple[int, int]:
    found = (detail.get("current"), detail.get("total"))
    current, total = (value if type(value) is int and value > 0 else 0 for value in found)
    return current, total
