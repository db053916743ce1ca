"""What the program sees is what plain python would show it, and what it tells is recorded."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .conftest import Execute, MakeRun
from .support import run_fresh

LOOK_AROUND = """
import json, os, sys
main = sys.modules["__main__"]
def same(): pass
print(json.dumps({
    "argv": sys.argv[1:], "argv0": os.path.basename(sys.argv[0]), "file": __file__ == sys.argv[0],
    "path0": sys.path[0] == os.path.dirname(os.path.abspath(__file__)), "cwd": os.getcwd(),
    "name": __name__, "main": main.same is same, "spec": __spec__, "package": __package__,
    "doc": __doc__, "names": sorted(n for n in globals() if n.startswith("__")),
    "loader": type(__loader__).__name__, "builtins": type(__builtins__).__name__,
    "stdin": sys.stdin.read(), "encoding": sys.stdout.encoding, "errors": sys.stdout.errors,
    "names_of_streams": [sys.stdout.name, sys.stderr.name, sys.stdout.mode],
    "umask": oct(os.umask(0o022)), "path": sys.path[1:], "sid": os.getsid(0) == os.getpid(),
}))
"""


def test_a_program_sees_what_plain_python_shows(make_run: MakeRun, execute: Execute) -> None:
    run = make_run(LOOK_AROUND, argv=["--city", "Lisbon"])
    program = run.path / "source" / "prog.py"
    plain = subprocess.run(
        [sys.executable, str(program), "--city", "Lisbon"],
        env=run.spec["env"],
        cwd=program.parent,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
        start_new_session=True,
    )
    execute(run)
    assert json.loads(run.output("stdout")) == json.loads(plain.stdout), run.output("stderr")


@pytest.mark.parametrize(
    "ending",
    [
        "raise SystemExit",
        "raise SystemExit(3)",
        "raise SystemExit(-1)",
        "raise SystemExit('told why')",
        "import sys; sys.exit([1])",
        "1/0",
        "import os; os._exit(9)",
        "def f(): return g()\ndef g(): raise ValueError('no')\nf()",
        "try: 1/0\nexcept ZeroDivisionError as e: raise KeyError('x') from e",
        "x = = 1",
        "import sys; sys.excepthook = lambda *a: print('mine', a[0].__name__); 1/0",
        (
            "import atexit; atexit.register(print, 'bye'); import threading, time\n"
            "threading.Thread(target=lambda: (time.sleep(0.2), print('thread'))).start()"
        ),
        "f = open('kept.txt', 'w'); f.write('never closed')\nprint('end', end='')",
        "import asyncio\nasync def main(): raise OSError('io')\nasyncio.run(main())",
        (
            "import multiprocessing as m\nif __name__ == '__main__':\n"
            "    with m.get_context('spawn').Pool(1) as p: print(p.map(abs, [-3]))"
        ),
    ],
)
def test_a_program_ends_as_under_plain_python(
    make_run: MakeRun, execute: Execute, ending: str
) -> None:
    run = make_run(ending)
    program = run.path / "source" / "prog.py"
    plain = subprocess.run(
        [sys.executable, str(program)],
        env=run.spec["env"],
        cwd=program.parent,
        check=False,
        capture_output=True,
    )
    kept = program.parent / "kept.txt"
    expected_file = kept.read_text() if kept.exists() else None
    kept.unlink(missing_ok=True)
    end = execute(run)
    assert end["exit_code"] == plain.returncode
    assert run.output("stdout") == plain.stdout
    assert run.output("stderr").decode() == plain.stderr.decode()
    assert (kept.read_text() if kept.exists() else None) == expected_file


def test_an_interrupted_program_ends_with_130(make_run: MakeRun, execute: Execute) -> None:
    run = make_run("raise KeyboardInterrupt")
    assert execute(run)["exit_code"] == 130
    assert run.frame("exception")["type"] == "KeyboardInterrupt"


def test_an_exception_is_recorded_with_its_chain(make_run: MakeRun, execute: Execute) -> None:
    source = """
