"""Small nets for heads: numpy repeats what torch learned, a seed repeats, nothing else is disturbed."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from emotion_llama.encoders.heads import EmotionHead, Layer
from emotion_llama.train.head_nets import fit_nets
from emotion_llama.train.head_settings import NetSettings

NETS = NetSettings(steps=150)  # a run takes 703
Fitted = tuple[np.ndarray, np.ndarray, tuple[tuple[Layer, ...], ...]]


def rows(count: int = 120, width: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Three classes, the third rare, told apart by products of columns: no linear map does it."""
    rng = np.random.default_rng(0)
    target = np.array([0] * (count // 2) + [1] * (count // 2 - count // 10) + [2] * (count // 10))
    x = rng.standard_normal((count, width))
    sign = np.where(x[:, 0] > 0, 1, -1)
    x[:, 1] = np.where(target == 1, -sign, sign) * (1 + np.abs(x[:, 1]))
    x[target == 2, 2] += 5
    return x.astype(np.float32), target


def even(target: np.ndarray) -> np.ndarray:
    """Weights with which all classes count the same."""
    return np.asarray(1 / np.bincount(target)[target], np.float32)


def fit(x: np.ndarray, target: np.ndarray, weights: np.ndarray, settings: NetSettings = NETS) -> Fitted:
    """Give centre, directions of size 1 and members."""
    centre = x.mean(axis=0)
    basis = np.linalg.svd(x - centre, full_matrices=False)[2].T
    basis = basis / np.sqrt((((x - centre) @ basis) ** 2).mean())
    return centre, basis, fit_nets((x - centre) @ basis, target, weights, settings, seed=0)


@pytest.fixture(scope="module")
def fitted() -> Fitted:
    x, target = rows()
    return fit(x, target, even(target))


def head_of(fitted: Fitted) -> EmotionHead:
    centre, basis, members = fitted
    return EmotionHead("h", "rows", ("a", "b", "c"), centre, np.ones_like(centre), members, basis)


def test_it_learns_what_no_linear_map_can_and_rare_classes_count(fitted: Fitted) -> None:
    x, target = rows()
    right = head_of(fitted).log_probabilities(x).argmax(axis=1) == target
    assert min(right[target == k].mean() for k in range(3)) > 0.8


def test_the_head_computes_what_torch_computes(fitted: Fitted) -> None:
    centre, basis, members = fitted
    x, _ = rows()
    seen = torch.from_numpy((x - centre) @ basis)
    logs = []
    for first, last in members:
        hidden = torch.nn.functional.gelu(
            seen @ torch.from_numpy(first.weight) + torch.from_numpy(first.bias), approximate="tanh"
        )
        logs.append((hidden @ torch.from_numpy(last.weight) + torch.from_numpy(last.bias)).log_softmax(-1))
    expected = torch.stack(logs).mean(0).log_softmax(-1)
    np.testing.assert_allclose(head_of(fitted).log_probabilities(x), expected.numpy(), atol=1e-5)


def test_a_seed_gives_the_same_nets_and_leaves_the_callers_chance_alone(fitted: Fitted) -> None:
    x, target = rows()
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    again = fit(x, target, even(target))
    assert torch.equal(torch.rand(3), expected)
    for one, other in zip(fitted[2], again[2], strict=True):
        for layer, same in zip(one, other, strict=True):
            np.testing.assert_array_equal(layer.weight, same.weight)
    assert not np.array_equal(fitted[2][0][0].weight, fitted[2][1][0].weight)  # members differ from each other


def test_rows_without_weight_are_not_learned_from(fitted: Fitted) -> None:
    x, target = rows()
    wrong = np.concatenate([target, (target + 1) % 3])
    weights = np.concatenate([even(target), np.zeros(len(target), np.float32)])
    head = head_of(fit(np.concatenate([x, x]), wrong, weights))
    assert (head.log_probabilities(x).argmax(axis=1) == target).mean() > 0.8


def test_the_settings_are_those_of_the_nets() -> None:
    x, target = rows()
    small = NetSettings(members=5, hidden=9, steps=2, batch_size=128, noise=0, mixup=0, smoothing=0)
    _, _, members = fit(x, target, even(target), small)
    assert [[layer.weight.shape for layer in member] for member in members] == [[(12, 9), (9, 3)]] * 5


def test_nets_without_dropout_noise_and_smoothing_fit_what_they_see() -> None:
    """Thirty rows of pure noise are learned by heart only where nothing stands against it."""
    rng = np.random.default_rng(0)
    x, target = rng.standard_normal((30, 12)).astype(np.float32), rng.permutation(np.arange(30) % 3)
    free = {"noise": 0, "mixup": 0, "smoothing": 0, "input_dropout": 0, "dropout": 0, "weight_decay": 0}
    losses = {}
    for changes in (
        free,
        *({**free, key: value} for key, value in (("smoothing", 0.2), ("mixup", 1), ("dropout", 0.8))),
    ):
        settings = NetSettings.model_validate(
            {"steps": 150, "members": 1, "hidden": 32, "learning_rate": 0.01, **changes}
        )
        log = head_of(fit(x, target, even(target), settings)).log_probabilities(x)
        losses[str(changes)] = -float(log[np.arange(30), target].mean())
    bare, *held = losses.values()
    assert bare < 0.05 and min(held) > 2 * bare, losses
