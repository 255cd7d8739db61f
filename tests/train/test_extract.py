"""Extraction from tiny made data sets, with encoders and a face reader that give known numbers."""

from __future__ import annotations

import json
import wave
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import cv2
import numpy as np
import pytest

from emotion_llama.analyze.parts import Parts
from emotion_llama.clip import Clip
from emotion_llama.errors import ManifestError, MediaError
from emotion_llama.measurements import (
    ACTION_UNITS,
    ActionUnitSeries,
    FaceBox,
    FaceMeasures,
    FaceSample,
    FaceTrack,
)
from emotion_llama.media.types import SAMPLE_RATE_HZ, Frame, Waveform
from emotion_llama.train.config import NanoTraining
from emotion_llama.train.extract import _face, _voice, augment, pictures, voices

Settings = Callable[..., NanoTraining]
NO_FACE = 7
"""A picture of this one gray level has no face, for the reader below."""


@dataclass
class Ears:
    """Loudness and length as features; counts its calls."""

    calls: list[int] = field(default_factory=list)

    def features(self, waveform: Waveform) -> dict[str, np.ndarray]:
        self.calls.append(len(waveform.samples))
        level = np.float32(np.sqrt(np.mean(waveform.samples**2)))
        return {
            "audio": np.full((4, 8), level, np.float32),
            "audio_layers": np.full((1, 24), len(waveform.samples), np.float32),
        }


class Eyes:
    """A face that fills the frame, unless the frame is of level `NO_FACE`; its brightness is every number."""

    def read(self, frames: list[Frame]) -> FaceMeasures:
        (frame,) = frames
        assert frame.rgb.shape[2] == 3 and np.ptp(frame.rgb.astype(int), axis=2).max() == 0, "pictures must be gray"
        level = np.float32(np.median(frame.rgb))
        if level == NO_FACE:
            return FaceMeasures(1, (), None, None, None, None, None)
        zeros = np.zeros((468, 3), np.float32)
        box = FaceBox(np.array([0, 0, 9, 9], np.float32), np.zeros((6, 2), np.float32), 1.0)
        crop = np.full((160, 160, 3), int(level), np.uint8)
        units = np.full((1, len(ACTION_UNITS)), level / 255, np.float32)
        series = ActionUnitSeries(
            np.zeros(1, np.float32), units, np.ones_like(units), np.zeros((1, 3), np.float32), "population"
        )
        expressions = np.full((1, 7), 1 / 7, np.float32)
        features = np.full((1, 128), level, np.float32)
        track = FaceTrack(0, (FaceSample(0, 0.0, box, zeros, 1.0, crop),))
        return FaceMeasures(1, (track,), 0, series, expressions, features, 0)


def fake_parts() -> tuple[Parts, Ears]:
    ears = Ears()
    made = SimpleNamespace(
        audio_encoder=ears,
        face_reader=Eyes(),
        opinion_net=lambda crops: np.full((len(crops), 7), 1 / 7, np.float32),
        global_encoder=lambda rgb: np.full((1, 16), rgb.mean(), np.float32),
    )
    return cast(Parts, made), ears


