"""Action-unit intensities from mesh geometry, 0–5 above the person's own neutral.

`SIGNATURES` says how each action unit moves the distances of `action_distances` at full strength. The intensities are
the non-negative mix of signatures that explains best how the measured distances depart from neutral: so a raised cheek
is not read twice, once as a smile and once as a squint. The sizes come from the FACS descriptions (Ekman, Friesen &
Hager 2002) and adult facial anatomy, reduced to what the mesh shows of them; nothing was fitted to another AU detector.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from emotion_llama.measurements import ACTION_UNITS, ActionUnitSeries, FaceSample
from emotion_llama.perception.action_distances import ACTION_DISTANCES, differences, measure, neutral_actions
from emotion_llama.perception.geometry import Array

EYE_DISTANCE_MM = 63.0

# action unit: millimetres by which each distance changes at intensity 5
SIGNATURES: dict[int, dict[str, float]] = {
    1: {"brow_inner_y": 6.0, "brow_mid_y": 3.0, "brow_outer_y": 1.0, "upper_lid_y": 0.3},
    2: {"brow_outer_y": 6.0, "brow_tail_y": 5.0, "brow_mid_y": 4.5, "brow_inner_y": 1.5, "upper_lid_y": 0.4},
    4: {
        "brow_inner_y": -4.5,
        "brow_mid_y": -4.0,
        "brow_outer_y": -3.0,
        "brow_tail_y": -2.0,
        "brow_gap_x": -3.0,
        "upper_lid_y": -0.5,
    },
    # the lid covers 1.5–2 mm of the iris at rest and leaves white above it at full strength
    5: {"upper_lid_y": 3.0, "lower_lid_y": -0.4},
    6: {
        "cheek_y": 2.5,
        "pouch_y": 2.0,
        "lower_lid_y": 1.0,
        "upper_lid_y": -0.8,
        "brow_outer_y": -0.6,
        "brow_tail_y": -0.6,
        "fold_y": 1.5,
        "fold_x": 1.5,
        "corner_lift": 0.8,
    },
    7: {"lower_lid_y": 1.8, "upper_lid_y": -1.0, "pouch_y": 0.6},
    9: {
        "nose_wing_y": 4.0,
        "nose_side_y": 3.0,
        "nose_base_y": 1.0,
        "nose_wing_x": 1.0,
        "fold_y": 2.5,
        "cheek_y": 1.5,
        "pouch_y": 1.5,
        "upper_lip_y": 1.0,
        "upper_lip_side": 0.8,
        "brow_inner_y": -2.0,
        "brow_mid_y": -1.0,
        "brow_gap_x": -1.5,
    },
    10: {
        "upper_lip_y": 5.0,
        "upper_lip_side": -1.0,
        "upper_lip_thick": 0.8,
        "lip_gap": 3.0,
        "corner_lift": -1.5,
        "nose_wing_y": 1.5,
        "nose_wing_x": 1.5,
        "nose_base_y": 0.3,
        "fold_y": 2.0,
        "cheek_y": 1.0,
    },
    12: {
        "corner_lift": 5.0,
        "corner_x": 12.0,
        "corner_z": -4.5,
        "lips_z": -3.5,
        "fold_x": 6.0,
        "fold_y": 3.0,
        "cheek_y": 1.2,
        "nose_wing_x": 3.5,
        "nose_wing_y": 1.5,
        "upper_lip_y": 2.5,
        "upper_lip_side": 2.0,
        "upper_lip_thick": -1.5,
        "lower_lip_side": 1.0,
        "lower_lip_thick": -0.8,
    },
    # the corners are drawn in and back, the skin below them up; the lips flatten
    14: {
        "corner_x": 5.0,
        "corner_z": -3.5,
        "corner_lift": 0.5,
        "fold_x": 1.5,
        "upper_lip_thick": -1.0,
        "lower_lip_thick": -1.0,
        "lower_lip_y": 1.0,
        "chin_boss": 1.0,
        "jaw_y": 1.0,
    },
    15: {"corner_lift": -4.0, "lower_lip_side": -1.5, "upper_lip_side": -1.5, "corner_x": 1.0, "fold_y": -1.0},
    17: {
        "lower_lip_y": 5.0,
        "chin_boss": 4.0,
        "jaw_y": 3.0,
        "corner_lift": -2.5,
        "upper_lip_y": 1.5,
        "lower_lip_z": 1.5,
        "lips_z": 1.5,
        "lip_gap": -1.0,
    },
    20: {
        "corner_x": 10.0,
        "corner_z": -4.0,
        "corner_lift": -0.5,
        "upper_lip_y": -2.5,
        "lower_lip_y": -3.5,
        "jaw_y": -1.0,
        "upper_lip_thick": -1.2,
        "lower_lip_thick": -1.2,
        "lip_gap": 1.0,
        "fold_x": 1.5,
    },
    23: {"upper_lip_thick": -2.0, "lower_lip_thick": -2.0, "corner_x": -5.0, "lip_gap": -1.0},
    25: {
        "lip_gap": 7.0,
        "lower_lip_y": -4.5,
        "upper_lip_y": 0.7,
        "corner_lift": 2.0,
        "lower_lip_side": 1.5,
        "chin_boss": -0.5,
    },
    26: {
        "jaw_y": -11.0,
        "lower_lip_y": -13.0,
        "lip_gap": 10.0,
        "corner_lift": 1.0,
        "corner_x": -4.0,
        "lower_lip_side": 2.5,
        "lower_lip_thick": 1.0,
        "lower_lip_z": -2.0,
        "lips_z": -2.0,
        "chin_boss": -1.5,
        "fold_x": -3.0,
        "fold_y": -1.5,
        "cheek_y": -1.0,
    },
    28: {
        "upper_lip_thick": -4.0,
        "lower_lip_thick": -5.0,
        "upper_lip_y": -2.5,
        "lower_lip_y": 3.0,
        "lips_z": -2.0,
        "lip_gap": -0.5,
    },
    45: {"upper_lid_y": -8.0, "lower_lid_y": 0.4},
}

# how far a distance wanders on a still face (noise of the mesh, gaze, remaining pose), mm: small = trusted
NOISE_MM: dict[str, float] = dict.fromkeys(ACTION_DISTANCES, 0.8) | {
    "brow_gap_x": 1.5,
    "upper_lid_y": 0.5,
    "lower_lid_y": 0.4,
    "pouch_y": 0.5,
    "fold_x": 1.2,
    "upper_lip_side": 0.5,
    "corner_lift": 0.6,
    "corner_x": 1.2,
    "corner_z": 1.2,
    "lips_z": 1.6,
    "upper_lip_thick": 0.5,
    "lower_lip_thick": 0.5,
    "lower_lip_y": 1.5,
    "lower_lip_side": 0.6,
    "lower_lip_z": 1.0,
    "jaw_y": 1.8,
    "chin_boss": 1.3,
}

# how well geometry alone shows each unit on a frontal face (wrinkles and bulges are not seen)
RELIABILITY: dict[int, float] = dict.fromkeys(ACTION_UNITS, 0.7) | {
    1: 0.8,
    2: 0.85,
    5: 0.8,
    7: 0.6,
    9: 0.6,
    12: 0.9,
    14: 0.4,
    20: 0.6,
    23: 0.5,
    25: 0.95,
    26: 0.9,
    28: 0.5,
    45: 0.9,
}

OWN_SPAN_S = 2.0
OWN_SAMPLES = 12
WINDOW_S = 30.0
CALM_SHARE = 0.25
LARGEST_SHIFT = 1.0  # a person's neutral lies within one spread of the population's
IDENTITY_LEFT = 0.15  # share of the differences between people that a neutral held within one spread leaves
IDENTITY_POPULATION = 0.5  # weight of those differences when the population's neutral is used: 1 hides mild expressions
PENALTY = 0.3  # departures this many deviations from neutral are still read as none
ROUNDS = 60
SETTLED = 5e-3  # no level moves further in a round
SMALL_FACE_PX = 60.0


def measure_action_units(samples: tuple[FaceSample, ...]) -> ActionUnitSeries:
    """Action units of one track's samples (at least one), in their order."""
    meshes = np.stack([sample.mesh_px for sample in samples])
    times = np.array([sample.time_s for sample in samples])
    values, pose = measure(meshes)
    neutral, baseline = own_neutral(values, times)
    return ActionUnitSeries(
        times.astype(np.float32),
        intensities(values - neutral, IDENTITY_LEFT if baseline == "own" else IDENTITY_POPULATION),
        confidences_of(samples, pose),
        pose,
        baseline,
    )


