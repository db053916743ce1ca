"""Artifacts: what a run kept, and its bytes."""

from __future__ import annotations

import re
from contextlib import aclosing
from pathlib import PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from jupyter_server.auth import User as JupyterUser
from jupyter_server.auth.decorator import allow_unauthenticated
from jupyter_server.utils import ensure_async
from tornado import web
from tornado.iostream import StreamClosedError

from mellea_jupyter.handlers.base import ApiHandler, RequestError, authorized
from mellea_jupyter.handlers.endpoint import endpoint
from mellea_jupyter.handlers.rates import Rate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from mellea_jupyter.handlers.parameters import LinkQuery
    from mellea_jupyter.models.artifacts import (
        ArtifactLink,
        ArtifactList,
        ArtifactPreview,
        ArtifactRef,
        LinkRequest,
    )
    from mellea_jupyter.service.services import Services

_ZIP = "application/zip"
_ANY = "*/*"  # what the name of the file says
_RANGE = re.compile(r"bytes=(\d*)-(\d*)", re.ASCII)


class DownloadHandler(ApiHandler):
    """Sends bytes of unknown origin as a file, in pieces, no faster than they are taken."""

    def set_file_headers(self, name: str, content_type: str) -> None:
        """Say that this is a file to save. Nothing in it may run as a page of this server."""
        self.set_header("Content-Type", content_type)
        # Jupyter's set_attachment_header writes a blank as +, which is a plus in a header.
        self.set_header("Content-Disposition", f"attachment; filename*=utf-8''{quote(name, '')}")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Content-Security-Policy", "default-src 'none'; sandbox")

    async def send(self, chunks: AsyncIterator[bytes]) -> None:
        """Write all chunks and finish; stops quietly when the client goes away."""
        content_type = self._headers["Content-Type"]
        async with aclosing(chunks) as pieces:  # type: ignore[type-var]  # services give generators
            try:
                async for piece in pieces:
                    self.write(piece)
                    await self.flush()
            except StreamClosedError:
                return
        self.finish(set_content_type=content_type)


class ArtifactsHandler(ApiHandler):
    """`/runs/{run_id}/artifacts`."""

    @web.authenticated
    @authorized(resource="runs")
    @endpoint()
    async def get(self, run_id: str) -> ArtifactList:
        """List the files that a run kept, and those that it did not keep."""
        from mellea_jupyter.models.artifacts import ArtifactList

        services = await self.app.services()
        run = await services.runs.get(run_id, self.user)
        return ArtifactList(
            artifacts=run.artifacts,
            skipped=run.artifacts_skipped,
            total_bytes=sum(each.size_bytes for each in run.artifacts),
        )


class ArtifactsZipHandler(DownloadHandler):
    """`/runs/{run_id}/artifacts.zip`."""

    @web.authenticated
    @authorized(resource="runs")
    @endpoint(media=(_ZIP,), errors=(410, 429))
    async def get(self, run_id: str) -> None:
        """Download all artifacts as one zip archive, under their relative paths.

        Made while it is sent, so its length is not known beforehand. Files that the run did not
        keep are in the list of artifacts.
        """
        self.spend(Rate.HEAVY)
        services = await self.app.services()
        run = await services.runs.get(run_id, self.user)
        program = PurePosixPath(run.asset_name).stem or "run"
        self.set_file_headers(f"{program}-{run.id[:6]}-artifacts.zip", _ZIP)
        archive = services.results.iter_artifacts_zip(run)
        del run  # and with it the artifacts that are in the archive already
        await self.send(archive)


