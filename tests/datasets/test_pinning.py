"""What becomes of a file or folder that is registered, and what is refused."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from mellea_jupyter import clock
from mellea_jupyter.datasets import blobs, pinning
from mellea_jupyter.datasets.blobs import blob_path, place, sweep
from mellea_jupyter.datasets.inputs import Input, fill, make_writable
from mellea_jupyter.datasets.objects import Stopped
from mellea_jupyter.datasets.pinning import Pinned, pin_path
from mellea_jupyter.exceptions import InvalidInput, QuotaExceeded, StoreError
from mellea_jupyter.models.datasets import Dataset, DatasetKind, DatasetVersion

MANY = 1 << 30


class Scene:
    """A root folder to register from, and a store."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "root"
        self.store = folder / "store"
        self.root.mkdir()

    def write(self, name: str, content: str = "x") -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        return path

    def pin(self, path: str, max_bytes: int = MANY) -> Pinned:
        return pin_path(path, root=self.root, store_dir=self.store, max_bytes=max_bytes)

    def blobs(self) -> list[Path]:
        return [path for path in (self.store / "blobs").rglob("*") if path.is_file()]


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_a_file_is_kept_by_its_content_and_not_with_the_original(scene: Scene) -> None:
    original = scene.write("train.csv", "a,b\n")
    pinned = scene.pin("train.csv")
    assert (pinned.kind, pinned.name, pinned.place) == (DatasetKind.FILE, "train.csv", "train.csv")
    original.write_text("changed")
    (file,) = pinned.files
    blob = blob_path(scene.store, file.checksum)
    assert (blob.read_text(), blob.stat().st_mode & 0o777) == ("a,b\n", 0o444)
    assert blob.stat().st_ino != original.stat().st_ino
    assert len(pinned.version) == 64


def test_the_same_content_has_the_same_version_wherever_it_is(scene: Scene) -> None:
    scene.write("one/deep/a.txt", "a")
    scene.write("two/deep/a.txt", "a")
    one, two = scene.pin("one"), scene.pin("two")
    assert [file.path for file in one.files] == ["deep/a.txt"]
    assert one.version == two.version
    assert len(scene.blobs()) == 1
    scene.write("two/deep/a.txt", "b")
    assert scene.pin("two").version != one.version


def test_a_folder_leaves_out_what_is_no_data_and_says_so(scene: Scene, tmp_path: Path) -> None:
    (tmp_path / "outside.txt").write_text("secret")
    scene.write("data/good.txt")
    scene.write("data/.git/config")
    scene.write("data/.env", "KEY=1")
    (scene.root / "data/out").symlink_to(tmp_path / "outside.txt")
    (scene.root / "data/nowhere").symlink_to("missing")
    (scene.root / "data/inside").symlink_to("good.txt")
    (scene.root / "data/back").symlink_to(".")
    os.mkfifo(scene.root / "data/pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.relpath(scene.root / "data/sock"))
        pinned = scene.pin("data")
    assert [file.path for file in pinned.files] == ["good.txt", "inside"]
    assert {each.path: each.reason for each in pinned.skipped} == {
        ".env": "never part of a dataset",
        ".git": "never part of a dataset",
        "back": "a link that leads back",
        "nowhere": "a link that leads out or nowhere",
        "out": "a link that leads out or nowhere",
        "pipe": "a named pipe",
        "sock": "a socket",
    }


def test_a_name_that_is_not_utf_8_is_left_out(scene: Scene) -> None:
    scene.write("data/good.txt")
    (scene.root / "data" / os.fsdecode(b"bad\xff")).write_text("x")
    pinned = scene.pin("data")
    assert [file.path for file in pinned.files] == ["good.txt"]
    assert [each.reason for each in pinned.skipped] == ["its name is not UTF-8"]


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("", "is empty"),
        ("missing.csv", "does not exist"),
        ("../outside.txt", "goes up with '..'"),
        ("/etc/hostname", "outside the server's root folder"),
        ("out", "outside the server's root folder"),
        ("pipe", "is a named pipe"),
        ("hollow", "'hollow' has no files"),
        ("odd", r"has no files; left out were out \(a link that leads out"),
        ("a\0b", "NUL"),
    ],
)
def test_what_can_not_be_a_dataset_is_refused(
    path: str, named: str, scene: Scene, tmp_path: Path
) -> None:
    (tmp_path / "outside.txt").write_text("secret")
    (scene.root / "out").symlink_to(tmp_path / "outside.txt")
    (scene.root / "hollow").mkdir()
    (scene.root / "odd").mkdir()
    (scene.root / "odd" / "out").symlink_to(tmp_path / "outside.txt")
    os.mkfifo(scene.root / "pipe")
    with pytest.raises(InvalidInput, match=named) as caught:
        scene.pin(path)
    assert caught.value.field == "path"
    assert not scene.store.exists() or scene.blobs() == []


def test_a_dataset_over_the_limit_is_refused_and_leaves_no_half_file(scene: Scene) -> None:
    scene.write("data/a", "x" * 700)
    scene.write("data/b", "x" * 400)
    assert scene.pin("data", 1100).size_bytes == 1100
    with pytest.raises(QuotaExceeded, match="larger than the 0 MiB") as caught:
        scene.pin("data", 1099)
    assert "max_dataset_mb" in caught.value.hint
    assert [path.name for path in scene.blobs() if path.name.startswith(".new-")] == []


