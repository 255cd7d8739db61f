"""Does what was measured bear a claim out? The limits are those of `describe.yaml`, read through `word_table`.

A sign is there from the table's first step ("slight") on. A third of the way from the first step to the second is left
to doubt on both sides: an action unit of 0.4–0.8 neither supports nor contradicts "he smiles", one of 0.8–1.2 neither
"he does not smile". What was not measured (no face, no speech, tears, gestures) is unverifiable, never contradicted.
Action units are those of the peak frame, so a sign that shows only at another time can be contradicted wrongly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from emotion_llama.clip import Observation, Record, VoiceMeasures
from emotion_llama.measurements import EXPRESSIONS
from emotion_llama.perception.claim_table import EXPRESSION_PREFIX
from emotion_llama.perception.claims import WORD_PREFIX, Claim, plain_words
from emotion_llama.perception.describe import MIN_EXPRESSION, emotional_words, voice_steps, word_table

Verdict = Literal["supported", "contradicted", "unverifiable"]

DOUBT = 1 / 3
"""Share of the way from the table's first step to its second within which nothing is decided."""
MOST_WORDS = 2 / 3
"""From this share of its words on, a quotation is too near to what was said to be called wrong."""

_LARGEST = "largest_action_unit"
_BLINK = "AU45"
_OF_FIVE = "of 5"
_FACTS = ("silence", "speech_s")


class CheckedClaim(Record):
    """A claim with its verdict; `measured` (with value, unit and span in seconds) is what it was compared with."""

    claim: Claim
    verdict: Verdict
    measured: str | None = None
    value: float | None = None
    unit: str | None = None
    start_s: float | None = None
    end_s: float | None = None
    reason: str


@dataclass(frozen=True)
class Measured:
    """What was measured of one clip; `action_units` 0–5 by name, `transcript` `None` = not transcribed."""

    evidence: tuple[Observation, ...]
    action_units: Mapping[str, float]
    voice: VoiceMeasures | None
    transcript: str | None

    def check(self, claims: Sequence[Claim]) -> tuple[CheckedClaim, ...]:
        """Compare claims with these measurements."""
        return check_claims(claims, self.evidence, self.action_units, self.voice, self.transcript)


@dataclass(frozen=True)
class _Measure:
    """One measured number."""

    name: str
    value: float
    unit: str | None
    start_s: float | None = None
    end_s: float | None = None
    norm: float | None = None


def check_claims(
    claims: Sequence[Claim],
    evidence: Sequence[Observation],
    action_units: Mapping[str, float],
    voice: VoiceMeasures | None,
    transcript: str | None,
) -> tuple[CheckedClaim, ...]:
    """Compare each claim with the measurements of the same clip.

    `evidence` are measured observations (those that carry a verdict are claims themselves and are passed over),
    `action_units` sizes 0–5 by name ("AU12"), `transcript` `None` = not transcribed, `""` = nothing was said.
    """
    seen = [o for o in evidence if o.verdict is None]
    faces, voices = _face_measures(seen, action_units), _voice_measures(seen, voice)
    checked = []
    for claim in claims:
        if claim.channel == "words":
            checked.append(_check_words(claim, transcript))
        elif claim.channel == "scene":
            checked.append(_check_scene(claim, seen))
        elif claim.name.startswith(EXPRESSION_PREFIX):
            checked.append(_check_expression(claim, seen))
        elif claim.name in _FACTS:
            checked.append(_check_fact(claim, seen, bool(voices)))
        else:
            checked.append(_check_size(claim, faces if claim.channel == "face" else voices))
    return tuple(checked)


