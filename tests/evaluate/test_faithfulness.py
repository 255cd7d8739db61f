from __future__ import annotations

import json

import pytest

from emotion_llama.clip import Clip, Observation, VoiceMeasures
from emotion_llama.evaluate.records import Item, Prediction
from emotion_llama.evaluate.scorers.faithfulness import faithfulness

VOICE = VoiceMeasures(
    f0_hz=150.0, f0_range_semitones=8.0, f0_slope_semitones_s=0.0, loudness_db=-10.0, loudness_range_db=20.0,
    speech_rate_syl_s=4.5, speech_s=2.0, pause_count=1, pause_mean_s=0.3, voiced_fraction=0.6, jitter_percent=1.0,
    shimmer_db=0.3, hnr_db=12.0, spectral_tilt_db_octave=0.0,
)  # fmt: skip
SMILING = {"AU04": 0.0, "AU12": 3.0}
FROWNING = {"AU04": 3.0, "AU12": 0.0}


def item(name: str, **clip: object) -> Item:
    return Item(clip=Clip.model_validate({"clip": name, **clip}))


def answer(name: str, reasoning: str | None, **fields: object) -> Prediction:
    return Prediction.model_validate({"clip": name, "reasoning": reasoning, **fields})


def run(predictions: list[Prediction | None], items: list[Item] | None = None) -> dict:
    names = [item(f"c{i}") for i in range(len(predictions))] if items is None else items
    return faithfulness(names, predictions, draws=200, seed=0)


def test_shares_by_hand() -> None:
    found = run(
        [
            answer("c0", "He smiles and speaks loudly.", action_units=SMILING, voice=VOICE),  # 2 supported
            answer("c1", "She smiles with tears in her eyes.", action_units=FROWNING, voice=VOICE),  # 1 wrong, 1 open
            answer("c2", "The emotion is sad.", action_units=FROWNING),  # no claim
        ]
    )
    values = {name: metric["value"] for name, metric in found["metrics"].items()}
    assert values["supported"] == pytest.approx(2 / 4)
    assert values["contradicted"] == pytest.approx(1 / 4)
    assert values["unverifiable"] == pytest.approx(1 / 4)
    assert values["supported_of_checked"] == pytest.approx(2 / 3)
    assert values["claims_per_answer"] == pytest.approx(4 / 3)
    assert values["without_claims"] == pytest.approx(1 / 3)
    assert values["supported:face"] == pytest.approx(1 / 3)
    assert values["supported:voice"] == pytest.approx(1.0)
    assert values["supported:scene"] is None
    assert found["n_checked"] == 3


def test_channels_and_label_by_hand() -> None:
    """Three answers: face and voice, one of them wrong; a sign not measured; another label than the one given."""
    fields = {"action_units": FROWNING, "voice": VOICE, "emotion": "happy", "probabilities": {"happy": 0.6, "sad": 0.4}}
    found = run(
        [
            answer("c0", "She smiles and speaks loudly. So the emotion is happy.", **fields),
            answer("c1", "There are tears in her eyes. So the emotion is happy.", **fields),
            answer("c2", "He frowns. So the emotion is sad.", **fields),
            answer("c3", "He frowns.", **(fields | {"emotion": None, "probabilities": None})),
        ]
    )
    values = {name: metric["value"] for name, metric in found["metrics"].items()}
    assert values["checkable_per_answer"] == pytest.approx(4 / 4)
    assert values["channels_per_answer"] == pytest.approx((2 + 0 + 1 + 1) / 4)
    assert values["names_the_label"] == pytest.approx(2 / 3)  # an answer without a label is no disagreement


def test_generated_and_composed_texts_are_scored_apart() -> None:
    """The model says what is not so; what is composed of the clues is borne out, and concludes the label given."""
    brows = Observation(
        channel="face", text="the brows are lowered", source="mesh-au-1", name="AU04", value=3.0, confidence=0.9,
        supports=("anger",),
    )  # fmt: skip
    fields = {"action_units": FROWNING, "evidence": (brows,), "emotion": "angry", "probabilities": {"angry": 1.0}}
    own = "She smiles."
    found = run([answer(f"c{i}", own, raw={"reason": own, "emotion": "angry"}, **fields) for i in range(4)])
    generated, composed = found["texts"]["generated"], found["texts"]["composed"]
    assert generated["n"] == composed["n"] == 4
    assert generated["metrics"]["supported_of_checked"]["value"] == 0.0
    assert generated["metrics"]["names_the_label"]["value"] == 0.0
    assert composed["metrics"]["supported_of_checked"]["value"] == 1.0
    assert composed["metrics"]["names_the_label"]["value"] == 1.0
    assert generated["distinct_2"] == pytest.approx(1 / 4)  # one pair, four times


