"""Films: sound and picture stay together, times and sizes are kept, nothing half-written or unhidden stays behind."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from emotion_llama.analyze.analyzer import Result
from emotion_llama.analyze.render.encode import FilmWriter
from emotion_llama.analyze.render.film import FilmStyle, film_span_s, told, write_film
from emotion_llama.analyze.render.mark import Mark, film_mark
from emotion_llama.analyze.report import ReportMaterial
from emotion_llama.errors import OutputError, UsageError
from emotion_llama.measurements import FaceBox

FRAME_S = 1 / 25
EVEN = [at / 25 for at in range(50)]
UNEVEN = [0.0, 0.03, 0.2, 0.21, 0.5, 0.52, 0.7, 1.0, 1.04, 1.08, 1.2, 1.21, 1.5, 1.9]
AS_IT_IS = FilmStyle(drawing=False)

OfFile = Callable[..., Result]
Flash = Callable[..., Path]


class Finder:
    """Finds one face in the same place of each picture, or fails."""

    def __init__(self, box: tuple[float, float, float, float] | None) -> None:
        self.box = box

    def find(self, rgb: Any, fine: bool = False) -> list[FaceBox]:
        if self.box is None:
            raise RuntimeError("no detector")
        return [FaceBox(np.array(self.box, np.float32), np.zeros((6, 2), np.float32), 0.9)]


def moments_s(path: Path) -> tuple[float, float]:
    """When the picture flashes and when the sound begins, seconds."""
    with av.open(str(path)) as film:
        shown = next(f.time for f in film.decode(video=0) if f.to_ndarray(format="gray").mean() > 128)
    with av.open(str(path)) as film:
        for frame in film.decode(audio=0):
            loud = np.flatnonzero(np.abs(frame.to_ndarray()).max(axis=0) > 0.2)
            if len(loud):
                assert frame.time is not None and shown is not None
                return shown, frame.time + int(loud[0]) / frame.sample_rate
    raise AssertionError("silent")


def picture_times_s(path: Path) -> list[float]:
    with av.open(str(path)) as film:
        return [float(f.time) for f in film.decode(video=0) if f.time is not None]


@pytest.mark.parametrize(
    ("name", "times_s", "codec", "span_s", "moment_s"),
    [
        ("a.mp4", EVEN, "aac", (0.0, None), 1.0),
        ("a.mp4", EVEN, "aac", (0.5, 1.6), 1.0),
        ("a.mp4", EVEN, "aac", (0.51, 1.6), 1.0),
        ("a.mkv", EVEN, "libmp3lame", (0.0, None), 1.0),
        ("a.mkv", UNEVEN, "aac", (0.0, None), 1.0),
        ("a.mkv", UNEVEN, "aac", (0.6, None), 1.0),
        ("a.mov", EVEN, "pcm_s16le", (0.0, None), 0.4),
    ],
)
def test_picture_and_sound_stay_together(
    flash: Flash,
    of_file: OfFile,
    tmp_path: Path,
    name: str,
    times_s: list[float],
    codec: str,
    span_s: Any,
    moment_s: float,
) -> None:
    source = flash(name, times_s, moment_s, codec)
    out = tmp_path / "out.mp4"
    write_film(of_file(source, start_s=span_s[0], end_s=span_s[1]), out, FilmStyle())
    shown_s, heard_s = moments_s(out)
    assert abs(shown_s - (moment_s - span_s[0])) < 0.002
    assert abs(heard_s - shown_s) < FRAME_S / 2


def test_times_of_a_film_with_an_uneven_rate_are_kept(flash: Flash, of_file: OfFile, tmp_path: Path) -> None:
    source = flash("a.mkv", UNEVEN, 1.0)
    write_film(of_file(source), tmp_path / "out.mp4", FilmStyle())
    assert picture_times_s(tmp_path / "out.mp4") == pytest.approx(UNEVEN, abs=0.001)


def test_a_span_between_two_pictures_begins_with_a_picture(flash: Flash, of_file: OfFile, tmp_path: Path) -> None:
    source = flash("a.mp4", EVEN, 1.0)
    write_film(of_file(source, start_s=0.51, end_s=1.0), tmp_path / "out.mp4", AS_IT_IS)
    times_s = picture_times_s(tmp_path / "out.mp4")
    assert times_s[:2] == pytest.approx([0.0, 0.01], abs=0.001) and len(times_s) == 13
    with av.open(str(tmp_path / "out.mp4")) as film:
        assert film.duration is not None and film.duration / 1e6 == pytest.approx(0.5, abs=0.05)


def test_the_film_plays_everywhere(flash: Flash, of_file: OfFile, tmp_path: Path) -> None:
    source = flash("a.mp4", EVEN, 1.0, size=(66, 50))
    write_film(of_file(source), tmp_path / "out.mp4", FilmStyle())
    with av.open(str(tmp_path / "out.mp4")) as film:
        video, audio = film.streams.video[0], film.streams.audio[0]
        assert (video.codec_context.name, video.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert (audio.codec_context.name, audio.rate, audio.codec_context.layout.name) == ("aac", 24_000, "stereo")
    data = (tmp_path / "out.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


def test_a_turned_recording_is_upright_and_an_odd_size_even(make_clip: Any, of_file: OfFile, tmp_path: Path) -> None:
    source = make_clip("a.mp4", size=(64, 48), rotation=90, level=None)
    write_film(of_file(source), tmp_path / "out.mp4", FilmStyle())
    with av.open(str(tmp_path / "out.mp4")) as film:
        assert (film.streams.video[0].width, film.streams.video[0].height) == (48, 64) and not film.streams.audio
    Image.new("RGB", (33, 21), (200, 30, 40)).save(
        tmp_path / "odd.gif", save_all=True, append_images=[Image.new("RGB", (33, 21), (20, 30, 240))]
    )
    write_film(of_file(tmp_path / "odd.gif"), tmp_path / "odd.mp4", FilmStyle())
    with av.open(str(tmp_path / "odd.mp4")) as film:
        assert (film.streams.video[0].width, film.streams.video[0].height) == (34, 22)


def test_colours_are_kept(of_file: OfFile, tmp_path: Path, make_clip: Any) -> None:
    for size in ((64, 48), (1280, 720)):
        with av.open(str(tmp_path / "in.mp4"), "w") as out:
            video: Any = out.add_stream("libx264", rate=10)
            video.width, video.height, video.pix_fmt = *size, "yuv420p"
            picture = np.full((size[1], size[0], 3), (200, 60, 30), np.uint8)
            out.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            out.mux(video.encode(None))
        write_film(of_file(tmp_path / "in.mp4"), tmp_path / "out.mp4", AS_IT_IS)
        with av.open(str(tmp_path / "out.mp4")) as film:
            seen = next(film.decode(video=0)).to_ndarray(format="rgb24").reshape(-1, 3).mean(axis=0)
        assert np.abs(seen - (200, 60, 30)).max() < 5


def test_sound_alone_gets_a_moving_picture(make_clip: Any, of_file: OfFile, tmp_path: Path) -> None:
    source = make_clip("a.wav", size=None, seconds=2.0)
    result = of_file(source)
    write_film(
        Result(result.analysis.model_copy(update={"duration_s": 2.0}), result.material), tmp_path / "o.mp4", FilmStyle()
    )
    assert len(picture_times_s(tmp_path / "o.mp4")) == 30
    with av.open(str(tmp_path / "o.mp4")) as film:
        first, *_, last = [f.to_ndarray(format="gray").astype(int) for f in film.decode(video=0)]
        assert np.abs(first - last).max() > 50 and film.streams.audio


def test_a_still_picture_becomes_a_picture(of_file: OfFile, tmp_path: Path) -> None:
    Image.new("RGB", (200, 100), (200, 30, 40)).save(tmp_path / "in.png")
    for name in ("out.png", "out.jpg"):
        write_film(of_file(tmp_path / "in.png"), tmp_path / name, FilmStyle())
        assert Image.open(tmp_path / name).size == (200, 100)
        assert film_mark(tmp_path / name) == Mark(faces="shown", drawing=True)
    with pytest.raises(UsageError, match="is a still picture"):
        write_film(of_file(tmp_path / "in.png"), tmp_path / "out.mp4", FilmStyle())


def test_wrong_targets_are_told(flash: Flash, of_file: OfFile, tmp_path: Path) -> None:
    source = flash("a.mp4", EVEN, 1.0)
    before = source.read_bytes()
    with pytest.raises(UsageError, match="the recording itself"):
        write_film(of_file(source), source, FilmStyle(finder=Finder((1, 1, 9, 9))))
    assert source.read_bytes() == before
    with pytest.raises(UsageError, match=r"ends in \.mp4"):
        write_film(of_file(source), tmp_path / "out.avi", FilmStyle())
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="nothing was left behind"):
        write_film(of_file(source), tmp_path / "file" / "out.mp4", FilmStyle())
    with pytest.raises(UsageError, match="text alone"):
        write_film(of_file(None), tmp_path / "out.mp4", FilmStyle())  # type: ignore[arg-type]


def test_a_disk_that_takes_no_more_is_told_and_leaves_nothing(flash: Flash, of_file: OfFile, tmp_path: Path) -> None:
    resource = pytest.importorskip("resource", reason="needs limits of a process (Unix)")
    source = flash("a.mp4", EVEN, 1.0)
    out = tmp_path / "films" / "out.mp4"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    for most_bytes in (0, 5_000):
        resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, hard))
        try:
            with pytest.raises(OutputError, match=r"out\.mp4: .*nothing was left behind"):
                write_film(of_file(source), out, FilmStyle())
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert list(out.parent.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a disk that is always full")
def test_a_full_disk_is_named(tmp_path: Path) -> None:
    error = pytest.raises(OutputError, match="the disk is full")
    with error, told(tmp_path / "a.mp4"), FilmWriter(Path("/dev/full"), (64, 48), Fraction(25), None, "") as film:
        film.picture(np.zeros((48, 64, 3), np.uint8), 0.0)


def test_a_failed_film_leaves_no_earlier_one_that_shows_faces(flash: Flash, of_file: OfFile, tmp_path: Path) -> None:
    source, out = flash("a.mp4", EVEN, 1.0), tmp_path / "out.mp4"
    write_film(of_file(source), out, FilmStyle())
    with pytest.raises(RuntimeError):
        write_film(of_file(source), out, FilmStyle(finder=Finder(None)))
    assert not out.exists() and [p.name for p in tmp_path.iterdir()] == ["a.mp4"]
    hidden = FilmStyle(finder=Finder((10, 10, 20, 20)))
    write_film(of_file(source), out, hidden)
    assert film_mark(out) == Mark(faces="hidden", drawing=True)


def test_a_face_is_hidden_in_every_picture(of_file: OfFile, tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    pictures = draw.integers(0, 256, (12, 96, 128, 3), dtype=np.uint8)
    with av.open(str(tmp_path / "in.mkv"), "w") as out:
        video: Any = out.add_stream("ffv1", rate=10)
        video.width, video.height, video.pix_fmt = 128, 96, "bgr0"
        for picture in pictures:
            out.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(video.encode(None))
    write_film(of_file(tmp_path / "in.mkv"), tmp_path / "o.mp4", FilmStyle(False, Finder((50, 40, 80, 70))))
    with av.open(str(tmp_path / "o.mp4")) as film:
        seen = [frame.to_ndarray(format="gray")[40:70, 50:80].astype(float) for frame in film.decode(video=0)]
        assert len(seen) == 12
        assert max(np.abs(np.diff(one, axis=1)).mean() for one in seen) < 6  # noise has about 85


def test_the_span_of_a_film() -> None:
    assert film_span_s(ReportMaterial(start_s=2.0, duration_s=5.0)) == (2.0, None)
    assert film_span_s(ReportMaterial(start_s=2.0, end_s=3.0, duration_s=1.0)) == (2.0, 3.0)
    assert film_span_s(ReportMaterial(start_s=0.0, end_s=3.0, duration_s=60.0)) == (0.0, 60.0)
    assert film_span_s(ReportMaterial(start_s=2.0, end_s=3.0)) == (2.0, 3.0)
