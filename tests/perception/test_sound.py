"""What lies far from all speech is taken out; everything else stays as it is, in its order."""

from __future__ import annotations

import numpy as np
import pytest

from emotion_llama.media.types import SAMPLE_RATE_HZ, Waveform
from emotion_llama.perception.sound import MARGIN_S, is_silent, near_speech


def ramp(seconds: float, start_s: float = 0.0) -> Waveform:
    """Every sample says where it came from."""
    return Waveform(np.arange(round(seconds * SAMPLE_RATE_HZ), dtype=np.float32), start_s)


def kept_s(waveform: Waveform) -> list[float]:
    """Start and end of each stretch that was kept, seconds of the ramp."""
    samples = waveform.samples
    cuts = np.flatnonzero(np.diff(samples) != 1) + 1
    ends = [sample for part in np.split(samples, cuts) for sample in (part[0], part[-1] + 1)]
    return [float(sample) / SAMPLE_RATE_HZ for sample in ends]


@pytest.mark.parametrize(
    ("spans", "kept", "start_s"),
    [
        (((4.0, 6.0),), [2.5, 7.5], 2.5),
        (((0.5, 2.0),), [0.0, 3.5], 0.0),
        (((1.0, 2.0), (4.0, 5.0)), [0.0, 6.5], 0.0),  # a pause of 2 s is part of speaking
        (((1.0, 2.0), (8.0, 9.0)), [0.0, 3.5, 6.5, 10.0], 0.0),
    ],
)
def test_what_is_far_from_speech_goes(
    spans: tuple[tuple[float, float], ...], kept: list[float], start_s: float
) -> None:
    assert MARGIN_S == 1.5
    found = near_speech(ramp(10.0), spans)
    assert kept_s(found) == pytest.approx(kept) and found.start_s == pytest.approx(start_s)


def test_times_are_those_of_the_recording() -> None:
    found = near_speech(ramp(10.0, start_s=100.0), ((104.0, 106.0),))
    assert kept_s(found) == pytest.approx([2.5, 7.5]) and found.start_s == pytest.approx(102.5)


@pytest.mark.parametrize("spans", [(), ((0.0, 3.0),), ((50.0, 60.0),)])
def test_without_speech_and_close_to_it_nothing_changes(spans: tuple[tuple[float, float], ...]) -> None:
    sound = ramp(3.0)
    assert near_speech(sound, spans) is sound


def test_silence_is_told_by_its_loudest_moment() -> None:
    quiet = np.zeros(SAMPLE_RATE_HZ, np.float32)
    assert is_silent(Waveform(quiet)) and is_silent(Waveform(quiet[:0]))
    quiet[8000:8800] = 0.01
    assert not is_silent(Waveform(quiet))
