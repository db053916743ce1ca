"""Many runs at once: an outcome for each, and one that is refused does not stop the others."""

from __future__ import annotations

import httpx

from mellea_jupyter.testing.server import JupyterServer

UNKNOWN = "00000000-0000-4000-8000-000000000000"


def test_bulk_cancel_and_delete_answer_for_each_run(
    server: JupyterServer, http: httpx.Client
) -> None:
    long = server.create(http, server.write("long.py", "import time\ntime.sleep(600)\n"))["id"]
    short = server.create(http, server.write("short.py", "print(1)\n"))["id"]
    server.wait_for(http, short)
    ids = {"run_ids": [long, short, UNKNOWN]}
    refused = http.post("api/runs/bulk/delete", json={"run_ids": [long]}).json()
    assert "only ended runs" in refused[long]
    cancelled = http.post("api/runs/bulk/cancel", json=ids).json()
    assert cancelled[long] == "cancelled"
    assert cancelled[short] == "error: It has already ended: succeeded."
    assert cancelled[UNKNOWN].startswith("error: No run")
    assert server.wait_for(http, long)["status"] == "cancelled"
    deleted = http.post("api/runs/bulk/delete", json=ids).json()
    assert (deleted[long], deleted[short]) == ("deleted", "deleted")
    assert deleted[UNKNOWN].startswith("error: No run")
    assert not (server.data_dir / "runs" / short).exists()