def own_neutral(values: Array, times_s: Array) -> tuple[Array, str]:
    """The neutral distances (F, D) of one person at each time, and "own" or "population".

    In a window of 30 s the calmest quarter of the frames (closest to the population's neutral, in its spreads) gives
    a median; it may leave the population's neutral by one spread at most, so that a smile that never ends is still a
    smile. Windows overlap by half and are blended. Fewer than 12 frames or 2 s: the population's neutral.
    """
    face = neutral_actions()
    if len(values) < OWN_SAMPLES or times_s[-1] - times_s[0] < OWN_SPAN_S:
        return np.broadcast_to(face.mean, values.shape), "population"
    steps = max(int(np.ceil((times_s[-1] - times_s[0] - WINDOW_S) / (WINDOW_S / 2))) + 1, 1)
    centres = np.linspace(times_s[0] + WINDOW_S / 2, times_s[-1] - WINDOW_S / 2, steps)
    if steps == 1:
        centres = np.array([(times_s[0] + times_s[-1]) / 2])
    effort = np.abs((values - face.mean) / face.spread).mean(axis=1)
    medians = []
    for centre in centres:
        near = np.flatnonzero(np.abs(times_s - centre) <= WINDOW_S / 2 + 1e-6)
        near = near if len(near) >= OWN_SAMPLES else np.arange(len(values))
        calm = near[np.argsort(effort[near], kind="stable")[: max(int(len(near) * CALM_SHARE), 3)]]
        medians.append(np.median(values[calm], axis=0))
    shift = np.clip(np.stack(medians) - face.mean, -LARGEST_SHIFT * face.spread, LARGEST_SHIFT * face.spread)
    blended = np.stack([np.interp(times_s, centres, column) for column in shift.T], axis=1)
    return face.mean + blended, "own"


