"""`jupyter mellea` without a terminal: what it prints where, and how it ends."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import threading
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from mellea_jupyter.cli import doctor, main
from mellea_jupyter.cli.doctor import check_data_dir, file_system_of
from mellea_jupyter.cli.run import exit_code
from mellea_jupyter.models.failures import (
    ErrorClassification,
    FailureCategory,
    FailureSeen,
    FailureType,
    NextAction,
    NextStep,
)
from mellea_jupyter.models.metrics import RunMetrics
from mellea_jupyter.models.run import Run, RunStatus
from mellea_jupyter.runtime.ports import free_port
from tests.client.fake_server import TOKEN, FakeServer, a_frame, a_run

Capture = pytest.CaptureFixture[str]


RATE_LIMITED: dict[str, Any] = {
    "error_classification": ErrorClassification(
        category=FailureCategory.EXTERNAL_SERVICE, type=FailureType.RATE_LIMITED, confidence=1,
        retryable=True, summary="rate limit", explanation="The provider refused a call.",
        suggestion="Wait, then try again.", fingerprint="f1",
        next_step=NextStep(action=NextAction.RETRY, label="Retry"),
    ),
    "seen": FailureSeen.model_validate(
        {"count": 4, "first_seen_at": "2026-01-15T12:00Z", "last_seen_at": "2026-01-16T12:00Z"}
    ),
}  # fmt: skip


def _ends_with(fake: FakeServer, status: str, **fields: Any) -> None:
    """The next run writes three lines and ends."""

    def create(body: dict[str, Any]) -> Run:
        run = fake.add(
            a_run(),
            a_frame(1, "to stdout"),
            a_frame(2, "to stderr", "stderr", level="error"),
            a_frame(3, "call 1 finished", "system", metadata={"attempt": 2, "budget": 5}),
            a_frame(4, "no newline", partial=True),
        )
        fake.end(run.id, status, **fields)
        return run

    fake.on_create = create


def test_run_leaves_the_programs_output_untouched(fake: FakeServer, capsys: Capture) -> None:
    used = RunMetrics(
        llm_calls=7, input_tokens=100, output_tokens=50, estimated_cost_usd=Decimal("0.0031"),
        samples_generated=5, repair_attempts=1, loop_iterations=6, total_duration_ms=12_000,
    )  # fmt: skip
    _ends_with(fake, "succeeded", metrics=used)
    assert main(["run", "trip.py", "--model", "demo/scripted", "--", "--city", "Lisbon"]) == 0
    out, err = capsys.readouterr()
    assert out == "to stdout\nno newline"
    assert "to stderr\n" in err
    assert "call 1 finished" in err
    rows = dict(line.split(None, 1) for line in err.splitlines()[-10:])
    assert {name: value.strip() for name, value in rows.items() if name != "run"} == {
        "status": "succeeded", "duration": "12 s", "calls": "7",
        "tokens": "100 in, 50 out", "cost": "$0.0031", "samples": "5", "repairs": "1",
        "iterations": "6", "artifacts": "0",
    }  # fmt: skip
    config = fake.seen("POST", "/api/runs")[0][1]["config"]
    assert (config["args"], config["model"]) == (["--city", "Lisbon"], "demo/scripted")


def test_json_is_one_object_on_stdout_and_all_else_is_on_stderr(
    fake: FakeServer, capsys: Capture
) -> None:
    _ends_with(fake, "failed", exit_code=3)
    assert main(["run", "trip.py", "--json"]) == 3
    out, err = capsys.readouterr()
    assert json.loads(out)["status"] == "failed"
    assert out.count("\n") == 1
    assert "to stdout\n" in err


def test_a_failed_run_says_what_happened_what_to_do_and_how_often_it_was(
    fake: FakeServer, capsys: Capture
) -> None:
    _ends_with(fake, "failed", exit_code=1, error_message="Error code: 429", **RATE_LIMITED)
    assert main(["run", "trip.py"]) == 1
    err = capsys.readouterr().err
    run_id = next(iter(fake.runs))
    expected = {
        "status": "failed",
        "error": "Error code: 429",
        "failure": "rate limit (external service)",
        "why": "The provider refused a call.",
        "next": "Wait, then try again.",
        "command": f"jupyter mellea retry {run_id[:8]}",
        "seen": "4 times since 2026-01-15 (jupyter mellea ls --failure f1)",
    }
    assert expected.items() <= dict(_rows(err)).items()
    assert main(["show", run_id]) == 0
    assert expected.items() <= dict(_rows(capsys.readouterr().out)).items()
    assert main(["show", run_id, "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["error_classification"]["next_step"]["action"] == "retry"
    assert shown["seen"]["count"] == 4
    assert main(["ls", "--failure", "f1"]) == 0
    assert "failed: rate limit" in capsys.readouterr().out
    assert "fingerprint=f1" in fake.requests[-1][1]


def _rows(text: str) -> list[tuple[str, str]]:
    found = (line.split(None, 1) for line in text.splitlines())
    return [(words[0], words[1].strip()) for words in found if len(words) == 2]


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        ("succeeded", 0, 0), ("failed", 3, 3), ("failed", -9, 137), ("failed", None, 1),
        ("failed", 0, 1), ("cancelled", -15, 143), ("cancelled", None, 1), ("failed", 300, 255),
    ],
)  # fmt: skip
def test_exit_codes(status: str, code: int | None, expected: int) -> None:
    assert exit_code(a_run(status=RunStatus(status), exit_code=code)) == expected


@pytest.mark.parametrize(
    ("words", "expected", "said"),
    [
        (["run"], 2, "PROGRAM"),
        (["run", "missing.py"], 2, "there is no program"),
        (["run", "trip.py", "--isolation", "hot"], 2, "invalid choice"),
        (["run", "trip.py", "--timeout", "0"], 2, "timeout_seconds"),
        (["run", "trip.py", "-e", "NOT_SET_HERE"], 2, "no such variable is set"),
        (["run", "trip.py", "--dataset", "x"], 2, "NAME=ID"),
        (["show", "--", "x"], 2, ""),
        (["ls", "--limit", "0"], 2, "--limit"),
        (["retry", "x", "--set", "nonsense"], 2, "FIELD=JSON"),
        (["nonsense"], 2, "invalid choice"),
        (["show", "abc"], 3, "no run begins with 'abc'"),
        (["--url", "nonsense", "ls"], 3, "not the URL"),
    ],
)
def test_wrong_usage_and_refusals(
    fake: FakeServer, capsys: Capture, words: list[str], expected: int, said: str
) -> None:
    assert main(words) == expected
    assert said in capsys.readouterr().err
    assert fake.seen("POST", "/api/runs") == []


def test_a_refused_request_is_code_3_with_the_next_step(fake: FakeServer, capsys: Capture) -> None:
    body = {"code": "environment_not_found", "message": "No environment 'x'", "hint": "Try y."}
    fake.answer("POST", "/api/runs", 404, json.dumps(body).encode())
    assert main(["run", "trip.py", "--environment", "x"]) == 3
    assert "No environment 'x'\nTry y." in capsys.readouterr().err


def test_not_waiting_prints_the_id(fake: FakeServer, capsys: Capture) -> None:
    assert main(["run", "trip.py", "--no-wait"]) == 0
    assert capsys.readouterr().out.strip() in fake.runs


def test_variables_are_given_or_forwarded(
    fake: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINE", "from here")
    assert main(["run", "trip.py", "--no-wait", "-e", "MINE", "-e", "A=b=c"]) == 0
    variables = fake.seen("POST", "/api/runs")[0][1]["config"]["env_vars"]
    assert variables == {"MINE": "from here", "A": "b=c"}


def test_ls_show_and_prefixes(fake: FakeServer, capsys: Capture) -> None:
    run = fake.add(a_run(id="aaaa0000-0000-4000-8000-000000000000", tags=("night",)))
    fake.add(a_run(id="aaaa1111-0000-4000-8000-000000000000"))
    assert main(["ls", "--status", "running", "--tag", "night"]) == 0
    assert "aaaa0000" in capsys.readouterr().out
    assert "status=running" in fake.requests[-1][1]
    assert main(["ls", "--json", "--limit", "1"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 1
    assert main(["show", "aaaa0", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["id"] == run.id
    assert main(["show", "aaaa0"]) == 0
    assert "night" in capsys.readouterr().out
    assert main(["show", "aaaa"]) == 3
    assert "2 runs begin with 'aaaa'" in capsys.readouterr().err


def test_logs_go_where_they_came_from(fake: FakeServer, capsys: Capture) -> None:
    run = fake.add(a_run(), a_frame(1, "out"), a_frame(2, "err", "stderr"), a_frame(3, "last"))
    assert main(["logs", run.id]) == 0
    assert capsys.readouterr() == ("out\nlast\n", "err\n")
    assert main(["logs", run.id, "--tail", "1"]) == 0
    assert capsys.readouterr().out == "last\n"


def test_following_logs_goes_on_from_what_is_there(fake: FakeServer, capsys: Capture) -> None:
    run = fake.add(a_run(), a_frame(1, "one"))

    def more() -> None:
        fake.write(run.id, a_frame(2, "two"), a_frame(3, "no", "stderr"))
        fake.end(run.id)

    threading.Timer(0.2, more).start()
    assert main(["logs", "-f", run.id, "--stream", "stdout"]) == 0
    assert capsys.readouterr() == ("one\ntwo\n", "")


def test_cancel_and_rm_report_each_run(fake: FakeServer, capsys: Capture) -> None:
    run = fake.add(a_run())
    assert main(["cancel", run.id[:8]]) == 0
    assert capsys.readouterr().out == f"{run.id[:8]} cancelled\n"
    nobody = "0" * 8 + "-0000-4000-8000-000000000000"
    assert main(["rm", "--yes", run.id, nobody]) == 3
    out, err = capsys.readouterr()
    assert "deleted" in out
    assert "error" in err


def test_rm_without_a_terminal_wants_a_yes(
    fake: FakeServer, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False, raising=False)
    run = fake.add(a_run())
    assert main(["rm", run.id]) == 2
    assert fake.seen("POST", "/api/runs/bulk/delete") == []


def test_retry_replaces_fields(fake: FakeServer, capsys: Capture) -> None:
    run = fake.add(a_run(status=RunStatus.FAILED))
    words = ["retry", run.id, "-e", "A=1", "--set", "timeout_seconds=60", "--set", "model=a/b"]
    assert main([*words, "--no-wait"]) == 0
    assert fake.seen("POST", f"/api/runs/{run.id}/retry")[0][1] == {
        "config_overrides": {"timeout_seconds": 60, "model": "a/b", "env_vars": {"A": "1"}}
    }


def test_doctor_names_what_it_found_and_no_secret(
    fake: FakeServer, capsys: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:9")
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path))
    assert main(["doctor", "--json"]) == 0
    text = "".join(capsys.readouterr())
    checks = {check["name"]: check for check in json.loads(text)["checks"]}
    assert checks["server"]["state"] == "ok"
    assert checks["environment default"]["state"] == "ok"
    assert checks["sqlite"]["state"] == checks["executor process"]["state"] == "ok"
    assert {"server extension", "front end"} <= set(checks)
    assert all(each["next_step"] for each in checks.values() if each["state"] != "ok")
    assert checks["model variables"]["finding"] == "OLLAMA_HOST, OPENAI_API_KEY"
    assert checks["ollama"]["next_step"]
    assert "sk-secret" not in text
    assert TOKEN not in text
    assert main(["doctor"]) == 0
    assert "✓ mellea:" in capsys.readouterr().out


def test_doctor_reads_the_address_of_ollama_as_its_client_does() -> None:
    port = free_port()
    silent, wrong = doctor.check_ollama(f":{port}"), doctor.check_ollama("here:there")
    assert silent.finding == f"does not answer at http://127.0.0.1:{port}"
    assert wrong.finding == "OLLAMA_HOST is no address"
    assert all(check.state == "note" and check.next_step for check in (silent, wrong))


def test_doctor_finds_the_front_end_and_the_server_extension_where_jupyter_looks(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(doctor, "jupyter_path", lambda *parts: [str(tmp_path.joinpath(*parts))])
    monkeypatch.setattr(doctor, "jupyter_config_path", lambda: [str(tmp_path)])
    assert "install" in doctor.check_front_end().next_step.lower()
    assert "enable" in doctor.check_server_extension().next_step
    package = tmp_path / "labextensions" / doctor.FRONT_END / "package.json"
    package.parent.mkdir(parents=True)
    package.write_text("{}")
    assert doctor.check_front_end().state == "ok"
    settings = tmp_path / "jupyter_server_config.d" / "mellea_jupyter.json"
    settings.parent.mkdir()
    for is_enabled, state in ((True, "ok"), (False, "note")):
        content = {"ServerApp": {"jpserver_extensions": {"mellea_jupyter": is_enabled}}}
        settings.write_text(json.dumps(content))
        assert doctor.check_server_extension().state == state


def test_doctor_reads_the_settings_of_configuration_files(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(tmp_path))
    file = tmp_path / "jupyter_server_config.json"
    file.write_text(json.dumps({"MelleaApp": {"data_dir": str(tmp_path / "runs"), "max_runs": 2}}))
    checks = {check.name: check for check in doctor.iter_checks(None)}
    assert checks["settings"] == doctor.Check("settings", "ok", "data_dir, max_runs")
    assert checks["data folder"].finding.startswith(f"{tmp_path}/runs ")
    for wrong, named in (
        ({"max_runs": "many"}, "'max_runs'"),
        ({"environments": [{"id": "big", "cpus": -1}]}, "MelleaApp.environments[0].cpus"),
    ):
        file.write_text(json.dumps({"MelleaApp": {"data_dir": str(tmp_path), **wrong}}))
        checks = {check.name: check for check in doctor.iter_checks(None)}
        assert checks["settings"].state == "problem"
        assert named in checks["settings"].finding
        assert checks["data folder"].state != "problem"


def test_a_network_file_system_is_a_problem(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert file_system_of(tmp_path) != "unknown"
    monkeypatch.setattr("mellea_jupyter.cli.doctor.file_system_of", lambda _: "nfs4")
    check = check_data_dir(tmp_path / "not" / "there")
    assert check.state == "problem"
    assert "data_dir" in check.next_step


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from mellea_jupyter.cli import main\n"
        "main(['run', '--help'])\n"
        "print({'pydantic', 'httpx', 'rich', 'psutil'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.rstrip().endswith("set()")
    assert "exit codes:" in done.stdout


def _started(fake: FakeServer, process: subprocess.Popen[Any]) -> str:
    """The id of the run, once the command shows its first line."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for run_id in list(fake.runs):
            if fake.seen("GET", f"/api/runs/{run_id}/logs/stream"):
                return run_id
        assert process.poll() is None
        time.sleep(0.02)
    raise TimeoutError


