"""What a list says by itself, where lists come from, and how a report is shown and written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from emotion_llama.build.doctor.examine import examine, write_report
from emotion_llama.build.doctor.records import DoctorReport
from emotion_llama.build.doctor.sources import read_clips
from emotion_llama.build.doctor.table import report_text
from emotion_llama.build.entry import ENTRIES, CoarseLabel, Entry, write_lines
from emotion_llama.clip import Clip
from emotion_llama.errors import ManifestError, OutputError, UsageError
from emotion_llama.manifest import write_manifest
from tests.build.doctor.recordings import record, speech


def words(report: DoctorReport, kind: str) -> list[str]:
    return [finding.words for finding in report.findings if finding.kind == kind]


def row(number: int, part: str = "train", **fields: object) -> Clip:
    return Clip.model_validate({"clip": f"c{number}", "transcript": "x", "groups": {"part": part}, **fields})


def test_speakers_and_names_in_two_parts() -> None:
    rows = [row(0, speaker="Joey"), row(1, speaker="Joey"), row(2, "test", speaker="Joey"), row(3, speaker="Ross")]
    report = examine([*rows, row(0, "test"), row(3)])
    assert words(report, "speaker-in-two-parts") == ["speaker Joey: 1 in test, 2 in train"]
    assert [(f.clip, f.severity) for f in report.findings if f.kind == "clip-in-two-parts"] == [("c0", "error")]
    assert [(f.clip, f.severity) for f in report.findings if f.kind == "listed-twice"] == [("c3", "warning")]
    assert report.parts == {"train": 4, "test": 2}


def test_class_balance_against_numpy() -> None:
    rng = np.random.default_rng(0)
    emotions = rng.choice(["neutral", "happy", "fear"], 600, p=[0.7, 0.28, 0.02]).tolist()
    report = examine([row(number, emotion=emotion) for number, emotion in enumerate(emotions)])
    names, counts = np.unique(emotions, return_counts=True)
    assert report.classes == dict(zip(names.tolist(), counts.tolist(), strict=True))
    most, least = int(counts.max()), int(counts.min())
    assert words(report, "class-balance") == [
        f"neutral has {most} clips, fear {least}: {most / least:.0f} times as many",
        f"fear: {least} of 600 clips ({least / 600:.1%})",
    ]
    even = [row(number, emotion=("sad", "angry")[number % 2]) for number in range(40)]
    assert examine(even).findings == ()


def test_a_class_that_a_part_has_not() -> None:
    rows = [row(n, emotion=("sad", "angry")[n % 2]) for n in range(20)] + [row(30, "test", emotion="sad")]
    assert words(examine(rows), "class-balance") == ["test has no clip of angry"]


def test_lists_from_manifests_folders_and_data_sets(tmp_path: Path) -> None:
    (tmp_path / "media").mkdir()
    path = record(tmp_path / "media" / "a.wav", None, speech(1))
    for name in ("train", "test"):
        write_manifest([Clip(clip=name, path=path, emotion="sad")], tmp_path / f"{name}.csv")
    lists = read_clips([tmp_path / "train.csv", tmp_path / "test.csv"])
    assert [(clip.clip, clip.groups) for clip in lists] == [("train", {"part": "train"}), ("test", {"part": "test"})]
    assert read_clips([tmp_path / "train.csv"])[0].groups == {}
    assert [clip.path for clip in read_clips([tmp_path / "media"])] == [path]
    assert [clip.path for clip in read_clips([path])] == [path]
    entry = Entry(clip=Clip(clip="a", path=Path("media/a.wav"), reasoning="long"), part="validation",
                  coarse=CoarseLabel(emotion="happy"))  # fmt: skip
    write_lines([entry], tmp_path / ENTRIES)
    for source in (tmp_path, tmp_path / ENTRIES):
        (clip,) = read_clips([source])
        assert (clip.path, clip.groups, clip.emotion) == (path, {"part": "validation"}, "happy")
        assert clip.reasoning is None
    assert examine(tmp_path).findings == ()
    with pytest.raises(UsageError, match="nothing to examine"):
        read_clips([])


def test_a_data_set_without_entries_or_with_a_damaged_line(tmp_path: Path) -> None:
    (tmp_path / ENTRIES).write_text("", encoding="utf-8")
    report = examine(tmp_path)
    assert (report.n_clips, report.findings) == (0, ())
    assert "0 clips" in report_text(report)
    (tmp_path / ENTRIES).write_text("{}\n", encoding="utf-8")
    with pytest.raises(ManifestError, match=r"entries\.jsonl:1"):
        examine(tmp_path)


def test_the_table_and_the_file(tmp_path: Path) -> None:
    rows = [Clip(clip=f"clip{number}\x1b[31m", path=tmp_path / f"gone{number}.mp4") for number in range(8)]
    report = examine([*rows, row(9, speaker="a"), row(10, "test", speaker="a")])
    text = report_text(report, most=3)
    assert text.startswith("10 clips, 0 of 8 recordings readable: 8 errors, 1 warning, 0 notes\n")
    assert "ERROR    the recording is not there (8)" in text
    assert "… and 5 more" in text
    assert "→ put the file there" in text
    assert "\x1b" not in text
    assert text.index("ERROR") < text.index("WARNING")
    write_report(report, tmp_path / "report.json")
    assert DoctorReport.model_validate_json((tmp_path / "report.json").read_bytes()) == report
    with pytest.raises(OutputError, match="nowhere"):
        write_report(report, tmp_path / "nowhere" / "report.json")


def test_what_was_not_looked_at_is_said() -> None:
    notes = " ".join(examine([Clip(clip="a", transcript="x")]).notes)
    assert "which part" in notes
    assert "has an emotion" in notes
