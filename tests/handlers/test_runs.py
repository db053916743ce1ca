from __future__ import annotations

from typing import Any

import pytest

from mellea_jupyter.exceptions import QuotaExceeded, SchemaTooNew, StoreBusy
from mellea_jupyter.models.failures import FailureSeen
from mellea_jupyter.models.pages import RunFilters
from mellea_jupyter.models.run import Run, RunStatus
from tests.handlers.conftest import Ask, body
from tests.handlers.fakes import FakeServices, make_run

MISSING = "00000000-0000-4000-8000-000000000000"


async def test_create_answers_201_with_the_queued_run(ask: Ask, owner_id: str) -> None:
    reply = await ask("POST", "api/runs", json={"asset_id": "prog_1", "tags": ["a", "a"]})
    assert reply.code == 201
    run = Run.model_validate_json(reply.body)
    assert (run.status, run.owner_id, run.tags) == (RunStatus.QUEUED, owner_id, ("a",))
    assert reply.headers["Cache-Control"] == "no-store"
    assert "Etag" not in reply.headers
    assert body(reply)["created_at"].endswith("Z")


async def test_the_alias_prefix_serves_the_same_run(ask: Ask) -> None:
    created = body(await ask("POST", "mellea/api/runs", json={"asset_id": "prog_1"}))
    assert body(await ask("GET", f"api/runs/{created['id']}")) == created
    assert body(await ask("GET", f"mellea/api/runs/{created['id']}")) == created


async def test_an_idempotency_key_replays_with_200_and_refuses_another_body(ask: Ask) -> None:
    key = {"Idempotency-Key": "k1"}
    first = await ask("POST", "api/runs", json={"asset_id": "prog_1"}, headers=key)
    again = await ask("POST", "api/runs", json={"asset_id": "prog_1"}, headers=key)
    other = await ask("POST", "api/runs", json={"asset_id": "prog_1", "name": "x"}, headers=key)
    assert (first.code, again.code, other.code) == (201, 200, 422)
    assert body(first) == body(again)
    assert body(other)["code"] == "idempotency_conflict"
    long = {"Idempotency-Key": "k" * 201}
    refused = await ask("POST", "api/runs", json={"asset_id": "prog_1"}, headers=long)
    assert (refused.code, body(refused)["details"]["field"]) == (422, "Idempotency-Key")


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({}, "asset_id"),
        ({"asset_id": 5}, "asset_id"),
        ({"asset_id": "prog_1", "speed": 1}, "speed"),
        ({"asset_id": "prog_1", "config": {"timeout_seconds": "60"}}, "config.timeout_seconds"),
        ({"asset_id": "prog_1", "config": {"timeout_seconds": 0}}, "config.timeout_seconds"),
        ({"asset_id": "prog_1", "config": {"timeout_seconds": 1e9}}, "config.timeout_seconds"),
        ({"asset_id": "prog_1", "config": {"env_vars": {"A-B": "x"}}}, "config.env_vars.A-B"),
        ({"asset_id": "prog_1", "config": {"args": ["a\0b"]}}, "config.args"),
        (
            {"asset_id": "prog_1", "config": {"strict_requirements": 1}},
            "config.strict_requirements",
        ),
        ([], "body"),
        (None, "body"),
    ],
)
async def test_a_wrong_body_is_422_and_names_the_field(
    ask: Ask, services: FakeServices, sent: Any, field: str
) -> None:
    reply = await ask("POST", "api/runs", json=sent)
    assert reply.code == 422
    error = body(reply)
    assert error["code"] == "invalid_input"
    assert error["details"]["field"] == field
    assert error["message"].startswith(f"{field}: ")
    assert not services.runs.runs


async def test_a_wrong_secret_value_is_not_repeated_in_the_error(ask: Ask) -> None:
    sent = {"asset_id": "prog_1", "config": {"env_vars": {"MY_KEY": ["hunter2"]}}}
    reply = await ask("POST", "api/runs", json=sent)
    assert reply.code == 422
    assert b"hunter2" not in reply.body


@pytest.mark.parametrize("raw", ["{", "", "{'a': 1}", '{"asset_id": NaN}', "\udcff"])
async def test_a_body_that_is_not_json_is_400(ask: Ask, raw: str) -> None:
    json_type = {"Content-Type": "application/json"}
    sent = raw.encode("utf-8", "surrogateescape")
    reply = await ask("POST", "api/runs", body=sent, headers=json_type)
    assert reply.code == 400
    assert body(reply)["code"] == "bad_request"


