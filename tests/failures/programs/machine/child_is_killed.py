"""A helper program grows until it is killed; its exit code is what this one reports."""

import subprocess
import sys

CODE = "kept = []\nwhile True: kept.append(b'x' * (4 << 20))"


def convert():
    return subprocess.run([sys.executable, "-c", CODE]).returncode


code = convert()
print(f"converter ended with {code}", file=sys.stderr)
sys.exit(1 if code else 0)
