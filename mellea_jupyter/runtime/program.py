"""Become the program: what `python prog.py` would be, plus the reports of a managed run."""

from __future__ import annotations

import atexit
import gc
import io
import os
import sys
import threading
from types import CodeType, ModuleType
from typing import Any, Iterable, NoReturn, Optional, Set

from . import steering
from .control import Channel
from .current_run import as_json, current_run
from .post_import import when_imported
from .spec import RunSpec, load_spec
from .streams import StandardStreams, refuse_input

EXIT_INTERRUPTED = 130
EXIT_FLUSH_FAILED = 120


class UnusableProgram(Exception):
    """The run asks for something this environment cannot execute; the text says what to do."""


def run_fresh(run_dir: str, descriptor: int) -> int:
    """In a fresh interpreter: run the program; its exit status, with which python then exits."""
    spec = load_spec(run_dir)
    channel = prepare(spec, descriptor)
    atexit.register(channel.close)  # first registered, so last called
    forget_shadowed_modules(spec.import_dir)
    return run(spec, channel)


def run_warm(spec: RunSpec, descriptor: int) -> NoReturn:
    """In a process forked from the template: run the program and leave without finalising.

    Never returns and never raises. What python does at its end is done by hand: threads are
    joined, `atexit` is called, files that are still open are flushed.
    """
    channel = prepare(spec, descriptor)
    status = run(spec, channel)
    try:
        threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001  # python ends so, too
    except BaseException as error:
        sys.excepthook(type(error), error, error.__traceback__)
    try:
        atexit._run_exitfuncs()  # noqa: SLF001  # the same
    except BaseException:
        pass  # atexit has printed it
    if not flush_open_files() and status == 0:
        status = EXIT_FLUSH_FAILED
    channel.close()
    os._exit(status)


def prepare(spec: RunSpec, descriptor: int) -> Channel:
    """Set up streams, reports and steering before any of the program's code runs."""
    streams = StandardStreams()
    channel = Channel(descriptor, streams.positions)
    current_run.attach(spec, channel)
    refuse_input()

    def on_logging(_: ModuleType) -> None:
        from .records import send_stream_handlers

        send_stream_handlers(channel, streams)

    when_imported("logging", on_logging)
    instrument_mellea(spec, channel)
    return channel


def instrument_mellea(spec: RunSpec, channel: Channel) -> None:
    """Once mellea is imported: report its calls and its log, and steer its models."""

    def on_mellea(_: ModuleType) -> None:
        if spec.forwards_mellea_log:
            from .records import send_mellea_records

            send_mellea_records(channel)
        from . import llm_events

        llm_events.install(
            channel,
            capture_content=spec.capture_content,
            max_llm_calls=spec.max_llm_calls,
            max_cost_usd=spec.max_cost_usd,
            asks=spec.on_budget == "ask",
            ask_seconds=spec.budget_ask_seconds,
            run_dir=spec.run_dir,
            output_dir=spec.output_dir,
        )

    when_imported("mellea", on_mellea)
    steering.install(spec.model, spec.model_steering, channel)


def run(spec: RunSpec, channel: Channel) -> int:
    """Execute the program; the exit status plain python would give it (130 when interrupted)."""
    sys.argv = [spec.program_path, *spec.argv]
    if not getattr(sys.flags, "safe_path", False):
        sys.path.insert(0, spec.import_dir)
    try:
        if spec.kind == "file":
            _run_file(spec.program_path)
        elif spec.kind == "callable":
            run_callable(spec, channel)
        else:
            return _run_notebook(spec, channel)
    except SystemExit as error:
        return exit_status(error.code)
    except UnusableProgram as error:
        explain(error, channel)
        return 1
    except BaseException as error:
        report(error, spec, channel)
        return EXIT_INTERRUPTED if isinstance(error, KeyboardInterrupt) else 1
    return 0


def _run_file(path: str) -> None:
    with io.open_code(path) as file:
        source = file.read()
    main = new_main(path)
    exec(_compiled(source, path), main.__dict__)  # noqa: S102  # what runpy does


def _compiled(source: bytes, path: str) -> CodeType:
    code: CodeType = compile(source, path, "exec", dont_inherit=True)
    return code


def new_main(path: Optional[str]) -> ModuleType:
    """The `__main__` module as `python path` has it."""
    from importlib.machinery import SourceFileLoader

    main = ModuleType("__main__")
    main.__dict__.update(__builtins__=sys.modules["builtins"], __annotations__={})
    if path is not None:
        main.__dict__.update(
            __file__=path, __cached__=None, __loader__=SourceFileLoader("__main__", path)
        )
    sys.modules["__main__"] = main
    return main


