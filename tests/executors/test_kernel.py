"""What is the kernel executor's own, with real kernels."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from jupyter_client.kernelspec import KernelSpecManager

from mellea_jupyter.executors.base import Executor, LaunchSpec, RunHandle
from mellea_jupyter.executors.identity import ProcessIdentity
from mellea_jupyter.executors.kernel.executor import KernelExecutor, KernelOptions
from mellea_jupyter.testing.scripted_llm import ScriptedLlm

from .kinds import KernelKind
from .runs import (
    NewExecutor,
    NewRun,
    end_frame,
    frames,
    output,
    program_identity,
    supervisor_identity,
    wait_until,
)

COUNTING = """\
# %%
print("one", flush=True)
# %%
import time
for number in range(30):
    print("tick", number, flush=True)
    time.sleep(0.1)
# %%
print("three", flush=True)
"""


@pytest.fixture
def kind_name() -> str:
    return KernelKind.name


@pytest.fixture
def llm() -> Iterator[ScriptedLlm]:
    with ScriptedLlm(["yes"]) as llm:
        yield llm


def code(source: str, *tags: str) -> dict[str, Any]:
    return {
        "cell_type": "code",
        "source": source,
        "metadata": {"tags": list(tags)},
        "outputs": [],
        "execution_count": None,
    }


def notebook_run(new_run: NewRun, *cells: Any, **fields: Any) -> LaunchSpec:
    """A run of a notebook with these cells."""
    spec = new_run("", entry={"kind": "notebook", "path": "story.ipynb"}, **fields)
    notebook = {"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": cells}
    (spec.run_dir / "source" / "story.ipynb").write_text(json.dumps(notebook))
    return spec


def executed(spec: LaunchSpec) -> list[Any]:
    """The cells of the executed notebook."""
    path = spec.run_dir / "outputs" / "story.ipynb"
    return list(nbformat.read(path, as_version=4).cells)


def run_to_end(executor: Executor, spec: LaunchSpec) -> dict[str, Any]:
    handle = executor.launch(spec)
    end = end_frame(spec.run_dir)
    wait_until(lambda: not executor.poll(handle, spec.run_dir).alive)
    return end


def all_text(spec: LaunchSpec) -> str:
    """Everything that a run has kept, as text."""
    folders = [spec.run_dir / "journal", spec.run_dir / "outputs"]
    paths = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    return "\n".join(path.read_text("utf-8", "replace") for path in paths)


# -- programs ------------------------------------------------------------------------------------


def test_a_program_is_executed_as_python_would(executor: Executor, new_run: NewRun) -> None:
    spec = new_run(
        '"""What it is for."""\n'
        "from __future__ import annotations\n"
        "import asyncio, os, sys, helper\n"
        "# %%\n"
        "async def main():\n"
        "    return helper.VALUE\n"
        "class Later:\n"
        "    value: NotDefined\n"
        "# %%\n"
        "print(__name__, __file__ == os.path.abspath(__file__), __doc__, sys.argv[1:])\n"
        "print(sys.modules['__main__'].main is main, asyncio.run(main()), asyncio.run(main()))\n"
        "try:\n"
        "    input('name? ')\n"
        "except EOFError as error:\n"
        "    print('no keyboard' in str(error))\n"
        "exit(5)\n"
        "# %%\n"
        "print('never')\n",
        argv=["--city", "Lisbon"],
    )
    (spec.run_dir / "source" / "helper.py").write_text("VALUE = 'helped'\n")
    assert run_to_end(executor, spec)["exit_code"] == 5
    assert output(spec.run_dir) == (
        "__main__ True What it is for. ['--city', 'Lisbon']\nTrue helped helped\nname? True\n"
    )


def test_its_ports_are_given_to_nobody_before_it_listens(
    executor: Executor, new_run: NewRun
) -> None:
    spec = new_run("print(open('../connection.json').read())")
    assert run_to_end(executor, spec)["exit_code"] == 0
    connection = json.loads(output(spec.run_dir))
    ports = [value for name, value in connection.items() if name.endswith("_port")]
    assert len(ports) == 5
    assert all(10_000 <= port < 32_768 for port in ports)


def test_threads_are_waited_for_before_the_kernel_ends(executor: Executor, new_run: NewRun) -> None:
    spec = new_run(
        "import threading, time\n"
        "def late():\n    time.sleep(0.5)\n    print('late')\n"
        "threading.Thread(target=late).start()\nprint('soon')\n"
    )
    assert run_to_end(executor, spec)["exit_code"] == 0
    assert output(spec.run_dir) == "soon\nlate\n"


def test_an_exception_is_told_with_the_user_s_line_and_printed_as_python_does(
    executor: Executor, new_run: NewRun
) -> None:
    spec = new_run("# %%\nvalue = 1\n# %%\ndef wrong():\n    return {}['key']\nwrong()\n")
    assert run_to_end(executor, spec)["exit_code"] == 1
    [exception] = frames(spec.run_dir, "exception")
    assert (exception["type"], exception["message"]) == ("KeyError", "'key'")
    assert [(f["file"], f["line"], f["user"]) for f in exception["frames"]] == [
        ("main.py", 6, True),
        ("main.py", 5, True),
    ]
    assert output(spec.run_dir).startswith("Traceback (most recent call last):\n")
    assert "mellea" not in output(spec.run_dir).replace(str(spec.run_dir), "")


def test_a_program_that_does_not_parse_executes_nothing(
    executor: Executor, new_run: NewRun
) -> None:
    spec = new_run("# %%\nprint('first')\n# %%\nif:\n")
    assert run_to_end(executor, spec)["exit_code"] == 1
    [exception] = frames(spec.run_dir, "exception")
    assert exception["type"] == "SyntaxError"
    assert exception["frames"][-1]["line"] == 4
    assert "first" not in output(spec.run_dir)


def test_a_callable_gets_its_parameters_and_gives_its_output(
    executor: Executor, new_run: NewRun
) -> None:
    spec = new_run(
        "async def plan(city):\n    return {'city': city}\n",
        entry={"kind": "callable", "target": "main:plan"},
        parameters={"city": "Lisbon"},
    )
    assert run_to_end(executor, spec)["exit_code"] == 0
    [result] = frames(spec.run_dir, "structured_output")
    assert result["data"] == {"city": "Lisbon"}


# -- notebooks -----------------------------------------------------------------------------------


def test_a_notebook_is_executed_cell_by_cell_with_progress_and_parameters(
    executor: Executor, new_run: NewRun
) -> None:
    spec = notebook_run(
        new_run,
        {"cell_type": "markdown", "source": "# Story", "metadata": {}},
        code("city = 'Rome'", "parameters"),
        code("import os, sys\nprint(city, len(os.listdir(os.environ['MELLEA_OUTPUT_DIR'])))"),
        code("raise ValueError('wanted')", "raises-exception"),
        code("never", "skip-execution"),
        code("  "),
        code("await __import__('asyncio').sleep(0)\n6 * 7"),
        parameters={"city": "Lisbon"},
    )
    assert run_to_end(executor, spec)["exit_code"] == 0
    texts = [frame["text"] for frame in frames(spec.run_dir, "progress")]
    assert texts == [f"cell {n} of 5" for n in (1, 2, 3, 4, 5, 5)]
    assert frames(spec.run_dir, "progress")[-1]["done"] == 5
    cells = executed(spec)
    assert cells[2]["source"] == "# Parameters\ncity = 'Lisbon'"
    assert cells[3]["outputs"][0]["text"].startswith("Lisbon 1")  # the notebook so far
    assert cells[-1]["outputs"][0]["data"]["text/plain"] == "42"
    assert [c["execution_count"] for c in cells if c["cell_type"] == "code"] == [
        1, 2, 3, 4, None, None, 5,
    ]  # fmt: skip


def test_a_failing_cell_ends_the_notebook_with_the_user_s_line(
    executor: Executor, new_run: NewRun
) -> None:
    spec = notebook_run(
        new_run,
        code("print('one')"),
        code("def wrong():\n    x = 1\n    return {}['key']"),
        code("y = 2\nwrong()"),
        code("print('four')"),
        code("print('five')"),
    )
    assert run_to_end(executor, spec)["exit_code"] == 1
    [exception] = frames(spec.run_dir, "exception")
    assert (exception["type"], exception["message"]) == ("KeyError", "'key'")
    places = [(f["file"], f["line"], f["text"]) for f in exception["frames"]]
    assert places == [("cell 3", 2, "wrong()"), ("cell 2", 3, "return {}['key']")]
    assert all(f["user"] for f in exception["frames"])
    assert "four" not in output(spec.run_dir)
    cells = executed(spec)
    assert cells[2]["outputs"][0]["ename"] == "KeyError"
    assert cells[3]["outputs"] == []
    assert frames(spec.run_dir, "progress")[-1]["text"] == "cell 3 of 5"


@pytest.mark.parametrize(
    ("source", "status"), [("import sys\nsys.exit(3)", 3), ("raise SystemExit", 0)]
)
def test_a_notebook_that_exits_has_that_exit_code_and_executes_no_more(
    source: str, status: int, executor: Executor, new_run: NewRun
) -> None:
    spec = notebook_run(new_run, code(source), code("print('more')"))
    assert run_to_end(executor, spec)["exit_code"] == status
    assert "more" not in output(spec.run_dir)


def test_a_file_that_is_no_notebook_is_explained(executor: Executor, new_run: NewRun) -> None:
    spec = new_run("", entry={"kind": "notebook", "path": "story.ipynb"})
    (spec.run_dir / "source" / "story.ipynb").write_text("not json")
    end = run_to_end(executor, spec)
    assert (end["reason"], end["started"]) == ("launch_failed", False)
    assert "cannot be read as a notebook" in end["message"]


# -- what is shown -------------------------------------------------------------------------------


def test_displays_are_kept_by_format_and_told_in_the_log(
    executor: Executor, new_run: NewRun
) -> None:
    spec = notebook_run(
        new_run,
        code(
            "from IPython.display import HTML, JSON, SVG, Image, display\n"
            "display(HTML('<b>bold</b>'))\n"
            "display(JSON({'a': [1]}))\n"
            "display(SVG('<svg xmlns=\"http://www.w3.org/2000/svg\"></svg>'))"
        ),
        code(
            "shown = display({'text/plain': 'picture', 'image/png': 'iVBORw0KGgo='}, raw=True,\n"
            "                display_id='p')\n"
            "display({'text/html': 'second'}, raw=True)\n"
            "shown.update({'text/plain': 'picture', 'text/html': '<i>late</i>'}, raw=True)"
        ),
        code("'only text'"),
    )
    assert run_to_end(executor, spec)["exit_code"] == 0
    folder = spec.run_dir / "outputs"
    kept = {path.name: path.read_bytes() for path in folder.glob("cell-*")}
    assert sorted(kept) == [
        "cell-001-1.html", "cell-001-2.json", "cell-001-3.svg",
        "cell-002-1.html", "cell-002-1.png", "cell-002-2.html",
    ]  # fmt: skip
    assert kept["cell-001-1.html"] == b"<b>bold</b>"
    assert json.loads(kept["cell-001-2.json"]) == {"a": [1]}
    assert kept["cell-002-1.png"] == b"\x89PNG\r\n\x1a\n"
    assert kept["cell-002-1.html"] == b"<i>late</i>"
    lines = output(spec.run_dir).splitlines()
    assert "picture" in lines
    assert "'only text'" in lines
    updated = executed(spec)[1]["outputs"][0]["data"]
    assert updated["text/html"] == "<i>late</i>"


def test_a_flood_of_displays_loses_no_event(executor: Executor, new_run: NewRun) -> None:
    spec = notebook_run(
        new_run,
        code(
            "from mellea_runtime import current_run\n"
            "for n in range(3000):\n"
            "    display({'text/plain': f'shown {n}'}, raw=True)\n"
            "    current_run.output(n)\n"
        ),
    )
    assert run_to_end(executor, spec)["exit_code"] == 0
    assert [f["data"] for f in frames(spec.run_dir, "structured_output")] == list(range(3000))
    assert output(spec.run_dir).splitlines() == [f"shown {n}" for n in range(3000)]
    assert frames(spec.run_dir, "gap") == []


def test_a_supervisor_that_falls_behind_holds_the_program_back_and_loses_nothing(
    executor: Executor, new_run: NewRun
) -> None:
    spec = new_run(
        "import pathlib\n"
        "from mellea_runtime import current_run\n"
        "print('ready', flush=True)\n"
        "while not pathlib.Path('go').exists(): pass\n"
        "at = open('at', 'w')\n"
        "for n in range(3000):\n"
        "    display({'text/plain': f'{n} ' + 10_000 * 'x'}, raw=True)\n"
        "    current_run.output(n)\n"
        "    print(n, file=at, flush=True)\n"
    )
    handle = executor.launch(spec)
    wait_until(lambda: "ready" in output(spec.run_dir))
    supervisor = supervisor_identity(handle)
    supervisor.send(signal.SIGSTOP)
    try:
        (spec.run_dir / "source" / "go").touch()
        wait_until(lambda: _is_idle(program_identity(spec.run_dir)))
        came_to = int((spec.run_dir / "source" / "at").read_text().split()[-1])
    finally:
        supervisor.send(signal.SIGCONT)
    assert end_frame(spec.run_dir)["exit_code"] == 0
    assert came_to < 2999
    assert [f["data"] for f in frames(spec.run_dir, "structured_output")] == list(range(3000))
    shown = [line.split()[0] for line in output(spec.run_dir).splitlines()[1:]]
    assert shown == [str(n) for n in range(3000)]
    assert frames(spec.run_dir, "gap") == []


def test_a_lost_word_that_a_cell_is_done_does_not_hold_the_run(
    executor: Executor, new_run: NewRun
) -> None:
    spec = notebook_run(
        new_run,
        code(
            "kernel = get_ipython().kernel\n"
            "publish = kernel._publish_status\n"
            "def publish_later_ones(*args, **options):\n"
            "    kernel._publish_status = publish\n"
            "kernel._publish_status = publish_later_ones\n"
        ),
        code("print('next')"),
    )
    executor.launch(spec)
    assert end_frame(spec.run_dir)["exit_code"] == 0
    assert [gap["reason"] for gap in frames(spec.run_dir, "gap")] == ["unheard"]
    assert output(spec.run_dir) == "next\n"


def test_secrets_are_in_nothing_that_is_kept(executor: Executor, new_run: NewRun) -> None:
    spec = notebook_run(
        new_run,
        code("import os\nkey = os.environ['API_KEY']\nprint(key)\nkey"),
        code("display({'text/html': f'<b>{key}</b>', 'application/json': {'k': key}}, raw=True)"),
        code("raise ValueError(key)"),
    )
    assert run_to_end(executor, spec)["exit_code"] == 1
    kept = all_text(spec)
    assert "s3cret-value" not in kept
    assert kept.count("••••") > 5


def test_llm_calls_are_counted_as_the_endpoint_counts_them(
    executor: Executor, new_run: NewRun, llm: ScriptedLlm
) -> None:
    spec = notebook_run(
        new_run,
        code("import mellea\nm = mellea.start_session()"),
        code("for _ in range(3): m.chat('hello')"),
        code("import asyncio\nawait asyncio.gather(*(m.achat('again') for _ in range(4)))"),
        model="demo/scripted",
        env={
            "PATH": os.environ["PATH"],
            "OPENAI_BASE_URL": llm.openai_url,
            "OPENAI_API_KEY": "none",
        },
    )
    assert run_to_end(executor, spec)["exit_code"] == 0, output(spec.run_dir)
    finished = frames(spec.run_dir, "call_finished")
    assert len(finished) == len(llm.exchanges) == 7
    assert {frame["model"] for frame in finished} == {"demo/scripted"}
    assert frames(spec.run_dir, "gap") == []


# -- stopping ------------------------------------------------------------------------------------


def test_a_cell_that_awaits_is_stopped_although_an_interrupt_does_not_end_it(
    executor: Executor, new_run: NewRun
) -> None:
    spec = notebook_run(
        new_run, code("import asyncio\nprint('ready')\nawait asyncio.sleep(600)"), code("1")
    )
    handle = executor.launch(spec)
    wait_until(lambda: "ready" in output(spec.run_dir))
    executor.cancel(handle, spec.run_dir, reason="user", by="ada", grace_seconds=1)
    assert end_frame(spec.run_dir)["reason"] == "user"
    wait_until(lambda: not executor.poll(handle, spec.run_dir).alive)


def test_an_interrupted_notebook_executes_no_further_cell(
    executor: Executor, new_run: NewRun
) -> None:
    spec = notebook_run(
        new_run, code("import time\nprint('ready')\ntime.sleep(600)"), code("print('next')")
    )
    handle = executor.launch(spec)
    wait_until(lambda: "ready" in output(spec.run_dir))
    executor.cancel(handle, spec.run_dir, reason="user", by="ada", grace_seconds=60)
    end = end_frame(spec.run_dir)
    assert (end["reason"], end["exit_code"]) == ("user", 130)
    assert "next" not in output(spec.run_dir)
    assert executed(spec)[0]["outputs"][-1]["ename"] == "KeyboardInterrupt"


def test_a_run_is_stopped_while_its_kernel_starts(executor: Executor, new_run: NewRun) -> None:
    spec = new_run("print('never')")
    handle = executor.launch(spec)
    wait_until(lambda: frames(spec.run_dir, "started"))
    executor.cancel(handle, spec.run_dir, reason="user", by="ada", grace_seconds=10)
    assert end_frame(spec.run_dir)["reason"] == "user"
    wait_until(lambda: not executor.poll(handle, spec.run_dir).alive)


def test_a_killed_kernel_ends_its_run_with_that_signal(executor: Executor, new_run: NewRun) -> None:
    spec = notebook_run(new_run, code("import time\nprint('ready')\ntime.sleep(600)"))
    executor.launch(spec)
    wait_until(lambda: "ready" in output(spec.run_dir))
    program_identity(spec.run_dir).send(signal.SIGKILL)
    end = end_frame(spec.run_dir)
    assert (end["exit_code"], end["signal"], end["reason"]) == (-9, 9, "signal")
    assert executed(spec)[0]["outputs"][0]["text"] == "ready\n"


# -- kernels that are not ipykernel ----------------------------------------------------------------


@pytest.fixture
def shell_executor(tmp_path: Path) -> KernelExecutor:
    """An executor whose kernel `python3` executes shell commands."""
    folder = tmp_path / "kernels" / "python3"
    folder.mkdir(parents=True)
    argv = [sys.executable, str(Path(__file__).with_name("shell_kernel.py"))]
    content = {"argv": [*argv, "-f", "{connection_file}"], "display_name": "Shell"}
    (folder / "kernel.json").write_text(json.dumps({**content, "language": "shell"}))
    specs = KernelSpecManager(kernel_dirs=[str(folder.parent)], ensure_native_kernel=False)
    return KernelExecutor(options=KernelOptions(specs=specs))


def test_a_notebook_of_another_language_is_executed_without_llm_calls(
    shell_executor: KernelExecutor, new_run: NewRun
) -> None:
    spec = notebook_run(new_run, code("echo one"), code("echo two; exit 3"), code("echo never"))
    assert run_to_end(shell_executor, spec)["exit_code"] == 1
    assert output(spec.run_dir).splitlines() == ["one", "two"]
    [warning] = frames(spec.run_dir, "system")
    assert warning["message"].startswith("LLM calls are not recorded: this kernel has no ipykernel")
    [error] = frames(spec.run_dir, "exception")
    assert (error["type"], error["message"]) == ("ShellError", "3")
    assert [len(cell["outputs"]) for cell in executed(spec)] == [1, 2, 0]


def test_a_program_needs_ipykernel(shell_executor: KernelExecutor, new_run: NewRun) -> None:
    spec = new_run("print('never')")
    end = run_to_end(shell_executor, spec)
    assert end["reason"] == "launch_failed"
    assert "This kernel can not execute" in end["message"]
    assert "it needs ipykernel" in end["message"]


# -- a supervisor that dies ----------------------------------------------------------------------


def kill_the_supervisor(executor: Executor, handle: RunHandle, spec: LaunchSpec) -> None:
    supervisor = supervisor_identity(handle)
    supervisor.send(signal.SIGKILL)
    assert supervisor.wait(10)
    until_taken_over(executor, handle, spec)


def until_taken_over(executor: Executor, handle: RunHandle, spec: LaunchSpec) -> None:
    """Poll as the service does; the journal's lock may go a moment later than its holder."""
    taken_over = spec.run_dir / "taken-over.json"
    wait_until(lambda: executor.poll(handle, spec.run_dir).alive and taken_over.exists())


