"""A logistic regression on the CREMA-D feature set: the baseline that other systems' predictions stand beside.

    python benchmarks/crema_d_baseline.py --data FEATURES --out OUT
    emotion-llama evaluate crema-d --data FEATURES --predictions OUT/test.jsonl
    emotion-llama evaluate custom --data OUT/truth.csv --predictions OUT/test.jsonl --labels crema6   # the same

FEATURES holds `features.npz` and `manifest.csv`. Fitted on the train people; the strength of regularisation is chosen
on the validation people; the test people are predicted once. Also written: `validation.jsonl` (to fit a temperature)
and `truth.csv`, the manifest of both sides. Nobody is on two sides (`datasets/crema_d_split.json`).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from emotion_llama.clip import Clip
from emotion_llama.datasets.crema_d import SPLIT
from emotion_llama.datasets.features import FeatureSet, read_features
from emotion_llama.datasets.splits import SIDES, Split, clips_of_side, read_split
from emotion_llama.errors import ManifestError
from emotion_llama.labels import LABEL_SETS
from emotion_llama.manifest import write_manifest

SET = "CREMA-D"
STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1)
"""Values of C to choose from, fixed beforehand."""
INPUTS = ("audio", "video", "both")
MAX_STEPS = 5000
TOLERANCE = 1e-7
"""Far below the default, at which the fit stops early and where it stops depends on the number of threads."""


def vectors(features: FeatureSet, inputs: str) -> NDArray[np.float32]:
    """Give one row a clip: the voice vector, the mean of the face vectors, or one beside the other, (N, D)."""
    if inputs == "audio":
        return features.audio
    if inputs == "video":
        return features.mean_video()
    return np.concatenate([features.audio, features.mean_video()], axis=1)


def rows_by_side(clips: Sequence[Clip], split: Split) -> dict[str, NDArray[np.int64]]:
    """Give the rows of each side."""
    row = {clip.clip: number for number, clip in enumerate(clips)}
    if len(row) < len(clips):
        raise ManifestError(f"{len(clips) - len(row)} ids occur twice in set {SET}; each clip needs its own")
    return {side: np.array([row[clip.clip] for clip in clips_of_side(clips, split, side)]) for side in SIDES}


def choose(
    x: NDArray[np.float64], truth: NDArray[np.str_], sides: dict[str, NDArray[np.int64]]
) -> tuple[Pipeline, float, dict[float, float]]:
    """Fit on train for each strength; give the best on validation, its strength, and the accuracy of each there."""
    fitted, accuracy = {}, {}
    for strength in STRENGTHS:
        model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=MAX_STEPS, tol=TOLERANCE))
        fitted[strength] = model.fit(x[sides["train"]], truth[sides["train"]])
        accuracy[strength] = float(model.score(x[sides["validation"]], truth[sides["validation"]]))
    best = max(accuracy, key=lambda strength: accuracy[strength])
    return fitted[best], best, accuracy


def write_predictions(path: Path, clips: Sequence[Clip], model: Pipeline, x: NDArray[np.float64]) -> None:
    """Write one JSON line a clip: clip, emotion, probabilities in the order of the label set."""
    classes = [str(label) for label in model.classes_]
    with path.open("w", encoding="utf-8") as file:
        for clip, row in zip(clips, model.predict_proba(x), strict=True):
            given = dict(zip(classes, row.tolist(), strict=True))
            probabilities = {label: round(given.get(label, 0.0), 6) for label in LABEL_SETS["crema6"]}
            answer = {"clip": clip.clip, "emotion": classes[int(row.argmax())], "probabilities": probabilities}
            file.write(f"{json.dumps(answer)}\n")


def run(data: Path, out: Path, inputs: str = "both") -> dict[str, object]:
    """Fit, choose, predict, write; give what was done and the accuracies."""
    features = read_features(data, SET)
    split = read_split(SPLIT)
    sides = rows_by_side(features.clips, split)
    x = vectors(features, inputs).astype(np.float64)
    truth = np.array([clip.emotion for clip in features.clips])
    model, strength, accuracy = choose(x, truth, sides)
    out.mkdir(parents=True, exist_ok=True)
    for side in ("validation", "test"):
        write_predictions(out / f"{side}.jsonl", [features.clips[row] for row in sides[side]], model, x[sides[side]])
    asked = [
        clip.model_copy(update={"groups": {**clip.groups, "split": side}})
        for side in ("validation", "test")
        for clip in (features.clips[row] for row in sides[side])
    ]
    write_manifest(asked, out / "truth.csv")
    return {
        "inputs": inputs,
        "clips": {side: len(rows) for side, rows in sides.items()},
        "people": {side: len({features.clips[row].speaker for row in rows}) for side, rows in sides.items()},
        "c": strength,
        "validation_accuracy": accuracy,
        "test_accuracy": float(model.score(x[sides["test"]], truth[sides["test"]])),
    }


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with features.npz and manifest.csv")
    parser.add_argument("--out", type=Path, required=True, help="folder for test.jsonl, validation.jsonl, truth.csv")
    parser.add_argument("--inputs", choices=INPUTS, default="both")
    options = parser.parse_args()
    print(json.dumps(run(options.data, options.out, options.inputs), indent=2))


if __name__ == "__main__":
    main()
