"""Objects in an object store: what is at a URL now, and fetching exactly that later.

The server's own configuration opens the store, as the store's tools read it: `AWS_ACCESS_KEY_ID`,
`AWS_ENDPOINT_URL`, `GOOGLE_APPLICATION_CREDENTIALS`, `AZURE_STORAGE_ACCOUNT_NAME` and so on.

Source: https://developmentseed.org/obstore/latest/api/store/
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from mellea_jupyter.datasets.blobs import CHUNK_BYTES
from mellea_jupyter.datasets.pinning import MAX_FILES, Pinned, version_of
from mellea_jupyter.exceptions import InvalidInput, LaunchFailed, QuotaExceeded
from mellea_jupyter.models.datasets import DatasetFile, DatasetKind, SkippedFile

if TYPE_CHECKING:
    from obstore.store import ObjectStore

SCHEMES: Final = ("s3", "gs", "az", "abfs", "abfss")
ETAG: Final = "etag:"
_RETRIES: Final[dict[str, Any]] = {"max_retries": 3, "retry_timeout": timedelta(seconds=30)}
_CLIENT: Final[dict[str, Any]] = {
    "connect_timeout": timedelta(seconds=10),
    "timeout": timedelta(hours=6),  # of one object; a stalled one is the run's owner to cancel
}
_USER_INFO: Final = re.compile(r"^[a-z0-9]+://[^/]*@", re.IGNORECASE)


class Stopped(Exception):
    """Whoever asked for the objects does not want them any more."""


def look_up(url: str) -> Pinned:
    """What is at a URL now. Blocks for the time the store needs to list it.

    Raises:
        InvalidInput: not a URL of an object store, nothing is there, or it can not be read.
        QuotaExceeded: too many objects.
    """
    store, key = _open(url)
    try:
        found = _list_below(store) if not key else [_describe(store, key)]
    except FileNotFoundError:
        hint = "Check the bucket and the key; a prefix ends with `/`."
        raise InvalidInput("url", f"there is no object at {url}", hint=hint) from None
    except _errors() as error:
        raise InvalidInput(
            "url", f"{url} can not be read: {_reason(error)}",
            hint="Check the bucket, and the credentials in the server's environment.",
        ) from error  # fmt: skip
    if not found:
        hint = "A prefix ends with `/` and has objects below it."
        raise InvalidInput("url", f"there are no objects below {url}", hint=hint)
    parents = {str(parent) for file in found for parent in PurePosixPath(file.path).parents}
    files = sorted((f for f in found if f.path not in parents), key=lambda file: file.path)
    # Some tools mark a folder with an empty object; another one could not be put beside its files.
    skipped = tuple(
        SkippedFile(path=file.path, reason="other objects lie below it")
        for file in found
        if file.path in parents and file.size_bytes
    )
    name = PurePosixPath(urlsplit(url).path).name or urlsplit(url).netloc
    return Pinned(DatasetKind.URL, name, url, version_of(files), tuple(files), skipped)


def fetch(
    url: str, files: Iterable[DatasetFile], target: Path, *, should_stop: Callable[[], bool]
) -> None:
    """Put these objects below `target`, each as it was when the version was registered.

    Args:
        url: as it was registered.
        files: of the version.
        target: an empty folder.
        should_stop: asked between pieces.

    Raises:
        LaunchFailed: an object changed or is gone since, or can not be read.
        Stopped: `should_stop` said so.
    """
    import obstore

    store, key = _open(url)
    for file in files:
        path = target / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            etag = file.checksum.removeprefix(ETAG)
            reply = obstore.get(store, key or file.path, options={"if_match": etag})
            with path.open("xb") as out:
                for chunk in reply.stream(min_chunk_size=CHUNK_BYTES):
                    if should_stop():
                        raise Stopped
                    out.write(chunk)
        except (FileNotFoundError, obstore.exceptions.PreconditionError):
            msg = f"{file.path} of {url} has changed or is gone since this version was registered"
            hint = "Register the dataset again, and retry with its latest version."
            raise LaunchFailed(msg, hint=hint) from None
        except _errors() as error:
            msg = f"{file.path} of {url} can not be fetched: {_reason(error)}"
            hint = "Check the store and the credentials in the server's environment."
            raise LaunchFailed(msg, hint=hint) from error
        path.chmod(0o444)


def _open(url: str) -> tuple[ObjectStore, str]:
    """The store, and the key of the one object; "" where the store's prefix is all there is."""
    from obstore.store import from_url

    parts = urlsplit(url)
    if parts.scheme not in SCHEMES or not parts.netloc:
        known = ", ".join(f"{scheme}://" for scheme in SCHEMES)
        hint = f"Known are {known}; a file on the server is named by its path."
        raise InvalidInput("url", "is not the URL of an object store", hint=hint)
    if _USER_INFO.match(url) and parts.scheme not in ("abfs", "abfss"):
        hint = "Put keys into the server's environment, e.g. AWS_ACCESS_KEY_ID."
        raise InvalidInput("url", "holds a user name or password", hint=hint)
    if parts.query or parts.fragment or ".." in PurePosixPath(parts.path).parts:
        hint = "Write s3://bucket/key, or s3://bucket/prefix/."
        raise InvalidInput("url", "has a query, a fragment or `..`", hint=hint)
    folder, _, name = url.rpartition("/") if not url.endswith("/") else (url.rstrip("/"), "", "")
    if folder.endswith(":/"):
        folder, name = url, ""
    try:
        store = from_url(folder, client_options=_client_options(), retry_config=_RETRIES)  # type: ignore[call-overload]  # its stubs know one scheme an overload
    except _errors() as error:
        raise InvalidInput("url", f"can not be opened: {_reason(error)}") from error
    return store, name


def _client_options() -> dict[str, Any]:
    """Options given here hide what the environment says of them, so that is read here too."""
    allowed = os.environ.get("AWS_ALLOW_HTTP", "").lower() in ("1", "true")
    return {**_CLIENT, "allow_http": allowed}


def _describe(store: ObjectStore, key: str) -> DatasetFile:
    import obstore

    return _file(obstore.head(store, key))


def _list_below(store: ObjectStore) -> list[DatasetFile]:
    import obstore

    found: list[DatasetFile] = []
    for batch in obstore.list(store):
        found += map(_file, batch)
        if len(found) > MAX_FILES:
            msg = f"There are more than {MAX_FILES:,} objects"
            raise QuotaExceeded(msg, hint="Name a longer prefix.")
    return found


def _file(meta: Any) -> DatasetFile:
    if not meta["e_tag"]:
        msg = f"the store gives no ETag for {meta['path']}"
        raise InvalidInput("url", msg, hint="Use a store that does, such as S3.")
    if ".." in PurePosixPath(meta["path"]).parts:
        raise InvalidInput("url", f"the key {meta['path']} has `..` in it", hint="Rename it.")
    return DatasetFile(
        path=meta["path"], checksum=f"{ETAG}{meta['e_tag']}", size_bytes=int(meta["size"])
    )


def _errors() -> tuple[type[Exception], ...]:
    from obstore.exceptions import BaseError

    return (BaseError, OSError, ValueError)


def _reason(error: Exception) -> str:
    """The first line of what the store says, without its debugging part."""
    text = str(error).strip().partition("\n")[0]
    return text[:300] or type(error).__name__
