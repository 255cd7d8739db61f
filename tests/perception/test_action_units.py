from __future__ import annotations

import numpy as np
import pytest

from emotion_llama.measurements import ACTION_UNITS, FaceSample
from emotion_llama.perception.action_units import (
    IDENTITY_LEFT,
    SIGNATURES,
    confidences,
    intensities,
    measure_action_units,
    own_neutral,
    signature_matrix,
)
from emotion_llama.perception.geometry import FEATURES, neutral_face
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
    assert {name for signature in SIGNATURES.values() for name in signature} <= set(FEATURES)


def test_stored_neutral_is_an_aggregate_and_reads_as_neutral() -> None:
    face = neutral_face()
    assert face.mesh.shape == (468, 3) and face.people >= 50
    assert np.linalg.eigvalsh(face.covariance).min() >= -1e-9
    series = measure_action_units((sample(0),))
    assert series.baseline == "population"
    assert series.intensity.shape == (1, 18)
    assert series.intensity.mean() < 0.3
    np.testing.assert_array_equal(intensities(np.zeros((1, len(FEATURES)))), np.zeros((1, 18)))


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
    face = neutral_face()
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
