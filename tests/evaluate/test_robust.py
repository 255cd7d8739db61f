"""Robustness on the command line: what a model is asked about damaged clips, and other systems' answers to exports."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from emotion_llama.cli import app
from emotion_llama.clip import Analysis, Clip
from emotion_llama.errors import AssetMissingError, MediaError, UsageError
from emotion_llama.evaluate.asking import Ask
from emotion_llama.evaluate.records import Item, Report
from emotion_llama.evaluate.robustness.conditions import parse_conditions
from emotion_llama.evaluate.robustness.model import ModelAnswers, export, exported_robustness, model_robustness, scorer
from emotion_llama.evaluate.robustness.sweeps import RobustnessOptions, run_robustness
from emotion_llama.evaluate.scorers.labels import score_labels
from emotion_llama.evaluate.suite import Part, ScoreSettings, Suite
from emotion_llama.manifest import read_manifest
from emotion_llama.settings import AnalyzeSettings

LABELS = ("happy", "sad", "angry")
CLIPS = "abcd"
SETTINGS = ScoreSettings(draws=200)
SUITE = Suite(
    name="own", title="Own", needs="", access="", licence="", chance="", labels=LABELS, read=lambda path, choice: ()
)


class FakeModel:
    """Names the first label it is offered, or raises what `bad` holds; remembers what it was asked, and how."""

    def __init__(self, template: dict[str, Any], bad: dict[str, Exception] | None = None) -> None:
        self.template, self.bad = template, bad or {}
        self.asked: list[tuple[Clip, AnalyzeSettings]] = []

    def examine(self, clip: Clip, settings: AnalyzeSettings) -> Any:
        self.asked.append((clip, settings))
        if clip.clip in self.bad:
            raise self.bad[clip.clip]
        first = settings.labels[0]
        row = {"clip": clip.clip, "emotion": first, "probabilities": {first: 1.0}}
        return SimpleNamespace(analysis=Analysis.model_validate(self.template | row))


def answers(model: FakeModel, ask: Ask | None = None, **suite: Any) -> ModelAnswers:
    return ModelAnswers(model, replace(SUITE, **suite), ask or Ask())  # type: ignore[arg-type]


@pytest.fixture
def part(make_clip: Callable[..., Path]) -> Part:
    """Four recordings of a tone with words, all happy."""
    items = [
        Item(
            clip=Clip(
                clip=name,
                path=make_clip(f"{name}.wav", size=None, seconds=0.6),
                transcript="we shall see the sea again",
                emotion="happy",
                speaker=f"s{name}",
            )
        )
        for name in CLIPS
    ]
    return Part("tones", tuple(items), LABELS, score_labels)


def test_label_order_and_wording_reach_the_model(tmp_path: Path, part: Part, analysis_json: dict[str, Any]) -> None:
    model = FakeModel(analysis_json)
    conditions = parse_conditions("label-order,phrasing")
    report = run_robustness([part], conditions, answers(model), scorer(SETTINGS), tmp_path)
    clean, orders, phrasings = model.asked[:4], model.asked[4:28], model.asked[28:]
    assert {s.labels for _, s in clean} == {LABELS} and {s.label_orders for _, s in clean} == {4}
    assert {s.label_orders for _, s in orders} == {1}  # one order at a time
    offered = [s.labels for _, s in orders[::4]]
    assert offered[:2] == [LABELS, LABELS[::-1]] and all(sorted(one) == sorted(LABELS) for one in offered)
    assert [s.phrasing for _, s in phrasings[::4]] == [1, 2, 3, 4]
    assert {s.labels for _, s in phrasings} == {LABELS}
    order, phrasing = report.conditions
    # a model that names the first label is right about happy clips whenever happy comes first
    right = [1.0 if one[0] == "happy" else 0.0 for one in offered]
    assert [level.value.value for level in order.levels] == right
    assert order.changed is not None and order.changed.value == 1.0
    assert phrasing.changed is not None and phrasing.changed.value == 0.0


def test_missing_inputs_join_those_left_out_anyway(part: Part, analysis_json: dict[str, Any]) -> None:
    model = FakeModel(analysis_json)
    for left_out in (("audio",), ("audio", "text"), ("video", "audio")):
        answers(model)(part.items[:1], {"labels": LABELS, "without": left_out})
        assert model.asked[-1][1].without == left_out
    answers(model, Ask(without=("text",)))(part.items[:1], {"labels": LABELS, "without": ("audio",)})
    assert model.asked[-1][1].without == ("audio", "text")


def test_missing_together_with_without_is_refused_before_a_model_is_loaded(tmp_path: Path, part: Part) -> None:
    with pytest.raises(UsageError, match=r"missing leaves inputs out in turn.*\(snr-babble,"):
        model_robustness(SUITE, [(part, [None] * 4)], "quick", Ask("nowhere", without=("text",)), tmp_path, SETTINGS)


def test_recognition_errors_hand_over_the_damaged_words(
    tmp_path: Path, part: Part, analysis_json: dict[str, Any]
) -> None:
    model = FakeModel(analysis_json)
    run_robustness([part], parse_conditions("asr-errors"), answers(model), scorer(SETTINGS), tmp_path)
    clean, damaged = model.asked[:4], model.asked[4:]
    assert all(clip.transcript is None and settings.transcribe for clip, settings in clean)  # the suite: heard
    assert all(clip.transcript is not None and not settings.transcribe for clip, settings in damaged)
    assert {clip.transcript for clip, _ in damaged} - {"we shall see the sea again"}
    assert all(clip.emotion is None and clip.speaker is None for clip, _ in model.asked)


def test_only_the_suites_own_tasks_are_asked_again(part: Part, analysis_json: dict[str, Any]) -> None:
    model = FakeModel(analysis_json)
    answers(model, Ask(tasks=("emotion", "reason", "visual")))(part.items[:1], {"labels": LABELS})
    assert model.asked[0][1].tasks == ("emotion",)


def test_a_clip_that_fails_has_no_answer(tmp_path: Path, part: Part, analysis_json: dict[str, Any]) -> None:
    model = FakeModel(analysis_json, {"b": MediaError("b: too noisy to hear anything")})
    found = answers(model)(part.items, {"labels": LABELS})
    assert [one and one.emotion for one in found] == ["happy", None, "happy", "happy"]
    report = run_robustness([part], parse_conditions("telephone"), answers(model), scorer(SETTINGS), tmp_path)
    (telephone,) = report.conditions
    assert telephone.n == 4 and telephone.levels[0].value.value == 0.75
    missing = FakeModel(analysis_json, {"b": AssetMissingError("run: emotion-llama fetch nano")})
    with pytest.raises(AssetMissingError):
        answers(missing)(part.items, {"labels": LABELS})


def test_another_model_is_asked_anew_and_the_same_one_is_not(
    tmp_path: Path, part: Part, analysis_json: dict[str, Any]
) -> None:
    def asked(system: str) -> int:
        model = FakeModel(analysis_json)
        options = RobustnessOptions(settings=SETTINGS, system=system)
        run_robustness(
            [part], parse_conditions("telephone"), answers(model), scorer(SETTINGS), tmp_path / "out", options
        )
        return len(model.asked)

    assert [asked("one"), asked("one"), asked("two")] == [8, 0, 8]


def test_levels_are_scored_with_few_draws_and_never_fit_a_temperature(part: Part) -> None:
    seen: list[ScoreSettings] = []

    def spy(items: Any, predictions: Any, labels: Any, settings: ScoreSettings) -> Any:
        seen.append(settings)
        return score_labels(items, predictions, labels, settings)

    settings = ScoreSettings(draws=10_000, seed=3, validation=((), ()))
    scorer(settings)(replace(part, score=spy), [None] * 4)
    assert (seen[0].draws, seen[0].seed, seen[0].validation) == (200, 3, None)


def write_answers(folder: Path, said: dict[str, str], form: str = "jsonl") -> Path:
    path = folder / f"predictions.{form}"
    if form == "csv":
        path.write_text("clip,emotion\n" + "".join(f"{clip},{label}\n" for clip, label in said.items()))
    else:
        path.write_text("".join(json.dumps({"clip": c, "emotion": label}) + "\n" for c, label in said.items()))
    return path


def right_about(count: int) -> dict[str, str]:
    return {clip: "happy" if number < count else "sad" for number, clip in enumerate(CLIPS)}


def answer_exports(folder: Path) -> None:
    """A system that hears 4, 3, 2, 1 clips at falling bit rates, and 2 on the telephone."""
    write_answers(folder / "clean", right_about(4))
    write_answers(folder / "telephone-g711", right_about(2), "csv")
    for right, level in zip((4, 3, 2, 1), ("64", "32", "16", "8"), strict=True):
        write_answers(folder / f"mp3-{level}", right_about(right))


def test_exported_recordings_are_answered_and_scored(tmp_path: Path, part: Part) -> None:
    made = export(SUITE, [part], "telephone,mp3,label-order", tmp_path / "x", seed=0)
    assert sorted({level.condition for level in made.levels}) == ["clean", "mp3", "telephone"]
    clips = read_manifest(tmp_path / "x/tones/telephone-g711/manifest.jsonl")
    assert [clip.clip for clip in clips] == list(CLIPS) and all(clip.path and clip.path.is_file() for clip in clips)
    assert all(clip.emotion is None and clip.transcript is None and clip.speaker is None for clip in clips)
    answer_exports(tmp_path / "x/tones")
    report = exported_robustness([(part, [])], tmp_path / "x", SETTINGS)
    mp3, telephone = report.conditions
    assert [level.value.value for level in mp3.levels] == [1.0, 0.75, 0.5, 0.25]
    # by octaves: (.875 + .625 + .375) / 3
    assert mp3.area is not None and mp3.area.value == pytest.approx(0.625)
    assert (mp3.worst, mp3.difference and mp3.difference.value) == ("8", -0.75)
    assert telephone.area is None and telephone.changed is not None and telephone.changed.value == 0.5


def test_a_folder_without_exports_is_refused(tmp_path: Path, part: Part) -> None:
    with pytest.raises(UsageError, match="no exported recordings; export them first"):
        exported_robustness([(part, [])], tmp_path, SETTINGS)


@pytest.fixture
def manifest(tmp_path: Path, part: Part) -> Path:
    path = tmp_path / "m.csv"
    rows = [f"{item.clip.clip},{item.clip.path},{item.clip.emotion}" for item in part.items]
    path.write_text("clip,path,emotion\n" + "\n".join(rows) + "\n")
    return path


def evaluate(*words: str | Path) -> Any:
    return CliRunner().invoke(app, ["evaluate", "custom", "--labels", ",".join(LABELS), *map(str, words)])


def test_the_commands_go_full_circle(tmp_path: Path, manifest: Path) -> None:
    exports, out = tmp_path / "x", tmp_path / "out"
    first = evaluate("--data", manifest, "--export-corrupted", exports, "--robustness", "telephone,mp3")
    assert first.exit_code == 0, first.output
    assert "6 folders of recordings" in first.output and "score with --predictions" in first.output
    answer_exports(exports / "all")
    given = write_answers(tmp_path, right_about(4))
    words = ["--data", manifest, "--predictions", given, "--export-corrupted", exports, "--out", out]
    second = evaluate(*words, "--draws", "200")
    assert second.exit_code == 0, second.output
    report = Report.model_validate_json((out / "report.json").read_bytes())
    found = {one["condition"]: one for one in report.robustness["conditions"]}
    assert found["mp3"]["area"]["value"] == pytest.approx(0.625)
    assert found["telephone"]["levels"][0]["value"]["value"] == 0.5
    assert "MP3 round trip" in (out / "report.html").read_text(encoding="utf-8")
    assert (out / "figures/robustness-01.svg").is_file()
    told = " ".join(second.output.split())
    assert "Under damage: least relative area 0.625" in told
    assert "-0.750" in told and "(MP3 round trip 8 kbit/s)" in told


def test_robustness_of_a_predictions_file_says_what_to_do(tmp_path: Path, manifest: Path) -> None:
    given = write_answers(tmp_path, right_about(4))
    words = ["--data", manifest, "--predictions", given, "--robustness", "mp3", "--out", tmp_path / "out"]
    found = evaluate(*words, "--draws", "200")
    assert found.exit_code != 0
    assert isinstance(found.exception, UsageError) and "--export-corrupted DIR" in str(found.exception)
