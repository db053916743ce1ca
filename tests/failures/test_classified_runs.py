"""A failed run explains itself in its record and in the terminal, through the real server."""

from __future__ import annotations

import pytest

from mellea_jupyter.client import phrases
from mellea_jupyter.models.run import Run
from mellea_jupyter.testing.server import JupyterServer

PROGRAM = """\
def plan(trip):
    return trip["city"]

plan({})
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> JupyterServer:
    return JupyterServer(tmp_path_factory.mktemp("server"))


def test_a_failed_run_says_why_where_and_what_to_do(server: JupyterServer) -> None:
    with server, server.http() as http:
        run = server.wait_for(http, server.create(http, server.write("trip.py", PROGRAM))["id"])
        why = run["error_classification"]
        assert (why["category"], why["type"]) == ("user_code", "runtime_error")
        assert why["location"] == {
            "file": "trip.py", "line": 2, "function": "plan", "text": 'return trip["city"]',
        }  # fmt: skip
        assert why["stack_trace"].endswith("KeyError: 'city'")
        rows = dict(phrases.summary_rows(Run.model_validate(run)))
        assert rows["failure"] == "KeyError (user code) at trip.py:2"
        assert rows["next"]

        left = server.write(
            "left.py", "import sys; sys.stderr.write('disk is full\\n'); sys.exit(4)"
        )
        why = server.wait_for(http, server.create(http, left)["id"])["error_classification"]
        assert (why["type"], why["confidence"]) == ("storage_error", 0.5)
        assert why["evidence"][0] == "its output says: disk is full"

        fine = server.wait_for(http, server.create(http, server.write("fine.py", "print(1)"))["id"])
        assert fine["error_classification"] is None
