"""No parameter leads out of the server's root folder or out of the store, however it is spelled."""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import httpx
import pytest

from mellea_jupyter.testing.server import JupyterServer
from tests.security.api import EXAMPLES, Route, routes_of

MARK = "outside-7c1e09d2"


@pytest.fixture(scope="module")
def outside(server: JupyterServer) -> Path:
    """A folder beside the root, with a program, data, and links to it from inside."""
    folder = server.root.parent / "outside"
    folder.mkdir()
    (folder / "main.py").write_text(f"print({MARK!r})\n")
    (folder / "data.csv").write_text(f"key\n{MARK}\n")
    (server.root / "inside").mkdir()
    (server.root / "inside" / "main.py").write_text("print('inside')\n")
    (server.root / "linked").symlink_to(folder)
    (server.root / "linked.py").symlink_to(folder / "main.py")
    (server.root / "inside" / "data.csv").symlink_to(folder / "data.csv")
    (server.root / "mixed").mkdir()
    (server.root / "mixed" / "main.py").write_text("print('mixed')\n")
    (server.root / "mixed" / "up").symlink_to("../../outside")
    return folder


def ways_out(folder: Path, name: str) -> list[str]:
    """Spellings of a file beside the root."""
    return [
        str(folder / name),
        f"../outside/{name}",
        f"inside/../../outside/{name}",
        f"./../outside/{name}",
        f"linked/{name}",
        "linked.py",
        f"mixed/up/{name}",
        f"..%2foutside%2f{name}",
        f"%2e%2e/outside/{name}",
        f"%252e%252e%252foutside%252f{name}",
        f"..\\outside\\{name}",
        f"..\\..\\outside/{name}",
        f"\N{FULLWIDTH FULL STOP}\N{FULLWIDTH FULL STOP}/outside/{name}",
        f"file://{folder / name}",
        f"inside/main.py\0/../../outside/{name}",
        f"//{folder / name}",
        f"~/../outside/{name}",
        "/proc/self/environ",
        "/dev/zero",
        "/etc/passwd",
        "..",
        "../",
        "/",
    ]


def test_no_program_is_taken_from_outside(
    server: JupyterServer, http: httpx.Client, outside: Path
) -> None:
    for path in ways_out(outside, "main.py"):
        for address in ("api/assets", "api/runs/check"):
            reply = http.post(address, json={"path": path})
            assert MARK not in reply.text, (address, path)
            if address == "api/assets":
                assert reply.status_code == httpx.codes.UNPROCESSABLE_ENTITY, (path, reply.text)
                assert reply.json()["hint"], path
            else:
                assert reply.json()["problems"][0]["severity"] == "error", (path, reply.text)
    for entry_point in ways_out(outside, "main.py"):
        body = {"path": "inside", "entry_point": entry_point}
        reply = http.post("api/assets", json=body)
        assert reply.status_code == httpx.codes.UNPROCESSABLE_ENTITY, (entry_point, reply.text)
    assert http.get("api/assets").json()["assets"] == []


def test_a_folder_with_a_way_out_brings_nothing_in(
    server: JupyterServer, http: httpx.Client, outside: Path
) -> None:
    """Neither what a run executes nor what its source shows is from behind the link."""
    looking = "import os\nfor base, _, names in os.walk('.', followlinks=True):\n"
    looking += "    for name in names: print(open(os.path.join(base, name)).read())\n"
    for name in ("inside", "mixed"):
        (server.root / name / "main.py").write_text(looking)
        body = {"path": name, "entry_point": "main.py"}
        reply = http.post("api/assets", json=body)
        if reply.status_code == httpx.codes.UNPROCESSABLE_ENTITY:
            assert "is outside the server's root folder" in reply.json()["message"], reply.text
            continue
        config = {"working_directory": "run"}
        run = http.post("api/runs", json={"asset_id": reply.json()["id"], "config": config}).json()
        server.wait_for(http, run["id"])
        for part in ("source", "logs?download=text"):
            assert MARK not in http.get(f"api/runs/{run['id']}/{part}").text


