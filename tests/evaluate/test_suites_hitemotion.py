from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from emotion_llama.datasets.hitemotion import TASKS
from emotion_llama.errors import ManifestError, UsageError
from emotion_llama.evaluate.matching import index, match
from emotion_llama.evaluate.predictions import Answers
from emotion_llama.evaluate.records import Prediction, Scored
from emotion_llama.evaluate.suite import Choice, Part, ScoreSettings
from emotion_llama.evaluate.suites.hitemotion import SUITE
from emotion_llama.evaluate.suites.micro_expression import SUITE as MICRO

FEW = ScoreSettings(draws=200)
CHOOSE = "Choose one of the following labels as your final answer: {}. Respond in the format: {{'emotion': 'label'}}."
GOLD: dict[str, Any] = {
    "accuracy": ["b", "a"],
    "judge": ["a reason", "another"],
    "DPTM": [{"techniques": ["Smears", "Loaded Language"]}, {"techniques": ["Smears"]}],
    "EBIA": ["{'emotion': 'sad', 'intent': 'wishing'}", "{'emotion': 'sad', 'intent': 'neutral'}"],
    "MABSA": ["{'Bowie': 'positive', 'Jareth': 'neutral'}", "{'Rome': 'neutral'}"],
    "MQE": ["[('J', 'tv', 'size', 'big', 'positive', 'why')]", "[]"],
    "MECPE": ["{'1': {'emotion': 'joy', 'cause_utterance_id': '1'}}", "{}"],
    "SFA": ["[]", "[]"],
}


def write_task(folder: Path, code: str, gold: list[Any], prompt: str = CHOOSE.format("a, b, c")) -> None:
    rows = [
        {"id": str(n), "video": f"v/{n}.mp4", "conversations": [{"value": prompt}, {"value": value}]}
        for n, value in enumerate(gold)
    ]
    (folder / f"{code}.json").write_text(json.dumps(rows), encoding="utf-8")


def part(folder: Path, code: str) -> Part:
    return next(p for p in SUITE.read(folder, Choice()) if p.name == code)


def score(part: Part, *answers: Prediction) -> Scored:
    matched = match(part.items, index(Answers(answers)), part.labels)
    return part.score(part.items, matched.predictions, part.labels, FEW)


def test_all_24_tasks_become_parts(tmp_path: Path) -> None:
    for task in TASKS:
        write_task(tmp_path, task.code, GOLD.get(task.code, GOLD.get(task.measure)))
    parts = SUITE.read(tmp_path, Choice())
    assert [p.name for p in parts] == [task.code for task in TASKS]
    names = [item.clip.clip for p in parts for item in p.items]
    assert len(set(names)) == 48
    for p in parts:
        scored = score(p, Prediction(clip=p.items[0].clip.clip, emotion="b"))
        assert scored.n_asked == 2
        assert all(name in scored.metrics for name in scored.headline)


def test_a_single_label_task_counts_malformed_answers_as_wrong(tmp_path: Path) -> None:
    write_task(tmp_path, "FESD", ["a", "a", "a", "b"])
    fesd = part(tmp_path, "FESD")
    assert fesd.labels == ("a", "b", "c")
    said = ["a", "b", "no idea", "B"]
    scored = score(fesd, *(Prediction(clip=f"FESD-{n}", emotion=word) for n, word in enumerate(said)))
    assert scored.metrics["war"].value == pytest.approx(2 / 4)
    assert scored.metrics["war_answered"].value == pytest.approx(2 / 3)
    assert scored.majority == pytest.approx(3 / 4)
    assert scored.chance == pytest.approx(1 / 3)
    assert "FESD: 450 items in the public file, 4 in this one." in scored.notes


def test_answers_of_one_task_do_not_count_for_another(tmp_path: Path) -> None:
    write_task(tmp_path, "FESD", ["a", "b"])
    scored = score(part(tmp_path, "FESD"), Prediction(clip="EER-0", emotion="a"), Prediction(clip="0", emotion="a"))
    assert scored.metrics["missing_rate"].value == 1


def test_labels_that_the_prompt_does_not_tell_are_those_of_the_truth(tmp_path: Path) -> None:
    write_task(tmp_path, "EER", ["Awe", "Fear"], prompt="Which?")
    eer = part(tmp_path, "EER")
    assert eer.labels == ("awe", "fear")
    scored = score(eer, Prediction(clip="EER-0", emotion="awe"))
    assert any("no list of labels was found in 2 of 2 prompts" in note for note in scored.notes)


