"""Settings of augmentation: read from YAML, checked, off where they say off."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from pydantic import ValidationError

from emotion_llama.errors import UsageError
from emotion_llama.train.augment import (
    AugmentSettings,
    PictureDraw,
    PictureSettings,
    SoundDraw,
    SoundSettings,
    draw_picture,
    draw_sound,
)


def never() -> AugmentSettings:
    return AugmentSettings.model_validate(
        {
            "sound": {name: {"probability": 0} for name in SoundSettings.model_fields},
            "picture": {name: {"probability": 0} for name in PictureSettings.model_fields},
        }
    )


def test_settings_come_back_from_their_own_yaml(tmp_path: Path) -> None:
    asked = AugmentSettings.model_validate({"sound": {"pitch": {"semitones": [-1, 0.5]}}, "picture": None})
    path = tmp_path / "augment.yaml"
    path.write_text(yaml.safe_dump(asked.model_dump(mode="json")), encoding="utf-8")
    assert AugmentSettings.from_yaml(path) == asked
    assert asked.sound is not None and asked.sound.pitch.semitones == (-1, 0.5) and asked.picture is None


def test_defaults_keep_the_emotion() -> None:
    sound = AugmentSettings().sound
    assert sound is not None
    assert max(map(abs, sound.pitch.semitones)) <= 1.5
    assert sound.speed.factor[0] >= 0.9 and sound.speed.factor[1] <= 1.1


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"sound": {"noise": {"snr_db": [30, 5]}}}, "write the smaller first"),
        ({"sound": {"noise": {"snr_db": [0, float("nan")]}}}, "found [0.0, nan]"),
        ({"sound": {"noise": {"kinds": []}}}, "kinds"),
        ({"sound": {"noise": {"kinds": ["brown"]}}}, "babble"),
        ({"sound": {"pitch": {"semitones": [-12, 12]}}}, "between -6 and 6"),
        ({"sound": {"pich": {}}}, "did you mean 'pitch'"),
        ({"picture": {"flip": {"probability": 1.5}}}, "less than or equal to 1"),
        ({"picture": {"drop": {"share": [0, 1]}}}, "between 0 and 0.95"),
    ],
)
def test_wrong_settings_say_what_was_expected(values: dict[str, object], words: str, tmp_path: Path) -> None:
    with pytest.raises(ValidationError):
        AugmentSettings.model_validate(values)
    path = tmp_path / "augment.yaml"
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    with pytest.raises(UsageError, match=r"augment\.yaml") as caught:
        AugmentSettings.from_yaml(path)
    assert words in str(caught.value)


def test_nothing_is_drawn_where_nothing_is_asked() -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        sound, picture = draw_sound(never(), rng), draw_picture(never(), rng)
        assert sound == SoundDraw(seed=sound.seed, keep_s=sound.keep_s)
        assert picture == PictureDraw(seed=picture.seed)
    off = AugmentSettings(sound=None, picture=None)
    assert draw_sound(off, rng) == SoundDraw() and draw_picture(off, rng) == PictureDraw()


def test_draws_hit_their_probabilities_and_stay_in_their_ranges() -> None:
    settings, rng = AugmentSettings(), np.random.default_rng(3)
    assert settings.sound is not None and settings.picture is not None
    sounds = [draw_sound(settings, rng) for _ in range(2000)]
    pictures = [draw_picture(settings, rng) for _ in range(2000)]
    assert len({draw.seed for draw in (*sounds, *pictures)}) > 3990  # each clip its own noise, each its own lost frames
    pitches = [draw.pitch_semitones for draw in sounds if draw.pitch_semitones is not None]
    # three standard errors of a share at n = 2000 are at most .034
    assert len(pitches) / 2000 == pytest.approx(settings.sound.pitch.probability, abs=0.034)
    assert -1.5 <= min(pitches) < -1.4 and 1.4 < max(pitches) <= 1.5
    assert {draw.noise for draw in sounds} == {None, "white", "pink", "babble"}
    assert np.mean([draw.flip for draw in pictures]) == pytest.approx(settings.picture.flip.probability, abs=0.034)
    assert np.mean([draw.zoom is not None for draw in pictures]) == pytest.approx(0.7, abs=0.034)


def test_a_changed_probability_moves_no_other_draw() -> None:
    quiet = AugmentSettings.model_validate({"sound": {"noise": {"probability": 0}}})
    for seed in range(30):
        usual = draw_sound(AugmentSettings(), np.random.default_rng(seed)).record()
        other = draw_sound(quiet, np.random.default_rng(seed)).record()
        assert other["noise"] is None and other["snr_db"] is None
        assert {**usual, "noise": None, "snr_db": None} == other


def test_records_are_plain_and_make_the_draw_again() -> None:
    rng = np.random.default_rng(8)
    for _ in range(50):
        sound, picture = draw_sound(AugmentSettings(), rng), draw_picture(AugmentSettings(), rng)
        assert SoundDraw(**sound.record()) == sound and PictureDraw(**picture.record()) == picture
        read = json.loads(json.dumps([sound.record(), picture.record()]))
        assert read[0]["seed"] == sound.seed and read[1]["zoom"] == picture.zoom
