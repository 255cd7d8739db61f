"""A person's own baseline: what is the same in all their recordings is taken off before an emotion is read.

People differ more than expressions do. From other recordings of the same person (no labels needed) the mean of each
encoder output is formed; a clip is then moved by the difference between that mean and the population's, shrunk where
the person has few recordings. For one linear layer this equals subtracting mean log-probabilities.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from emotion_llama.errors import ModelError, UsageError

Rows = NDArray[np.float32]

LEAST = 4
"""Fewer other recordings than this make a clip worse rather than better, and are refused."""

SHRINKAGE = 4.0
"""With n other recordings n / (n + 4) of the difference is taken off. Chosen on actors of CREMA-D and RAVDESS features
(docs/log.md): at n = 4 nothing is gained, at 8 about .03 of accuracy, at 32 about .05."""


@dataclass(frozen=True)
class PersonBaseline:
    """The mean of each encoder output (E,) over `clips` recordings of one person.

    `counts`: how many of the recordings have an output, where not all do; by it the difference is shrunk.
    """

    means: dict[str, Rows]
    clips: int
    counts: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, encoded: Sequence[Mapping[str, Rows]]) -> PersonBaseline:
        """Average the outputs of several recordings; an output that not all have is averaged over those that do.

        Raises `UsageError` for fewer than `LEAST` recordings.
        """
        if len(encoded) < LEAST:
            raise UsageError(
                f"baseline: expected at least {LEAST} other recordings of the person, found {len(encoded)}; with fewer "
                "the person's own traits and one passing mood cannot be told apart"
            )
        names = {name for one in encoded for name in one}
        counts = {name: sum(name in one for one in encoded) for name in sorted(names)}
        means = {
            name: np.mean([one[name].mean(axis=0) for one in encoded if name in one], axis=0).astype(np.float32)
            for name, count in counts.items()
            if count >= LEAST
        }
        return cls(means, len(encoded), {name: counts[name] for name in means})

    def recentred(self, encoded: Mapping[str, Rows], population: Mapping[str, Rows]) -> dict[str, Rows]:
        """Move a clip's outputs by the person's difference from `population` (name → (E,)).

        Outputs that the population does not name stay as they are: pictures of the whole scene, movement.
        """
        found = dict(encoded)
        for name, rows in encoded.items():
            if name in population and name in self.means:
                count = self.counts.get(name, self.clips)
                share = count / (count + SHRINKAGE)
                found[name] = (rows - share * (self.means[name] - population[name])).astype(np.float32)
        return found


def save_population(means: Mapping[str, Rows], path: Path) -> None:
    """Write the population's means of encoder outputs beside a checkpoint; whole or not at all."""
    partial = path.with_name(path.name + ".partial")
    save_file({name: np.asarray(mean, np.float32) for name, mean in means.items()}, partial)
    partial.chmod(0o644)
    partial.replace(path)


def load_population(path: Path) -> dict[str, Rows]:
    """Read what `save_population` wrote. Raises `ModelError` if the checkpoint has none."""
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise ModelError(
            f"{path}: this checkpoint cannot use a person's baseline ({error}); it was trained without "
            "model.recentre: leave --baseline out, or train with it"
        ) from error
