"""Hold one run and its kernel.

Started as `python -m mellea_jupyter.executors.kernel RUN_DIR [--resume]`; `--resume` takes over the
kernel of a supervisor that has died.
"""

from __future__ import annotations

import os
import sys

from mellea_jupyter.runtime.supervisor import SignalPipe

if __name__ == "__main__":
    signals = SignalPipe()  # before the slow imports, so that no request to stop is missed
    from mellea_jupyter.executors.kernel.supervisor import supervise

    status = supervise(sys.argv[1], signals, resume="--resume" in sys.argv[2:])
    sys.stderr.flush()
    os._exit(status)  # whoever has read the end expects that nobody is here any more
