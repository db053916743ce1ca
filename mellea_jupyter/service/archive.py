"""A zip archive of artifacts, made while it is sent: never whole in memory or on disk.

Files are stored as they are: their bytes are mostly compressed already, and the server's processor
belongs to the runs.
"""

from __future__ import annotations

import stat
import unicodedata
import zipfile
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from pathlib import PurePosixPath
from typing import Final

from mellea_jupyter.models.artifacts import ArtifactRef

_PIECE_BYTES: Final = 256 << 10  # a header of a small file alone is not worth a change of thread
_ZIP64_BYTES: Final = 1 << 31
_FILE_MODE: Final = stat.S_IFREG | 0o644


def iter_zip(
    artifacts: Iterable[ArtifactRef], read: Callable[[ArtifactRef], Iterator[bytes]]
) -> Iterator[bytes]:
    """The archive in pieces, files in the given order under their relative paths. Blocks.

    Of paths that are one where case or the form of accents does not count, all but the first get a
    number, so that unpacking there loses none.

    Holds one chunk of `read` and a piece of the archive; closing it early closes the file being
    read. An archive whose reading failed has no end, so that no tool takes it for whole.

    Raises:
        ArtifactNotFound: bytes have been removed meanwhile.
    """
    sink = _Sink()
    names = _Names()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        for artifact in artifacts:
            is_large = artifact.size_bytes >= _ZIP64_BYTES
            with archive.open(_entry(artifact, names), "w", force_zip64=is_large) as target:
                for chunk in read(artifact):
                    target.write(chunk)
                    if sink.size >= _PIECE_BYTES:
                        yield from sink.take()
    yield from sink.take()


def _entry(artifact: ArtifactRef, names: _Names) -> zipfile.ZipInfo:
    # A backslash is a letter here, but the way out of the folder where the archive is unpacked.
    path = names.unique(artifact.path.replace("\\", "_"))
    entry = zipfile.ZipInfo(path, artifact.created_at.timetuple()[:6])
    entry.external_attr = _FILE_MODE << 16
    return entry


class _Names:
    """Names that were given, as file systems know them that are not told apart by case."""

    def __init__(self) -> None:
        self._given: set[str] = set()

    def unique(self, path: str) -> str:
        """The path, or `name (2).txt` where it is taken; folders of the path do not count."""
        pure = PurePosixPath(path)
        number, unique = 1, path
        while (key := unicodedata.normalize("NFC", unique).casefold()) in self._given:
            number += 1
            unique = str(pure.with_name(f"{pure.stem} ({number}){pure.suffix}"))
        self._given.add(key)
        return unique


class _Sink:
    """What was written and not yet taken. It has no `tell`, so zipfile never seeks back in it."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self.size = 0

    def write(self, data: bytes, /) -> int:
        self._pieces.append(bytes(data))
        self.size += len(data)
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """Nothing is open."""

    def take(self) -> Iterator[bytes]:
        """Everything since the last call; what is large is not copied."""
        taken, self._pieces, self.size = self._pieces, [], 0
        for is_large, pieces in groupby(taken, lambda piece: len(piece) >= _PIECE_BYTES):
            if is_large:
                yield from pieces
            else:
                yield b"".join(pieces)
