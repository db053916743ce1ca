"""Artifacts in an object store: each content once, under its SHA-256.

::

    blobs/<first two digits>/<sha256>     the bytes
    runs/<run_id>.json                    the `ArtifactList` of a run
    references/<sha256>/<run_id>          empty: this run needs that blob
    staging/<random>                      a large file on its way

A run's reference is written before its blob is looked for, and a blob is removed only when no
reference to it is left, so that runs can share blobs and be deleted in any order. A bucket belongs
to one server. A folder can have several, and its blobs and references are in `folder.py`.
"""

from __future__ import annotations

import hashlib
import mimetypes
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pydantic_core import to_json

from mellea_jupyter import clock
from mellea_jupyter.exceptions import ArtifactNotFound, StoreError
from mellea_jupyter.models.artifacts import ArtifactList, ArtifactRef, SkippedArtifact
from mellea_jupyter.stores.artifacts import walk
from mellea_jupyter.stores.artifacts.base import ArtifactStore
from mellea_jupyter.stores.artifacts.folder import BlobFolder
from mellea_jupyter.stores.artifacts.walk import Changed, Found

if TYPE_CHECKING:
    from obstore.store import ObjectStore

_CHUNK_BYTES: Final = 1 << 20
_PART_BYTES: Final = 5 << 20  # the least that S3 takes
MAX_FILES: Final = 20_000  # kept of one run; the record that lists them stays readable
_SMALL_BYTES: Final = 4 << 20  # up to here a file is read whole, which saves the staging copy

_TYPES: Final = mimetypes.MimeTypes()  # built in: the same on every machine
for _extension, _type in (
    (".ipynb", "application/x-ipynb+json"),
    (".jsonl", "application/x-ndjson"),
    (".md", "text/markdown"),
    (".ndjson", "application/x-ndjson"),
    (".parquet", "application/vnd.apache.parquet"),
    (".yaml", "application/yaml"),
    (".yml", "application/yaml"),
):
    _TYPES.add_type(_type, _extension)