class ArtifactDownloadHandler(DownloadHandler):
    """Sends an artifact, or the part of it that was asked for."""

    async def send_artifact(self, services: Services, artifact: ArtifactRef) -> None:
        """Reply with the artifact's bytes; one range of them where the request has one."""
        tag = f'"{artifact.checksum}"'
        start, end = 0, artifact.size_bytes
        asked = self.request.headers.get("Range")
        if asked is not None and self.request.headers.get("If-Range", tag) == tag:
            start, end = self._part(asked, artifact.size_bytes)
        self.set_file_headers(artifact.name, artifact.content_type)
        self.set_header("Accept-Ranges", "bytes")
        self.set_header("ETag", tag)
        self.set_header("Content-Length", str(end - start))
        await self.send(services.results.iter_artifact(artifact, start=start, end=end))

    def _part(self, asked: str, size: int) -> tuple[int, int]:
        """The asked bytes as `[start, end)`; everything when the header is none we can serve.

        Raises:
            RequestError: 416, the range lies outside.
        """
        match = _RANGE.fullmatch(asked.strip())
        if match is None or match[0] == "bytes=-":
            return 0, size
        first, last = match.groups()
        start = int(first) if first else max(size - int(last), 0)
        end = min(int(last) + 1, size) if first and last else size
        if start >= end:
            raise RequestError(
                416,
                f"The artifact has {size} bytes, and none in the range {asked}",
                headers={"Content-Range": f"bytes */{size}"},
            )
        self.set_status(206)
        self.set_header("Content-Range", f"bytes {start}-{end - 1}/{size}")
        return start, end


class ArtifactHandler(ArtifactDownloadHandler):
    """`/runs/{run_id}/artifacts/{artifact_id}`."""

    @web.authenticated
    @authorized(resource="runs")
    @endpoint(
        media=(_ANY,),
        errors=(416,),
        headers={"Range": "One range of bytes, to go on with a download (206)."},
    )
    async def get(self, run_id: str, artifact_id: str) -> None:
        """Download an artifact. Always as an attachment, with the type of its name."""
        services = await self.app.services()
        artifact = await services.results.get_artifact(run_id, artifact_id, self.user)
        await self.send_artifact(services, artifact)


class ArtifactPreviewHandler(ApiHandler):
    """`/runs/{run_id}/artifacts/{artifact_id}/preview`."""

    @web.authenticated
    @authorized(resource="runs")
    @endpoint(errors=(429,))
    async def get(self, run_id: str, artifact_id: str) -> ArtifactPreview:
        """What an artifact begins with, as text, JSON or rows, with secret values masked.

        At most 256 KiB of text, 1 MiB of JSON, 500 rows. The download has the bytes themselves.
        """
        self.spend(Rate.HEAVY)
        services = await self.app.services()
        return await services.results.preview(run_id, artifact_id, self.user)


class ArtifactLinkHandler(ApiHandler):
    """`/runs/{run_id}/artifacts/{artifact_id}/url`."""

    @web.authenticated
    @authorized(resource="runs", action="read")
    @endpoint()
    async def post(self, run_id: str, artifact_id: str, body: LinkRequest) -> ArtifactLink:
        """Make a link that downloads the artifact without a token, for a limited time."""
        from mellea_jupyter.models.artifacts import ArtifactLink

        services = await self.app.services()
        signature, expires_at = await services.results.sign_link(
            run_id, artifact_id, self.user, expires_in=body.expires_in
        )
        path = self.request.path.removesuffix("/url")
        query = urlencode({"link_key": signature})
        origin = f"{self.request.protocol}://{self.request.host}"
        return ArtifactLink(url=f"{origin}{path}/signed?{query}", expires_at=expires_at)


class SignedArtifactHandler(ArtifactDownloadHandler):
    """`/runs/{run_id}/artifacts/{artifact_id}/signed`."""

    @allow_unauthenticated
    @endpoint(media=(_ANY,), errors=(416,), is_open=True)
    async def get(self, run_id: str, artifact_id: str, query: LinkQuery) -> None:
        """Download an artifact by a link. Needs no token; the link is bound to who made it.

        The server's authorizer is asked for that user, and so is whose run it is.
        """
        services = await self.app.services()
        user = await services.results.read_link(run_id, artifact_id, query.link_key)
        signed_by = JupyterUser(username=user.id, name=user.name)
        if not await ensure_async(self.authorizer.is_authorized(self, signed_by, "read", "runs")):
            raise web.HTTPError(403)
        artifact = await services.results.get_artifact(run_id, artifact_id, user)
        await self.send_artifact(services, artifact)
