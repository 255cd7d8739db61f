"""The baseline's files, and that nothing about the test people reaches the fit."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from emotion_llama.datasets.crema_d import EMOTIONS, SPLIT
from emotion_llama.datasets.splits import read_split
from emotion_llama.labels import LABEL_SETS
from emotion_llama.manifest import read_manifest

ACTORS = range(1001, 1025)


@pytest.fixture(scope="module")
def benchmark(script: Callable[[str], ModuleType]) -> ModuleType:
    return script("crema_d_baseline")


def feature_set(folder: Path, seed: int = 0, wrong_test: bool = False) -> Path:
    """Six clips an actor whose voice vector leans towards the emotion; `wrong_test` swaps the test people's labels."""
    rng = np.random.default_rng(seed)
    folder.mkdir()
    lines, audio = ["row,id,set,actor,gender,age,emotion,intensity,sentence,video_len"], []
    for actor in ACTORS:
        for place, code in enumerate(EMOTIONS):
            said = list(EMOTIONS)[(place + 1) % 6] if wrong_test and actor % 4 == 0 else code
            lines.append(
                f"{len(audio)},{actor}_DFA_{said}_XX,CREMA-D,C{actor},male,30,{EMOTIONS[said]},unspecified,Words.,2"
            )
            audio.append(np.eye(6)[place] * 1.5 + rng.normal(size=6))
    video = rng.normal(size=(len(audio), 3, 4))
    np.savez(
        folder / "features.npz",
        audio=np.array(audio, np.float16), video=video.astype(np.float16), video_len=np.full(len(audio), 2),
    )  # fmt: skip
    (folder / "manifest.csv").write_text("\n".join(lines))
    return folder


def answers(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_predictions_are_of_the_test_people_alone(benchmark: ModuleType, tmp_path: Path) -> None:
    done = benchmark.run(feature_set(tmp_path / "data"), tmp_path / "out")
    split = read_split(SPLIT)
    for side in ("test", "validation"):
        said = answers(tmp_path / "out" / f"{side}.jsonl")
        assert {f"C{str(row['clip'])[:4]}" for row in said} <= set(getattr(split, side))
        assert len(said) == done["clips"][side] == 6 * done["people"][side]
        for row in said:
            assert list(row["probabilities"]) == list(LABEL_SETS["crema6"])  # type: ignore[call-overload]
            assert sum(row["probabilities"].values()) == pytest.approx(1, abs=1e-5)  # type: ignore[attr-defined]
            assert row["emotion"] == max(row["probabilities"], key=row["probabilities"].get)  # type: ignore
    assert done["test_accuracy"] > 0.4


def test_truth_scores_the_predictions(benchmark: ModuleType, tmp_path: Path) -> None:
    done = benchmark.run(feature_set(tmp_path / "data"), tmp_path / "out")
    truth = {clip.clip: clip for clip in read_manifest(tmp_path / "out/truth.csv")}
    said = answers(tmp_path / "out/test.jsonl")
    right = [row["emotion"] == truth[str(row["clip"])].emotion for row in said]
    assert sum(right) / len(right) == pytest.approx(done["test_accuracy"])
    assert {truth[str(row["clip"])].groups["split"] for row in said} == {"test"}


def test_labels_of_the_test_people_change_no_answer(benchmark: ModuleType, tmp_path: Path) -> None:
    benchmark.run(feature_set(tmp_path / "a"), tmp_path / "one")
    benchmark.run(feature_set(tmp_path / "b", wrong_test=True), tmp_path / "two")
    one, two = (answers(tmp_path / name / "test.jsonl") for name in ("one", "two"))
    assert [row["probabilities"] for row in one] == [row["probabilities"] for row in two]
    assert [row["clip"] for row in one] != [row["clip"] for row in two], "the labels did change"


def test_the_fit_is_plain_logistic_regression_on_standardised_vectors(benchmark: ModuleType, tmp_path: Path) -> None:
    features = benchmark.read_features(feature_set(tmp_path / "data"), "CREMA-D")
    sides = benchmark.rows_by_side(features.clips, read_split(SPLIT))
    x = benchmark.vectors(features, "both").astype(np.float64)
    truth = np.array([clip.emotion for clip in features.clips])
    model, strength, accuracy = benchmark.choose(benchmark.vectors(features, "both"), truth, sides)
    mean, deviation = x[sides["train"]].mean(0), x[sides["train"]].std(0)
    plain = LogisticRegression(C=strength, max_iter=2000).fit(
        (x[sides["train"]] - mean) / deviation, truth[sides["train"]]
    )
    mine = model.predict_proba(x[sides["test"]])
    assert np.allclose(mine, plain.predict_proba((x[sides["test"]] - mean) / deviation), atol=1e-3)
    assert accuracy[strength] == max(accuracy.values())


@pytest.mark.parametrize(("inputs", "width"), [("audio", 6), ("video", 4), ("both", 10)])
def test_inputs(benchmark: ModuleType, tmp_path: Path, inputs: str, width: int) -> None:
    features = benchmark.read_features(feature_set(tmp_path / "data"), "CREMA-D")
    assert benchmark.vectors(features, inputs).shape == (144, width)
