"""One draw changes sound and picture of a clip together, the same way each time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from emotion_llama.media.types import SAMPLE_RATE_HZ, Frame, Waveform
from emotion_llama.train.alteration import Altered
from emotion_llama.train.augment import AugmentSettings

USUAL: dict[str, Any] = AugmentSettings().model_dump(mode="json")


def only(part: str, change: str, **values: Any) -> dict[str, Any]:
    """Settings that make one change for certain, and no other."""
    found: dict[str, Any] = {
        side: {name: {**how, "probability": 0.0} for name, how in USUAL[side].items()} for side in ("sound", "picture")
    }
    found[part][change] = {**found[part][change], "probability": 1.0, **values}
    return found


def tone(seconds: float = 1.0) -> Waveform:
    at_s = np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    return Waveform((0.1 * np.sin(2 * np.pi * 200 * at_s)).astype(np.float32))


def frames(count: int = 8) -> list[Frame]:
    rng = np.random.default_rng(0)
    return [Frame(rng.integers(0, 256, (24, 32, 3), dtype=np.uint8), n, n / 10) for n in range(count)]


def test_a_key_gives_the_same_change_and_another_key_another() -> None:
    def copy(key: str) -> tuple[bytes, bytes]:
        alter = Altered.draw(USUAL, key)
        return alter.sound(tone()).samples.tobytes(), b"".join(f.rgb.tobytes() for f in alter.frames(frames()))

    assert copy("0-a.mp4-1") == copy("0-a.mp4-1")
    copies = [copy(f"0-a.mp4-{number}") for number in range(1, 9)] + [copy("1-a.mp4-1"), copy("0-b.mp4-1")]
    assert len({sound for sound, _ in copies}) == len(copies)
    assert len({picture for _, picture in copies}) > len(copies) - 3


def test_picture_and_sound_keep_pace() -> None:
    alter = Altered.draw(only("sound", "speed", factor=[1.25, 1.25]), "k")
    assert alter.sound(tone(2.0)).duration_s == pytest.approx(1.6, abs=0.02)
    seen = list(alter.frames(frames()))
    assert [f.time_s for f in seen] == pytest.approx([n / 12.5 for n in range(8)])
    for altered, original in zip(seen, frames(), strict=True):
        assert alter.original_s(altered.time_s) == pytest.approx(original.time_s)
        np.testing.assert_array_equal(altered.rgb, original.rgb)


def test_a_part_that_is_left_alone_is_left_alone() -> None:
    alter = Altered.draw({**USUAL, "sound": None}, "k")
    np.testing.assert_array_equal(alter.sound(tone()).samples, tone().samples)
    assert alter.original_s(3.0) == 3.0
    alter = Altered.draw({**USUAL, "picture": None}, "k")
    for altered, original in zip(alter.frames(frames()), frames(), strict=True):
        np.testing.assert_array_equal(altered.rgb, original.rgb)


def test_one_frame_looked_at_again_is_never_lost() -> None:
    for key in range(30):
        alter = Altered.draw(only("picture", "drop", share=[0.9, 0.9]), str(key))
        assert len(list(alter.frames(frames()[:1]))) == 1
