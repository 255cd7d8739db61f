"""Maps of the heads: one matrix that a head holds, and past the person."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as budget
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.decomposition import PCA

from emotion_llama.encoders.heads import EmotionHead, load_heads, save_heads
from emotion_llama.errors import ManifestError
from emotion_llama.train.head_maps import LinearMap, principal_map, within_person_map
from emotion_llama.train.head_nets import fit_nets
from emotion_llama.train.head_settings import NetSettings

VOICE, FACE = 7, 6
BLOCKS = (VOICE, FACE, FACE, FACE)
PEOPLE, TAKES = 8, 12
WHO = np.repeat([f"p{k}" for k in range(PEOPLE)], TAKES)
KEPT = 5  # of the voice
PARTS = np.cumsum([0, KEPT, FACE - 1, FACE, FACE])  # the face has lost the direction of people


def made(identity: np.ndarray | None = None, seed: int = 0) -> np.ndarray:
    """Rows (96, 25) of people with the same twelve expressions each, and faces shifted by `identity` (8, 6)."""
    rng = np.random.default_rng(seed)
    voice = rng.normal(3, np.geomspace(1e-4, 2, VOICE), (PEOPLE * TAKES, VOICE))
    face = np.tile(rng.normal(0, 0.1, (TAKES, 3, FACE)) @ rng.normal(0, 1, (FACE, FACE)), (PEOPLE, 1, 1))
    who = rng.normal(0, 5, (PEOPLE, FACE)) if identity is None else identity
    face = face + np.repeat(who, TAKES, axis=0)[:, None]
    return np.hstack([voice, face.reshape(len(face), -1)]).astype(np.float32)


def fitted(rows: np.ndarray) -> LinearMap:
    return within_person_map(rows, WHO, BLOCKS, KEPT)


def step_by_step(rows: np.ndarray) -> np.ndarray:
    """The same numbers by the words of the documentation, with scikit-learn's PCA and one step after the other."""
    voice, start, middle, end = np.split(rows.astype(np.float64), np.cumsum(BLOCKS)[:-1], axis=1)
    heard = 2 * PCA(KEPT).fit_transform((voice - voice.mean(0)) / voice.std(0))
    face = (start + middle + end) / 3
    own = np.stack([face[name == WHO].mean(0) for name in np.unique(WHO)])
    main = PCA(1).fit(own).components_
    plain = (face - face.mean(0)) - (face - face.mean(0)) @ main.T @ main
    inner = plain - np.stack([plain[name == WHO].mean(0) for name in WHO])
    within = PCA(FACE - 1).fit(inner)
    seen = plain @ within.components_.T / np.sqrt(within.explained_variance_)
    slope, curve = PCA(FACE, whiten=True), PCA(FACE, whiten=True)
    parts = [heard, seen, 1.5 * slope.fit_transform(end - start), curve.fit_transform(start + end - 2 * middle)]
    parts[1:] = [part * np.sqrt(len(rows) / (len(rows) - 1)) for part in parts[1:]]  # the library divides by n - 1
    found = np.hstack(parts)
    return found / np.sqrt((found**2).mean())


def assert_same_but_for_signs(one: np.ndarray, other: np.ndarray, atol: float) -> None:
    """Directions have no sign of their own."""
    signs = np.sign((one * other).sum(axis=0))
    np.testing.assert_allclose(one * signs, other, atol=atol)


def test_one_matrix_gives_what_the_steps_give() -> None:
    rows = made()
    found = fitted(rows)
    assert found.reduce.shape == (sum(BLOCKS), PARTS[-1])
    assert {a.dtype for a in (found.mean, found.scale, found.reduce)} == {np.dtype(np.float32)}
    assert_same_but_for_signs(found.apply(rows), step_by_step(rows), atol=1e-4)


def head_of(found: LinearMap, rows: np.ndarray) -> EmotionHead:
    target = np.arange(len(rows)) % 3
    small = NetSettings(members=2, hidden=8, steps=60)
    members = fit_nets(found.apply(rows), target, np.ones(len(rows), np.float32), small, seed=0)
    return EmotionHead("h", "rows", ("a", "b", "c"), found.mean, found.scale, members, found.reduce)