import json
import helper
class ApiError(Exception):
    code = "rate_limit_exceeded"
    status_code = 429
def ask():
    try:
        json.loads("{")
    except ValueError as error:
        raise ApiError("slow down") from error
helper.call(ask)
"""
    run = make_run({"prog.py": source, "helper.py": "def call(f):\n    return f()\n"})
    execute(run)
    exception = run.frame("exception")
    assert (exception["type"], exception["message"]) == ("__main__.ApiError", "slow down")
    assert (exception["code"], exception["status"]) == ("rate_limit_exceeded", 429)
    places = [
        (f["file"], f["line"], f["function"], f["text"], f["user"]) for f in exception["frames"]
    ]
    assert places == [
        ("prog.py", 12, "<module>", "helper.call(ask)", True),
        ("helper.py", 2, "call", "return f()", True),
        ("prog.py", 11, "ask", 'raise ApiError("slow down") from error', True),
    ]
    cause = exception["cause"]
    assert cause["type"] == "json.decoder.JSONDecodeError"
    assert [frame["user"] for frame in cause["frames"]] == [True, False, False, False]
    assert "cause" not in cause
    assert "implicit" not in cause
    assert cause["bases"] == ["ValueError"]


def test_an_exception_that_another_one_interrupted_is_told_as_such(make_run: MakeRun) -> None:
    source = """
import types
class Refused(ConnectionError):
    response = types.SimpleNamespace(status_code=503)
def handle():
    try:
        open("/not/there")
    except OSError:
        raise Refused("later")
handle()
"""
    run = make_run(source)
    run_fresh(run)
    exception = run.frame("exception")
    assert exception["status"] == 503
    assert exception["bases"] == ["ConnectionError", "OSError"]
    cause = exception["cause"]
    assert (cause["type"], cause["errno"], cause["implicit"]) == ("FileNotFoundError", 2, True)


def test_the_leaves_of_an_exception_group_are_recorded(make_run: MakeRun, execute: Execute) -> None:
    run = make_run(
        "raise ExceptionGroup('two', [ValueError('a'), ExceptionGroup('in', [KeyError('b')])])"
    )
    execute(run)
    exception = run.frame("exception")
    assert exception["type"] == "ExceptionGroup"
    assert [(leaf["type"], leaf["message"]) for leaf in exception["leaves"]] == [
        ("ValueError", "a"),
        ("KeyError", "'b'"),
    ]
    assert [leaf["frames"] for leaf in exception["leaves"]] == [[], []]


def test_a_leaf_says_where_it_was_raised(make_run: MakeRun) -> None:
    source = """
import asyncio
async def ask(): raise ValueError("a")
async def main():
    async with asyncio.TaskGroup() as group:
        group.create_task(ask())
asyncio.run(main())
"""
    run = make_run(source)
    run_fresh(run)
    (leaf,) = run.frame("exception")["leaves"]
    assert [(frame["line"], frame["function"]) for frame in leaf["frames"]] == [(3, "ask")]


def test_an_exception_that_cannot_be_told_is_survived(make_run: MakeRun) -> None:
    run = make_run(
        "class Bad(Exception):\n    def __str__(self): raise RuntimeError('no text')\nraise Bad"
    )
    assert run_fresh(run)["exit_code"] == 1
    assert run.frame("exception")["type"] == "__main__.Bad"


@pytest.mark.parametrize(
    ("asking", "asked"),
    [("input('Name? ')", "input()"), ("import getpass; getpass.getpass()", "getpass()")],
)
def test_asking_for_input_fails_at_once_and_says_why(
    make_run: MakeRun, execute: Execute, asking: str, asked: str
) -> None:
    run = make_run(asking)
    assert execute(run)["exit_code"] == 1
    exception = run.frame("exception")
    assert exception["type"] == "EOFError"
    assert asked in exception["message"]
    assert "sys.argv" in exception["message"]


def test_logging_records_keep_their_level(make_run: MakeRun, execute: Execute) -> None:
    source = """
