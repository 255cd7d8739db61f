"""Fit the emotion heads, and give out-of-fold opinions for the language model's training."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import recall_score
from sklearn.model_selection import GroupKFold

from emotion_llama.encoders.heads import EmotionHead, Layer
from emotion_llama.errors import ManifestError
from emotion_llama.train.config import SUFFIX
from emotion_llama.train.examples import Example
from emotion_llama.train.head_maps import LinearMap, principal_map, within_person_map
from emotion_llama.train.head_nets import fit_nets
from emotion_llama.train.head_settings import HeadSettings

Rows = NDArray[np.float32]
TEMPERATURES = np.geomspace(0.3, 6.0, 61)


@dataclass(frozen=True)
class HeadRows:
    """What a head is fitted on: rows (n, E), and of each row the emotion, how much it counts, and who it is."""

    rows: Rows
    target: NDArray[np.str_]
    weights: Rows
    people: NDArray[np.str_]

    def part(self, places: NDArray[np.int64]) -> HeadRows:
        """Give some of the rows."""
        return HeadRows(self.rows[places], self.target[places], self.weights[places], self.people[places])


Fit = Callable[[HeadRows], EmotionHead]


@dataclass(frozen=True)
class FittedHead:
    """A head, its opinion of every example (out-of-fold for those it was fitted on), and how it scored.

    `opinions`: example id → (1, K) probabilities. `recall`: mean recall by side; "train" is out of fold. `setting`: the
    strength that was chosen.
    """

    head: EmotionHead
    opinions: dict[str, Rows]
    setting: float
    recall: dict[str, float]


def fit_head(settings: HeadSettings, examples: Sequence[Example], seed: int) -> FittedHead:
    """Fit one head on the training examples that have its array; people never cross folds.

    The strength is chosen, and the confidence set right, out of fold. Raises `ManifestError` when there is nothing to
    fit on, or when a label belongs to people of one fold only, so that a fold would be fitted without it.
    """
    fitting = [e for e in examples if e.side == "train" and _usable(e, settings)]
    labels = tuple(sorted({str(e.emotion) for e in fitting}))
    people = np.array([e.person for e in fitting])
    count = len(set(people.tolist()))
    if len(labels) < 2 or count < 2:
        raise ManifestError(
            f"head {settings.name}: expected training examples of at least two emotions and two people with the "
            f"array {settings.array!r}, found {len(labels)} and {count}; check sources and features"
        )
    target = np.array([str(e.emotion) for e in fitting])
    data = HeadRows(_matrix(fitting, settings.array), target, _weights(settings, fitting, target), people)
    folds = GroupKFold(min(settings.folds, count), shuffle=True, random_state=seed)
    splits = list(folds.split(data.rows, target, people))
    tried = {}
    for setting in settings.strengths:
        fit = _fitter(settings, labels, setting, seed)
        tried[setting] = _out_of_fold(fit, data, splits, len(labels))
    # altered copies and sources that count less are for fitting only, where there are others
    trust = np.array([_source_weight(settings, e) if e.copy == 0 else 0.0 for e in fitting])
    own = trust == trust.max()
    best = max(tried, key=lambda c: _recall(labels, target[own], tried[c][own]))
    temperature = _temperature(tried[best][own], [labels.index(word) for word in target[own]])
    head = replace(_fitter(settings, labels, best, seed)(data), temperature=temperature)
    outside = _normalised(tried[best] / temperature)
    opinions = {e.id: np.exp(row)[None] for e, row in zip(fitting, outside, strict=True)}
    recall = {"train": _recall(labels, target[own], tried[best][own])}
    known = {e.id for e in fitting}
    others = [e for e in examples if settings.array in e.arrays and e.id not in known]
    opinions |= {e.id: head.opinion(e.arrays[settings.array]) for e in others}
    for side in ("validation", "test"):
        scored = [e for e in others if e.side == side and e.emotion in labels]
        if scored:
            guessed = np.concatenate([opinions[e.id] for e in scored])
            recall[side] = _recall(labels, np.array([str(e.emotion) for e in scored]), guessed)
    return FittedHead(head, opinions, best, recall)


def _usable(example: Example, settings: HeadSettings) -> bool:
    wanted = not settings.sources or example.source.removesuffix(SUFFIX) in settings.sources
    return wanted and example.emotion is not None and settings.array in example.arrays


def _matrix(examples: Sequence[Example], array: str) -> Rows:
    return np.stack([e.arrays[array].mean(axis=0) for e in examples]).astype(np.float32)


def _fitter(settings: HeadSettings, labels: tuple[str, ...], setting: float, seed: int) -> Fit:
    """Give the function that fits a head, with everything that it learns from the rows: scales, directions, nets."""

    def fit(data: HeadRows) -> EmotionHead:
        rows, target = data.rows, data.target
        lacking = sorted(set(labels) - set(target.tolist()))
        if lacking:
            raise ManifestError(
                f"head {settings.name}: without one fold of people no example of {', '.join(lacking)} is left; add "
                "people who have it, or take the label out"
            )
        if settings.kind == "nets":
            numbers = np.array([labels.index(word) for word in target])
            seen = _map(settings, data, int(setting), seed)
            members = fit_nets(seen.apply(rows), numbers, data.weights, settings.nets, seed)
            return EmotionHead(settings.name, settings.array, labels, seen.mean, seen.scale, members, seen.reduce)
        mean, scale = rows.mean(axis=0), rows.std(axis=0) + 1e-3
        read = _columns(settings, rows.shape[1])
        standard = (rows[:, read] - mean[read]) / scale[read]
        if settings.kind == "logistic":
            layer = _logistic(standard, target, data.weights, setting)
        else:
            layer = _discriminant(standard, target, setting)
        layer = _at_columns(layer, read, rows.shape[1])
        return EmotionHead.linear(settings.name, settings.array, labels, (mean, scale), layer)

    return fit


def _columns(settings: HeadSettings, width: int) -> NDArray[np.int64]:
    """Numbers of the columns that a head reads. Raises `ManifestError` where the array has fewer."""
    if not settings.columns:
        return np.arange(width)
    if max(behind for _, behind in settings.columns) > width:
        raise ManifestError(
            f"head {settings.name}: columns {settings.columns} go beyond the {width} columns of {settings.array!r}"
        )
    return np.unique(np.concatenate([np.arange(first, behind) for first, behind in settings.columns]))


def _at_columns(layer: Layer, read: NDArray[np.int64], width: int) -> Layer:
    """The same layer on all columns of the array: those that are not read weigh nothing."""
    weight = np.zeros((width, layer.weight.shape[1]), np.float32)
    weight[read] = layer.weight
    return Layer(weight, layer.bias)


def _map(settings: HeadSettings, data: HeadRows, directions: int, seed: int) -> LinearMap:
    if settings.map == "principal":
        return principal_map(data.rows, directions, seed)
    try:
        return within_person_map(data.rows, data.people, settings.blocks, directions)
    except ManifestError as error:
        raise ManifestError(f"head {settings.name}, array {settings.array!r}: {error}") from error


def _weights(settings: HeadSettings, examples: Sequence[Example], target: NDArray[np.str_]) -> Rows:
    """Weight of each example (n,): its source's, evened out over the labels as `balance` says; the mean stays."""
    weights = np.array([_source_weight(settings, e) for e in examples])
    classes = sorted(set(target.tolist()))
    total = {word: weights[target == word].sum() for word in classes}
    even = np.array([weights.sum() / len(classes) / total[word] for word in target])
    found: Rows = (weights * even**settings.balance).astype(np.float32)
    return found


