"""Leak guard: finds what was cut, scaled and encoded again, and leaves other recordings of the same people alone."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from emotion_llama.clip import Clip
from emotion_llama.errors import UsageError
from emotion_llama.evaluate.leaks import LeakReport, find_leaks, refuse_choice

RATE_HZ = 16_000
SIZE_PX = (128, 96)


def speech(sentence: int, pitch_hz: float = 120.0, seconds: float = 3.0) -> NDArray[np.float32]:
    """Something like speech: a buzz of one voice through two moving resonances, with pauses, over faint noise."""
    rng = np.random.default_rng(sentence)
    time_s = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    knots_s = np.cumsum(rng.uniform(0.08, 0.25, 60))
    pitch = pitch_hz * np.interp(time_s, knots_s, rng.uniform(0.8, 1.3, 60))
    first_hz, second_hz = (np.interp(time_s, knots_s, rng.uniform(*span, 60)) for span in ((300, 900), (900, 2800)))
    phase = 2 * np.pi * np.cumsum(pitch) / RATE_HZ
    wave = np.zeros_like(time_s)
    for number in range(1, 30):
        gain = sum(1 / (1 + ((number * pitch - centre) / 120) ** 2) for centre in (first_hz, second_hz))
        wave += gain * np.sin(number * phase)
    wave *= np.interp(time_s, knots_s, rng.choice([0.0, 0.5, 1.0], 60))
    wave += 0.003 * rng.normal(size=len(wave))
    return (0.5 * wave / np.abs(wave).max()).astype(np.float32)


def write_sound(path: Path, samples: NDArray[np.float32]) -> Path:
    codec = "libmp3lame" if path.suffix == ".mp3" else "pcm_s16le"
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=RATE_HZ, layout="mono")
        if codec == "libmp3lame":
            stream.bit_rate = 64_000
        whole = av.AudioFrame.from_ndarray((samples[None] * 32_767).astype(np.int16), format="s16", layout="mono")
        whole.sample_rate = RATE_HZ
        resampler = av.AudioResampler(format=stream.codec_context.format.name, layout="mono", rate=RATE_HZ)
        for part in [*resampler.resample(whole), *resampler.resample(None)]:
            out.mux(stream.encode(part))
        out.mux(stream.encode(None))
    return path


def moving_pictures(take: int, seconds: float = 3.0, rate: int = 25) -> list[NDArray[np.uint8]]:
    """One person before one wall: the wall stays, a bright head wanders as the take says."""
    wall = np.random.default_rng(0).integers(40, 120, (6, 8)).repeat(16, 0).repeat(16, 1).astype(np.float64)
    rng = np.random.default_rng(100 + take)
    times_s = np.arange(round(seconds * rate)) / rate
    knots_s = np.arange(0, seconds + 0.5, 0.5)
    x, y, open_px = (np.interp(times_s, knots_s, rng.uniform(-w, w, len(knots_s))) for w in (14.0, 8.0, 6.0))
    rows, columns = np.mgrid[: SIZE_PX[1], : SIZE_PX[0]]
    pictures = []
    for dx, dy, mouth in zip(x, y, open_px, strict=True):
        head = ((columns - 64 - dx) / 24) ** 2 + ((rows - 48 - dy) / 32) ** 2 < 1
        lips = ((columns - 64 - dx) / 12) ** 2 + ((rows - 62 - dy) / (7 + mouth)) ** 2 < 1
        grey = np.where(lips, 30, np.where(head, 210, wall)).astype(np.uint8)
        pictures.append(np.stack([grey] * 3, axis=-1))
    return pictures


def write_video(path: Path, pictures: list[NDArray[np.uint8]], rate: int = 25, scale: float = 1, crf: int = 20) -> Path:
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=rate, options={"preset": "ultrafast", "crf": str(crf)})
        stream.width, stream.height, stream.pix_fmt = round(SIZE_PX[0] * scale), round(SIZE_PX[1] * scale), "yuv420p"
        for index, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(stream.width, stream.height)
            frame.pts, frame.time_base = index, Fraction(1, rate)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def clip(path: Path, **fields: object) -> Clip:
    return Clip.model_validate({"clip": f"{path.parent.name}/{path.name}", "path": path, **fields})


def kinds(report: LeakReport) -> set[str]:
    return {leak.kind for leak in report.findings}


def test_a_sound_encoded_again_quieter_and_cut_is_found(tmp_path: Path) -> None:
    train = [clip(write_sound(tmp_path / f"train{number}.wav", speech(number))) for number in range(6)]
    changed = write_sound(tmp_path / "test.mp3", 0.5 * speech(3)[round(0.3 * RATE_HZ) :])
    report = find_leaks([clip(changed)], train)
    assert [(leak.kind, leak.train) for leak in report.findings] == [("same-sound", train[3].clip)]
    assert "bits agree" in report.findings[0].reason
    assert report.counts == {"same-sound": 1, "any": 1}
    assert (report.compared_sound, report.compared_picture) == ((1, 6), (0, 0))


def test_other_sentences_of_the_same_voice_and_length_are_not_flagged(tmp_path: Path) -> None:
    sounds = [clip(write_sound(tmp_path / f"{number}.wav", speech(number))) for number in range(12)]
    report = find_leaks(sounds[:4], sounds[4:])
    assert report.findings == ()
    assert report.counts == {"any": 0}
    assert report.compared_sound == (4, 8)


def test_a_video_scaled_and_encoded_again_is_found_and_another_take_is_not(tmp_path: Path) -> None:
    train = [clip(write_video(tmp_path / f"train{take}.mp4", moving_pictures(take))) for take in range(5)]
    again = write_video(tmp_path / "again.mp4", moving_pictures(2)[8:], scale=0.5, crf=35)
    other = write_video(tmp_path / "other.mp4", moving_pictures(9), scale=0.5, crf=35)
    report = find_leaks([clip(again), clip(other)], train)
    assert [(leak.kind, leak.test, leak.train) for leak in report.findings] == [
        ("same-picture", clip(again).clip, train[2].clip)
    ]


def test_still_pictures_are_compared_too(tmp_path: Path) -> None:
    from PIL import Image

    one, other = Image.fromarray(moving_pictures(1)[0]), Image.fromarray(moving_pictures(2)[20])
    one.save(tmp_path / "one.png")
    one.resize((64, 48)).save(tmp_path / "small.jpg", quality=60)
    other.save(tmp_path / "other.png")
    report = find_leaks([clip(tmp_path / "small.jpg"), clip(tmp_path / "other.png")], [clip(tmp_path / "one.png")])
    assert [(leak.kind, leak.test) for leak in report.findings] == [("same-picture", clip(tmp_path / "small.jpg").clip)]


def test_the_same_bytes_under_another_name_are_found_once(tmp_path: Path) -> None:
    one = write_sound(tmp_path / "one.wav", speech(1))
    copy = tmp_path / "copy.wav"
    copy.write_bytes(one.read_bytes())
    report = find_leaks([clip(copy)], [clip(one)])
    assert kinds(report) == {"same-file"}
    apart = find_leaks([clip(one, end_s=1.0)], [clip(one, clip="other", start_s=1.5)])
    assert kinds(apart) == {"same-recording"}
    assert "another span" in apart.findings[0].reason


def test_an_excerpt_of_a_training_recording_is_found(tmp_path: Path) -> None:
    whole = write_sound(tmp_path / "whole.wav", np.concatenate([speech(1), speech(2), speech(3)]))
    part = write_sound(tmp_path / "part.wav", speech(2)[4_000:-4_000])
    assert kinds(find_leaks([clip(part)], [clip(whole)])) == {"same-sound"}


def test_names_speakers_and_words_need_no_recording() -> None:
    test = [
        Clip(clip="a", speaker="p1", transcript="Kids are talking!"),
        Clip(clip="b", speaker="p2", transcript="Kids are talking"),
        Clip(clip="c", transcript="Dogs"),
    ]
    train = [
        Clip(clip="a", speaker="p1", transcript="kids ARE talking"),
        Clip(clip="x", speaker="p1", transcript="kids are, talking"),
        Clip(clip="y", speaker="p3", transcript="Kids are talking"),
        Clip(clip="z", transcript="Dogs"),
    ]
    report = find_leaks(test, train, content=False)
    assert {(leak.kind, leak.test, leak.train, leak.others) for leak in report.findings} == {
        ("same-identity", "a", "a", 0),
        ("same-words", "a", "a", 1),
    }
    assert [one.model_dump() for one in report.speakers] == [{"speaker": "p1", "n_test": 1, "n_train": 2}]
    assert (report.counts["any"], report.n_test, report.n_train) == (1, 3, 4)
    assert (report.compared_sound, report.compared_picture) == (None, None)


def test_two_silent_or_plain_recordings_are_not_the_same(make_clip: object, tmp_path: Path) -> None:
    plain = make_clip("plain.mp4", seconds=2, level=0)  # type: ignore[operator]
    grey = make_clip("grey.mp4", seconds=2, level=0, grey=90)  # type: ignore[operator]
    report = find_leaks([clip(plain)], [clip(grey)])
    assert report.findings == ()
    assert (report.compared_sound, report.compared_picture) == ((0, 0), (0, 0))


def test_unreadable_recordings_are_listed(tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"not a recording at all" * 50)
    gone = tmp_path / "gone.wav"
    report = find_leaks([clip(broken)], [clip(gone), Clip(clip="text", transcript="only words")])
    assert [(one.side, one.clip) for one in report.unreadable] == [
        ("test", clip(broken).clip),
        ("train", clip(gone).clip),
    ]
    assert "no known media format" in report.unreadable[0].reason
    assert str(gone) in report.unreadable[1].reason


def test_nothing_to_compare_with() -> None:
    report = find_leaks([Clip(clip="a", transcript="x")], [])
    assert (report.findings, report.speakers, report.counts) == ((), (), {"any": 0})


def test_no_checkpoint_is_chosen_on_the_test_side() -> None:
    with pytest.raises(UsageError, match=r"cannot be chosen on the test side.*--side validation"):
        refuse_choice("test")
    for side in ("train", "validation", "unknown"):
        refuse_choice(side)  # type: ignore[arg-type]
