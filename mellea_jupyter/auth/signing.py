"""Signed links: a download that needs no token, for one artifact, one user and a limited time.

A link says who signed it and is signed with a key of the store, so it holds across restarts and on
every server of that store. What the user may see is asked again each time it is used.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from tornado.web import create_signed_value, decode_signed_value

from mellea_jupyter.models.artifacts import LONGEST_LINK_SECONDS

_NAME: Final = "mellea-artifact"
_KEY_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class SignedLink:
    """What a link allows: its signer to read this artifact until `expires`, Unix seconds.

    It says who signed it and not what they may see: they may have lost access since.
    """

    run_id: str
    artifact_id: str
    owner_id: str
    expires: int


class LinkSigner:
    """Signs and reads links with the key in `path`, which is made when it is first needed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._key: bytes | None = None

    def sign(self, link: SignedLink) -> str:
        """The link's signature, which carries what it allows; URL-safe once it is quoted."""
        said = json.dumps(asdict(link), separators=(",", ":"))
        return create_signed_value(self._load(), _NAME, said).decode("ascii")

    def read(self, signature: str, *, now: float | None = None) -> SignedLink | None:
        """What a signature allows; None when it is not ours, was changed or has expired."""
        days = LONGEST_LINK_SECONDS / 86_400
        said = decode_signed_value(self._load(), _NAME, signature, max_age_days=days)
        if said is None:
            return None
        fields = json.loads(said)
        if fields.keys() != SignedLink.__dataclass_fields__.keys():
            return None  # of an earlier version
        link = SignedLink(**fields)
        return link if link.expires > (time.time() if now is None else now) else None

    def _load(self) -> bytes:
        """The key; of several servers that make it at once, one wins."""
        if self._key is None:
            fresh = self._path.with_name(f"{self._path.name}.{secrets.token_hex(8)}")
            if not self._path.exists():
                fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with os.fdopen(fd, "wb") as file:
                    file.write(secrets.token_bytes(_KEY_BYTES))
                with contextlib.suppress(FileExistsError):
                    os.link(fresh, self._path)
                fresh.unlink()
            self._key = self._path.read_bytes()
        return self._key