def test_no_dataset_is_taken_from_outside(
    server: JupyterServer, http: httpx.Client, outside: Path
) -> None:
    for path in ways_out(outside, "data.csv"):
        reply = http.post("api/datasets", json={"path": path})
        assert reply.status_code in (403, 404, 422), (path, reply.text)
        assert MARK not in reply.text
    folder = http.post("api/datasets", json={"path": "inside"})
    assert folder.status_code == httpx.codes.CREATED, folder.text
    assert [each["path"] for each in folder.json()["latest"]["skipped"]] == ["data.csv"]
    assert http.get("api/datasets").json()["datasets"] == [folder.json()]
    binding = {"name": "d", "dataset_id": folder.json()["id"]}
    for wrong in ("../../outside", "d/../../x", "a\0b", "%2e%2e"):
        for change in ({"name": wrong}, {"dataset_id": wrong}, {"version": wrong}):
            path = server.write("fine.py", "print('fine')\n")
            asset_id = http.post("api/assets", json={"path": path}).json()["id"]
            config = {"datasets": [{**binding, **change}]}
            reply = http.post("api/runs", json={"asset_id": asset_id, "config": config})
            assert reply.status_code in (404, 422), (change, reply.text)


# -- parameters in the path -------------------------------------------------------------------

SEGMENTS = (
    "..", "%2e%2e", "..%2f..%2fetc%2fpasswd", "%2e%2e%2f%2e%2e%2fspec.json", "..%5c..%5cspec.json",
    "..\\spec.json", "%00", "a%00b", "%252e%252e%252fsecrets", "%c0%ae%c0%ae%c0%afsecrets",
    "..;", "%2fetc%2fpasswd", "C:%5cWindows", "~root", ".", "%0d%0aX-Evil:%201", "%ff%fe",
)  # fmt: skip


@pytest.fixture(scope="module")
def finished(server: JupyterServer) -> dict[str, Any]:
    """A run with an artifact."""
    source = "from mellea_jupyter import current_run\n"
    source += "(current_run.output_dir / 'kept.txt').write_text('kept')\n"
    with server.http() as http:
        run = server.create(http, server.write("keeps.py", source), env_vars={"A_KEY": MARK})
        return server.wait_for(http, run["id"])


def ask(server: JupyterServer, verb: str, path: str) -> tuple[int, dict[str, str], bytes]:
    """A request whose path is sent as it stands."""
    connection = HTTPConnection("127.0.0.1", server.port, timeout=60)
    headers = {"Authorization": f"token {server.token}"}
    payload = None if verb == "get" else b"{}"
    connection.putrequest(verb.upper(), path, skip_accept_encoding=True)
    for name, value in {**headers, "Content-Length": str(len(payload or b""))}.items():
        connection.putheader(name, value)
    connection.endheaders(payload)
    try:
        reply = connection.getresponse()
        return reply.status, dict(reply.getheaders()), reply.read()
    finally:
        connection.close()


def with_segment(route: Route, values: dict[str, str]) -> Iterator[tuple[str, str]]:
    """The route's address with a wrong segment in the place of each parameter."""
    for name in EXAMPLES:
        if f"{{{name}}}" in route.path:
            for segment in SEGMENTS:
                yield segment, route.address({**values, name: segment})


def test_no_parameter_of_a_path_leads_anywhere(
    server: JupyterServer, http: httpx.Client, finished: dict[str, Any]
) -> None:
    values = {"run_id": finished["id"], "artifact_id": finished["artifacts"][0]["id"]}
    tried = 0
    for route in routes_of(http):
        if route.is_websocket:
            continue
        for segment, address in with_segment(route, values):
            status, headers, data = ask(server, route.verb, f"/{address}")
            tried += 1
            assert status in (400, 404, 405, 422), (str(route), segment, status, data[:200])
            assert b"root:" not in data, (str(route), segment)
            assert MARK.encode() not in data, (str(route), segment)
            assert "X-Evil" not in headers, (str(route), segment)
    assert tried > 300


def test_names_of_environments_are_only_names(http: httpx.Client) -> None:
    """An id is made by the server: no name that was given becomes a part of a path."""
    for name in ("../../etc", "a/b", "a\\b", "..", "%2e%2e", "x" * 90):
        made = http.post("api/environments", json={"name": name, "executor": "process"})
        assert made.status_code in (200, 201, 422), made.text
        if made.is_success:
            address = f"api/environments/{made.json()['id']}"
            assert "/" not in made.json()["id"]
            assert http.get(address).json()["name"] == name
            assert http.delete(address).is_success


# -- names that a program gives ---------------------------------------------------------------

