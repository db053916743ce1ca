"""Requests that are sent again, and runs that are run again."""

from __future__ import annotations

import httpx

from mellea_jupyter.testing.server import JupyterServer


def test_a_key_sent_again_gives_the_same_run(server: JupyterServer, http: httpx.Client) -> None:
    path = server.write("fine.py", "print('fine')\n")
    asset_id = http.post("api/assets", json={"path": path}).json()["id"]
    headers = {"Idempotency-Key": "key-1"}
    body = {"asset_id": asset_id, "config": {"args": ["a"]}}
    first = http.post("api/runs", json=body, headers=headers)
    again = http.post("api/runs", json=body, headers=headers)
    other = http.post("api/runs", json={"asset_id": asset_id}, headers=headers)
    assert (first.status_code, again.status_code, other.status_code) == (201, 200, 422)
    assert first.json()["id"] == again.json()["id"]


def test_a_retry_clicked_twice_with_one_key_is_one_run(
    server: JupyterServer, http: httpx.Client
) -> None:
    run = server.create(http, server.write("bad.py", "raise SystemExit(4)\n"))
    server.wait_for(http, run["id"])
    url, headers = f"api/runs/{run['id']}/retry", {"Idempotency-Key": "retry-1"}
    first = http.post(url, json={}, headers=headers)
    again = http.post(url, json={}, headers=headers)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["id"] == again.json()["id"]
    assert first.json()["attempt"] == 2


def test_a_retry_runs_the_source_of_the_first_run(
    server: JupyterServer, http: httpx.Client
) -> None:
    path = server.write("changing.py", "print('as it was')\nraise SystemExit(1)\n")
    run = server.create(http, path)
    server.wait_for(http, run["id"])
    server.write("changing.py", "print('as it is now')\n")
    retried = http.post(f"api/runs/{run['id']}/retry", json={}).json()
    server.wait_for(http, retried["id"])
    log = http.get(f"api/runs/{retried['id']}/logs", params={"download": "text"}).text
    assert log == "as it was\n"
    source = http.get(f"api/runs/{retried['id']}/source").json()
    assert "as it was" in source["files"][0]["text"]


def test_a_program_registered_again_is_the_same_asset_with_a_new_version(
    server: JupyterServer, http: httpx.Client
) -> None:
    path = server.write("versioned.py", "print(1)\n")
    first = http.post("api/assets", json={"path": path}).json()
    server.write("versioned.py", "print(2)\n")
    second = http.post("api/assets", json={"path": path}).json()
    assert first["id"] == second["id"]
    assert first["version"] != second["version"]


def test_a_masked_secret_is_not_taken_for_its_value(
    server: JupyterServer, http: httpx.Client
) -> None:
    path = server.write("fine.py", "print('fine')\n")
    asset_id = http.post("api/assets", json={"path": path}).json()["id"]
    config = {"env_vars": {"MY_API_KEY": "••••"}}
    reply = http.post("api/runs", json={"asset_id": asset_id, "config": config})
    assert reply.status_code == 422
    assert reply.json()["details"]["field"] == "config.env_vars.MY_API_KEY"
