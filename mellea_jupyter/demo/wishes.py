"""What a requirement in plain words asks of a text, as far as a script can tell.

The demo model uses it twice: to write a reply that fulfils its requirements, and to judge one.
Standard library only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

DRAFT_MARK = "first draft"
"""Words that only the demo model's careless replies contain; a judge refuses them."""

_NUMBERS = {"one": 1, "two": 2, "three": 3, "four": 4, "five": 5}
_NUMBER = r"(\d{1,4}|one|two|three|four|five)"
_BELOW = re.compile(rf"(?:under|fewer than|less than|below)\s+{_NUMBER}\s+words?", re.IGNORECASE)
_AT_MOST = re.compile(
    rf"(?:at most|no more than|not more than|up to|maximum(?: of)?|max\.?|within)\s+{_NUMBER}"
    r"\s+words?"
    rf"|{_NUMBER}\s+words?\s+(?:or\s+(?:less|fewer)|at most|maximum)",
    re.IGNORECASE,
)
_AT_LEAST = re.compile(
    rf"(?:at least|minimum(?: of)?|more than|over)\s+{_NUMBER}\s+words?", re.IGNORECASE
)
_SENTENCES = re.compile(rf"{_NUMBER}\s+sentences?", re.IGNORECASE)
_QUOTED = re.compile(r"[\"“`]([^\"”`]{1,80})[\"”`]|(?<!\w)'([^']{1,80})'(?!\w)")
_MENTION = re.compile(
    r"(?i:\b(?:mention|include|contain|name|reference)(?:s|ing)?)\s+"
    r"(?:the\s+(?:word|name|city|phrase)\s+)?"
    r"((?:[A-Z][\w-]*)(?:\s+[A-Z][\w-]*)*|[\w-]+(?:\s+[\w-]+){0,3})"
)
_NEGATIVE = re.compile(r"\b(?:not|never|avoid|without|no)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Wish:
    """What a text should be like. ``None`` and empty mean that nothing is asked."""

    max_words: int | None = None
    min_words: int | None = None
    sentences: int | None = None
    mentions: tuple[str, ...] = ()
    avoids: tuple[str, ...] = ()
    start: str = ""
    end: str = ""
    case: str = ""
    has_bullets: bool = False

    def is_met_by(self, text: str) -> bool:
        """Whether the text is so, and is not a careless draft."""
        words, lowered = len(text.split()), text.lower()
        return (
            DRAFT_MARK not in lowered
            and (self.max_words is None or words <= self.max_words)
            and (self.min_words is None or words >= self.min_words)
            and (self.sentences is None or _count_sentences(text) == self.sentences)
            and all(mention.lower() in lowered for mention in self.mentions)
            and not any(avoided.lower() in lowered for avoided in self.avoids)
            and text.startswith(self.start)
            and text.endswith(self.end)
            and (self.case != "lower" or text == text.lower())
            and (self.case != "upper" or text == text.upper())
            and (not self.has_bullets or text.lstrip().startswith("- "))
        )


@dataclass
class _Draft:
    mentions: list[str] = field(default_factory=list)
    avoids: list[str] = field(default_factory=list)
    start: str = ""
    end: str = ""


def read_wish(requirements: Iterable[str]) -> Wish:
    """Read the requirements; what is not understood asks for nothing."""
    lines = list(requirements)
    text = "\n".join(lines)
    phrases = _Draft()
    for line in lines:
        _read_phrases(line, phrases)
    most = [n - 1 for n in _numbers(_BELOW, text)] + _numbers(_AT_MOST, text)
    sentences = _numbers(_SENTENCES, text)
    lowered = text.lower()
    return Wish(
        max_words=max(1, min(most)) if most else None,
        min_words=max(_numbers(_AT_LEAST, text), default=None),
        sentences=max(1, sentences[0]) if sentences else None,
        mentions=tuple(phrases.mentions),
        avoids=tuple(phrases.avoids),
        start=phrases.start,
        end=phrases.end,
        case="lower" if re.search(r"lower-?\s?case", lowered) else _upper(lowered),
        has_bullets="bullet" in lowered,
    )


def _upper(lowered: str) -> str:
    return "upper" if re.search(r"upper-?\s?case|all caps|capital letters", lowered) else ""


def _read_phrases(line: str, phrases: _Draft) -> None:
    quoted = [first or second for first, second in _QUOTED.findall(line)]
    lowered = line.lower()
    if _NEGATIVE.search(line):
        phrases.avoids.extend(quoted)
    elif quoted and re.search(r"(?:start|begin)s?\b", lowered):
        phrases.start = quoted[0]
    elif quoted and re.search(r"ends?\b", lowered):
        phrases.end = quoted[-1]
    elif quoted:
        phrases.mentions.extend(quoted)
    elif (found := _MENTION.search(line)) is not None:
        phrases.mentions.append(found.group(1))


def _numbers(pattern: re.Pattern[str], text: str) -> list[int]:
    found = [next(group for group in match.groups() if group) for match in pattern.finditer(text)]
    return [_NUMBERS.get(number.lower()) or int(number) for number in found]


def _count_sentences(text: str) -> int:
    return len(re.findall(r"[.!?](?:\s|$)", text))
