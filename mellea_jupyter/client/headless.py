"""A Jupyter server with this extension and nothing else, for where no Jupyter server runs.

Started by `local_server.py` as `python -m mellea_jupyter.client.headless`; loopback only, a free
port, a random token that stands in a 0600 file and nowhere else. It ends by itself after 30 minutes
without requests and runs (`MELLEA_JUPYTER_HEADLESS_IDLE_SECONDS`). Of the user's Jupyter
configuration it reads what concerns this extension, so that it works on the same store.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
from jupyter_server.serverapp import ServerApp
from traitlets.config import Config

from mellea_jupyter import __version__
from mellea_jupyter.client.local_server import StateFiles, state_files

IDLE_SECONDS = 30 * 60
IDLE_VARIABLE = "MELLEA_JUPYTER_HEADLESS_IDLE_SECONDS"
ROOT_DIR = "/"


class HeadlessServer(ServerApp):
    """A `ServerApp` that takes nothing from the user's configuration but this extension's part."""

    def load_config_file(self, *args: Any, **kwargs: Any) -> None:
        """Read the configuration files, and keep the sections of this extension."""
        own = Config(self.config)
        super().load_config_file(*args, **kwargs)
        ours = Config({name: self.config[name] for name in self.config if _is_ours(name)})
        ours.merge(own)
        self.config = ours

    def migrate_config(self) -> None:
        """Leave the user's files alone."""


def _is_ours(section: str) -> bool:
    return section.startswith("Mellea")


def configuration(token: str) -> Config:
    """What makes the server headless."""
    return Config(
        {
            "ServerApp": {
                "jpserver_extensions": {"mellea_jupyter": True},
                "ip": "127.0.0.1",
                "port": 0,
                "base_url": "/",
                "root_dir": ROOT_DIR,
                "open_browser": False,
                "terminals_enabled": False,
                "allow_root": True,
                "allow_unauthenticated_access": False,
                "shutdown_no_activity_timeout": int(os.environ.get(IDLE_VARIABLE, IDLE_SECONDS)),
            },
            "IdentityProvider": {"token": token},
        }
    )


def write_state(files: StateFiles, url: str, token: str) -> None:
    """Publish where the server is, in one step, readable by this user only."""
    state: dict[str, Any] = {
        "url": url,
        "token": token,
        "pid": os.getpid(),
        "process_started": psutil.Process().create_time(),
        "root_dir": ROOT_DIR,
        "version": __version__,
        "prefix": sys.prefix,
    }
    partial = files.state.with_suffix(f".{os.getpid()}.part")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123 - opened with its mode
        json.dump(state, file)
    partial.replace(files.state)


def remove_state(files: StateFiles) -> None:
    """Take the state file away, unless it is already another server's."""
    with suppress(OSError, ValueError, KeyError):
        if json.loads(files.state.read_bytes())["pid"] == os.getpid():
            Path(files.state).unlink()


def main() -> None:
    """Run the server until it is idle or told to stop."""
    token = secrets.token_urlsafe(32)
    files = state_files()
    server = HeadlessServer.instance(config=configuration(token))
    server.no_browser_open_file = True  # it would hold the token a second time
    server.initialize(argv=[], find_extensions=False)
    # The socket listens by now; requests wait until the loop runs.
    write_state(files, f"http://127.0.0.1:{server.port}/", token)
    try:
        server.start()
    finally:
        remove_state(files)


if __name__ == "__main__":
    main()
