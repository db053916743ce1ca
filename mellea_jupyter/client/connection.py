"""`Connection`: where a server is, how to be let in, and which files it can see."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlsplit

from mellea_jupyter.client.errors import InvalidProgram

LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Connection:
    """One server.

    Attributes:
        base_url: URL of the Jupyter server, with its base path and a trailing `/`.
        token: sent as a header to this URL's host and nowhere else; never shown.
        root_dir: folder that paths sent to the server are relative to; None when not known.
        found: how it was found, one phrase for people.
        pid: process id of the server when it runs on this machine and is known.
        has_lab: whether links into JupyterLab lead anywhere.
    """

    base_url: str
    token: str = field(default="", repr=False)
    root_dir: Path | None = None
    found: str = "given"
    pid: int | None = None
    has_lab: bool = True

    def __post_init__(self) -> None:
        if not self.base_url.endswith("/"):
            object.__setattr__(self, "base_url", f"{self.base_url}/")

    @property
    def api_url(self) -> str:
        """Prefix of all endpoints; the alias that no other extension uses."""
        return f"{self.base_url}mellea/"

    @property
    def is_loopback(self) -> bool:
        """Whether the server is reached without leaving this machine."""
        return urlsplit(self.base_url).hostname in LOOPBACK_HOSTS

    def run_url(self, run_id: str) -> str | None:
        """The link that opens a run in JupyterLab, without a token; None where there is no lab."""
        return f"{self.base_url}lab?mellea-run={quote(run_id)}" if self.has_lab else None

    def artifact_url(self, run_id: str, artifact_id: str) -> str:
        """Where an artifact is downloaded from, without a token: for who is logged in there."""
        return f"{self.api_url}api/runs/{quote(run_id)}/artifacts/{quote(artifact_id)}"

    def contains(self, path: Path) -> bool:
        """Whether the server can be asked for this absolute path."""
        return self.root_dir is not None and _resolved(path).is_relative_to(
            _resolved(self.root_dir)
        )

    def relative_path(self, path: Path) -> str:
        """The absolute `path` as the server names it: relative to its root, with `/`.

        Raises:
            InvalidProgram: the path is outside the root, or the root is not known.
        """
        if self.root_dir is None:
            raise InvalidProgram(
                f"The root folder of {self.base_url} is not known, so {path} can not be named",
                hint="Pass root_dir= to connect(), or set MELLEA_JUPYTER_ROOT_DIR.",
            )
        # The spelling the user sees is kept when it lies in the root, so that a program reached
        # through a link inside the root keeps its name; the server resolves links by itself.
        for root, program in ((self.root_dir, path), (_resolved(self.root_dir), _resolved(path))):
            if program.is_relative_to(root):
                return program.relative_to(root).as_posix()
        raise InvalidProgram(
            f"{path} is outside the root folder of the Jupyter server, {self.root_dir}",
            hint="Move the program there, or start a server in a folder that contains it.",
        )


def _resolved(path: Path) -> Path:
    return path.resolve()
