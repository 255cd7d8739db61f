"""Fit the emotion heads, and give out-of-fold outputs for the language model's training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import recall_score
from sklearn.model_selection import GroupKFold

from emotion_llama.encoders.heads import EmotionHead
from emotion_llama.errors import ManifestError
from emotion_llama.train.examples import Example

FOLDS = 5
STRENGTHS = (0.0003, 0.001, 0.003)
"""Candidate inverse regularisation strengths; the best by out-of-fold mean recall on training people is taken."""


@dataclass(frozen=True)
class FittedHead:
    """A head, its log-probabilities for every example (out-of-fold for training people), and how it scored."""

    head: EmotionHead
    outputs: dict[str, NDArray[np.float32]]  # example id → (1, K) probabilities
    strength: float
    recall: dict[str, float]  # mean recall by side; "train" is out-of-fold


def fit_head(name: str, examples: Sequence[Example], array: str, seed: int) -> FittedHead:
    """Fit logistic regression on standardised features of the training side; people never cross folds.

    Raises `ManifestError` when a label belongs to people of one fold only, so that a fold would be fitted without it.
    """
    train = [e for e in examples if e.side == "train"]
    labels = tuple(sorted({e.emotion for e in train}))
    rows, target, people = _matrix(train, array), [e.emotion for e in train], [e.person for e in train]
    scored = {c: _out_of_fold(name, labels, rows, target, people, c, seed) for c in STRENGTHS}
    best = max(scored, key=lambda c: _recall(labels, target, scored[c]))
    head = _fit(name, labels, rows, target, best)
    outputs = {e.id: row[None] for e, row in zip(train, np.exp(scored[best]), strict=True)}
    recall = {"train": _recall(labels, target, scored[best])}
    for side in ("validation", "test"):
        others = [e for e in examples if e.side == side and e.emotion in labels]
        if not others:
            continue
        log = head.log_probabilities(_matrix(others, array))
        outputs |= {e.id: row[None] for e, row in zip(others, np.exp(log), strict=True)}
        recall[side] = _recall(labels, [e.emotion for e in others], log)
    return FittedHead(head, outputs, best, recall)


def _matrix(examples: Sequence[Example], array: str) -> NDArray[np.float32]:
    return np.stack([e.arrays[array] for e in examples]).astype(np.float32)


def _fit(name: str, labels: tuple[str, ...], rows: NDArray[np.float32], target: Sequence[str], c: float) -> EmotionHead:
    mean, scale = rows.mean(axis=0), rows.std(axis=0) + 1e-3
    model = LogisticRegression(C=c, max_iter=400, class_weight="balanced")
    model.fit((rows - mean) / scale, target)
    if tuple(model.classes_) != labels:
        lacking = ", ".join(sorted(set(labels) - set(model.classes_)))
        raise ManifestError(
            f"{name}: without one fold of people no example of {lacking} is left; add people who have it"
        )
    return EmotionHead(name, labels, mean, scale, model.coef_.T.astype(np.float32), model.intercept_.astype(np.float32))


def _out_of_fold(
    name: str,
    labels: tuple[str, ...],
    rows: NDArray[np.float32],
    target: Sequence[str],
    people: Sequence[str],
    c: float,
    seed: int,
) -> NDArray[np.float32]:
    out = np.zeros((len(rows), len(labels)), dtype=np.float32)
    wanted = np.array(target)
    for fit, held in GroupKFold(FOLDS, shuffle=True, random_state=seed).split(rows, wanted, people):
        out[held] = _fit(name, labels, rows[fit], wanted[fit].tolist(), c).log_probabilities(rows[held])
    return out


def _recall(labels: tuple[str, ...], target: Sequence[str], log: NDArray[np.float32]) -> float:
    guessed = [labels[k] for k in log.argmax(axis=1)]
    return float(recall_score(target, guessed, average="macro", zero_division=0))