NAMES = (
    'quo"te;x=.txt', "new\nX-Evil: 1\n.txt", "cr\rX-Evil: 1.html", "..\\..\\up.txt", "%2e%2e%2fup",
    "=cmd|' C'!A0.csv", "\u202egpj.exe", "-rf", "semi;colon.txt", "a'b.txt", "\x1b]0;title\x07.txt",
    "café 1+1.txt", "<img src=x>.html", "x" * 250,
)  # fmt: skip

NAMING = """\
import json, os
os.chdir(os.environ["MELLEA_OUTPUT_DIR"])
for name in json.loads(os.environ["NAMES"]):
    with open(name, "w") as file:
        file.write("<script>alert(1)</script>")
"""


def test_names_of_artifacts_do_nothing_in_headers_and_archives(
    server: JupyterServer, http: httpx.Client
) -> None:
    path = server.write("naming.py", NAMING)
    run = server.create(http, path, env_vars={"NAMES": json.dumps(NAMES)})
    final = server.wait_for(http, run["id"])
    assert {each["path"] for each in final["artifacts"]} == set(NAMES)
    for artifact in final["artifacts"]:
        address = f"api/runs/{run['id']}/artifacts/{artifact['id']}"
        for reply in (
            http.get(address),
            http.get(http.post(f"{address}/url", json={}).json()["url"]),
        ):
            assert reply.status_code == httpx.codes.OK
            told = reply.headers["Content-Disposition"]
            assert told.startswith("attachment; filename*=utf-8''")
            assert told.isascii()
            assert told.isprintable()
            assert not set(told.partition("''")[2]) & set(" \"';\\/<>=()|,")
            assert reply.headers["X-Content-Type-Options"] == "nosniff"
            assert reply.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
            assert "X-Evil" not in reply.headers
        shown = http.get(f"{address}/preview")
        assert shown.headers["Content-Type"] == "application/json"
        assert shown.headers["X-Content-Type-Options"] == "nosniff"
    archive = zipfile.ZipFile(io.BytesIO(http.get(f"api/runs/{run['id']}/artifacts.zip").content))
    assert len(archive.namelist()) == len(NAMES)
    for name in archive.namelist():
        assert not name.startswith("/")
        assert ".." not in name.replace("\\", "/").split("/")
        assert "\\" not in name


def test_every_download_is_a_file_to_save(server: JupyterServer, http: httpx.Client) -> None:
    """A log is the program's own words: it may be a page."""
    source = "print('<script>alert(document.cookie)</script>')\n"
    run = server.create(http, server.write("page.py", source))
    server.wait_for(http, run["id"])
    for path in ("logs?download=text", "logs?download=ndjson", "artifacts.zip"):
        reply = http.get(f"api/runs/{run['id']}/{path}")
        assert reply.headers["Content-Disposition"].startswith("attachment;")
        assert reply.headers["X-Content-Type-Options"] == "nosniff"
        assert "sandbox" in reply.headers["Content-Security-Policy"]
    for path in ("", "/logs", "/source"):
        reply = http.get(f"api/runs/{run['id']}{path}")
        assert reply.headers["Content-Type"] == "application/json"
        assert reply.headers["X-Content-Type-Options"] == "nosniff"


def test_a_program_that_replaces_its_folders_shows_nothing_of_the_machine(
    server: JupyterServer, http: httpx.Client, outside: Path
) -> None:
    """Its outputs and its journal become links to the folder outside."""
    source = """\
import os, shutil, sys
run = os.path.dirname(os.environ["MELLEA_OUTPUT_DIR"])
outside = sys.argv[1]
os.rename(run + "/outputs", run + "/outputs.old")
os.symlink(outside, run + "/outputs")
os.rename(run + "/source", run + "/source.old")
os.symlink(outside, run + "/source")
for name in os.listdir(run + "/journal"):
    if name.startswith("output."):
        os.rename(run + "/journal/" + name, run + "/journal/old." + name)
        os.symlink(outside + "/main.py", run + "/journal/" + name)
"""
    path = server.write("replaces.py", source)
    run = server.create(http, path, args=[os.fspath(outside)])
    final = server.wait_for(http, run["id"])
    for part in ("", "/logs", "/logs?download=text", "/artifacts", "/artifacts.zip", "/source"):
        reply = http.get(f"api/runs/{run['id']}{part}")
        assert MARK not in reply.text, (part, final["status"])
