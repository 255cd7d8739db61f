"""The named sweeps of the robustness suite: what is damaged, at which levels, from mild to severe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from emotion_llama.clip import Modality
from emotion_llama.errors import UsageError

if TYPE_CHECKING:
    from emotion_llama.evaluate.robustness.corrupt.write import Corruption

Level = float | str
"""A strength in the condition's unit, or a name where levels have no size."""


@dataclass(frozen=True)
class Condition:
    """One sweep. `levels` go from mild to severe.

    `damages`: what is changed: the recording's sound or picture, the given transcript, or how the model is asked.
    `axis` is how levels are spaced for the area under the curve: by their size, by octaves (halvings), or `None` where
    they have no order. `undamaged` is the level that means no damage, where the axis has one: it is a point of the
    curve. `damages="words"` is answered at that level too, because the usual clean run may not be given the words.
    """

    name: str
    title: str
    unit: str
    levels: tuple[Level, ...]
    damages: Literal["sound", "picture", "words", "asking"]
    axis: Literal["size", "octave"] | None = "size"
    undamaged: float | None = None

    def positions(self, levels: Sequence[Level]) -> list[float] | None:
        """Places of `levels` on the axis; `None` without an axis."""
        if self.axis is None:
            return None
        return [float(np.log2(float(level))) if self.axis == "octave" else float(level) for level in levels]


SNR_DB: tuple[Level, ...] = (20.0, 10.0, 5.0, 0.0, -5.0)
SHARES: tuple[Level, ...] = (0.25, 0.5, 0.75, 1.0)
COMBINATIONS: tuple[tuple[Modality, ...], ...] = (
    ("text",), ("audio",), ("video",), ("audio", "text"), ("video", "text"), ("video", "audio"),
)  # fmt: skip
ORDERS: tuple[Level, ...] = ("as-given", "reversed", "shuffled-1", "shuffled-2", "shuffled-3", "shuffled-4")
PHRASINGS: tuple[Level, ...] = ("1", "2", "3", "4")

CONDITIONS: tuple[Condition, ...] = (
    Condition("snr-white", "White noise", "dB", SNR_DB, "sound"),
    Condition("snr-babble", "Babble of synthetic voices", "dB", SNR_DB, "sound"),
    Condition("snr-music", "Synthetic music", "dB", SNR_DB, "sound"),
    Condition("mp3", "MP3 round trip", "kbit/s", (64.0, 32.0, 16.0, 8.0), "sound", "octave"),
    Condition("telephone", "Telephone line", "", ("g711",), "sound", None),
    Condition("blur", "Blur", "px at 256 px height", (1.0, 2.0, 4.0, 8.0), "picture", undamaged=0.0),
    Condition("low-light", "Low light", "stops", (2.0, 4.0, 6.0), "picture", undamaged=0.0),
    Condition("frame-drop", "Lost frames", "share", (0.25, 0.5, 0.75, 0.9), "picture", undamaged=0.0),
    Condition("occlusion-lower", "Lower face covered", "share of half", SHARES, "picture", undamaged=0.0),
    Condition("occlusion-upper", "Upper face covered", "share of half", SHARES, "picture", undamaged=0.0),
    Condition("missing", "Missing input", "", tuple("+".join(left) for left in COMBINATIONS), "asking", None),
    Condition("asr-errors", "Recognition errors", "% of words", (10.0, 20.0, 40.0), "words", undamaged=0.0),
    Condition("label-order", "Order of the labels", "", ORDERS, "asking", None),
    Condition("phrasing", "Wording of the question", "", PHRASINGS, "asking", None),
)
QUICK = ("snr-babble", "telephone", "blur", "missing", "label-order")


def parse_conditions(text: str) -> tuple[Condition, ...]:
    """Read "all", "quick", or names separated by commas; "snr" and "occlusion" name all sweeps that start so.

    Raises `UsageError` for an unknown or missing name.
    """
    wanted = [word.strip().lower() for word in text.split(",") if word.strip()]
    found: list[Condition] = []
    for word in wanted:
        chosen = [one for one in CONDITIONS if _names(word, one.name)]
        if not chosen:
            known = [one.name for one in CONDITIONS]
            near = get_close_matches(word, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise UsageError(f"unknown robustness condition {word!r}; choose all, quick or {', '.join(known)}{hint}")
        found += [one for one in chosen if one not in found]
    if not found:
        raise UsageError(f"robustness: expected all, quick or names of conditions, found {text!r}")
    return tuple(found)


def _names(word: str, name: str) -> bool:
    return word in ("all", name) or name.startswith(f"{word}-") or (word == "quick" and name in QUICK)


def level_name(level: Level) -> str:
    """Give a level as it stands in file names and tables: "20", "-5", "0.25", "video+audio"."""
    return level if isinstance(level, str) else f"{level:g}"


def corruption(condition: Condition, level: Level, seed: int) -> Corruption:
    """Give the damage to the recording at one level of a sound or picture condition."""
    from emotion_llama.evaluate.robustness.corrupt.write import (
        Corruption,  # loads av and cv2; a report names conditions only
    )

    return Corruption(condition.name, 0.0 if isinstance(level, str) else level, seed)


def changes(condition: Condition | None, level: Level, labels: Sequence[str], seed: int) -> dict[str, Any]:
    """Give what is different about the asking at one level (`None`: the clean run).

    `labels` is always there. The other keys are fields of `AnalyzeSettings`; `words` ("given": hand the model the
    transcripts of the items whatever the suite does) is not.
    """
    asked: dict[str, Any] = {"labels": tuple(labels)}
    if condition is None:
        return asked
    if condition.damages == "words":
        asked["words"] = "given"
    elif condition.name == "missing":
        asked["without"] = tuple(str(level).split("+"))
    elif condition.name == "label-order":
        asked |= {"labels": label_order(labels, str(level), seed), "label_orders": 1}
    elif condition.name == "phrasing":
        asked["phrasing"] = int(level)
    return asked


def label_order(labels: Sequence[str], order: str, seed: int) -> tuple[str, ...]:
    """Give the labels as one of `ORDERS`; shuffles follow from `seed` and their number."""
    if order == "as-given":
        return tuple(labels)
    if order == "reversed":
        return tuple(reversed(labels))
    number = int(order.removeprefix("shuffled-"))
    return tuple(labels[place] for place in np.random.default_rng((seed, number)).permutation(len(labels)))