def write_wav(path: Path, seconds: float = 0.6, f0_hz: float = 200.0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    at_s = np.arange(int(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    samples = (8000 * np.sin(2 * np.pi * f0_hz * at_s)).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE_HZ)
        file.writeframes(samples.tobytes())


def speech_sets(root: Path) -> dict[str, str]:
    """A RAVDESS-style and an EmoDB-style folder with a split file each; gives the settings that name them."""
    for actor, emotion in (("02", "05"), ("05", "03"), ("04", "06")):
        write_wav(root / "ravdess" / f"Actor_{actor}" / f"03-01-{emotion}-01-01-01-{actor}.wav")
    write_wav(root / "ravdess" / "Actor_02" / "03-02-03-01-01-01-02.wav")  # song: not read
    for name in ("03a01Fa", "09a02Wb", "10b01Ta"):
        write_wav(root / "emodb" / "wav" / f"{name}.wav")
    splits = {
        "ravdess": {"train": ["Actor_02"], "validation": ["Actor_04"], "test": ["Actor_05"]},
        "emodb": {"train": ["E03"], "validation": ["E09"], "test": ["E10"]},
    }
    for name, sides in splits.items():
        (root / f"{name}.json").write_text(json.dumps({"name": name, **sides}), encoding="utf-8")
    return {name: str(root / f"{name}.json") for name in splits}


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("EMOTION_LLAMA_CACHE", str(tmp_path / "cache"))
    yield tmp_path / "cache"


def test_speech_of_two_corpora_by_their_splits(tmp_path: Path, settings: Settings, own_cache: Path) -> None:
    config = settings(splits=speech_sets(tmp_path), voice_augmentations=2)
    parts, ears = fake_parts()
    found = voices(config, tmp_path, parts)
    told = {e.id: (e.corpus, e.emotion, e.person, e.side) for e in found if "#" not in e.id}
    assert told == {
        "Actor_02/03-01-05-01-01-01-02.wav": ("ravdess", "angry", "Actor_02", "train"),
        "Actor_04/03-01-06-01-01-01-04.wav": ("ravdess", "fear", "Actor_04", "validation"),
        "Actor_05/03-01-03-01-01-01-05.wav": ("ravdess", "happy", "Actor_05", "test"),
        "wav/03a01Fa.wav": ("emodb", "happy", "E03", "train"),
        "wav/09a02Wb.wav": ("emodb", "angry", "E09", "validation"),
        "wav/10b01Ta.wav": ("emodb", "sad", "E10", "test"),
    }
    copies = [e for e in found if "#" in e.id]
    assert {e.side for e in copies} == {"train"} and len(copies) == 4  # changed copies of training people only
    assert {e.id.split("#")[0]: e.person for e in copies} == {
        "Actor_02/03-01-05-01-01-01-02.wav": "Actor_02",
        "wav/03a01Fa.wav": "E03",
    }
    assert found[0].transcript == "Kids are talking by the door."
    for e in found:
        assert e.arrays["audio"].shape == (4, 8) and e.arrays["audio_layers"].shape == (24,)
        assert e.observations and any(o.channel == "voice" for o in e.observations)
    heard = len(ears.calls)
    assert [e.id for e in voices(config, tmp_path, parts)] == [e.id for e in found]
    assert len(ears.calls) == heard  # the second time comes from the cache
    assert sorted(p.suffix for p in (own_cache / "training").iterdir()) == [".npz", ".npz"]


def test_a_speaker_outside_the_split_is_refused(tmp_path: Path, settings: Settings) -> None:
    config = settings(splits=speech_sets(tmp_path))
    write_wav(tmp_path / "ravdess" / "Actor_24" / "03-01-05-01-01-01-24.wav")
    with pytest.raises(ManifestError, match="Actor_24"):
        voices(config, tmp_path, fake_parts()[0])


def test_a_recording_without_sound_is_named(tmp_path: Path, settings: Settings) -> None:
    path = tmp_path / "still.png"
    cv2.imwrite(str(path), np.full((32, 32), 90, np.uint8))
    clip = Clip(clip="still.png", path=path, emotion="happy", speaker="A")
    with pytest.raises(MediaError, match=r"still\.png"):
        list(_voice(clip, "train", "made", fake_parts()[0], settings()))


def fer2013(folder: Path) -> None:
    """Four training pictures a class of "happy" and "sad", two for each other side; one has no face."""
    rng = np.random.default_rng(0)
    rows = [
        (label, split)
        for split, n in (("train", 4), ("val", 2), ("test", 2))
        for label in ("happy", "sad")
        for _ in range(n)
    ]
    images = np.stack([np.full((48, 48), level, np.uint8) for level in rng.permutation(200)[: len(rows)] + 20])
    images[0] = NO_FACE
    folder.mkdir(parents=True)
    label, split = (np.array(column) for column in zip(*rows, strict=True))
    np.savez(folder / "fer2013.npz", images=images, label=label, split=split)


def press(folder: Path, people: int) -> None:
    """Colour pictures of `people` persons, two each, with a manifest."""
    lines = ["file,label,split,group"]
    for number in range(2 * people):
        person, split = f"person{number // 2}", "train" if number // 2 < people - 2 else "test"
        path = folder / f"{number:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture = np.zeros((128, 128, 3), np.uint8)
        picture[..., number % 3] = 150 + number
        cv2.imwrite(str(path), picture)
        lines.append(f"{path.name},{'anger' if number % 2 else 'happiness'},{split},{person}")
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_pictures_become_gray_examples_with_people_on_one_side(tmp_path: Path, settings: Settings) -> None:
    fer2013(tmp_path / "fer2013")
    press(tmp_path / "pictures", people=30)
    config = settings(fer2013_per_class=4)
    found = pictures(config, tmp_path, fake_parts()[0])
    challenge = [e for e in found if e.corpus == "fer2013"]
    assert len(challenge) == 7 + 2 + 2  # one training picture shows no face; a quarter of 4 a class elsewhere
    assert "fer2013/train/0" not in {e.id for e in found}
    shown = [e for e in found if e.corpus == "pictures"]
    assert len(shown) == 60 and {e.emotion for e in shown} == {"angry", "happy"}
    sides = {e.person: {other.side for other in shown if other.person == e.person} for e in shown}
    assert all(len(on) == 1 for on in sides.values())
    assert {e.side for e in shown} == {"train", "validation", "test"}
    assert {e.person for e in shown if e.side == "test"} == {"person28", "person29"}
    for e in found:
        shapes = {name: rows.shape for name, rows in e.arrays.items()}
        assert shapes == {"global": (1, 16), "local": (135,), "head_row": (160,), "action_units": (18,)}
        assert e.transcript is None


def test_pictures_without_a_person_are_refused(tmp_path: Path, settings: Settings) -> None:
    fer2013(tmp_path / "fer2013")
    for split in ("train", "test"):
        path = tmp_path / "pictures" / split / "anger" / "1.png"
        path.parent.mkdir(parents=True)
        cv2.imwrite(str(path), np.full((64, 64), 90, np.uint8))
    with pytest.raises(ManifestError, match=r"anger/1\.png.*group"):
        pictures(settings(fer2013_per_class=4), tmp_path, fake_parts()[0])


@pytest.mark.parametrize("side_px", [48, 127, 128, 400])
def test_small_and_large_pictures_are_framed_with_a_border(side_px: int) -> None:
    parts, _ = fake_parts()
    sizes: list[Any] = []
    spying = SimpleNamespace(
        **vars(parts) | {"global_encoder": lambda rgb: sizes.append(rgb.shape) or np.zeros((1, 16))}
    )
    example = _face(np.full((side_px, side_px), 90, np.uint8), "made/1", "joy", "A", "train", cast(Parts, spying))
    assert example is not None and example.emotion == "happy" and example.corpus == "made"
    inner = 128 if side_px < 128 else 256  # px; a border of 64 on each side
    assert sizes == [(inner + 128, inner + 128, 3)]


def test_changed_copies_keep_level_and_noise_within_bounds() -> None:
    at_s = np.arange(3 * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    clean = Waveform((0.1 * np.sin(2 * np.pi * 200 * at_s)).astype(np.float32), 1.5)
    for seed in range(30):
        copy = augment(clean, np.random.default_rng(seed))
        assert copy.samples.dtype == np.float32 and np.abs(copy.samples).max() <= 1 and copy.start_s == 1.5
        assert 2.2 <= copy.duration_s <= 3.0
        power = np.abs(np.fft.rfft(copy.samples * np.hanning(len(copy.samples)))) ** 2
        hz = np.fft.rfftfreq(len(copy.samples), 1 / SAMPLE_RATE_HZ)
        tone = np.abs(hz - 200) < 10
        ratio_db = 10 * np.log10(power[tone].sum() / power[~tone].sum())
        assert 9 <= ratio_db <= 31
        gain_db = 20 * np.log10(np.std(copy.samples) / np.std(clean.samples))
        assert -8.1 <= gain_db <= 4.6  # the noise adds up to 0.4 dB
    again = augment(clean, np.random.default_rng(0)), augment(clean, np.random.default_rng(0))
    np.testing.assert_array_equal(again[0].samples, again[1].samples)


def test_short_recordings_are_not_cut() -> None:
    short = Waveform(np.full(SAMPLE_RATE_HZ, 0.1, np.float32))
    assert all(len(augment(short, np.random.default_rng(s)).samples) == SAMPLE_RATE_HZ for s in range(5))
