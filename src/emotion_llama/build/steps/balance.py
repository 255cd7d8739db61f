"""balance: no class may outweigh the others: the worst-supported clips of a class that is too large go."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence

from pydantic import Field

from emotion_llama.build.step import StepSettings
from emotion_llama.build.whole import Candidate, Decision, LoadPrint, WholeStep


class BalanceSettings(StepSettings):
    """`most_ratio`: a class may have so many times the clips of the smallest one; `most`: so many at all.

    `None` = no limit. Of clips whose clues are equally well supported, `seed` draws.
    """

    most_ratio: float | None = Field(default=None, ge=1.0)
    most: int | None = Field(default=None, ge=1)
    seed: int = 0


def even_out(candidates: Sequence[Candidate], settings: BalanceSettings, load: LoadPrint) -> list[Decision]:
    """Keep of each class the best-supported clips, up to the limit."""
    counts = Counter(one.emotion for one in candidates)
    limit = _limit(counts, settings)
    ranked = sorted(
        range(len(candidates)),
        key=lambda place: (-candidates[place].quality, _draw(candidates[place].name, settings.seed)),
    )
    taken: Counter[str | None] = Counter()
    kept = set()
    for place in ranked:
        emotion = candidates[place].emotion
        if limit is None or taken[emotion] < limit:
            taken[emotion] += 1
            kept.add(place)
    return [
        Decision("done", f"{one.emotion} has {counts[one.emotion]} clips" + (f", limit {limit}" if limit else ""))
        if place in kept
        else Decision(
            "rejected", f"{one.emotion} has {counts[one.emotion]} clips, {limit} stay, others are better supported"
        )
        for place, one in enumerate(candidates)
    ]


def _limit(counts: Counter[str | None], settings: BalanceSettings) -> int | None:
    limits = [] if settings.most is None else [settings.most]
    if settings.most_ratio is not None and counts:
        limits.append(max(1, int(min(counts.values()) * settings.most_ratio)))
    return min(limits) if limits else None


def _draw(name: str, seed: int) -> str:
    return hashlib.sha256(f"{seed} {name}".encode()).hexdigest()


BALANCE = WholeStep("balance", "1", BalanceSettings, even_out)
