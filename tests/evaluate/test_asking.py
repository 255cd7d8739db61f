"""Asking a model about a suite: the truth stays behind, runs resume, what fails is named, nothing is asked twice."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emotion_llama.analyze.folder import FolderRun
from emotion_llama.clip import Analysis, Clip, Observation
from emotion_llama.errors import AssetMissingError, MediaError, UsageError
from emotion_llama.evaluate.asking import Ask, ask_items, ask_parts, blind, file_name, settings_for
from emotion_llama.evaluate.predictions import read_predictions
from emotion_llama.evaluate.records import Item
from emotion_llama.evaluate.runner import Run, score_run
from emotion_llama.evaluate.scorers.labels import score_labels
from emotion_llama.evaluate.suite import Choice, Part, ScoreSettings, Suite
from emotion_llama.settings import AnalyzeSettings
from tests.analyze.folder_workers import load_fated

LABELS = ("happy", "sad")
ASK = Ask()
EVERYTHING = Clip(
    clip="c",
    path=Path("c.mp4"),
    start_s=1.0,
    end_s=2.0,
    transcript="I am fine",
    speaker="ann",
    emotion="sad",
    valence=-0.5,
    labels=("sad",),
    reasoning="She is sad.",
    observations=(Observation(channel="face", text="she frowns", source="human:ann03"),),
    groups={"sex": "female"},
)


class FakeModel:
    """Says "happy" to every clip, or raises what `bad` holds; remembers what it was asked, and how."""

    def __init__(self, template: dict[str, Any], bad: dict[str, BaseException] | None = None) -> None:
        self.template, self.bad, self.loads = template, bad or {}, 0
        self.asked: list[tuple[Clip, AnalyzeSettings]] = []

    def examine(self, clip: Clip, settings: AnalyzeSettings) -> Any:
        self.asked.append((clip, settings))
        if clip.clip in self.bad:
            raise self.bad[clip.clip]
        prompt = {"prompts": {"emotion": f"which of {', '.join(settings.labels)}?"}, "raw": {"emotion": "happy\u2028"}}
        return SimpleNamespace(analysis=Analysis.model_validate(self.template | prompt | {"clip": clip.clip}))

    def load(self, run: FolderRun, threads: int | None) -> Any:
        self.loads += 1
        return self

    @property
    def names(self) -> list[str]:
        return [clip.clip for clip, _ in self.asked]


def suite(**changes: Any) -> Suite:
    made = Suite(
        name="own", title="Own", needs="", access="", licence="", chance="", labels=LABELS, read=lambda path, choice: ()
    )
    return replace(made, **changes)


def part(names: str, name: str = "all", labels: Sequence[str] = LABELS) -> Part:
    clips = [EVERYTHING.model_copy(update={"clip": one, "path": Path(f"{one}.mp4")}) for one in names]
    return Part(name, tuple(Item(clip=clip) for clip in clips), tuple(labels), score_labels)


def predicted(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.open(encoding="utf-8")]


@pytest.mark.parametrize(
    ("words", "path", "transcript"),
    [
        ("given", Path("c.mp4"), "I am fine"),
        ("heard", Path("c.mp4"), None),
        ("none", Path("c.mp4"), None),
        ("none", None, "I am fine"),  # text alone: without its words nothing would be left
    ],
)
def test_only_the_recording_and_given_words_are_left(words: str, path: Path | None, transcript: str | None) -> None:
    left = blind(EVERYTHING.model_copy(update={"path": path}), words)
    assert left == Clip(clip="c", path=path, start_s=1.0, end_s=2.0, transcript=transcript)
    assert left.model_fields_set <= {"clip", "path", "start_s", "end_s", "transcript"}


@pytest.mark.parametrize(("suite_words", "own"), [("given", None), ("heard", None), ("none", None), ("heard", "given")])
def test_the_truth_never_reaches_the_model(
    suite_words: Any, own: str | None, tmp_path: Path, analysis_json: dict[str, Any]
) -> None:
    model = FakeModel(analysis_json)
    ask_parts(suite(words=suite_words), [part("ab")], Ask(words=own), tmp_path, model.load)
    words = own or suite_words
    for clip, settings in model.asked:
        assert (clip.speaker, clip.emotion, clip.valence, clip.labels, clip.reasoning) == (None,) * 5
        assert clip.observations == () and clip.groups == {}
        assert clip.transcript == ("I am fine" if words == "given" else None)
        assert settings.transcribe == (words == "heard")
        assert settings.labels == LABELS


def test_settings_are_the_suites_but_for_what_is_asked_otherwise() -> None:
    usual = settings_for(suite(tasks=("reason",)), LABELS, Ask(seed=5, label_orders=2, without=("video",)))
    assert usual == AnalyzeSettings(labels=LABELS, tasks=("reason",), without=("video",), label_orders=2, seed=5)
    changed = settings_for(suite(words="none"), LABELS, Ask(tasks=("emotion", "reason")), phrasing=3)
    assert (changed.tasks, changed.transcribe, changed.phrasing) == (("emotion", "reason"), False, 3)


def test_predictions_hold_every_part_and_one_model_is_loaded(tmp_path: Path, analysis_json: dict[str, Any]) -> None:
    model = FakeModel(analysis_json)
    parts = [part("ab", "one / first"), part("c", "two", ("sad", "happy"))]
    path, code = ask_parts(suite(), parts, ASK, tmp_path, model.load)
    assert (path, code, model.loads) == (tmp_path / "predictions.jsonl", 0, 1)
    rows = predicted(path)
    assert [row["clip"] for row in rows] == ["a", "b", "c"]
    prompts = ["which of happy, sad?"] * 2 + ["which of sad, happy?"]
    assert [row["prompts"]["emotion"] for row in rows] == prompts
    assert {folder.name for folder in (tmp_path / "answers").iterdir()} == {"one-first", "two"}
    assert [one.raw for one in read_predictions(path).predictions] == [{"emotion": "happy\u2028"}] * 3


@pytest.mark.parametrize("changes", [{"jobs": 2}, {"jobs": 2, "batch_size": 3}])
def test_workers_answer_every_part_as_one_process_does(
    changes: dict[str, Any], tmp_path: Path, analysis_json: dict[str, Any]
) -> None:
    loader = partial(load_fated, tmp_path, analysis_json)
    asked = [part("abc", "one"), part("de", "two")]
    named = [replace(one, items=tuple(_said(item) for item in one.items)) for one in asked]
    found = []
    for out, ask in ((tmp_path / "here", ASK), (tmp_path / "there", replace(ASK, **changes))):
        path, code = ask_parts(suite(), named, ask, out, loader)
        assert code == 0
        found.append(predicted(path))
    assert found[0] == found[1] and [row["clip"] for row in found[0]] == list("abcde")
    assert repr(ASK) == repr(replace(ASK, batch_size=3, engine="ray", address="here:1"))


def _said(item: Item) -> Item:
    return item.model_copy(update={"clip": item.clip.model_copy(update={"path": None, "transcript": "fine"})})


def test_a_killed_run_goes_on_where_it_stopped(tmp_path: Path, analysis_json: dict[str, Any]) -> None:
    killed = FakeModel(analysis_json, {"c": KeyboardInterrupt()})
    with pytest.raises(KeyboardInterrupt):
        ask_parts(suite(), [part("ab", "one"), part("cd", "two")], ASK, tmp_path, killed.load)
    assert killed.names == ["a", "b", "c"] and not (tmp_path / "predictions.jsonl").exists()
    again = FakeModel(analysis_json)
    path, code = ask_parts(suite(), [part("ab", "one"), part("cd", "two")], ASK, tmp_path, again.load)
    assert again.names == ["c", "d"] and code == 0
    assert [row["clip"] for row in predicted(path)] == ["a", "b", "c", "d"]
    done = FakeModel(analysis_json)
    ask_parts(suite(), [part("ab", "one"), part("cd", "two")], ASK, tmp_path, done.load)
    assert done.names == [] and done.loads == 0


def test_answers_about_clips_that_are_not_asked_now_are_kept_but_not_scored(
    tmp_path: Path, analysis_json: dict[str, Any]
) -> None:
    ask_parts(suite(), [part("abcd")], ASK, tmp_path, FakeModel(analysis_json).load)
    model = FakeModel(analysis_json)
    path, _ = ask_parts(suite(), [part("db")], ASK, tmp_path, model.load)
    assert [row["clip"] for row in predicted(path)] == ["d", "b"] and model.names == []
    ask_parts(suite(), [part("abcd")], ASK, tmp_path, model.load)
    assert model.names == []


def test_failed_clips_become_problems_of_the_report(tmp_path: Path, analysis_json: dict[str, Any]) -> None:
    model = FakeModel(analysis_json, {"b": MediaError("b.mp4: cut off; record it again")})
    asked = (part("abc"),)
    path, code = ask_parts(suite(), asked, ASK, tmp_path, model.load)
    assert code == 1
    run = Run(suite(), Choice(), tmp_path, asked, path, ScoreSettings(draws=100), "fake")
    report, _ = score_run(run)
    assert [(one.kind, one.clip) for one in report.problems] == [("failed-clip", "b")]
    assert "MediaError: b.mp4: cut off" in report.problems[0].message
    assert (report.n_asked, report.n_scored) == (3, 2)
    assert report.metrics["missing_rate"].value == pytest.approx(1 / 3)


def test_what_is_no_fault_of_a_clip_ends_the_run(tmp_path: Path, analysis_json: dict[str, Any]) -> None:
    model = FakeModel(analysis_json, {"a": AssetMissingError("run: emotion-llama fetch nano")})
    with pytest.raises(AssetMissingError, match="fetch nano"):
        ask_parts(suite(), [part("ab")], ASK, tmp_path, model.load)


def test_a_clip_twice_in_one_part_is_refused(tmp_path: Path, analysis_json: dict[str, Any]) -> None:
    model = FakeModel(analysis_json)
    with pytest.raises(UsageError, match=r"clip 'b' is asked twice in one part"):
        ask_items(suite(), part("abb").items, LABELS, ASK, tmp_path, loader=model.load)
    assert model.names == [] and model.loads == 0


def test_two_parts_may_share_a_clip_only_where_they_ask_the_same(tmp_path: Path, analysis_json: dict[str, Any]) -> None:
    model = FakeModel(analysis_json)
    with pytest.raises(UsageError, match=r"clip 'b' is asked in the parts 'one' and 'two'.*holds one of the parts"):
        ask_parts(suite(), [part("ab", "one"), part("bc", "two", ("sad", "calm"))], ASK, tmp_path, model.load)
    assert model.names == [] and list(tmp_path.iterdir()) == []
    path, _ = ask_parts(suite(), [part("ab", "one"), part("bc", "two")], ASK, tmp_path, model.load)
    assert [row["clip"] for row in predicted(path)] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("other", "named"),
    [({"label_orders": 1}, "label_orders"), ({"without": ("audio",)}, "without"), ({"model": "mine"}, "model")],
)
def test_other_settings_in_the_same_folder_are_refused(
    other: dict[str, Any], named: str, tmp_path: Path, analysis_json: dict[str, Any]
) -> None:
    ask_parts(suite(), [part("ab")], ASK, tmp_path, FakeModel(analysis_json).load)
    before = (tmp_path / "answers/all/analyses.jsonl").read_bytes()
    advice = rf"other settings \({named}\); choose another --out, or remove .*answers/all to forget them"
    with pytest.raises(UsageError, match=advice) as caught:
        ask_parts(suite(), [part("ab")], replace(ASK, **other), tmp_path, FakeModel(analysis_json).load)
    assert "--overwrite" not in str(caught.value)  # `evaluate` has no such flag
    assert (tmp_path / "answers/all/analyses.jsonl").read_bytes() == before


@given(st.text(max_size=40))
def test_a_parts_name_is_a_plain_folder(name: str) -> None:
    found = file_name(name)
    assert found and "/" not in found and "\0" not in found and found not in (".", "..")


def test_usual_part_names_stay_as_they_are() -> None:
    assert [file_name(name) for name in ("FESD", "ID VER", "../x", "")] == ["FESD", "ID-VER", "x", "all"]
