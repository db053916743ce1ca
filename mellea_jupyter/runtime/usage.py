"""What a program's processes use: memory and CPU, looked at now and then.

Standard library only.
"""

from __future__ import annotations

import sys
import time
from typing import Any, Callable, Dict, Iterable, Optional

from .frames import FrameWriter
from .processes import Process

FIRST_LOOK_SECONDS = 0.1
LOOK_SECONDS = 0.25
FOREVER = float("inf")


class Usage:
    """What the program's tree uses: sampled memory, and CPU of everything reaped."""

    def __init__(self) -> None:
        self.peak_mb = 0.0
        self.reaped_cpu_seconds = 0.0

    def reaped(self, maxrss_kib: int, cpu_seconds: float) -> None:
        """Add a reaped child; its rusage includes the children it waited for itself."""
        unit = 1024 * 1024 if sys.platform == "darwin" else 1024
        self.peak_mb = max(self.peak_mb, maxrss_kib / unit)
        self.reaped_cpu_seconds += cpu_seconds

    def sample(self, processes: Iterable[Process]) -> Dict[str, Any]:
        """Fold one look at the living tree; the fields of a `usage` frame."""
        alive = list(processes)
        rss_mb = sum(process.rss_mb for process in alive)
        self.peak_mb = max(self.peak_mb, rss_mb)
        cpu_seconds = self.reaped_cpu_seconds + sum(process.cpu_seconds for process in alive)
        return {
            "rss_mb": round(rss_mb, 1),
            "cpu_seconds": round(cpu_seconds, 2),
            "processes": len(alive),
        }


class TreeWatch:
    """Looks at a program's tree, writes `usage` frames, and notices when it uses too much memory.

    Frames come once a second at first, and of a long run seldom, so that they stay few.

    Args:
        writer: The journal.
        memory_limit_mb: What the tree may use, in MiB; None for no limit.
        tree: Gives the living processes.

    Attributes:
        usage: Sums what was seen.
        due: When to look next, on the monotonic clock.
    """

    def __init__(
        self,
        writer: FrameWriter,
        memory_limit_mb: Optional[float],
        tree: Callable[[], Iterable[Process]],
    ) -> None:
        self._writer = writer
        self._limit_mb = memory_limit_mb
        self._tree = tree
        self._began_at = 0.0
        self._frame_due = 0.0
        self.usage = Usage()
        self.due = FOREVER

    def begin(self, began_at: float) -> None:
        """Look from now on at a program that began then, on the monotonic clock."""
        self._began_at = began_at
        self.due = time.monotonic() + FIRST_LOOK_SECONDS

    def look(self) -> Optional[str]:
        """Look now: rarely where that is dear, and never more than 4 times a second.

        Returns:
            What to say if the tree uses more memory than it may, else None.
        """
        began = time.monotonic()
        fields = self.usage.sample(self._tree())
        now = time.monotonic()
        self.due = now + max(LOOK_SECONDS, 20 * (now - began))
        if now >= self._frame_due:
            age = now - self._began_at
            self._frame_due = now + min(10.0, max(1.0, age / 300))
            self._writer.write("usage", **fields)
        if self._limit_mb is None or fields["rss_mb"] <= self._limit_mb:
            return None
        return f"{fields['rss_mb']:.0f} MB used, {self._limit_mb:.0f} MB allowed: killed."
