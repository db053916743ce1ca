"""Gives its rights up, as a careful service does, and misses them later."""

import os
from pathlib import Path


def prepare():
    path = Path("/var/tmp") / f"mj-private-{os.getpid()}"
    path.mkdir(mode=0o700)
    return path


def write_result(folder):
    (folder / "result.txt").write_text("done")


folder = prepare()
if os.getuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
else:
    folder.chmod(0o500)
write_result(folder)
