"""What reaches a terminal of what others wrote: text, colours in a program's log, nothing else."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mellea_jupyter.client.terminal import OutputFilter, escape, escape_line, json_text
from mellea_jupyter.testing.server import JupyterServer

TITLE = "\x1b]0;owned\x07"
CLIPBOARD = "\x1b]52;c;b3duZWQ=\x1b\\"
LINK = "\x1b]8;;https://evil.example\x1b\\"
ATTACKS = {
    "title": TITLE,
    "clipboard": CLIPBOARD,
    "link": LINK,
    "c1 string": "\x9d0;owned\x9c",
    "c1 control": "\x9b2J",
    "clear": "\x1b[2J\x1b[1;1H",
    "answer": "\x1b[6n\x1b[c\x1bZ",
    "device": '\x1bP$q"p\x1b\\',
    "private": "\x1b^x\x1b\\\x1b_y\x1b\\\x1bXz\x1b\\",
    "charset": "\x1b(0",
    "screen": "\x1b[?1049h\x1b[?25l",
    "reset": "\x1bc",
    "bell, back, return": "\x07a\x08b\rc\x0bd\x0c",
    "shift": "\x0e\x0f",
    "delete": "\x7f",
    "unended string": "\x1b]0;owned",
    "unended control": "\x1b[38;5",
    "lone escape": "\x1b\n",
    "conceal": "\x1b[8m",
    "keys": "\x1b[>4;2m",  # ends like colours, and changes what keys send
}
DIRECTIONS = "\u202eexe.txt\u2066a\u2069"
EVERYTHING = "".join(ATTACKS.values()) + DIRECTIONS
SHORT = f"{TITLE}{CLIPBOARD}\x9b2J\x1b[2J\r{DIRECTIONS}"
COLOURS = re.compile(r"\x1b\[[0-9;:]*m")
CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def only_colours(text: str) -> bool:
    return CONTROLS.search(COLOURS.sub("", text)) is None


@pytest.mark.parametrize("name", ATTACKS)
def test_of_a_programs_line_only_text_and_colours_are_shown(name: str) -> None:
    shown = OutputFilter().feed(f"before{ATTACKS[name]} after", ends=True)
    assert only_colours(shown)
    assert shown.startswith("before")
    assert "fter" in shown  # the letter may be the end of the sequence
    assert ATTACKS[name] not in shown or name == "conceal"


def test_colours_stay_and_end_with_their_line() -> None:
    shown = OutputFilter()
    assert shown.feed("\x1b[1;31mred\x1b[38:2::1:2:3m!", ends=True) == (
        "\x1b[1;31mred\x1b[38:2::1:2:3m!\x1b[0m"
    )
    assert shown.feed("plain\tä 漢 🙂", ends=True) == "plain\tä 漢 🙂"
    assert shown.feed("hidden\x1b[8m", ends=False) == "hidden\x1b[8m"
    assert shown.feed("", ends=True) == "\x1b[0m"


def test_the_payload_of_a_string_is_not_shown_and_a_links_text_is() -> None:
    shown = OutputFilter().feed(f"a{TITLE}b{CLIPBOARD}c{LINK}here\x1b]8;;\x1b\\d", ends=True)
    assert shown == "abchered"


def test_a_sequence_that_comes_in_two_pieces_is_one() -> None:
    for sequence in (TITLE, "\x1b[2J", "\x1b(0", "\x1b[?25l"):
        for at in range(1, len(sequence)):
            shown = OutputFilter()
            first = shown.feed(f"a{sequence[:at]}", ends=False)
            assert first + shown.feed(f"{sequence[at:]}b", ends=True) == "ab", (sequence, at)
    shown = OutputFilter()
    assert shown.feed("a\x1b[3", ends=False) == "a"
    assert shown.feed("1mb", ends=True) == "\x1b[31mb\x1b[0m"


def test_what_is_held_back_does_not_grow() -> None:
    shown = OutputFilter()
    for _ in range(100):
        shown.feed("\x1b]0;" + "x" * 1000, ends=False)
        assert len(shown._held) <= 256


@given(st.lists(st.text(st.sampled_from("\x1b[]mP\\;0J\x07\x9b\x9c\x9dab\n"), max_size=30)))
def test_no_cut_lets_a_control_character_through(pieces: list[str]) -> None:
    shown = OutputFilter()
    whole = "".join(shown.feed(piece, ends=False) for piece in pieces) + shown.feed("", ends=True)
    assert only_colours(whole)


@given(st.text())
def test_escaped_text_has_no_control_character_and_stays_so(text: str) -> None:
    assert CONTROLS.search(escape(text)) is None
    assert escape(escape(text)) == escape(text)
    assert not set(escape_line(text)) & set("\n\t\r\x1b\u2028")
    line = json_text({"name": text})
    assert CONTROLS.search(line) is None
    assert "\n" not in line


def test_json_stays_json() -> None:
    value = {EVERYTHING: [EVERYTHING, "ä", 1]}
    assert json.loads(json_text(value)) == value
    assert "ä" in json_text(value)


# -- the commands, on a terminal and a real server ---------------------------------------------

PROGRAM = """\
import sys
from mellea_jupyter import current_run
sys.stdout.write("\\x1b[32mgreen\\x1b[0m " + ATTACKS + "\\n")
sys.stderr.write("warned " + ATTACKS + "\\n")
current_run.progress(1, 2)
(current_run.output_dir / "kept\\x1b]0;owned\\x07.txt").write_text("x")
raise ValueError("failed " + ATTACKS)
"""


def on_a_terminal(command: list[str], environment: dict[str, str]) -> str:
    """What a command writes on a terminal of 200 columns."""
    main, other = pty.openpty()
    try:
        process = subprocess.Popen(
            command, stdin=other, stdout=other, stderr=other, env=environment, close_fds=True
        )
    finally:
        os.close(other)
    received = b""
    with suppress(OSError):  # EIO: the other end is closed
        while select.select([main], [], [], 60)[0] and (piece := os.read(main, 1 << 16)):
            received += piece
    os.close(main)
    process.wait(60)
    return received.decode("utf-8", "replace").replace("\r\n", "\n")


@pytest.fixture(scope="module")
def hostile(server: JupyterServer) -> dict[str, Any]:
    """A run whose every text attacks the terminal that shows it."""
    with server.http() as http:
        source = PROGRAM.replace("ATTACKS", repr(EVERYTHING))
        path = server.write("attack\x1b]0;owned\x07.py", source)
        asset = http.post("api/assets", json={"path": path}).json()
        request = {
            "asset_id": asset["id"],
            "name": f"name {SHORT}\nstatus     succeeded",
            "note": f"[link=https://evil.example]note[/link] {EVERYTHING}",
            "tags": [f"tag{TITLE}", ":smile:"],
            "config": {"args": [EVERYTHING.replace("\0", "")], "model": f"ollama/{TITLE}"},
        }
        run = http.post("api/runs", json=request)
        assert run.status_code == httpx.codes.CREATED, run.text
        final = server.wait_for(http, run.json()["id"])
        assert final["status"] == "failed"
        second = http.post("api/runs", json={**request, "config": {"args": ["other"]}}).json()
        server.wait_for(http, second["id"])
        return {**final, "second": second["id"]}


@pytest.fixture
def environment(server: JupyterServer, tmp_path: Path) -> dict[str, str]:
    token = tmp_path / "token"
    token.touch(0o600)
    token.write_text(server.token)
    return {
        **server.environment(),
        "MELLEA_JUPYTER_URL": server.url,
        "MELLEA_JUPYTER_TOKEN_FILE": str(token),
        "MELLEA_JUPYTER_ROOT_DIR": str(server.root),
        "TERM": "xterm-256color",
        "COLUMNS": "200",
    }


CLI = [sys.executable, "-m", "mellea_jupyter.cli"]
OWN = re.compile(r"\x1b\[[0-9;]*m|\r?\x1b\[2K")  # rich's styles, and our rewritten line


@pytest.mark.parametrize(
    "words",
    [
        ["ls"], ["ls", "--json"], ["show", "RUN"], ["logs", "RUN"], ["logs", "RUN", "--follow"],
        ["calls", "RUN"], ["compare", "RUN", "SECOND", "--all"], ["retry", "RUN"],
        ["show", "\x1b[2J"], ["sweep", "--dry-run"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_no_command_sends_a_terminal_what_a_run_says(
    hostile: dict[str, Any], environment: dict[str, str], words: list[str]
) -> None:
    named = {"RUN": hostile["id"], "SECOND": hostile["second"]}
    written = on_a_terminal([*CLI, *(named.get(word, word) for word in words)], environment)
    assert written
    left = OWN.sub("", written)
    assert CONTROLS.search(left.replace("\r", "")) is None, repr(left)
    assert "\r" not in left
    assert not set(left) & set("\u202e\u2066\u2069") or words[0] in ("logs", "retry")
    assert "https://evil.example" not in left or "[link=" in left or "\\x1b" in left


def test_show_has_no_row_that_the_name_invented(
    hostile: dict[str, Any], environment: dict[str, str]
) -> None:
    written = OWN.sub("", on_a_terminal([*CLI, "show", hostile["id"]], environment))
    rows = [line for line in written.splitlines() if line.startswith("status")]
    assert len(rows) == 1
    assert "failed" in rows[0]
    assert "[link=https://evil.example]note[/link]" in written


def test_a_log_keeps_its_colours_and_raw_keeps_everything(
    hostile: dict[str, Any], environment: dict[str, str]
) -> None:
    filtered = on_a_terminal([*CLI, "logs", hostile["id"]], environment)
    assert "\x1b[32mgreen\x1b[0m" in filtered
    assert "owned\x07" not in filtered
    raw = on_a_terminal([*CLI, "logs", hostile["id"], "--raw"], environment)
    assert TITLE in raw
    assert CLIPBOARD in raw
    piped = subprocess.run(
        [*CLI, "logs", hostile["id"]], env=environment, stdout=subprocess.PIPE, check=True
    )
    assert TITLE.encode() in piped.stdout
