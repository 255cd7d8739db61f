"""A profile is a whole file of one checkpoint's outputs, and a baseline is never made from the clip itself."""

from __future__ import annotations

import wave
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from emotion_llama.analyze.baseline import AUTO_S, MOST_PARTS, PART_S, Baselines, other_parts
from emotion_llama.analyze.profile import GAIN, Gathered, PersonProfile, make_profile, read_profile, save_profile
from emotion_llama.analyze.profile_command import ProfileRequest, run_profile
from emotion_llama.clip import Clip, VoiceMeasures
from emotion_llama.encoders.person import LEAST
from emotion_llama.errors import MediaError, ModelError, UsageError
from emotion_llama.perception.action_distances import neutral_actions

SHA = "ab" * 32
OUTPUTS = ("audio_mix", "local")


def gathered(name: str, value: float) -> Gathered:
    numbers = dict.fromkeys(VoiceMeasures.model_fields, value)
    voice = VoiceMeasures.model_validate({**numbers, "pause_count": 1, "pause_mean_s": None})
    features = {key: np.full((1, 3), value, np.float32) for key in (*OUTPUTS, "global")}
    return Gathered(name, f"sha of {name}", 2.0, features, voice, neutral_actions().mean + value / 1000)


def profile(count: int = 6) -> PersonProfile:
    return make_profile([gathered(f"{n}.wav", float(n)) for n in range(1, count + 1)], "nano", SHA, OUTPUTS)


def test_a_profile_comes_back_as_it_was(tmp_path: Path) -> None:
    path, made = tmp_path / "new" / "ann.profile.safetensors", profile()
    save_profile(made, path)
    found = read_profile(path, SHA)
    assert found.facts == made.facts and found.facts.clips == 6 and found.facts.seconds == 12.0
    assert set(found.features.means) == set(OUTPUTS) and found.features.counts == {"audio_mix": 6, "local": 6}
    np.testing.assert_array_equal(found.features.means["local"], np.full(3, 3.5, np.float32))
    assert found.norms.voice["f0_hz"].median == 3.5 and "pause_mean_s" not in found.norms.voice
    assert found.norms.rest is not None and made.norms.rest is not None
    np.testing.assert_array_equal(found.norms.rest, made.norms.rest)
    assert found.holds("sha of 2.wav") and not found.holds("another") and not found.holds(None)
    assert path.stat().st_mode & 0o077 == 0  # it is about a person
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_a_profile_of_other_weights_is_refused(tmp_path: Path) -> None:
    save_profile(profile(), tmp_path / "p.safetensors")
    with pytest.raises(ModelError, match=r"p\.safetensors: made with nano \(weights abababababab.*make it again"):
        read_profile(tmp_path / "p.safetensors", "cd" * 32)


@pytest.mark.parametrize("damage", ["cut", "other", "none"])
def test_a_damaged_profile_is_named(tmp_path: Path, damage: str) -> None:
    from safetensors.numpy import save_file

    path = tmp_path / "p.safetensors"
    save_profile(profile(), path)
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:200])
    elif damage == "other":
        save_file({"a": np.zeros(2)}, path)
    else:
        path.unlink()
    with pytest.raises(UsageError, match=r"--baseline .*p\.safetensors: (expected a profile|no such file)"):
        read_profile(path, SHA)


