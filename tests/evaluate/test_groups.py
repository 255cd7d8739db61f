"""Properties to slice by: bands, and what is measured of a recording."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emotion_llama.clip import Clip
from emotion_llama.errors import MediaError
from emotion_llama.evaluate.groups import EDGES, bands, group_values, measure_groups, snr_db, with_groups
from emotion_llama.evaluate.records import Problem

RATE_HZ = 16_000


def clips_with(name: str, values: list[str | float | None]) -> list[Clip]:
    return [
        Clip(clip=str(number), groups={} if value is None else {name: value}) for number, value in enumerate(values)
    ]


@pytest.mark.parametrize(
    ("name", "values", "labels"),
    [
        ("age", [29.0, 30.0, 44.0, 45.0, 59.0, 60.0, 91.0], ["<30", "30–44", "30–44", "45–59", "45–59", "60+", "60+"]),
        ("duration_s", [0.3, 2.0, 3.99, 4.0, 8.0], ["<2", "2–4", "2–4", "4–8", "8+"]),
        ("snr_db", [-3.0, 0.0, 12.5, 20.0], ["<0", "0–10", "10–20", "20+"]),
        ("face_px", [63.9, 64.0, 128.0, 256.0], ["<64", "64–128", "128–256", "256+"]),
        ("sex", ["female", None, "male"], ["female", None, "male"]),
        ("take", [1.0, 2.0, None, 1.0], ["1", "2", None, "1"]),
        ("age", [31.0, "unknown", None], ["31", "unknown", None]),
        ("age", [None, None], [None, None]),
    ],
)
def test_values_of_known_properties(name: str, values: list[str | float | None], labels: list[str | None]) -> None:
    assert group_values(clips_with(name, values), name) == labels


def test_an_own_number_is_cut_into_thirds() -> None:
    labels = group_values(clips_with("height_cm", [float(value) for value in range(150, 210)]), "height_cm")
    assert [labels.count(label) for label in ("<170", "170–189", "189+")] == [20, 19, 21]


@given(values=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40))
@settings(max_examples=50, deadline=None)
def test_every_number_has_one_band_and_bands_are_in_order(values: list[float]) -> None:
    for name in (*EDGES, "anything"):
        found = bands(name, values)
        assert len(found.labels) == len(found.edges) + 1 <= 4
        assert list(found.edges) == sorted(set(found.edges))
        places = [found.labels.index(found.label(value)) for value in sorted(values)]
        assert places == sorted(places)


def noisy_speech(ratio_db: float, pause_s: float = 1.0) -> np.ndarray:
    """One second of "speech" at a known power between pauses, white noise everywhere."""
    rng = np.random.default_rng(0)
    pause = np.zeros(round(pause_s * RATE_HZ))
    speech = np.sin(np.arange(RATE_HZ) * 0.2) * np.sqrt(2)  # power 1
    noise = rng.normal(size=RATE_HZ + 2 * len(pause)) * 10 ** (-ratio_db / 20)
    return (0.1 * (np.concatenate([pause, speech, pause]) + noise)).astype(np.float32)


@pytest.mark.parametrize("ratio_db", [40.0, 20.0, 6.0, 0.0, -6.0])
def test_signal_to_noise_of_a_known_mixture(ratio_db: float) -> None:
    assert snr_db(noisy_speech(ratio_db), [(1.0, 2.0)], RATE_HZ) == pytest.approx(ratio_db, abs=0.4)


def test_signal_to_noise_does_not_depend_on_gain_and_ignores_digital_silence() -> None:
    sound = noisy_speech(15.0)
    filled = np.concatenate([np.zeros(2 * RATE_HZ, np.float32), sound])
    plain = snr_db(sound, [(1.0, 2.0)], RATE_HZ)
    assert snr_db(0.3 * sound, [(1.0, 2.0)], RATE_HZ) == pytest.approx(plain, abs=0.01)
    assert snr_db(filled, [(3.0, 4.0)], RATE_HZ) == pytest.approx(plain, abs=0.01)


def test_signal_to_noise_without_pauses_or_speech() -> None:
    sound = noisy_speech(15.0, pause_s=0.05)
    found = snr_db(sound, [(0.05, 1.05)], RATE_HZ)
    assert found is not None and found < 15.0
    assert snr_db(sound, [], RATE_HZ) is None
    assert snr_db(np.zeros(RATE_HZ, np.float32), [(0.0, 1.0)], RATE_HZ) is None
    assert snr_db(np.zeros(0, np.float32), [(0.0, 1.0)], RATE_HZ) is None


def test_measures_of_a_recording_without_speech_or_face(make_clip: Callable[..., Path]) -> None:
    path = make_clip("plain.mp4", seconds=2.0)
    assert measure_groups(Clip(clip="a", path=path)) == {"duration_s": pytest.approx(2.0, abs=0.15)}
    cut = measure_groups(Clip(clip="a", path=path, start_s=0.5, end_s=1.0))
    assert cut == {"duration_s": pytest.approx(0.5)}
    assert measure_groups(Clip(clip="a", transcript="only words")) == {}


def test_given_properties_are_kept_and_clips_stay_in_order(make_clip: Callable[..., Path]) -> None:
    clips = [
        Clip(clip="a", path=make_clip("a.wav", seconds=1.0, size=None), groups={"duration_s": 9.0, "sex": "male"}),
        Clip(clip="b", path=make_clip("b.wav", seconds=1.5, size=None)),
    ]
    found = with_groups(clips)
    assert [clip.clip for clip in found] == ["a", "b"]
    assert found[0].groups == {"duration_s": 9.0, "sex": "male"}
    assert found[1].groups["duration_s"] == pytest.approx(1.5, abs=0.05)
    assert clips[1].groups == {}


def test_an_unreadable_recording_is_named(tmp_path: Path) -> None:
    gone = Clip(clip="gone", path=tmp_path / "gone.wav", groups={"sex": "male"})
    with pytest.raises(MediaError, match="no such file"):
        with_groups([gone])
    problems: list[Problem] = []
    assert with_groups([gone], problems) == [gone]
    assert [(one.kind, one.clip) for one in problems] == [("unreadable", "gone")]
    assert "no such file" in problems[0].message


@pytest.mark.weights
def test_face_height_is_that_of_the_recording(faces_picture: Path) -> None:
    from PIL import Image

    whole = measure_groups(Clip(clip="a", path=faces_picture))["face_px"]
    with Image.open(faces_picture) as picture:
        height_px = picture.height
    assert 20 < whole < height_px
