"""`current_run`: what a program may ask of and tell the run it is part of.

`from mellea_jupyter import current_run`, or `from mellea_runtime import current_run` in a bare
image. Outside a run every call is harmless, so that a program works the same under plain python.
"""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Any, Optional

from .control import Channel
from .spec import RunSpec

if TYPE_CHECKING:  # imported where they are used: they would double the time a supervisor needs
    from pathlib import Path

MAX_INLINE_BYTES = 16 * 1024
PROGRESS_SECONDS = 0.1


class CurrentRun:
    """The run this process belongs to, if any."""

    def __init__(self) -> None:
        self._spec: Optional[RunSpec] = None
        self._channel: Optional[Channel] = None
        self._outputs = 0
        self._next_progress = 0.0

    def attach(self, spec: RunSpec, channel: Channel) -> None:
        """Make this object speak for a run; called by the runtime before the program begins."""
        self._spec, self._channel = spec, channel

    def __call__(self) -> "CurrentRun":
        """This object: `current_run().dataset(…)` is the same as `current_run.dataset(…)`."""
        return self

    @property
    def spec(self) -> Optional[RunSpec]:
        """What the run was asked to do; None outside a run."""
        return self._spec

    @property
    def is_managed(self) -> bool:
        """Whether this process is part of a managed run."""
        return self._spec is not None

    @property
    def id(self) -> Optional[str]:
        """The run's id; None outside a run."""
        return None if self._spec is None else self._spec.run_id

    @property
    def output_dir(self) -> Path:
        """Folder whose files become the run's artifacts; `outputs` outside a run. It exists."""
        from pathlib import Path

        default = os.environ.get("MELLEA_OUTPUT_DIR") or "outputs"
        path = Path(default if self._spec is None else self._spec.output_dir)
        path.mkdir(parents=True, exist_ok=True)
        return path

    def dataset(self, name: str) -> Path:
        """Where a dataset that was bound to the run lies; outside a run the path `name` itself.

        Raises:
            LookupError: The run has no dataset of this name; the text lists those it has.
        """
        from pathlib import Path

        if self._spec is None:
            return Path(name)
        try:
            return Path(self._spec.datasets[name])
        except KeyError:
            bound = ", ".join(sorted(self._spec.datasets)) or "none"
            raise LookupError(f"this run has no dataset {name!r}; bound are: {bound}") from None

    def output(self, data: Any, schema_version: str = "1") -> None:
        """Give the run a structured result. May be called several times.

        Args:
            data: JSON-able, or a dataclass or a pydantic model.
            schema_version: Version of the shape of `data`, for those who read it.

        Raises:
            TypeError: `data` cannot be written as JSON.
        """
        text = json.dumps(data, default=as_json, allow_nan=False)
        if self._channel is None or self._spec is None:
            return
        self._outputs += 1
        version = str(schema_version)
        if len(text) <= MAX_INLINE_BYTES:
            self._channel.emit("structured_output", data=json.loads(text), schema_version=version)
            return
        number = "" if self._outputs == 1 else f"-{self._outputs}"
        path = f".mellea/output{number}.json"
        target = self.output_dir / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        self._channel.emit("structured_output", path=path, schema_version=version)

    def progress(self, done: float, total: float, text: Optional[str] = None) -> None:
        """Say how far the program is; shown at most ten times a second, the last one always."""
        if self._channel is None:
            return
        now = time.monotonic()
        if now < self._next_progress and done < total:
            return
        self._next_progress = now + PROGRESS_SECONDS
        fields = {} if text is None else {"text": str(text)[:500]}
        self._channel.emit("progress", done=done, total=total, **fields)


def as_json(value: Any) -> Any:
    """`json.dumps` default: dataclasses, pydantic models, sets and paths.

    Raises:
        TypeError: There is no JSON for it.
    """
    if hasattr(type(value), "__dataclass_fields__"):
        import dataclasses

        return dataclasses.asdict(value)
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=repr)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


current_run = CurrentRun()