import logging, sys
logging.warning("last resort")
logging.getLogger("app").error("to %s", "root")
text = "%(name)s: %(message)s"
logging.basicConfig(level=logging.DEBUG, format=text, stream=sys.stdout, force=True)
logging.getLogger("app.db").debug("two\\nlines")
logging.getLogger("file").addHandler(logging.FileHandler("app.log"))
logging.getLogger("file").critical("kept")
logging.info("long " + "x" * 20_000)
"""
    run = make_run(source)
    execute(run)
    records = [(f["stream"], f["level"], f["logger"], f["message"]) for f in run.frames("record")]
    assert ("stdout", "debug", "app.db", "app.db: two\nlines") in records
    assert ("stdout", "error", "file", "file: kept") in records
    assert ("stderr", "error", "app", "ERROR:app:to root") in records
    assert (run.path / "source" / "app.log").read_text() == "kept\n"
    assert b"long xxx" in run.output("stdout"), "text where a record would be too long"


def test_what_a_program_prints_after_redirecting_itself_is_its_own(
    make_run: MakeRun, execute: Execute
) -> None:
    source = """
import contextlib, io, logging, os, sys
logging.basicConfig(level=logging.INFO, stream=sys.stdout)
os.dup2(os.open("own.txt", os.O_WRONLY | os.O_CREAT), 1)
logging.info("into the file")
"""
    run = make_run(source)
    execute(run)
    assert run.frames("record") == []
    assert (run.path / "source" / "own.txt").read_text() == "INFO:root:into the file\n"


def test_current_run_tells_and_is_told(make_run: MakeRun, execute: Execute, tmp_path: Path) -> None:
    source = """
from mellea_jupyter import current_run
from mellea_runtime import current_run as bare
assert current_run is bare and current_run.is_managed
print(current_run.id, current_run.dataset("places"))
current_run.progress(1, 2, "half")
current_run.output({"answer": 42}, schema_version="3")
current_run.output({"big": "x" * 20_000})
(current_run.output_dir / "made.txt").write_text("made")
try:
    current_run.dataset("none")
except LookupError as error:
    print(error)
