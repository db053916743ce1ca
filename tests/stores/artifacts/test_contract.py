"""What every artifact store does with an output folder, whatever a program left in it."""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import obstore
import pytest

from mellea_jupyter.exceptions import ArtifactNotFound
from mellea_jupyter.models.artifacts import ArtifactList
from mellea_jupyter.stores.artifacts import walk
from mellea_jupyter.stores.artifacts.base import ArtifactStore
from mellea_jupyter.stores.artifacts.object_store import ObjectArtifactStore

MIB = 1 << 20


@pytest.fixture(params=["local", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ArtifactStore:
    if request.param == "local":
        return ObjectArtifactStore(tmp_path / "store")
    request.getfixturevalue("s3")
    return ObjectArtifactStore("s3://data/kept")


@pytest.fixture
def outputs(tmp_path: Path) -> Path:
    folder = tmp_path / "outputs"
    folder.mkdir()
    return folder


def collect(
    store: ArtifactStore, outputs: Path, run_id: str = "run", quota: int = 100 * MIB
) -> ArtifactList:
    return store.collect(run_id, outputs, quota_bytes=quota)


def blobs(store: ArtifactStore) -> list[str]:
    """Keys of the stored contents."""
    assert isinstance(store, ObjectArtifactStore)
    return [each["path"] for part in obstore.list(store._store, prefix="blobs") for each in part]


def skipped(listed: ArtifactList) -> dict[str, str]:
    return {entry.path: entry.reason for entry in listed.skipped}


@pytest.mark.parametrize("size", [0, 1, 5 * MIB + 3])
def test_a_file_is_kept_with_all_that_is_known_of_it(
    store: ArtifactStore, outputs: Path, size: int
) -> None:
    data = os.urandom(size)
    (outputs / "deep" / "er").mkdir(parents=True)
    (outputs / "deep" / "er" / "naïve plot.png").write_bytes(data)
    listed = collect(store, outputs)
    (artifact,) = listed.artifacts
    assert (artifact.path, artifact.name) == ("deep/er/naïve plot.png", "naïve plot.png")
    assert (artifact.content_type, artifact.run_id) == ("image/png", "run")
    assert artifact.size_bytes == listed.total_bytes == size
    assert artifact.checksum == hashlib.sha256(data).hexdigest()
    assert b"".join(store.iter_bytes(artifact)) == data
    assert b"".join(store.iter_bytes(artifact, start=1)) == data[1:]
    assert b"".join(store.iter_bytes(artifact, start=0, end=size + 9)) == data
    assert b"".join(store.iter_bytes(artifact, start=2, end=5)) == data[2:5]
    assert listed.skipped == ()


def test_artifacts_are_ordered_by_path_with_stable_ids(store: ArtifactStore, outputs: Path) -> None:
    (outputs / "a").mkdir()
    for name in ("b.txt", "a/z.txt", "a.txt", "a/b.txt"):
        (outputs / name).write_text(name)
    first = collect(store, outputs)
    assert [a.path for a in first.artifacts] == ["a.txt", "a/b.txt", "a/z.txt", "b.txt"]
    assert collect(store, outputs) == first
    other = collect(store, outputs, "other")
    assert {a.id for a in other.artifacts}.isdisjoint(a.id for a in first.artifacts)


def test_nothing_but_regular_files_is_opened(
    store: ArtifactStore, outputs: Path, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    (outputs / "link").symlink_to(secret)
    (outputs / "folder link").symlink_to(tmp_path)
    (outputs / "dangling").symlink_to("nowhere")
    os.mkfifo(outputs / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        here = Path.cwd()
        os.chdir(outputs)  # a socket's path has to be short
        try:
            server.bind("socket")
        finally:
            os.chdir(here)
    (outputs / "real.txt").write_text("x")
    listed = collect(store, outputs)
    assert [a.path for a in listed.artifacts] == ["real.txt"]
    assert skipped(listed) == {
        "dangling": "link", "folder link": "link", "link": "link", "pipe": "not_regular",
        "socket": "not_regular",
    }  # fmt: skip


def test_an_output_folder_that_is_a_link_or_missing_gives_nothing(
    store: ArtifactStore, outputs: Path, tmp_path: Path
) -> None:
    (outputs / "a.txt").write_text("x")
    (tmp_path / "link").symlink_to(outputs)
    assert collect(store, tmp_path / "link").artifacts == ()
    assert collect(store, tmp_path / "nowhere") == ArtifactList()


def test_our_own_folder_is_not_an_artifact(store: ArtifactStore, outputs: Path) -> None:
    (outputs / ".mellea").mkdir()
    (outputs / ".mellea" / "output.json").write_text("{}")
    (outputs / "sub" / ".mellea").mkdir(parents=True)
    (outputs / "sub" / ".mellea" / "theirs").write_text("x")
    assert [a.path for a in collect(store, outputs).artifacts] == ["sub/.mellea/theirs"]


def test_what_does_not_fit_the_quota_is_listed(store: ArtifactStore, outputs: Path) -> None:
    for name, size in (("a", 4), ("b", 7), ("c", 6)):
        (outputs / name).write_bytes(b"x" * size)
    os.truncate(outputs / "b", 1 << 40)
    listed = collect(store, outputs, quota=10)
    assert [a.path for a in listed.artifacts] == ["a", "c"]
    assert skipped(listed) == {"b": "quota"}
    assert listed.skipped[0].size_bytes == 1 << 40
    assert listed.total_bytes == 10


@pytest.mark.parametrize("size", [100, 6 * MIB])
@pytest.mark.parametrize("change", ["grow", "shrink", "touch"])
def test_a_file_that_changes_while_it_is_read_is_not_kept(
    store: ArtifactStore, outputs: Path, monkeypatch: pytest.MonkeyPatch, size: int, change: str
) -> None:
    path = outputs / "busy"
    path.write_bytes(b"x" * size)
    read = walk.read

    def interfering(file: walk.Found) -> Iterator[bytes]:
        chunks = read(file)
        if change == "grow":
            with path.open("ab") as more:
                more.write(b"y" * size)
        elif change == "shrink":
            os.truncate(path, size // 2)
        else:
            os.utime(path, (1, 1))
        yield from chunks

    monkeypatch.setattr(walk, "read", interfering)
    listed = collect(store, outputs)
    assert listed.artifacts == ()
    assert skipped(listed) == {"busy": "changed"}
    assert not list((outputs.parent / "store").glob("staging/*"))


def test_what_can_not_be_read_is_listed(
    store: ArtifactStore, outputs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (outputs / "closed").mkdir()
    (outputs / "private").touch()
    opened = os.open

    def refusing(path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if path in {"closed", "private"}:  # permissions would not stop root
            raise PermissionError(13, "Permission denied", path)
        return opened(path, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", refusing)
    listed = skipped(collect(store, outputs))
    monkeypatch.undo()
    assert listed == {"closed": "unreadable", "private": "unreadable"}


def test_names_that_are_no_text_and_bottomless_trees(store: ArtifactStore, outputs: Path) -> None:
    (outputs / os.fsdecode(b"\xff.txt")).touch()
    folder = outputs
    for _ in range(70):
        folder /= "d"
    folder.mkdir(parents=True)
    (folder / "file").touch()
    reasons = skipped(collect(store, outputs))
    assert reasons.pop("\ufffd.txt") == "name"
    assert set(reasons.values()) == {"too_deep"}


def test_runs_share_bytes_and_are_deleted_in_any_order(store: ArtifactStore, outputs: Path) -> None:
    (outputs / "same.txt").write_text("same")
    one = collect(store, outputs, "one").artifacts[0]
    two = collect(store, outputs, "two").artifacts[0]
    assert len(blobs(store)) == 1
    store.delete_run("one")
    store.delete_run("one")
    assert b"".join(store.iter_bytes(two)) == b"same"
    store.delete_run("two")
    for artifact in (one, two):
        for start in (0, 4):
            with pytest.raises(ArtifactNotFound):
                list(store.iter_bytes(artifact, start=start))
    assert blobs(store) == []


def test_a_file_that_can_still_be_changed_is_copied_and_others_are_linked(
    outputs: Path, tmp_path: Path
) -> None:
    store = ObjectArtifactStore(tmp_path / "store")
    for name in ("sealed", "written", "shared"):
        (outputs / name).write_text(name)
    os.link(outputs / "shared", tmp_path / "elsewhere")
    with (outputs / "written").open("a") as writer:
        listed = collect(store, outputs)
        writer.write(" later")
    (tmp_path / "elsewhere").write_text("changed")
    kept = {a.path: b"".join(store.iter_bytes(a)).decode() for a in listed.artifacts}
    assert kept == {name: name for name in ("sealed", "written", "shared")}
    names = {name: (outputs / name).stat().st_nlink for name in kept}
    assert names == {"sealed": 2, "written": 1, "shared": 2}  # the blob is another name
    assert (outputs / "sealed").stat().st_mode & 0o777 == 0o444


def test_no_descriptor_is_left_open(store: ArtifactStore, outputs: Path) -> None:
    (outputs / "a").mkdir()
    (outputs / "a" / "b").write_text("x")
    collect(store, outputs)
    folder = Path("/proc/self/fd")
    if folder.exists():  # Linux
        opened = [each.readlink() for each in folder.iterdir() if each.is_symlink()]
        assert opened
        assert not [path for path in opened if path.is_relative_to(outputs.parent)]