def run_callable(spec: RunSpec, channel: Channel) -> None:
    """Call `module:callable` with the parameters; what it returns is the structured output."""
    import importlib
    import inspect
    import json

    module_name, _, path = spec.target.partition(":")
    if not path:
        raise UnusableProgram(f"{spec.target!r} is not of the form module:callable")
    new_main(None)
    function: Any = importlib.import_module(module_name)
    for name in path.split("."):
        try:
            function = getattr(function, name)
        except AttributeError:
            raise UnusableProgram(f"module {module_name!r} has no {path!r}") from None
    result = function(**spec.parameters)
    if inspect.iscoroutine(result):
        import asyncio

        result = asyncio.run(result)
    if result is None:
        return
    try:
        json.dumps(result, default=as_json, allow_nan=False)
    except (TypeError, ValueError) as error:
        message = f"What {spec.target} returned is not kept: {error}."
        channel.emit("system", level="warn", message=message)
    else:
        current_run.output(result)


def _run_notebook(spec: RunSpec, channel: Channel) -> int:
    """Execute a notebook. A failing cell is told by its own exception's name, not by ours."""
    from . import notebook

    new_main(None)
    try:
        notebook.execute(spec, channel)
    except notebook.UnusableNotebook as error:
        explain(error, channel)
        return 1
    except notebook.CellFailed as error:
        sys.stderr.flush()
        channel.emit(
            "exception", type=error.error_type, message=error.error_message, frames=error.frames
        )
        return 1
    return 0


def explain(error: Exception, channel: Channel) -> None:
    """Tell why the run cannot be executed at all; the runtime's own traceback helps nobody."""
    from .failure import describe

    channel.emit("exception", **describe(error, ()))
    print(f"mellea run: {error}", file=sys.stderr)


def exit_status(code: object) -> int:
    """What `SystemExit(code)` means, as python has it: a text is printed and means 1."""
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF
    print(code, file=sys.stderr)
    return 1


def report(error: BaseException, spec: RunSpec, channel: Channel) -> None:
    """Send the exception, then let the program's excepthook print it as without us."""
    from .failure import describe, own_frames_removed  # only now: it imports traceback

    try:
        fields = describe(error, (spec.source_dir, spec.working_directory))
        sys.stdout.flush()
        channel.emit("exception", **fields)
    except Exception as broken:
        channel.emit("system", level="warn", message=f"exception not described: {broken!r}")
    trace = own_frames_removed(error.__traceback__)
    try:
        sys.excepthook(type(error), error.with_traceback(trace), trace)
    except Exception:
        sys.__excepthook__(type(error), error, trace)


def flush_open_files() -> bool:
    """Flush every file that is still open, as python's finalisation would; whether all could be.

    A program that never closes what it wrote must not lose it because the process is left early.
    """
    done = True
    kinds = (io.TextIOWrapper, io.BufferedWriter, io.BufferedRandom)
    texts_first = sorted(
        (item for item in gc.get_objects() if type(item) in kinds),
        key=lambda item: not isinstance(item, io.TextIOWrapper),
    )
    for item in [*texts_first, sys.stdout, sys.stderr]:
        try:
            if item is not None and not item.closed:
                item.flush()
        except Exception:
            done = done and item not in (sys.stdout, sys.__stdout__)
    return done


def shadowed_modules(folder: str, names: Iterable[str]) -> Set[str]:
    """Which of these top-level modules a file or package in `folder` would take precedence over."""
    local: Set[str] = set()
    try:
        entries = os.listdir(folder)
    except OSError:
        return set()
    for entry in entries:
        stem, dot, _ = entry.partition(".")
        is_module = dot and entry.endswith((".py", ".so", ".pyc"))
        if is_module or os.path.isfile(os.path.join(folder, entry, "__init__.py")):
            local.add(stem)
    return {name for name in names if name in local}


def forget_shadowed_modules(folder: str) -> None:
    """Let the program import its own `json.py` although we have imported the library's `json`."""
    names = {name.partition(".")[0] for name in sys.modules} - INTERPRETER_MODULES
    for shadowed in shadowed_modules(folder, names):
        for name in list(sys.modules):
            if name == shadowed or name.startswith(f"{shadowed}."):
                del sys.modules[name]


INTERPRETER_MODULES = frozenset(
    (
        *sys.builtin_module_names,
        *("os", "site", "codecs", "encodings", "io", "abc", "stat", "posixpath", "genericpath"),
        *("_collections_abc", "_sitebuiltins", "__main__", "mellea_runtime"),
    )
)
"""Loaded before a program's folder is on `sys.path`, so a local file never replaces them."""
