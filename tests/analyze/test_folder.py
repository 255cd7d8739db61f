"""A run over many clips: one line each, resumed after a kill, bad clips survived, other settings refused."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from filelock import FileLock

from emotion_llama.analyze.folder import FolderRun, check_writable, file_stem, file_stems, run_folder
from emotion_llama.analyze.formats import FORMATS
from emotion_llama.analyze.report import ReportMaterial
from emotion_llama.clip import Analysis, Clip
from emotion_llama.errors import AssetMissingError, ManifestError, MediaError, ModelError, OutputError, UsageError
from emotion_llama.settings import AnalyzeSettings
from tests.analyze.timeline.windows import of, window

if TYPE_CHECKING:
    from emotion_llama import EmotionLlama

SETTINGS = AnalyzeSettings(tasks=("emotion",))


class FakeModel:
    """Answers every clip with one analysis, or raises what `bad` holds for its name; remembers what it was asked."""

    def __init__(self, template: dict[str, Any], bad: dict[str, Exception] | None = None) -> None:
        self.template, self.bad = template, bad or {}
        self.asked: list[str] = []

    def examine(self, clip: Clip, settings: AnalyzeSettings) -> Any:
        self.asked.append(clip.clip)
        if clip.clip in self.bad:
            raise self.bad[clip.clip]
        analysis = Analysis.model_validate(self.template | {"clip": clip.clip})
        return SimpleNamespace(analysis=analysis, material=ReportMaterial())


def clips(names: str) -> list[Clip]:
    return [Clip(clip=f"{name}.mp4", path=Path(f"{name}.mp4")) for name in names]


def rows(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "analyses.jsonl").read_text(encoding="utf-8").splitlines()]


def go(fake: FakeModel, names: str, out: Path, **changes: Any) -> int:
    run = FolderRun(**({"out": out, "settings": SETTINGS} | changes))
    return run_folder(clips(names), run, lambda run, threads: fake)  # type: ignore[arg-type, return-value]


def test_one_line_a_clip(tmp_path: Path, analysis_json: dict[str, Any]) -> None:
    assert go(FakeModel(analysis_json), "abc", tmp_path / "deep" / "out") == 0
    assert [row["clip"] for row in rows(tmp_path / "deep" / "out")] == ["a.mp4", "b.mp4", "c.mp4"]


class Together(FakeModel):
    """Looks at clips first; answers those together that wait."""

    def look(self, clip: Clip, settings: AnalyzeSettings) -> str:
        self.asked.append(clip.clip)
        if clip.clip in self.bad:
            raise self.bad[clip.clip]
        return clip.clip

    def answer_together(self, clips: list[str]) -> list[Any]:
        return [self._answer(clip) for clip in clips]

    def _answer(self, clip: str) -> Any:
        if clip == "c.mp4":
            return ModelError("too long")
        analysis = Analysis.model_validate(self.template | {"clip": clip})
        return SimpleNamespace(analysis=analysis, material=ReportMaterial())


def test_side_by_side_single_bad_clips_are_survived_and_tried_again(
    tmp_path: Path, analysis_json: dict[str, Any]
) -> None:
    model = Together(analysis_json, {"b.mp4": MediaError("bad")})
    assert go(model, "abcde", tmp_path, batch_size=3) == 1
    found = {row["clip"]: row.get("error") for row in rows(tmp_path)}
    assert found["b.mp4"] == {"type": "MediaError", "message": "bad"}
    assert found["c.mp4"] == {"type": "ModelError", "message": "too long"}
    assert len(found) == 5 and not found["a.mp4"] and not found["d.mp4"] and not found["e.mp4"]
    assert go(Together(analysis_json), "abcde", tmp_path, batch_size=3) == 1
    assert [row["clip"] for row in rows(tmp_path)][3:] == ["b.mp4", "c.mp4"]


def test_side_by_side_what_would_fail_every_clip_ends_the_run(tmp_path: Path, analysis_json: dict[str, Any]) -> None:
    with pytest.raises(AssetMissingError):
        go(Together(analysis_json, {"b.mp4": AssetMissingError("fetch nano")}), "abd", tmp_path, batch_size=2)
    assert [row["clip"] for row in rows(tmp_path)] in ([], ["a.mp4"])


def test_windows_of_each_clip_are_written_as_they_come(tmp_path: Path, analysis_json: dict[str, Any]) -> None:
    class OverTime(FakeModel):
        def examine(self, clip: Clip, settings: AnalyzeSettings, on_window: Any = None) -> Any:
            for at in range(3):
                on_window(window(3.0 * at, of(0.7)), None)
            assert len((tmp_path / f"{clip.clip[0]}.timeline.jsonl").read_text().splitlines()) == 3
            return super().examine(clip, settings)

    settings = SETTINGS.model_copy(update={"timeline": True})
    assert go(OverTime(analysis_json, {"b.mp4": MediaError("bad")}), "abc", tmp_path, settings=settings) == 1
    assert len(rows(tmp_path)) == 3 and (tmp_path / "c.timeline.jsonl").is_file()
    with pytest.raises(UsageError, match="other settings"):
        go(OverTime(analysis_json), "abc", tmp_path)


def test_a_second_run_asks_for_new_clips_only(tmp_path: Path, analysis_json: dict[str, Any]) -> None:
    go(FakeModel(analysis_json), "ab", tmp_path)
    again = FakeModel(analysis_json)
    assert go(again, "abc", tmp_path) == 0
    assert again.asked == ["c.mp4"] and len(rows(tmp_path)) == 3
    assert go(again, "abc", tmp_path) == 0 and again.asked == ["c.mp4"]


def test_each_format_is_a_file_a_clip_or_one_for_all(tmp_path: Path, analysis_json: dict[str, Any]) -> None:
    bad = FakeModel(analysis_json, {"b.mp4": MediaError("no such file")})
    assert go(bad, "abc", tmp_path, formats=FORMATS) == 1
    found = sorted(path.name for path in tmp_path.iterdir() if not path.name.startswith("."))
    endings = ("TextGrid", "eaf", "html", "openface.csv", "srt", "vtt")
    assert found == sorted(
        ["run.json", "analyses.jsonl", "analyses.csv", "analyses.long.csv", "analyses.parquet"]
        + [f"{clip}.{ending}" for clip in "ac" for ending in endings]
    )
    with (tmp_path / "analyses.long.csv").open(encoding="utf-8") as file:
        assert {row["clip"] for row in csv.DictReader(file)} == {"a.mp4", "b.mp4", "c.mp4"}


def test_a_format_that_an_earlier_run_did_not_write_is_written(tmp_path: Path, analysis_json: dict[str, Any]) -> None:
    go(FakeModel(analysis_json), "ab", tmp_path, formats=("json", "vtt"))
    (tmp_path / "b.vtt").unlink()
    again = FakeModel(analysis_json)
    assert go(again, "ab", tmp_path, formats=("vtt",)) == 0 and again.asked == ["b.mp4"]
    assert go(again, "ab", tmp_path, formats=("srt", "csv")) == 0 and again.asked == ["b.mp4", "a.mp4", "b.mp4"]
    assert (tmp_path / "a.srt").is_file() and [row["clip"] for row in rows(tmp_path)] == ["a.mp4", "b.mp4"]
    assert go(again, "ab", tmp_path, formats=("json", "csv-long")) == 0 and len(again.asked) == 3


def test_a_half_written_last_line_is_dropped_and_done_again(tmp_path: Path, analysis_json: dict[str, Any]) -> None:
    go(FakeModel(analysis_json), "abc", tmp_path)
    path = tmp_path / "analyses.jsonl"
    path.write_bytes(path.read_bytes()[:-40])
    again = FakeModel(analysis_json)
    assert go(again, "abc", tmp_path) == 0
    assert again.asked == ["c.mp4"]
    assert [row["clip"] for row in rows(tmp_path)] == ["a.mp4", "b.mp4", "c.mp4"]


def test_a_broken_line_in_the_middle_is_told_not_dropped(tmp_path: Path, analysis_json: dict[str, Any]) -> None:
    go(FakeModel(analysis_json), "ab", tmp_path)
    path = tmp_path / "analyses.jsonl"
    path.write_bytes(b"{half\n" + path.read_bytes())
    before = path.read_bytes()
    with pytest.raises(ManifestError, match=r"analyses\.jsonl, line 1"):
        go(FakeModel(analysis_json), "ab", tmp_path)
    assert path.read_bytes() == before


def test_a_bad_clip_is_recorded_and_tried_again(
    tmp_path: Path, analysis_json: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    bad = FakeModel(analysis_json, {"b.mp4": MediaError("b.mp4: no such file; check the name")})
    assert go(bad, "abc", tmp_path) == 1
    assert bad.asked == ["a.mp4", "b.mp4", "c.mp4"]
    assert rows(tmp_path)[1] == {
        "clip": "b.mp4", "error": {"type": "MediaError", "message": "b.mp4: no such file; check the name"},
    }  # fmt: skip
    told = capsys.readouterr().err
    assert "2 of 3 clips analysed" in told and "failed: b.mp4: b.mp4: no such file; check the name" in told
    mended = FakeModel(analysis_json)
    assert go(mended, "abc", tmp_path) == 0
    assert mended.asked == ["b.mp4"]
    assert sorted(row["clip"] for row in rows(tmp_path) if "error" not in row) == ["a.mp4", "b.mp4", "c.mp4"]
    assert len(rows(tmp_path)) == 3


def test_a_fault_of_ours_costs_one_clip_and_is_logged(
    tmp_path: Path, analysis_json: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    assert go(FakeModel(analysis_json, {"a.mp4": ZeroDivisionError("division by zero")}), "ab", tmp_path) == 1
    failed, good = rows(tmp_path)
    assert failed["error"] == {"type": "ZeroDivisionError", "message": "division by zero"}
    assert good["emotion"] == "happy"
    assert "a.mp4: unexpected error" in caplog.text and "Traceback" in caplog.text


@pytest.mark.parametrize("error", [AssetMissingError("run: emotion-llama fetch nano"), OutputError("disk is full")])
def test_what_would_fail_every_clip_ends_the_run(
    error: Exception, tmp_path: Path, analysis_json: dict[str, Any]
) -> None:
    model = FakeModel(analysis_json, {"b.mp4": error})
    with pytest.raises(type(error), match=str(error)):
        go(model, "abc", tmp_path)
    assert model.asked == ["a.mp4", "b.mp4"]
    assert [row["clip"] for row in rows(tmp_path)] == ["a.mp4"]


def test_other_settings_or_model_are_refused_and_lose_nothing(tmp_path: Path, analysis_json: dict[str, Any]) -> None:
    go(FakeModel(analysis_json), "ab", tmp_path)
    before = (tmp_path / "analyses.jsonl").read_bytes()
    with pytest.raises(UsageError, match=r"other settings \(labels, seed\); choose another --out, or --overwrite"):
        go(FakeModel(analysis_json), "ab", tmp_path, settings=AnalyzeSettings(tasks=("emotion",), seed=1, labels=()))
    with pytest.raises(UsageError, match=r"other settings \(model\)"):
        go(FakeModel(analysis_json), "ab", tmp_path, model="elsewhere")
    assert (tmp_path / "analyses.jsonl").read_bytes() == before


@pytest.mark.parametrize("content", [None, "{half"])
def test_results_of_unknown_settings_are_refused(
    content: str | None, tmp_path: Path, analysis_json: dict[str, Any]
) -> None:
    go(FakeModel(analysis_json), "a", tmp_path)
    (tmp_path / "run.json").unlink()
    if content is not None:
        (tmp_path / "run.json").write_text(content)
    with pytest.raises(UsageError, match=r"run\.json: expected the settings of the results beside it"):
        go(FakeModel(analysis_json), "a", tmp_path)


def test_results_from_before_a_setting_was_there_go_on(tmp_path: Path, analysis_json: dict[str, Any]) -> None:
    go(FakeModel(analysis_json), "ab", tmp_path)
    record = json.loads((tmp_path / "run.json").read_text())
    del record["settings"]["verified"]
    (tmp_path / "run.json").write_text(json.dumps(record))
    again = FakeModel(analysis_json)
    assert go(again, "abc", tmp_path) == 0 and again.asked == ["c.mp4"]
    with pytest.raises(UsageError, match=r"other settings \(verified\)"):
        go(again, "abc", tmp_path, settings=AnalyzeSettings(tasks=("emotion",), verified=True))


def test_overwrite_forgets(tmp_path: Path, analysis_json: dict[str, Any]) -> None:
    go(FakeModel(analysis_json), "ab", tmp_path)
    again = FakeModel(analysis_json)
    assert go(again, "bc", tmp_path, settings=AnalyzeSettings(seed=1), overwrite=True) == 0
    assert [row["clip"] for row in rows(tmp_path)] == ["b.mp4", "c.mp4"] and again.asked == ["b.mp4", "c.mp4"]
    assert json.loads((tmp_path / "run.json").read_text())["settings"]["seed"] == 1


def test_csv_holds_every_clip_of_this_run(tmp_path: Path, analysis_json: dict[str, Any]) -> None:
    go(FakeModel(analysis_json), "ab", tmp_path)
    bad = FakeModel(analysis_json, {"c.mp4": MediaError("cut off")})
    assert go(bad, "bc", tmp_path, formats=("csv",)) == 1
    with (tmp_path / "analyses.csv").open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    assert [(row["clip"], row["emotion"], row["error"]) for row in table] == [
        ("b.mp4", "happy", ""),
        ("c.mp4", "", "MediaError: cut off"),
    ]


def test_an_unwritable_folder_is_named_before_anything_is_loaded(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(OutputError, match=r"cannot write results there.*choose another --out"):
        run_folder(clips("a"), FolderRun(blocked / "out", SETTINGS), lambda run, threads: pytest.fail("loaded"))
    if os.geteuid() != 0:  # root may write anywhere
        tmp_path.chmod(0o500)
        with pytest.raises(OutputError):
            check_writable(tmp_path / "new")
        tmp_path.chmod(0o700)


def test_two_runs_in_one_folder_are_kept_apart(tmp_path: Path, analysis_json: dict[str, Any]) -> None:
    with FileLock(tmp_path / ".lock"), pytest.raises(UsageError, match="another run is writing results there"):
        go(FakeModel(analysis_json), "a", tmp_path)
    assert go(FakeModel(analysis_json), "a", tmp_path) == 0


def test_file_names_are_plain_and_each_ones_own() -> None:
    assert file_stem("/data/x/y/z/a.b.mp4") == "y__z__a.b"
    assert file_stem("../a.mp4") == "a"
    assert file_stem("..") == "clip"
    assert len(file_stem("é" * 300).encode()) < 200
    many = [Clip(clip=name) for name in ("d/a.mp4", "d/a.wav", "D/A.mov", "d/a-2.mp4", "b.mp4")]
    stems = file_stems(many)
    assert stems[:3] == ["d__a", "d__a-2", "D__A-3"] and stems[4] == "b"
    assert len({stem.casefold() for stem in stems}) == 5
    assert all("/" not in stem for stem in stems)


SLOW_RUN = """
import json, sys, time
from pathlib import Path
from types import SimpleNamespace
from emotion_llama.analyze.folder import FolderRun, run_folder
from emotion_llama.analyze.formats import FORMATS
from emotion_llama.analyze.report import ReportMaterial
from emotion_llama.clip import Analysis, Clip
from emotion_llama.settings import AnalyzeSettings

