"""A real Jupyter server, a real browser, and what is kept of a test that failed.

All tests of the package share one browser and one JupyterLab server; each has pages of its own in
workspaces of its own. Tests that kill or need another server start theirs with `start_lab`.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from mellea_jupyter.stores.runs.sql import SqlRunStore
from mellea_jupyter.testing.lab import CHROMIUM_ARGUMENTS, configure_lab, find_chromium
from mellea_jupyter.testing.scripted_llm import ScriptedLlm
from mellea_jupyter.testing.seeding import seed_runs
from mellea_jupyter.testing.server import JupyterServer
from tests.conftest import require
from tests.frontend import ROOT

from .browser import PageWatch
from .pages import LabPage

DEADLINE_MS = 45_000
"""How long an expectation may take to come true: generous, since the machine may be busy."""

SEEDED_RUNS = 10_000
KEPT = ROOT / "build" / "e2e"
FAILED = pytest.StashKey[bool]()

StartLab = Callable[..., JupyterServer]
CreateRun = Callable[..., dict[str, Any]]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember failures, for the fixtures that keep what explains them."""
    report = yield
    if report.failed:
        item.stash[FAILED] = True
    return report


@pytest.fixture
def jp_asyncio_loop() -> None:
    """None: Playwright's own loop is the running one, and pytest-jupyter would close it."""


@pytest.fixture
def jp_server_cleanup() -> None:
    """Nothing: the servers are other processes."""


@dataclass(frozen=True)
class Frontend:
    """The built extension: variables under which a server finds it, and the rules of axe."""

    environment: dict[str, str]
    axe: Path


@pytest.fixture(scope="session")
def frontend(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Frontend:
    """The wheel of this checkout in a prefix of its own, or what `--as-built` finds."""
    axe = Path("labextension/node_modules/axe-core/axe.min.js")
    if request.config.getoption("--as-built"):
        return Frontend({}, ROOT / axe)
    wheel: Path = request.getfixturevalue("built_wheel")
    checkout: Path = request.getfixturevalue("checkout")
    prefix = tmp_path_factory.mktemp("prefix")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, "--ignore-installed", "--prefix", prefix, wheel], check=True)
    packages = sysconfig.get_path("purelib", vars={"base": str(prefix)})
    shared = str(prefix / "share" / "jupyter")
    return Frontend({"PYTHONPATH": packages, "JUPYTER_PATH": shared}, checkout / axe)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    # Not for the session: while it runs, this thread has a running event loop, and tests of
    # coroutines in other packages could not have theirs.
    with sync_playwright() as playwright:
        chromium = find_chromium(playwright)
        if chromium is None:
            require("chromium", "install it, or name one in the variable CHROMIUM")
        browser = playwright.chromium.launch(
            executable_path=chromium, args=list(CHROMIUM_ARGUMENTS)
        )
        expect.set_options(timeout=DEADLINE_MS)
        yield browser
        browser.close()


@contextmanager
def labs(frontend: Frontend, folders: pytest.TempPathFactory) -> Iterator[StartLab]:
    """Starts JupyterLab servers; all of them are stopped at the end."""
    servers: list[JupyterServer] = []

    def start(*, prepare: Callable[[JupyterServer], None] | None = None, **kwargs: Any) -> Any:
        home = folders.mktemp("lab")
        server = JupyterServer(home, app="lab", environment=frontend.environment, **kwargs)
        configure_lab(home / "config")
        if prepare is not None:
            prepare(server)
        servers.append(server)
        return server.start()

    try:
        yield start
    finally:
        for server in servers:
            server.stop()


@pytest.fixture(scope="module")
def start_lab(frontend: Frontend, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartLab]:
    """Starts JupyterLab servers for this module."""
    with labs(frontend, tmp_path_factory) as start:
        yield start


@pytest.fixture(scope="package")
def server(frontend: Frontend, tmp_path_factory: pytest.TempPathFactory) -> Iterator[JupyterServer]:
    """The server that most tests share."""
    with labs(frontend, tmp_path_factory) as start:
        yield start(prepare=_seed, options=["--MelleaApp.grace_seconds=4"])


def _seed(server: JupyterServer) -> None:
    """Other people's runs of three months; the sidebar shows none of them."""
    server.data_dir.mkdir(parents=True, mode=0o700)
    store = SqlRunStore.open(server.data_dir / "runs.sqlite")
    try:
        seed_runs(store, SEEDED_RUNS)
    finally:
        store.close()


