"""Head pose and face distances from a mesh, in units that do not depend on size, place or pose of the head.

A mesh is laid on the mean neutral face by a similarity fit over points that expressions hardly move (Umeyama 1991,
weighted; depth is trusted less). What is left is measured as plain distances; the unit is the distance between the
centres of the two eyes (about 63 mm in adults, so 0.016 is a millimetre). `y` points up, `z` towards the viewer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

NEUTRAL_FILE = "neutral_face.npz"

RIGID = (33, 133, 263, 362, 168, 6, 197, 195, 5, 4, 1, 10, 109, 338, 67, 297, 127, 356, 234, 454, 162, 389, 21, 251)
CLOSED_LIPS = 0.04  # inner lips nearer than 2.5 mm: the mesh leaves a little room between closed lips
_STORED = ("mesh", "mean", "covariance", "pose_slope")
_RIGID_AXES = np.array([1.0, 1.0, 0.3])

Distances = Mapping[str, tuple[int, tuple[int, ...], tuple[int, ...]]]
"""Name of a distance: (axis, points counted +, points counted -); left and right points are averaged together."""

_DISTANCES: Distances = {
    "brow_inner_y": (1, (107, 55, 336, 285), (33, 133, 263, 362)),
    "brow_mid_y": (1, (105, 52, 334, 282), (33, 133, 263, 362)),
    "brow_outer_y": (1, (70, 46, 63, 53, 300, 276, 293, 283), (33, 133, 263, 362)),
    "brow_gap_x": (0, (336, 285), (107, 55)),
    "upper_lid_y": (1, (158, 159, 160, 385, 386, 387), (33, 133, 263, 362)),
    "lower_lid_y": (1, (144, 145, 153, 373, 374, 380), (33, 133, 263, 362)),
    "pouch_y": (1, (23, 230, 231, 253, 450, 451), (33, 133, 263, 362)),
    "cheek_y": (1, (50, 101, 117, 118, 280, 330, 346, 347), (33, 133, 263, 362)),
    "nose_wing_y": (1, (98, 129, 64, 327, 358, 294), (33, 133, 263, 362)),
    "nose_wing_x": (0, (358, 294), (129, 64)),
    "nose_side_y": (1, (198, 217, 114, 420, 437, 343), (33, 133, 263, 362)),
    "upper_lip_y": (1, (0, 37, 267, 39, 269), (33, 133, 263, 362)),
    "corner_y": (1, (61, 291), (33, 133, 263, 362)),
    "corner_x": (0, (291,), (61,)),
    "corner_z": (2, (61, 291), (1, 4)),
    "fold_x": (0, (425, 426), (205, 206)),
    "lip_gap": (1, (13, 82, 312), (14, 87, 317)),
    "upper_lip_thick": (1, (0, 37, 267), (13, 82, 312)),
    "lower_lip_thick": (1, (14, 87, 317), (17, 84, 314)),
    "lower_lip_y": (1, (14, 17, 84, 314), (33, 133, 263, 362)),
    "jaw_y": (1, (152, 148, 377), (33, 133, 263, 362)),
    "chin_boss": (1, (200, 199, 18), (152, 148, 377)),
    "lips_z": (2, (0, 17), (1, 4)),
}

FEATURES = tuple(_DISTANCES)
"""Names of the distances, in column order."""


@dataclass(frozen=True)
class NeutralFace:
    """The mean neutral face of many people and how people differ; only these aggregates are stored.

    `mesh` (468, 3) in inter-ocular units; `mean` (D,) and `covariance` (D, D) of the distances over people;
    `pose_slope` (2, D): what a unit of `pose_terms` adds to each distance; `people`: how many were measured.
    """

    mesh: Array
    mean: Array
    covariance: Array
    pose_slope: Array
    people: int

    @property
    def spread(self) -> Array:
        """(D,) standard deviation of each distance over people."""
        return np.asarray(np.sqrt(np.diag(self.covariance)))


@lru_cache(maxsize=1)
def neutral_face() -> NeutralFace:
    """The stored mean neutral face."""
    with files("emotion_llama.perception").joinpath(NEUTRAL_FILE).open("rb") as file, np.load(file) as stored:
        mesh, mean, covariance, slope = (stored[name].astype(np.float64) for name in _STORED)
        return NeutralFace(mesh, mean, covariance, slope, int(stored["people"]))


def align(meshes_px: NDArray[np.float32], onto: Array) -> tuple[Array, Array]:
    """Lay meshes (F, 468, 3) in px on the face `onto` (468, 3): aligned meshes (F, 468, 3), rotations (F, 3, 3).

    A rotation turns the reference face into the head as seen: `head = rotation @ reference`.
    """
    upright = meshes_px.astype(np.float64) * np.array([1.0, -1.0, -1.0])
    points, target = upright[:, RIGID], onto[list(RIGID)]
    origin, target_origin = points.mean(axis=1, keepdims=True), target.mean(axis=0)
    points, target = points - origin, target - target_origin
    rotation = _rotation(target, points)
    for _ in range(2):  # depth is weighted down in the frame of the face, which needs a first rotation
        turned = points @ rotation
        scale = (turned * target * _RIGID_AXES).sum(axis=(1, 2)) / (turned**2 * _RIGID_AXES).sum(axis=(1, 2))
        fitted = turned * scale[:, None, None]
        rotation = rotation @ _rotation(target * _RIGID_AXES, fitted * _RIGID_AXES)
    turned = points @ rotation
    scale = (turned * target * _RIGID_AXES).sum(axis=(1, 2)) / (turned**2 * _RIGID_AXES).sum(axis=(1, 2))
    aligned = ((upright - origin) @ rotation) * scale[:, None, None] + target_origin
    return aligned, rotation


def distances(aligned: Array, table: Distances = _DISTANCES) -> Array:
    """(F, D) distances of aligned meshes (F, 468, 3), columns as in the table (`FEATURES`), in inter-ocular units."""
    columns = [
        aligned[:, list(plus), axis].mean(axis=1) - aligned[:, list(minus), axis].mean(axis=1)
        for axis, plus, minus in table.values()
    ]
    return np.stack(columns, axis=1)


def pose_deg(rotations: Array) -> NDArray[np.float32]:
    """(F, 3) pitch, yaw, roll in degrees of rotations (F, 3, 3).

    Pitch grows with the chin lifted, yaw with the face turned to the right of the picture, roll with the head tilted
    clockwise in the picture.
    """
    yaw = np.arcsin(np.clip(-rotations[:, 2, 0], -1, 1))
    pitch = -np.arctan2(rotations[:, 2, 1], rotations[:, 2, 2])
    roll = -np.arctan2(rotations[:, 1, 0], rotations[:, 0, 0])
    return np.asarray(np.degrees(np.stack([pitch, yaw, roll], axis=1)), dtype=np.float32)


def pose_terms(pose: NDArray[np.float32]) -> Array:
    """(F, 2) what bends the distances of a turned head: pitch, and squared yaw (left and right are averaged); radians.

    Beyond 30 degrees the value at 30 is kept: nothing was measured there.
    """
    pitch, yaw = np.radians(np.clip(pose[:, :2].astype(np.float64), -30, 30)).T
    return np.stack([pitch, yaw**2], axis=1)


def measure(meshes_px: NDArray[np.float32]) -> tuple[Array, NDArray[np.float32]]:
    """Distances (F, D) of meshes (F, 468, 3) in px, freed of the head pose, and the pose (F, 3) in degrees."""
    face = neutral_face()
    aligned, rotations = align(meshes_px, face.mesh)
    pose = pose_deg(rotations)
    return distances(aligned) - pose_terms(pose) @ face.pose_slope, pose


def measure_neutral(meshes_px: NDArray[np.float32]) -> NeutralFace:
    """The mean neutral face of many people, from one mesh (468, 3) each of faces that show no expression.

    The shipped file was made from neutral pictures of a public face collection, one a person, read by this package's
    own detector and mesh. Heads turned over 20 degrees and open mouths are left out.
    """
    first = meshes_px[0].astype(np.float64) * np.array([1.0, -1.0, -1.0])
    mesh = _in_eye_units(first)
    for _ in range(4):
        aligned, rotations = align(meshes_px, mesh)
        frontal = np.abs(pose_deg(rotations)[:, :2]).max(axis=1) < 20
        mesh = _level(_in_eye_units(np.median(aligned[frontal], axis=0)))
    aligned, rotations = align(meshes_px[frontal], mesh)
    values = distances(aligned)
    closed = values[:, FEATURES.index("lip_gap")] < CLOSED_LIPS
    return aggregate_neutral(np.median(aligned[closed], axis=0), values[closed], pose_deg(rotations[closed]))


def aggregate_neutral(mesh: Array, values: Array, pose: NDArray[np.float32]) -> NeutralFace:
    """The neutral face from its mean mesh and the distances (F, D) and poses (F, 3) of many people, one row each.

    The trend with the pose is taken off; values beyond three spreads are pulled in before the covariance is taken.
    """
    terms = pose_terms(pose)
    slope = np.asarray(
        np.linalg.lstsq(np.column_stack([np.ones(len(terms)), terms]), values, rcond=None)[0][1:], dtype=np.float64
    )
    values = values - terms @ slope
    low, mean, high = np.quantile(values, (0.25, 0.5, 0.75), axis=0)
    reach = 3 * (high - low) / 1.349
    covariance = np.asarray(np.cov(np.clip(values, mean - reach, mean + reach), rowvar=False), dtype=np.float64)
    return NeutralFace(np.asarray(mesh, dtype=np.float64), mean, covariance, slope, len(values))


def _level(mesh: Array) -> Array:
    """Turn a mean face so that its plane of symmetry is x = 0: eyes level, both temples equally deep."""
    across = mesh[[263, 454, 356]].mean(axis=0) - mesh[[33, 234, 127]].mean(axis=0)
    up = mesh[10] - mesh[152]
    x = across / np.linalg.norm(across)
    y = up - x * (up @ x)
    y /= np.linalg.norm(y)
    return np.asarray(mesh @ np.stack([x, y, np.cross(x, y)], axis=1))


def _in_eye_units(mesh: Array) -> Array:
    eyes = mesh[[33, 133]].mean(axis=0), mesh[[263, 362]].mean(axis=0)
    return np.asarray((mesh - (eyes[0] + eyes[1]) / 2) / np.linalg.norm(eyes[0] - eyes[1]))


def _rotation(reference: Array, points: Array) -> Array:
    """Proper rotations (F, 3, 3) with `points[f] ≈ reference @ rotation[f].T` (Kabsch)."""
    covariance = np.einsum("fni,nj->fij", points, reference)
    left, _, right = np.linalg.svd(covariance)
    sign = np.sign(np.linalg.det(left @ right))
    left[:, :, 2] *= sign[:, None]
    return np.asarray(left @ right)
