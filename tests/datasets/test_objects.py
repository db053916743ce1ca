"""Objects of an S3 store: what is at a URL, and getting exactly that later."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mellea_jupyter.datasets.objects import Stopped, fetch, look_up
from mellea_jupyter.exceptions import InvalidInput, LaunchFailed
from mellea_jupyter.models.datasets import DatasetKind


def put(s3: Any, key: str, content: str) -> None:
    s3.put_object(Bucket="data", Key=key, Body=content.encode())


def never() -> bool:
    return False


def test_one_object_is_found_and_fetched_read_only(s3: Any, tmp_path: Path) -> None:
    put(s3, "deep/train.csv", "a,b\n")
    found = look_up("s3://data/deep/train.csv")
    assert (found.kind, found.name) == (DatasetKind.URL, "train.csv")
    assert [(file.path, file.size_bytes) for file in found.files] == [("train.csv", 4)]
    fetch("s3://data/deep/train.csv", found.files, tmp_path, should_stop=never)
    fetched = tmp_path / "train.csv"
    assert (fetched.read_text(), fetched.stat().st_mode & 0o777) == ("a,b\n", 0o444)


@pytest.mark.parametrize("url", ["s3://data/set/", "s3://data/"])
def test_a_prefix_keeps_the_paths_below_it(url: str, s3: Any, tmp_path: Path) -> None:
    for key, content in (("set/a.txt", "a"), ("set/in/b.txt", "b"), ("set/in/", "")):
        put(s3, key, content)
    found = look_up(url)
    below = "" if url.endswith("set/") else "set/"
    assert [file.path for file in found.files] == [f"{below}a.txt", f"{below}in/b.txt"]
    fetch(url, found.files, tmp_path, should_stop=never)
    assert (tmp_path / below / "in" / "b.txt").read_text() == "b"


def test_an_object_that_others_lie_below_is_left_out_and_listed(s3: Any) -> None:
    put(s3, "set/a", "file and folder")
    put(s3, "set/a/b.txt", "b")
    found = look_up("s3://data/set/")
    assert [file.path for file in found.files] == ["a/b.txt"]
    assert [(each.path, each.reason) for each in found.skipped] == [
        ("a", "other objects lie below it")
    ]


def test_the_version_follows_the_content(s3: Any) -> None:
    put(s3, "a.txt", "one")
    first = look_up("s3://data/a.txt").version
    assert look_up("s3://data/a.txt").version == first
    put(s3, "a.txt", "two")
    assert look_up("s3://data/a.txt").version != first
    put(s3, "a.txt", "one")
    assert look_up("s3://data/a.txt").version == first


@pytest.mark.parametrize("change", ["overwrite", "delete"])
def test_an_object_that_is_not_as_it_was_is_not_fetched(
    change: str, s3: Any, tmp_path: Path
) -> None:
    put(s3, "a.txt", "one")
    files = look_up("s3://data/a.txt").files
    if change == "overwrite":
        put(s3, "a.txt", "two")
    else:
        s3.delete_object(Bucket="data", Key="a.txt")
    with pytest.raises(LaunchFailed, match="changed or is gone") as caught:
        fetch("s3://data/a.txt", files, tmp_path, should_stop=never)
    assert "Register" in caught.value.hint
    assert not (tmp_path / "a.txt").exists()


def test_a_fetch_that_is_not_wanted_any_more_ends(s3: Any, tmp_path: Path) -> None:
    put(s3, "a.txt", "one")
    files = look_up("s3://data/a.txt").files
    with pytest.raises(Stopped):
        fetch("s3://data/a.txt", files, tmp_path, should_stop=lambda: True)


def test_a_store_that_does_not_answer_is_said_when_a_run_starts(
    s3: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(s3, "a.txt", "one")
    files = look_up("s3://data/a.txt").files
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(LaunchFailed, match=r"a\.txt of s3://data/a\.txt can not be fetched") as e:
        fetch("s3://data/a.txt", files, tmp_path, should_stop=never)
    assert "test-secret" not in str(e.value)


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("s3://data/missing.txt", "there is no object at"),
        ("s3://data/nothing/", "there are no objects below"),
        ("s3://nobucket/a.txt", "there is no object at|can not be read"),
        ("file:///etc/passwd", "not the URL of an object store"),
        ("http://127.0.0.1/a", "not the URL of an object store"),
        ("memory:///a", "not the URL of an object store"),
        ("train.csv", "not the URL of an object store"),
        ("s3://", "not the URL of an object store"),
        ("s3://key:secret@data/a.txt", "user name or password"),
        ("s3://data/a?versionId=1", "has a query"),
        ("s3://data/../other", "`..`"),
    ],
)
def test_what_is_no_dataset_is_refused(url: str, named: str, s3: Any) -> None:
    with pytest.raises(InvalidInput, match=named) as caught:
        look_up(url)
    assert caught.value.field == "url"
    assert "secret" not in str(caught.value)
