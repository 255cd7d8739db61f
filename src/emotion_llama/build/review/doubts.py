"""Why an entry deserves a look before others: what in it speaks against itself, from its own measurements."""

from __future__ import annotations

from emotion_llama.build.entry import Entry
from emotion_llama.build.review.records import label_of
from emotion_llama.labels import canonical, is_known

FEW_CLUES = 2
"""A reason with fewer supported clues than this is doubtful."""
LEAST_CONFIDENCE = 0.5
"""Mean confidence of the measured action units below which the face is doubtful."""
LEAST_PRESENCE = 0.5
"""Share of looked-at frames with the main face below which the face is doubtful."""


def doubts(entry: Entry) -> tuple[str, ...]:
    """Give what makes an entry doubtful, in words; `()` = nothing that was measured does."""
    found = (*_clues(entry), *_label(entry), *_face(entry))
    return tuple(text for text in found if text is not None)


def _clues(entry: Entry) -> tuple[str | None, ...]:
    if entry.check is None:
        return ()
    supported, contradicted = entry.check.supported, entry.check.contradicted
    return (
        f"{supported} supported clue{'' if supported == 1 else 's'}" if supported < FEW_CLUES else None,
        f"{contradicted} contradicted clue{'' if contradicted == 1 else 's'}" if contradicted else None,
    )


def _label(entry: Entry) -> tuple[str | None, ...]:
    label, coarse = label_of(entry), entry.coarse
    if label is None:
        return ("no emotion",)
    concluded = entry.check.concluded if entry.check else None
    return (
        f"no rule for {label} fires" if coarse and coarse.rule_agrees is False else None,
        f"pseudo label: {coarse.pseudo_label}" if coarse and _differs(coarse.pseudo_label, label) else None,
        f"text concludes {concluded}" if _differs(concluded, label) else None,
    )


def _face(entry: Entry) -> tuple[str | None, ...]:
    sure = [seen.confidence for seen in entry.clip.observations if (seen.name or "").startswith("AU")]
    weak = sum(sure) / len(sure) if sure else 1.0
    presence = entry.faces.presence if entry.faces else 1.0
    return (
        f"action units {100 * weak:.0f} % sure" if weak < LEAST_CONFIDENCE else None,
        f"face in {100 * presence:.0f} % of frames" if presence < LEAST_PRESENCE else None,
    )


def _differs(other: str | None, label: str) -> bool:
    """Whether two words name different emotions ("joy" and "happy" do not)."""
    if other is None:
        return False
    first, second = (canonical(word) if is_known(word) else word.strip().lower() for word in (other, label))
    return first != second
