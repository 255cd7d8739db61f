"""Damaged copies are real recordings: the undamaged copy is nearly the original, and our own readers read them all."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from emotion_llama.clip import Clip, Observation
from emotion_llama.errors import MediaError, NoStreamError, OutputError, UsageError
from emotion_llama.evaluate.robustness.corrupt.noise import talker
from emotion_llama.evaluate.robustness.corrupt.picture import dropped_frames
from emotion_llama.evaluate.robustness.corrupt.seed import clip_seed
from emotion_llama.evaluate.robustness.corrupt.write import (
    COPY,
    PICTURE_DAMAGE,
    SOUND_DAMAGE,
    Corruption,
    corrupt_recording,
)
from emotion_llama.media import Frame, iter_frames, probe, read_waveform

RATE_HZ = 16_000
STRENGTHS = {"mp3": 16.0, "blur": 16.0, "frame-drop": 0.5, "occlusion-lower": 1.0, "occlusion-upper": 1.0}


def voice(seconds: float) -> NDArray[np.float32]:
    samples = talker(round(seconds * RATE_HZ), 150.0, np.random.default_rng(0))
    return samples * np.float32(0.1 / samples.std())


def write_moving(path: Path, *, seconds: float = 2.0, rate: int = 25, size: tuple[int, int] = (96, 72)) -> Path:
    """A slowly moving coloured pattern (its red value tells the frame) with a voice."""
    x, y = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    with av.open(str(path), "w") as out:
        video = out.add_stream("libx264", rate=rate, options={"crf": "10", "preset": "veryfast"})
        video.width, video.height = size
        video.pix_fmt = "yuv444p" if size[0] % 2 or size[1] % 2 else "yuv420p"
        audio = out.add_stream("aac", rate=RATE_HZ, layout="mono", bit_rate=96_000)
        for index in range(round(seconds * rate)):
            waves = [128 + 100 * np.sin((x * a + y * b) / 25 + index / 6) for a, b in ((1, 0), (0, 1), (1, 1))]
            frame = av.VideoFrame.from_ndarray(np.stack(waves, axis=-1).astype(np.uint8), format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, rate)
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
        sound = av.AudioFrame.from_ndarray(voice(seconds)[None], format="fltp", layout="mono")
        sound.sample_rate = RATE_HZ
        out.mux(audio.encode(sound))
        out.mux(audio.encode(None))
    return path


def all_frames(path: Path, **span: float) -> list[Frame]:
    return list(iter_frames(path, max_frames_s=1000, **span))  # type: ignore[arg-type]


def psnr_db(one: list[Frame], other: list[Frame]) -> float:
    error = [np.mean((a.rgb.astype(float) - b.rgb) ** 2) for a, b in zip(one, other, strict=True)]
    return float(10 * np.log10(255**2 / np.mean(error)))


@pytest.fixture(scope="module")
def moving(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_moving(tmp_path_factory.mktemp("media") / "moving.mp4")


def clip_of(path: Path, **fields: object) -> Clip:
    return Clip.model_validate({"clip": "set/a.mp4", "path": path, **fields})


@pytest.mark.parametrize("size", [(96, 72), (97, 71)])
def test_an_undamaged_copy_is_nearly_the_original(tmp_path: Path, size: tuple[int, int]) -> None:
    source = write_moving(tmp_path / "source.mp4", size=size)
    copy = corrupt_recording(clip_of(source), Corruption(COPY), tmp_path / "out")
    assert copy.path is not None and copy.clip == "set/a.mp4"
    before, after = all_frames(source), all_frames(copy.path)
    assert len(after) == len(before) == 50
    assert after[0].rgb.shape == (size[1], size[0], 3)
    assert psnr_db(before, after) > 40
    np.testing.assert_allclose([f.time_s for f in after], [f.time_s for f in before], atol=0.001)
    sound = [read_waveform(path) for path in (source, copy.path)]
    assert sound[0] is not None and sound[1] is not None
    assert len(sound[1].samples) == len(sound[0].samples)
    assert np.corrcoef(sound[0].samples, sound[1].samples)[0, 1] > 0.9999  # at zero lag
    durations_s = [probe(path).duration_s for path in (source, copy.path)]
    assert durations_s[0] is not None and durations_s[1] is not None
    assert abs(durations_s[0] - durations_s[1]) <= 0.04 + 1024 / RATE_HZ  # a frame, and the padding of the AAC source
    assert list((tmp_path / "out").iterdir()) == [copy.path]


def test_a_copy_holds_the_span_alone(tmp_path: Path, moving: Path) -> None:
    seen = Observation(channel="face", text="a smile", source="human", start_s=0.9, end_s=1.1)
    copy = corrupt_recording(clip_of(moving, start_s=0.5, end_s=1.3, observations=(seen,)), Corruption(COPY), tmp_path)
    assert copy.path is not None
    assert (copy.start_s, copy.end_s) == (None, None)
    assert copy.observations[0].start_s == pytest.approx(0.4)
    before, after = all_frames(moving, start_s=0.5, end_s=1.3), all_frames(copy.path)
    assert len(after) == 20
    assert psnr_db(before, after) > 40
    np.testing.assert_allclose([f.time_s for f in after], [f.time_s - 0.5 for f in before], atol=0.002)
    sound, original = read_waveform(copy.path), read_waveform(moving, start_s=0.5, end_s=1.3)
    assert sound is not None and original is not None
    assert abs(len(sound.samples) - 0.8 * RATE_HZ) < 100
    n = min(len(sound.samples), len(original.samples))
    assert np.corrcoef(sound.samples[:n], original.samples[:n])[0, 1] > 0.9999


@pytest.mark.parametrize("name", [*SOUND_DAMAGE, *PICTURE_DAMAGE])
def test_every_damage_gives_a_readable_recording_the_same_each_time(tmp_path: Path, moving: Path, name: str) -> None:
    corruption = Corruption(name, STRENGTHS.get(name, 4.0), seed=1)
    copies = [corrupt_recording(clip_of(moving), corruption, tmp_path / run).path for run in ("a", "b")]
    assert copies[0] is not None and copies[1] is not None
    info = probe(copies[0])
    assert (info.kind, info.has_sound, info.width_px, info.height_px) == ("video", True, 96, 72)
    assert info.fps == pytest.approx(25)
    first, second = all_frames(copies[0]), all_frames(copies[1])
    assert all((a.rgb == b.rgb).all() for a, b in zip(first, second, strict=True))
    sounds = [read_waveform(path) for path in (moving, *copies)]
    assert sounds[0] is not None and sounds[1] is not None and sounds[2] is not None
    np.testing.assert_array_equal(sounds[1].samples, sounds[2].samples)
    correlation = np.corrcoef(sounds[0].samples, sounds[1].samples)[0, 1]
    quality_db = psnr_db(all_frames(moving), first)
    assert (correlation > 0.9999) == (name in PICTURE_DAMAGE)
    assert (quality_db > 40) == (name in SOUND_DAMAGE)


def test_the_share_of_repeated_frames_in_the_file_is_exact(tmp_path: Path, moving: Path) -> None:
    copy = corrupt_recording(clip_of(moving), Corruption("frame-drop", 0.5, seed=3), tmp_path)
    assert copy.path is not None
    before, after = all_frames(moving), all_frames(copy.path)
    lost = dropped_frames(50, 0.5, clip_seed(3, "set/a.mp4", "frame-drop"))
    nearest = [
        int(np.argmin([np.mean((frame.rgb.astype(float) - other.rgb) ** 2) for other in before])) for frame in after
    ]
    assert sum(index != place for place, index in enumerate(nearest)) == 25 == lost.sum()
    assert [index == place for place, index in enumerate(nearest)] == (~lost).tolist()


def test_sound_alone_becomes_a_wav_and_a_picture_a_png(tmp_path: Path, make_clip: Callable[..., Path]) -> None:
    sound = make_clip("a.wav", size=None, seconds=1.0)
    copy = corrupt_recording(clip_of(sound), Corruption("telephone"), tmp_path / "out", stem="x")
    assert copy.path == tmp_path / "out" / "x.wav"
    assert probe(copy.path).kind == "audio"
    with av.open(str(copy.path)) as container:
        assert container.streams.audio[0].codec_context.name == "pcm_s16le"
    picture = tmp_path / "face.jpg"
    Image.fromarray(np.full((40, 60, 3), 200, np.uint8)).save(picture)
    dark = corrupt_recording(clip_of(picture), Corruption("low-light", 4.0), tmp_path / "out").path
    assert dark is not None and dark.suffix == ".png"
    assert probe(dark).kind == "image"
    assert np.asarray(Image.open(dark)).mean() < 150


def test_notes_say_when_no_face_was_covered(tmp_path: Path, moving: Path) -> None:
    notes: list[str] = []
    corrupt_recording(clip_of(moving), Corruption("occlusion-lower", 0.5), tmp_path, notes=notes)
    assert notes == ["the box covers the picture's centre in 50 of 50 frames: no face detector was at hand"]


def test_damage_that_does_not_fit_is_named(tmp_path: Path, make_clip: Callable[..., Path]) -> None:
    silent_film = make_clip("film.mp4", level=None)
    voice_alone = make_clip("voice.wav", size=None)
    hush = make_clip("hush.mp4", level=0.0)
    text = tmp_path / "text.mp4"
    text.write_text("this is no film")
    picture = tmp_path / "p.png"
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(picture)
    for path, name, error, words in (
        (silent_film, "mp3", NoStreamError, "film.mp4: mp3 needs sound"),
        (voice_alone, "blur", NoStreamError, "voice.wav: blur needs pictures"),
        (hush, "snr-babble", MediaError, "hush.mp4: expected speech"),
        (text, "blur", MediaError, "text.mp4"),
        (tmp_path / "gone.mp4", "blur", MediaError, "no such file"),
        (picture, "frame-drop", NoStreamError, "one still picture"),
    ):
        with pytest.raises(error, match=words):
            corrupt_recording(clip_of(path), Corruption(name, 0.5), tmp_path / "out")
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())
    with pytest.raises(NoStreamError, match="text alone"):
        corrupt_recording(Clip(clip="t", transcript="hi"), Corruption("blur"), tmp_path / "out")
    with pytest.raises(UsageError, match="unknown damage 'rain'"):
        Corruption("rain")


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, moving: Path) -> None:
    taken = tmp_path / "taken"
    taken.write_text("a file where the folder should be")
    with pytest.raises(OutputError, match="taken"):
        corrupt_recording(clip_of(moving), Corruption(COPY), taken)


def test_a_cut_off_recording_is_copied_as_far_as_it_goes(tmp_path: Path, moving: Path) -> None:
    # Matroska, unlike MP4, can be cut anywhere
    whole = corrupt_recording(clip_of(moving), Corruption(COPY), tmp_path, stem="whole").path
    assert whole is not None
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    copy = corrupt_recording(clip_of(cut), Corruption("blur", 1.0), tmp_path / "out").path
    assert copy is not None
    assert 5 < len(all_frames(copy)) < 50
