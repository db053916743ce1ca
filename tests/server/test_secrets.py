"""A secret of a run is nowhere but in the run's own secrets file."""

from __future__ import annotations

import httpx

from mellea_jupyter.testing.server import JupyterServer

CANARY = "canary-3f9a7c21"
INHERITED = "inherited-5b8e0d44"  # of the server, see conftest.py

TALKATIVE = """\
import logging, os
key = os.environ["MY_API_KEY"]
print("the key is", key)
print(os.environ["SERVER_ACCESS_TOKEN"])
logging.warning("logged %s", key)
raise ValueError(f"wrong key {key}")
"""


def test_a_secret_that_the_program_tells_stays_out_of_journal_record_and_database(
    server: JupyterServer, http: httpx.Client
) -> None:
    path = server.write("talkative.py", TALKATIVE)
    run = server.create(http, path, env_vars={"MY_API_KEY": CANARY, "PLAIN": "x"})
    final = server.wait_for(http, run["id"])
    assert final["config"]["env_vars"] == {"MY_API_KEY": "••••", "PLAIN": "x"}
    assert final["error_message"] == "ValueError: wrong key ••••"
    log = http.get(f"api/runs/{run['id']}/logs", params={"download": "text"}).text
    assert log.startswith("the key is ••••\n••••\n")
    holding = {
        file.relative_to(server.data_dir).parts[-1]
        for file in server.data_dir.rglob("*")
        if file.is_file() and (CANARY.encode() in (data := file.read_bytes()) or
                               INHERITED.encode() in data)
    }  # fmt: skip
    assert holding == {"secrets"}
    secrets = server.data_dir / "runs" / run["id"] / "secrets"
    assert secrets.stat().st_mode & 0o777 == 0o600


def test_a_retry_gets_the_secrets_and_may_replace_or_remove_them(
    server: JupyterServer, http: httpx.Client
) -> None:
    source = "import os, sys\nprint(len(os.environ.get('MY_API_KEY', '')))\nsys.exit(1)\n"
    path = server.write("length.py", source)
    first = server.create(http, path, env_vars={"MY_API_KEY": CANARY})
    server.wait_for(http, first["id"])

    def retried(**overrides: object) -> tuple[dict[str, object], str]:
        reply = http.post(f"api/runs/{first['id']}/retry", json={"config_overrides": overrides})
        assert reply.status_code == httpx.codes.CREATED, reply.text
        run = server.wait_for(http, reply.json()["id"])
        return run, http.get(f"api/runs/{run['id']}/logs?download=text").text

    same, log = retried()
    assert (same["retry_of"], same["attempt"], log) == (first["id"], 2, f"{len(CANARY)}\n")
    _, log = retried(env_vars={"MY_API_KEY": "another-canary-value"})
    assert log == "20\n"
    removed, log = retried(env_vars={"MY_API_KEY": None})
    assert log == "0\n"
    assert removed["config"]["env_vars"] == {}  # type: ignore[index]  # JSON


WRITING = """\
import json, os
from mellea_jupyter import current_run
key, passed = os.environ["MY_API_KEY"], os.environ["SERVER_ACCESS_TOKEN"]
folder = current_run.output_dir
(folder / "a.txt").write_text(f"{key} and {passed}")
(folder / "b.json").write_text(json.dumps({key: [passed]}))
(folder / "c.csv").write_text(f"key\\n{key}\\n")
(folder / "d.html").write_text(f"<p>{passed}</p>")
current_run.output({"large": "x" * 100_000, "key": key})
"""


def test_previews_and_large_outputs_are_masked_and_downloads_are_not(
    server: JupyterServer, http: httpx.Client
) -> None:
    path = server.write("writing.py", WRITING)
    run = server.create(http, path, env_vars={"MY_API_KEY": CANARY})
    final = server.wait_for(http, run["id"])
    assert final["status"] == "succeeded", final["error_message"]
    address = f"api/runs/{run['id']}/artifacts"
    shown = {
        artifact["name"]: http.get(f"{address}/{artifact['id']}/preview").json()
        for artifact in final["artifacts"]
    }
    assert {name: each["kind"] for name, each in shown.items()} == {
        "a.txt": "text", "b.json": "json", "c.csv": "table", "d.html": "html"
    }  # fmt: skip
    assert shown["a.txt"]["text"] == "•••• and ••••"
    assert shown["b.json"]["text"] == '{"••••":["••••"]}'
    assert shown["c.csv"]["rows"] == [["key"], ["••••"]]
    assert shown["d.html"]["text"] == "<p>••••</p>"
    download = http.get(f"{address}/{final['artifacts'][0]['id']}").text
    assert download == f"{CANARY} and {INHERITED}"
    (output,) = http.get(f"api/runs/{run['id']}/outputs").json()
    assert output["data"]["key"] == "••••"

    (server.data_dir / "runs" / run["id"] / "secrets").unlink()
    gone = http.get(f"{address}/{final['artifacts'][0]['id']}/preview").json()
    assert (gone["kind"], gone["reason"], gone["text"]) == ("none", "secrets_gone", None)
