"""The best attempt of a run that its budget ends: kept as files beside the run's other results.

Best is the attempt with the most requirements passed; of equals the one with fewer that failed,
then the later one. An attempt of a loop that is still at work goes before those of loops that have
ended, because the program has the results of these. Standard library only.
"""

from __future__ import annotations

import json
import os
import threading
from typing import Any

JSON_NAME = "best-attempt.json"
TEXT_NAME = "best-attempt.txt"
MAX_REPLY_CHARS = 1 << 20
MAX_VERDICTS = 100
MAX_OPEN = 1000

Place = tuple[int, int]  # loop and chain


class _Try:
    __slots__ = ("model", "number", "order", "place", "reply", "verdicts")

    def __init__(self, place: Place, number: int, order: int) -> None:
        self.place = place
        self.number = number
        self.order = order
        self.reply: str | None = None
        self.model: str | None = None
        self.verdicts: list[dict[str, Any]] = []

    @property
    def rank(self) -> tuple[int, int, int]:
        passed = sum(verdict["passed"] for verdict in self.verdicts)
        return passed, passed - len(self.verdicts), self.order


class BestAttempts:
    """Remembers the best attempt of each loop. Thread-safe.

    Args:
        folder: Where `write` puts the files.
        capture_content: Whether replies and reasons are kept.
    """

    def __init__(self, folder: str, *, capture_content: bool) -> None:
        self._folder = folder
        self._capture_content = capture_content
        self._lock = threading.Lock()
        self._order = 0
        self._open: dict[Place, _Try] = {}
        self._best: dict[int, _Try] = {}
        self._ended: _Try | None = None

    def replied(self, loop: int, chain: int, number: int, reply: Any, model: str | None) -> None:
        """An attempt has its reply. Loop 0: a call outside any loop."""
        with self._lock:
            attempt = self._attempt((loop, chain), number)
            attempt.model = model
            if self._capture_content and isinstance(reply, str):
                attempt.reply = reply[:MAX_REPLY_CHARS]
            if loop == 0:
                self._ended = self._open.pop((loop, chain))

    def judged(
        self,
        loop: int,
        chain: int,
        number: int,
        *,
        requirement: str,
        passed: bool,
        reason: Any,
    ) -> None:
        """A requirement has judged an attempt."""
        with self._lock:
            attempt = self._attempt((loop, chain), number)
            if len(attempt.verdicts) < MAX_VERDICTS:
                verdict: dict[str, Any] = {"requirement": requirement, "passed": passed}
                if self._capture_content and reason is not None:
                    verdict["reason"] = str(reason)[:2000]
                attempt.verdicts.append(verdict)

    def loop_ended(self, loop: int) -> None:
        """The program gets this loop's result."""
        with self._lock:
            for place in [place for place in self._open if place[0] == loop]:
                self._compare(self._open.pop(place))
            self._ended = self._best.pop(loop, self._ended)

    def write(self) -> None:
        """Write the files, anew where they are there. Raises OSError."""
        with self._lock:
            found = [*self._open.values(), *self._best.values()]
            best = max(found, key=lambda attempt: attempt.rank) if found else self._ended
            if best is None:
                return
            data = {
                "loop": best.place[0] or None,
                "chain": best.place[1] or None,
                "attempt": best.number,
                "model": best.model,
                "passed": best.rank[0],
                "requirements": best.verdicts,
                "reply": best.reply,
            }
        os.makedirs(self._folder, exist_ok=True)
        self._write(JSON_NAME, json.dumps(data, ensure_ascii=False, indent=1))
        if best.reply is not None:
            self._write(TEXT_NAME, best.reply)

    def _write(self, name: str, text: str) -> None:
        path = os.path.join(self._folder, name)
        with open(f"{path}.new", "w", encoding="utf-8", errors="replace") as file:
            file.write(text)
        os.replace(f"{path}.new", path)

    def _attempt(self, place: Place, number: int) -> _Try:
        """The attempt that this chain makes now; the one before it is compared with the best."""
        attempt = self._open.get(place)
        if attempt is None or attempt.number != number:
            if attempt is not None:
                self._compare(attempt)
            elif len(self._open) >= MAX_OPEN:
                self._compare(self._open.pop(next(iter(self._open))))
            self._order += 1
            attempt = self._open[place] = _Try(place, number, self._order)
        return attempt

    def _compare(self, attempt: _Try) -> None:
        loop = attempt.place[0]
        best = self._best.get(loop)
        if best is None or attempt.rank > best.rank:
            self._best[loop] = attempt
