"""How the C library keeps what Python gives back: for as short as it may.

glibc gives threads arenas of their own, eight a processor, and learns from the largest block that
was freed what to keep in them (mallopt(3)). After bodies of a megabyte in many threads that was
half as much again as the process needs, for good.
"""

from __future__ import annotations

import ctypes
import platform

# malloc.h
M_MMAP_THRESHOLD, M_ARENA_MAX = -3, -8
MAX_ARENAS = 2
# What is larger goes back to the system as soon as it is freed.
MIN_RETURNED_BYTES = 131_072


def return_memory_early() -> None:
    """Bound what this process keeps of freed memory, where its C library is glibc."""
    if platform.libc_ver()[0] != "glibc":
        return
    library = ctypes.CDLL(None)
    library.mallopt(M_ARENA_MAX, MAX_ARENAS)
    library.mallopt(M_MMAP_THRESHOLD, MIN_RETURNED_BYTES)
