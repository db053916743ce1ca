"""The archive of a run's artifacts, read back with the standard library's reader."""

from __future__ import annotations

import io
import tracemalloc
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mellea_jupyter import clock
from mellea_jupyter.exceptions import ArtifactNotFound
from mellea_jupyter.models.artifacts import ArtifactRef
from mellea_jupyter.service.archive import iter_zip
from mellea_jupyter.stores.artifacts.object_store import ObjectArtifactStore

MIB = 1 << 20


def refer(path: str, size_bytes: int = 0) -> ArtifactRef:
    return ArtifactRef(
        id=path,
        run_id="run",
        name=path,
        path=path,
        content_type="text/plain",
        size_bytes=size_bytes,
        created_at=clock.now(),
        checksum="0" * 64,
    )


def archive_of(pieces: Iterator[bytes]) -> zipfile.ZipFile:
    return zipfile.ZipFile(io.BytesIO(b"".join(pieces)))


def test_files_keep_their_paths_times_and_bytes(tmp_path: Path) -> None:
    outputs = tmp_path / "outputs"
    contents = {
        "Lissabon/größer 📈.txt": "grün".encode(),
        "empty": b"",
        "z/deep/er/data.bin": bytes(range(256)) * 9000,
    }
    for path, content in contents.items():
        target = outputs / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    store = ObjectArtifactStore(tmp_path / "store")
    listed = store.collect("run", outputs, quota_bytes=100 * MIB)
    with archive_of(iter_zip(listed.artifacts, store.iter_bytes)) as archive:
        assert archive.testzip() is None
        assert {info.filename: archive.read(info) for info in archive.infolist()} == contents
        first = archive.infolist()[0]
        made = datetime(*first.date_time, tzinfo=UTC)
        assert abs((clock.now() - made).total_seconds()) < 60
        assert first.external_attr >> 16 == 0o100644


def test_a_backslash_can_not_lead_out_of_the_folder() -> None:
    with archive_of(iter_zip([refer("..\\..\\evil.txt")], lambda _: iter([]))) as archive:
        assert archive.namelist() == [".._.._evil.txt"]


def test_ten_thousand_small_files(tmp_path: Path) -> None:
    artifacts = [refer(f"folder/{number:05}.txt", 3) for number in range(10_000)]
    with archive_of(iter_zip(artifacts, lambda _: iter([b"abc"]))) as archive:
        assert len(archive.namelist()) == 10_000
        assert archive.read("folder/09999.txt") == b"abc"


def test_nothing_makes_an_empty_archive() -> None:
    with archive_of(iter_zip([], lambda _: iter([]))) as archive:
        assert archive.namelist() == []


def test_a_large_file_passes_through() -> None:
    size = 200 * MIB
    chunk = bytes(MIB)
    tracemalloc.start()
    try:
        pieces = iter_zip([refer("big.bin", size)], lambda _: iter([chunk] * 200))
        total = sum(len(piece) for piece in pieces)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert total > size
    assert peak < 16 * MIB


def test_bytes_that_are_gone_leave_no_whole_archive() -> None:
    def read(artifact: ArtifactRef) -> Iterator[bytes]:
        if artifact.path == "gone":
            raise ArtifactNotFound(artifact.id)
        yield b"x" * MIB

    received: list[bytes] = []
    with pytest.raises(ArtifactNotFound):
        received.extend(iter_zip([refer("there", MIB), refer("gone")], read))
    with pytest.raises(zipfile.BadZipFile):
        zipfile.ZipFile(io.BytesIO(b"".join(received)))


def test_closing_early_closes_the_file_that_is_read() -> None:
    closed = []

    def read(_: ArtifactRef) -> Iterator[bytes]:
        try:
            while True:
                yield b"x" * MIB
        finally:
            closed.append(True)

    pieces = iter_zip([refer("endless", 1 << 40)], read)
    next(pieces)
    pieces.close()  # type: ignore[attr-defined]  # it is a generator
    assert closed == [True]


def test_paths_that_differ_by_case_or_accents_only_get_a_number() -> None:
    paths = ["A/x.txt", "a/X.txt", "caf\u00e9", "cafe\u0301", "b\\c", "b_c", "b_c (2)"]
    with archive_of(iter_zip(map(refer, paths), lambda _: iter(()))) as archive:
        assert archive.namelist() == [
            "A/x.txt", "a/X (2).txt", "caf\u00e9", "cafe\u0301 (2)", "b_c", "b_c (2)", "b_c (2) (2)"
        ]  # fmt: skip
