"""Run the benchmarks one after another: ``python -m benchmarks [NAME …]``.

Each benchmark is a program of its own (``python -m benchmarks.rest``), run in its own process so
that none warms or burdens another. All print the same rows: what was measured, the ratio, the
target. A missed target is shown, not raised: a laptop under load misses some of them.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

FOLDER = Path(__file__).parent
ORDER = (
    "instrumentation", "store", "startup", "rest", "calls", "logs", "artifacts", "lab", "calls_tab",
    "docker",
)  # fmt: skip


def main() -> int:
    """Run those named on the command line, or all; 1 when one of them broke."""
    known = [name for name in ORDER if (FOLDER / f"{name}.py").exists()]
    names = sys.argv[1:] or known
    if unknown := [name for name in names if name not in known]:
        print(f"no benchmark {', '.join(unknown)}; there are {', '.join(known)}", file=sys.stderr)
        return 2
    broken = []
    for name in names:
        print(f"\n{name}", flush=True)
        began = time.monotonic()
        command = [sys.executable, "-m", f"benchmarks.{name}"]
        if subprocess.run(command, cwd=FOLDER.parent, check=False).returncode:
            broken.append(name)
        print(f"  ({time.monotonic() - began:.0f} s)", flush=True)
    if broken:
        print(f"\nbroken: {', '.join(broken)}", file=sys.stderr)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
