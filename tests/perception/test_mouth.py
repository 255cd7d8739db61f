from __future__ import annotations

import numpy as np

from emotion_llama.measurements import FaceTrack
from emotion_llama.perception.mouth import LEADS_S, STEP_S, Mouth, agreements, mouth_of, seen
from tests.perception.talking import syllables, talker

TIME_S = np.arange(0.0, 4.0, STEP_S)
EVERYWHERE = np.ones(len(TIME_S), dtype=bool)
WORDS = syllables(1, [(0.0, 4.5)])


def mouth(rate_hz: float) -> Mouth:
    """A mouth that says `WORDS`."""
    time_s = np.arange(0.0, 4.0, 1 / rate_hz)
    return Mouth(time_s, 0.15 * WORDS(time_s), np.zeros(len(time_s)), 0.01)


def test_the_mouth_is_measured_in_eye_distances_whatever_the_size() -> None:
    track = talker(0, syllables(1, [(0.0, 3.0)]), 3.0)
    near = FaceTrack(0, tuple(type(s)(**{**vars(s), "mesh_px": s.mesh_px * 3}) for s in track.samples))
    assert np.allclose(mouth_of(track).opening, mouth_of(near).opening, atol=1e-3)
    assert 0.05 < np.ptp(mouth_of(track).opening) < 0.15 * 1.5  # syllables between frames are blurred
    assert mouth_of(track).rate.mean() > 4 * mouth_of(track).tremble


def test_agreement_is_greatest_at_the_lead_that_there_is() -> None:
    for lead_s in (0.0, 0.08, 0.16):
        found = agreements(mouth(25), TIME_S, WORDS(TIME_S - lead_s), EVERYWHERE).mean(axis=1)
        assert LEADS_S[int(found.argmax())] == lead_s
        assert found.max() > 0.6


def test_agreement_does_not_depend_on_sizes_and_is_small_for_other_words() -> None:
    own = agreements(mouth(25), TIME_S, WORDS(TIME_S), EVERYWHERE)
    assert np.allclose(own, agreements(mouth(25), TIME_S, 0.01 * WORDS(TIME_S) + 0.3, EVERYWHERE), atol=1e-6)
    others = [
        agreements(mouth(25), TIME_S, syllables(seed, [(0.1 * (seed % 3), 4.5)])(TIME_S), EVERYWHERE)
        for seed in range(2, 12)
    ]
    at = LEADS_S.index(0.0)
    assert np.mean([other[at].mean() for other in others]) < own[at].mean() - 0.2


def test_agreement_of_few_frames_with_a_sound_of_more_detail() -> None:
    assert agreements(mouth(8), TIME_S, WORDS(TIME_S), EVERYWHERE)[LEADS_S.index(0.0)].mean() > 0.6


def test_agreement_is_nothing_where_nothing_changes_or_nobody_is_seen() -> None:
    assert not agreements(mouth(25), TIME_S, np.full(len(TIME_S), 0.5), EVERYWHERE).any()
    assert not agreements(mouth(25), TIME_S, WORDS(TIME_S), ~EVERYWHERE).any()
    assert not agreements(mouth(25), TIME_S + 60, WORDS(TIME_S), EVERYWHERE).any()


def test_seen_is_near_a_sample() -> None:
    assert seen(np.array([1.0, 1.1, 2.0]), np.array([0.8, 0.9, 1.05, 1.5, 2.1])).tolist() == [
        False,
        True,
        True,
        False,
        True,
    ]
