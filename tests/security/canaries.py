"""Secrets that are easy to find again, the program that tells them, and the search for them."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, quote_plus

import psutil


@dataclass(frozen=True)
class Canary:
    """One secret value; `forms` are its spellings."""

    name: str
    value: str

    @property
    def forms(self) -> dict[str, bytes]:
        """Each spelling by what it is called."""
        raw = self.value.encode()
        return {
            "raw": raw,
            "JSON": json.dumps(self.value)[1:-1].encode(),
            "JSON, not ASCII": json.dumps(self.value, ensure_ascii=False)[1:-1].encode(),
            "repr": repr(self.value)[1:-1].encode(),
            "URL": quote(self.value).encode(),
            "URL part": quote(self.value, safe="").encode(),
            "form": quote_plus(self.value).encode(),
            "hex": raw.hex().encode(),
            **{f"base64 at {shift}": _base64(raw, shift) for shift in range(3)},
        }


def _base64(raw: bytes, shift: int) -> bytes:
    """What is the same in the base64 of every text that holds it after `shift` modulo 3 bytes."""
    encoded = base64.b64encode(b"\0" * shift + raw)
    begin, end = (shift * 8 + 5) // 6, (shift + len(raw)) * 8 // 6
    return encoded[begin:end]


def canary(name: str, alphabet: str = "") -> Canary:
    """A new one; `alphabet` is what else stands in it."""
    return Canary(name, f"{name}-{alphabet}{secrets.token_hex(8)}")


def found_in(data: bytes, canaries: Mapping[str, Canary]) -> list[str]:
    """Which canaries are in the data, and how they are spelled there."""
    return [
        f"{name} ({form})"
        for name, each in canaries.items()
        for form, needle in each.forms.items()
        if needle in data
    ]


def files_with(folders: list[Path], canaries: Mapping[str, Canary]) -> dict[str, list[str]]:
    """Every file that holds one, by its path; names of files count as well."""
    holding = {}
    for folder in folders:
        for path in folder.rglob("*"):
            data = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
            if found := found_in(data + b"\n" + str(path).encode(), canaries):
                holding[str(path)] = found
    return holding


def arguments_with(canaries: Mapping[str, Canary]) -> list[str]:
    """Processes of this machine whose command line holds one: anybody may read those."""
    holding = []
    for process in psutil.process_iter():
        try:
            line = "\0".join(process.cmdline()).encode("utf-8", "surrogateescape")
        except psutil.Error:
            continue
        if found := found_in(line, canaries):
            holding.append(f"{process.pid}: {found}")
    return holding


def environments_with(canaries: Mapping[str, Canary]) -> Iterator[psutil.Process]:
    """Processes that were started with one in their environment."""
    for process in psutil.process_iter():
        try:
            data = Path(f"/proc/{process.pid}/environ").read_bytes()
        except OSError:
            continue
        if found_in(data, canaries):
            yield process


TELLS = '''\
"""Tells every secret it has, wherever a program can say something."""

import json, logging, os, sys, time, warnings
from urllib.parse import quote, quote_plus

try:
    from mellea_jupyter import current_run
except ImportError:
    from mellea_runtime import current_run

KEYS = [os.environ[name] for name in os.environ["TOLD"].split()]


def tell(key):
    print("the key is", key)
    print(f"{key}{key}", file=sys.stderr)
    print(json.dumps({"key": key}), json.dumps([key], ensure_ascii=False), repr(key))
    print(f"GET https://example.org/{quote(key)}?a={quote(key, safe='')}&b={quote_plus(key)}")
    print("x" * 70_000 + key + "y" * 70_000)
    logging.getLogger("own").warning("logged %s", key)
    warnings.warn(f"warned of {key}")
    sys.stdout.write(f"no newline after {key}")
    sys.stdout.flush()
    time.sleep(0.15)
    sys.stdout.write("\\n")
    os.write(1, f"by descriptor {key}\\n".encode())
    current_run.progress(1, 2, f"half of {key}")
    current_run.output({"told": key, key: [key]})


def ask(key):
    from mellea import start_session
    from mellea.stdlib.requirements import req, simple_validate
    from mellea.stdlib.sampling import RejectionSamplingStrategy

    session = start_session("openai", "gpt-4o")
    print(session.chat(f"repeat {key}"))
    check = simple_validate(lambda text: (False, f"{key} is not {text}"))
    session.instruct(
        f"say {key}", requirements=[req(f"must have {key}", validation_fn=check)],
        strategy=RejectionSamplingStrategy(loop_budget=2),
    )


for each in KEYS:
    tell(each)
if "OPENAI_BASE_URL" in os.environ:
    for each in KEYS:
        ask(each)
print("ready", flush=True)
give_up = time.monotonic() + 60
while not os.path.exists(os.path.join(os.environ["MELLEA_OUTPUT_DIR"], "go")):
    if time.monotonic() > give_up:
        sys.exit("nobody said go")
    time.sleep(0.02)


class Wrong(Exception):
    pass


try:
    raise KeyError(KEYS[0])
except KeyError as error:
    raise Wrong(f"refused {KEYS}", {"key": KEYS[-1]}) from error
'''
