"""Linear maps in front of the small nets of a head: from rows to the few numbers in which the emotion shows.

A map is one matrix on standardised rows, so that the fitted head holds it as it is (`EmotionHead.mean`, `scale`,
`reduce`) and needs numpy alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from emotion_llama.errors import ManifestError

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

VOICE_WEIGHT = 2.0
FACE_DIRECTIONS = 200
CHANGE_DIRECTIONS = 150
CHANGES = (((-1.0, 0.0, 1.0), 1.5), ((1.0, -2.0, 1.0), 1.0))
"""How start, middle and end of the face are put together to see it move (slope, then curve), and the weight of each."""

LEAST = 1e-7
"""Directions whose variance is below this share of the greatest are rounding errors, not directions."""


@dataclass(frozen=True)
class LinearMap:
    """(rows - mean) / scale @ reduce: rows (n, E) → (n, R), of size 1 in the mean over the rows it was fitted on."""

    mean: Floats  # (E,)
    scale: Floats  # (E,)
    reduce: Floats  # (E, R)

    def apply(self, rows: Floats) -> Floats:
        """Map rows (n, E) to (n, R)."""
        found: Floats = ((rows - self.mean) / self.scale @ self.reduce).astype(np.float32)
        return found


def principal_map(rows: Floats, directions: int, seed: int) -> LinearMap:
    """Standardise rows (n, E) and turn them onto at most `directions` principal directions, not whitened."""
    mean, scale = rows.mean(axis=0), rows.std(axis=0) + 1e-3
    standard = (rows - mean) / scale
    kept = min(directions, *rows.shape)
    solver = "randomized" if kept < 0.8 * min(rows.shape) else "full"
    found = PCA(kept, svd_solver=solver, random_state=seed).fit(standard)
    return _of_size_one(rows, mean + found.mean_ * scale, scale, found.components_.T)


def within_person_map(rows: Floats, people: NDArray[np.str_], blocks: Sequence[int], directions: int) -> LinearMap:
    """Map rows (n, E) of a voice vector and a face vector at start, middle and end, of these widths, past the person.

    What differs most between face vectors is whose face it is, so that standardising them over all clips hides the
    expression. Four parts, side by side:

    - voice: standardised, on `directions` principal directions, not whitened, times 2;
    - face, mean of the three: without the main direction of the people's means, whitened by the covariance *within*
      people (WCCN, Hatch et al. 2006), 200 directions;
    - slope, end - start, and curve, start + end - 2 middle: whitened, 150 directions each. Whatever a person adds to
      all of their clips is not in them.

    Raises `ManifestError` when the widths are not those of the rows, or when nobody's face differs between clips.
    """
    if sum(blocks) != rows.shape[1]:
        raise ManifestError(
            f"map within-person: blocks {' + '.join(map(str, blocks))} = {sum(blocks)} columns, but the array has "
            f"{rows.shape[1]}; give the widths of voice, start, middle and end"
        )
    voice, face = blocks[0], rows[:, blocks[0] :].astype(np.float64)
    mean = rows.mean(axis=0, dtype=np.float64)
    spread = StandardScaler().fit(rows[:, :voice].astype(np.float64)).scale_
    scale = np.concatenate([spread, np.full(face.shape[1], float(face.std()) or 1.0)])
    standard = (rows - mean) / scale
    moments = standard[:, voice:].reshape(len(rows), 3, -1)  # (n, start middle end, V)
    parts = [np.kron(np.full((3, 1), 1 / 3), _face_part(moments.mean(axis=1), people))]
    for signs, weight in CHANGES:
        axes, sizes = _main(np.tensordot(moments, signs, (1, 0)), CHANGE_DIRECTIONS)
        parts.append(np.kron(np.array(signs)[:, None], weight * axes / sizes))
    heard = VOICE_WEIGHT * _main(standard[:, :voice], directions)[0]  # (A, R)
    reduce = np.zeros((rows.shape[1], heard.shape[1] + sum(part.shape[1] for part in parts)))
    reduce[:voice, : heard.shape[1]] = heard
    reduce[voice:, heard.shape[1] :] = np.hstack(parts)
    return _of_size_one(rows, mean, scale, reduce)


def _face_part(face: Doubles, people: NDArray[np.str_]) -> Doubles:
    """Give the matrix (V, R) that takes the main direction of people out of rows (n, V) and whitens what is left."""
    names, who = np.unique(people, return_inverse=True)
    own = np.stack([face[who == k].mean(axis=0) for k in range(len(names))])  # (P, V)
    person = np.linalg.svd(own - own.mean(axis=0), full_matrices=False)[2][:1]  # (1, V)
    keep = np.eye(face.shape[1]) - person.T @ person
    axes, sizes = _main((face - own[who]) @ keep, FACE_DIRECTIONS)
    if not len(sizes):
        raise ManifestError(
            "map within-person: nobody's face vectors differ between clips; it needs people with several clips each "
            "(who speaks must be named), or choose map: principal"
        )
    found: Doubles = keep @ axes / sizes
    return found


def _main(rows: Doubles, most: int) -> tuple[Doubles, Doubles]:
    """Give at most `most` main directions (E, R) of centred rows (n, E), and the spread (R,) of the rows along each."""
    values, vectors = np.linalg.eigh(rows.T @ rows / len(rows))
    values, vectors = values[::-1][:most], vectors[:, ::-1][:, :most]
    real = values > max(LEAST * values[0], np.finfo(np.float32).tiny)
    return vectors[:, real], np.sqrt(values[real])


def _of_size_one(rows: Floats, mean: NDArray[np.floating], scale: NDArray[np.floating], reduce: Doubles) -> LinearMap:
    """Make the map whose outputs have a mean square of 1, as the nets expect."""
    size = float(np.sqrt((((rows - mean) / scale @ reduce) ** 2).mean()))
    return LinearMap(mean.astype(np.float32), scale.astype(np.float32), (reduce / size).astype(np.float32))
