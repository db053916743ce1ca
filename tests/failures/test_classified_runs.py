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
        assert rows["why"] == "KeyError was raised at line 2 of trip.py."
        assert rows["next"]

        left = server.write(
            "left.py", "import sys; sys.stderr.write('disk is full\\n'); sys.exit(4)"
        )
        why = server.wait_for(http, server.create(http, left)["id"])["error_classification"]
        assert (why["type"], why["confidence"]) == ("storage_error", 0.5)
        assert why["evidence"][0] == "its output says: disk is full"

        slow = server.write("slow.py", "import time; time.sleep(60)")
        late = server.wait_for(http, server.create(http, slow, timeout_seconds=1)["id"])
        step = late["error_classification"]["next_step"]
        assert step["action"] == "retry_with_more_time"
        assert step["overrides"] == {"timeout_seconds": 2}

        fine = server.wait_for(http, server.create(http, server.write("fine.py", "print(1)"))["id"])
        assert fine["error_classification"] is None


EATING = "held = [bytearray(1 << 20) for _ in range(2000)]\nimport time; time.sleep(60)"


def test_the_memory_that_was_not_enough_is_known(server: JupyterServer) -> None:
    with server, server.http() as http:
        box = http.post("api/environments", json={"name": "Box", "memory_mb": 300}).json()
        eating = server.write("eating.py", EATING)
        run = server.wait_for(http, server.create(http, eating, environment_id=box["id"])["id"])
        why = run["error_classification"]
        assert (why["type"], why["next_step"]["value"]) == ("out_of_memory", "600")
        assert "300 MB" in why["explanation"]


def test_a_failure_that_comes_again_is_counted(server: JupyterServer) -> None:
    with server, server.http() as http:
        path = server.write("again.py", PROGRAM)
        ended = [server.wait_for(http, server.create(http, path)["id"]) for _ in range(3)]
        prints = {run["error_classification"]["fingerprint"] for run in ended}
        assert len(prints) == 1
        read = http.get(f"api/runs/{ended[0]['id']}").json()
        assert read["seen"] == {
            "count": 3,
            "first_seen_at": ended[0]["finished_at"],
            "last_seen_at": ended[2]["finished_at"],
        }
        listed = http.get("api/runs", params={"fingerprint": prints.pop()}).json()["runs"]
        assert {run["id"] for run in listed} == {run["id"] for run in ended}
        assert {run["seen"] for run in listed} == {None}
        notices = http.get("api/notifications").json()["notifications"]
        told = {each["run_id"]: each["failure"] for notice in notices for each in notice["runs"]}
        counts = [told[run["id"]]["seen"]["count"] for run in ended]
        assert counts == [1, 2, 3]
        assert told[ended[0]["id"]]["explanation"] == "KeyError was raised at line 2 of again.py."
