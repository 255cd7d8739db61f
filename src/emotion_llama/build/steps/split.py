"""split: training, validation and test sides that share no person (or no recording)."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from typing import Literal, Self, get_args

from pydantic import model_validator

from emotion_llama.build.entry import Part
from emotion_llama.build.step import StepSettings
from emotion_llama.build.whole import Candidate, Decision, LoadPrint, WholeStep


class SplitSettings(StepSettings):
    """`by`: what stays on one side together: a speaker (clips without one: their recording), or a recording.

    `train`, `validation`, `test`: wanted shares of the clips (they sum to 1); `seed` draws who goes where.
    """

    by: Literal["speaker", "recording"] = "speaker"
    train: float = 0.8
    validation: float = 0.1
    test: float = 0.1
    seed: int = 0

    @model_validator(mode="after")
    def _sum(self) -> Self:
        if abs(self.train + self.validation + self.test - 1.0) > 1e-6 or min(self.shares.values()) < 0:
            raise ValueError("train, validation and test must be shares from 0 to 1 that sum to 1")
        return self

    @property
    def shares(self) -> dict[Part, float]:
        """Wanted share of each side."""
        return {"train": self.train, "validation": self.validation, "test": self.test}


def share_out(candidates: Sequence[Candidate], settings: SplitSettings, load: LoadPrint) -> list[Decision]:
    """Give every clip a side: group after group, in drawn order, goes where most is missing."""
    groups = [_group(one, settings.by) for one in candidates]
    sizes = Counter(groups)
    drawn = sorted(sizes, key=lambda group: hashlib.sha256(f"{settings.seed} {group}".encode()).hexdigest())
    filled: dict[Part, int] = dict.fromkeys(get_args(Part), 0)
    sides: dict[str, Part] = {}
    for group in drawn:
        missing = {part: settings.shares[part] * len(candidates) - filled[part] for part in filled}
        part = max(missing, key=lambda name: missing[name])
        sides[group] = part
        filled[part] += sizes[group]
    return [
        Decision("done", f"{sides[group]} (with all clips of {group.partition(':')[2]})", sides[group])
        for group in groups
    ]


def _group(one: Candidate, by: str) -> str:
    if by == "speaker" and one.speaker is not None:
        return f"speaker:{one.speaker}"
    return f"recording:{one.sha256 or one.path}"


SPLIT = WholeStep("split", "1", SplitSettings, share_out)
