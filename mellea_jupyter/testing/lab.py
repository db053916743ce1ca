"""JupyterLab in a browser: what tests and benchmarks need to drive it. Needs `playwright`."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Final

from playwright.sync_api import Playwright

CHROMIUM_ARGUMENTS: Final = (
    "--no-sandbox",  # containers, and whoever runs the tests as root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # A request to anywhere else ends here.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)


def find_chromium(playwright: Playwright) -> str | None:
    """Path of the browser: named in ``CHROMIUM``, on the path, or installed by Playwright."""
    named = os.environ.get("CHROMIUM")
    on_path = (shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome"))
    candidates = [named, *on_path, playwright.chromium.executable_path]
    return next((path for path in candidates if path and Path(path).is_file()), None)


def configure_lab(folder: Path) -> None:
    """Write into a Jupyter configuration folder what makes JupyterLab fit to be driven.

    It shows no news, which come from the internet in a notice over the page, and the page has its
    application as ``jupyterapp``.
    """
    settings = folder / "lab" / "user-settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True, exist_ok=True, mode=0o700)
    text = json.dumps({"fetchNews": "false", "checkForUpdates": False})
    (settings / "notification.jupyterlab-settings").write_text(text, "utf-8")
    # On the command line this trait has no effect.
    config = "c.LabApp.expose_app_in_browser = True\n"
    (folder / "jupyter_lab_config.py").write_text(config, "utf-8")
