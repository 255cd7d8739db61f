"""Predictions of any system: read, matched, and everything wrong with them named with line and clip."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emotion_llama.clip import Clip
from emotion_llama.errors import ManifestError
from emotion_llama.evaluate.matching import index, match, unknown_clips
from emotion_llama.evaluate.predictions import Answers, read_predictions
from emotion_llama.evaluate.records import Item, Prediction, Problem

LABELS = ("happy", "sad", "neutral")


def items(*names: str) -> list[Item]:
    return [Item(clip=Clip(clip=name, emotion="happy")) for name in names]


def written(folder: Path, *rows: dict[str, Any] | str) -> Path:
    path = folder / "p.jsonl"
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def matched(path: Path, *names: str, labels: tuple[str, ...] = LABELS) -> tuple[list[Prediction | None], list[Problem]]:
    answers = read_predictions(path)
    found = match(items(*names), index(answers), labels)
    return found.predictions, [*answers.problems, *index(answers).problems, *found.problems]


def only(problems: list[Problem]) -> Problem:
    (problem,) = problems
    return problem


def test_the_plainest_file_is_enough(tmp_path: Path) -> None:
    found, problems = matched(written(tmp_path, {"clip": "a", "emotion": "sad", "mood": 3}), "a")
    assert found[0] is not None and (found[0].emotion, found[0].line) == ("sad", 1)
    assert problems == []


def test_csv_with_probabilities_reads_as_json_does(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text('clip,emotion,p_happy,p_sad,p_neutral,labels,reasoning\na,sad,.25,.5,.25,sad;tired,"he, I"\n')
    (found,), problems = matched(path, "a")
    assert found is not None and problems == []
    assert found.probabilities == {"happy": 0.25, "sad": 0.5, "neutral": 0.25}
    assert (found.labels, found.reasoning) == (("sad", "tired"), "he, I")


def test_synonyms_case_and_sentences_are_read_as_labels_of_the_set(tmp_path: Path) -> None:
    rows = [
        {"clip": "a", "emotion": "Joy"},
        {"clip": "b", "emotion": " SAD "},
        {"clip": "c", "emotion": "Overall, the emotion is neutral."},
        {"clip": "d", "emotion": "not happy"},
    ]
    found, problems = matched(written(tmp_path, *rows), "a", "b", "c", "d")
    assert [p.emotion if p else "?" for p in found] == ["happy", "sad", "neutral", None]
    assert found[0] is not None and found[0].said == "Joy"
    problem = only(problems)
    assert (problem.kind, problem.line, problem.clip) == ("unknown-label", 4, "d")


def test_a_label_outside_the_set_is_invalid_and_named(tmp_path: Path) -> None:
    (found,), problems = matched(written(tmp_path, {"clip": "a", "emotion": "hungry"}), "a")
    assert found is not None and found.emotion is None and found.said == "hungry"
    assert "'hungry'" in only(problems).message and "line 1" in only(problems).message


def test_an_answer_without_label_is_not_neutral(tmp_path: Path) -> None:
    (found,), problems = matched(written(tmp_path, {"clip": "a", "emotion": None}), "a")
    assert found is not None and found.emotion is None
    assert only(problems).kind == "no-label"


def test_missing_unknown_and_failed_clips_are_named(tmp_path: Path) -> None:
    rows = [
        {"clip": "x", "emotion": "sad"},
        {"clip": "b", "error": {"type": "MediaError", "message": "no picture"}},
    ]
    path = written(tmp_path, *rows)
    found, problems = matched(path, "a", "b")
    assert found == [None, None]
    assert [(p.kind, p.clip) for p in problems] == [("missing-clip", "a"), ("failed-clip", "b")]
    assert "no picture" in problems[1].message
    unknown = only(unknown_clips(items("a", "b"), read_predictions(path)))
    assert (unknown.kind, unknown.clip, unknown.line) == ("unknown-clip", "x", 1)


def test_of_two_answers_the_first_counts_and_the_second_is_named(tmp_path: Path) -> None:
    path = written(tmp_path, {"clip": "a", "emotion": "sad"}, {"clip": "a", "emotion": "happy"})
    (found,), problems = matched(path, "a")
    assert found is not None and found.emotion == "sad"
    assert (only(problems).kind, only(problems).line) == ("duplicate", 2)


def test_an_answer_replaces_an_earlier_failure_without_complaint(tmp_path: Path) -> None:
    path = written(tmp_path, {"clip": "a", "error": {"type": "E", "message": "m"}}, {"clip": "a", "emotion": "sad"})
    (found,), problems = matched(path, "a")
    assert found is not None and found.emotion == "sad" and problems == []


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"happy": 0.9, "sad": 0.9, "neutral": 0.2}, "sum to 2"),
        ({"happy": 0.2, "sad": 0.2}, "sum to 0.4"),
        ({"happy": -0.5, "sad": 1.5}, "not a number from 0 to 1"),
        ({"happy": 0.5, "hungry": 0.5}, "'hungry' is not one of"),
        ({"happy": 0.5, "joy": 0.5}, "given twice"),
    ],
)
def test_probabilities_that_are_none_leave_the_label_and_are_named(
    tmp_path: Path, given: dict[str, float], why: str
) -> None:
    path = written(tmp_path, {"clip": "a", "emotion": "happy", "probabilities": given})
    (found,), problems = matched(path, "a")
    assert found is not None and found.emotion == "happy" and found.probabilities is None
    assert only(problems).kind == "bad-probabilities" and why in only(problems).message


def test_rounded_probabilities_are_scaled_to_one(tmp_path: Path) -> None:
    given = {"happy": 0.33, "sad": 0.33, "neutral": 0.33}
    (found,), problems = matched(written(tmp_path, {"clip": "a", "emotion": "sad", "probabilities": given}), "a")
    assert found is not None and found.probabilities is not None and problems == []
    assert sum(found.probabilities.values()) == pytest.approx(1.0)


def test_the_likeliest_label_is_taken_only_where_no_emotion_was_given(tmp_path: Path) -> None:
    given = {"happy": 0.1, "sad": 0.9}
    path = written(
        tmp_path, {"clip": "a", "probabilities": given}, {"clip": "b", "emotion": None, "probabilities": given}
    )
    found, _ = matched(path, "a", "b")
    assert [p.emotion if p else "?" for p in found] == ["sad", None]


def test_broken_lines_are_named_and_the_others_kept(tmp_path: Path) -> None:
    path = written(tmp_path, "{broken", {"clip": "a", "emotion": "sad"}, "[1]", {"emotion": "sad"}, {"clip": 3})
    found, problems = matched(path, "a")
    assert found[0] is not None
    assert [(p.kind, p.line) for p in problems] == [("unreadable", line) for line in (1, 3, 4, 5)]


@pytest.mark.parametrize("text", ["", "\n\n", "{broken\n"])
def test_a_file_without_predictions_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text(text)
    with pytest.raises(ManifestError, match=r"p\.jsonl: expected predictions"):
        read_predictions(path)


def test_a_missing_or_binary_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="cannot read predictions"):
        read_predictions(tmp_path / "none.jsonl")
    path = tmp_path / "p.jsonl"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ManifestError, match="UTF-8"):
        read_predictions(path)


def test_other_folders_and_endings_match_by_file_name_and_say_so(tmp_path: Path) -> None:
    (found,), problems = matched(written(tmp_path, {"clip": "D:\\runs\\a.wav", "emotion": "sad"}), "clips/a.mp4")
    assert found is not None and only(problems).kind == "name-match"


def test_names_that_are_not_unique_never_match(tmp_path: Path) -> None:
    path = written(tmp_path, {"clip": "x/a.mp4", "emotion": "sad"}, {"clip": "y/a.mp4", "emotion": "happy"})
    found, problems = matched(path, "a.mp4")
    assert found == [None] and only(problems).kind == "missing-clip"
    found, _ = matched(written(tmp_path, {"clip": "a", "emotion": "sad"}), "x/a.mp4", "y/a.mp4")
    assert found == [None, None]


def test_free_words_are_left_as_they_are(tmp_path: Path) -> None:
    (found,), problems = matched(written(tmp_path, {"clip": "a", "emotion": "Bittersweet"}), "a", labels=())
    assert found is not None and found.emotion == "Bittersweet" and problems == []


@given(st.permutations(range(6)))
def test_the_order_of_the_file_does_not_matter(order: list[int]) -> None:
    names = [f"clip{number}" for number in range(6)]
    rows = [Prediction(clip=names[n], emotion=LABELS[n % 3], line=n + 1) for n in order]
    found = match(items(*names), index(Answers(tuple(rows))), LABELS)
    assert [p.emotion if p else None for p in found.predictions] == [LABELS[n % 3] for n in range(6)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name,discrete,valence\na,sad,-1.5\n", {"emotion": "sad", "valence": -1.5}),
        ("name,openset\na,\"['sad', 'left alone']\"\n", {"labels": ("sad", "left alone")}),
        ("names,chi_reasons\na,he weeps\n", {"reasoning": "he weeps"}),
    ],
)
def test_answers_in_the_form_of_the_challenges_are_read(tmp_path: Path, text: str, expected: dict[str, Any]) -> None:
    path = tmp_path / "p.csv"
    path.write_text(text)
    (found,) = read_predictions(path).predictions
    assert found.clip == "a"
    assert {name: getattr(found, name) for name in expected} == expected
