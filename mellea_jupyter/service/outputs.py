"""Structured outputs of a run, read from what its program declared.

Everything here is the program's word: a value that can not be kept becomes an output that says so,
and never keeps the run from ending.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import orjson
from pydantic import JsonValue, ValidationError

from mellea_jupyter.models.artifacts import ArtifactList, StructuredOutput
from mellea_jupyter.runtime.redaction import Redactor

MAX_OUTPUTS: Final = 1000
FILE_LIMIT_BYTES: Final = 8 << 20
_FILE_NAME: Final = re.compile(r"\.mellea/(output(?:-\d{1,9})?\.json)")


def read_outputs(
    run_id: str,
    output_dir: Path,
    frames: Sequence[Mapping[str, Any]],
    kept: ArtifactList,
    redactor: Redactor | None,
) -> list[StructuredOutput]:
    """The outputs in the order they were declared. Blocks while it reads large ones.

    Those that were too large for a frame did not pass the runtime's redactor, so they pass this
    one; without it they are not kept.
    """
    artifacts = {artifact.path: artifact.id for artifact in kept.artifacts}
    found = []
    for number, frame in enumerate(frames[:MAX_OUTPUTS]):
        path = str(frame.get("path", ""))
        found.append(
            _output(
                artifacts.get(path, f"out_{run_id}_{number}"),
                str(frame.get("schema_version", "1"))[:100],
                frame["data"] if "data" in frame else _read_file(output_dir, path, redactor),
            )
        )
    return found


def _output(artifact_id: str, version: str, data: Any) -> StructuredOutput:
    try:
        output = StructuredOutput(artifact_id=artifact_id, schema_version=version, data=data)
        # What is read back later has to pass the same limits of nesting as what is written now.
        return StructuredOutput.model_validate_json(output.model_dump_json())
    except (ValidationError, ValueError, RecursionError):
        problem: JsonValue = {
            "error": "The output can not be kept: it is nested too deeply or not JSON."
        }
        return StructuredOutput(artifact_id=artifact_id, schema_version=version, data=problem)


def _read_file(output_dir: Path, path: str, redactor: Redactor | None) -> Any:
    """A value that was too large for a frame; an object that says why, where there is none."""
    if redactor is None:
        return {"error": "The output is not kept: the secrets to mask in it are gone."}
    match = _FILE_NAME.fullmatch(path)
    if match is None:
        return {"error": "The output names a file that is not one of its own."}
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        folder = os.open(output_dir / ".mellea", flags | os.O_DIRECTORY)
        try:
            fd = os.open(match[1], flags, dir_fd=folder)
        finally:
            os.close(folder)
    except OSError as error:
        return {"error": f"The output's file can not be read: {error.strerror}."}
    with os.fdopen(fd, "rb") as file:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            return {"error": "The output's file is not a file."}
        if status.st_size > FILE_LIMIT_BYTES:
            return {"error": f"The output is over {FILE_LIMIT_BYTES >> 20} MiB."}
        try:
            return redactor.value(orjson.loads(file.read(FILE_LIMIT_BYTES)))
        except orjson.JSONDecodeError:
            return {"error": "The output's file is not JSON."}
        except RecursionError:
            return {"error": "The output can not be kept: it is nested too deeply."}
