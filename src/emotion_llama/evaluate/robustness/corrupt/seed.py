"""One seed a clip, the same on every machine and in every run."""

from __future__ import annotations

import hashlib


def clip_seed(seed: int, clip: str, what: str) -> int:
    """Give the seed of one clip and one kind of damage.

    The strength is not part of it: a clip meets the same noise at every level, so that a curve over levels shows the
    level alone.
    """
    return int.from_bytes(hashlib.sha256(f"{seed}\n{what}\n{clip}".encode("utf-8", "surrogateescape")).digest()[:8])
