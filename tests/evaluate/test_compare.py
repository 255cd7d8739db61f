"""Two runs side by side: paired tests against scipy and hand-worked answers, and runs that must not be compared."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest

from emotion_llama.errors import ManifestError, UsageError
from emotion_llama.evaluate.command import Request, run_command
from emotion_llama.evaluate.compare import compare_runs, read_comparison, read_runs, run_compare
from emotion_llama.evaluate.comparison import Comparison

LABELS = ("happy", "sad", "neutral")


def evaluated(folder: Path, name: str, truth: Sequence[str], said: Sequence[str], **words: Any) -> Path:
    """Evaluate one system; gives the folder of its report."""
    folder.mkdir(exist_ok=True)
    data, predictions = folder / f"{name}.csv", folder / f"{name}.jsonl"
    data.write_text("clip,emotion\n" + "".join(f"c{n},{t}\n" for n, t in enumerate(truth)))
    rows = [
        {"clip": f"c{n}", "emotion": s, "probabilities": {label: 0.8 if label == s else 0.1 for label in LABELS}}
        for n, s in enumerate(said)
    ]
    predictions.write_text("".join(json.dumps(row) + "\n" for row in rows))
    request = {"suite": "custom", "labels": ",".join(LABELS), "draws": 100, **words}
    assert run_command(Request(data=data, predictions=predictions, out=folder / f"out-{name}", **request)) == 0
    return folder / f"out-{name}"


@pytest.fixture(scope="module")
def truth() -> list[str]:
    return [LABELS[n] for n in np.random.default_rng(0).integers(0, 3, 120)]


@pytest.fixture(scope="module")
def answers(truth: list[str]) -> dict[str, list[str]]:
    rng = np.random.default_rng(1)
    return {
        name: [t if rng.random() < right else LABELS[rng.integers(3)] for t in truth]
        for name, right in (("good", 0.8), ("poor", 0.5))
    }


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, truth: list[str], answers: dict[str, list[str]]) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("runs")
    made = {name: evaluated(folder, name, truth, said) for name, said in answers.items()}
    made["twin"] = evaluated(folder / "twin", "good", truth, answers["good"])
    return made


def compared(*folders: Path, draws: int = 500) -> Comparison:
    return compare_runs(read_runs(folders), select="", draws=draws, seed=0)


def test_mcnemar_is_the_binomial_test_of_the_clips_that_differ(
    runs: dict[str, Path], truth: list[str], answers: dict[str, list[str]]
) -> None:
    right = {name: np.array(said) == np.array(truth) for name, said in answers.items()}
    only_good = int((right["good"] & ~right["poor"]).sum())
    only_poor = int((~right["good"] & right["poor"]).sum())
    (table,) = compared(runs["good"], runs["poor"]).mcnemar
    assert (table.a, table.b, table.n10, table.n01) == ("good", "poor", only_good, only_poor)
    assert table.p == pytest.approx(binomtest(only_poor, only_good + only_poor).pvalue)


def test_differences_are_b_less_a_of_the_written_scores(runs: dict[str, Path]) -> None:
    comparison = compared(runs["good"], runs["poor"])
    good, poor = comparison.systems
    found = {one.metric: one for one in comparison.differences}
    assert {"war", "uar", "weighted_f1", "macro_f1", "invalid_rate", "ece", "brier", "nll"} <= found.keys()
    for name, one in found.items():
        a, b = good.metrics[name].value, poor.metrics[name].value
        assert a is not None and b is not None
        assert (one.a_value, one.b_value) == (pytest.approx(a), pytest.approx(b))
        assert one.difference.value == pytest.approx(b - a)
    war = found["war"]
    assert war.difference.high is not None and war.difference.high < 0  # .8 against .5 over 120 clips
    assert war.p_bootstrap is not None and war.p_bootstrap < 0.02
    assert war.p_permutation is not None and war.p_permutation < 0.02


def test_two_systems_that_answer_alike_do_not_differ(runs: dict[str, Path]) -> None:
    comparison = compared(runs["good"], runs["twin"])
    assert comparison.n_differing == 0 and comparison.clips == ()
    for one in comparison.differences:
        assert (one.difference.value, one.difference.low, one.difference.high) == (0.0, 0.0, 0.0), one.metric
        assert one.p_bootstrap == 1.0 and one.p_permutation in (1.0, None)
    (table,) = comparison.mcnemar
    assert (table.n01, table.n10, table.p) == (0, 0, 1.0)
    assert len({system.name for system in comparison.systems}) == 2  # one name, told apart by the folders


def test_the_clips_that_differ_are_shown(
    runs: dict[str, Path], truth: list[str], answers: dict[str, list[str]]
) -> None:
    comparison = compared(runs["good"], runs["poor"])
    differing = [n for n in range(120) if answers["good"][n] != answers["poor"][n]]
    assert comparison.n_clips == 120 and comparison.n_differing == len(differing)
    first = comparison.clips[0]
    assert (first.clip, first.truth) == (f"c{differing[0]}", truth[differing[0]])
    assert first.answers == {name: answers[name][differing[0]] for name in ("good", "poor")}


def test_three_runs_are_compared_in_pairs_with_a_word_on_that(runs: dict[str, Path]) -> None:
    comparison = compared(runs["good"], runs["poor"], runs["twin"], draws=100)
    assert len(comparison.mcnemar) == 3
    assert any("3 pairs are tested" in note for note in comparison.notes)


def test_runs_over_fewer_clips_meet_on_the_common_ones(tmp_path: Path, runs: dict[str, Path], truth: list[str]) -> None:
    few = evaluated(tmp_path, "few", truth[:50], truth[:50])
    comparison = compared(runs["poor"], few, draws=100)
    assert comparison.n_clips == 50
    assert any("50 clips that all runs have (poor 120, few 50)" in note for note in comparison.notes)


def test_the_command_writes_what_can_be_read_back(
    tmp_path: Path, runs: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_compare((runs["good"], runs["poor"]), tmp_path / "c", select="", draws=100, seed=3) == 0
    comparison = read_comparison(tmp_path / "c/compare.json")
    assert comparison.settings == {"draws": 100, "seed": 3}
    assert "McNemar" in capsys.readouterr().out
    assert "good" in (tmp_path / "c/compare.html").read_text(encoding="utf-8")


def test_nothing_is_chosen_on_the_test_side(tmp_path: Path, runs: dict[str, Path]) -> None:
    with pytest.raises(UsageError, match="cannot be chosen on the test side"):
        run_compare((runs["good"], runs["poor"]), tmp_path / "c", select="war", draws=100, seed=0)
    assert not (tmp_path / "c").exists()


def test_on_the_validation_side_the_best_is_chosen(
    tmp_path: Path, truth: list[str], answers: dict[str, list[str]]
) -> None:
    folders = [evaluated(tmp_path, name, truth, said, side="validation") for name, said in answers.items()]
    read = read_runs(folders)
    assert compare_runs(read, select="war", draws=100, seed=0).selected == "good"
    assert compare_runs(read, select="brier", draws=100, seed=0).selected == "good"  # here less is better
    with pytest.raises(UsageError, match=r"--select fame: not every run has this score; choose one of war, uar"):
        compare_runs(read, select="fame", draws=100, seed=0)


@pytest.mark.parametrize(
    ("words", "what"),
    [
        ({"labels": "happy,sad,neutral,fear"}, "different label sets; evaluate both with one --labels"),
        ({"uar_over": "configured"}, "averages UAR over configured classes.* over present ones"),
        ({"side": "train"}, r"scores custom \(train\).* custom \(test\)"),
    ],
)
def test_runs_of_different_settings_are_refused(
    words: dict[str, str], what: str, tmp_path: Path, runs: dict[str, Path], truth: list[str]
) -> None:
    other = evaluated(tmp_path, "other", truth, truth, **words)
    with pytest.raises(UsageError, match=what):
        compared(runs["good"], other)


def test_runs_of_other_data_are_refused(tmp_path: Path, runs: dict[str, Path], truth: list[str]) -> None:
    turned = ["sad" if t == "happy" else t for t in truth]
    other = evaluated(tmp_path, "other", turned, truth)
    with pytest.raises(UsageError, match=r"clip 'c\d+' has another truth in"):
        compared(runs["good"], other)


def test_uar_is_compared_over_the_classes_it_was_averaged_over(tmp_path: Path, truth: list[str]) -> None:
    words = {"labels": "happy,sad,neutral,fear", "uar_over": "configured"}
    folders = [evaluated(tmp_path, name, truth, said, **words) for name, said in (("a", truth), ("b", truth[::-1]))]
    comparison = compared(*folders, draws=100)
    found = {one.metric: one for one in comparison.differences}
    assert found["uar"].a_value == comparison.systems[0].metrics["uar"].value == pytest.approx(0.75)


def test_too_few_runs_the_same_twice_and_strange_folders_are_refused(tmp_path: Path, runs: dict[str, Path]) -> None:
    with pytest.raises(UsageError, match="two or more evaluations"):
        read_runs([runs["good"]])
    with pytest.raises(UsageError, match="is given twice"):
        read_runs([runs["good"], runs["good"] / ".." / runs["good"].name])
    with pytest.raises(UsageError, match="at least 100 draws, found 20"):
        run_compare((runs["good"], runs["poor"]), tmp_path / "c", select="", draws=20, seed=0)
    with pytest.raises(ManifestError, match=r"report\.json: expected the report of an evaluation"):
        read_runs([runs["good"], tmp_path])
    (tmp_path / "report.json").write_text('{"suite": 3}')
    with pytest.raises(ManifestError, match=r"report\.json: not a report of this version.*run evaluate"):
        read_runs([runs["good"], tmp_path])
    with pytest.raises(ManifestError, match=r"compare\.json: not a comparison"):
        read_comparison(tmp_path / "compare.json")