def _source_weight(settings: HeadSettings, example: Example) -> float:
    return settings.source_weights.get(example.source.removesuffix(SUFFIX), 1.0)


def _logistic(rows: Rows, target: NDArray[np.str_], weights: Rows, strength: float) -> Layer:
    """Logistic regression of inverse strength `strength`.

    With more columns than rows it is fitted in the space of the rows, where its solution lies: the same, many times
    faster.
    """
    wide = rows.shape[1] > rows.shape[0]
    coordinates, space = _row_space(rows.astype(np.float64)) if wide else (rows, None)
    model = LogisticRegression(C=strength, max_iter=400).fit(coordinates, target, sample_weight=weights)
    coefficients, intercept = _every_class(model.coef_, model.intercept_)
    if space is not None:
        coefficients = coefficients @ space
    return Layer(coefficients.T.astype(np.float32), intercept.astype(np.float32))


def _row_space(rows: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rows (n, E) as coordinates (n, r) in their own space, and its r directions (r, E); their product is the rows.

    From the products of the rows with one another, which is several times faster than a decomposition of the rows.
    """
    values, left = np.linalg.eigh(rows @ rows.T)
    kept = values > values[-1] * 1e-10
    coordinates = left[:, kept] * np.sqrt(values[kept])
    return coordinates, (coordinates / values[kept]).T @ rows


def _discriminant(rows: Rows, target: NDArray[np.str_], components: float) -> Layer:
    """Linear discriminant analysis with Ledoit-Wolf shrinkage on the first principal components, equal priors.

    Both steps are linear, so one matrix holds them.
    """
    kept = min(int(components), *rows.shape)
    reduce = PCA(kept, svd_solver="randomized" if kept < 0.8 * min(rows.shape) else "full", random_state=0).fit(rows)
    classes = len(set(target.tolist()))
    model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto", priors=np.full(classes, 1 / classes))
    model.fit(reduce.transform(rows), target)
    coefficients, intercept = _every_class(model.coef_, model.intercept_)
    weight = reduce.components_.T @ coefficients.T  # (E, K)
    return Layer(weight.astype(np.float32), (intercept - reduce.mean_ @ weight).astype(np.float32))


def _every_class(coefficients: NDArray[np.float64], intercept: NDArray[np.float64]) -> tuple[Any, Any]:
    """Give a row for each class: the library has one row for two classes."""
    if len(coefficients) > 1:
        return coefficients, intercept
    return np.vstack([-coefficients, coefficients]) / 2, np.concatenate([-intercept, intercept]) / 2


def _out_of_fold(
    fit: Fit, data: HeadRows, splits: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]], labels: int
) -> Rows:
    """Log-probabilities (n, K) of each row by a head fitted on other people."""
    out = np.zeros((len(data.rows), labels), dtype=np.float32)
    for inside, outside in splits:
        out[outside] = fit(data.part(inside)).log_probabilities(data.rows[outside])
    return out


def _normalised(log: Rows) -> Rows:
    shifted = log - log.max(axis=1, keepdims=True)
    result: Rows = (shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))).astype(np.float32)
    return result


def _temperature(log: Rows, right: Sequence[int]) -> float:
    """Give the temperature with the least negative log-likelihood out of fold."""
    places = np.arange(len(log))
    losses = [-float(_normalised(log / t)[places, list(right)].mean()) for t in TEMPERATURES]
    best = float(TEMPERATURES[int(np.argmin(losses))])
    return best if math.isfinite(min(losses)) else 1.0


def _recall(labels: tuple[str, ...], target: NDArray[np.str_], scores: Rows) -> float:
    guessed = [labels[k] for k in scores.argmax(axis=1)]
    return float(recall_score(target, guessed, average="macro", zero_division=0))
