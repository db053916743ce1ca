"""Started as `python [-I -S] <this folder> COMMAND …`.

Commands:
    supervise RUN_DIR [--reason TEXT]
        Supervise one run; the program gets a fresh interpreter. TEXT says why it is not warm.
    forkserver --socket PATH [--preload a,b,c] [--idle-seconds N]
        Import modules once and fork warm runs on request until nobody asked for N seconds.
    program RUN_DIR DESCRIPTOR
        Internal: become the program (the supervisor starts this).
    version
        Print the runtime's version.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from typing import List

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


def main(arguments: List[str]) -> int:
    """Do what the command says; its exit status."""
    if sys.path and os.path.realpath(sys.path[0] or ".") == os.path.dirname(
        os.path.realpath(__file__)
    ):
        del sys.path[0]  # put there by the interpreter; would offer our modules as top-level names
    load_package()
    command = arguments[0] if arguments else ""
    if command == "supervise" and len(arguments) in (2, 4):
        from mellea_runtime.supervisor import Start, supervise

        reason = arguments[3] if arguments[2:3] == ["--reason"] else None
        return supervise(os.path.abspath(arguments[1]), Start("fresh", reason))
    if command == "program" and len(arguments) == 3:
        from mellea_runtime.program import run_fresh

        return run_fresh(arguments[1], int(arguments[2]))
    if command == "forkserver":
        from mellea_runtime.forkserver import main as serve

        return serve(arguments[1:])
    if command == "version":
        from mellea_runtime import RUNTIME_VERSION

        print(RUNTIME_VERSION)
        return 0
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
