"""Calls a program that is not installed."""

import subprocess


def render(path):
    return subprocess.run(["pandoc-of-another-machine", path], check=True, capture_output=True)


render("report.md")