def test_a_head_holds_the_map_also_after_it_was_written_in_half_precision(tmp_path: Path) -> None:
    """0.02 in log-probabilities is what half precision may change; on CREMA-D it changed 0.013 at most."""
    rows = made()
    found = fitted(rows)
    head = head_of(found, rows)
    inputs = step_by_step(rows)
    inputs *= np.sign((found.apply(rows) * inputs).sum(axis=0))
    bare = EmotionHead("h", "rows", head.labels, np.zeros(PARTS[-1]), np.ones(PARTS[-1]), head.members)
    expected = bare.log_probabilities(inputs)
    np.testing.assert_allclose(head.log_probabilities(rows), expected, atol=1e-4)
    save_heads({"h": head}, tmp_path / "heads.safetensors")
    again = load_heads(tmp_path / "heads.safetensors")["h"]
    np.testing.assert_allclose(again.log_probabilities(rows), expected, atol=0.02)


offsets = arrays(np.float64, (PEOPLE, FACE), elements=st.floats(-20, 20, width=16))


@budget(max_examples=25, deadline=None)
@given(offsets)
def test_what_a_person_adds_to_all_clips_is_not_in_slope_and_curve(identity: np.ndarray) -> None:
    plain, shifted = made(np.zeros((PEOPLE, FACE))), made(identity)
    one, other = fitted(plain), fitted(shifted)
    moving = [found.apply(rows)[:, PARTS[2] :] for found, rows in ((one, plain), (other, shifted))]
    moving = [part / np.sqrt((part**2).mean()) for part in moving]  # the size of the other parts differs
    assert_same_but_for_signs(*moving, atol=1e-3)
    np.testing.assert_allclose(one.apply(plain)[:, PARTS[2] :], one.apply(shifted)[:, PARTS[2] :], atol=1e-2)


@budget(max_examples=25, deadline=None)
@given(arrays(np.float64, (PEOPLE, 1), elements=st.floats(-20, 20, width=16)).filter(lambda x: np.ptp(x) > 0.1))
def test_the_main_difference_between_people_is_in_no_part_of_the_face(amounts: np.ndarray) -> None:
    """People who differ along one line, by whatever amounts: expressions come out as if all were one person."""
    line = np.random.default_rng(7).normal(0, 1, (1, FACE))
    near, far = made(line * np.linspace(-1, 1, PEOPLE)[:, None]), made(line * amounts)
    one, other = fitted(near).apply(near), fitted(far).apply(far)
    assert_same_but_for_signs(one, other, atol=1e-3)
    face = other[:, KEPT:].reshape(PEOPLE, TAKES, -1)
    np.testing.assert_allclose(face, np.broadcast_to(face[:1], face.shape), atol=1e-2)


def test_within_a_person_every_direction_of_the_face_has_the_same_size() -> None:
    rows = made()
    face = fitted(rows).apply(rows)[:, PARTS[1] : PARTS[2]]
    inner = face - np.stack([face[name == WHO].mean(0) for name in WHO])
    covariance = inner.T @ inner / len(inner)
    np.testing.assert_allclose(covariance / covariance[0, 0], np.eye(FACE - 1), atol=1e-3)


def test_the_map_is_linear_and_the_same_each_time() -> None:
    rows = made()
    found = fitted(rows)
    a, b = rows[:10], rows[10:20]
    np.testing.assert_allclose(found.apply((a + b) / 2), (found.apply(a) + found.apply(b)) / 2, atol=1e-4)
    np.testing.assert_array_equal(found.reduce, fitted(rows).reduce)
    np.testing.assert_array_equal(principal_map(rows, 3, 0).reduce, principal_map(rows, 3, 0).reduce)


def test_principal_directions_are_those_of_the_standardised_rows() -> None:
    rows = made()
    found = principal_map(rows, 4, seed=0)
    expected = PCA(4, svd_solver="full").fit_transform((rows - rows.mean(0)) / (rows.std(0) + 1e-3))
    assert_same_but_for_signs(found.apply(rows), expected / np.sqrt((expected**2).mean()), atol=1e-3)


def test_clips_of_one_stretch_have_no_slope_and_columns_without_spread_do_no_harm() -> None:
    rows = made()
    rows[:, 2] = 0.5
    rows[:, VOICE:] = np.tile(rows[:, VOICE : VOICE + FACE], (1, 3))
    found = fitted(rows)
    assert found.reduce.shape[1] == PARTS[2]  # voice and face alone
    assert np.isfinite(found.apply(rows)).all() and np.isfinite(found.apply(rows + 1)).all()


def test_rows_that_cannot_be_mapped_are_said() -> None:
    rows = made()
    with pytest.raises(ManifestError, match=r"blocks 8 \+ 6 \+ 6 \+ 6 = 26 columns, but the array has 25"):
        within_person_map(rows, WHO, (8, FACE, FACE, FACE), KEPT)
    with pytest.raises(ManifestError, match="nobody's face vectors differ between clips"):
        within_person_map(rows, np.array([f"clip{n}" for n in range(len(rows))]), BLOCKS, KEPT)
