import os
from pathlib import Path


def publish(path):
    path.write_text("result")
    os.chown(path, 0, 0)


publish(Path("result.txt"))