class Slow:
    def examine(self, clip, settings):
        time.sleep(0.05)
        return SimpleNamespace(analysis=Analysis.model_validate(template | {"clip": clip.clip}), material=None)

template = json.loads(sys.argv[2])
clips = [Clip(clip=f"{n}.mp4", path=Path(f"{n}.mp4")) for n in range(200)]
run = FolderRun(Path(sys.argv[1]), AnalyzeSettings(tasks=("emotion",)))
sys.exit(run_folder(clips, run, lambda run, threads: Slow()))
"""


def test_a_run_killed_half_way_goes_on_where_it_stopped(tmp_path: Path, analysis_json: dict[str, Any]) -> None:
    path = tmp_path / "analyses.jsonl"
    process = subprocess.Popen([sys.executable, "-c", SLOW_RUN, str(tmp_path), json.dumps(analysis_json)])
    try:
        wait_for_lines(path, 3)
        with pytest.raises(UsageError, match="another run"):  # while it is running
            go(FakeModel(analysis_json), "a", tmp_path)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    survived = path.read_bytes().count(b"\n")
    assert 3 <= survived < 200
    model = FakeModel(analysis_json)
    names = [Clip(clip=f"{n}.mp4", path=Path(f"{n}.mp4")) for n in range(survived + 2)]
    assert run_folder(names, FolderRun(tmp_path, SETTINGS), lambda run, threads: model) == 0  # type: ignore[arg-type, return-value]
    assert model.asked == [clip.clip for clip in names[survived:]]
    assert [row["clip"] for row in rows(tmp_path)] == [clip.clip for clip in names]


def wait_for_lines(path: Path, count: int) -> None:
    for _ in range(600):
        if path.exists() and path.read_bytes().count(b"\n") >= count:
            return
        time.sleep(0.05)
    pytest.fail(f"{path} never had {count} lines")


@pytest.mark.weights
@pytest.mark.slow
def test_two_jobs_give_the_lines_of_one(
    tmp_path: Path, nano: EmotionLlama, model_name: str, faces_picture: Path
) -> None:
    asked: Sequence[Clip] = [
        Clip(clip="one", transcript="I am so happy today"),
        Clip(clip="two", transcript="Leave me alone!"),
        Clip(clip="three", path=faces_picture),
        Clip(clip="gone.mp4", path=tmp_path / "gone.mp4"),
    ]
    found = {}
    for jobs in (1, 2):
        out = tmp_path / str(jobs)
        run = FolderRun(out, SETTINGS, model=model_name, device="cpu", jobs=jobs, formats=("json", "html"))
        assert (run_folder(asked, run) if jobs > 1 else run_folder(asked, run, lambda run, threads: nano)) == 1
        assert (out / "three.html").stat().st_size > 1000 and not (out / "gone.html").exists()
        found[jobs] = {row["clip"]: row for row in rows(out)}
    assert found[1].keys() == found[2].keys() == {clip.clip for clip in asked}
    assert found[1]["gone.mp4"] == found[2]["gone.mp4"]
    for name in ("one", "two", "three"):
        one, two = found[1][name], found[2][name]
        assert two["probabilities"] == pytest.approx(one["probabilities"], abs=0.01)
        assert {key for key in one if one[key] != two[key]} <= {
            "timings_s",
            "probabilities",
            "label_scores",
            "confidence",
            "valence",
            "order_sensitivity",
            "warnings",
        }  # fmt: skip  (another number of threads adds in another order: the last digits differ)