async def test_a_body_over_the_limit_is_413(ask: Ask, services: FakeServices, app: Any) -> None:
    app.max_body_bytes = 2000
    reply = await ask("POST", "api/runs", json={"asset_id": "prog_1", "note": "x" * 3000})
    assert (reply.code, body(reply)["code"]) == (413, "too_large")
    assert not services.runs.runs


async def test_a_body_of_another_type_is_415_and_none_is_needed_without_a_body(
    ask: Ask, services: FakeServices, owner_id: str
) -> None:
    text = {"Content-Type": "text/plain"}
    reply = await ask("POST", "api/runs", body='{"asset_id": "prog_1"}', headers=text)
    assert (reply.code, body(reply)["code"]) == (415, "unsupported_media_type")
    failed = services.runs.put(make_run(owner_id, status="failed"))
    retried = await ask("POST", f"api/runs/{failed.id}/retry", headers=text)
    assert retried.code == 201


@pytest.mark.parametrize(
    "said", [{}, {"Content-Type": "application/json; charset=utf-8"}, {"Content-Type": "a/b+json"}]
)
async def test_json_is_taken_also_where_the_client_does_not_say_so(
    ask: Ask, said: dict[str, str]
) -> None:
    reply = await ask("POST", "api/runs", body='{"asset_id": "prog_1"}', headers=said)
    assert reply.code == 201


async def test_an_unknown_asset_is_404(ask: Ask) -> None:
    reply = await ask("POST", "api/runs", json={"asset_id": "prog_9"})
    assert (reply.code, body(reply)["code"]) == (404, "asset_not_found")
    assert body(reply)["details"] == {"id": "prog_9"}


async def test_the_list_passes_all_filters_on(ask: Ask, services: FakeServices) -> None:
    reply = await ask(
        "GET",
        "api/runs?status=failed&status=running&owner_id=ann&asset_id=prog_1&model=openai/gpt-4o"
        "&tags=a&tags=b&started_after=2026-01-15T10:30:00Z&started_before=2026-01-16T00:00:00Z"
        "&fingerprint=f1&fingerprint=f2&search=lisbon&sort=-cost&limit=1000&_=1699&_xsrf=y&no_track_activity=1",
    )
    assert reply.code == 200, reply.body
    query = services.runs.queries[-1]
    assert [each.value for each in query.status] == ["failed", "running"]
    assert (query.owner_id, query.asset_id, query.tags) == (("ann",), ("prog_1",), ("a", "b"))
    assert (query.model, query.search, query.sort) == (("openai/gpt-4o",), "lisbon", "-cost")
    assert (query.limit, query.fingerprint) == (1000, ("f1", "f2"))
    assert query.started_after is not None
    assert query.started_after.isoformat() == "2026-01-15T10:30:00+00:00"


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=1001", "limit"),
        ("limit=0", "limit"),
        ("limit=x", "limit"),
        ("limit=1&limit=2", "limit"),
        ("status=done", "status.0"),
        ("started_after=2026-01-15T10:30:00", "started_after"),
        ("colour=red", "colour"),
        ("purge=true", "purge"),
        ("cursor=zzz", "cursor"),
    ],
)
async def test_a_wrong_query_is_422_and_names_the_parameter(
    ask: Ask, query: str, field: str
) -> None:
    reply = await ask("GET", f"api/runs?{query}")
    assert reply.code == 422
    assert body(reply)["details"]["field"] == field


async def test_one_failed_run_is_read_with_how_often_that_was_seen(
    ask: Ask, services: FakeServices, owner_id: str
) -> None:
    why = {
        "category": "user_code", "type": "runtime_error", "confidence": 0.9, "retryable": False,
        "summary": "KeyError", "suggestion": "Look at the line.", "fingerprint": "f1",
    }  # fmt: skip
    run = services.runs.put(make_run(owner_id, status="failed", error_classification=why))
    at = "2026-01-15T10:30:00.000Z"
    services.runs.seen = FailureSeen.model_validate(
        {"count": 4, "first_seen_at": at, "last_seen_at": at}
    )
    read = body(await ask("GET", f"api/runs/{run.id}"))
    assert read["seen"] == {"count": 4, "first_seen_at": at, "last_seen_at": at}
    (listed,) = body(await ask("GET", "api/runs"))["runs"]
    assert listed["seen"] is None


async def test_a_cache_buster_without_a_name_is_ignored(jp_fetch: Any, ask: Ask) -> None:
    reply = await jp_fetch("api", "runs", params={"1699999999": ""})
    assert reply.code == 200


