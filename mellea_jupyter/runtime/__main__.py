"""Started as `python [-I -S] <this folder> COMMAND …`.

Commands:
    supervise RUN_DIR [--reason TEXT]
        Supervise one run; the program gets a fresh interpreter. TEXT says why it is not warm.
    sidecar RUN_DIR [--wait SECONDS [--preload a,b,c]] [--reason TEXT]
        Supervise one run in a container of its own and exit as its program did.
    forkserver --socket PATH [--preload a,b,c] [--idle-seconds N]
        Import modules once and fork warm runs on request until nobody asked for N seconds.
    program RUN_DIR DESCRIPTOR
        Internal: become the program (the supervisor starts this).
    version
        Print the runtime's version.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from typing import Any, List

PACKAGE = "mellea_runtime"


def load_package() -> None:
    """Load this folder as the package `mellea_runtime`; no parent folder gets on `sys.path`."""
    folder = os.path.dirname(os.path.abspath(__file__))
    spec = importlib.util.spec_from_file_location(
        PACKAGE, os.path.join(folder, "__init__.py"), submodule_search_locations=[folder]
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"{folder} is not a package")
    package = importlib.util.module_from_spec(spec)
    sys.modules[PACKAGE] = package
    spec.loader.exec_module(package)


def runtime_module(name: str) -> Any:
    """One of our modules, under the package's name in a run."""
    return importlib.import_module(f"{PACKAGE}.{name}")


def main(arguments: List[str]) -> int:
    """Do what the command says; its exit status."""
    if sys.path and os.path.realpath(sys.path[0] or ".") == os.path.dirname(
        os.path.realpath(__file__)
    ):
        del sys.path[0]  # put there by the interpreter; would offer our modules as top-level names
    load_package()
    command = arguments[0] if arguments else ""
    if command == "supervise" and len(arguments) in (2, 4):
        supervisor = runtime_module("supervisor")
        reason = arguments[3] if arguments[2:3] == ["--reason"] else None
        start = supervisor.Start("fresh", reason)
        return int(supervisor.supervise(os.path.abspath(arguments[1]), start))
    if command == "program" and len(arguments) == 3:
        return int(runtime_module("program").run_fresh(arguments[1], int(arguments[2])))
    if command == "sidecar":
        return int(runtime_module("sidecar").main(arguments[1:]))
    if command == "forkserver":
        return int(runtime_module("forkserver").main(arguments[1:]))
    if command == "version":
        print(sys.modules[PACKAGE].RUNTIME_VERSION)
        return 0
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
