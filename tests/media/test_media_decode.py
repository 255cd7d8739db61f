"""Pictures and sound of generated recordings: true times, upright pictures, damage told and nothing lost."""

from __future__ import annotations

import wave
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from emotion_llama.errors import MediaError, NoStreamError
from emotion_llama.media import (
    SAMPLE_RATE_HZ,
    DecodeNotes,
    iter_frames,
    iter_waveform,
    list_media,
    probe,
    read_frame,
    read_waveform,
)

RED, GREEN, BLUE, WHITE = (220, 20, 20), (20, 200, 20), (20, 20, 220), (235, 235, 235)


def quadrants(width: int, height: int) -> np.ndarray:
    """Red top left, green top right, blue bottom left, white bottom right."""
    picture = np.empty((height, width, 3), np.uint8)
    picture[: height // 2, : width // 2] = RED
    picture[: height // 2, width // 2 :] = GREEN
    picture[height // 2 :, : width // 2] = BLUE
    picture[height // 2 :, width // 2 :] = WHITE
    return picture


def write_recording(
    path: Path,
    *,
    times_ms: Sequence[int] = (),
    size: tuple[int, int] = (64, 48),
    codecs: tuple[str | None, str | None] = ("libx264", None),
    sound: np.ndarray | None = None,
    sound_at_s: float = 0.0,
    rotation: int = 0,
    options: dict[str, str] | None = None,
) -> Path:
    """Frames at `times_ms` (grey level = index) or, with a rotation, quadrants; `sound` is 48 kHz stereo (2, S)."""
    with av.open(str(path), "w", options=options or {}) as out:
        if codecs[0]:
            video = out.add_stream(codecs[0], rate=25)
            video.width, video.height = size
            video.pix_fmt = "yuvj420p" if codecs[0] == "mjpeg" else "yuv420p"
            video.codec_context.time_base = Fraction(1, 1000)
            if rotation:
                video.set_display_rotation(rotation)
        if codecs[1]:
            audio = out.add_stream(codecs[1], rate=48_000, layout="stereo")
        for index, time_ms in enumerate(times_ms):
            grey = np.full((size[1], size[0], 3), min(16 + 4 * index, 235), np.uint8)
            frame = av.VideoFrame.from_ndarray(quadrants(*size) if rotation else grey, format="rgb24")
            frame.pts, frame.time_base = time_ms, Fraction(1, 1000)
            out.mux(video.encode(frame))
        if codecs[0]:
            out.mux(video.encode(None))
        if codecs[1] and sound is not None:
            for start in range(0, sound.shape[1], 960):
                part = av.AudioFrame.from_ndarray(
                    np.ascontiguousarray(sound[:, start : start + 960]), format="fltp", layout="stereo"
                )
                part.sample_rate, part.pts = 48_000, start + round(sound_at_s * 48_000)
                part.time_base = Fraction(1, 48_000)
                out.mux(audio.encode(part))
            out.mux(audio.encode(None))
    return path


def tone(seconds: float, hz: float = 440.0, level: float = 0.5) -> np.ndarray:
    mono = level * np.sin(2 * np.pi * hz * np.arange(round(48_000 * seconds)) / 48_000)
    return np.stack([mono, mono]).astype(np.float32)


STEADY_MS = tuple(range(0, 1000, 40))


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.mp4", "libx264"),
        ("a.mov", "libx264"),
        ("a.mkv", "libx264"),
        ("a.webm", "libvpx-vp9"),
        ("hevc.mp4", "libx265"),
    ],
)
def test_video_formats_give_every_frame_at_its_time(tmp_path: Path, name: str, codec: str) -> None:
    if codec not in av.codecs_available:
        pytest.skip(f"the installed PyAV has no {codec} encoder")
    path = write_recording(tmp_path / name, times_ms=STEADY_MS, codecs=(codec, None))
    info = probe(path)
    assert (info.kind, info.width_px, info.height_px, info.has_sound) == ("video", 64, 48, False)
    assert info.duration_s == pytest.approx(1.0, abs=0.06)
    frames = list(iter_frames(info, max_frames_s=100))
    assert [frame.time_s for frame in frames] == pytest.approx([ms / 1000 for ms in STEADY_MS], abs=0.002)
    assert [frame.index for frame in frames] == list(range(25))
    assert frames[20].rgb.mean() - frames[0].rgb.mean() == pytest.approx(80, abs=8)  # grey rises by 4 a frame


def test_avi_with_motion_jpeg(tmp_path: Path) -> None:
    path = tmp_path / "a.avi"
    with av.open(str(path), "w") as out:
        video = out.add_stream("mjpeg", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuvj420p"
        for index in range(10):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 20 * index, np.uint8), format="rgb24")
            frame.pts = index
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
    assert len(list(iter_frames(path, max_frames_s=100))) == 10


def test_variable_frame_rate_keeps_true_times(tmp_path: Path) -> None:
    times_ms = (0, 40, 300, 340, 900, 1500)
    path = write_recording(tmp_path / "vfr.mkv", times_ms=times_ms)
    got = [frame.time_s for frame in iter_frames(path, max_frames_s=100)]
    assert got == pytest.approx([0, 0.04, 0.3, 0.34, 0.9, 1.5], abs=0.002)


def test_sampling_keeps_a_step_and_thins_evenly(tmp_path: Path) -> None:
    path = write_recording(tmp_path / "long.mp4", times_ms=range(0, 4000, 40))
    times = [frame.time_s for frame in iter_frames(path, max_frames_s=5)]
    assert times == pytest.approx(np.arange(0, 4, 0.2), abs=0.002)
    thinned = [frame.time_s for frame in iter_frames(path, max_frames=8)]
    assert len(thinned) <= 8 and thinned[-1] > 3.0
    assert np.ptp(np.diff(thinned)) <= 0.081


def test_span_and_nearest_frame(tmp_path: Path) -> None:
    path = write_recording(tmp_path / "span.mp4", times_ms=range(0, 4000, 40))
    times = [frame.time_s for frame in iter_frames(path, start_s=1.0, end_s=1.5, max_frames_s=100)]
    assert times == pytest.approx(np.arange(1.0, 1.5, 0.04), abs=0.002)
    assert read_frame(path, 2.05).time_s == pytest.approx(2.04, abs=0.002)
    assert read_frame(path, 99.0).time_s == pytest.approx(3.96, abs=0.002)
    between = list(iter_frames(path, start_s=1.01, end_s=1.03))
    assert len(between) == 1 and between[0].time_s == pytest.approx(1.01)
    with pytest.raises(MediaError, match=r"9\.0 s but the recording is 4\.00 s"):
        list(iter_frames(path, start_s=9.0))
    with pytest.raises(MediaError, match="not after its start"):
        list(iter_frames(path, start_s=2.0, end_s=1.0))


@pytest.mark.parametrize(("counterclockwise", "clockwise"), [(-90, 90), (90, 270), (180, 180)])
def test_display_matrix_makes_the_picture_upright(tmp_path: Path, counterclockwise: int, clockwise: int) -> None:
    path = write_recording(tmp_path / "r.mp4", times_ms=(0, 40), size=(128, 64), rotation=counterclockwise)
    info = probe(path)
    assert info.rotation_deg == clockwise
    upright = np.asarray(Image.fromarray(quadrants(128, 64)).rotate(counterclockwise, expand=True))
    assert (info.height_px, info.width_px) == upright.shape[:2]
    rgb = next(iter_frames(path)).rgb
    assert rgb.shape == upright.shape
    assert np.abs(rgb.astype(int) - upright).mean() < 12


def test_4k_is_reduced_and_a_tenth_of_a_second_gives_a_frame(tmp_path: Path) -> None:
    path = write_recording(tmp_path / "4k.mp4", times_ms=(0, 40), size=(3840, 2160))
    info = probe(path)
    assert (info.width_px, info.height_px) == (3840, 2160)
    (frame, *_) = iter_frames(path)
    assert frame.rgb.shape == (720, 1280, 3)
    assert next(iter_frames(path, max_side_px=320)).rgb.shape == (180, 320, 3)


@pytest.mark.parametrize(("suffix", "mode"), [("png", "RGB"), ("jpg", "RGB"), ("webp", "RGB"), ("png", "RGBA")])
def test_pictures_are_one_frame(tmp_path: Path, suffix: str, mode: str) -> None:
    path = tmp_path / f"p.{suffix}"
    Image.fromarray(quadrants(80, 60)).convert(mode).save(path)
    info = probe(path)
    assert (info.kind, info.width_px, info.height_px, info.duration_s) == ("image", 80, 60, None)
    (frame,) = iter_frames(info)
    assert (frame.index, frame.time_s) == (0, 0.0)
    assert np.abs(frame.rgb.astype(int) - quadrants(80, 60)).mean() < 12
    assert read_waveform(path) is None


def test_exif_orientation_makes_the_picture_upright(tmp_path: Path) -> None:
    path = tmp_path / "phone.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6  # stored turned left; a clockwise quarter turn shows it right
    Image.fromarray(quadrants(128, 64)).save(path, exif=exif, quality=95)
    assert probe(path).rotation_deg == 90
    (frame,) = iter_frames(path)
    assert frame.rgb.shape == (128, 64, 3)
    assert frame.rgb[5, 5].argmax() == 2 and frame.rgb[5, -5].argmax() == 0  # blue left, red right


@pytest.mark.parametrize(
    ("name", "codec"), [("a.wav", "pcm_s16le"), ("a.flac", "flac"), ("a.mp3", "libmp3lame"), ("a.m4a", "aac")]
)
def test_sound_formats(tmp_path: Path, name: str, codec: str) -> None:
    path = tmp_path / name
    with av.open(str(path), "w") as out:
        audio = out.add_stream(codec, rate=48_000, layout="stereo")
        sound = tone(1.0)
        part = av.AudioFrame.from_ndarray(sound, format="fltp", layout="stereo")
        part.sample_rate, part.pts = 48_000, 0
        resampler = av.AudioResampler(format=audio.codec_context.format, frame_size=audio.frame_size or 1024)
        for frame in [*resampler.resample(part), *resampler.resample(None)]:
            out.mux(audio.encode(frame))
        out.mux(audio.encode(None))
    info = probe(path)
    assert (info.kind, info.has_picture, info.has_sound) == ("audio", False, True)
    waveform = read_waveform(path)
    assert waveform is not None and waveform.samples.dtype == np.float32
    assert waveform.duration_s == pytest.approx(1.0, abs=0.08)
    middle = waveform.samples[4000:12000]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(8000)))
    assert spectrum.argmax() * SAMPLE_RATE_HZ / 8000 == pytest.approx(440, abs=2)
    assert np.abs(middle).max() == pytest.approx(0.5, abs=0.03)  # both channels agree: the mean keeps the level


