"""Datasets over REST, on a real server with a real store of objects, and what programs see."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import boto3  # type: ignore[import-untyped]
import httpx
import pytest

from mellea_jupyter.testing.server import JupyterServer
from tests.s3 import s3_variables

NOT_FOUND, UNPROCESSABLE, TOO_LARGE = 404, 422, 413

READER = """
import os, sys
from pathlib import Path
from mellea_jupyter import current_run
path = current_run().dataset("train")
assert os.environ["MELLEA_DATASET_TRAIN"] == str(path)
files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
for each in files:
    print(each.relative_to(path.parent).as_posix(), each.read_text())
    assert each.stat().st_mode & 0o777 == 0o444, oct(each.stat().st_mode)
sys.exit(3)
"""


@pytest.fixture(scope="module")
def s3(s3_endpoint: str) -> Iterator[Any]:
    variables = s3_variables(s3_endpoint)
    client = boto3.client(
        "s3",
        endpoint_url=variables["AWS_ENDPOINT_URL"],
        region_name=variables["AWS_REGION"],
        aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
    )
    client.create_bucket(Bucket="team")
    yield client
    client.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, s3: Any) -> Iterator[JupyterServer]:
    home = tmp_path_factory.mktemp("server")
    options = ["--MelleaApp.grace_seconds=1.5", "--MelleaApp.max_dataset_mb=1"]
    environment = s3_variables(s3.meta.endpoint_url)
    with JupyterServer(home, options=options, environment=environment) as running:
        running.write("reader.py", READER)
        yield running


def register(http: httpx.Client, **origin: str) -> Any:
    reply = http.post("api/datasets", json=origin)
    assert reply.status_code == 201, reply.text
    return reply.json()


def bound(dataset_id: str, version: str | None = None) -> dict[str, Any]:
    binding = {"name": "train", "dataset_id": dataset_id}
    return {"datasets": [{**binding, "version": version} if version else binding]}


def read(http: httpx.Client, server: JupyterServer, config: dict[str, Any]) -> tuple[Any, str]:
    """A run of the reader, which fails on purpose, and what it printed."""
    run = server.create(http, "reader.py", **config)
    return end(http, server, run["id"])


def end(http: httpx.Client, server: JupyterServer, run_id: str) -> tuple[Any, str]:
    ended = server.wait_for(http, run_id)
    log = http.get(f"api/runs/{run_id}/logs", params={"download": "text"}).text
    return ended, log


def test_a_run_reads_the_version_of_its_creation_and_so_does_its_retry(
    http: httpx.Client, server: JupyterServer
) -> None:
    server.write("data/train.csv", "first")
    first = register(http, path="data/train.csv")
    ended, log = read(http, server, bound(first["id"]))
    assert (ended["exit_code"], log) == (3, "train.csv first\n"), log
    (binding,) = ended["config"]["datasets"]
    assert binding["version"] == first["latest"]["version"]

    server.write("data/train.csv", "second")
    second = register(http, path="data/train.csv", name="Training")
    assert (second["id"], second["name"]) == (first["id"], "Training")
    assert register(http, path="data/train.csv")["name"] == "Training"
    retried = http.post(f"api/runs/{ended['id']}/retry").json()
    assert retried["config"]["datasets"] == [binding]
    assert end(http, server, retried["id"])[1] == "train.csv first\n"
    assert read(http, server, bound(first["id"], "latest"))[1] == "train.csv second\n"
    prefix = first["latest"]["version"][:8]
    assert read(http, server, bound(first["id"], prefix))[1] == "train.csv first\n"

    versions = http.get(f"api/datasets/{first['id']}/versions").json()["versions"]
    assert [each["version"] for each in versions] == [
        second["latest"]["version"], first["latest"]["version"],
    ]  # fmt: skip


def test_a_folder_keeps_its_paths_and_a_run_starts_warm_with_it(
    http: httpx.Client, server: JupyterServer
) -> None:
    server.write("set/a.txt", "a")
    server.write("set/deep/b.txt", "b")
    os.mkfifo(server.root / "set" / "pipe")
    dataset = register(http, path="set")
    assert dataset["latest"]["skipped"] == [{"path": "pipe", "reason": "a named pipe"}]
    for _ in range(20):
        ended, log = read(http, server, bound(dataset["id"]))
        assert log == "train/a.txt a\ntrain/deep/b.txt b\n"
        if ended["isolation"] == "warm":
            break
    else:
        pytest.fail(f"never warm: {ended['isolation_reason']}")
    inputs = server.data_dir / "runs" / ended["id"] / "inputs"
    assert (inputs / "train" / "deep").stat().st_mode & 0o777 == 0o555
    http.post("api/runs/bulk/delete", json={"run_ids": [ended["id"]]})
    assert not inputs.exists()


def test_objects_are_fetched_at_the_start_and_only_as_they_were(
    http: httpx.Client, server: JupyterServer, s3: Any
) -> None:
    s3.put_object(Bucket="team", Key="train/a.txt", Body=b"one")
    s3.put_object(Bucket="team", Key="train/deep/b.txt", Body=b"two")
    dataset = register(http, url="s3://team/train/")
    assert (dataset["kind"], dataset["latest"]["file_count"]) == ("url", 2)
    ended, log = read(http, server, bound(dataset["id"]))
    assert log == "train/a.txt one\ntrain/deep/b.txt two\n"
    s3.put_object(Bucket="team", Key="train/a.txt", Body=b"other")
    retried = http.post(f"api/runs/{ended['id']}/retry").json()
    failed, _ = end(http, server, retried["id"])
    assert (failed["status"], failed["status_reason"]) == ("failed", "launch_failed")
    assert "a.txt of s3://team/train/ has changed or is gone" in failed["error_message"]
    assert register(http, url="s3://team/train/")["id"] == dataset["id"]
    assert read(http, server, bound(dataset["id"]))[1].startswith("train/a.txt other\n")


@pytest.mark.parametrize(
    ("body", "status", "named"),
    [
        ({}, UNPROCESSABLE, "path or url"),
        ({"path": "a", "url": "s3://b/c"}, UNPROCESSABLE, "path or url"),
        ({"path": "../outside.csv"}, UNPROCESSABLE, "path"),
        ({"path": "/etc/hostname"}, UNPROCESSABLE, "outside the server's root"),
        ({"path": "missing.csv"}, UNPROCESSABLE, "does not exist"),
        ({"path": "big.bin"}, TOO_LARGE, "1 MiB"),
        ({"url": "s3://team/none"}, UNPROCESSABLE, "no object"),
        ({"url": "file:///etc/hostname"}, UNPROCESSABLE, "url"),
        ({"path": "big.bin", "colour": "red"}, UNPROCESSABLE, "colour"),
    ],
    ids=str,
)
def test_what_can_not_be_a_dataset_is_refused_and_nothing_is_registered(
    http: httpx.Client, server: JupyterServer, body: dict[str, str], status: int, named: str
) -> None:
    (server.root / "big.bin").write_bytes(os.urandom((1 << 20) + 1))
    before = http.get("api/datasets").json()["datasets"]
    reply = http.post("api/datasets", json=body)
    assert reply.status_code == status, reply.text
    assert named in f"{reply.json()['message']} {reply.json()['details']}"
    assert http.get("api/datasets").json()["datasets"] == before


@pytest.mark.parametrize(
    ("config", "status", "named"),
    [
        ({"datasets": [{"name": "a", "dataset_id": "ds_no"}]}, NOT_FOUND, "No dataset"),
        ({"datasets": [{"name": "a b", "dataset_id": "ID"}]}, UNPROCESSABLE, "datasets.0.name"),
        ({"datasets": [{"name": "a", "dataset_id": "ID", "version": "abcdef99"}]},
         UNPROCESSABLE, "config.datasets.0.version"),
        ({"datasets": [{"name": "a", "dataset_id": "ID"}, {"name": "A", "dataset_id": "ID"}]},
         UNPROCESSABLE, "there twice"),
    ],
    ids=str,
)  # fmt: skip
def test_a_run_with_a_wrong_binding_is_refused(
    http: httpx.Client, server: JupyterServer, config: Any, status: int, named: str
) -> None:
    server.write("small.txt", "s")
    dataset = register(http, path="small.txt")
    for each in config["datasets"]:
        each["dataset_id"] = each["dataset_id"].replace("ID", dataset["id"])
    asset = http.post("api/assets", json={"path": "reader.py"}).json()
    before = http.get("api/runs/summary").json()["total_runs"]
    reply = http.post("api/runs", json={"asset_id": asset["id"], "config": config})
    assert reply.status_code == status, reply.text
    assert named in f"{reply.json()['message']} {reply.json()['details']}"
    assert http.get("api/runs/summary").json()["total_runs"] == before


def test_a_deleted_dataset_is_gone_and_its_runs_stay_readable(
    http: httpx.Client, server: JupyterServer
) -> None:
    server.write("gone.txt", "g")
    dataset = register(http, path="gone.txt")
    ended, _ = read(http, server, bound(dataset["id"]))
    assert http.delete(f"api/datasets/{dataset['id']}").json()["id"] == dataset["id"]
    for path in (f"api/datasets/{dataset['id']}", f"api/datasets/{dataset['id']}/versions"):
        assert http.get(path).status_code == NOT_FOUND
    again = http.get(f"api/runs/{ended['id']}").json()
    assert again["config"]["datasets"][0]["dataset_id"] == dataset["id"]
    reply = http.post(f"api/runs/{ended['id']}/retry")
    assert (reply.status_code, reply.json()["code"]) == (NOT_FOUND, "dataset_not_found")
