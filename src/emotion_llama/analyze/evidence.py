"""Reasons that can be checked: what a text names against what was measured; what speaks for and against an answer."""

from __future__ import annotations

import re
from collections.abc import Sequence

from emotion_llama.clip import Observation
from emotion_llama.labels import canonical, is_known
from emotion_llama.perception.claim_check import CheckedClaim, Measured
from emotion_llama.perception.claims import extract_claims, mentions

CLAIM_SOURCE = "reasoning"
"""`Observation.source` of a sign that the reasoning names."""

_SENTENCE = re.compile(r"[^.!?。！？]+(?:[.!?。！？]+[”\"’']?|$)\s*")
_DECIMAL = re.compile(r"(?<=\d)\.(?=\d)")


def claims_of(text: str, measured: Measured) -> tuple[Observation, ...]:
    """Give every sign that a text names, once, with its verdict and what it was compared with."""
    return tuple(_observation(one) for one in measured.check(extract_claims(text)))


def without_contradicted(text: str, measured: Measured) -> str:
    """Give the text without the sentences in which something is contradicted; "" if nothing is left."""
    wrong = [one.claim.start for one in measured.check(mentions(text)) if one.verdict == "contradicted"]
    kept = [text[start:end] for start, end in _sentences(text) if not any(start <= place < end for place in wrong)]
    return "".join(kept).strip()


def supported_share(claims: Sequence[Observation]) -> float | None:
    """Share of the checkable claims that hold; `None` if none could be checked."""
    checkable = [one for one in claims if one.verdict in ("supported", "contradicted")]
    return sum(one.verdict == "supported" for one in checkable) / len(checkable) if checkable else None


def with_sides(observations: Sequence[Observation], emotion: str | None) -> tuple[Observation, ...]:
    """Say of each observation whether it speaks for the emotion that is given, or for others and so against it."""
    if emotion is None:
        return tuple(observations)
    name = canonical(emotion) if is_known(emotion) else emotion
    return tuple(
        one.model_copy(update={"speaks": "for" if name in one.supports else "against"}) if one.supports else one
        for one in observations
    )


def _observation(checked: CheckedClaim) -> Observation:
    claim = checked.claim
    return Observation(
        channel=claim.channel,
        text=claim.text,
        source=CLAIM_SOURCE,
        name=checked.measured or claim.name,
        value=checked.value,
        unit=checked.unit,
        direction=0 if claim.negated and claim.direction else None if claim.negated else claim.direction,
        start_s=checked.start_s,
        end_s=checked.end_s,
        verdict=checked.verdict,
        note=checked.reason,
    )


def _sentences(text: str) -> list[tuple[int, int]]:
    """Start and end of each sentence; a point between digits ends none."""
    plain = _DECIMAL.sub("_", text)
    return [match.span() for match in _SENTENCE.finditer(plain)]
