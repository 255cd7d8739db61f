"""Pairs of pictures worth comparing among very many, without comparing all with all.

Two buckets propose: how grey levels change (the same movement at the same place and time), and the difference hash of
the mean picture cut into six bands (five bits may differ and one band still agrees). Each proposes a few of the likest
for each clip, so the number of pairs grows with the number of clips, not with its square.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

CELLS = 4
LAG = 5  # pictures: change is measured over half a second
STRONG = 1.5  # times the root mean square of all changes: what every encoding keeps
LEAST = 0.5  # grey levels
COMMON_CODE = 500  # a code this frequent tells nothing apart
BANDS = (11, 11, 11, 11, 10, 10)  # bits of the hash
NEIGHBOURS = 16  # in the order of one band
MOST = 8  # proposals of each kind for one clip
MAX_HASH_BITS = 12

Codes = tuple[NDArray[np.uint64], NDArray[np.int64]]


def motion_codes(pictures: NDArray[np.uint8]) -> Codes:
    """Codes of the pictures (T, 16, 16) in which something moves, and their numbers: cells that lighten and darken."""
    count, side = len(pictures), pictures.shape[1] // CELLS
    if count <= LAG:
        return np.zeros(0, np.uint64), np.zeros(0, np.int64)
    cells = pictures.astype(np.float32).reshape(count, CELLS, side, CELLS, side).mean(axis=(2, 4)).reshape(count, -1)
    change = cells[LAG:] - cells[:-LAG]
    least = max(STRONG * float(np.sqrt(np.square(change).mean())), LEAST)
    bits = np.uint64(1) << np.arange(2 * CELLS * CELLS, dtype=np.uint64)
    codes = (np.concatenate([change > least, change < -least], axis=1) * bits).sum(axis=1, dtype=np.uint64)
    frames = np.flatnonzero(codes)
    return codes[frames], frames


def same_motion(many: Sequence[Codes]) -> list[tuple[int, int]]:
    """Pairs (earlier, later) that share codes at one shift in time: for each later one the likest."""
    codes = np.concatenate([one for one, _ in many] or [np.zeros(0, np.uint64)])
    owner = np.repeat(np.arange(len(many)), [len(one) for one, _ in many])
    frame = np.concatenate([frames for _, frames in many] or [np.zeros(0, np.int64)])
    order = np.argsort(codes, kind="stable")
    codes, owner, frame = codes[order], owner[order], frame[order]
    pairs = []
    for later, (mine, frames) in enumerate(many):
        left, right = np.searchsorted(codes, mine, "left"), np.searchsorted(codes, mine, "right")
        hits = np.where(right - left > COMMON_CODE, 0, right - left)
        at = np.repeat(left - np.cumsum(hits) + hits, hits) + np.arange(hits.sum())
        before = owner[at] < later
        places = np.stack([owner[at], frame[at] - np.repeat(frames, hits)], axis=1)[before]
        pairs += [(earlier, later) for earlier in _likest(places)]
    return pairs


def _likest(places: NDArray[np.int64]) -> list[int]:
    """Owners of the places (owner, shift) that were hit most often."""
    if not len(places):
        return []
    found, votes = np.unique(places, axis=0, return_counts=True)
    order = np.argsort(-votes, kind="stable")
    return list(dict.fromkeys(found[order, 0].tolist()))[:MOST]


def near_hashes(hashes: NDArray[np.uint64]) -> list[tuple[int, int]]:
    """Pairs (earlier, later) of nearly the same hash: for each later one the nearest among its neighbours in a band."""
    pairs = [np.zeros((0, 2), np.int64)]
    shift = 0
    for width in BANDS:
        band = (hashes >> np.uint64(shift)) & np.uint64((1 << width) - 1)
        shift += width
        order = np.lexsort((np.arange(len(hashes)), hashes, band))
        for step in range(1, min(NEIGHBOURS, len(hashes) - 1) + 1):
            both = np.sort(np.stack([order[:-step], order[step:]], axis=1), axis=1)
            near = np.bitwise_count(hashes[both[:, 0]] ^ hashes[both[:, 1]]) <= MAX_HASH_BITS
            pairs.append(both[near & (band[both[:, 0]] == band[both[:, 1]])])
    return _nearest(hashes, np.unique(np.concatenate(pairs), axis=0))


def _nearest(hashes: NDArray[np.uint64], pairs: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Of the pairs of each later clip those with the fewest bits apart."""
    bits = np.bitwise_count(hashes[pairs[:, 0]] ^ hashes[pairs[:, 1]])
    pairs = pairs[np.lexsort((bits, pairs[:, 1]))]
    place = np.arange(len(pairs)) - np.searchsorted(pairs[:, 1], pairs[:, 1], "left")
    return [(earlier, later) for earlier, later in pairs[place < MOST].tolist()]
