"""Assets: the pinned things that runs execute."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field, model_validator

from mellea_jupyter.models.base import Model, Timestamp


class AssetKind(StrEnum):
    """What an asset was made from."""

    FILE = "file"  # a .py file with its local imports
    NOTEBOOK = "notebook"  # an .ipynb file with its local imports
    FOLDER = "folder"  # a whole folder with an entry point
    CALLABLE = "callable"  # module:callable
    SOURCE = "source"  # literal source, e.g. a %%mellea_run cell


class AssetCreate(Model):
    """What to register. Exactly one of `path` and `source`, or `entry_point` alone."""

    path: str | None = Field(
        None, description="Program or folder, relative to the server's root folder."
    )
    source: str | None = Field(None, max_length=5_000_000, description="Literal Python source.")
    entry_point: str | None = Field(
        None, description="File of a folder asset to run, or `module:callable`."
    )
    name: str | None = Field(None, max_length=200, description="Shown name.")
    default_environment_id: str | None = Field(None, description="Environment of its runs.")

    @model_validator(mode="after")
    def _one_origin(self) -> AssetCreate:
        if self.path is not None and self.source is not None:
            msg = "give either path or source, not both"
            raise ValueError(msg)
        if self.path is None and self.source is None and self.entry_point is None:
            msg = "give path, source or entry_point"
            raise ValueError(msg)
        return self


class Asset(Model):
    """A registered program and its present version."""

    id: str = Field(description="Stable id: the same program gets the same one.")
    kind: AssetKind = Field(description="What it was made from.")
    name: str = Field(description="Shown name.")
    path: str | None = Field(None, description="Relative to the server's root, where it has one.")
    program_dir: str | None = Field(None, description="Absolute folder the program lives in.")
    entry_point: str = Field(description="What is started, relative to the pinned source.")
    version: str = Field(description="Git commit, `…+dirty.<hash>` if changed, or content hash.")
    content_hash: str = Field(description="SHA-256 over paths and contents of the pinned source.")
    owner_id: str = Field(description="Who registered it.")
    default_environment_id: str | None = Field(None, description="Environment of its runs.")
    created_at: Timestamp = Field(description="First registration.")
    updated_at: Timestamp = Field(description="Registration of the present version.")


class PinnedFile(Model):
    """One file of a pinned source."""

    path: str = Field(description="Relative path with `/`.")
    checksum: str = Field(description="SHA-256 of the file, hexadecimal.")
    size_bytes: int = Field(description="Size of the file.")
