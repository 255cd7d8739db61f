from __future__ import annotations

import numpy as np
import pytest

from emotion_llama.measurements import ACTION_UNITS, FaceSample
from emotion_llama.perception.action_distances import ACTION_DISTANCES, measure_neutral_actions, neutral_actions
from emotion_llama.perception.action_distances import measure as measure_action_distances
from emotion_llama.perception.action_units import (
    IDENTITY_LEFT,
    NOISE_MM,
    SIGNATURES,
    confidences,
    intensities,
    measure_action_units,
    own_neutral,
    signature_matrix,
)
from emotion_llama.perception.geometry import neutral_face
from emotion_llama.perception.mesh import box_of_mesh

CROP = np.zeros((160, 160, 3), np.uint8)


def sample(at: int, smile_mm: float = 0.0, size_px: float = 60.0) -> FaceSample:
    """The neutral face, its mouth corners pulled up and out by `smile_mm`."""
    mesh = neutral_face().mesh.copy()
    for corner, side in ((61, -1), (291, 1)):
        mesh[corner] += np.array([side, 1.0, -1.0]) * smile_mm / 63
    pixels = (mesh * [1, -1, -1] * size_px + [300, 200, 0]).astype(np.float32)
    return FaceSample(at, at / 15, box_of_mesh(pixels, 0.9), pixels, 1.0, CROP)


def test_table_is_complete_and_names_known_distances() -> None:
    assert tuple(SIGNATURES) == ACTION_UNITS
    assert {name for signature in SIGNATURES.values() for name in signature} <= set(ACTION_DISTANCES)
    assert tuple(NOISE_MM) == ACTION_DISTANCES


def test_stored_neutral_is_an_aggregate_and_reads_as_neutral() -> None:
    face = neutral_actions()
    assert face.mesh.shape == (468, 3) and face.people >= 50
    assert face.mean.shape == (len(ACTION_DISTANCES),)
    assert np.linalg.eigvalsh(face.covariance).min() >= -1e-9
    series = measure_action_units((sample(0),))
    assert series.baseline == "population"
    assert series.intensity.shape == (1, 18)
    assert series.intensity.mean() < 0.3
    np.testing.assert_array_equal(intensities(np.zeros((1, len(ACTION_DISTANCES)))), np.zeros((1, 18)))


def test_neutral_of_invented_people_counts_each_once_and_leaves_out_turned_heads_and_open_mouths() -> None:
    rng, face = np.random.default_rng(0), neutral_face().mesh
    meshes = face + 0.003 * rng.standard_normal((80, *face.shape))
    names = np.array([f"p{number // 2}" for number in range(80)])
    turned, opened = slice(0, 4), slice(4, 8)
    meshes[turned] = meshes[turned] @ np.array([[0.8, 0, 0.6], [0, 1, 0], [-0.6, 0, 0.8]])
    meshes[opened, 14, 1] -= 0.5
    found = measure_neutral_actions((meshes * [60, -60, -60]).astype(np.float32), names)
    assert found.people == 36
    expected = measure_action_distances((face[None] * [60, -60, -60]).astype(np.float32))[0][0]
    assert np.abs(found.mean - expected).max() < 0.003
    with pytest.raises(ValueError, match="at least"):
        measure_neutral_actions((meshes[:8] * [60, -60, -60]).astype(np.float32), names[:8])


@pytest.mark.parametrize("spreads", [-1.5, 1.5])
def test_a_sheared_mesh_is_no_expression(spreads: float) -> None:
    """A nodding head comes back sheared, height with depth; the distances above no longer move with it."""
    shear = np.array([[1, 0, 0], [0, 1, 0.05 * spreads], [0, 0.05 * spreads, 1]])
    still, bent = neutral_face().mesh, neutral_face().mesh @ shear.T
    values = [measure_action_distances((mesh[None] * [60, -60, -60]).astype(np.float32))[0] for mesh in (still, bent)]
    assert intensities(values[1] - values[0], IDENTITY_LEFT).max() < 0.8


@pytest.mark.parametrize("unit", ACTION_UNITS)
def test_each_signature_comes_back_as_its_own_unit(unit: int) -> None:
    row = ACTION_UNITS.index(unit)
    level = intensities(4.0 * signature_matrix()[row][None], IDENTITY_LEFT)[0]
    assert int(level.argmax()) == row
    assert 2.0 < level[row] <= 5.0


def test_smile_is_read_over_the_own_neutral_whatever_the_size() -> None:
    smile = [0.0] * 30 + [6.0] * 15
    for size_px in (30.0, 120.0):
        series = measure_action_units(tuple(sample(at, mm, size_px) for at, mm in enumerate(smile)))
        lip_corner = series.intensity[:, ACTION_UNITS.index(12)]
        assert series.baseline == "own"
        assert lip_corner[35] > 1.5 > 0.3 > lip_corner[5]


def test_a_smile_that_never_ends_is_still_a_smile() -> None:
    face = neutral_actions()
    smile = face.mean + 4 * signature_matrix()[ACTION_UNITS.index(12)]
    neutral, baseline = own_neutral(np.tile(smile, (60, 1)), np.arange(60) / 15)
    assert baseline == "own"
    assert np.all(np.abs(neutral - face.mean) <= face.spread + 1e-9)
    assert intensities(smile[None] - neutral[:1], IDENTITY_LEFT)[0, ACTION_UNITS.index(12)] > 1.0


def test_confidence_falls_with_pose_size_and_score() -> None:
    poses = np.array([[0, 0, 0], [0, 50, 0], [35, 0, 0], [0, 0, 0], [0, 0, 0]], dtype=np.float32)
    sure = confidences(poses, np.array([1.0, 1, 1, 0.5, 1]), np.array([200.0, 200, 200, 200, 20]))
    assert sure.shape == (5, 18) and sure.min() >= 0 and sure.max() <= 1
    assert np.all(sure[1:] < sure[0])