def _face_measures(seen: Sequence[Observation], action_units: Mapping[str, float]) -> dict[str, _Measure]:
    found = {name: _Measure(name, value, _OF_FIVE) for name, value in action_units.items()}
    for o in seen:
        is_unit = o.channel == "face" and o.name is not None and (o.name.startswith("AU") or o.name == _LARGEST)
        if is_unit and o.name is not None and o.value is not None:
            before = found.get(o.name)
            if before is None or o.value >= before.value:
                found[o.name] = _Measure(o.name, o.value, o.unit, o.start_s, o.end_s)
    units = [m for name, m in found.items() if name not in (_BLINK, _LARGEST)]
    # a list of the signs that were noticed does not say that nothing else moved: only a full measurement does
    if action_units and units:
        found[_LARGEST] = max(units, key=lambda m: m.value)
    return found


def _voice_measures(seen: Sequence[Observation], voice: VoiceMeasures | None) -> dict[str, _Measure]:
    norms = word_table().voice
    found = {
        o.name: _Measure(o.name, o.value, o.unit, o.start_s, o.end_s, o.norm)
        for o in seen
        if o.channel == "voice" and o.name in norms and o.value is not None
    }
    for name, norm in norms.items() if voice is not None else ():
        value = getattr(voice, name)
        if name == "pause_mean_s" and voice is not None and voice.pause_count == 0:
            value = 0.0  # without a pause there is no long one
        if value is not None and name not in found:
            found[name] = _Measure(name, float(value), norm.unit)
    return found


def _check_size(claim: Claim, measures: Mapping[str, _Measure]) -> CheckedClaim:
    """Compare with the measure that shows the sign most; "usual" holds where no side departs from the usual."""
    known = [measures[name] for name in (claim.name, *claim.also) if name in measures]
    if not known:
        return _verdict(claim, "unverifiable", None, f"{claim.name} was not measured")
    sides = (claim.direction,) if claim.direction else (-1, 1)
    degrees = [(d, m, side) for m in known for side in sides if (d := _degree(m, side)) is not None]
    if not degrees:
        return _against_other_side(claim, known[0])
    degree, measure, side = max(degrees, key=lambda row: row[0])
    wanted = (claim.direction != 0) != claim.negated
    limit = _limit_words(measure, side)
    if (degree >= 0) == wanted:
        return _verdict(claim, "supported", measure, limit)
    if abs(degree) <= DOUBT:
        return _verdict(claim, "unverifiable", measure, f"{limit}, too near to decide")
    return _verdict(claim, "contradicted", measure, limit)


def _against_other_side(claim: Claim, measure: _Measure) -> CheckedClaim:
    """The table has no norm on the side that is claimed; the other side, clearly reached, still contradicts."""
    degree = _degree(measure, -claim.direction)
    if degree is not None and degree > DOUBT and not claim.negated:
        return _verdict(claim, "contradicted", measure, _limit_words(measure, -claim.direction))
    return _verdict(claim, "unverifiable", measure, f"there is no norm for {measure.name} on this side")


def _degree(measure: _Measure, side: int) -> float | None:
    """How far a measure is beyond its norm's first step on a side, in steps; negative: short of it; `None`: no norm."""
    steps = _steps(measure, side)
    return (measure.value - steps[0]) / (steps[1] - steps[0]) if steps is not None else None


def _steps(measure: _Measure, side: int) -> tuple[float, float, float] | None:
    if measure.name.startswith("AU") or measure.name == _LARGEST:
        return word_table().action_unit_steps if side == 1 else None
    return voice_steps(measure.name, side, measure.norm)


def _limit_words(measure: _Measure, side: int) -> str:
    steps = _steps(measure, side)
    limit = f"; a sign from {steps[0]:g} {'up' if steps[1] > steps[0] else 'down'}" if steps is not None else ""
    return f"{measure.name} measures {measure.value:g} {measure.unit or ''}".rstrip() + limit