def test_a_system_without_texts_of_its_own_has_none_apart() -> None:
    assert run([answer("c0", "He smiles.", action_units=SMILING)])["texts"] == {}


def test_intervals_hold_the_value() -> None:
    texts = ["He smiles.", "He frowns."] * 20
    found = run([answer(f"c{i}", text, action_units=SMILING) for i, text in enumerate(texts)])
    share = found["metrics"]["supported"]
    assert share["low"] < share["value"] == 0.5 < share["high"]
    assert share["high"] - share["low"] < 0.4


def test_shuffled_control_tells_true_from_foreign_measurements() -> None:
    """Half of the people smile, half frown, and every text is true: against another half's faces all is wrong."""
    smiling = [answer(f"c{i}", "She smiles.", action_units=SMILING) for i in range(10)]
    frowning = [answer(f"c{i}", "His brows are furrowed.", action_units=FROWNING) for i in range(10, 20)]
    found = run([*smiling, *frowning])["metrics"]
    assert found["supported_of_checked"]["value"] == 1.0
    assert found["shuffled_supported_of_checked"]["value"] == 0.0
    assert found["supported_above_shuffled"]["value"] == 1.0


def test_boilerplate_does_not_beat_the_control() -> None:
    """A system that says the same of everyone gains nothing over foreign measurements."""
    texts = [answer(f"c{i}", "She smiles.", action_units=SMILING if i % 2 else FROWNING) for i in range(20)]
    assert run(texts)["metrics"]["supported_above_shuffled"]["value"] == pytest.approx(0.0)


def test_only_answers_with_reasons_and_measurements_count() -> None:
    found = run(
        [None, answer("c1", None), answer("c2", "He smiles."), answer("c3", "He smiles.", action_units=SMILING)]
    )
    assert (found["n_answers"], found["n_checked"], found["n_without_measurements"]) == (2, 1, 1)
    assert [row["clip"] for row in found["clips"]] == ["c3"]
    assert found["metrics"]["shuffled_supported"]["value"] is None


def test_nothing_to_check_says_so() -> None:
    found = run([answer("c0", "He smiles.")])
    assert found["metrics"] == {}
    assert "nothing was checked" in found["notes"][0]


def test_measurements_of_the_item_serve_systems_that_give_none() -> None:
    brows = Observation(channel="face", text="the brows are lowered", source="mesh-au-1", name="AU04", value=2.0)
    found = run([answer("c0", "He frowns.")], [item("c0", observations=(brows,))])
    assert found["metrics"]["supported"]["value"] == 1.0


def test_words_come_from_the_transcript_or_from_what_was_recognised() -> None:
    heard = Observation(channel="words", text="the words are “go away”", source="asr:whisper-base", name="words")
    said = "He says “go away”."
    given = run([answer("c0", said, action_units=SMILING)], [item("c0", transcript="Please go away!")])
    recognised = run([answer("c0", said, evidence=(heard,))])
    unknown = run([answer("c0", said, action_units=SMILING)])
    shares = [found["metrics"]["supported"]["value"] for found in (given, recognised, unknown)]
    assert shares == [1.0, 1.0, 0.0]


def test_frequent_contradictions_and_clips_are_plain_json() -> None:
    found = run(
        [answer(f"c{i}", "She smiles; he speaks loudly.", action_units=FROWNING, voice=VOICE) for i in range(3)]
    )
    assert found["frequent_contradicted"] == [
        {"channel": "face", "name": "AU12", "direction": 1, "n": 3, "of": 3, "text": "smiles"}
    ]
    claims = json.loads(json.dumps(found, allow_nan=False))["clips"][0]["claims"]
    assert [(c["name"], c["verdict"]) for c in claims] == [("AU12", "contradicted"), ("loudness_db", "supported")]
    assert claims[1]["measured"] == "loudness_db" and claims[1]["value"] == -10.0


def test_seed_decides_the_draws() -> None:
    rows = [answer(f"c{i}", "He smiles." if i % 3 else "He frowns.", action_units=SMILING) for i in range(12)]
    assert run(rows) == run(rows)
