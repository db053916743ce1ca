"""Turns SIGTERM into an exception, to clean up."""

import signal
import time


class Terminated(Exception):
    pass


def on_term(number, frame):
    raise Terminated("asked to end")


def main():
    signal.signal(signal.SIGTERM, on_term)
    print("busy", flush=True)
    time.sleep(600)


main()
