"""What a terminal may be told by text that others wrote: colours in a log, and nothing else.

A terminal obeys what it is sent: sequences in a name, a message or a log can set its title, write
the clipboard, hide or overwrite lines, and ask for an answer that is typed into the shell. So what
we print of records has its control characters written out, and of a program's own output only
colours reach a terminal.

Source: ECMA-48, 5th edition, 5.4 (control sequences) and 5.6 (control strings);
https://invisible-island.net/xterm/ctlseqs/ctlseqs.html
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

RESET: Final = "\x1b[0m"

_MOST_HELD = 256
"""Characters of a sequence that has not ended; none that is harmless is longer."""

# C0 without tab and newline, DEL, C1, and what changes the direction of the text around it.
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_LINE_BREAKS = re.compile("[\t\n\u2028\u2029]")

_SEQUENCE = re.compile(
    r"(?P<colours>\x1b\[[0-9;:]*m)"
    "|(?:\x1b[\\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\\\|\x9c)"  # strings
    "|(?:\x1b\\[|\x9b)[0-?]*[ -/]*[@-~]"  # other control sequences
    "|\x1b[ -/]*[0-~]"  # other escape sequences, and strings that do not end
    "|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
)


def escape(text: str) -> str:
    r"""A text with its control characters written out (`\x1b`); tabs and line breaks stay."""
    return _CONTROLS.sub(_written, text)


def escape_line(text: str) -> str:
    """The same for what has to stay on one line."""
    return _LINE_BREAKS.sub(_written, escape(text))


def json_text(value: Any) -> str:
    r"""One line of JSON, readable, and with no control character in it, raw C1 ones included."""
    text = json.dumps(value, ensure_ascii=False)
    return _CONTROLS.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _written(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode()


class OutputFilter:
    """Lets text and colours of one stream of a program's output through, and drops the rest.

    Colours end with their line, so that none stay when the output ends.
    """

    def __init__(self) -> None:
        self._held = ""
        self._is_coloured = False

    def feed(self, text: str, *, ends: bool) -> str:
        """What may be written of the next text; `ends` says that it is the end of its line.

        A sequence that a text ends in the middle of is held back until the next.
        """
        text, self._held = self._held + text, ""
        if not ends and (at := text.rfind("\x1b")) >= 0 and len(text) - at <= _MOST_HELD:
            found = _SEQUENCE.match(text, at)
            if found is None or found.end() == at + 1 or found[0] in _OPENERS:
                text, self._held = text[:at], text[at:]
        shown = _SEQUENCE.sub(self._kept, text)
        if ends and self._is_coloured:
            self._is_coloured = False
            shown += RESET
        return shown

    def _kept(self, match: re.Match[str]) -> str:
        colours = match["colours"]
        self._is_coloured |= colours is not None
        return colours or ""


_OPENERS: Final = frozenset({"\x1b]", "\x1bP", "\x1bX", "\x1b^", "\x1b_", "\x1b["})