def test_persuasion_techniques_with_constant_baselines(tmp_path: Path) -> None:
    write_task(tmp_path, "DPTM", GOLD["DPTM"])
    scored = score(
        part(tmp_path, "DPTM"),
        Prediction(clip="DPTM-0", emotion="{'techniques': ['Loaded Language']}"),
        Prediction(clip="DPTM-1", labels=("Smears", "Irony")),
    )
    assert scored.metrics["micro_f1"].value == pytest.approx(2 * 2 / (3 + 3))
    assert scored.metrics["micro_f1"].majority == pytest.approx(2 * 2 / (2 + 3))
    assert len(scored.per_class) == 22
    assert [problem.kind for problem in scored.problems] == ["unknown-label"]


def test_facts_are_read_from_text_in_the_benchmarks_form(tmp_path: Path) -> None:
    write_task(tmp_path, "MABSA", GOLD["MABSA"])
    scored = score(
        part(tmp_path, "MABSA"),
        Prediction(clip="MABSA-0", raw={"emotion": "Sure: {'Bowie': 'Positive', 'Jareth': 'negative'}"}),
        Prediction(clip="MABSA-1", emotion="neutral"),
    )
    assert scored.metrics["micro_f1"].value == pytest.approx(2 * 1 / (2 + 3))
    assert [(p.kind, p.clip) for p in scored.problems] == [("no-label", "MABSA-1")]


def test_emotion_and_intent_are_right_only_together(tmp_path: Path) -> None:
    write_task(tmp_path, "EBIA", GOLD["EBIA"])
    answers = [Prediction(clip=f"EBIA-{n}", labels=("emotion | sad", "intent | wishing")) for n in (0, 1)]
    scored = score(part(tmp_path, "EBIA"), *answers)
    assert scored.headline[0] == "exact_match"
    assert scored.metrics["exact_match"].value == 0.5
    assert scored.metrics["micro_f1"].value == 0.75


def test_tasks_for_a_judge_are_named_as_not_scored(tmp_path: Path) -> None:
    write_task(tmp_path, "EI", GOLD["judge"])
    scored = score(part(tmp_path, "EI"), Prediction(clip="EI-0", reasoning="because"))
    assert (scored.n_asked, scored.n_scored, scored.metrics) == (2, 0, {})
    assert "EI is not scored" in scored.notes[0]


def test_published_figures_below_the_baselines_are_said_to_be(tmp_path: Path) -> None:
    figures = {(p.system.split()[0], p.metric): p.value for p in SUITE.published}
    assert figures["Emotion-LLaMA", "FESD war"] == 0.3311
    assert ".5356" in SUITE.caution and ".5438" in SUITE.caution
    assert all(p.source for p in SUITE.published)


def manifest(tmp_path: Path, rows: list[str]) -> Path:
    path = tmp_path / "manifest.csv"
    path.write_text("\n".join(["clip,emotion,kind", *rows, ""]), encoding="utf-8")
    return path


def test_macro_and_micro_expressions_are_parts(tmp_path: Path) -> None:
    path = manifest(tmp_path, ["a.mp4,happy,macro", "b.mp4,sad,macro", "c.mp4,tense,micro", "d.mp4,sad,micro"])
    parts = MICRO.read(path, Choice())
    assert [(p.name, p.labels) for p in parts] == [("macro", ("happy", "sad")), ("micro", ("sad", "tense"))]
    answers = Answers(tuple(Prediction(clip=f"{name}.mp4", emotion="sad") for name in "abcd"))
    for p in parts:
        matched = match(p.items, index(answers), p.labels)
        assert p.score(p.items, matched.predictions, p.labels, FEW).metrics["war"].value == 0.5


def test_labels_can_be_given_for_both_kinds(tmp_path: Path) -> None:
    path = manifest(tmp_path, ["a.mp4,happy,macro", "c.mp4,sad,micro"])
    parts = MICRO.read(path, Choice(labels=("happy", "sad", "tense")))
    assert {p.labels for p in parts} == {("happy", "sad", "tense")}


@pytest.mark.parametrize(
    ("rows", "error", "message"),
    [
        (
            ["a.mp4,happy,Micro", "b.mp4,sad,macro"],
            ManifestError,
            "'a.mp4': expected kind macro or micro, found 'Micro'",
        ),
        (["a.mp4,happy,", "b.mp4,sad,macro"], ManifestError, "'a.mp4': expected kind macro or micro, found none"),
        (["a.mp4,happy,macro", "b.mp4,sad,micro"], UsageError, "only the label happy occurs in kind macro"),
        (["a.mp4,,macro"], ManifestError, "'a.mp4' has no emotion"),
    ],
)
def test_a_wrong_kind_is_named(tmp_path: Path, rows: list[str], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        MICRO.read(manifest(tmp_path, rows), Choice())


def test_prism_is_said_to_be_out_of_reach() -> None:
    assert "not public" in MICRO.access and "not PRISM's" in MICRO.caution