def write_wav(path: Path, samples: np.ndarray, rate_hz: int = SAMPLE_RATE_HZ) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes((samples * 32767).astype("<i2").tobytes())
    return path


def test_sound_spans_and_chunks_agree_with_the_whole(tmp_path: Path) -> None:
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, 3 * SAMPLE_RATE_HZ).astype(np.float32)
    path = write_wav(tmp_path / "noise.wav", samples)
    whole = read_waveform(path)
    assert whole is not None
    np.testing.assert_allclose(whole.samples, samples, atol=1e-4)
    part = read_waveform(path, start_s=1.25, end_s=2.0)
    assert part is not None and part.start_s == 1.25
    np.testing.assert_allclose(part.samples, samples[20_000:32_000], atol=1e-4)
    short = read_waveform(path, start_s=1.25, max_s=0.5)
    assert short is not None and len(short.samples) == 8000
    chunks = list(iter_waveform(path, 0.7))
    assert [chunk.start_s for chunk in chunks] == pytest.approx([0, 0.7, 1.4, 2.1, 2.8])
    np.testing.assert_array_equal(np.concatenate([chunk.samples for chunk in chunks]), whole.samples)


def test_late_sound_is_preceded_by_silence(tmp_path: Path) -> None:
    path = write_recording(
        tmp_path / "late.mkv",
        times_ms=range(0, 2000, 40),
        codecs=("libx264", "pcm_f32le"),
        sound=tone(1.0),
        sound_at_s=0.5,
    )
    waveform = read_waveform(path)
    assert waveform is not None and waveform.start_s == 0.0
    first = np.flatnonzero(np.abs(waveform.samples) > 0.1)[0] / SAMPLE_RATE_HZ
    assert first == pytest.approx(0.5, abs=0.01)
    later = read_waveform(path, start_s=0.75)
    assert later is not None and later.duration_s == pytest.approx(0.75, abs=0.02)
    assert read_waveform(path, start_s=0.1, end_s=0.2) is None


