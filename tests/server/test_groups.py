"""Groups: runs that are started together, all or none, and compared."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from mellea_jupyter.testing.server import JupyterServer
from tests.server.by_model import GOOD, POOR, PROGRAM, ByModel

UNKNOWN = "00000000-0000-4000-8000-000000000000"
QUICK = "import sys\nprint(sys.argv[1:])\n"


@pytest.fixture(scope="module")
def llm() -> Iterator[ByModel]:
    with ByModel() as endpoint:
        yield endpoint


def register(server: JupyterServer, http: httpx.Client, name: str, source: str) -> str:
    asset = http.post("api/assets", json={"path": server.write(name, source)}).json()
    return str(asset["id"])


def total(http: httpx.Client) -> int:
    return int(http.get("api/runs/summary").json()["total_runs"])


def wait_for_group(
    server: JupyterServer, http: httpx.Client, group: dict[str, Any]
) -> list[dict[str, Any]]:
    return [server.wait_for(http, run["id"]) for run in group["runs"]]


def rows(comparison: dict[str, Any], section: str) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in comparison["rows"] if row["section"] == section}


def values(row: dict[str, Any]) -> list[Any]:
    return [each["value"] for each in row["values"]]


def test_models_that_are_run_together_are_compared(
    server: JupyterServer, http: httpx.Client, llm: ByModel
) -> None:
    asset_id = register(server, http, "greet.py", PROGRAM)
    body = {
        "asset_id": asset_id,
        "config": {"env_vars": llm.variables},
        "variants": [{"model": GOOD}, {"model": POOR}],
        "repeat": 2,
        "tags": ["sweep"],
    }
    reply = http.post("api/runs/bulk/create", json=body)
    assert reply.status_code == 201
    group = reply.json()
    assert [run["config"]["model"] for run in group["runs"]] == [GOOD, POOR, GOOD, POOR]
    assert {run["group_id"] for run in group["runs"]} == {group["group_id"]}
    ended = wait_for_group(server, http, group)
    assert {run["status"] for run in ended} == {"succeeded"}

    listed = http.get("api/runs", params={"group_id": group["group_id"], "sort": "created_at"})
    assert [run["id"] for run in listed.json()["runs"]] == [run["id"] for run in group["runs"]]
    summary = http.get("api/runs/summary", params={"group_id": group["group_id"]}).json()
    assert (summary["total_runs"], summary["llm_calls"]) == (4, 6)

    compared = http.get("api/runs/compare", params={"group_id": group["group_id"]}).json()
    assert compared["group_id"] == group["group_id"]
    labels = [column["label"] for column in compared["columns"]]
    assert labels == [f"{GOOD} #1", f"{GOOD} #2", f"{POOR} #1", f"{POOR} #2"]
    assert [column["runs"][0]["is_unmet"] for column in compared["columns"]] == [
        False, False, True, True,
    ]  # fmt: skip
    assert values(rows(compared, "configuration")["model"]) == [GOOD, GOOD, POOR, POOR]
    assert values(rows(compared, "resolved")["models_used"]) == [GOOD, GOOD, POOR, POOR]
    requirements = rows(compared, "requirements")
    hello = requirements["The text has hello in it."]
    assert [(each["value"], each["of"]) for each in hello["values"]] == [
        (1, 1), (1, 1), (2, 2), (2, 2),
    ]  # fmt: skip
    guest = requirements["The text has guest in it."]
    assert [(each["value"], each["of"]) for each in guest["values"]] == [
        (1, 1), (1, 1), (0, 2), (0, 2),
    ]  # fmt: skip
    assert values(requirements["loops_met"]) == [1, 1, 0, 0]
    outputs = rows(compared, "outputs")
    assert values(outputs["greeting"]) == ["hello guest", "hello guest", "hello", "hello"]
    assert (outputs["greeting"]["differs"], outputs["language"]["differs"]) == (True, False)
    assert values(rows(compared, "metrics")["llm_calls"]) == [1, 1, 2, 2]
    assert compared["sources"] == []
    for section in ("outcome", "configuration", "metrics", "outputs"):
        differs = [row["differs"] for row in compared["rows"] if row["section"] == section]
        assert differs == sorted(differs, reverse=True)
    assert "sk-scripted" not in str(compared)


def test_a_group_of_many_has_a_column_for_each_configuration(
    server: JupyterServer, http: httpx.Client
) -> None:
    asset_id = register(server, http, "many.py", QUICK)
    variants = [{"args": ["a"]}, {"args": ["b"], "timeout_seconds": 60}]
    body = {"asset_id": asset_id, "variants": variants, "repeat": 6}
    group = http.post("api/runs/bulk/create", json=body).json()
    wait_for_group(server, http, group)
    compared = http.get("api/runs/compare", params={"group_id": group["group_id"]}).json()
    assert [len(column["runs"]) for column in compared["columns"]] == [6, 6]
    assert [column["label"] for column in compared["columns"]] == [
        "timeout_seconds=3600, args=a", "timeout_seconds=60, args=b",
    ]  # fmt: skip
    assert values(rows(compared, "outcome")["status"]) == ["succeeded", "succeeded"]
    took = rows(compared, "metrics")["total_duration_ms"]["values"][0]
    assert took["least"] <= took["value"] <= took["most"]
    assert compared["left_out_runs"] == 0


def test_the_key_of_a_request_makes_one_group(server: JupyterServer, http: httpx.Client) -> None:
    asset_id = register(server, http, "many.py", QUICK)
    body = {"asset_id": asset_id, "repeat": 3}
    headers = {"Idempotency-Key": "one-group"}
    first = http.post("api/runs/bulk/create", json=body, headers=headers)
    again = http.post("api/runs/bulk/create", json=body, headers=headers)
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json()["group_id"] == first.json()["group_id"]
    assert [run["id"] for run in again.json()["runs"]] == [
        run["id"] for run in first.json()["runs"]
    ]
    other = http.post("api/runs/bulk/create", json={**body, "repeat": 2}, headers=headers)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_conflict")
    single = http.post("api/runs", json={"asset_id": asset_id}, headers=headers)
    assert single.status_code == 422


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"repeat": 0}, "repeat"),
        ({"repeat": 101}, "repeat"),
        ({"variants": []}, "variants"),
        ({"variants": [{}] * 101}, "variants"),
        ({"variants": [{}, {"modle": "a/b"}]}, "variants.1.modle"),
        ({"variants": [{"timeout_seconds": -1}]}, "variants.0.timeout_seconds"),
        ({"variants": [{}, {"timeout_seconds": 604_799}]}, ""),
        ({"variants": [{}, {"parameters": {"city": "Faro"}}]}, "variants.1.parameters"),
        ({"config": {"parameters": {"city": "Faro"}}}, "config.parameters"),
        ({"asset_id": "prog_none"}, None),
        ({"variants": [{}, {"environment_id": "none"}]}, None),
    ],
)
def test_a_group_is_started_as_a_whole_or_not_at_all(
    server: JupyterServer, http: httpx.Client, change: dict[str, Any], field: str | None
) -> None:
    asset_id = register(server, http, "many.py", QUICK)
    before, folders = total(http), len(list((server.data_dir / "runs").iterdir()))
    reply = http.post("api/runs/bulk/create", json={"asset_id": asset_id, **change})
    if field == "":
        assert reply.status_code == 201
        return
    assert reply.status_code == (404 if field is None else 422), reply.text
    if field is not None:
        assert reply.json()["details"]["field"] == field
    assert total(http) == before
    assert len(list((server.data_dir / "runs").iterdir())) == folders


def test_a_retry_is_not_part_of_the_group(server: JupyterServer, http: httpx.Client) -> None:
    asset_id = register(server, http, "failing.py", "raise SystemExit(3)\n")
    group = http.post("api/runs/bulk/create", json={"asset_id": asset_id, "repeat": 2}).json()
    failed, _ = wait_for_group(server, http, group)
    retry = http.post(f"api/runs/{failed['id']}/retry", json={}).json()
    assert retry["group_id"] is None
    server.wait_for(http, retry["id"])
    assert http.get("api/runs", params={"group_id": group["group_id"]}).json()["next"] is None


def test_sources_that_differ_are_shown_against_the_first(
    server: JupyterServer, http: httpx.Client
) -> None:
    def run_of(lines: str) -> str:
        run = server.create(http, server.write("changing.py", lines))
        return str(server.wait_for(http, run["id"])["id"])

    server.write("helper.py", "NAME = 'ada'\n")
    first = run_of("import helper\nprint(helper.NAME)\nprint('one')\n")
    second = run_of("import helper\nprint(helper.NAME)\nprint('two')\n")
    server.write("helper.py", "NAME = 'bea'\n")
    third = run_of("print('two')\n" * 3000)
    params = {"run_id": [first, second, third]}
    compared = http.get("api/runs/compare", params=params).json()
    found = {(each["path"], tuple(each["columns"])): each for each in compared["sources"]}
    assert set(found) == {("changing.py", (1,)), ("changing.py", (2,)), ("helper.py", (2,))}
    assert "-print('one')\n+print('two')" in found["changing.py", (1,)]["diff"]
    assert found["helper.py", (2,)]["change"] == "removed"
    assert found["changing.py", (2,)]["truncated"]
    assert found["changing.py", (2,)]["diff"].count("\n") < 400
    assert len(set(values(rows(compared, "resolved")["asset_version"]))) == 3


@pytest.mark.parametrize("runs", [0, 1, 11])
def test_two_to_ten_runs_are_compared(http: httpx.Client, runs: int) -> None:
    ids = [f"{number:08d}{UNKNOWN[8:]}" for number in range(runs)]
    reply = http.get("api/runs/compare", params={"run_id": ids})
    assert (reply.status_code, reply.json()["details"]["field"]) == (422, "run_id")
    assert "2 to 10" in reply.json()["message"]


def test_runs_and_groups_that_are_not_there_are_not_compared(
    server: JupyterServer, http: httpx.Client
) -> None:
    run = server.create(http, server.write("many.py", QUICK))
    server.wait_for(http, run["id"])
    reply = http.get("api/runs/compare", params={"run_id": [run["id"], UNKNOWN]})
    assert (reply.status_code, reply.json()["code"]) == (404, "run_not_found")
    reply = http.get("api/runs/compare", params={"group_id": "grp_none"})
    assert (reply.status_code, reply.json()["code"]) == (404, "group_not_found")