def signature_matrix() -> Array:
    """(18, D) change of each distance for one step of intensity, in inter-ocular units."""
    matrix = np.zeros((len(ACTION_UNITS), len(ACTION_DISTANCES)))
    for row, unit in enumerate(ACTION_UNITS):
        for name, millimetres in SIGNATURES[unit].items():
            matrix[row, ACTION_DISTANCES.index(name)] = millimetres / EYE_DISTANCE_MM / 5
    return matrix


def intensities(
    departures: Array, identity: float = IDENTITY_POPULATION, signatures: Array | None = None
) -> NDArray[np.float32]:
    """(F, 18) intensities 0–5 that explain departures (F, D) from neutral. `signatures`: `signature_matrix` or others.

    Generalised non-negative least squares: a departure counts less along the directions in which neutral people differ
    (`identity`: share of their covariance that the departures still contain) and in which the mesh net bends a nodding
    head. A small penalty on each unit keeps noise at zero.
    """
    noise = np.array([NOISE_MM[name] for name in ACTION_DISTANCES]) / EYE_DISTANCE_MM
    whiten = np.linalg.inv(np.linalg.cholesky(differences(identity, noise)))
    basis = (signature_matrix() if signatures is None else signatures) @ whiten.T
    gram = basis @ basis.T
    size = np.diag(gram)
    left = departures @ whiten.T @ basis.T - PENALTY * np.sqrt(size)  # pull of what is not explained yet
    level = np.zeros_like(left)
    for _ in range(ROUNDS):  # coordinate descent, all frames at once
        largest = 0.0
        for unit in range(len(gram)):
            step = np.clip(level[:, unit] + left[:, unit] / size[unit], 0, 5) - level[:, unit]
            level[:, unit] += step
            left -= step[:, None] * gram[unit]
            largest = max(largest, float(np.abs(step).max(initial=0.0)))
        if largest < SETTLED:
            break
    return level.astype(np.float32)


def confidences_of(samples: Sequence[FaceSample], pose: NDArray[np.float32]) -> NDArray[np.float32]:
    """`confidences` of one track's samples with their pose (F, 3) in degrees."""
    faces_px = np.array([np.min(sample.box.corners_px[2:] - sample.box.corners_px[:2]) for sample in samples])
    return confidences(pose, np.array([sample.mesh_score for sample in samples]), faces_px)


def confidences(pose: NDArray[np.float32], mesh_scores: Array, faces_px: Array) -> NDArray[np.float32]:
    """(F, 18) confidence 0–1: falls with turned or tilted heads, unsure meshes and small faces, and differs by unit."""
    pitch, yaw = np.abs(pose[:, 0]), np.abs(pose[:, 1])
    frontal = np.clip(1.25 - yaw / 60, 0, 1) * np.clip(1.25 - pitch / 50, 0, 1)
    size = np.clip(faces_px / SMALL_FACE_PX, 0, 1)
    reliability = np.array([RELIABILITY[unit] for unit in ACTION_UNITS])
    return np.asarray((frontal * mesh_scores * size)[:, None] * reliability, dtype=np.float32)
