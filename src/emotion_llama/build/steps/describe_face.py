"""describe_face: action units in words: our measured phrases, or the published ones of the paper's Table 11."""

from __future__ import annotations

import random
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Literal

import yaml
from pydantic import Field

from emotion_llama.build.entry import Entry
from emotion_llama.build.look import Look
from emotion_llama.build.step import Found, Reject, Step, StepSettings
from emotion_llama.build.steps.faces import MODELS
from emotion_llama.build.steps.peak_frame import place_of
from emotion_llama.perception.describe import ACTION_UNIT_SOURCE, describe_face


class DescribeFaceSettings(StepSettings):
    """`phrases`: "measured" (what was measured and how much), "merr" (the paper's pools) or "facs" (the units' names).

    Of a pool one phrase is drawn with `seed` and the clip's name. `threshold` (0–5) and `most`: for the last two.
    """

    phrases: Literal["measured", "merr", "facs"] = "measured"
    threshold: float = Field(default=0.8, ge=0.0, le=5.0)
    most: int = Field(default=6, ge=1)
    seed: int = 0


def tell_face(entry: Entry, settings: DescribeFaceSettings, look: Look) -> Found | Reject:
    """Say what the face shows at its peak; observations are always ours, phrases as asked for."""
    measures = look.faces
    if measures is None or measures.main is None:
        return Found(words="no face to describe", face_phrases=())
    place = place_of(measures, entry.peak)
    observations = tuple(describe_face(replace(measures, peak=place), look.speech_s))
    if settings.phrases == "measured":
        phrases = tuple(o.text for o in observations)
    else:
        phrases = published_phrases(entry.action_units, settings, entry.name)
    return Found(words="; ".join(phrases) or "nothing to tell", face_phrases=phrases, observations=observations)


def published_phrases(units: dict[str, float], settings: DescribeFaceSettings, clip: str) -> tuple[str, ...]:
    """Give a phrase of the published pool for each active unit, strongest first."""
    active = sorted((name for name, level in units.items() if level >= settings.threshold), key=lambda n: -units[n])
    pools = [pool for name in active if (pool := phrase_pools().get(int(name.removeprefix("AU"))))]
    draw = random.Random(f"{settings.seed} {clip}")
    return tuple(pool[0] if settings.phrases == "facs" else draw.choice(pool) for pool in pools[: settings.most])


@cache
def phrase_pools() -> dict[int, list[str]]:
    """Give action unit → phrases, the FACS name first."""
    pools: dict[int, list[str]] = yaml.safe_load(Path(__file__).with_name("phrases.yaml").read_text(encoding="utf-8"))
    return pools


FACE = Step(
    "describe_face", "1", DescribeFaceSettings, tell_face, reads=("faces", "peak_frame"),
    models=lambda settings: (*MODELS, ACTION_UNIT_SOURCE),
)  # fmt: skip