def test_another_supervisor_goes_on_with_the_kernel_and_says_what_was_not_heard(
    new_executor: NewExecutor, new_run: NewRun
) -> None:
    spec = new_run(COUNTING)
    handle = new_executor().launch(spec)
    wait_until(lambda: "tick 3\n" in output(spec.run_dir))
    other = new_executor()
    kill_the_supervisor(other, handle, spec)
    end = end_frame(spec.run_dir)
    assert (end["exit_code"], end["reason"]) == (0, "exit_code")
    [gap] = frames(spec.run_dir, "gap")
    assert gap["reason"] == "unheard"
    assert gap["seconds"] > 0
    lines = output(spec.run_dir).splitlines()
    assert lines[0] == "one"
    assert lines[-2:] == ["tick 29", "three"]
    assert len(lines) == len(set(lines))
    assert [frame["seq"] for frame in frames(spec.run_dir)] == list(
        range(1, len(frames(spec.run_dir)) + 1)
    )
    wait_until(lambda: not other.poll(handle, spec.run_dir).alive)


def test_what_happened_meanwhile_is_found_out(executor: Executor, new_run: NewRun) -> None:
    """The cell fails while nobody listens; a restarted notebook does not execute it again."""
    spec = notebook_run(
        new_run,
        code("kept = 1\nprint('kept')"),
        code(
            "import pathlib, time\n"
            "print('ready', flush=True)\n"
            "while not pathlib.Path('go').exists(): time.sleep(0.05)\n"
            "raise KeyError('meanwhile')"
        ),
        code("print('never')"),
    )
    handle = executor.launch(spec)
    wait_until(lambda: "ready" in output(spec.run_dir))
    supervisor = supervisor_identity(handle)
    supervisor.send(signal.SIGKILL)
    assert supervisor.wait(10)
    (spec.run_dir / "source" / "go").touch()
    wait_until(lambda: _is_idle(program_identity(spec.run_dir)))
    until_taken_over(executor, handle, spec)
    assert end_frame(spec.run_dir)["exit_code"] == 1
    assert executed(spec)[0]["outputs"][0]["text"] == "kept\n"
    assert "never" not in output(spec.run_dir)
    assert len(frames(spec.run_dir, "gap")) == 1


