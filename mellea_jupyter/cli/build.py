"""`build`: an image for runs from a list of requirements."""

from __future__ import annotations

import argparse
import io
import re
import sys
import tarfile
from collections.abc import Mapping
from importlib.metadata import requires
from pathlib import Path
from typing import Final

from mellea_jupyter.client.flags import UsageError
from mellea_jupyter.exceptions import LaunchFailed
from mellea_jupyter.executors.docker.engine import Engine, EngineRefused, EngineUnreachable

EXIT_FAILED: Final = 1
EXIT_REFUSED: Final = 3
DOCKERFILE: Final = Path(__file__).parents[1] / "environments" / "image" / "Dockerfile"

_MELLEA = re.compile(r"^\s*mellea\b(?!-)", re.MULTILINE | re.IGNORECASE)


def build(flags: argparse.Namespace) -> int:
    """`jupyter mellea build`: 0 with the image's name on stdout, 1 when a step failed."""
    if flags.print_dockerfile:
        print(DOCKERFILE.read_text(), end="")
        return 0
    if not flags.tag:
        msg = "Name the image: jupyter mellea build -t my-mellea requirements.txt"
        raise UsageError(msg)
    requirements = _requirements(flags.requirements)
    files = {"Dockerfile": DOCKERFILE.read_text(), "requirements.txt": requirements}
    engine = Engine()
    try:
        for line in engine.build(
            pack(files), flags.tag, {"BASE": flags.base}, network=flags.network
        ):
            print(line, end="", file=sys.stderr)
    except EngineRefused as error:
        print(f"The image was not built: {error}", file=sys.stderr)
        return EXIT_FAILED
    except (EngineUnreachable, LaunchFailed) as error:
        print(f"{error} {getattr(error, 'hint', '')}".rstrip(), file=sys.stderr)
        return EXIT_REFUSED
    finally:
        engine.close()
    print(flags.tag)
    print(
        f"Use it in an environment: {{'id': '…', 'executor': 'docker', 'image': {flags.tag!r}}}",
        file=sys.stderr,
    )
    return 0


def _requirements(path: str | None) -> str:
    """The list to install: a file's, with mellea in it; mellea alone without one.

    Raises:
        UsageError: the file can not be read.
    """
    [mellea] = [each for each in requires("mellea-jupyter") or () if _MELLEA.match(each)]
    if path is None:
        return f"{mellea}\n"
    try:
        given = Path(path).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{path} can not be read: {error}"
        raise UsageError(msg) from error
    if _MELLEA.search(given):
        return given
    print(f"{path} does not name mellea; {mellea} is added.", file=sys.stderr)
    return f"{given.rstrip()}\n{mellea}\n"


def pack(files: Mapping[str, str]) -> io.BytesIO:
    """A build context as a tar archive, ready to be read."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name, text in files.items():
            data = text.encode()
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    archive.seek(0)
    return archive
