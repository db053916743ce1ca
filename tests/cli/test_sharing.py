"""`share`, `unshare`, `shares`, `audit` and `ls --shared-with-me` against a real server."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mellea_jupyter.client import AsyncMelleaClient, Connection, MelleaClient
from mellea_jupyter.client.errors import ClientError
from mellea_jupyter.client.handle import RunHandle
from mellea_jupyter.testing.people import people_options, token_of
from mellea_jupyter.testing.server import JupyterServer


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JupyterServer]:
    options = [*people_options({"ada": [], "bob": ["lab"]}), "--MelleaApp.admin_users=root"]
    with JupyterServer(tmp_path_factory.mktemp("server"), options=options) as running:
        running.write("trip.py", "raise SystemExit(3)\n")
        yield running


@pytest.fixture(scope="module")
def run_id(server: JupyterServer) -> str:
    with server.http(token=token_of(server.token, "ada")) as http:
        return str(server.wait_for(http, server.create(http, "trip.py")["id"])["id"])


def mellea(
    server: JupyterServer, folder: Path, name: str, *words: str
) -> subprocess.CompletedProcess[str]:
    """The command as one of the people types it."""
    token = folder / f"{name}.token"
    token.write_text(token_of(server.token, name))
    token.chmod(0o600)
    environment = {
        **os.environ,
        "MELLEA_JUPYTER_URL": server.url,
        "MELLEA_JUPYTER_TOKEN_FILE": str(token),
    }
    command = [sys.executable, "-m", "mellea_jupyter.cli", *words]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def test_a_run_is_shared_listed_and_unshared(
    server: JupyterServer, run_id: str, tmp_path: Path
) -> None:
    short = run_id[:8]
    private = mellea(server, tmp_path, "ada", "shares", short)
    assert (private.returncode, private.stderr.strip()) == (0, "private to ada"), private.stderr
    shared = mellea(server, tmp_path, "ada", "share", short, "--with", "group:lab",
                    "--with", "user:cleo", "--as", "operator")  # fmt: skip
    assert shared.returncode == 0, shared.stderr
    assert [line.split("  ")[:2] for line in shared.stdout.splitlines()] == [
        ["group:lab", "operator"],
        ["user:cleo", "operator"],
    ]
    listed = mellea(server, tmp_path, "bob", "ls", "--shared-with-me", "--json")
    assert [run["role"] for run in json.loads(listed.stdout)] == ["operator"]
    assert "ada (you: operator)" in mellea(server, tmp_path, "bob", "show", short).stdout
    refused = mellea(server, tmp_path, "bob", "shares", short)
    assert refused.returncode == 3
    assert "An operator of this run may not share it" in refused.stderr
    left = mellea(server, tmp_path, "ada", "unshare", short, "--with", "group:lab")
    assert left.stdout.startswith("user:cleo")
    assert "no runs" in mellea(server, tmp_path, "bob", "ls", "--shared-with-me").stderr
    wrong = mellea(server, tmp_path, "ada", "share", short, "--with", "bob")
    assert wrong.returncode == 3
    assert "user:NAME, group:NAME or everyone" in wrong.stderr


def test_the_trail_is_the_owner_s_and_the_administrator_s(
    server: JupyterServer, run_id: str, tmp_path: Path
) -> None:
    own = mellea(server, tmp_path, "ada", "audit", run_id, "--json")
    assert json.loads(own.stdout)[-1]["action"] == "create"
    table = mellea(server, tmp_path, "ada", "audit", run_id[:8]).stdout
    assert "create" in table
    refused = mellea(server, tmp_path, "ada", "audit")
    assert "Only administrators" in refused.stderr
    whole = mellea(server, tmp_path, "root", "audit", "--action", "create", "--json")
    assert run_id in {entry["run_id"] for entry in json.loads(whole.stdout)}


def test_a_program_is_shared_by_its_id(server: JupyterServer, run_id: str, tmp_path: Path) -> None:
    with server.http(token=token_of(server.token, "ada")) as http:
        asset_id = http.get(f"api/runs/{run_id}").json()["asset_id"]
    shared = mellea(server, tmp_path, "ada", "share", asset_id, "--with", "everyone")
    assert shared.stdout.startswith("everyone  may run it"), shared.stderr
    refused = mellea(
        server, tmp_path, "ada", "share", asset_id, "--with", "everyone", "--as", "viewer"
    )
    assert "has no roles" in refused.stderr
    left = mellea(server, tmp_path, "ada", "unshare", asset_id, "--with", "everyone")
    assert left.stderr.strip() == "private to ada"


def test_python_shares_with_and_without_await(server: JupyterServer, run_id: str) -> None:
    connection = Connection(server.url, token=token_of(server.token, "ada"))
    with MelleaClient(connection) as client:
        handle = RunHandle(client, client.get_run(run_id))
        assert [each.key for each in handle.share("user:dan").shares][-1] == "user:dan"
        with pytest.raises(ClientError, match="no role"):
            handle.share("user:dan", "owner")

        async def awaiting() -> None:
            async with AsyncMelleaClient(connection) as twin:
                raised = await twin.sharing.share(run_id, "user:dan", "operator")
                assert raised.shares == (await twin.sharing.shares(run_id)).shares
                entries = [each async for each in twin.sharing.iter_audit(run_id)]
                assert entries[0].details == {
                    "principal": "user:dan",
                    "role": "operator",
                    "role_before": "viewer",
                }
            await handle.aio.unshare("user:dan")

        asyncio.run(awaiting())
        with pytest.raises(ClientError, match="share"):
            handle.unshare("user:dan")
