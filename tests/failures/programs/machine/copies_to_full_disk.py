"""A library copies; the disk is full inside of it."""

import shutil
import sys
import tempfile
from pathlib import Path


def archive(source, target):
    return shutil.copytree(source, target)


source = Path(tempfile.mkdtemp())
for number in range(6):
    (source / f"page{number}.txt").write_bytes(b"x" * 500_000)
try:
    archive(source, Path(sys.argv[1]) / "pages")
finally:
    shutil.rmtree(source)
