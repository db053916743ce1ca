"""The version of a pinned program inside and outside a git work tree."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from mellea_jupyter.assets import pin
from mellea_jupyter.models.assets import AssetCreate


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    command = ["git", *identity, "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "a.py").write_text("import b")
    (folder / "sub" / "b.py").write_text("")
    (folder / ".gitignore").write_text("ignored*\n")
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "first")
    return folder


def version(root: Path, path: str) -> str:
    return pin(AssetCreate(path=path), root=root, store_dir=root.parent / "store").version


def test_an_unchanged_program_has_the_commit_as_its_version(root: Path) -> None:
    commit = git(root, "rev-parse", "HEAD")
    (root / "sub" / "untracked.txt").write_text("not part of the program")
    (root / "sub" / ".env").write_text("not pinned")
    assert version(root, "sub/a.py") == commit


def test_a_changed_import_makes_the_program_dirty(root: Path) -> None:
    commit = git(root, "rev-parse", "HEAD")
    (root / "sub" / "b.py").write_text("changed = 1")
    first = version(root, "sub/a.py")
    assert first.startswith(f"{commit}+dirty.")
    assert len(first) == len(commit) + len("+dirty.") + 12
    (root / "sub" / "b.py").write_text("changed = 2")
    assert version(root, "sub/a.py") != first


@pytest.mark.parametrize("name", ["new.py", "ignored.py", "ignored/main.py", "sp ace\u00e9*.py"])
def test_a_file_that_git_does_not_track_is_dirty(root: Path, name: str) -> None:
    (root / name).parent.mkdir(exist_ok=True)
    (root / name).write_text("")
    assert "+dirty." in version(root, name)


def test_a_large_folder_is_asked_about_as_a_whole(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mellea_jupyter.assets.git._MOST_ARGUMENTS", 1)
    commit = git(root, "rev-parse", "HEAD")
    assert version(root, "sub/a.py") == commit
    (root / "sub" / "b.py").write_text("changed = 1")
    assert "+dirty." in version(root, "sub/a.py")


def test_without_a_commit_a_work_tree_or_git_the_content_is_the_version(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "a.py").write_text("")
    assert version(outside, "a.py").startswith("sha256:")
    git(outside, "init", "-q")
    assert version(outside, "a.py").startswith("sha256:")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert version(root, "sub/a.py").startswith("sha256:")


def test_a_git_that_hangs_is_given_up(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = tmp_path / "bin" / "git"
    slow.parent.mkdir()
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{slow.parent}:/usr/bin:/bin")
    monkeypatch.setattr("mellea_jupyter.assets.git.GIT_TIMEOUT_SECONDS", 0.2)
    assert version(root, "sub/a.py").startswith("sha256:")