async def test_own_runs_are_those_of_the_owner_also_for_an_administrator(
    ask: Ask, services: FakeServices, owner_id: str
) -> None:
    own = services.runs.put(make_run(owner_id))
    services.runs.put(make_run("somebody-else"))
    assert len(body(await ask("GET", "api/runs"))["runs"]) == 2
    listed = body(await ask("GET", "api/users/me/runs"))["runs"]
    assert [run["id"] for run in listed] == [own.id]
    refused = await ask("GET", "api/users/me/runs?owner_id=somebody-else")
    assert (refused.code, body(refused)["details"]["field"]) == (422, "owner_id")


async def test_runs_of_an_asset_need_the_asset(ask: Ask, services: FakeServices) -> None:
    assert (await ask("GET", "api/assets/prog_1/runs")).code == 404
    await ask("POST", "api/assets", json={"path": "trip.py"})
    assert (await ask("GET", "api/assets/prog_1/runs?limit=3")).code == 200
    assert services.runs.queries[-1].asset_id == ("prog_1",)
    assert (await ask("GET", "api/assets/prog_1/runs?asset_id=prog_2")).code == 422


async def test_cancel_is_202_and_409_with_the_run_when_it_has_ended(
    ask: Ask, services: FakeServices, owner_id: str
) -> None:
    run = services.runs.put(make_run(owner_id, status="running"))
    reply = await ask("DELETE", f"api/runs/{run.id}")
    assert reply.code == 202
    assert body(reply)["cancel_requested_by"] == owner_id
    ended = services.runs.put(make_run(owner_id, status="succeeded"))
    refused = await ask("DELETE", f"api/runs/{ended.id}")
    assert (refused.code, body(refused)["code"]) == (409, "illegal_transition")
    assert body(refused)["details"]["run"] == ended.to_json()


async def test_a_mistyped_parameter_does_not_cancel(
    ask: Ask, services: FakeServices, owner_id: str
) -> None:
    run = services.runs.put(make_run(owner_id, status="running"))
    assert (await ask("DELETE", f"api/runs/{run.id}?purge=true")).code == 422
    assert services.runs.runs[run.id] == run


async def test_retry_makes_a_linked_run_or_is_409(
    ask: Ask, services: FakeServices, owner_id: str
) -> None:
    failed = services.runs.put(make_run(owner_id, status="failed"))
    overrides = {"config_overrides": {"timeout_seconds": 5, "env_vars": {"A": None}}}
    reply = await ask("POST", f"api/runs/{failed.id}/retry", json=overrides)
    assert reply.code == 201
    assert (body(reply)["retry_of"], body(reply)["attempt"]) == (failed.id, 2)
    running = services.runs.put(make_run(owner_id, status="running"))
    assert (await ask("POST", f"api/runs/{running.id}/retry")).code == 409


async def test_patch_changes_only_what_is_given(
    ask: Ask, services: FakeServices, owner_id: str
) -> None:
    run = services.runs.put(make_run(owner_id, name="old", note="kept"))
    reply = await ask("PATCH", f"api/runs/{run.id}", json={"name": None, "pinned": True})
    assert reply.code == 200
    assert (body(reply)["name"], body(reply)["note"], body(reply)["pinned"]) == (None, "kept", True)
    assert (await ask("PATCH", f"api/runs/{run.id}", json={"status": "failed"})).code == 422


async def test_bulk_cancel_and_delete_answer_by_run(
    ask: Ask, services: FakeServices, owner_id: str
) -> None:
    run = services.runs.put(make_run(owner_id, status="running"))
    reply = await ask("POST", "api/runs/bulk/cancel", json={"run_ids": [run.id, MISSING]})
    assert (reply.code, body(reply)[run.id]) == (200, "cancelled")
    assert body(reply)[MISSING].startswith("error: No run")
    deleted = await ask("POST", "api/runs/bulk/delete", json={"run_ids": [run.id]})
    assert body(deleted) == {run.id: "deleted"}
    assert (await ask("POST", "api/runs/bulk/delete", json={"run_ids": []})).code == 422


async def test_the_summary_takes_filters_and_a_grouping(ask: Ask, services: FakeServices) -> None:
    path = "api/runs/summary?status=failed&group_by=day&utc_offset_minutes=-300"
    reply = await ask("GET", path)
    assert (reply.code, body(reply)["total_runs"]) == (200, 0)
    filters, grouping = services.runs.summaries[-1]
    assert type(filters) is RunFilters
    assert filters.status == (RunStatus.FAILED,)
    assert grouping == {"group_by": "day", "utc_offset_minutes": -300}
    assert (await ask("GET", "api/runs/summary?group_by=colour")).code == 422
    assert (await ask("GET", "api/runs/summary?utc_offset_minutes=900")).code == 422


