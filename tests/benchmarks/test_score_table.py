"""The score table: every row is a command that exists, and every figure comes from its report."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from emotion_llama.evaluate.records import Report, Scored
from emotion_llama.evaluate.scored import ScoredClip
from emotion_llama.evaluate.suites import find_suite
from emotion_llama.metrics.statistic import Metric

DOCS = Path(__file__).resolve().parents[2] / "docs"
Script = Callable[[str], ModuleType]


@pytest.fixture(scope="module")
def score(script: Script) -> ModuleType:
    return script("score")


@pytest.fixture(scope="module")
def tables(script: Script) -> ModuleType:
    return script("tables")


FOUR = [ScoredClip(part="voice", clip=str(n), speaker=f"Actor_{n % 4}", answered=True) for n in range(8)]


def metric(value: float) -> Metric:
    return Metric(value=value, low=value - 0.05, high=value + 0.05)


def scored(**fields: Any) -> dict[str, Any]:
    scores = {name: metric(0.5) for name in ("war", "uar", "weighted_f1", "macro_f1")}
    return {
        "n_asked": 60, "n_scored": 59, "chance": 0.125, "majority": 0.133, "metrics": scores, "headline": ("war",),
        "notes": ("Intervals (10000 draws, seed 0): 4 speakers drawn with replacement, then their clips.",), **fields,
    }  # fmt: skip


def report(**fields: Any) -> Report:
    return Report(suite="ravdess", title="RAVDESS", side="test", system="nano", **scored(**fields))


def test_every_row_and_validation_is_a_command_the_program_has(score: ModuleType) -> None:
    rows = list(score.rows("nano"))
    assert len({row.name for row in rows}) == len(rows) >= 10
    for words in [row.words for row in rows] + list(score.validation("nano").values()):
        suite = find_suite(words.split()[0])
        variants = [words.split()[at + 1] for at, word in enumerate(words.split()) if word == "--variant"]
        assert set(variants) <= set(suite.variants)
    needed = {word.split("/")[1] for row in rows for word in row.words.split() if word.endswith("predictions.jsonl")}
    assert needed <= set(score.validation("nano"))


def test_the_command_has_the_folders_and_the_shown_one_has_not(score: ModuleType) -> None:
    (row,) = [row for row in score.rows("nano") if row.name == "emodb"]
    asked = score.command(row.words, row.name, Path("/d"), Path("/o"))
    assert "/d/emodb_audio" in asked and asked[-2:] == ["--out", "/o/emodb"]
    assert "/o/emodb-validation/predictions.jsonl" in asked
    shown = score.shown(row.words, row.name)
    assert shown.startswith("emotion-llama evaluate emodb --data $DATA/emodb_audio") and "/d/" not in shown


def test_a_suite_with_parts_gives_a_line_for_each(score: ModuleType) -> None:
    (row,) = [row for row in score.rows("nano") if row.name == "ravdess-face-all"]
    parts = {"face-crop": Scored(**scored()), "face-full": Scored(**scored(n_asked=14, notes=()))}
    clips = [ScoredClip(part=part, clip=part, speaker="Actor_05", answered=True) for part in parts]
    clips.append(ScoredClip(part="face-crop", clip="other", speaker="Actor_10", answered=True))
    crop, full = score.record(row, report(parts=parts), clips)
    assert (crop["part"], crop["n"]) == ("RAVDESS talking faces of one man, face-crop", 60)
    assert (crop["n_scored"], crop["people"]) == (59, 2)
    assert (full["n"], full["people"]) == (14, 1)
    assert crop["metrics"]["war"] == {"value": 0.5, "low": pytest.approx(0.45), "high": pytest.approx(0.55)}


def test_the_tables_hold_the_figures_and_the_commands(score: ModuleType, tables: ModuleType) -> None:
    (row,) = [row for row in score.rows("nano") if row.name == "ravdess-voice"]
    record = {
        "date": "2026-01-02", "weights_sha256": "0123456789abcdef", "label_orders": 4, "bootstrap_draws": 10_000,
        "seed": 0, "rows": score.record(row, report(), FOUR), "robustness": [],
    }  # fmt: skip
    short, whole = tables.scores(record), tables.results(record)
    assert (
        "| RAVDESS voices | nano | voice | 60 | 4 | 0.125 | 0.133 | 0.500 (0.450–0.550) | 0.500 | 0.500 | – |" in short
    )
    assert "## RAVDESS voices: nano, voice" in whole and score.shown(row.words, row.name) in whole
    assert "n 60 of 4 people, scored 59" in whole and "ECE" not in whole.split("```")[0].split("## ")[1]


def test_the_documents_agree_with_the_record(tables: ModuleType) -> None:
    record = json.loads((DOCS / "results.json").read_text(encoding="utf-8"))
    assert (DOCS / "results.md").read_text(encoding="utf-8") == tables.results(record)
