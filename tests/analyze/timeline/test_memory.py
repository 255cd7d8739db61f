"""Freed pieces go back to the system where the C library can do that."""

from __future__ import annotations

import ctypes
from pathlib import Path

import pytest

from emotion_llama.analyze.timeline.memory import give_back


@pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), "malloc_trim") or not Path("/proc/self/statm").exists(),
    reason="needs glibc on Linux",
)
def test_what_was_freed_is_given_back() -> None:
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

    held = [bytearray(60_000) for _ in range(1000)]  # too small for memory of their own: 60 MB of heap
    del held[:-1]  # the last one keeps the heap from shrinking by itself
    before = resident()
    assert give_back() and resident() < before - 40_000_000
