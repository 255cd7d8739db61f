"""Which face tracks of one recording belong to one person: after a cut, after leaving and coming back.

Two tracks are compared by how the face looks to the expression net (most of that is who it is, once averaged over
expressions), by the shape of its rigid parts, and by the colours of hair and clothes. People who are seen at the same
time are never one. The bound is low on purpose: a person who counts as two is a smaller harm than two who count as one.
`persons` joins the tracks of a clip that was seen whole, `perception.people` those of a recording that goes by.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from emotion_llama.measurements import FaceSample, FaceTrack
from emotion_llama.perception.geometry import RIGID, align, neutral_face
from emotion_llama.perception.surround import colours_apart

Grid = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""Crops (n, 160, 160, 3) to the expression net's map in quarters (n, 512)."""

IDENTITY_FILE = "identity.npz"
SAME_PERSON = 0.75
"""Tracks nearer than this are one person's (`docs/people.md` has what it was chosen on)."""

SHAPE_WEIGHT, COLOUR_WEIGHT = 0.7, 0.4
COLOURS_UNKNOWN = 0.5
LOOKS = 12
"""Crops of a track that the net looks at."""

LEAST_SAMPLES = 4
"""A track shorter than this is not joined: a face seen for a moment says too little."""

MOST_TRACKS = 200
"""Only the longest are compared, so that a crowd costs no more than this."""


@dataclass(frozen=True)
class Space:
    """Axes along which people differ: mean (D,) and whitening axes (D, K) of many faces; only these are stored."""

    mean: NDArray[np.float32]
    axes: NDArray[np.float32]

    def place(self, rows: NDArray[np.floating]) -> NDArray[np.float64]:
        """Rows (n, D) as directions (n, K) of length 1."""
        placed = (np.asarray(rows, dtype=np.float64) - self.mean) @ self.axes.astype(np.float64)
        return np.asarray(placed / np.maximum(np.linalg.norm(placed, axis=1, keepdims=True), 1e-9))


def space_of(rows: NDArray[np.floating], axes: int) -> Space:
    """The space of one kind of rows (n, D) from many people: its leading axes, each scaled to the same spread."""
    mean = rows.mean(axis=0)
    _, sizes, directions = np.linalg.svd(rows - mean, full_matrices=False)
    scaled = directions[:axes].T / sizes[:axes] * np.sqrt(len(rows))
    return Space(mean.astype(np.float32), scaled.astype(np.float32))


@lru_cache(maxsize=1)
def stored_spaces() -> tuple[Space, Space]:
    """The shipped spaces of looks (512 → 150) and of shapes (72 → 24), made by `benchmarks/identity.py`."""
    with files("emotion_llama.perception").joinpath(IDENTITY_FILE).open("rb") as file, np.load(file) as stored:
        look, shape = (
            Space(stored[f"{name}_mean"].astype(np.float32), stored[f"{name}_axes"].astype(np.float32))
            for name in ("look", "shape")
        )
    return look, shape


def shapes(meshes_px: NDArray[np.float32]) -> NDArray[np.float64]:
    """Rigid points of meshes (F, 468, 3), freed of place, size and pose (F, 72)."""
    aligned, _ = align(meshes_px, neutral_face().mesh)
    return np.asarray(aligned[:, RIGID].reshape(len(aligned), -1))


@dataclass(frozen=True)
class Seen:
    """What tracks are compared by, and when they were seen."""

    look: NDArray[np.float64]  # (150,)
    shape: NDArray[np.float64]  # (24,)
    surround: NDArray[np.float32] | None
    frames: frozenset[int]


def persons(tracks: Sequence[FaceTrack], grid: Grid) -> tuple[FaceTrack, ...]:
    """The tracks joined to one a person, numbered in the order in which they were first seen; a single one stays."""
    if len(tracks) < 2:
        return tuple(tracks)
    order = sorted(range(len(tracks)), key=lambda i: -len(tracks[i].samples))
    long = [i for i in order[:MOST_TRACKS] if len(tracks[i].samples) >= LEAST_SAMPLES]
    groups = _grouped([seen_of(tracks[i], grid) for i in long]) if len(long) > 1 else [[at] for at in range(len(long))]
    found = [joined([tracks[long[at]] for at in group]) for group in groups]
    found += [tracks[i] for i in range(len(tracks)) if i not in set(long)]
    found.sort(key=lambda track: (track.samples[0].frame_index, track.track))
    return tuple(replace(track, track=number) for number, track in enumerate(found))


def apart(one: Seen, other: Seen) -> float:
    """How unlike two tracks are: 0 the same, about 1.9 for two strangers; infinite where both were seen at once."""
    return float("inf") if not one.frames.isdisjoint(other.frames) else unlike(one, other)


def unlike(one: Seen, other: Seen) -> float:
    """How unlike two tracks are, whenever they were seen."""
    colours = colours_apart(one.surround, other.surround)
    worn = COLOURS_UNKNOWN if colours is None else colours
    return float((1 - one.look @ other.look) + SHAPE_WEIGHT * (1 - one.shape @ other.shape) + COLOUR_WEIGHT * worn)


def seen_of(track: FaceTrack, grid: Grid) -> Seen:
    """What one track is compared by; `LOOKS` of its crops are looked at."""
    picked = _spread(track.samples)
    look_space, shape_space = stored_spaces()
    look = grid(np.stack([sample.crop for sample in picked])).mean(axis=0, keepdims=True)
    shape = np.median(shapes(np.stack([sample.mesh_px for sample in picked])), axis=0, keepdims=True)
    frames = frozenset(sample.frame_index for sample in track.samples)
    return Seen(look_space.place(look)[0], shape_space.place(shape)[0], track.surround, frames)


def _spread(samples: Sequence[FaceSample]) -> list[FaceSample]:
    places = np.unique(np.linspace(0, len(samples) - 1, LOOKS).round().astype(int))
    return [samples[place] for place in places]


def _grouped(seen: Sequence[Seen]) -> list[list[int]]:
    """Join the nearest two groups, by the mean over their pairs, until none are near enough."""
    count = len(seen)
    far = np.full((count, count), np.inf)
    for one in range(count):
        for other in range(one):
            far[one, other] = far[other, one] = apart(seen[one], seen[other])
    groups = [[at] for at in range(count)]
    while len(groups) > 1:
        one, other = (int(place) for place in np.unravel_index(int(far.argmin()), far.shape))
        if far[one, other] > SAME_PERSON:
            break
        sizes = len(groups[one]), len(groups[other])
        merged = (far[one] * sizes[0] + far[other] * sizes[1]) / sum(sizes)  # inf stays inf: seen at once
        far[one], far[:, one] = merged, merged
        far[one, one] = np.inf
        groups[one] += groups.pop(other)
        far = np.delete(np.delete(far, other, axis=0), other, axis=1)
    return groups


def joined(tracks: Sequence[FaceTrack]) -> FaceTrack:
    """Tracks of one person as one, in time order, with the colours around the longest."""
    if len(tracks) == 1:
        return tracks[0]
    samples = sorted((sample for track in tracks for sample in track.samples), key=lambda sample: sample.frame_index)
    longest = max(tracks, key=lambda track: len(track.samples))
    return FaceTrack(min(track.track for track in tracks), tuple(samples), longest.surround)
