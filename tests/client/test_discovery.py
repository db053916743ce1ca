"""How a server is found, in which order, and what is never trusted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mellea_jupyter.client import ServerNotFound, discovery, local_server
from mellea_jupyter.client.discovery import find_server, iter_candidates
from tests.client.fake_server import TOKEN, FakeServer


def _list(runtime: Path, url: str, root: Path, pid: int, token: str = TOKEN) -> None:
    runtime.mkdir(parents=True, exist_ok=True)
    info = {"url": url, "root_dir": str(root), "pid": pid, "token": token, "base_url": "/"}
    (runtime / f"jpserver-{pid}.json").write_text(json.dumps(info))


@pytest.fixture
def runtime(tmp_path: Path) -> Path:
    return tmp_path / "runtime"


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text(f"{TOKEN}\n")
    path.chmod(0o600)
    return path


def test_the_servers_own_variables_come_first(
    fake: FakeServer, token_file: Path, runtime: Path
) -> None:
    _list(runtime, fake.url, fake.root, os.getpid(), token="wrong")
    environ = {
        "MELLEA_JUPYTER_URL": fake.url,
        "MELLEA_JUPYTER_TOKEN_FILE": str(token_file),
        "JPY_PARENT_PID": str(os.getpid()),
    }
    found = find_server(fake.root / "trip.py", environ=environ, start=False)
    assert found.found == "MELLEA_JUPYTER_URL of this process"
    assert found.token == TOKEN
    assert (found.root_dir, found.pid) == (fake.root, os.getpid())  # from the server's info file


def test_a_token_file_that_others_can_read_is_not_used(fake: FakeServer, token_file: Path) -> None:
    token_file.chmod(0o644)
    environ = {"MELLEA_JUPYTER_URL": fake.url, "MELLEA_JUPYTER_TOKEN_FILE": str(token_file)}
    assert list(iter_candidates(environ)) == []


def test_the_hubs_variables(fake: FakeServer) -> None:
    environ = {
        "JUPYTERHUB_SERVICE_URL": fake.url,
        "JUPYTERHUB_API_TOKEN": TOKEN,
        "JUPYTER_SERVER_ROOT": str(fake.root),
    }
    found = find_server(fake.root / "trip.py", environ=environ, start=False)
    assert found.found == "the server of this hub user"


def test_the_parent_before_any_other_server(
    fake: FakeServer, runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent = os.getppid()
    _list(runtime, fake.url, fake.root, parent)
    _list(runtime, "http://127.0.0.1:9/", fake.root, os.getpid())
    monkeypatch.setattr(discovery, "_is_same_python", lambda _: True)
    found = find_server(environ={"JPY_PARENT_PID": str(parent)}, start=False)
    assert (found.found, found.pid) == ("the server of this kernel", parent)


def test_the_narrowest_root_that_holds_the_program(
    fake: FakeServer, runtime: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(discovery, "_is_same_python", lambda _: True)
    _list(runtime, fake.url, tmp_path, os.getpid())
    _list(runtime, fake.url, fake.root, os.getppid())
    assert find_server(fake.root / "x.py", environ={}, start=False).root_dir == fake.root
    assert find_server(tmp_path / "x.py", environ={}, start=False).root_dir == tmp_path
    with pytest.raises(ServerNotFound, match="not in its root folder"):
        find_server(Path("/elsewhere.py"), environ={}, start=False)


def test_a_server_of_another_python_is_not_taken(
    fake: FakeServer, runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _list(runtime, fake.url, fake.root, os.getpid())
    assert [each.pid for each in iter_candidates({})] == [os.getpid()]
    monkeypatch.setattr(sys, "executable", "/somewhere/else/bin/python")
    assert list(iter_candidates({})) == []


def test_servers_that_are_gone_or_have_no_url_are_passed_over(
    fake: FakeServer, runtime: Path
) -> None:
    _list(runtime, fake.url, fake.root, 2**22 + 1)  # over the highest process id
    _list(runtime, "http+unix://%2Ftmp%2Fsock", fake.root, os.getpid())
    (runtime / "jpserver-1.json").write_text("{half")
    assert list(iter_candidates({})) == []


def test_a_server_without_our_extension_says_so(fake: FakeServer, runtime: Path) -> None:
    fake.answer("GET", "/api/environments", 404, b"{}")
    _list(runtime, fake.url, fake.root, os.getpid())
    with pytest.raises(ServerNotFound, match="has no mellea-jupyter API") as caught:
        find_server(environ={}, start=False)
    assert TOKEN not in str(caught.value)


def test_a_wildcard_address_is_asked_on_the_loopback(fake: FakeServer, runtime: Path) -> None:
    port = fake.url.split(":")[2].split("/")[0]
    _list(runtime, f"http://0.0.0.0:{port}/base/", fake.root, os.getpid())
    assert find_server(environ={}, start=False).base_url == f"http://127.0.0.1:{port}/base/"


def test_a_given_url_of_this_machine_brings_its_token_and_root(
    fake: FakeServer, runtime: Path
) -> None:
    _list(runtime, fake.url.replace("127.0.0.1", "localhost"), fake.root, os.getpid())
    given = discovery.given(fake.url)
    assert (given.token, given.root_dir) == (TOKEN, fake.root)
    assert discovery.given("http://example.org:1/").token == ""


def test_a_state_file_of_a_process_that_is_another_one_is_not_believed(runtime: Path) -> None:
    files = local_server.state_files()
    files.folder.mkdir(parents=True)
    state = {
        "url": "http://127.0.0.1:1/", "token": "x", "root_dir": "/",
        "pid": os.getpid(), "process_started": 12.0,
    }  # fmt: skip
    files.state.write_text(json.dumps(state))
    assert local_server.find() is None
    files.state.write_text("[]")
    assert local_server.find() is None


@pytest.mark.parametrize("command", [["python"], ["bin/python"], ["{folder}/bin/python"]])
def test_a_server_is_of_this_python_however_its_command_was_written(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    arguments = [command[0].format(folder=tmp_path), "-I", "-c", "print(flush=True); input()"]
    environment = {"PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    with subprocess.Popen(
        arguments, cwd=tmp_path, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        executable=tmp_path / "bin" / "python",
    ) as server:  # fmt: skip
        assert server.stdout is not None
        server.stdout.readline()  # its command is in place
        monkeypatch.setattr(sys, "executable", str(tmp_path / "bin" / "python3"))
        assert discovery._is_same_python(server.pid)
        server.communicate(b"\n", timeout=60)
