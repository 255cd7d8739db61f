"""The numbers of an ablation against tables worked by hand and a bootstrap written out in full."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import f1_score

from emotion_llama.ablate.answers import Answered, pool, read_answers
from emotion_llama.ablate.config import Ablation, Scoring
from emotion_llama.ablate.grid import make_cells
from emotion_llama.ablate.report import make_report
from emotion_llama.ablate.scoring import compare, score_cell
from emotion_llama.errors import ManifestError
from emotion_llama.metrics.resample import draw_weights
from emotion_llama.overrides import read_config
from tests.ablate.conftest import Answer, write_training

LABELS = ("happy", "sad")
SCORING = Scoring(metrics=("war", "uar", "weighted_f1", "nll", "ece"), draws=300, seed=4)
TRUTH = [("c0", "anna", "happy"), ("c1", "anna", "sad"), ("c2", "bert", "happy"), ("c3", "bert", "sad"),
         ("c4", "cleo", "happy"), ("c5", "cleo", "happy")]  # fmt: skip


def rows(said: str) -> list[Answer]:
    """Answers to `TRUTH`, one letter a clip: h, s, or "-" for no label."""
    words = {"h": "happy", "s": "sad", "-": None}
    return [(*truth, words[letter]) for truth, letter in zip(TRUTH, said, strict=True)]


def answered(folder: Path, said: str, fold: int | None = None) -> Answered:
    write_training(folder, rows(said), LABELS)
    return read_answers(folder, "voices", LABELS, fold)


def right(said: str) -> list[bool]:
    return [row[2] == row[3] for row in rows(said)]


def test_mean_over_seeds_spread_and_interval(tmp_path: Path) -> None:
    first, second = "hshsss", "hhhhhh"  # 4 and 4 of 6, by other clips
    third = "hshshh"  # all
    seeds = {n: answered(tmp_path / str(n), said) for n, said in enumerate((first, second, third))}
    scores = score_cell("cell", "voices", seeds, SCORING)
    war = scores.metrics["war"]
    assert war.seeds == pytest.approx({0: 4 / 6, 1: 4 / 6, 2: 1.0})
    assert war.score.value == pytest.approx(7 / 9)
    assert war.over_seeds.sd == pytest.approx(math.sqrt((1 + 1 + 4) / 81 / 2))
    assert (scores.n, scores.speakers, war.score.n, war.score.chance) == (6, 3, 6, 0.5)
    # the interval: speakers and clips drawn once for all seeds, written out clip by clip
    groups = np.array([0, 0, 1, 1, 2, 2])
    weights = np.concatenate(list(draw_weights(6, groups, SCORING.draws, SCORING.seed)))
    means = np.mean([right(first), right(second), right(third)], axis=0)
    drawn = [float((row * means).sum() / row.sum()) for row in weights]
    assert (war.score.low, war.score.high) == pytest.approx(tuple(np.percentile(drawn, (2.5, 97.5))))


def test_other_scores_of_one_seed(tmp_path: Path) -> None:
    said = "hss-hh"  # c2 is called sad, c3 gets no label
    scores = score_cell("cell", "voices", {0: answered(tmp_path / "0", said)}, SCORING)
    values = {name: metric.score.value for name, metric in scores.metrics.items()}
    assert values["war"] == pytest.approx(4 / 6)
    assert values["uar"] == pytest.approx((3 / 4 + 1 / 2) / 2)
    truth, answers = [row[2] for row in rows(said)], [row[3] or "none" for row in rows(said)]
    assert values["weighted_f1"] == pytest.approx(f1_score(truth, answers, average="weighted", labels=list(LABELS)))
    # without a label both words have .2: they sum to .4, are no probabilities, and c3 is out of calibration
    assert values["nll"] == pytest.approx(-(4 * math.log(0.8) + math.log(0.2)) / 5)
    assert values["ece"] == pytest.approx(abs(4 / 5 - 0.8), abs=1e-7)
    assert scores.metrics["war"].over_seeds.sd is None and scores.metrics["war"].over_seeds.n == 1
    assert any("Answers without a label: 1" in note for note in scores.notes)


def test_paired_difference_on_common_seeds_and_clips(tmp_path: Path) -> None:
    base = {0: answered(tmp_path / "a0", "hhhhhh"), 1: answered(tmp_path / "a1", "hshsss")}
    cell = {1: answered(tmp_path / "b1", "hshshh"), 2: answered(tmp_path / "b2", "ssssss")}
    found = compare(base, cell, SCORING)
    assert found is not None and (found.seeds, found.n) == ((1,), 6)
    war = found.metrics["war"]
    assert (war.a, war.b, war.difference.value) == pytest.approx((4 / 6, 1.0, 2 / 6))
    gain = np.array(right("hshshh"), float) - np.array(right("hshsss"), float)
    weights = np.concatenate(list(draw_weights(6, np.array([0, 0, 1, 1, 2, 2]), SCORING.draws, SCORING.seed)))
    drawn = (weights * gain).sum(axis=1) / weights.sum(axis=1)
    assert (war.difference.low, war.difference.high) == pytest.approx(tuple(np.percentile(drawn, (2.5, 97.5))))
    assert compare({0: base[0]}, {2: cell[2]}, SCORING) is None


def test_folds_make_one_score(tmp_path: Path) -> None:
    parts = []
    for fold, (start, end, said) in enumerate([(0, 2, "hs"), (2, 6, "sshs")]):
        truth = TRUTH[start:end]
        words = {"h": "happy", "s": "sad"}
        listed: Sequence[Answer] = [(*t, words[letter]) for t, letter in zip(truth, said, strict=True)]
        write_training(tmp_path / str(fold), listed, LABELS)
        parts.append(read_answers(tmp_path / str(fold), "voices", LABELS, fold))
    whole = pool(parts)
    scores = score_cell("six", "voices", {0: whole}, SCORING)
    war = scores.metrics["war"]
    assert (scores.folds, scores.n, scores.speakers) == ((0, 1), 6, 3)
    assert war.score.value == pytest.approx(4 / 6)  # 2 of 2 and 2 of 4 together
    assert war.folds == pytest.approx({0: 1.0, 1: 0.5})
    assert war.over_folds is not None and war.over_folds.mean == pytest.approx(0.75)
    with pytest.raises(ManifestError, match=r"clip 'c0' is in the test sides of folds 0 and 0"):
        pool([parts[0], parts[0]])


def test_a_seed_with_fewer_clips_is_left_out_and_named(tmp_path: Path) -> None:
    write_training(tmp_path / "few", rows("hshshh")[:4], LABELS)
    seeds = {0: answered(tmp_path / "0", "hhhhhh"), 1: read_answers(tmp_path / "few", "voices", LABELS)}
    scores = score_cell("cell", "voices", seeds, SCORING)
    assert scores.seeds == (0,) and scores.n == 6
    assert "seed 1 is left out: it was asked 4 clips, the others 6" in scores.notes


def test_another_truth_is_refused(tmp_path: Path) -> None:
    changed = [(clip, speaker, "sad", said) for clip, speaker, _, said in rows("hhhhhh")]
    write_training(tmp_path / "1", changed, LABELS)
    seeds = {0: answered(tmp_path / "0", "hhhhhh"), 1: read_answers(tmp_path / "1", "voices", LABELS)}
    with pytest.raises(ManifestError, match="clip 'c0' is 'happy' by 'anna' in one training, 'sad' by 'anna'"):
        score_cell("cell", "voices", seeds, SCORING)


def test_report_of_what_is_there(ablation_file: Callable[..., Path]) -> None:
    path = ablation_file(
        seeds=[0, 1],
        baseline="all",
        axes={
            "a": {
                "all": [],
                "less": ["schedule.steps=9"],
                "damaged": ["schedule.steps=8"],
                "absent": ["schedule.steps=7"],
            }
        },
        score={"draws": 100},
    )
    ablation = read_config(Ablation, path)
    cells = make_cells(ablation)
    for cell, answers in zip(cells[:2], (("hshshh", "hshsss"), ("hhhhhh", "hhhhhh")), strict=True):
        for training, said in zip(cell.trainings, answers, strict=True):
            write_training(training.folder, rows(said), LABELS, training.seed)
    write_training(cells[2].trainings[0].folder, rows("hshshh"), LABELS)
    (cells[2].trainings[0].folder / "test/voices.predictions.jsonl").unlink()
    report = make_report(ablation, cells)
    assert [(s.cell, s.metrics["war"].score.value) for s in report.scores] == [
        ("all", pytest.approx(5 / 6)),
        ("less", pytest.approx(4 / 6)),
    ]
    compared = report.scores[1].compared
    assert compared is not None and compared.metrics["war"].difference.value == pytest.approx(-1 / 6)
    assert report.validation["all"]["uar"].mean == pytest.approx(0.65)  # not the test score: .83
    assert len(report.notes) == 1 and "damaged, seed 0 is left out" in report.notes[0]
    assert [row.state for row in report.trainings] == ["finished"] * 5 + ["waiting"] * 3
    assert type(report).model_validate_json(json.dumps(report.model_dump(mode="json"))) == report
