"""Freed memory, given back to the system.

Windows differ in length, and so do the arrays behind them. glibc keeps what was freed in pieces of many sizes, which
seldom fit the next window: over a long recording that grows by hundreds of megabytes though nothing is held any more.
"""

from __future__ import annotations

import ctypes
from functools import lru_cache
from typing import Any


@lru_cache(maxsize=1)
def _trimmer() -> Any | None:
    """glibc's `malloc_trim`; `None` with another C library."""
    try:
        return getattr(ctypes.CDLL(None), "malloc_trim", None)
    except (OSError, TypeError):
        return None


def give_back() -> bool:
    """Give freed memory back; says whether there is a way to. Takes a few milliseconds: once a block, not a window."""
    trim = _trimmer()
    if trim is None:
        return False
    trim(0)
    return True
