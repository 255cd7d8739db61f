"""The distances that action units are read from: short ones, between neighbours inside one region of the face.

A distance from the eyes to the mouth differs by 3 mm from person to person and changes when the head nods; the lift of
the lip corners over the middle of the lips differs by less than 1 mm. So each part of the face is measured against
its own bones: brows against the nose bridge and the eye corners, lips and chin against the base of the nose.

Two kinds of differences are no expression, and `differences` says how large they are: people differ, and the mesh net
does not turn a nodding head stiffly, but shears it (height with depth). On 300 neutral press pictures the shear left
after the similarity fit has a spread of 0.04 and follows the pitch (correlation .7).

The distances of `geometry` stay as they are: face heads learned from them.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from emotion_llama.perception.geometry import (
    CLOSED_LIPS,
    NEUTRAL_FILE,
    Array,
    NeutralFace,
    aggregate_neutral,
    align,
    distances,
    neutral_face,
    pose_deg,
    pose_terms,
)

_EYES = (33, 133, 263, 362)
_BRIDGE = (33, 133, 263, 362, 168, 6)
_BASE = (2,)

# name: (axis, points counted +, points counted -); left and right points are averaged together
_DISTANCES: dict[str, tuple[int, tuple[int, ...], tuple[int, ...]]] = {
    "brow_inner_y": (1, (107, 55, 336, 285), _BRIDGE),
    "brow_mid_y": (1, (105, 52, 334, 282), _BRIDGE),
    "brow_outer_y": (1, (63, 53, 293, 283), _BRIDGE),
    "brow_tail_y": (1, (70, 46, 300, 276), _BRIDGE),
    "brow_gap_x": (0, (336, 285), (107, 55)),
    "upper_lid_y": (1, (158, 159, 160, 385, 386, 387), _EYES),
    "lower_lid_y": (1, (144, 145, 153, 373, 374, 380), _EYES),
    "pouch_y": (1, (23, 230, 231, 253, 450, 451), _EYES),
    "cheek_y": (1, (50, 101, 117, 118, 280, 330, 346, 347), _EYES),
    "nose_wing_y": (1, (98, 129, 64, 327, 358, 294), _EYES),
    "nose_wing_x": (0, (358, 294), (129, 64)),
    "nose_side_y": (1, (198, 217, 114, 420, 437, 343), _EYES),
    "nose_base_y": (1, _BASE, _EYES),
    "ear_y": (1, (234, 454, 127, 356), _EYES),  # no action unit moves it: it shows how far the mesh is sheared
    "fold_x": (0, (425, 426), (205, 206)),
    "fold_y": (1, (205, 203, 425, 423), _EYES),
    "upper_lip_y": (1, (0, 37, 267), _BASE),
    "upper_lip_side": (1, (39, 40, 269, 270), (0, 37, 267)),
    "corner_lift": (1, (61, 291), (13, 14)),
    "corner_x": (0, (291,), (61,)),
    "corner_z": (2, (61, 291), (0, 17)),
    "lips_z": (2, (0, 17), (1, 4)),
    "lip_gap": (1, (13, 82, 312), (14, 87, 317)),
    "upper_lip_thick": (1, (0, 37, 267), (13, 82, 312)),
    "lower_lip_thick": (1, (14, 87, 317), (17, 84, 314)),
    "lower_lip_y": (1, (17, 84, 314), _BASE),
    "lower_lip_side": (1, (91, 181, 321, 405), (17, 84, 314)),
    "lower_lip_z": (2, (14, 17), (0, 13)),
    "jaw_y": (1, (152, 148, 377), _BASE),
    "chin_boss": (1, (200, 199, 18), (152, 148, 377)),
}

ACTION_DISTANCES = tuple(_DISTANCES)
"""Names of the distances, in column order."""

# brows | eyes, cheeks, nose | mouth: where each region begins
REGION_STARTS = (ACTION_DISTANCES.index("upper_lid_y"), ACTION_DISTANCES.index("upper_lip_y"))
ACROSS_REGIONS = 0.5
"""How far differences in one region speak for another: in full, a wide open mouth would lower the brows."""

# (axis moved, axis that moves it, spread): what the mesh net bends after the similarity fit
_MESH_BENDS = (
    ((1, 2), (2, 1), 0.05),  # height sheared with depth
    ((2, 1), None, 0.03),  # depth tilted with height: a small error of the pitch
    ((1, 1), None, 0.02),  # the face a little too long or too short
    ((2, 2), None, 0.05),  # the face a little too deep or too flat
)


def measure(meshes_px: NDArray[np.float32]) -> tuple[Array, NDArray[np.float32]]:
    """Distances (F, D) of meshes (F, 468, 3) in px, freed of the head pose, and the pose (F, 3) in degrees."""
    aligned, rotations = align(meshes_px, neutral_face().mesh)
    pose = pose_deg(rotations)
    return distances(aligned, _DISTANCES) - pose_terms(pose) @ neutral_actions().pose_slope, pose


@lru_cache(maxsize=1)
def neutral_actions() -> NeutralFace:
    """The stored neutral of these distances, with the mean face of `geometry.neutral_face`."""
    with files("emotion_llama.perception").joinpath(NEUTRAL_FILE).open("rb") as file, np.load(file) as stored:
        mean, covariance, slope = (
            stored[f"action_{name}"].astype(np.float64) for name in ("mean", "covariance", "pose_slope")
        )
        return NeutralFace(neutral_face().mesh, mean, covariance, slope, int(stored["action_people"]))


def measure_neutral_actions(meshes_px: NDArray[np.float32], people: NDArray[np.str_]) -> NeutralFace:
    """The neutral of these distances, from meshes (F, 468, 3) without expression and the name of each one's person.

    Of each person the first picture counts whose head is turned less than 20 degrees and whose lips are closed. The
    mean face is `geometry.neutral_face`'s. The shipped aggregates were made from the training part of the public face
    collection that `geometry.measure_neutral` names.
    """
    aligned, rotations = align(meshes_px, neutral_face().mesh)
    pose, values = pose_deg(rotations), distances(aligned, _DISTANCES)
    usable = (np.abs(pose[:, :2]).max(axis=1) < 20) & (values[:, ACTION_DISTANCES.index("lip_gap")] < CLOSED_LIPS)
    _, firsts = np.unique(people[usable], return_index=True)
    kept = np.flatnonzero(usable)[firsts]
    if len(kept) < len(ACTION_DISTANCES):
        raise ValueError(f"a neutral needs at least {len(ACTION_DISTANCES)} people facing front, found {len(kept)}")
    return aggregate_neutral(neutral_face().mesh, values[kept], pose[kept])


def differences(identity: float, noise: Array) -> Array:
    """(D, D) covariance of what is no expression, in inter-ocular units.

    `identity`: share of the differences between people that the distances still contain; `noise` (D,): how far each
    distance wanders on a still face.
    """
    face = neutral_actions()
    region = np.searchsorted(REGION_STARTS, np.arange(len(ACTION_DISTANCES)), side="right")
    people = face.covariance * np.where(region[:, None] == region, 1.0, ACROSS_REGIONS)
    bends = _bends()
    return np.asarray(np.diag(noise**2) + identity * people + bends.T @ bends)


@lru_cache(maxsize=1)
def _bends() -> Array:
    """One spread of each bend of the mesh net, as changes (B, D) of the distances."""
    found = []
    for one, other, spread in _MESH_BENDS:
        bend = np.zeros((3, 3))
        for place in (one, other):
            if place is not None:
                bend[place] = spread
        found.append(neutral_face().mesh @ bend.T)
    return distances(np.stack(found), _DISTANCES)  # distances are linear in the points
