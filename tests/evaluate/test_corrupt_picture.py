"""Damage to pictures and words: exact shares, known sizes, nothing at strength zero."""

from __future__ import annotations

from collections import Counter

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from emotion_llama.errors import UsageError
from emotion_llama.evaluate.robustness.corrupt.picture import blur, drop_frames, dropped_frames, low_light, occlude
from emotion_llama.evaluate.robustness.corrupt.words import FREQUENT, asr_errors, similar_word, split_words, vocabulary


def frames(count: int, height: int = 96, width: int = 128) -> list[NDArray[np.uint8]]:
    rng = np.random.default_rng(0)
    small = rng.integers(0, 255, (count, 6, 8, 3), dtype=np.uint8)
    return [cv2.resize(one, (width, height), interpolation=cv2.INTER_CUBIC) for one in small]


def test_blur_spreads_an_edge_by_sigma_at_256_px() -> None:
    for height in (256, 512):
        edge = np.zeros((height, height, 3), np.uint8)
        edge[:, height // 2 :] = 255
        blurred = next(blur([edge], 4.0))[height // 2, :, 0].astype(float) / 255
        # the 16 % and 84 % points of a blurred edge lie one sigma from it
        sigma_px = (np.searchsorted(blurred, 0.841) - np.searchsorted(blurred, 0.159)) / 2
        assert sigma_px == pytest.approx(4.0 * height / 256, abs=0.6)


def test_no_blur_is_no_change() -> None:
    one = frames(1)
    np.testing.assert_array_equal(next(blur(one, 0.0)), one[0])


def test_low_light_is_darker_by_half_the_stops_and_noisier() -> None:
    grey = np.full((200, 200, 3), 128, np.uint8)
    noise = []
    for stops in (0.0, 2.0, 4.0, 6.0):
        dark = next(low_light([grey], stops, 1)).astype(float)
        linear = (dark / 255) ** 2.2
        wanted = (128 / 255) ** 2.2 * 2 ** (-stops / 2)
        assert linear.mean() == pytest.approx(wanted, rel=0.06)
        noise.append(linear.std() / linear.mean())
    assert noise == sorted(noise)
    # photon and read noise of 4000 electrons a white pixel, 4 stops down
    electrons = 4000 * (128 / 255) ** 2.2 / 16
    assert noise[2] == pytest.approx(np.sqrt(electrons + 36) / electrons, rel=0.1)


def test_low_light_differs_from_frame_to_frame_and_repeats_with_its_seed() -> None:
    still = [np.full((20, 20, 3), 90, np.uint8)] * 2
    one, other = low_light(still, 4.0, 3)
    assert (one != other).any()
    np.testing.assert_array_equal(one, next(low_light(still, 4.0, 3)))


@settings(max_examples=30, deadline=None)
@given(count=st.integers(1, 200), share=st.floats(0, 0.95), seed=st.integers(0, 9))
def test_the_share_of_lost_frames_is_exact(count: int, share: float, seed: int) -> None:
    lost = dropped_frames(count, share, seed)
    assert len(lost) == count
    assert lost.sum() == min(round(share * count), count - 1)
    assert not lost[0]


def test_lost_frames_show_the_last_one_that_came() -> None:
    numbered = [np.full((2, 2, 3), number, np.uint8) for number in range(6)]
    lost = np.array([False, True, False, True, True, False])
    assert [int(rgb[0, 0, 0]) for rgb in drop_frames(numbered, lost)] == [0, 0, 2, 2, 2, 5]


@pytest.mark.parametrize(("half", "rows"), [("lower", (60, 80)), ("upper", (20, 40))])
def test_half_of_a_half_of_the_face_is_covered(half: str, rows: tuple[int, int]) -> None:
    picture = np.full((96, 128, 3), 7, np.uint8)
    notes: list[str] = []
    covered = next(occlude([picture], 2 / 3, half, lambda rgb: (30.0, 20.0, 70.0, 80.0), notes))  # type: ignore[arg-type]
    grey = (covered == 128).all(axis=2)
    assert grey[rows[0] : rows[1], 30:70].all()
    assert grey.sum() == 20 * 40
    assert notes == []
    assert (picture == 7).all()


def test_a_face_that_is_lost_stays_covered_and_one_never_found_is_told() -> None:
    faces = iter([(10.0, 10.0, 30.0, 30.0), None, None])
    covered = list(occlude(frames(3), 1.0, "lower", lambda rgb: next(faces), notes := []))
    assert all((rgb[20:30, 10:30] == 128).all() for rgb in covered)
    assert notes == []
    centred = list(occlude(frames(2), 1.0, "upper", lambda rgb: None, notes))
    assert (centred[0][24:48, 40:88] == 128).all()
    assert notes == ["the box covers the picture's centre in 2 of 2 frames: no face was found"]
    list(occlude(frames(1), 1.0, "upper", None, notes))
    assert "no face detector" in notes[1]


def test_a_box_that_leaves_the_picture_is_cut() -> None:
    covered = next(occlude(frames(1), 1.0, "lower", lambda rgb: (-20.0, -20.0, 500.0, 500.0)))
    assert covered.shape == (96, 128, 3)


def edit_distance(said: tuple[str, ...], heard: tuple[str, ...]) -> int:
    row = list(range(len(heard) + 1))
    for number, word in enumerate(said, start=1):
        before, row[0] = row[0], number
        for place, other in enumerate(heard, start=1):
            before, row[place] = row[place], min(row[place] + 1, row[place - 1] + 1, before + (word != other))
    return row[-1]


@pytest.mark.parametrize("rate", [0.1, 0.2, 0.4])
def test_the_word_error_rate_is_reached_over_many_short_texts(rate: float) -> None:
    rng = np.random.default_rng(1)
    texts = [" ".join(rng.choice(FREQUENT, 7)) for _ in range(400)]
    errors = sum(
        edit_distance(split_words(text), split_words(asr_errors(text, rate, seed))) for seed, text in enumerate(texts)
    )
    assert errors / (7 * len(texts)) == pytest.approx(rate, abs=0.015)


def test_kinds_of_errors_come_in_their_shares() -> None:
    text = " ".join(f"w{number}" for number in range(4000))
    heard = asr_errors(text, 0.2, 3).split()
    left = Counter(word for word in heard if word.startswith("w") and word[1:].isdigit())
    lost = 4000 - len(left)  # substituted or deleted
    assert lost / 800 == pytest.approx(0.85, abs=0.04)
    assert (len(heard) - 4000) / 800 == pytest.approx(0.15 - 0.25, abs=0.04)


def test_errors_follow_from_the_seed_and_grow_with_the_rate() -> None:
    text = "we never said that she could come with us to the party"
    assert asr_errors(text, 0.4, 7) == asr_errors(text, 0.4, 7)
    assert asr_errors(text, 0.4, 7) != asr_errors(text, 0.4, 8)
    assert asr_errors(text, 0.0, 7) == text
    assert asr_errors("", 0.4, 7) == ""


def test_substitutes_sound_alike() -> None:
    rng = np.random.default_rng(0)
    assert similar_word("their", ("banana", "there", "wolf", "their", "cup"), rng) == "there"
    assert similar_word("Night", ("knight", "pool", "green"), rng) == "knight"


def test_text_without_spaces_is_damaged_by_characters() -> None:
    text = "我今天真的非常高兴见到你"
    words = vocabulary([text, "他昨天很难过"])
    heard = asr_errors(text, 0.5, 1, words)
    assert " " not in heard
    assert 3 <= edit_distance(split_words(text), split_words(heard)) <= 6
    assert set(heard) <= set(words)


def test_wrong_rates_and_empty_vocabularies_are_refused() -> None:
    with pytest.raises(UsageError, match="between 0 and 1"):
        asr_errors("a b", 10, 0)
    with pytest.raises(UsageError, match="vocabulary"):
        similar_word("one", ("one",), np.random.default_rng(0))
