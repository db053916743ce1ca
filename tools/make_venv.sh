#!/bin/sh
# Make a virtual environment with the first interpreter that will do, or say what is missing.
# Usage: make_venv.sh FOLDER    (PYTHON=/path/to/python chooses the interpreter)
set -eu

folder=$1
usable='import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))'

for python in ${PYTHON:-python3.13 python3.12 python3.11 python3}; do
    # A name on PATH may be a shim without an interpreter behind it, so it is run, not looked up.
    if "$python" -c "$usable" >/dev/null 2>&1; then
        echo "Making $folder with $("$python" --version)"
        exec "$python" -m venv --clear "$folder"
    fi
done

found=$(python3 --version 2>/dev/null || echo "no python3")
cat >&2 <<TEXT
mellea-jupyter needs Python 3.11 or later with its venv module; found: $found.
  Debian, Ubuntu: apt install python3 python3-venv
  Fedora:         dnf install python3.12
  macOS:          brew install python@3.12
Then run make again, or name an interpreter: make PYTHON=/path/to/python3.12 demo
TEXT
exit 1
