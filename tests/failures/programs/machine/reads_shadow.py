"""Reads a file that belongs to another account."""

from pathlib import Path


def accounts(path):
    return [line.split(":")[0] for line in path.read_text().splitlines()]


print(accounts(Path("/etc/shadow")))
