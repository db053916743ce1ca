"""Artifacts and structured outputs (spec.md §5.5.1)."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field, JsonValue
from pydantic.dataclasses import dataclass

from mellea_jupyter.models.base import VALUE_CONFIG, Model, Timestamp

DEFAULT_LINK_SECONDS = 3600
LONGEST_LINK_SECONDS = 7 * 24 * 3600


# Slots, because a run may have ten thousand: read from JSON they take 8 MB, as models 22.
@dataclass(frozen=True, slots=True, kw_only=True, config=VALUE_CONFIG)
class ArtifactRef:
    """One file a run produced."""

    id: str = Field(description="Artifact id.")
    run_id: str = Field(description="The run that produced it.")
    name: str = Field(description="Original file name.")
    path: str = Field(description="Path relative to the run's output folder, with `/`.")
    content_type: str = Field(description="MIME type, guessed from the name.")
    size_bytes: int = Field(description="Size of the stored bytes.")
    created_at: Timestamp = Field(description="When it was collected.")
    checksum: str = Field(description="SHA-256 of the stored bytes, hexadecimal.")
    metadata: dict[str, JsonValue] | None = Field(
        default=None, description="Anything known besides."
    )


@dataclass(frozen=True, slots=True, kw_only=True, config=VALUE_CONFIG)
class SkippedArtifact:
    """A file that was not kept, and why."""

    path: str = Field(description="Path relative to the run's output folder, with `/`.")
    reason: str = Field(description="`quota`, `link`, `not_regular`, `unreadable`, `changed` …")
    size_bytes: int | None = Field(default=None, description="Size, where it is known.")


class LinkRequest(Model):
    """A download link to make."""

    expires_in: int = Field(
        DEFAULT_LINK_SECONDS, ge=1, le=LONGEST_LINK_SECONDS, description="Seconds that it works."
    )


class ArtifactLink(Model):
    """A link that downloads an artifact without a token. Whoever has it can use it."""

    url: str = Field(description="The link.")
    expires_at: Timestamp = Field(description="When it stops working.")


class PreviewKind(StrEnum):
    """How a preview is shown."""

    TEXT = "text"
    JSON = "json"  # `text` is the whole value, as JSON
    TABLE = "table"
    HTML = "html"  # `text` is not to be trusted: only in a frame where nothing runs
    SVG = "svg"  # the same; only as an image
    IMAGE = "image"  # to be taken from the download
    NONE = "none"


class ArtifactPreview(Model):
    """The beginning of an artifact, with the run's secret values masked.

    The values are the run's own secret variables, as kept for a retry, and the server's keys as
    they are now. A download has the bytes as the program wrote them.
    """

    artifact_id: str = Field(description="The artifact.")
    kind: PreviewKind = Field(
        description="`text`, `json` (`text` is JSON), `table` (`rows`), `html` and `svg` (`text`, "
        "not to be trusted), `image` (show the download), `none` (see `reason`)."
    )
    text: str | None = Field(None, description="For `text`, `json`, `html` and `svg`.")
    rows: tuple[tuple[str, ...], ...] | None = Field(None, description="Cells, for `table`.")
    truncated: bool = Field(False, description="There is more in the artifact than is shown.")
    shown_bytes: int = Field(0, description="How many of its first bytes are shown.")
    reason: str | None = Field(
        None,
        description="Why there is none: `binary`, `too_large`, `secrets_gone` (the values that "
        "would have to be masked are not known any more).",
    )


class StructuredOutput(Model):
    """A JSON result the program declared with `current_run().output(...)`."""

    artifact_id: str = Field(description="The artifact that holds it.")
    schema_version: str = Field("1", description="The program's own version of its shape.")
    data: JsonValue = Field(description="The value.")


class ArtifactList(Model):
    """What a run kept and what it did not."""

    artifacts: tuple[ArtifactRef, ...] = Field((), description="Kept files, ordered by path.")
    skipped: tuple[SkippedArtifact, ...] = Field((), description="Files that were not kept.")
    total_bytes: int = Field(0, description="Size of all kept files.")