class ObjectArtifactStore(ArtifactStore):
    """Artifacts in a folder or a bucket, through obstore. Safe to use from several threads."""

    def __init__(self, location: Path | str) -> None:
        """`location`: a folder, or a URL such as `s3://bucket/prefix`.

        Credentials, region and endpoint of a bucket come from the environment, under the names
        that its provider's own tools read (`AWS_ACCESS_KEY_ID`, `AWS_ENDPOINT_URL` …).
        """
        self._location = location
        self._folder = BlobFolder(location) if isinstance(location, Path) else None
        self._lock = threading.Lock()  # of references and blobs in a bucket

    @cached_property
    def _store(self) -> ObjectStore:
        from obstore.exceptions import BaseError
        from obstore.store import LocalStore, from_url

        if isinstance(self._location, Path):
            self._location.mkdir(mode=0o700, parents=True, exist_ok=True)
            return LocalStore(self._location)
        try:
            return from_url(self._location)
        except (BaseError, ValueError) as error:
            raise StoreError(
                f"The artifact store can not be opened: {error}",
                hint="Set artifacts_url to the URL of a folder or bucket, e.g. s3://bucket/runs.",
            ) from error

    def collect(self, run_id: str, output_dir: Path, *, quota_bytes: int) -> ArtifactList:
        earlier = {a.path: a for a in self._manifest(run_id).artifacts}
        kept: list[ArtifactRef] = []
        skipped: list[SkippedArtifact] = []
        left = quota_bytes
        with self._storing(run_id) as store:
            for number, entry in enumerate(walk.walk(output_dir)):
                if number >= MAX_FILES:
                    skipped.append(SkippedArtifact(path=".", reason=f"over {MAX_FILES} files"))
                    break
                if not isinstance(entry, Found):
                    skipped.append(SkippedArtifact(path=entry.path, reason=entry.reason))
                    continue
                size = entry.status.st_size
                if size > left:
                    skipped.append(_skipped(entry, "quota"))
                    continue
                try:
                    checksum = store(entry)
                except Changed:
                    skipped.append(_skipped(entry, "changed"))
                    continue
                except PermissionError:
                    skipped.append(SkippedArtifact(path=entry.path, reason="unreadable"))
                    continue
                left -= size
                kept.append(_artifact(run_id, entry, checksum, earlier.get(entry.path)))
        kept.sort(key=lambda artifact: artifact.path)
        skipped.sort(key=lambda artifact: artifact.path)
        collected = ArtifactList(
            artifacts=tuple(kept), skipped=tuple(skipped), total_bytes=quota_bytes - left
        )
        self._put(_manifest_key(run_id), to_json(collected))
        return collected

    def iter_bytes(
        self, artifact: ArtifactRef, *, start: int = 0, end: int | None = None
    ) -> Iterator[bytes]:
        stop = artifact.size_bytes if end is None else min(end, artifact.size_bytes)
        try:
            if self._folder is not None:
                yield from self._folder.iter_bytes(artifact.checksum, start, stop)
            else:
                yield from self._iter_object(_blob_key(artifact.checksum), start, stop)
        except FileNotFoundError as error:
            raise ArtifactNotFound(artifact.id, hint="It was removed from the store.") from error

    def _iter_object(self, key: str, start: int, stop: int) -> Iterator[bytes]:
        import obstore
        from obstore.exceptions import BaseError

        try:
            if start >= stop:
                obstore.head(self._store, key)
                return
            reply = obstore.get(self._store, key, options={"range": (start, stop)})
            for chunk in reply.stream(min_chunk_size=_CHUNK_BYTES):
                yield bytes(chunk)
        except BaseError as error:
            raise StoreError(
                "The artifact store does not answer", hint="Try again; its log may say more."
            ) from error

    def delete_run(self, run_id: str) -> None:
        if self._folder is not None:
            self._folder.release(run_id)
        else:
            for checksum in sorted({each.checksum for each in self._manifest(run_id).artifacts}):
                self._release(run_id, checksum)
        self._delete(_manifest_key(run_id))

    def _storing(self, run_id: str) -> AbstractContextManager[Callable[[Found], str]]:
        """Gives the function that stores a file and returns its checksum, or raises Changed."""
        if self._folder is not None:
            return self._folder.storing(run_id)
        return nullcontext(partial(self._store_file, run_id))

    def _release(self, run_id: str, checksum: str) -> None:
        with self._lock:
            self._delete(_reference_key(checksum, run_id))
            if not self._is_referenced(checksum):
                self._delete(_blob_key(checksum))

    def _store_file(self, run_id: str, file: Found) -> str:
        """Store a file's bytes; their SHA-256.

        Raises:
            Changed: the file was written to meanwhile; nothing is stored.
        """
        if file.status.st_size <= _SMALL_BYTES:
            data = b"".join(walk.read(file))
            checksum = hashlib.sha256(data).hexdigest()
            with self._lock:
                self._put(_reference_key(checksum, run_id), b"")
                if not self._exists(_blob_key(checksum)):
                    self._put(_blob_key(checksum), data)
            return checksum
        staged = f"staging/{uuid.uuid4().hex}"
        digest = hashlib.sha256()
        try:
            self._put(staged, _hashed(file, digest))
            checksum = digest.hexdigest()
            with self._lock:
                self._put(_reference_key(checksum, run_id), b"")
                if not self._exists(_blob_key(checksum)):
                    self._rename(staged, _blob_key(checksum))
        finally:
            self._delete(staged)
        return checksum

    def _manifest(self, run_id: str) -> ArtifactList:
        import obstore

        try:
            data = obstore.get(self._store, _manifest_key(run_id)).bytes()
        except FileNotFoundError:
            return ArtifactList()
        return ArtifactList.model_validate_json(bytes(data))

    def _put(self, key: str, data: bytes | Iterator[bytes]) -> None:
        import obstore

        # One part at a time: what is on its way is held in memory.
        obstore.put(self._store, key, data, chunk_size=_PART_BYTES, max_concurrency=1)

    def _rename(self, source: str, target: str) -> None:
        import obstore

        obstore.rename(self._store, source, target)

    def _exists(self, key: str) -> bool:
        import obstore

        try:
            obstore.head(self._store, key)
        except FileNotFoundError:
            return False
        return True

    def _delete(self, key: str) -> None:
        import obstore

        try:
            obstore.delete(self._store, key)
        except FileNotFoundError:
            return

    def _is_referenced(self, checksum: str) -> bool:
        import obstore

        listed = obstore.list(self._store, prefix=f"references/{checksum}", chunk_size=1)
        return any(len(chunk) for chunk in listed)


def _skipped(file: Found, reason: str) -> SkippedArtifact:
    return SkippedArtifact(path=file.path, reason=reason, size_bytes=file.status.st_size)


def _hashed(file: Found, digest: hashlib._Hash) -> Iterator[bytes]:
    for data in walk.read(file):
        digest.update(data)
        yield data


@lru_cache(maxsize=256)
def _content_type(extension: str) -> str:
    """The MIME type of files of this extension, such as `tar.gz`."""
    return _TYPES.guess_type(f"name.{extension}")[0] or "application/octet-stream"


def _artifact(run_id: str, file: Found, checksum: str, earlier: ArtifactRef | None) -> ArtifactRef:
    if earlier is not None and earlier.checksum == checksum:
        return earlier
    name = file.path.rpartition("/")[2]
    identity = hashlib.sha256(f"{run_id}\0{file.path}".encode()).hexdigest()
    return ArtifactRef(
        id=f"art_{identity[:32]}",
        run_id=run_id,
        name=name,
        path=file.path,
        content_type=_content_type(name.partition(".")[2]),
        size_bytes=file.status.st_size,
        created_at=clock.now(),
        checksum=checksum,
    )


def _blob_key(checksum: str) -> str:
    return f"blobs/{checksum[:2]}/{checksum}"


def _reference_key(checksum: str, run_id: str) -> str:
    return f"references/{checksum}/{run_id}"


def _manifest_key(run_id: str) -> str:
    return f"runs/{run_id}.json"