def test_a_file_that_changes_once_is_read_again_and_one_that_always_does_is_refused(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = scene.write("grows.log", "start")
    real_hash, times = blobs._copy, []

    def copy(*args: object) -> object:
        outcome = real_hash(*args)  # type: ignore[arg-type]
        times.append(path.stat().st_size)
        if len(times) < changes:
            path.write_text("x" * (10 + len(times)))
        return outcome

    monkeypatch.setattr(blobs, "_copy", copy)
    monkeypatch.setattr(blobs, "_clone", lambda *_: False)
    changes = 2
    assert scene.pin("grows.log", 20).size_bytes == 11
    changes = 99
    with pytest.raises(InvalidInput, match="changes while it is read"):
        scene.pin("grows.log")
    assert len(times) == 2 + pinning.ATTEMPTS


def test_too_many_files_are_refused(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pinning, "MAX_FILES", 2)
    for name in "abc":
        scene.write(f"data/{name}")
    with pytest.raises(QuotaExceeded, match="more than 2 files"):
        scene.pin("data")


def test_a_disk_that_is_full_is_said(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    scene.write("a.txt")
    monkeypatch.setattr(blobs, "_settle", full)
    with pytest.raises(QuotaExceeded, match="No space left") as caught:
        scene.pin("a.txt")
    assert caught.value.details["scope"] == "store"
    assert scene.blobs() == []


@pytest.mark.parametrize("account", [0, 1000])
def test_a_placed_file_is_read_only_and_of_its_own_where_that_protects_others(
    account: int, scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.write("a.txt", "whole")
    (file,) = scene.pin("a.txt").files
    monkeypatch.setattr(os, "geteuid", lambda: account)
    monkeypatch.setattr(blobs, "_clone", lambda *_: False)
    target = tmp_path / "placed"
    place(file, scene.store, target)
    assert (target.read_text(), target.stat().st_mode & 0o777) == ("whole", 0o444)
    is_link = target.stat().st_ino == blob_path(scene.store, file.checksum).stat().st_ino
    assert is_link is (account != 0)


def test_a_blob_that_was_written_to_is_found_out_and_repaired(scene: Scene, tmp_path: Path) -> None:
    scene.write("a.txt", "whole")
    (file,) = scene.pin("a.txt").files
    blob = blob_path(scene.store, file.checksum)
    blob.chmod(0o644)
    blob.write_text("whale")
    with pytest.raises(StoreError, match="was changed") as caught:
        place(file, scene.store, tmp_path / "placed")
    assert "again" in caught.value.hint
    with pytest.raises(StoreError, match="is missing"):
        place(file, scene.store, tmp_path / "placed")
    scene.pin("a.txt")
    place(file, scene.store, tmp_path / "placed")
    os.utime(blob)  # touched, and still whole
    place(file, scene.store, tmp_path / "placed2")
    assert (tmp_path / "placed2").read_text() == "whole"


def test_the_sweep_takes_what_nobody_has_or_used_for_a_while(scene: Scene) -> None:
    scene.write("data/a", "a")
    scene.write("data/b", "b")
    one, two = (file.checksum for file in scene.pin("data").files)
    assert sweep(scene.store, lambda _: False, 60) == 0
    assert sweep(scene.store, one.__eq__, -1) == 1
    assert [path.name for path in scene.blobs()] == [one]
    (scene.store / "blobs" / ".new-half").write_text("half")
    assert sweep(scene.store, {one, two}.__contains__, -1) == 1
    assert sweep(scene.store / "missing", lambda _: False, -1) == 0


def test_inputs_are_read_only_until_they_are_made_writable(scene: Scene, tmp_path: Path) -> None:
    scene.write("data/deep/a.txt", "a")
    pinned = scene.pin("data")
    now = clock.now()
    latest = DatasetVersion(version=pinned.version, file_count=1, size_bytes=1, created_at=now)
    dataset = Dataset(
        id="ds_1", kind=pinned.kind, name="data", path="data", owner_id="ada", latest=latest,
        created_at=now, updated_at=now,
    )  # fmt: skip
    inputs = tmp_path / "inputs"
    inputs.mkdir()
    for _ in range(2):  # a second time, as after a crash half-way
        paths = fill(
            inputs, [Input("d", dataset, pinned.files)], scene.store, should_stop=lambda: False
        )
    assert (Path(paths["d"]) / "deep" / "a.txt").read_text() == "a"
    assert (inputs / "d" / "deep").stat().st_mode & 0o777 == 0o555
    with pytest.raises(Stopped):
        fill(inputs, [Input("d", dataset, pinned.files)], scene.store, should_stop=lambda: True)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o500)
    (inputs / "link").symlink_to(elsewhere)
    make_writable(inputs / "link")
    assert elsewhere.stat().st_mode & 0o777 == 0o500
    make_writable(inputs)
    assert (inputs / "d").stat().st_mode & 0o777 == 0o700