def _is_idle(kernel: ProcessIdentity) -> bool:
    """Whether a process has used no processor time for a moment."""
    import time

    def used() -> list[str]:
        return Path(f"/proc/{kernel.pid}/stat").read_text().rpartition(")")[2].split()[11:13]

    before = used()
    time.sleep(1)
    return used() == before


def test_events_that_nobody_heard_are_counted(executor: Executor, new_run: NewRun) -> None:
    spec = new_run(
        "import pathlib, time\n"
        "from mellea_runtime import current_run\n"
        "print('ready', flush=True)\n"
        "while not pathlib.Path('go').exists(): time.sleep(0.05)\n"
        "for n in range(5): current_run.output(n)\n"
        "pathlib.Path('sent').touch()\n"
        "while not pathlib.Path('end').exists(): time.sleep(0.05)\n"
        "current_run.output('heard')\n"
    )
    source = spec.run_dir / "source"
    handle = executor.launch(spec)
    wait_until(lambda: "ready" in output(spec.run_dir))
    supervisor = supervisor_identity(handle)
    supervisor.send(signal.SIGKILL)
    assert supervisor.wait(10)
    (source / "go").touch()
    wait_until((source / "sent").exists)
    until_taken_over(executor, handle, spec)
    wait_until(lambda: frames(spec.run_dir, "gap"))
    wait_until(lambda: [f for f in frames(spec.run_dir, "usage") if f["seq"] > gap_seq(spec)])
    (source / "end").touch()
    assert end_frame(spec.run_dir)["exit_code"] == 0
    away, events = frames(spec.run_dir, "gap")
    assert away["seconds"] >= 0
    assert events["events"] == 5
    assert [f["data"] for f in frames(spec.run_dir, "structured_output")] == ["heard"]
    assert end_frame(spec.run_dir)["dropped_events"] == 5


