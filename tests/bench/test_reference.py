"""The released way: the audio encoder is read again, everything else stays, and it answers what was asked."""

from __future__ import annotations

from typing import Any

import pytest

from emotion_llama.bench.reference import SETTINGS, Reference
from emotion_llama.bench.samples import CLIP_S, cuts


@pytest.mark.weights
def test_cuts_are_different_spans_of_one_length_of_both_recordings(model_name: str) -> None:
    found = cuts(20)
    assert len({one.clip for one in found}) == 20 and len({one.path for one in found}) == 2
    assert all(one.end_s - one.start_s == pytest.approx(CLIP_S) for one in found)  # type: ignore[operator]
    assert [one.clip for one in cuts(1)] == [found[0].clip]


@pytest.mark.slow  # loads the language model once more and writes a reason
@pytest.mark.weights
def test_it_answers_with_the_audio_encoder_read_again(nano: Any) -> None:
    reference = Reference.of(nano.preset, nano.reader)
    assert reference.parts.audio_encoder is not reference.parts.audio_encoder
    assert reference.parts.global_encoder is reference.parts.global_encoder
    assert reference.parts.own_audio is None and reference.parts.feature_cache is None
    (clip,) = cuts(1)
    label, happy = reference.answer(clip, "happy")
    assert label is None or label in SETTINGS.labels
    assert len(happy.split()) > 1 and happy != reference.answer(clip, "sad")[1]
