"""``python -m mellea_jupyter.demo``: serve the demo model until interrupted."""

from __future__ import annotations

import argparse
import signal
import sys
import threading

from .server import MODEL_NAME, DemoModel


def main() -> None:
    """Serve on the given address, print its URL, and stop on SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m mellea_jupyter.demo", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to bind (%(default)s)")
    parser.add_argument("--port", type=int, default=0, help="port to bind; 0 picks a free one")
    parser.add_argument("--latency-ms", type=float, default=150, help="time a reply takes")
    options = parser.parse_args()
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    with DemoModel(options.latency_ms / 1000, options.host, options.port) as model:
        sys.stdout.write(f"{MODEL_NAME} (scripted, not a model) at {model.openai_url}\n")
        sys.stdout.flush()
        stopped.wait()


if __name__ == "__main__":
    main()
