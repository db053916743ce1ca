from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest

from mellea_jupyter import clock
from mellea_jupyter.models.artifacts import ArtifactRef, SkippedArtifact
from mellea_jupyter.models.run import Run
from tests.handlers.conftest import Ask, body
from tests.handlers.fakes import FakeServices, make_run

CONTENT = b"<script>alert(1)</script>"


@pytest.fixture
def run(services: FakeServices, owner_id: str) -> Run:
    run = make_run(owner_id, status="succeeded", asset_name="trip.py")
    artifact = ArtifactRef(
        id="art_1",
        run_id=run.id,
        name="Reise nach Lissabon, größer 1.html",
        path="reports/Reise nach Lissabon, größer 1.html",
        content_type="text/html",
        size_bytes=len(CONTENT),
        created_at=clock.now(),
        checksum=hashlib.sha256(CONTENT).hexdigest(),
    )
    services.results.contents["art_1"] = CONTENT
    skipped = SkippedArtifact(path="big.bin", reason="quota", size_bytes=9)
    return services.runs.put(run.changed(artifacts=(artifact,), artifacts_skipped=(skipped,)))


async def test_the_list_has_kept_and_skipped_files(ask: Ask, run: Run) -> None:
    listed = body(await ask("GET", f"api/runs/{run.id}/artifacts"))
    assert [each["id"] for each in listed["artifacts"]] == ["art_1"]
    assert listed["skipped"][0]["reason"] == "quota"
    assert listed["total_bytes"] == len(CONTENT)


async def test_a_download_is_an_attachment_that_can_not_run(ask: Ask, run: Run) -> None:
    reply = await ask("GET", f"api/runs/{run.id}/artifacts/art_1")
    assert (reply.code, reply.body) == (200, CONTENT)
    assert reply.headers["Content-Type"] == "text/html"
    assert reply.headers["Content-Length"] == str(len(CONTENT))
    assert reply.headers["X-Content-Type-Options"] == "nosniff"
    assert reply.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    disposition = reply.headers["Content-Disposition"]
    name = "Reise%20nach%20Lissabon%2C%20gr%C3%B6%C3%9Fer%201.html"
    assert disposition == f"attachment; filename*=utf-8''{name}"


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=5-", 5, 24),
        ("bytes=-4", 21, 24),
        ("bytes=3-999", 3, 24),
        ("bytes=-999", 0, 24),
    ],
)
async def test_a_range_goes_on_with_a_download(
    ask: Ask, run: Run, asked: str, first: int, last: int
) -> None:
    reply = await ask("GET", f"api/runs/{run.id}/artifacts/art_1", headers={"Range": asked})
    assert (reply.code, reply.body) == (206, CONTENT[first : last + 1])
    assert reply.headers["Content-Range"] == f"bytes {first}-{last}/{len(CONTENT)}"


async def test_ranges_we_do_not_serve(ask: Ask, run: Run) -> None:
    path = f"api/runs/{run.id}/artifacts/art_1"
    outside = await ask("GET", path, headers={"Range": "bytes=900-"})
    assert (outside.code, body(outside)["code"]) == (416, "range_not_satisfiable")
    assert outside.headers["Content-Range"] == f"bytes */{len(CONTENT)}"
    for asked in ("bytes=0-1,3-4", "lines=0-1", "bytes=-"):
        assert (await ask("GET", path, headers={"Range": asked})).body == CONTENT
    changed = {"Range": "bytes=5-", "If-Range": '"another"'}
    assert (await ask("GET", path, headers=changed)).code == 200


async def test_an_unknown_artifact_is_404(ask: Ask, run: Run) -> None:
    reply = await ask("GET", f"api/runs/{run.id}/artifacts/art_2")
    assert (reply.code, body(reply)["code"]) == (404, "artifact_not_found")


async def test_a_preview_is_json_and_only_for_those_who_may_see_the_run(
    ask: Ask, run: Run, acting_as: Callable[..., None]
) -> None:
    path = f"api/runs/{run.id}/artifacts/art_1/preview"
    reply = await ask("GET", path)
    assert reply.headers["Content-Type"].startswith("application/json")
    shown = body(reply)
    assert (shown["kind"], shown["text"]) == ("html", CONTENT.decode())
    acting_as("mallory")
    assert (await ask("GET", path)).code == 404


async def test_all_artifacts_come_as_one_archive(ask: Ask, run: Run) -> None:
    reply = await ask("GET", f"api/runs/{run.id}/artifacts.zip")
    assert (reply.code, reply.body) == (200, CONTENT)
    assert reply.headers["Content-Type"] == "application/zip"
    assert reply.headers["X-Content-Type-Options"] == "nosniff"
    disposition = reply.headers["Content-Disposition"]
    assert disposition == f"attachment; filename*=utf-8''trip-{run.id[:6]}-artifacts.zip"


async def test_the_archive_of_somebody_else_is_404(
    ask: Ask, run: Run, acting_as: Callable[..., None]
) -> None:
    acting_as("mallory")
    reply = await ask("GET", f"api/runs/{run.id}/artifacts.zip")
    assert (reply.code, body(reply)["code"]) == (404, "run_not_found")
