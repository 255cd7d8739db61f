"""Reasons against measurements: verdicts, what is left when the contradicted is taken out, and sides."""

from __future__ import annotations

import pytest

from emotion_llama.analyze.evidence import CLAIM_SOURCE, claims_of, supported_share, with_sides, without_contradicted
from emotion_llama.clip import Observation
from emotion_llama.perception.claim_check import Measured

SMILE = Observation(
    channel="face", text="the lip corners are pulled up", source="mesh-au-1", name="AU12", value=3.0, unit="of 5",
    direction=1, start_s=1.0, end_s=1.5, confidence=0.9, supports=("happy",),
)  # fmt: skip
FROWN = SMILE.model_copy(update={"text": "the brows are lowered", "name": "AU4", "supports": ("angry", "sad")})
MEASURED = Measured((SMILE,), {"AU12": 3.0, "AU04": 0.1, "AU01": 0.0, "AU4": 0.1}, None, "I am 1.5 metres away")
TEXT = "The lip corners are pulled up. The brows are lowered, which does not fit 1.5 times. So the emotion is happy."


def test_claims_carry_verdict_measurement_and_span() -> None:
    smile, frown = claims_of(TEXT, MEASURED)
    assert (smile.verdict, smile.name, smile.value, smile.source) == ("supported", "AU12", 3.0, CLAIM_SOURCE)
    assert (smile.start_s, smile.end_s) == (1.0, 1.5) and "AU12 measures 3" in (smile.note or "")
    assert frown.verdict == "contradicted" and frown.text in TEXT
    assert supported_share((smile, frown)) == 0.5


def test_nothing_checkable_has_no_share() -> None:
    tears = claims_of("Tears run down her cheeks.", MEASURED)
    assert [one.verdict for one in tears] in ([], ["unverifiable"])
    assert supported_share(tears) is None and supported_share(()) is None


def test_contradicted_sentences_go_and_the_rest_stays_as_written() -> None:
    left = without_contradicted(TEXT, MEASURED)
    assert left == "The lip corners are pulled up. So the emotion is happy."
    assert all(one.verdict != "contradicted" for one in claims_of(left, MEASURED))
    assert without_contradicted(left, MEASURED) == left
    assert without_contradicted("The brows are lowered.", MEASURED) == ""


def test_a_contradicted_sign_goes_wherever_it_is_named() -> None:
    twice = "The brows are lowered. The lip corners are pulled up! And the brows are lowered again, you see."
    assert without_contradicted(twice, MEASURED) == "The lip corners are pulled up!"


@pytest.mark.parametrize(("emotion", "sides"), [("happy", ["for", "against"]), ("joy", ["for", "against"]),
                                                ("angry", ["against", "for"]), (None, [None, None])])  # fmt: skip
def test_observations_take_sides(emotion: str | None, sides: list[str | None]) -> None:
    fact = SMILE.model_copy(update={"supports": ()})
    assert [one.speaks for one in with_sides((SMILE, FROWN, fact), emotion)] == [*sides, None]