def test_missing_streams(tmp_path: Path) -> None:
    silent = write_recording(tmp_path / "mute.mp4", times_ms=STEADY_MS)
    assert read_waveform(silent) is None
    spoken = write_wav(tmp_path / "s.wav", np.zeros(1600))
    with pytest.raises(NoStreamError, match=r"s\.wav"):
        list(iter_frames(spoken))


def test_album_art_is_not_video(tmp_path: Path) -> None:
    path = tmp_path / "song.mp4"
    with av.open(str(path), "w") as out:
        audio = out.add_stream("aac", rate=48_000, layout="stereo")
        cover = out.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 64, 64, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        out.mux(cover.encode(av.VideoFrame.from_ndarray(quadrants(64, 64), format="rgb24")))
        out.mux(cover.encode(None))
        for start in range(0, 48_000, 1024):
            part = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(tone(1.1)[:, start : start + 1024]), format="fltp", layout="stereo"
            )
            part.sample_rate, part.pts = 48_000, start
            out.mux(audio.encode(part))
        out.mux(audio.encode(None))
    info = probe(path)
    assert (info.kind, info.has_picture, info.has_sound) == ("audio", False, True)


def test_a_file_cut_half_way_gives_its_first_half_and_says_so(tmp_path: Path) -> None:
    whole = write_recording(
        tmp_path / "whole.mp4",
        times_ms=range(0, 4000, 40),
        codecs=("libx264", "aac"),
        sound=tone(4.0),
        options={"movflags": "faststart"},
    )
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 4 * SAMPLE_RATE_HZ)
    sound = write_wav(tmp_path / "whole.wav", noise)
    for path in (whole, sound):
        cut = tmp_path / f"cut{path.suffix}"
        cut.write_bytes(path.read_bytes()[: int(path.stat().st_size * 0.6)])
        notes = DecodeNotes()
        waveform = read_waveform(cut, notes=notes)
        assert waveform is not None and 0.1 < waveform.duration_s < 3.5
        assert notes.damaged and notes.reason and notes.last_s is not None and notes.last_s < 3.5
        intact = DecodeNotes()
        read_waveform(path, notes=intact)
        assert not intact.damaged
    notes = DecodeNotes()
    frames = list(iter_frames(tmp_path / "cut.mp4", notes=notes))
    assert 1 <= len(frames) < 60 and notes.damaged
    intact = DecodeNotes()
    list(iter_frames(whole, notes=intact))
    assert not intact.damaged


