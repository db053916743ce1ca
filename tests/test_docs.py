"""What the pages promise exists, and what exists is on a page."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import pytest

from mellea_jupyter.app import MelleaApp
from mellea_jupyter.cli.parser import make_parser
from mellea_jupyter.handlers.routes import ROUTES

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
LINK = re.compile(r"\]\(([^)#:]+)(#[^)]*)?\)")


def page(name: str) -> str:
    return (ROOT / "docs" / "reference" / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_link_between_pages_leads_somewhere(path: Path) -> None:
    links = [match[1] for match in LINK.finditer(path.read_text(encoding="utf-8"))]
    assert [link for link in links if not (path.parent / link).exists()] == []


def test_every_setting_is_documented() -> None:
    own = set(MelleaApp.class_own_traits(config=True))
    documented = set(re.findall(r"^\| `(\w+)` \|", page("settings.md"), re.MULTILINE))
    assert documented == own


def test_every_setting_that_a_page_shows_exists() -> None:
    shown = {
        name
        for path in PAGES
        for name in re.findall(r"\bMelleaApp\.(\w+)", path.read_text(encoding="utf-8"))
    }
    assert shown <= set(MelleaApp.class_own_traits(config=True))


def test_every_route_is_documented() -> None:
    text = page("rest.md")
    assert [path for path, _ in ROUTES if f"/api{path}`" not in text] == []


def test_every_command_and_flag_is_documented() -> None:
    text = page("cli.md")
    missing = []
    for name, command in commands().items():
        if not re.search(rf"^\| `{name}\b|^## `{name}`", text, re.MULTILINE):
            missing.append(name)
        flags = {option for action in command._actions for option in action.option_strings}
        shared = {"-h", "--help", "--env", "--follow", "-y", "--json"}
        missing += [f"{name} {flag}" for flag in sorted(flags - shared) if flag not in text]
    assert missing == []


def commands() -> dict[str, argparse.ArgumentParser]:
    """The parsers of the commands, by name."""
    (subparsers,) = (
        action
        for action in make_parser()._actions
        if isinstance(action, argparse._SubParsersAction)
    )
    return dict(subparsers.choices)
