"""Scores by sex and age: as a count by hand has them, by people where there are several, and how few those are."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from emotion_llama.cli import app
from emotion_llama.clip import Clip
from emotion_llama.evaluate.records import Report
from emotion_llama.evaluate.scored import ScoredClip

ROOT = Path(__file__).resolve().parents[2]
LABELS = ["calm", "tense"]
PEOPLE = {"p1": ("female", 20.0), "p2": ("female", 50.0), "p3": ("male", 20.0), "p4": ("male", 50.0)}
WRONG = {"p1": 4, "p2": 2, "p3": 1, "p4": 1}
N = 10


@pytest.fixture(scope="module")
def bias(script: Callable[[str], ModuleType]) -> ModuleType:
    sys.modules["score"] = script("score")  # as a script, it finds score.py beside it
    return script("bias")


def rows(people: dict[str, int]) -> list[ScoredClip]:
    """Ten clips a person, the first so many of them wrong; one of the wrong ones has no answer."""
    found = []
    for person, wrong in people.items():
        for number in range(N):
            truth, other = LABELS[number % 2], LABELS[1 - number % 2]
            answer = None if number == 0 and wrong else other if number < wrong else truth
            found.append(
                ScoredClip(
                    part="all", clip=f"{person}-{number}", speaker=person, emotion=truth, answered=True, answer=answer
                )
            )
    return found


def record(bias: ModuleType, people: dict[str, int]) -> dict[str, Any]:
    scored = rows(people)
    facts = {person: {"sex": sex, "age": age} for person, (sex, age) in PEOPLE.items()}
    clips = [Clip(clip=row.clip, transcript="", speaker=row.speaker, groups=facts[str(row.speaker)]) for row in scored]
    learned = [Clip(clip="l", transcript="", speaker="E03", groups={"sex": "male"})]
    report = Report(
        suite="custom", title="t", side="test", system="s", n_asked=len(scored), n_scored=len(scored), metrics={},
        settings={"labels": LABELS},
    )  # fmt: skip
    found: dict[str, Any] = bias.measured(bias.PARTS[1], report, scored, [*clips, *learned], draws=400)
    return found


def test_groups_and_people_are_counted_right(bias: ModuleType) -> None:
    found = record(bias, WRONG)
    sex, age = found["properties"]
    assert [(g["value"], g["n"], g["people"]) for g in sex["groups"]] == [
        ("female", 20, ["p1", "p2"]),
        ("male", 20, ["p3", "p4"]),
    ]
    assert [g["war"]["value"] for g in sex["groups"]] == pytest.approx([14 / 20, 18 / 20])
    assert [g["value"] for g in age["groups"]] == ["45–59", "<30"]
    assert {one["value"]: one["war"]["value"] for one in found["people"]} == pytest.approx(
        {person: 1 - wrong / N for person, wrong in WRONG.items()}
    )
    assert found["learned_from"] == {"male": 1} and found["n"] == 40


def test_a_difference_has_its_interval_by_people(bias: ModuleType) -> None:
    (gap,) = record(bias, WRONG)["properties"][0]["differences"]
    assert (gap["a"], gap["b"], gap["least_p"]) == ("female", "male", pytest.approx(1 / 3))
    assert gap["war"]["value"] == pytest.approx(0.2)
    assert gap["war"]["low"] < 0.05 and gap["war"]["high"] > 0.35  # p1 and p2 alone are .2 apart: people are drawn


def test_single_people_have_no_interval_between_them(bias: ModuleType) -> None:
    found = record(bias, {"p1": 4, "p3": 1})
    (gap,) = found["properties"][0]["differences"]
    assert gap["war"] == {"value": pytest.approx(0.3), "low": None, "high": None} and gap["least_p"] == 1.0
    assert [one["property"] for one in found["properties"]] == ["sex"]  # both are 20: age is no slice


def test_the_table_says_how_few_they_are(bias: ModuleType, script: Callable[[str], ModuleType]) -> None:
    whole = {"date": "2026-01-02", "model": "nano", "weights_sha256": "0" * 64, "label_orders": 4, "draws": 400,
             "parts": [record(bias, {"p1": 4, "p3": 1})]}  # fmt: skip
    text = script("tables").bias(whole)
    assert "| EmoDB voices (2 s) | male − female | 2 | 20 | +0.300 (no interval) | +0.300 (no interval) |" in text
    assert "| p1: female, 20 years | 1 | 10 | 0.600 (" in text and "no p below 1.00" in text


def test_the_commands_are_of_the_program_and_the_card_holds_the_record(
    bias: ModuleType, script: Callable[[str], ModuleType]
) -> None:
    from typer.main import get_command

    known = {name for param in get_command(app).commands["evaluate"].params for name in param.opts}  # type: ignore[attr-defined]
    for part in bias.PARTS:
        assert {word for word in part.words.split() if word.startswith("--")} <= known
    card = (ROOT / "src/emotion_llama/weights/nano/MODEL_CARD.md").read_text(encoding="utf-8")
    written = json.loads((ROOT / "docs/bias.json").read_text(encoding="utf-8"))
    assert script("tables").bias(written) in card
    # every person is of the test side, and the share of right answers is that of the whole table
    results = json.loads((ROOT / "docs/results.json").read_text(encoding="utf-8"))
    if written["weights_sha256"] == results["weights_sha256"]:
        told = {row["part"]: row["metrics"]["war"]["value"] for row in results["rows"]}
        for part in written["parts"]:
            right = sum(one["n"] * one["war"]["value"] for one in part["people"])
            assert right / part["n"] == pytest.approx(told[part["part"]], abs=1e-9)