def test_unusable_files_are_named_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("hello\n" * 1000)
    (tmp_path / "list.mp4").write_text("ffconcat version 1.0\nfile other.mp4\n")
    whole = write_recording(tmp_path / "whole.mp4", times_ms=STEADY_MS)
    (tmp_path / "stub.mp4").write_bytes(whole.read_bytes()[:60])
    picture = tmp_path / "p.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)).save(picture)
    (tmp_path / "half.png").write_bytes(picture.read_bytes()[:2000])
    for name, reason in [
        ("missing.mp4", "no such file"),
        ("", "folder"),
        ("empty.mp4", "empty"),
        ("text.mp4", "no known media format"),
        ("list.mp4", "no known media format"),
        ("stub.mp4", "cut off"),
    ]:
        with pytest.raises(MediaError, match=reason) as caught:
            probe(tmp_path / name)
        assert str(tmp_path / name) in str(caught.value) and "expected" in str(caught.value)
    with pytest.raises(MediaError, match=r"half\.png: the picture is damaged"):
        list(iter_frames(tmp_path / "half.png"))


def test_content_decides_and_identity_is_the_content(tmp_path: Path) -> None:
    path = write_recording(tmp_path / "a:b.mp4", times_ms=STEADY_MS)
    renamed = path.rename(tmp_path / "notes.txt")
    info = probe(renamed)
    copy = tmp_path / "copy.bin"
    copy.write_bytes(renamed.read_bytes())
    assert info.kind == "video" and info.sha256 == probe(copy).sha256


def test_listing_is_sorted_recursive_and_refuses_nothing(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="no media file"):
        list_media(tmp_path)
    (tmp_path / "b").mkdir()
    (tmp_path / ".hidden").mkdir()
    for name in ("z.MP4", "b/a.wav", "b/readme.md", ".hidden/x.mp4"):
        (tmp_path / name).touch()
    assert list_media(tmp_path) == [tmp_path / "b/a.wav", tmp_path / "z.MP4"]
    with pytest.raises(MediaError, match="found nothing"):
        list_media(tmp_path / "absent")
