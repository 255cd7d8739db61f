"""consistency: every clue of the reason is held against the measurements, and its conclusion against the label."""

from __future__ import annotations

from collections import Counter

from pydantic import Field

from emotion_llama.answer import parse_emotion
from emotion_llama.build.entry import Check, Entry
from emotion_llama.build.look import Look
from emotion_llama.build.step import Found, Reject, Step, StepSettings
from emotion_llama.labels import SYNONYMS, canonical, is_known
from emotion_llama.perception.claim_check import check_claims
from emotion_llama.perception.claims import extract_claims


class ConsistencySettings(StepSettings):
    """`most_contradicted`, `least_supported`: clues of the reason that may, and must, be so measured.

    `same_emotion`: the reason must end with the label.
    """

    most_contradicted: int = Field(default=0, ge=0)
    least_supported: int = Field(default=0, ge=0)
    same_emotion: bool = True


def check_reason(entry: Entry, settings: ConsistencySettings, look: Look) -> Found | Reject:
    """Check the fine text of one clip."""
    if entry.fine_text is None or entry.coarse is None:
        return Reject(reason="it has no reason to check; put refine before consistency")
    claims = extract_claims(entry.fine_text.text)
    checked = check_claims(claims, entry.clip.observations, entry.action_units, None, entry.clip.transcript)
    counts = Counter(one.verdict for one in checked)
    check = Check(
        concluded=_concluded(entry.fine_text.text, entry.coarse.emotion),
        supported=counts["supported"],
        contradicted=counts["contradicted"],
        unverifiable=counts["unverifiable"],
        notes=tuple(f"“{one.claim.text}”: {one.reason}" for one in checked if one.verdict == "contradicted"),
    )
    told = f"{check.supported} clues supported, {check.contradicted} contradicted, {check.unverifiable} not measured"
    if settings.same_emotion and check.concluded != entry.coarse.emotion:
        return Reject(
            reason=f"the reason ends with {check.concluded or 'no emotion'}, the label is {entry.coarse.emotion}"
        )
    if check.contradicted > settings.most_contradicted:
        return Reject(reason=f"{told}: {'; '.join(check.notes)}")
    if check.supported < settings.least_supported:
        return Reject(reason=f"{told}; wanted at least {settings.least_supported} supported")
    return Found(words=told, check=check)


def _concluded(text: str, emotion: str) -> str | None:
    """The emotion that the text concludes, in the label's own word where it is the label."""
    return parse_emotion(text, (emotion, *(word for word in SYNONYMS if not _same(word, emotion))))


def _same(word: str, emotion: str) -> bool:
    return is_known(emotion) and canonical(emotion) == word


CONSISTENCY = Step(
    "consistency", "1", ConsistencySettings, check_reason,
    reads=("coarse_label", "peak_frame", "describe_face", "describe_scene", "describe_voice", "transcribe", "refine"),
    place=lambda settings: "driver",
)  # fmt: skip
