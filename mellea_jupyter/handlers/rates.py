"""How often one user may ask for what costs much: a limit a kind of request, a minute long.

Counted per owner in the memory of one server; nothing is stored.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Final

_MINUTE: Final = 60.0
_MANY: Final = 1000


class Rate(StrEnum):
    """What is limited together. The value names it to people."""

    CREATES = "runs created"
    HEAVY = "requests that read or compute much"
    TEST_MAILS = "test mails"


class RateLimits:
    """Lets so much a minute through, all at once or spread; what was used comes back steadily.

    Args:
        per_minute: limit by kind; 0 is none.
        now: a monotonic clock, in seconds.
    """

    def __init__(
        self, per_minute: Mapping[Rate, int], *, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._per_minute = dict(per_minute)
        self._now = now
        # When all of the limit will be there again; who is not in it has all of it now.
        self._whole_at: dict[tuple[Rate, str], float] = {}

    def limit_of(self, rate: Rate) -> int:
        """So many a minute; 0 for no limit."""
        return self._per_minute.get(rate, 0)

    def take(self, rate: Rate, owner_id: str, amount: int = 1) -> float:
        """Count a request, which weighs `amount`. Returns 0, or the seconds until it is let in.

        A request is let in as long as anything is left, however much it weighs, and is counted in
        full: otherwise one that weighs more than the limit never would be.
        """
        limit = self.limit_of(rate)
        if limit == 0:
            return 0.0
        now = self._now()
        if len(self._whole_at) > _MANY:
            self._whole_at = {key: at for key, at in self._whole_at.items() if at > now}
        whole_at = max(self._whole_at.get((rate, owner_id), now), now)
        each = _MINUTE / limit
        missing = whole_at - now + each - _MINUTE
        if missing > 1e-6:
            return missing
        self._whole_at[rate, owner_id] = whole_at + amount * each
        return 0.0
