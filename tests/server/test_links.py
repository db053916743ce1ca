"""Download links through a real server, used as people use them: without a token."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

import httpx
import pytest

from mellea_jupyter.testing.server import JupyterServer

PROGRAM = """
import os, pathlib
folder = pathlib.Path(os.environ["MELLEA_OUTPUT_DIR"])
(folder / "ä b.txt").write_text("0123456789")
(folder / "other.txt").write_text("other")
"""


@pytest.fixture(scope="module")
def artifacts(server: JupyterServer) -> list[dict[str, Any]]:
    with server.http() as http:
        run = server.create(http, server.write("files.py", PROGRAM))
        kept: list[dict[str, Any]] = server.wait_for(http, run["id"])["artifacts"]
        return sorted(kept, key=lambda each: str(each["path"]))


def path_of(artifact: dict[str, Any], verb: str) -> str:
    return f"api/runs/{artifact['run_id']}/artifacts/{artifact['id']}/{verb}"


def test_a_link_downloads_one_artifact_without_a_token(
    http: httpx.Client, artifacts: list[dict[str, Any]]
) -> None:
    other, artifact = artifacts
    reply = http.post(path_of(artifact, "url"), json={"expires_in": 60})
    assert reply.status_code == 200
    url = reply.json()["url"]
    assert reply.json()["expires_at"].endswith("Z")
    with httpx.Client() as stranger:
        whole = stranger.get(url)
        assert (whole.status_code, whole.text) == (200, "0123456789")
        assert whole.headers["Content-Disposition"].startswith("attachment")
        assert whole.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
        part = stranger.get(url, headers={"Range": "bytes=2-4"})
        assert (part.status_code, part.text) == (206, "234")
        elsewhere = url.replace(artifact["id"], other["id"])
        for wrong in (url[:-1], elsewhere):
            refused = stranger.get(wrong)
            assert (refused.status_code, refused.json()["code"]) == (403, "permission_denied")
            assert "Ask for a new one" in refused.json()["hint"]
        bare = url.partition("?")[0]
        assert stranger.get(bare).status_code == 422
        assert stranger.get(bare.removesuffix("/signed")).status_code in (403, 302)


def test_the_server_s_log_does_not_have_the_signature(
    server: JupyterServer, http: httpx.Client, artifacts: list[dict[str, Any]]
) -> None:
    url = http.post(path_of(artifacts[0], "url"), json={}).json()["url"]
    signature = url.rpartition("link_key=")[2]
    with httpx.Client() as stranger:
        assert stranger.get(url).status_code == 200
        assert stranger.get(url + "0").status_code == 403
    log = server.log()
    assert f"{artifacts[0]['id']}/signed" in log
    assert signature not in log
    assert unquote(signature) not in log


@pytest.mark.parametrize("seconds", [0, -1, 7 * 24 * 3600 + 1, "x"])
def test_a_time_that_no_link_has_is_refused(
    http: httpx.Client, artifacts: list[dict[str, Any]], seconds: object
) -> None:
    reply = http.post(path_of(artifacts[0], "url"), json={"expires_in": seconds})
    assert reply.status_code == 422
    assert "expires_in" in reply.json()["message"]


def test_no_link_is_made_for_what_is_not_there(
    http: httpx.Client, artifacts: list[dict[str, Any]]
) -> None:
    unknown = {**artifacts[0], "id": "art_nothing"}
    assert http.post(path_of(unknown, "url"), json={}).status_code == 404


def test_a_link_to_a_deleted_run_is_404(server: JupyterServer, http: httpx.Client) -> None:
    run = server.wait_for(http, server.create(http, server.write("files.py", PROGRAM))["id"])
    url = http.post(path_of(run["artifacts"][0], "url"), json={}).json()["url"]
    assert http.post("api/runs/bulk/delete", json={"run_ids": [run["id"]]}).status_code == 200
    with httpx.Client() as stranger:
        assert stranger.get(url).status_code == 404
