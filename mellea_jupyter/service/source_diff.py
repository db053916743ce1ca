"""What differs between the sources that runs executed. Pure; everything has a bound."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from typing import Final, Literal

from mellea_jupyter.models.calls import SourceFile
from mellea_jupyter.models.comparisons import SourceDiff

MOST_FILES: Final = 50
MOST_DIFF_LINES: Final = 400
MOST_LINES: Final = 5000
"""Of a file. Comparing takes time in the square of its lines."""

_LINE_CHARACTERS: Final = 500

Change = Literal["changed", "added", "removed"]


def diff_sources(sources: Sequence[Sequence[SourceFile]]) -> tuple[list[SourceDiff], int]:
    """Files that differ from those of the first source, by path, and how many were left out.

    Args:
        sources: the files of each column; an empty one is not known and differs in nothing.
    """
    if not sources or not sources[0]:
        return [], 0
    first = {file.path: file for file in sources[0]}
    found: dict[tuple[str, SourceFile | None], list[int]] = {}
    for place, files in enumerate(sources[1:], start=1):
        if not files:
            continue
        other = {file.path: file for file in files}
        for path in first.keys() | other.keys():
            if first.get(path) != other.get(path):
                found.setdefault((path, other.get(path)), []).append(place)
    ordered = sorted(found.items(), key=lambda item: (item[0][0], item[1]))
    diffs = [
        _diff(path, first.get(path), other, tuple(columns))
        for (path, other), columns in ordered[:MOST_FILES]
    ]
    return diffs, len(ordered) - len(diffs)


def _diff(
    path: str, before: SourceFile | None, after: SourceFile | None, columns: tuple[int, ...]
) -> SourceDiff:
    change: Change = "added" if before is None else "removed" if after is None else "changed"
    old, new = _lines(before), _lines(after)
    if old is None or new is None:
        return SourceDiff(path=path, columns=columns, change=change)
    lines: list[str] = []
    is_cut = False
    for line in _unified(path, old, new):
        if len(lines) == MOST_DIFF_LINES:
            is_cut = True
            break
        is_cut |= len(line) > _LINE_CHARACTERS
        lines.append(line[:_LINE_CHARACTERS])
    return SourceDiff(
        path=path, columns=columns, change=change, diff="\n".join(lines), truncated=is_cut
    )


def _unified(path: str, old: list[str], new: list[str]) -> Iterator[str]:
    return difflib.unified_diff(old, new, path, path, n=3, lineterm="")


def _lines(file: SourceFile | None) -> list[str] | None:
    """The lines of a file, none of one that is not there; None of what is not compared."""
    if file is None:
        return []
    if file.text is None or file.text.count("\n") > MOST_LINES:
        return None
    return file.text.split("\n")
