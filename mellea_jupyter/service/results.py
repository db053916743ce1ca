"""`RunResults`: what a run left: its log, outputs, artifacts and the source it ran."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Literal

from mellea_jupyter import clock
from mellea_jupyter.assets.reading import MAX_FILES, MAX_SOURCE_BYTES
from mellea_jupyter.auth.owner import User
from mellea_jupyter.auth.signing import LinkSigner, SignedLink
from mellea_jupyter.exceptions import ArtifactNotFound, PermissionDenied
from mellea_jupyter.models.artifacts import ArtifactPreview, ArtifactRef, StructuredOutput
from mellea_jupyter.models.calls import SourceFile, SourceReply
from mellea_jupyter.models.frames import LogPage
from mellea_jupyter.models.run import Run
from mellea_jupyter.service.access import require_kept
from mellea_jupyter.service.archive import iter_zip
from mellea_jupyter.service.masking import Masking
from mellea_jupyter.service.offload import Offload
from mellea_jupyter.service.preview import make_preview
from mellea_jupyter.service.run_folder import RunFolders
from mellea_jupyter.stores.artifacts.base import ArtifactStore
from mellea_jupyter.stores.journals.base import JournalStore, LogQuery
from mellea_jupyter.stores.runs.base import RunStore

SOURCE_TEXT_LIMIT = 1 << 20


class RunResults:
    """Read-only views of a run's folder and stores; every verb checks access first."""

    def __init__(
        self,
        *,
        store: RunStore,
        journals: JournalStore,
        artifacts: ArtifactStore,
        folders: RunFolders,
        signer: LinkSigner,
        offload: Offload,
        get_run: Callable[[str, User], Awaitable[Run]],
        find_user: Callable[[str], Awaitable[User]],
        masking: Masking,
    ) -> None:
        self._store = store
        self._journals = journals
        self._artifacts = artifacts
        self._folders = folders
        self._signer = signer
        self._offload = offload
        self._get_run = get_run
        self._find_user = find_user
        self._masking = masking

    async def logs(self, run_id: str, query: LogQuery, user: User) -> LogPage:
        """A stretch of a run's log.

        Raises:
            RunNotFound: no such run for this user.
            Expired: the log has been removed.
            InvalidCursor: a cursor is not one of this log.
        """
        run = require_kept(await self._get_run(run_id, user))

        def read() -> LogPage:
            with self._journals.open(run_id, complete=run.is_terminal) as reader:
                return reader.read(query)

        filtered = query.streams or query.levels or query.search
        return await (self._offload.scan(read) if filtered else self._offload.io(read))

    async def iter_log(
        self, run_id: str, user: User, *, form: Literal["text", "ndjson"]
    ) -> AsyncIterator[bytes]:
        """The whole log in chunks, as the program wrote it or as JSON lines.

        Raises:
            RunNotFound: no such run for this user.
            Expired: the log has been removed.
        """
        run = require_kept(await self._get_run(run_id, user))
        reader = self._journals.open(run_id, complete=run.is_terminal)
        try:
            chunks = reader.iter_text() if form == "text" else reader.iter_ndjson()
            async for chunk in self._iterate(chunks):
                yield chunk
        finally:
            reader.close()

    async def outputs(self, run_id: str, user: User) -> list[StructuredOutput]:
        """The structured outputs the program declared, in order.

        Raises:
            RunNotFound: no such run for this user.
        """
        await self._get_run(run_id, user)
        return await self._offload.io(self._store.list_outputs, run_id)

    async def source(self, run_id: str, user: User) -> SourceReply:
        """The source the run was given, as it was when the run was created.

        Raises:
            RunNotFound: no such run for this user.
        """
        run = await self._get_run(run_id, user)
        placement = await self._offload.io(self._store.get_placement, run_id)
        files = await self._offload.scan(_source_files, self._folders.path(run_id) / "source")
        return SourceReply(
            entry_point=placement.entry_point, version=run.asset_version, files=files
        )

    async def get_artifact(self, run_id: str, artifact_id: str, user: User) -> ArtifactRef:
        """One of a run's artifacts.

        Raises:
            RunNotFound: no such run for this user.
            ArtifactNotFound: the run has no such artifact.
            Expired: its artifacts have been removed.
        """
        run = require_kept(await self._get_run(run_id, user))
        for artifact in run.artifacts:
            if artifact.id == artifact_id:
                return artifact
        raise ArtifactNotFound(artifact_id, hint="The run's artifact list has the ids.")

    async def preview(self, run_id: str, artifact_id: str, user: User) -> ArtifactPreview:
        """What the artifact begins with, the run's secret values masked.

        Raises:
            RunNotFound, ArtifactNotFound, Expired: as for `get_artifact`.
        """
        run = await self._get_run(run_id, user)
        artifact = await self.get_artifact(run_id, artifact_id, user)

        def make() -> ArtifactPreview:
            redactor = self._masking.find_redactor(run)
            return make_preview(artifact, self._first_bytes_of(artifact), redactor)

        return await self._offload.scan(make)

    def _first_bytes_of(self, artifact: ArtifactRef) -> Callable[[int], bytes]:
        return lambda size: b"".join(self._artifacts.iter_bytes(artifact, end=size))

    async def sign_link(
        self, run_id: str, artifact_id: str, user: User, *, expires_in: int
    ) -> tuple[str, datetime]:
        """A signature that lets its bearer read the artifact as this user, and its last moment.

        Raises:
            RunNotFound, ArtifactNotFound, Expired: as for `get_artifact`.
        """
        await self.get_artifact(run_id, artifact_id, user)
        expires = int(clock.now().timestamp()) + expires_in
        link = SignedLink(run_id, artifact_id, user.owner_id, expires)
        return await self._offload.io(self._signer.sign, link), clock.from_unix(expires)

    async def read_link(self, run_id: str, artifact_id: str, signature: str) -> User:
        """Who signed the link, as they are known now: what they may see is asked as for them.

        Raises:
            PermissionDenied: it is for something else, was changed, or has expired.
        """
        link = await self._offload.io(self._signer.read, signature)
        if link is None or (link.run_id, link.artifact_id) != (run_id, artifact_id):
            raise PermissionDenied(
                "The link is not valid, or has expired", hint="Ask for a new one."
            )
        return await self._find_user(link.owner_id)

    def iter_artifact(
        self, artifact: ArtifactRef, *, start: int = 0, end: int | None = None
    ) -> AsyncIterator[bytes]:
        """An artifact's bytes in chunks, `end` exclusive.

        Raises:
            ArtifactNotFound: the bytes have been removed.
        """
        return self._iterate(self._artifacts.iter_bytes(artifact, start=start, end=end))

    def iter_artifacts_zip(self, run: Run) -> AsyncIterator[bytes]:
        """All artifacts of a run as a zip archive, in chunks; an empty archive for none.

        Raises:
            Expired: its artifacts have been removed.
            ArtifactNotFound: bytes have been removed meanwhile.
        """
        require_kept(run)
        given_away = _give_away(list(reversed(run.artifacts)))
        return self._iterate(iter_zip(given_away, self._artifacts.iter_bytes))

    async def _iterate(self, chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
        """A blocking iterator, a chunk at a time on a thread; at most one chunk is held."""
        done = object()
        while (chunk := await self._offload.scan(next, chunks, done)) is not done:
            yield chunk  # type: ignore[misc]  # the sentinel is excluded by the loop
            await asyncio.sleep(0)


def _give_away(last_first: list[ArtifactRef]) -> Iterator[ArtifactRef]:
    """From the end of the list, which holds only what is left: there may be 20,000."""
    while last_first:
        yield last_first.pop()


def _source_files(folder: Path) -> tuple[SourceFile, ...]:
    """The files, ordered by path.

    The program may have replaced any of them, and the folder itself: no link is followed, only
    files are read, and there is an end to it.
    """
    found: list[SourceFile] = []
    left = MAX_SOURCE_BYTES
    for base, _, names, descriptor in os.fwalk(folder, follow_symlinks=False):
        for name in names:
            path = PurePosixPath(base, name).relative_to(folder).as_posix()
            file = _source_file(path, name, descriptor, min(left, SOURCE_TEXT_LIMIT))
            if file is not None:
                found.append(file)
                left -= file.size_bytes if file.text is not None else 0
        if len(found) > MAX_FILES:
            break
    return tuple(sorted(found[:MAX_FILES], key=lambda file: PurePosixPath(file.path)))


def _source_file(path: str, name: str, folder: int, text_limit: int) -> SourceFile | None:
    """One file of an open folder, without text where it is too long or no text; None: no file."""
    try:
        path.encode()
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with os.fdopen(os.open(name, flags, dir_fd=folder), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                return None
            content = file.read(text_limit + 1) if status.st_size <= text_limit else None
    except (UnicodeEncodeError, OSError):
        return None
    try:
        text = None if content is None else content.decode()
    except UnicodeDecodeError:
        text = None
    return SourceFile(path=path, size_bytes=status.st_size, text=text)
