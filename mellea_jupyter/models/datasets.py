"""Datasets: files, folders and objects that runs read under a name."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field, model_validator

from mellea_jupyter.models.assets import PinnedFile
from mellea_jupyter.models.base import Model, Timestamp


class DatasetKind(StrEnum):
    """Where a dataset's bytes come from."""

    FILE = "file"  # one file below the server's root
    FOLDER = "folder"  # all files of a folder below it
    URL = "url"  # objects in an object store, fetched when a run starts


class DatasetCreate(Model):
    """`POST /api/datasets`. Exactly one of `path` and `url`."""

    path: str | None = Field(
        None, description="File or folder, relative to the server's root folder."
    )
    url: str | None = Field(
        None, max_length=2000,
        description="An object, `s3://bucket/key`, or all below a prefix that ends with `/`; also "
        "`gs://` and `az://`.",
    )  # fmt: skip
    name: str | None = Field(None, min_length=1, max_length=200, description="Shown name.")

    @model_validator(mode="after")
    def _one_origin(self) -> DatasetCreate:
        if (self.path is None) == (self.url is None):
            msg = "give either path or url"
            raise ValueError(msg)
        return self


class DatasetFile(PinnedFile):
    """One file of a version; the checksum of an object is `etag:` and what its store says."""


class SkippedFile(Model):
    """Something in a folder that is not in the dataset, and why."""

    path: str = Field(description="Path relative to the dataset, with `/`.")
    reason: str = Field(description="What it is instead of data.")


class DatasetVersion(Model):
    """What a dataset held when it was registered."""

    version: str = Field(
        description="SHA-256 over paths and checksums, 64 hexadecimal digits; the same content "
        "has the same one. The first 6 or more are enough to name it."
    )
    file_count: int = Field(ge=0, description="Number of files.")
    size_bytes: int = Field(ge=0, description="Sum of their sizes.")
    skipped: tuple[SkippedFile, ...] = Field(
        (), description="What was left out, with the reason; at most a thousand."
    )
    created_at: Timestamp = Field(description="When it was registered last.")


class Dataset(Model):
    """A registered dataset and its latest version."""

    id: str = Field(description="Stable id: the same path or URL gets the same one.")
    kind: DatasetKind = Field(description="Where its bytes come from.")
    name: str = Field(description="Shown name.")
    path: str | None = Field(None, description="Relative to the server's root, where it has one.")
    url: str | None = Field(None, description="Where the objects are, for `url`.")
    owner_id: str = Field(description="Who registered it.")
    latest: DatasetVersion = Field(description="The version that was registered last.")
    created_at: Timestamp = Field(description="First registration.")
    updated_at: Timestamp = Field(description="Registration of the latest version.")


class DatasetPage(Model):
    """A page of datasets, most recently registered first."""

    datasets: tuple[Dataset, ...] = Field(description="The datasets.")
    next: str | None = Field(None, description="Cursor of the next page; null on the last.")


class DatasetVersionList(Model):
    """All versions of a dataset."""

    versions: tuple[DatasetVersion, ...] = Field(description="Most recently registered first.")