def gap_seq(spec: LaunchSpec) -> int:
    return int(frames(spec.run_dir, "gap")[0]["seq"])


def test_a_kernel_that_is_gone_with_its_supervisor_is_server_stopped(
    executor: Executor, kind: KernelKind, new_run: NewRun
) -> None:
    spec = new_run("print('ready', flush=True)\nimport time\ntime.sleep(600)\n")
    handle = executor.launch(spec)
    wait_until(lambda: "ready" in output(spec.run_dir))
    kind.kill_supervisor(handle, spec)
    wait_until(lambda: not executor.poll(handle, spec.run_dir).alive)
    word = executor.poll(handle, spec.run_dir)
    assert (word.reason, word.exit_code) == ("server_stopped", None)
    assert "can not be found again" in str(word.message)
    assert executor.kill(handle, spec.run_dir)


def test_a_run_that_was_told_to_stop_is_not_taken_over(executor: Executor, new_run: NewRun) -> None:
    spec = new_run("import signal\nsignal.signal(2, signal.SIG_IGN)\nprint('ready', flush=True)\n"
                   "while True: signal.pause()\n")  # fmt: skip
    handle = executor.launch(spec)
    wait_until(lambda: "ready" in output(spec.run_dir))
    executor.cancel(handle, spec.run_dir, reason="user", by="ada", grace_seconds=60)
    wait_until(lambda: frames(spec.run_dir, "stop"))
    supervisor_identity(handle).send(signal.SIGKILL)
    assert supervisor_identity(handle).wait(10)
    wait_until(lambda: not executor.poll(handle, spec.run_dir).alive)
    assert not (spec.run_dir / "taken-over.json").exists()
    assert executor.kill(handle, spec.run_dir)
    assert not program_identity(spec.run_dir).is_alive()