"""
    env = {"PYTHONPATH": str(Path(__file__).parents[2])}
    run = make_run(source, datasets={"places": str(tmp_path / "p.csv")})
    if execute is run_fresh:  # a warm run with this variable is refused; see test_forkserver
        run = make_run(source, datasets={"places": str(tmp_path / "p.csv")}, env=env)
    else:
        text = (run.path / "source" / "prog.py").read_text()
        text = f"import sys; sys.path.append({env['PYTHONPATH']!r})\n{text}"
        (run.path / "source" / "prog.py").write_text(text)
    end = execute(run)
    assert end["exit_code"] == 0, run.output("stderr").decode()
    first, second = run.frames("structured_output")
    assert (first["data"], first["schema_version"]) == ({"answer": 42}, "3")
    assert "data" not in second
    assert json.loads((run.outputs / second["path"]).read_text()) == {"big": "x" * 20_000}
    progress = run.frame("progress")
    assert (progress["done"], progress["total"], progress["text"]) == (1, 2, "half")
    assert run.output("stdout").decode().splitlines() == [
        f"{run.path.name} {tmp_path / 'p.csv'}",
        "this run has no dataset 'none'; bound are: places",
    ]
    assert (run.outputs / "made.txt").exists()


def test_current_run_is_harmless_outside_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mellea_jupyter import current_run

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MELLEA_OUTPUT_DIR", raising=False)
    assert not current_run.is_managed
    assert current_run.id is None
    assert current_run.dataset("places.csv") == Path("places.csv")
    current_run.progress(1, 2)
    current_run.output({"answer": 42})
    assert current_run.output_dir == Path("outputs")
    assert current_run.output_dir.is_dir()


@pytest.mark.parametrize(
    ("definition", "expected"),
    [
        ("def f(city, days=2): return {'city': city, 'days': days}", {"city": "Lisbon", "days": 2}),
        ("async def f(city): return [city]", ["Lisbon"]),
        ("import dataclasses\n@dataclasses.dataclass\nclass f:\n    city: str", {"city": "Lisbon"}),
    ],
)
def test_what_a_callable_returns_is_the_structured_output(
    make_run: MakeRun, execute: Execute, definition: str, expected: Any
) -> None:
    entry = {"kind": "callable", "target": "trip:f"}
    run = make_run({"trip.py": definition}, entry=entry, parameters={"city": "Lisbon"})
    assert execute(run)["exit_code"] == 0, run.output("stderr").decode()
    assert run.frame("structured_output")["data"] == expected


def test_a_callable_that_is_not_there_is_explained(make_run: MakeRun) -> None:
    run = make_run({"trip.py": ""}, entry={"kind": "callable", "target": "trip:plan.now"})
    assert run_fresh(run)["exit_code"] == 1
    assert run.output("stderr") == b"mellea run: module 'trip' has no 'plan.now'\n"


def test_a_result_without_json_is_remarked_not_fatal(make_run: MakeRun) -> None:
    entry = {"kind": "callable", "target": "trip:f"}
    run = make_run({"trip.py": "def f(): return object()"}, entry=entry)
    assert run_fresh(run)["exit_code"] == 0
    assert "is not kept" in run.frame("system")["message"]


def test_a_local_module_wins_over_a_library_the_runtime_uses(make_run: MakeRun) -> None:
    run = make_run({"prog.py": "import json; print(json.mine)", "json.py": "mine = 'local'"})
    assert run_fresh(run)["exit_code"] == 0, run.output("stderr").decode()
    assert run.output("stdout") == b"local\n"


def test_secrets_are_in_the_environment_and_nowhere_in_the_journal(
    make_run: MakeRun, execute: Execute
) -> None:
    run = make_run(
        "import os; print(len(os.environ['MY_API_KEY']), os.environ['MELLEA_OUTPUT_DIR'])"
    )
    (run.path / "secrets").write_text('{"MY_API_KEY": "s3cret-value"}')
    execute(run)
    assert run.output("stdout").decode() == f"12 {run.outputs}\n"
    assert b"s3cret-value" not in b"".join(f.read_bytes() for f in run.journal.iterdir())


def test_a_forked_child_reports_on_its_own(make_run: MakeRun, execute: Execute) -> None:
    source = """
import os
from mellea_runtime import current_run
current_run.output("parent")
if os.fork() == 0:
    current_run.output("child")
    os._exit(0)
os.wait()
"""
    run = make_run(source)
    end = execute(run)
    assert sorted(f["data"] for f in run.frames("structured_output")) == ["child", "parent"]
    assert end["dropped_events"] == 0


def test_ten_thousand_events_at_full_speed_arrive_in_order(
    make_run: MakeRun, execute: Execute
) -> None:
    source = """
from mellea_runtime import current_run
for i in range(10_000):
    current_run.output(i)
"""
    run = make_run(source)
    end = execute(run)
    assert [f["data"] for f in run.frames("structured_output")] == list(range(10_000))
    assert end["dropped_events"] == 0


def test_an_event_of_any_size_and_kind_is_survived(make_run: MakeRun, execute: Execute) -> None:
    source = """
from mellea_runtime.current_run import current_run
emit = current_run._channel.emit
assert emit("call_finished", call=1, prompt="x" * 10_000_000, number=float("nan"), text="\\ud800")
assert emit("verdict", requirement=object(), passed=True)
emit("end", exit_code=0)
emit("output", stream="stdout", segment=0, offset=0, length=1)
"""
    run = make_run(source)
    end = execute(run)
    call = run.frame("call_finished")
    assert call["truncated"] is True
    assert call["number"] is None
    assert call["text"] == "?"
    assert run.frame("verdict")["requirement"].startswith("<object")
    assert run.frames("output") == []
    assert end["dropped_events"] == 2