def test_an_output_counts_by_the_recordings_that_have_it() -> None:
    clips = [gathered(f"{n}.wav", 1.0) for n in range(12)]
    for one in clips[5:]:
        del one.features["local"]
    made = make_profile(clips, "nano", SHA, OUTPUTS)
    assert made.features.counts == {"audio_mix": 12, "local": 5}
    rows, people = {"local": np.zeros((1, 3), np.float32)}, {"local": np.zeros(3, np.float32)}
    assert made.features.recentred(rows, people)["local"] == pytest.approx(np.full((1, 3), -5 / 9))


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (ProfileRequest(("a.wav",), Path("p.txt")), r"expected a name that ends in \.safetensors"),
        (ProfileRequest(("a.wav",), Path("p.safetensors")), rf"at least {LEAST} recordings .*found 1"),
    ],
)
def test_wrong_words_stop_before_any_work(request_: ProfileRequest, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        run_profile(request_)


def test_a_profile_that_is_there_stays(tmp_path: Path) -> None:
    path = tmp_path / "p.safetensors"
    path.write_text("mine")
    with pytest.raises(UsageError, match="is there already"):
        run_profile(ProfileRequest(("a.wav",) * 9, path))
    assert path.read_text() == "mine"


def recording(path: Path, seconds: float) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(np.random.default_rng(0).integers(-99, 99, int(seconds * 16_000), np.int16).tobytes())
    return path


class Looker:
    """Remembers what was looked at; parts that start at `empty` hold nobody."""

    def __init__(self, empty: tuple[float, ...] = ()) -> None:
        self.seen: list[tuple[str, float | None]] = []
        self.empty = empty

    def __call__(self, clip: Clip, parts: Any) -> Gathered:
        self.seen.append((str(clip.path), clip.start_s))
        if clip.start_s in self.empty:
            raise MediaError("nothing to analyse")
        return gathered(f"{clip.clip} {clip.start_s}", 1.0)


def baselines(look: Looker) -> Baselines:
    return Baselines(SimpleNamespace(population=dict.fromkeys(OUTPUTS)), "nano", SHA, look)  # type: ignore[arg-type]


def test_named_recordings_make_the_baseline_without_the_clip(tmp_path: Path) -> None:
    paths = [tmp_path / f"{n}.wav" for n in range(6)]
    look = Looker()
    found = baselines(look).of(Clip(clip="x", path=paths[0]), tuple(map(str, paths)))
    assert found.source == "clips" and found.profile is not None and found.profile.facts.clips == 5
    assert str(paths[0]) not in {path for path, _ in look.seen}
    with pytest.raises(UsageError, match=rf"at least {LEAST} other recordings"):
        baselines(look).of(Clip(clip="x", path=paths[0]), tuple(map(str, paths[:4])))


def test_recordings_are_looked_at_once(tmp_path: Path) -> None:
    paths = tuple(str(tmp_path / f"{n}.wav") for n in range(6))
    look = Looker()
    one = baselines(look)
    for path in paths:
        one.of(Clip(clip=path, path=Path(path)), paths)
    assert sorted(look.seen) == [(path, None) for path in paths]


def test_auto_takes_the_other_parts(tmp_path: Path) -> None:
    path, look = recording(tmp_path / "long.wav", 60.0), Looker(empty=(50.0,))
    clip = Clip(clip="long", path=path, start_s=12.0, end_s=18.0, transcript="hi")
    found = baselines(look).of(clip, ("auto",))
    assert found.source == "auto" and found.warnings == () and found.profile is not None
    starts = [start for _, start in look.seen]
    assert starts == [0.0, 5.0, 20.0, 25.0, 30.0, 35.0, 40.0, 45.0, 50.0, 55.0]
    assert found.profile.facts.clips == 9  # one part holds nobody


@pytest.mark.parametrize(
    ("seconds", "span", "words"),
    [
        (60.0, (None, None), "the whole of it is looked at"),
        (44.0, (12.0, 18.0), "there are 6 parts"),
        (20.0, (0.0, 3.0), "there are 3 parts"),
    ],
)
def test_auto_says_when_a_recording_is_too_short(
    tmp_path: Path, seconds: float, span: tuple[float | None, float | None], words: str
) -> None:
    look = Looker()
    clip = Clip(clip="x", path=recording(tmp_path / "x.wav", seconds), start_s=span[0], end_s=span[1])
    found = baselines(look).of(clip, ("auto",))
    assert found.profile is None and found.source is None and look.seen == []
    assert words in found.warnings[0] and found.warnings[0].endswith("Nothing was taken off.")


def test_over_time_the_recording_itself_is_the_baseline(tmp_path: Path) -> None:
    path, look = recording(tmp_path / "long.wav", 300.0), Looker(empty=(0.0,))
    found = baselines(look).of(Clip(clip="long", path=path), ("auto",), over_time=True)
    assert found.source == "auto" and found.profile is not None and found.profile.facts.clips == MOST_PARTS - 1
    starts = [start for _, start in look.seen if start is not None]
    assert len(starts) == MOST_PARTS and starts[0] == 0.0 and starts[-1] == 295.0
    assert min(np.diff(starts)) >= 10 and max(np.diff(starts)) <= 15
    (warning,) = found.warnings
    assert "compared with 23 parts of this recording" in warning and "one of them may be its own" in warning


@pytest.mark.parametrize(
    ("seconds", "empty", "words"),
    [
        (39.0, (), "cut into: 7; needed: 8 (40 s)"),
        (45.0, (0.0, 10.0), "seen or heard: 7; needed: 8 (40 s)"),
    ],
)
def test_over_time_a_short_or_an_empty_recording_gives_none(
    tmp_path: Path, seconds: float, empty: tuple[float, ...], words: str
) -> None:
    look = Looker(empty)
    clip = Clip(clip="x", path=recording(tmp_path / "x.wav", seconds))
    found = baselines(look).of(clip, ("auto",), over_time=True)
    assert found.profile is None and len(found.warnings) == 1 and words in found.warnings[0]
    assert len(look.seen) == (9 if empty else 0)


def test_parts_in_which_nobody_is_seen_or_heard_do_not_count(tmp_path: Path) -> None:
    def nobody(clip: Clip, parts: Any) -> Gathered:
        found = gathered(str(clip.start_s), 1.0)
        return replace(found, voice=None, rest=None) if (clip.start_s or 0.0) < 20 else found

    found = baselines(nobody).of(Clip(clip="x", path=recording(tmp_path / "x.wav", 55.0)), ("auto",), over_time=True)  # type: ignore[arg-type]
    assert found.profile is None and "seen or heard: 7" in found.warnings[0]


def test_parts_touch_neither_what_is_looked_at_nor_the_end(tmp_path: Path) -> None:
    path = recording(tmp_path / "x.wav", 200.0)
    parts = other_parts(Clip(clip="x", path=path, start_s=100.0, end_s=104.0))
    assert len(parts) == MOST_PARTS and parts == sorted(set(parts)) and parts[0][0] == 0.0 and parts[-1][1] == 200.0
    assert all(end == start + PART_S and (end <= 100.0 or start >= 104.0) for start, end in parts)
    assert other_parts(Clip(clip="x", path=path, start_s=190.0))[-1][1] <= 190.0
    assert other_parts(Clip(clip="text", transcript="hi")) == []
    assert AUTO_S == GAIN * PART_S


def test_a_profile_file_warns_of_a_clip_that_made_it(tmp_path: Path) -> None:
    from emotion_llama.media import probe

    path = recording(tmp_path / "x.wav", 1.0)
    clips = [gathered(f"{n}.wav", 1.0) for n in range(8)]
    for name, sha in (("with", probe(path).sha256), ("without", "other")):
        mine = Gathered("x.wav", sha, 1.0, clips[0].features, clips[0].voice, clips[0].rest)
        save_profile(make_profile([*clips, mine], "nano", SHA, OUTPUTS), tmp_path / f"{name}.safetensors")
        found = baselines(Looker()).of(Clip(clip="x", path=path), (str(tmp_path / f"{name}.safetensors"),))
        assert found.source == "profile" and bool(found.warnings) == (name == "with")


def test_words_of_baseline_do_not_mix() -> None:
    with pytest.raises(UsageError, match="auto stands alone"):
        baselines(Looker()).of(Clip(clip="x", path=Path("x.wav")), ("auto", "a.wav"))
    assert baselines(Looker()).of(Clip(clip="x", path=Path("x.wav")), ()).profile is None
