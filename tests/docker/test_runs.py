"""Programs in containers: what they see, what they leave, and how their runs end."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from mellea_jupyter.testing.scripted_llm import ScriptedLlm
from mellea_jupyter.testing.server import JupyterServer
from tests.executors.runs import wait_until
from tests.runtime.scenarios.expected import EXPECTED

from .conftest import containers_of, host_address, log_of

pytestmark = [pytest.mark.docker, pytest.mark.timeout(180)]

LOOK_AROUND = """
import json, os, socket
status = dict(line.split(":\\t", 1) for line in open("/proc/self/status").read().splitlines()
              if ":\\t" in line)
def refuses(action):
    try:
        action()
    except OSError as error:
        return error.errno
    return None
mounts = [line.split()[1:4] for line in open("/proc/self/mounts")]
print(json.dumps({
    "caps": [status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")],
    "no_new_privs": status["NoNewPrivs"], "seccomp": status["Seccomp"],
    "uid": os.getuid(), "gid": os.getgid(), "groups": os.getgroups(), "cwd": os.getcwd(),
    "root": next(m[2].split(",")[0] for m in mounts if m[0] == "/"),
    "write_root": refuses(lambda: open("/opt/x", "w")),
    "write_source": refuses(lambda: open("/mellea/run/source/x", "w")),
    "write_control": refuses(lambda: open("/mellea/run/stop.json", "w")),
    "write_runtime": refuses(lambda: open("/mellea/runtime/x.py", "w")),
    "write_tmp": refuses(lambda: open("/tmp/x", "w")),
    "write_work": refuses(lambda: open("x", "w")),
    "engine_socket": os.path.exists("/var/run/docker.sock"),
    "network": sorted(os.listdir("/sys/class/net")),
    "environment": sorted(os.environ),
    "pid1": open("/proc/1/cmdline").read().split("\\0")[0],
}))
"""


def seen_by(http: httpx.Client, run: dict[str, Any]) -> dict[str, Any]:
    """What `LOOK_AROUND` printed."""
    found: dict[str, Any] = json.loads(log_of(http, run).splitlines()[-1])
    return found


def test_a_container_is_hardened_by_default(server: JupyterServer, http: httpx.Client) -> None:
    path = server.write("look.py", LOOK_AROUND)
    run = server.create(http, path, environment_id="bare")
    final = server.wait_for(http, run["id"])
    assert final["status"] == "succeeded", log_of(http, run)
    seen = seen_by(http, run)
    assert seen["caps"] == ["0000000000000000"] * 5
    assert (seen["no_new_privs"], seen["seccomp"]) == ("1", "2")
    assert seen["uid"] != 0
    assert seen["gid"] != 0
    assert 0 not in seen["groups"]
    assert seen["root"] == "ro"
    read_only = 30
    for place in ("root", "source", "control", "runtime"):
        assert seen[f"write_{place}"] == read_only, place
    assert seen["write_tmp"] is seen["write_work"] is None
    assert seen["engine_socket"] is False
    assert seen["network"] == ["lo"]
    assert "init" in seen["pid1"]
    assert not {name for name in seen["environment"] if name.startswith(("JUPYTER", "JPY"))}
    assert seen["cwd"] == "/mellea/run/work"


def test_a_run_goes_through_pulling_image_and_names_the_image_it_had(
    server: JupyterServer, http: httpx.Client, engine: Any
) -> None:
    path = server.write("hello.py", "print('hello')")
    run = server.create(http, path, environment_id="bare")
    final = server.wait_for(http, run["id"])
    assert final["status"] == "succeeded"
    assert final["image"]["id"] == engine.inspect_image("mellea-jupyter-test/base:1")["Id"]
    assert final["image"]["reference"] == "mellea-jupyter-test/base:1"
    assert final["isolation"] == "fresh"
    wait_until(lambda: containers_of(engine, server) == [])


@pytest.mark.parametrize("name", ["repair_template", "judge", "streaming"])
@pytest.mark.parametrize("environment_id", ["mellea", "inside"])
def test_a_mellea_program_in_a_container_is_counted_as_its_endpoint_counted_it(
    server: JupyterServer, http: httpx.Client, name: str, environment_id: str
) -> None:
    expected = EXPECTED["openai"][name]
    gateway = host_address()
    with ScriptedLlm(host=gateway) as endpoint:
        url = endpoint.openai_url.replace(gateway, "host.docker.internal")
        variables = {"OPENAI_BASE_URL": url, "OPENAI_API_KEY": "sk-scripted-0123"}
        run = server.create(http, f"{name}.py", environment_id=environment_id, env_vars=variables)
        final = server.wait_for(http, run["id"])
        counts = endpoint.counts()
    assert final["exit_code"] == expected.exit_code, log_of(http, run)
    metrics = final["metrics"]
    assert {key: metrics[key] for key in expected.metrics()} == expected.metrics()
    assert counts["requests"] == (expected.requests or expected.llm_calls)
    assert metrics["input_tokens"] == counts["input_tokens"]
    assert metrics["peak_memory_mb"] > 20
    assert "sk-scripted-0123" not in log_of(http, run)


@pytest.mark.parametrize(
    ("source", "code", "reason"),
    [
        ("import sys; sys.exit(7)", 7, "exit_code"),
        ("raise ValueError('no')", 1, "exit_code"),
        ("import os; os.kill(os.getpid(), 11)", -11, "signal"),
        ("import sys; sys.exit(143)", 143, "exit_code"),
    ],
)
def test_a_failure_is_the_program_s_own(
    server: JupyterServer, http: httpx.Client, source: str, code: int, reason: str
) -> None:
    run = server.create(http, server.write("fails.py", source), environment_id="bare")
    final = server.wait_for(http, run["id"])
    assert (final["status"], final["status_reason"], final["exit_code"]) == ("failed", reason, code)


def test_running_out_of_memory_is_told_from_the_engine_s_evidence(
    server: JupyterServer, http: httpx.Client
) -> None:
    path = server.write("greedy.py", "x = []\nwhile True: x.append(bytearray(8 << 20))\n")
    run = server.create(http, path, environment_id="small")
    final = server.wait_for(http, run["id"])
    assert (final["status"], final["status_reason"]) == ("failed", "out_of_memory")
    assert "memory" in final["error_message"]


def test_a_killed_child_of_a_program_that_succeeds_is_a_warning(
    server: JupyterServer, http: httpx.Client
) -> None:
    source = (
        "import os\n"
        "pid = os.fork()\n"
        "if pid == 0:\n"
        "    x = []\n"
        "    while True: x.append(bytearray(8 << 20))\n"
        "print('child', os.waitpid(pid, 0)[1])\n"
    )
    run = server.create(http, server.write("child.py", source), environment_id="small")
    final = server.wait_for(http, run["id"])
    assert (final["status"], final["exit_code"]) == ("succeeded", 0)
    frames = http.get(f"api/runs/{run['id']}/logs").json()["frames"]
    [warning] = [frame for frame in frames if frame["level"] == "warn"]
    assert "memory limit of the container" in warning["message"]


def test_cancel_stops_the_program_with_grace_and_removes_the_container(
    server: JupyterServer, http: httpx.Client, engine: Any
) -> None:
    source = (
        "import signal, sys, time\n"
        "def end(*_):\n    print('cleaned up', flush=True)\n    sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, end)\n"
        "print('ready', flush=True)\n"
        "time.sleep(600)\n"
    )
    run = server.create(http, server.write("waits.py", source), environment_id="bare")
    server.wait_for(http, run["id"], ("running",))
    wait_until(lambda: "ready" in log_of(http, run))
    assert http.delete(f"api/runs/{run['id']}").status_code == 202
    final = server.wait_for(http, run["id"])
    assert (final["status"], final["status_reason"]) == ("cancelled", "user")
    assert "cleaned up" in log_of(http, run)
    wait_until(lambda: containers_of(engine, server) == [])


def test_a_program_that_ignores_everything_is_killed(
    server: JupyterServer, http: httpx.Client, engine: Any
) -> None:
    source = (
        "import os, signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "os.kill(os.getppid(), signal.SIGSTOP)  # the supervisor, which is ours to stop\n"
        "print('deaf', flush=True)\n"
        "time.sleep(600)\n"
    )
    run = server.create(http, server.write("deaf.py", source), environment_id="bare")
    server.wait_for(http, run["id"], ("running",))
    http.delete(f"api/runs/{run['id']}")
    final = server.wait_for(http, run["id"])
    assert (final["status"], final["cancelled_by"] is None) == ("cancelled", False)
    wait_until(lambda: containers_of(engine, server) == [])


def test_what_a_program_keeps_is_collected_and_belongs_to_the_container_s_account(
    server: JupyterServer, http: httpx.Client
) -> None:
    source = (
        "import os\n"
        "open(os.environ['MELLEA_OUTPUT_DIR'] + '/plan.md', 'w').write('plan')\n"
        "open('notes.txt', 'w').write('beside the program')\n"
        "print(open('data.csv').read())\n"
    )
    server.write("kept/data.csv", "1,2\n")
    path = server.write("kept/keeps.py", source)
    asset = http.post("api/assets", json={"path": "kept", "entry_point": "keeps.py"})
    if asset.is_error:
        asset = http.post("api/assets", json={"path": path})
    config = {"environment_id": "bare"}
    run = http.post("api/runs", json={"asset_id": asset.json()["id"], "config": config}).json()
    final = server.wait_for(http, run["id"])
    assert final["status"] == "succeeded", log_of(http, run)
    [artifact] = final["artifacts"]
    got = http.get(f"api/runs/{run['id']}/artifacts/{artifact['id']}")
    assert got.content == b"plan"
    owner = (server.data_dir / "runs" / run["id"] / "outputs" / "plan.md").stat().st_uid
    assert owner != 0
    assert not (server.data_dir / "runs" / run["id"] / "control" / "secrets").exists()
