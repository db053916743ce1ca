"""What a program writes is in the journal: all of it, in order, whatever it is."""

from __future__ import annotations

import time

from .conftest import Execute, MakeRun
from .support import run_fresh, start_fresh


def test_two_hundred_thousand_lines_at_full_speed_are_all_there(
    make_run: MakeRun, execute: Execute
) -> None:
    run = make_run("for i in range(200_000): print(f'line {i} ' + 'x' * 80)")
    execute(run)
    lines = run.output("stdout").split(b"\n")
    assert len(lines) == 200_001
    assert all(line.startswith(b"line %d " % i) for i, line in enumerate(lines[:-1]))
    frames = run.frames("output")
    assert frames[-1]["line"] + frames[-1]["lines"] == 200_000
    assert all(frame["length"] <= 64 * 1024 for frame in frames)
    assert len(frames) < 4000, "lines are gathered"


def test_the_first_line_is_there_while_the_program_runs(make_run: MakeRun) -> None:
    run = make_run("import time; print('first'); time.sleep(600)")
    supervisor = start_fresh(run)
    run.wait_for_output(b"first\n")
    supervisor.terminate()
    supervisor.wait(60)


def test_output_over_the_cap_leaves_a_visible_gap(make_run: MakeRun) -> None:
    cap = 1024 * 1024
    run = make_run("for i in range(60_000): print(f'{i:07d} ' + 'x' * 91)", log_cap_bytes=cap)
    run_fresh(run)
    gaps = run.frames("gap")
    assert gaps
    assert all(gap["reason"] == "cap" and "lines" not in gap for gap in gaps)
    kept = run.output("stdout")
    assert cap // 2 < len(kept) <= cap
    assert kept.startswith(b"0000000 ")
    assert b"\n0059999 " in kept
    assert len(kept) + sum(gap["bytes"] for gap in gaps) == 60_000 * 100
    assert kept.count(b"\n") + sum(gap["gap_lines"] for gap in gaps) == 60_000
    removed = {
        number for gap in gaps for number in range(gap["segments"][0], gap["segments"][1] + 1)
    }
    there = {int(path.name[7:]) for path in run.journal.glob("output.*")}
    assert removed.isdisjoint(there)


def test_a_ten_megabyte_line_is_one_line(make_run: MakeRun, execute: Execute) -> None:
    run = make_run("print('a' * 10_000_000); print('next')")
    execute(run)
    assert run.output("stdout") == b"a" * 10_000_000 + b"\nnext\n"
    frames = run.frames("output")
    assert sum(frame["lines"] for frame in frames) == 2
    assert {frame["first_line"] for frame in frames} == {1, 2}


def test_bytes_that_are_no_text_are_kept_as_they_are(make_run: MakeRun, execute: Execute) -> None:
    every_byte = bytes(range(256)) + b"\xff\xfe\xc3\x28\n"
    run = make_run(f"import sys; sys.stdout.buffer.write({every_byte!r})")
    execute(run)
    assert run.output("stdout") == every_byte


def test_a_prompt_without_newline_is_shown_and_continued(make_run: MakeRun) -> None:
    source = """
import sys, time
sys.stdout.write("name? "); sys.stdout.flush()
sys.stdin.read()
while not __import__("os").path.exists("go"): time.sleep(0.01)
print("Ada"); print("next")
"""
    run = make_run(source)
    supervisor = start_fresh(run)
    run.wait_for_output(b"name? ")
    (run.path / "source" / "go").touch()
    assert supervisor.wait(60) == 0
    prompt, rest, after = run.frames("output")
    assert prompt["partial"] is True
    assert (prompt["first_line"], prompt["lines"]) == (1, 1)
    assert rest["continues"] is True
    assert (rest["first_line"], rest["lines"]) == (1, 0)
    assert "partial" not in rest
    assert "partial" not in after
    assert after["first_line"] == 2
    assert run.output("stdout") == b"name? Ada\nnext\n"


def test_a_program_that_closes_its_stdout_goes_on(make_run: MakeRun, execute: Execute) -> None:
    run = make_run("import os, sys\nprint('before'); os.close(1)\nprint('after', file=sys.stderr)")
    end = execute(run)
    assert (run.output("stdout"), run.output("stderr")) == (b"before\n", b"after\n")
    assert end["exit_code"] == 0


def test_both_streams_and_logging_keep_their_order(make_run: MakeRun, execute: Execute) -> None:
    source = """
import logging, sys
logging.basicConfig(level=logging.DEBUG, format="%(levelname)s %(message)s")
for i in range(300):
    print("out", i)
    logging.info("log %d", i)
    print("err", i, file=sys.stderr)
"""
    run = make_run(source)
    execute(run)
    expected = [
        line
        for i in range(300)
        for line in (("stdout", f"out {i}"), ("stderr", f"INFO log {i}"), ("stderr", f"err {i}"))
    ]
    got = run.log()
    assert [line for line in got if line[1].startswith(("out", "INFO"))] == [
        line for line in expected if line[1].startswith(("out", "INFO"))
    ]
    assert [line for line in got if line[0] == "stderr"] == [
        line for line in expected if line[0] == "stderr"
    ]


def test_a_program_that_closes_every_descriptor_gets_none_of_our_bytes(
    make_run: MakeRun, execute: Execute
) -> None:
    source = """
import logging, os, sys
import mellea_runtime
logging.basicConfig(level=logging.INFO, stream=sys.stdout)
os.closerange(0, 4096)
for number in range(300):
    descriptor = os.open(os.path.join(os.environ["MELLEA_OUTPUT_DIR"], f"f{number}"),
                         os.O_WRONLY | os.O_CREAT)
    assert descriptor == number
for i in range(50):
    mellea_runtime.current_run.progress(i, 50)
    mellea_runtime.current_run.output({"i": i})
os.write(250, b"mine")
os._exit(0)
"""
    run = make_run(source)
    execute(run)
    written = {path.name: path.read_bytes() for path in run.outputs.iterdir() if path.is_file()}
    assert len(written) == 300
    assert written.pop("f250") == b"mine"
    assert set(written.values()) == {b""}
    assert run.frames("structured_output") == []


def test_a_silent_run_costs_no_frames_but_samples(make_run: MakeRun) -> None:
    run = make_run("import time; time.sleep(1)")
    began = time.monotonic()
    run_fresh(run)
    seconds = time.monotonic() - began
    kinds = [frame["kind"] for frame in run.frames()]
    assert set(kinds) == {"started", "program", "usage", "end"}
    assert kinds.count("usage") <= seconds + 1