def _check_expression(claim: Claim, seen: Sequence[Observation]) -> CheckedClaim:
    face = next((o for o in seen if o.channel == "face" and o.name in EXPRESSIONS and o.value is not None), None)
    if face is None or face.value is None or face.name is None:
        return _verdict(claim, "unverifiable", None, "the whole expression was not measured")
    measure = _Measure(f"{EXPRESSION_PREFIX}{face.name}", face.value, face.unit, face.start_s, face.end_s)
    said = claim.name.removeprefix(EXPRESSION_PREFIX)
    said = "neutral" if said == "calm" else said
    sure = face.value >= MIN_EXPRESSION
    reason = f"the face net says {face.name} ({face.value:.2f})"
    if said == "unclear":
        return _verdict(claim, _agree(not sure, claim), measure, reason)
    if said not in EXPRESSIONS:
        return _verdict(claim, "unverifiable", measure, f"{reason}; it does not know {said}")
    if not sure:
        return _verdict(claim, "unverifiable", measure, f"{reason}, unsure")
    return _verdict(claim, _agree(face.name == said, claim), measure, reason)


def _check_fact(claim: Claim, seen: Sequence[Observation], speech: bool) -> CheckedClaim:
    if any(o.channel == "voice" and o.name == claim.name for o in seen):
        return _verdict(claim, _agree(True, claim), None, "measured so")
    if speech:
        return _verdict(claim, _agree(False, claim), None, "speech was measured")
    return _verdict(claim, "unverifiable", None, "the sound was not measured")


def _check_scene(claim: Claim, seen: Sequence[Observation]) -> CheckedClaim:
    fact = next((o for o in seen if o.channel == "scene" and o.name == claim.name and o.value is not None), None)
    if fact is None or fact.value is None:
        return _verdict(claim, "unverifiable", None, f"{claim.name} was not measured")
    measure = _Measure(claim.name, fact.value, fact.unit, fact.start_s, fact.end_s)
    # faces: none, one, several
    direction = min(1, int(fact.value) - 1) if claim.name == "face_count" else fact.direction
    return _verdict(claim, _agree(direction == claim.direction, claim), measure, f"measured: {fact.text}")


def _check_words(claim: Claim, transcript: str | None) -> CheckedClaim:
    if transcript is None:
        return _verdict(claim, "unverifiable", None, "the words were not transcribed")
    if claim.name == "nothing_said":
        return _verdict(claim, _agree(not transcript.strip(), claim), None, f"the transcript is {transcript!r}")
    if claim.name == "emotional_words":
        found = emotional_words(transcript)
        return _verdict(claim, _agree(not found, claim), None, f"emotional words said: {', '.join(found) or 'none'}")
    said, quoted = plain_words(transcript), plain_words(claim.name.removeprefix(WORD_PREFIX))
    if said and _is_ascii(said) != _is_ascii(quoted):
        return _verdict(claim, "unverifiable", None, "the quotation and the transcript are in different scripts")
    if f" {' '.join(quoted)} " in f" {' '.join(said)} " or (not _is_ascii(quoted) and "".join(quoted) in "".join(said)):
        return _verdict(claim, _agree(True, claim), None, "said so in the transcript")
    if sum(word in said for word in quoted) >= MOST_WORDS * len(quoted):
        return _verdict(claim, "unverifiable", None, "most of these words are in the transcript, not as quoted")
    return _verdict(claim, _agree(False, claim), None, "not in the transcript")


def _is_ascii(words: Sequence[str]) -> bool:
    return all(word.isascii() for word in words)


def _agree(there: bool, claim: Claim) -> Verdict:
    return "supported" if there != claim.negated else "contradicted"


def _verdict(claim: Claim, verdict: Verdict, measure: _Measure | None, reason: str) -> CheckedClaim:
    if measure is None:
        return CheckedClaim(claim=claim, verdict=verdict, reason=reason)
    return CheckedClaim(
        claim=claim,
        verdict=verdict,
        measured=measure.name,
        value=measure.value,
        unit=measure.unit,
        start_s=measure.start_s,
        end_s=measure.end_s,
        reason=reason,
    )
