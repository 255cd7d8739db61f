"""What each input contributed to an answer: exact Shapley values over video, audio and words, and their disagreement.

Every set of inputs is scored alone (at most seven readings and the blank clip), so the shares are no estimate. Shapley
(1953): an input's share is its mean gain over all orders in which inputs can be added.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations, permutations

import numpy as np
from numpy.typing import NDArray

from emotion_llama.clip import Attribution, Conflict, Modality

CLEAR = 0.35
"""Divergence from which two inputs with different likeliest labels are called in conflict."""

_SAYS = {"video": "the picture", "audio": "the voice", "text": "the words"}

Chances = Mapping[str, float]


def attribute(
    emotion: str, present: Sequence[Modality], chances_of: Callable[[tuple[Modality, ...]], Chances]
) -> Attribution:
    """Share out the probability of `emotion` among the inputs that are present.

    `chances_of` gives the probabilities of the labels from a set of inputs, `()` for the blank clip; it is called once
    for each set.
    """
    sets = [some for size in range(len(present) + 1) for some in combinations(present, size)]
    found = {some: dict(chances_of(some)) for some in sets}
    value = {some: chances[emotion] for some, chances in found.items()}
    whole = tuple(present)
    divergence, conflict = disagreement({name: found[(name,)] for name in present})
    return Attribution(
        emotion=emotion,
        blank=value[()],
        shapley=shapley(whole, value),
        left_out={name: value[whole] - value[tuple(x for x in whole if x != name)] for name in whole},
        alone={"+".join(some): chances for some, chances in found.items() if some},
        divergence=divergence,
        conflict=conflict,
    )


def shapley(present: tuple[Modality, ...], value: Mapping[tuple[Modality, ...], float]) -> dict[Modality, float]:
    """Exact shares from the value of every set of inputs (in the order of `present`); they sum to the whole's gain."""
    shares = dict.fromkeys(present, 0.0)
    orders = list(permutations(present))
    for order in orders:
        for place, name in enumerate(order):
            before = tuple(x for x in present if x in order[:place])
            after = tuple(x for x in present if x in order[: place + 1])
            shares[name] += (value[after] - value[before]) / len(orders)
    return shares


def disagreement(alone: Mapping[Modality, Chances]) -> tuple[float | None, Conflict | None]:
    """The largest divergence of two inputs, each heard alone, and the conflict where it is clear."""
    pairs = [(divergence(alone[one], alone[other]), one, other) for one, other in combinations(alone, 2)]
    if not pairs:
        return None, None
    largest, one, other = max(pairs, key=lambda pair: pair[0])
    said = (_likeliest(alone[one]), _likeliest(alone[other]))
    if largest < CLEAR or said[0] == said[1]:
        return largest, None
    sure = (alone[one][said[0]], alone[other][said[1]])
    text = f"{_SAYS[one]} alone says {said[0]} ({sure[0]:.0%}), {_SAYS[other]} alone {said[1]} ({sure[1]:.0%})"
    return largest, Conflict(inputs=(one, other), emotions=said, divergence=largest, text=text)


def divergence(one: Chances, other: Chances) -> float:
    """Jensen-Shannon divergence (base 2, so 0 to 1) of two distributions over the same labels."""
    p = np.array([one[label] for label in one])
    q = np.array([other[label] for label in one])
    middle = (p + q) / 2
    return float(min(1.0, max(0.0, (_kl(p, middle) + _kl(q, middle)) / 2)))


def _kl(p: NDArray[np.float64], q: NDArray[np.float64]) -> float:
    there = p > 0
    return float((p[there] * np.log2(p[there] / q[there])).sum())


def _likeliest(chances: Chances) -> str:
    return max(chances, key=lambda label: chances[label])
