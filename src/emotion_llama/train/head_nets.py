"""Small nets for the emotion heads: an ensemble of one-hidden-layer nets on the numbers a linear map gives.

Against logistic regression on the same frozen voice features they gain about six points on unseen actors, half of it
from altered copies of the training voices (docs/log.md).
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from emotion_llama.encoders.heads import Layer
from emotion_llama.train.head_settings import NetSettings

Floats = NDArray[np.float32]


def fit_nets(
    inputs: Floats, target: NDArray[np.int64], weights: Floats, settings: NetSettings, seed: int
) -> tuple[tuple[Layer, ...], ...]:
    """Fit an ensemble on rows (n, R) of size 1 in the mean and class numbers (n,), drawn by `weights` (n,)."""
    rows = torch.from_numpy(inputs)
    seeds = range(seed * settings.members, (seed + 1) * settings.members)
    return tuple(_fit_member(rows, target, weights, settings, one) for one in seeds)


def _fit_member(
    inputs: Tensor, target: NDArray[np.int64], weights: Floats, settings: NetSettings, seed: int
) -> tuple[Layer, ...]:
    """Train one net with noise, mixup, label smoothing and dropout; a seed gives the same net."""
    classes = int(target.max()) + 1
    rng = torch.Generator().manual_seed(seed)
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    torch.manual_seed(seed)
    torch.set_num_threads(1)  # the matrices are small: more threads wait for one another
    try:
        net = _net(inputs.shape[1], classes, settings).train()
        rate = settings.learning_rate
        optimizer = torch.optim.AdamW(net.parameters(), lr=rate, weight_decay=settings.weight_decay)
        course = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=settings.steps)
        spread, chances = inputs.std(0), torch.from_numpy(weights.astype(np.float64))
        wanted = nn.functional.one_hot(torch.from_numpy(target), classes).float()
        wanted = (1 - settings.smoothing) * wanted + settings.smoothing / classes
        for _ in range(settings.steps):
            picked = torch.multinomial(chances, settings.batch_size, replacement=True, generator=rng)
            seen = inputs[picked]
            if settings.noise:
                seen = seen + settings.noise * spread * torch.randn(seen.shape, generator=rng)
            seen, told = _mixed(seen, wanted[picked], settings.mixup, rng)
            loss = -(told * net(seen).log_softmax(-1)).sum(-1).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            course.step()
    finally:
        torch.set_rng_state(state)
        torch.set_num_threads(threads)
    return tuple(_layer(part) for part in net if isinstance(part, nn.Linear))


def _net(width: int, classes: int, settings: NetSettings) -> nn.Sequential:
    first, last = nn.Linear(width, settings.hidden), nn.Linear(settings.hidden, classes)
    gelu = nn.GELU(approximate="tanh")
    return nn.Sequential(nn.Dropout(settings.input_dropout), first, gelu, nn.Dropout(settings.dropout), last)


def _mixed(seen: Tensor, wanted: Tensor, mixup: float, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Mix a batch (B, R) and what is wanted of it (B, K) with itself in another order (Zhang et al. 2018)."""
    if not mixup:
        return seen, wanted
    share, other = float(torch.distributions.Beta(mixup, mixup).sample()), torch.randperm(len(seen), generator=rng)
    return share * seen + (1 - share) * seen[other], share * wanted + (1 - share) * wanted[other]


def _layer(linear: nn.Linear) -> Layer:
    return Layer(linear.weight.detach().numpy().T.copy(), linear.bias.detach().numpy().copy())