def test_ctrl_c_without_a_terminal_detaches_and_says_how_to_come_back(fake: FakeServer) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "mellea_jupyter.cli", "run", "trip.py"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        run_id = _started(fake, process)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"jupyter mellea cancel {run_id[:8]}" in err
    assert not fake.runs[run_id].is_stop_requested


@pytest.mark.parametrize(
    ("answer", "is_cancelled"), [(b"c\n", True), (b"d\n", False), (b"\x03", False)]
)
def test_ctrl_c_in_a_terminal_asks(fake: FakeServer, answer: bytes, *, is_cancelled: bool) -> None:
    """On a terminal of its own, where the status line rewrites itself."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "xterm"
        os.execv(sys.executable, [sys.executable, "-m", "mellea_jupyter.cli", "run", "trip.py"])
    seen = b""

    def read_until(mark: bytes) -> None:
        nonlocal seen
        while mark not in seen:
            try:
                piece = os.read(terminal, 4096)
            except OSError:  # Linux: the other side is closed
                piece = b""
            if not piece:
                raise AssertionError(seen.decode(errors="replace"))
            seen += piece

    try:
        read_until("◉".encode())
        run_id = next(iter(fake.runs))
        os.write(terminal, b"\x03")
        read_until(b"[c]ancel it? ")
        os.write(terminal, answer)
        if is_cancelled:
            read_until(b"stopping")
            fake.end(run_id, "cancelled", cancelled_by="ann")
            read_until(b"cancelled by ann")
        else:
            read_until(b"goes on")
    finally:
        _, status = os.waitpid(pid, 0)
        os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 130
    assert fake.runs[run_id].is_stop_requested is is_cancelled
