"""Verifiable rewards: small pure functions of an answer and the facts about its clip; no model judges.

Each gives 0–1, or `None` where it does not apply. What they can be gamed by is said with each; the format reward and
the weights are there to keep the balance.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from emotion_llama.answer import parse_emotion, parse_open
from emotion_llama.metrics.wheel import own_tables, wheel_values
from emotion_llama.perception.claim_check import check_claims
from emotion_llama.perception.claims import extract_claims
from emotion_llama.train.preference.facts import Facts
from emotion_llama.train.preference.settings import RewardName, RewardSettings

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")
_CONCLUDING = ("emotion", "reason")

DEFAULTS = RewardSettings()
"""What counts as a good answer where nothing else is said."""


def label_match(text: str, facts: Facts, settings: RewardSettings = DEFAULTS) -> float | None:
    """1 if the answer names the right label of the asked set, else 0; `None` for free words and for descriptions."""
    if facts.label is None or not facts.labels or facts.task not in _CONCLUDING:
        return None
    return float(parse_emotion(text, facts.labels) == facts.label)


def wheel_f1(text: str, facts: Facts, settings: RewardSettings = DEFAULTS) -> float | None:
    """Emotion-wheel F1 of the free words against the right ones (`metrics.wheel`, level 1, mean over wheels).

    The strict form: a word that no table knows counts as wrong, so that naming much does not pay. `None` where a label
    of a set was asked for, for descriptions, and where no right words are known.
    """
    if facts.labels or not facts.words or facts.task not in _CONCLUDING:
        return None
    return wheel_values([facts.words], [frozenset(parse_open(text))], own_tables())["ew_f1_level1_strict"]


def format_kept(text: str, facts: Facts, settings: RewardSettings = DEFAULTS) -> float | None:
    """1 if the answer is not empty, not over `max_words`, and its last sentence names exactly one asked label, else 0.

    Free emotion words must be readable as such; descriptions need no label.
    """
    if not 1 <= len(text.split()) <= settings.max_words:
        return 0.0
    if facts.task not in _CONCLUDING:
        return 1.0
    if not facts.labels:
        return float(bool(parse_open(text)))
    last = _SENTENCE_END.split(text.strip())[-1]
    return float(parse_emotion(last, facts.labels) is not None)


def supported_clues(text: str, facts: Facts, settings: RewardSettings = DEFAULTS) -> float | None:
    """Share of the checkable clues in the answer that the clip's measurements bear out (`perception.claim_check`).

    Taken of at least `clues_wanted` clues. 0 when none is checkable, or `None` with `allow_no_clues`. `None` for the
    bare label, and where nothing was measured. Copying the clues of the prompt is rewarded: it says that the text is
    true, not that it led to the label.
    """
    measured = facts.evidence or facts.action_units or facts.voice or facts.transcript is not None
    if facts.task == "emotion" or not measured:
        return None
    supported, contradicted = count_clues(text, facts)
    if supported + contradicted == 0:
        return None if settings.allow_no_clues else 0.0
    return supported / max(supported + contradicted, settings.clues_wanted)


def count_clues(text: str, facts: Facts) -> tuple[int, int]:
    """Give how many clues of a text the clip's measurements support and contradict."""
    checked = check_claims(extract_claims(text), facts.evidence, facts.action_units, facts.voice, facts.transcript)
    verdicts = [claim.verdict for claim in checked]
    return verdicts.count("supported"), verdicts.count("contradicted")


Reward = Callable[[str, Facts, RewardSettings], float | None]

REWARDS: Mapping[RewardName, Reward] = {
    "label_match": label_match,
    "wheel_f1": wheel_f1,
    "format": format_kept,
    "supported_clues": supported_clues,
}
"""Every reward under the name that settings and logs use."""


def applicable(facts: Facts, settings: RewardSettings) -> set[RewardName]:
    """Give the rewards with a weight that say something about some answer to a question with these facts."""
    strict = settings.model_copy(update={"allow_no_clues": False})
    return {name for name in settings.weights.used if REWARDS[name]("-", facts, strict) is not None}


def score(text: str, facts: Facts, settings: RewardSettings) -> dict[RewardName, float | None]:
    """Give every reward that has a weight, one by one."""
    return {name: REWARDS[name](text, facts, settings) for name in settings.weights.used}


def total(scores: Mapping[RewardName, float | None], settings: RewardSettings) -> float | None:
    """Weighted sum of the rewards that apply, as TRL adds them up; `None` if none applies."""
    weights = settings.weights.used
    applied = [weights[name] * value for name, value in scores.items() if value is not None]
    return sum(applied) if applied else None