@pytest.fixture
def http(server: JupyterServer) -> Iterator[httpx.Client]:
    """A client of the shared server, whose notices are read: a run joins those that are not."""
    with server.http() as client:
        client.post("api/notifications/read").raise_for_status()
        yield client


@pytest.fixture
def choose_theme(http: httpx.Client) -> Iterator[Callable[[str], None]]:
    """Sets the theme of pages that are loaded from now on."""

    def choose(name: str) -> None:
        url = "lab/api/settings/@jupyterlab/apputils-extension:themes"
        http.put(url, json={"raw": json.dumps({"theme": name})}).raise_for_status()

    yield choose
    choose("JupyterLab Light")


@dataclass
class Opened:
    """A page of a test and its server."""

    page: Page
    watch: PageWatch
    server: JupyterServer


class Desk:
    """Opens pages and watches them; one a test."""

    def __init__(self, contexts: Callable[[JupyterServer], BrowserContext]) -> None:
        self._contexts = contexts
        self.opened: list[Opened] = []

    def new_page(self, server: JupyterServer) -> tuple[Page, PageWatch]:
        """A page that is logged in at the server."""
        page = self.watch(self._contexts(server).new_page(), server)
        return page, self.opened[-1].watch

    def watch(self, page: Page, server: JupyterServer) -> Page:
        """Watch a page that another one has opened."""
        page.set_default_timeout(DEADLINE_MS)
        self.opened.append(Opened(page, PageWatch(page), server))
        return page

    def new_lab(self, server: JupyterServer) -> tuple[LabPage, PageWatch]:
        """The same, for JupyterLab; it is not loaded yet."""
        page, watch = self.new_page(server)
        return LabPage(page, watch, server), watch


@pytest.fixture(scope="package")
def contexts(browser: Browser) -> Iterator[Callable[[JupyterServer], BrowserContext]]:
    """The browser profile of each server, so that its files are read and compiled once."""
    found: dict[str, BrowserContext] = {}

    def of(server: JupyterServer) -> BrowserContext:
        if server.token not in found:
            context = browser.new_context(viewport={"width": 1280, "height": 800})
            context.grant_permissions(["clipboard-read", "clipboard-write"])
            context.request.get(f"{server.url}lab?token={server.token}")
            found[server.token] = context
        return found[server.token]

    yield of
    for context in found.values():
        context.close()


@pytest.fixture
def desk(
    request: pytest.FixtureRequest, contexts: Callable[[JupyterServer], BrowserContext]
) -> Iterator[Desk]:
    """Pages that are checked for errors and foreign requests when the test ends."""
    desk = Desk(contexts)
    yield desk
    failed = request.node.stash.get(FAILED, False)
    try:
        for opened in [] if failed else desk.opened:
            opened.watch.check()
    except AssertionError:
        failed = True
        raise
    finally:
        if failed:
            _keep(re.sub(r"\W+", "-", request.node.name), desk.opened)
        for opened in desk.opened:
            opened.page.close()


def _keep(name: str, pages: list[Opened]) -> None:
    for number, opened in enumerate(pages):
        folder = KEPT / f"{name}-{number}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "console.txt").write_text("\n".join(opened.watch.console), "utf-8")
        (folder / "server.log").write_text(opened.server.log(), "utf-8")
        if not opened.page.is_closed():
            opened.page.screenshot(path=folder / "page.png")
    print(f"what explains the failure is in {KEPT}")


@pytest.fixture
def lab(desk: Desk, server: JupyterServer) -> LabPage:
    """JupyterLab on the shared server, not loaded yet."""
    return desk.new_lab(server)[0]


@pytest.fixture
def watch(lab: LabPage, desk: Desk) -> PageWatch:
    """What the page of `lab` does."""
    return desk.opened[0].watch


@pytest.fixture
def create(server: JupyterServer, http: httpx.Client) -> CreateRun:
    """Creates a run of a program that asks an endpoint."""

    def create(endpoint: ScriptedLlm, source: str, *args: str, **config: Any) -> dict[str, Any]:
        server.write("asking.py", source)
        variables = {"OPENAI_BASE_URL": endpoint.openai_url, "OPENAI_API_KEY": "sk-scripted"}
        return server.create(http, "asking.py", env_vars=variables, args=list(args), **config)

    return create


@pytest.fixture
def finish(create: CreateRun, server: JupyterServer, http: httpx.Client) -> CreateRun:
    """The same for a script of replies; waits for the end of the run."""

    def finish(script: list[Any], source: str, *args: str, **config: Any) -> dict[str, Any]:
        with ScriptedLlm(script) as endpoint:
            run = create(endpoint, source, *args, **config)
            return server.wait_for(http, run["id"])

    return finish