async def test_what_a_run_holds(ask: Ask, services: FakeServices, owner_id: str) -> None:
    run = services.runs.put(make_run(owner_id, metrics={"llm_calls": 3}))
    assert body(await ask("GET", f"api/runs/{run.id}/metrics"))["llm_calls"] == 3
    calls = body(await ask("GET", f"api/runs/{run.id}/calls?after=5&limit=10"))
    assert calls == {"calls": [], "next": 15}
    loops = body(await ask("GET", f"api/runs/{run.id}/loops?after=5&limit=10"))
    assert loops == {"loops": [], "next": 15}
    assert body(await ask("GET", f"api/runs/{run.id}/calls/1/content"))["reply"] == "hello"
    unknown = await ask("GET", f"api/runs/{run.id}/calls/2/content")
    assert (unknown.code, body(unknown)["code"]) == (404, "call_not_found")
    assert (await ask("GET", f"api/runs/{run.id}/calls/0/content")).code == 404
    usage = body(await ask("GET", f"api/runs/{run.id}/usage"))
    assert usage == {"points": [{"t": 1, "memory_mb": 2, "cpu_seconds": 3, "cost_usd": None}]}
    outputs = body(await ask("GET", f"api/runs/{run.id}/outputs"))
    assert outputs[0]["data"] == {"city": "Lisbon"}
    assert body(await ask("GET", f"api/runs/{run.id}/source"))["entry_point"] == "trip.py"


async def test_assets_and_environments(ask: Ask) -> None:
    created = await ask("POST", "api/assets", json={"path": "trip.py"})
    assert created.code == 201
    asset = body(created)
    assert body(await ask("GET", "api/assets")) == {"assets": [asset], "next": None}
    assert body(await ask("GET", f"api/assets/{asset['id']}")) == asset
    wrong = await ask("POST", "api/assets", json={"path": "a.py", "source": "b"})
    assert (wrong.code, body(wrong)["message"]) == (
        422,
        "body: give either path or source, not both",
    )
    environments = body(await ask("GET", "api/environments"))["environments"]
    assert environments[0]["id"] == "default"


@pytest.mark.parametrize(
    "path",
    [
        "", "/logs", "/logs?download=text", "/logs/stream", "/artifacts", "/artifacts/art_1",
        "/metrics", "/calls", "/calls/1/content", "/loops", "/usage", "/outputs", "/source",
    ],
)  # fmt: skip
async def test_another_users_run_is_404_everywhere(
    ask: Ask, services: FakeServices, acting_as: Any, path: str
) -> None:
    run = services.runs.put(make_run("ann"))
    acting_as("bob")
    hidden = await ask("GET", f"api/runs/{run.id}{path}")
    missing = await ask("GET", f"api/runs/{MISSING}{path}")
    assert hidden.code == missing.code == 404
    assert body(hidden)["code"] == body(missing)["code"] == "run_not_found"
    if not path:
        assert (await ask("DELETE", f"api/runs/{run.id}")).code == 404
        assert (await ask("PATCH", f"api/runs/{run.id}", json={"name": "x"})).code == 404
        assert (await ask("POST", f"api/runs/{run.id}/retry")).code == 404
    acting_as("root", is_admin=True)
    assert (await ask("GET", f"api/runs/{run.id}")).code == 200


@pytest.mark.parametrize(
    ("failure", "status", "code"),
    [
        (StoreBusy("The store is busy"), 503, "store_busy"),
        (SchemaTooNew("Written by a newer version"), 503, "schema_too_new"),
        (QuotaExceeded("Too much"), 413, "quota_exceeded"),
        (QuotaExceeded("Full", scope="store"), 507, "quota_exceeded"),
        (PermissionError("/home/ann/secret"), 500, "internal_error"),
        (KeyError("hunter2"), 500, "internal_error"),
    ],
)
async def test_errors_of_the_service_have_a_status_and_do_not_leak(
    ask: Ask, services: FakeServices, failure: Exception, status: int, code: str
) -> None:
    services.runs.failure = failure
    reply = await ask("GET", f"api/runs/{MISSING}", headers={"X-Request-Id": "seen-1"})
    assert (reply.code, body(reply)["code"]) == (status, code)
    assert body(reply)["request_id"] == reply.headers["X-Request-Id"] == "seen-1"
    assert b"secret" not in reply.body
    assert b"hunter2" not in reply.body
    assert ("Retry-After" in reply.headers) == (status == 503)
