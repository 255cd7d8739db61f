"""Chinese text is read for the same signs as English text, and checked against the same measurements."""

from __future__ import annotations

import random

import pytest

from emotion_llama.analyze.evidence import claims_of, supported_share, without_contradicted
from emotion_llama.clip import Observation
from emotion_llama.languages import language
from emotion_llama.perception.claim_check import Measured
from emotion_llama.perception.claim_table import languages
from emotion_llama.perception.claims import extract_claims
from emotion_llama.perception.compose import compose_reason
from tests.perception.test_claims import own_phrases

TELL = language("zh").tell

SENTENCES = {
    "他没有皱眉，嘴角也没有上扬。": {("AU04", 1, True), ("AU12", 1, True)},
    "她微笑着，眼睛睁大，声音颤抖。": {("AU12", 1, False), ("AU05", 1, False), ("jitter_percent", 1, False)},
    "他双眉紧锁，语速很快，音量提高。": {
        ("AU04", 1, False), ("speech_rate_syl_s", 1, False), ("loudness_db", 1, False),
    },
    "她的笑容消失了。": {("AU12", 1, True)},
    "此人低着头，目光躲闪，声音低沉，语调平淡。": {
        ("head_down", 1, False), ("gaze_averted", 1, False), ("f0_hz", -1, False), ("f0_range_semitones", -1, False),
    },
    "他不由得皱起眉头。": {("AU04", 1, False)},
    "面部表情愤怒，嘴唇紧闭。": {("expression:angry", 1, False), ("AU23", 1, False)},
    "因此，情绪为高兴。": set(),
    "此人看起来很愤怒。": set(),
    "眉头、嘴角上扬。": {("AU02", 1, False), ("AU12", 1, False)},
    "音调不高，语速正常。": {("f0_hz", 1, True), ("speech_rate_syl_s", 0, False)},
    "她流着眼泪，长长地叹了口气。": {("tears", 1, False), ("sigh", 1, False)},
}  # fmt: skip


@pytest.mark.parametrize("text", SENTENCES)
def test_sentences(text: str) -> None:
    assert {(c.name, c.direction, c.negated) for c in extract_claims(text)} == SENTENCES[text]


@pytest.mark.parametrize(("phrase", "name", "direction"), own_phrases())
def test_reads_every_phrase_of_our_own(phrase: str, name: str, direction: int) -> None:
    (claim,) = extract_claims(TELL(phrase))
    assert name in (claim.name, *claim.also)
    assert (claim.direction, claim.negated) == (direction, False)


def clue(name: str, text: str, value: float, *supports: str) -> Observation:
    return Observation(channel="face", text=text, source="mesh-au-1", name=name, value=value, supports=supports)


SMILE = clue("AU12", "the lip corners are strongly pulled up", 4.0, "happy")
BROWS = clue("AU04", "the brows are lowered and drawn together", 2.0, "angry", "sad")
MEASURED = Measured((SMILE, BROWS), {"AU12": 4.0, "AU04": 2.0, "AU15": 0.0}, None, "我很高兴")


@pytest.mark.parametrize("seed", range(12))
def test_composed_reasons_are_borne_out(seed: int) -> None:
    text = compose_reason([SMILE, BROWS], "happy", random.Random(seed), None, "zh")
    found = claims_of(text, MEASURED)
    assert {one.name for one in found} == {"AU12", "AU04"} and supported_share(found) == 1.0


def test_what_measurements_contradict_is_found_and_left_out() -> None:
    text = "嘴角明显上扬。嘴角下垂，眉头没有皱起。因此，情绪为高兴。"
    verdicts = {one.name: one.verdict for one in claims_of(text, MEASURED)}
    assert verdicts == {"AU12": "supported", "AU15": "contradicted", "AU04": "contradicted"}
    assert without_contradicted(text, MEASURED) == "嘴角明显上扬。因此，情绪为高兴。"


def test_quotations_are_compared_with_what_was_said() -> None:
    said, made_up = claims_of("他说“我很高兴”，又说“我讨厌你”。", MEASURED)
    assert (said.verdict, made_up.verdict) == ("supported", "contradicted")


def test_every_language_that_has_a_table_has_a_file() -> None:
    assert languages() == ("en", "zh") and all(language(code).code == code for code in languages())
