"""Face measurements become the features of the language model."""

from __future__ import annotations

import numpy as np
import pytest

from emotion_llama.encoders.face_tokens import (
    FLOOR,
    LOCAL_WIDTH,
    expression_rows,
    local_tokens,
    pick_samples,
    view_rows,
)
from emotion_llama.measurements import (
    EXPRESSIONS,
    FaceBox,
    FaceMeasures,
    FaceSample,
    FaceTrack,
)


def measures(count: int, peak: int) -> FaceMeasures:
    """A face whose features are the frame's number, and whose expression is certain."""
    box = FaceBox(np.array([0, 0, 9, 9], np.float32), np.zeros((6, 2), np.float32), 0.9)
    sample = FaceSample(0, 0.0, box, np.zeros((468, 3), np.float32), 1.0, np.zeros((160, 160, 3), np.uint8))
    expressions = np.zeros((count, len(EXPRESSIONS)), np.float32)
    expressions[:, 3] = 1
    features = np.repeat(np.arange(count, dtype=np.float32)[:, None], 128, axis=1)
    return FaceMeasures(count, (FaceTrack(0, (sample,) * count),), 0, None, expressions, features, peak)


def test_local_tokens_are_the_mean_and_the_peak() -> None:
    tokens = local_tokens(measures(5, peak=4))
    assert tokens is not None and tokens.shape == (2, LOCAL_WIDTH) and tokens.dtype == np.float32
    assert (tokens[0, :128] == 2).all() and (tokens[1, :128] == 4).all()
    np.testing.assert_allclose(tokens[:, 128 + 3], 0, atol=1e-6)  # log 1
    np.testing.assert_allclose(tokens[:, 128], np.log(FLOOR), rtol=1e-5)  # an exact zero is floored


def test_no_face_gives_no_tokens() -> None:
    assert local_tokens(FaceMeasures(9, (), None, None, None, None, None)) is None


def test_expression_rows_are_floored_logarithms() -> None:
    half, sure = np.full((2, 7), 0.5, np.float32), np.eye(7, dtype=np.float32)[:2]
    rows = expression_rows(half, sure)
    assert rows.shape == (2, 14) and rows.dtype == np.float32
    np.testing.assert_allclose(rows[1], [np.log(0.5)] * 7 + [np.log(FLOOR), 0] + [np.log(FLOOR)] * 5, rtol=1e-5)


@pytest.mark.parametrize(("count", "peak"), [(1, 0), (3, 1), (8, 5), (100, 0), (100, 99), (100, 47)])
def test_samples_are_spread_and_hold_the_peak(count: int, peak: int) -> None:
    picked = pick_samples(measures(count, peak), 8)
    assert peak in picked and (np.diff(picked) > 0).all()
    assert picked[0] >= 0 and picked[-1] < count
    assert len(picked) == min(count, 8)
    assert np.diff(picked).max(initial=0) <= max(1, count / 4)


def test_view_rows_keep_their_order() -> None:
    given = [np.full((2, width), n, np.float32) for n, width in enumerate((512, 1280, 7, 7, 23), start=1)]
    rows = view_rows(*given)
    assert rows.shape == (2, 1829) and rows.dtype == np.float32
    expected = [1] * 512 + [2] * 1280 + [np.log(3)] * 7 + [np.log(4)] * 7 + [5] * 23
    np.testing.assert_allclose(rows[1], expected, rtol=1e-6)
    given[2][0, 0] = 0  # an exact zero is floored
    assert view_rows(*given)[0, 1792] == pytest.approx(np.log(FLOOR))
