"""What every export shares: recordings, sides, refusals."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from emotion_llama.build.entry import ENTRIES
from emotion_llama.build.exchange.exports import EXPORTS, export_dataset
from emotion_llama.build.exchange.options import ExportOptions
from emotion_llama.errors import ManifestError, UsageError
from emotion_llama.output import MARKER
from tests.build.exchange.entries import dataset, entry, texts

KINDS = [pytest.param(kind, marks=pytest.mark.filterwarnings("ignore")) for kind in EXPORTS]


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_data_set_gives_the_same_bytes(tmp_path: Path, kind: str) -> None:
    source = dataset(tmp_path / "set", entry("a", part="train"), entry("b", part="test"))
    options = ExportOptions(media="copy")
    reports = [export_dataset(source, kind, tmp_path / name, options=options) for name in ("one", "two")]
    assert texts(tmp_path / "one") == texts(tmp_path / "two")
    assert reports[0].clips == 2 and not reports[0].left_out
    assert all((tmp_path / "one" / name).is_file() for name in reports[0].files)
    assert str(tmp_path / "one") not in str(texts(tmp_path / "one")), "a copy can be moved"
    assert json.loads((tmp_path / "one" / MARKER).read_text("utf-8"))["kind"] == kind


@pytest.mark.parametrize("kind", KINDS)
def test_a_missing_recording_is_left_out_of_a_copy(tmp_path: Path, kind: str) -> None:
    source = dataset(tmp_path / "set", entry("a"), entry("b"))
    (source / "clips" / "b.mp4").unlink()
    report = export_dataset(source, kind, tmp_path / "out", options=ExportOptions(media="copy"))
    (gone,) = report.left_out
    assert gone.clip == "b" and gone.reason.startswith("its recording is not there: ") and report.clips == 1


@pytest.mark.parametrize("kind", KINDS)
def test_not_a_data_set(tmp_path: Path, kind: str) -> None:
    (tmp_path / "set").mkdir()
    with pytest.raises(ManifestError, match=r"entries.jsonl: no such file; is .* a data set"):
        export_dataset(tmp_path / "set", kind, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


@pytest.mark.parametrize("kind", KINDS)
def test_half_a_line(tmp_path: Path, kind: str) -> None:
    source = dataset(tmp_path / "set", entry("a"), entry("b"))
    text = (source / ENTRIES).read_text("utf-8")
    (source / ENTRIES).write_text(text[: len(text) - 40], "utf-8")
    with pytest.raises(ManifestError, match=r"entries.jsonl:2: not an entry of a data set"):
        export_dataset(source, kind, tmp_path / "out")
    assert not (tmp_path / "out").exists(), "nothing half is left behind"


def test_sides(tmp_path: Path) -> None:
    source = dataset(tmp_path / "set", entry("a", part="train"), entry("b", part="test"), entry("c"))
    report = export_dataset(source, "manifest", tmp_path / "all")
    assert report.files == {"train.jsonl": 1, "test.jsonl": 1, "manifest.jsonl": 1}
    report = export_dataset(source, "manifest", tmp_path / "one", options=ExportOptions(parts=("test",)))
    assert report.files == {"test.jsonl": 1}
    with pytest.raises(UsageError, match="there is none in the asked parts"):
        export_dataset(source, "manifest", tmp_path / "none", options=ExportOptions(parts=("validation",)))


def test_one_recording_of_two_clips_is_copied_once(tmp_path: Path) -> None:
    path = Path("clips/long.mp4")
    entries = (entry("x", path=path, end_s=1.0), entry("y", path=path, start_s=1.0))
    export_dataset(
        dataset(tmp_path / "set", *entries), "manifest", tmp_path / "out", options=ExportOptions(media="copy")
    )
    assert [one.name for one in (tmp_path / "out" / "media").iterdir()] == ["x.mp4"]
    rows = [json.loads(line) for line in (tmp_path / "out" / "manifest.jsonl").read_text().splitlines()]
    assert [row["path"] for row in rows] == ["media/x.mp4", "media/x.mp4"]


def test_names_collide_once_the_ending_is_off(tmp_path: Path) -> None:
    entries = (entry(name, path=Path("clips", str(n), name)) for n, name in enumerate(("a.mp4", "a.mov", "A.mp4")))
    source = dataset(tmp_path / "set", *entries)
    export_dataset(source, "csv", tmp_path / "out", options=ExportOptions(media="copy"))
    assert sorted(path.name for path in (tmp_path / "out" / "media").iterdir()) == ["A-3.mp4", "a-2.mov", "a.mp4"]


def test_relative_paths_hold_from_the_export(tmp_path: Path) -> None:
    source = dataset(tmp_path / "set", entry("a"))
    for kind, name in (("llama-factory", "clips_video.json"), ("manifest", "manifest.jsonl"), ("csv", "clips.csv")):
        out = tmp_path / "exports" / kind
        export_dataset(source, kind, out, options=ExportOptions(media="relative"))
        assert "../../set/clips/a.mp4" in (out / name).read_text("utf-8")
        assert (out / "../../set/clips/a.mp4").is_file()


def test_taken_folders_and_unknown_formats(tmp_path: Path) -> None:
    source = dataset(tmp_path / "set", entry("a"))
    export_dataset(source, "csv", tmp_path / "out")
    with pytest.raises(UsageError, match="the folder is not empty; add --overwrite"):
        export_dataset(source, "csv", tmp_path / "out")
    export_dataset(source, "manifest", tmp_path / "out", overwrite=True)
    assert not (tmp_path / "out" / "clips.csv").exists()
    with pytest.raises(UsageError, match=r"--to lama-factory: expected one of merr, .*did you mean llama-factory"):
        export_dataset(source, "lama-factory", tmp_path / "new")


def test_options_are_checked() -> None:
    with pytest.raises(ValueError, match="tasks: expected at least one"):
        ExportOptions(tasks=())
    with pytest.raises(ValueError, match="unknown setting 'part' for ExportOptions; did you mean 'parts'"):
        ExportOptions.model_validate({"part": ["train"]})
