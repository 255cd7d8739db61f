"""Every kind of damage that a recording can have is found in a made one, and a sound one is left alone."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from PIL import Image

from emotion_llama.build.doctor.examine import examine
from emotion_llama.build.doctor.look import look_at
from emotion_llama.build.doctor.records import MEANINGS, DoctorReport, Finding, Kind
from emotion_llama.clip import Clip
from tests.build.doctor.recordings import STEP_MS, head, one_grey, record, speech


def look(path: Path, **fields: object) -> DoctorReport:
    return examine([Clip.model_validate({"clip": path.name, "path": path, **fields})])


def told(report: DoctorReport) -> set[tuple[str, str]]:
    return {(finding.kind, finding.severity) for finding in report.findings}


def only(report: DoctorReport) -> Finding:
    assert len(report.findings) == 1, report.findings
    return report.findings[0]


def _cut(path: Path, size: int) -> Path:
    short = path.with_name("short.mp4")
    short.write_bytes(path.read_bytes()[:size])
    return short


def test_a_sound_recording_is_left_alone(tmp_path: Path) -> None:
    for name in ("a.mp4", "a.mkv", "a.avi"):
        path = record(tmp_path / name, head(1), speech(1))
        report = look(path, transcript="kids are talking by the door", emotion="happy")
        assert report.findings == (), name
        assert (report.n_readable, report.compared_sound, report.compared_picture) == (1, 1, 1)
        assert not report.has_errors
    assert look(record(tmp_path / "a.wav", None, speech(1))).findings == ()


def test_missing_garbage_and_empty_files(tmp_path: Path) -> None:
    garbage, empty = tmp_path / "garbage.mp4", tmp_path / "empty.mp4"
    garbage.write_bytes(b"not a recording at all" * 50)
    empty.write_bytes(b"")
    assert told(look(tmp_path / "gone.mp4")) == {("missing", "error")}
    assert told(look(garbage)) == told(look(empty)) == told(look(tmp_path)) == {("broken", "error")}
    assert look(garbage).has_errors


def test_a_truncated_file(tmp_path: Path) -> None:
    whole = record(tmp_path / "whole.mp4", head(1), speech(1))
    headless = tmp_path / "headless.mp4"  # its table of contents stood at the end
    headless.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    assert told(look(headless)) == {("broken", "error")}
    fast = record(tmp_path / "fast.mp4", head(1), speech(1), options={"movflags": "+faststart"})
    fast.write_bytes(fast.read_bytes()[: fast.stat().st_size // 2])
    report = look(fast)
    assert ("cut-off", "error") in told(report)
    assert not look(_cut(fast, 2_600)).n_readable
    assert "its header says 2.4" in report.findings[0].words
    mkv = record(tmp_path / "whole.mkv", head(1), speech(1))
    mkv.write_bytes(mkv.read_bytes()[: mkv.stat().st_size // 2])
    assert {kind for kind, _ in told(look(mkv))} & {"cut-off", "damaged"}


def test_a_silent_clip(tmp_path: Path) -> None:
    path = record(tmp_path / "a.mp4", head(1), np.zeros(38_400, np.float32))
    assert told(look(path)) == {("silent", "warning")}
    said = look(path, transcript="hello there")
    assert told(said) == {("silent", "error")}
    assert "the transcript has words" in only(said).words
    hiss = record(tmp_path / "b.mp4", head(1), np.random.default_rng(0).normal(0, 3e-4, 38_400).astype(np.float32))
    assert told(look(hiss)) == {("silent", "warning")}
    quiet = record(tmp_path / "c.mp4", head(1), 0.02 * speech(1))
    assert told(look(quiet)) == set()


def test_a_stream_that_is_not_there(tmp_path: Path) -> None:
    assert told(look(record(tmp_path / "a.mp4", head(1)))) == {("no-sound", "warning")}
    assert told(look(record(tmp_path / "b.mp4", None, speech(1)))) == {("no-picture", "warning")}


def test_a_black_picture(tmp_path: Path) -> None:
    assert told(look(record(tmp_path / "a.mp4", one_grey(2), speech(1)))) == {("black", "error")}
    half = record(tmp_path / "b.mp4", head(1, 1.2) + one_grey(2, 1.2), speech(1))
    report = look(half)
    assert ("black", "warning") in told(report)
    assert "1.2 of 2.4 s are black" in report.findings[0].words
    assert told(look(record(tmp_path / "c.mp4", one_grey(240), speech(1)))) == {("plain", "error")}
    night = [(picture * 0.15).astype(np.uint8) for picture in head(1)]
    assert told(look(record(tmp_path / "d.mp4", night, speech(1)))) == set()


@pytest.mark.parametrize("crf", [20, 38])
def test_a_frozen_picture(tmp_path: Path, crf: int) -> None:
    still = record(tmp_path / "a.mp4", head(1)[:1] * 30, speech(1), crf=crf)
    assert told(look(still)) == {("frozen", "warning")}
    stuck = record(tmp_path / "b.mp4", head(1, 1.0) + head(1, 1.0)[-1:] * 24, speech(1, 2.9), crf=crf)
    finding = only(look(stuck))
    assert finding.kind == "frozen"
    # a coarse encoder goes on refining what stands still for some pictures
    assert 0.9 <= float(finding.words.split("from ")[1].split(" s")[0]) <= 1.7
    slow = [picture for picture in head(1)[::5] for _ in range(5)]  # one different picture each 0.4 s
    assert told(look(record(tmp_path / "c.mp4", slow, speech(1), crf=crf))) == set()


def test_sound_that_starts_late(tmp_path: Path) -> None:
    late = record(tmp_path / "late.mp4", head(1), speech(1)[: -round(0.6 * 16_000)], sound_at_s=0.6)
    finding = only(look(late))
    assert (finding.kind, finding.severity) == ("start-apart", "warning")
    assert float(finding.words.split()[3]) == pytest.approx(0.6, abs=0.07)
    assert "the sound starts" in finding.words
    assert told(look(record(tmp_path / "near.mp4", head(1), speech(1), sound_at_s=0.1))) == set()
    # a span that begins after both have started is in order
    assert told(look(late, start_s=1.0, end_s=2.2)) == set()


def test_sound_that_ends_early(tmp_path: Path) -> None:
    finding = only(look(record(tmp_path / "a.mp4", head(1), speech(1, 1.4))))
    assert finding.kind == "end-apart"
    assert finding.words.startswith("the picture goes on 0.9") or finding.words.startswith("the picture goes on 1.0")


def test_time_stamps(tmp_path: Path) -> None:
    hole = [number * STEP_MS + (1000 if number >= 15 else 0) for number in range(30)]
    report = look(record(tmp_path / "hole.mkv", head(1), speech(1, 3.4), times_ms=hole))
    assert ("gap", "warning") in told(report)
    assert any("no picture for 1.08 s from 1.12 s on" in finding.words for finding in report.findings)
    rng = np.random.default_rng(0)
    uneven = np.cumsum(rng.choice([40, 80, 120, 160], 30)).tolist()
    varying = look(record(tmp_path / "varying.mkv", head(1), speech(1, uneven[-1] / 1000), times_ms=uneven))
    assert told(varying) == {("variable-rate", "note")}


def test_a_name_that_says_something_else(tmp_path: Path) -> None:
    path = record(tmp_path / "a.mp4", head(1), speech(1)).rename(tmp_path / "a.avi")
    assert only(look(path)).words.startswith("the name ends in .avi, the content asks for .mp4")
    Image.fromarray(head(1)[0]).save(tmp_path / "a.png")
    assert told(look((tmp_path / "a.png").rename(tmp_path / "b.jpg"))) == {("suffix", "note")}


def test_spans_outside_the_recording(tmp_path: Path) -> None:
    path = record(tmp_path / "a.mp4", head(1), speech(1))
    assert told(look(path, start_s=5.0, end_s=6.0)) == {("span", "error")}
    assert told(look(path, start_s=1.0, end_s=9.0)) == {("span", "warning")}


def test_words_that_do_not_fit(tmp_path: Path) -> None:
    path = record(tmp_path / "a.mp4", head(1), speech(1))
    assert told(look(path, transcript="far too many words for it " * 4)) == {("words", "warning")}
    assert told(look(path, transcript="我" * 40)) == {("words", "warning")}
    assert told(look(path, transcript="我们今天不去了")) == set()


def test_still_pictures(tmp_path: Path) -> None:
    Image.fromarray(one_grey(0)[0]).save(tmp_path / "black.png")
    Image.fromarray(head(1)[0]).save(tmp_path / "head.jpg")
    assert told(look(tmp_path / "black.png")) == {("black", "error")}
    assert told(look(tmp_path / "head.jpg")) == set()


def test_text_alone_and_nothing_at_all() -> None:
    report = examine([Clip(clip="a", transcript="hello")])
    assert (report.findings, report.n_recordings, report.n_readable) == ((), 0, 0)
    empty = examine([])
    assert (empty.n_clips, empty.findings) == (0, ())


def test_whatever_a_decoder_does_is_a_finding(tmp_path: Path) -> None:
    class Unkind(dict):  # type: ignore[type-arg]
        def __contains__(self, key: object) -> bool:
            raise RuntimeError("a decoder of its own mind")

    path = record(tmp_path / "a.mp4", head(1), speech(1))
    found = look_at(Clip(clip="a", path=path), Unkind()).findings
    assert [(one.kind, one.severity) for one in found] == [("failed", "error")]
    assert "RuntimeError: a decoder of its own mind" in found[0].words


def test_a_bad_clip_does_not_end_the_run_and_two_jobs_find_the_same(tmp_path: Path) -> None:
    paths = [record(tmp_path / f"{number}.mp4", head(number), speech(number)) for number in range(3)]
    paths[1].write_bytes(b"broken" * 100)
    clips = [Clip(clip=path.name, path=path) for path in paths]
    seen: list[tuple[int, int]] = []
    alone = examine(clips, progress=lambda done, of: seen.append((done, of)))
    assert examine(clips, jobs=2) == alone
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert told(alone) == {("broken", "error")}
    assert (alone.n_readable, alone.clips_with, alone.kinds) == (2, {"error": 1}, {"broken": 1})


def test_every_kind_of_finding_says_what_to_do() -> None:
    assert set(MEANINGS) == set(get_args(Kind))
    assert all(meaning.title and meaning.do for meaning in MEANINGS.values())
