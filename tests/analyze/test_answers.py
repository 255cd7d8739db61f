"""One reading of a clip gives scores and texts; the prior and the temperature are those asked for."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from emotion_llama.analyze.answers import Answers, Encoded, clues_for, score, write
from emotion_llama.analyze.calibration import Calibration, Opinions, RiskPoint
from emotion_llama.analyze.perceive import Percept, Stopwatch, present_inputs
from emotion_llama.analyze.scoring import OPEN_VOCABULARY, PROMPT_WORDS, Inputs, shortened
from emotion_llama.errors import UsageError
from emotion_llama.labels import SYNONYMS
from emotion_llama.model.score import ClipPrefix, LabelLikelihoods
from emotion_llama.model.together import Question, Told
from emotion_llama.settings import AnalyzeSettings


class FakeReader:
    """Likes the labels in a fixed order of size; keeps what it was asked."""

    def __init__(
        self,
        scores: dict[str, float],
        prior: dict[str, float] | None = None,
        text: str = "So: happy.",
        language: str = "en",
    ) -> None:
        self.language = language
        self.scores, self.priors, self.text = scores, prior or {}, text
        self.calls: list[tuple[Any, ...]] = []

    def read_together(self, clips: Sequence[tuple[Any, str | None]]) -> list[ClipPrefix]:
        self.calls += [("read", transcript) for _, transcript in clips]
        return [ClipPrefix(features, transcript, None, 1) for features, transcript in clips]  # type: ignore[arg-type]

    def _likelihoods(self, labels: Sequence[str], values: dict[str, float]) -> LabelLikelihoods:
        mean = np.array([values.get(label, -9.0) for label in labels])
        return LabelLikelihoods(tuple(labels), (tuple(labels),), mean[None], mean, 0.03, 0.8, False)

    def score_together(
        self, prefixes: Sequence[ClipPrefix], labels: Sequence[str], *, orders: int, seed: int, phrasing: int
    ) -> list[LabelLikelihoods]:
        self.calls.append(("score", tuple(labels), orders, seed))
        self.phrasings = [phrasing]
        return [self._likelihoods(labels, self.scores) for _ in prefixes]

    def prior(self, labels: Sequence[str], *, orders: int, seed: int, phrasing: int) -> LabelLikelihoods:
        self.phrasings.append(phrasing)
        return self._likelihoods(labels, {label: self.priors.get(label, 0.0) for label in labels})

    def prompt(self, prefix: ClipPrefix, task: str, labels: Sequence[str], clues: Any, phrasing: int) -> str:
        return f"[{task}] {','.join(labels)} ({phrasing})"

    def begin_together(self, asked: Sequence[tuple[ClipPrefix, Question]]) -> list[Question]:
        self.calls += [("answer", one.task, one.labels, one.clues) for _, one in asked]
        return [question for _, question in asked]

    def write(self, begun: Sequence[Question], told: Told) -> list[str]:
        for number in range(len(begun)):
            told(number, self.text)
        return [self.text] * len(begun)

    def answer(self, prefix: ClipPrefix, question: Question) -> str:
        return self.write(self.begin_together([(prefix, question)]), lambda number, piece: True)[0]


def answers(
    reader: FakeReader,
    percept: Percept,
    calibration: Calibration | None = None,
    opinions: Opinions | None = None,
    **settings: Any,
) -> Answers:
    chosen = AnalyzeSettings.model_validate(settings)
    there = tuple(name for name, is_there in present_inputs(percept, chosen).items() if is_there)
    inputs = Inputs({}, percept.transcript.text, there, (), opinions or {})
    encoded = Encoded(reader, calibration or Calibration(), percept, inputs, chosen, Stopwatch())  # type: ignore[arg-type]
    return answered([encoded])[0]


def answered(clips: Sequence[Encoded]) -> list[Answers]:
    found = []
    for scored in score(clips):
        if isinstance(scored, Exception):
            raise scored
        found.append(scored)
    written = write(found)
    for one in written:
        if isinstance(one, Exception):
            raise one
    return written  # type: ignore[return-value]


def test_the_likeliest_label_wins_after_the_prior_is_taken_off(percept: Percept) -> None:
    reader = FakeReader({"happy": -1.0, "sad": -2.0}, prior={"happy": -0.5, "sad": -3.5})
    found = answers(reader, percept, labels=("happy", "sad"), tasks=("emotion",), label_orders=2, seed=7)
    assert found.scores.raw == {"happy": -1.0, "sad": -2.0}
    assert found.scores.prior_corrected == {"happy": -0.5, "sad": 1.5}
    assert found.emotion == "sad"
    assert found.probabilities == pytest.approx({"happy": 1 / (1 + math.exp(2)), "sad": 1 / (1 + math.exp(-2))})
    assert ("score", ("happy", "sad"), 2, 7) in reader.calls
    assert found.texts == {} and found.stated is None and found.labels == ()


def test_the_temperature_is_that_of_the_inputs_really_there(percept: Percept) -> None:
    reader = FakeReader({"happy": 0.0, "sad": math.log(4)})
    calibration = Calibration(temperature={"video+text": 2.0})
    whole = answers(reader, percept, calibration, labels=("happy", "sad"), tasks=("emotion",))
    assert whole.probabilities["sad"] == pytest.approx(0.8)
    deaf = replace(percept, waveform=None, sound=None)
    assert answers(reader, deaf, calibration, labels=("happy", "sad"), tasks=("emotion",)).probabilities[
        "sad"
    ] == pytest.approx(2 / 3)


def test_score_and_prior_are_asked_in_the_same_words(percept: Percept) -> None:
    reader = FakeReader({"happy": 0.0})
    found = answers(reader, percept, labels=("happy", "sad"), tasks=("reason",), phrasing=2)
    assert reader.phrasings == [2, 2]
    assert found.prompts == {"emotion": "[emotion] happy,sad (2)", "reason": "[reason] happy (2)"}


def test_the_reason_is_asked_for_the_label_that_was_scored_alone(percept: Percept) -> None:
    """Not for the likeliest before the prior is off; descriptions keep the whole set."""
    reader = FakeReader({"happy": -1.0, "sad": -2.0}, prior={"happy": -0.5, "sad": -3.5}, text="So: sad.")
    found = answers(reader, percept, labels=("happy", "sad"), tasks=("emotion", "reason", "audio"))
    asked = {call[1]: call[2] for call in reader.calls if call[0] == "answer"}
    assert asked == {"reason": ("sad",), "audio": ("happy", "sad")}
    assert found.emotion == "sad" == found.stated
    assert found.prompts["reason"] == "[reason] sad (0)" and found.prompts["emotion"] == "[emotion] happy,sad (0)"
    free = FakeReader({"proud": 0.0}, text="proud")
    answers(free, percept, labels=(), tasks=("emotion", "reason"))
    assert {call[1]: call[2] for call in free.calls if call[0] == "answer"} == {"emotion": (), "reason": ("proud",)}


def test_heads_change_the_answer_as_much_as_they_weigh(percept: Percept) -> None:
    voice = {"voice_emotion": {"happy": 0.2, "sad": 0.8}}
    scores = {"happy": math.log(0.6), "sad": math.log(0.4)}

    def told(weight: float, opinions: Opinions) -> tuple[FakeReader, Answers]:
        reader = FakeReader(scores)
        calibration = Calibration(default_opinion_weight={"voice_emotion": weight})
        return reader, answers(reader, percept, calibration, opinions, labels=("happy", "sad"), tasks=("reason",))

    reader, found = told(1.0, voice)  # the geometric mean of both
    assert found.emotion == "sad" and found.probabilities["sad"] == pytest.approx(0.32**0.5 / (0.32**0.5 + 0.12**0.5))
    assert ("sad",) in [call[2] for call in reader.calls if call[0] == "answer"]  # the reason is that of the answer
    assert found.scores.prior_corrected == pytest.approx(scores)  # what the language model said stays visible
    for weight, opinions in ((0.0, voice), (1.0, {})):
        _, alone = told(weight, opinions)
        assert alone.emotion == "happy" and alone.probabilities["sad"] == pytest.approx(0.4)


def test_only_the_asked_texts_are_written(percept: Percept) -> None:
    reader = FakeReader({"happy": 0.0}, text="The lips smile, so joy.")
    found = answers(reader, percept, tasks=("emotion", "reason", "audio"))
    assert [call[1] for call in reader.calls if call[0] == "answer"] == ["reason", "audio"]
    assert set(found.texts) == {"reason", "audio"}
    assert found.stated == "happy"  # joy, in the words of the asked set


def test_text_that_names_no_label_states_nothing(percept: Percept) -> None:
    assert answers(FakeReader({}, text="Hard to tell."), percept).stated is None


def test_open_set_gives_words_and_scores_the_vocabulary(percept: Percept) -> None:
    reader = FakeReader({"proud": 0.0}, text="proud, happy")
    found = answers(reader, percept, labels=())
    assert found.emotion == "proud" and tuple(found.probabilities) == OPEN_VOCABULARY == tuple(SYNONYMS)
    assert set(found.labels) == {"proud", "happy"}
    assert sum(found.probabilities.values()) == pytest.approx(1)


def test_clues_come_from_the_channel_that_is_asked(percept: Percept) -> None:
    assert clues_for(percept, "emotion", "happy") == ()
    face, voice = "the lip corners are pulled up", "the voice is flat"
    said = {task: " ".join(clues_for(percept, task, "happy")) for task in ("reason", "visual", "audio")}  # type: ignore[arg-type]
    assert face in said["visual"] and voice not in said["visual"]
    assert face not in said["audio"] and face in said["reason"]
    assert "speaks for it" not in said["visual"]


def test_clues_of_a_reason_say_whether_they_speak_for_the_answer(percept: Percept) -> None:
    happy, sad = (" ".join(clues_for(percept, "reason", label)) for label in ("joyful", "sad"))
    assert "the lip corners are pulled up, which speaks for it" in happy
    assert "the lip corners are pulled up, which speaks against it" in sad


def test_long_transcripts_are_cut_before_the_model_reads_them(percept: Percept) -> None:
    assert shortened(None) is None and shortened("") == ""
    assert shortened(" two  words ") == " two  words "
    long = "word " * (PROMPT_WORDS + 5)
    reader = FakeReader({})
    answers(reader, replace(percept, transcript=percept.transcript.model_copy(update={"text": long})))
    (read,) = [call for call in reader.calls if call[0] == "read"]
    assert len(read[1].split()) == PROMPT_WORDS


def test_what_released_weights_write_is_shown_as_sentences_and_kept_as_written(percept: Percept) -> None:
    written = "she smiles, so i think the emotion is happy"
    found = answers(FakeReader({"happy": -1.0, "sad": -2.0}, text=written), percept, labels=("happy", "sad"))
    assert found.shown("reason") == found.texts["reason"] == written and found.shown("visual") is None
    assert replace(found, released=True).shown("reason") == "She smiles, so I think the emotion is happy."
    assert replace(found, released=True).texts["reason"] == written


def test_an_unsure_model_gives_two_candidates_and_no_reason(percept: Percept) -> None:
    scores = {"happy": math.log(0.5), "sad": math.log(0.3), "angry": math.log(0.2)}
    told = {"labels": tuple(scores), "tasks": ("emotion", "reason", "visual")}
    sure = answers(FakeReader(scores, text="So: happy."), percept, **told, min_confidence=0.49)
    assert sure.emotion == "happy" and sure.candidates == () and "reason" in sure.texts
    unsure = answers(FakeReader(scores), percept, **told, min_confidence=0.51)
    assert unsure.emotion is None and unsure.candidates == ("happy", "sad")
    assert set(unsure.texts) == {"visual"} and unsure.probabilities == sure.probabilities


def test_a_risk_is_looked_up_for_the_inputs_that_are_there(percept: Percept) -> None:
    scores = {"happy": math.log(0.7), "sad": math.log(0.3)}
    curve = tuple(
        RiskPoint(confidence=at, share=1 - at, error=error, n=50) for at, error in ((0.0, 0.4), (0.6, 0.2), (0.8, 0.1))
    )
    known = Calibration(risk={"video+audio+text": curve})
    told = {"labels": tuple(scores), "tasks": ("emotion",)}
    assert answers(FakeReader(scores), percept, known, **told, max_risk=0.2).emotion == "happy"
    assert answers(FakeReader(scores), percept, known, **told, max_risk=0.1).candidates == ("happy", "sad")
    assert answers(FakeReader(scores), percept, known, **told, max_risk=0.05).emotion is None
    with pytest.raises(UsageError, match=r"no curve of risk for video\+audio\+text"):
        answers(FakeReader(scores), percept, **told, max_risk=0.2)


def test_attribution_is_of_the_answer_and_asks_every_set_of_inputs_once(percept: Percept) -> None:
    reader = FakeReader({"happy": -1.0, "sad": -2.0})
    assert answers(reader, percept, labels=("happy", "sad"), tasks=("emotion",)).attribution is None
    found = answers(reader, percept, labels=("happy", "sad"), tasks=("emotion",), attribution=True).attribution
    assert found is not None and found.emotion == "happy"
    assert len(found.alone) == 7 and set(found.shapley) == {"video", "audio", "text"}


def test_texts_are_asked_only_of_a_model_that_writes_the_language(percept: Percept) -> None:
    everything: dict[str, Any] = {"labels": ("happy", "sad"), "tasks": ("emotion", "reason", "visual", "audio")}
    english = FakeReader({"happy": -1.0, "sad": -2.0})
    found = answers(english, percept, language="zh", **everything)
    assert found.language == "en" and found.texts == {} and found.emotion == "happy"
    assert not [call for call in english.calls if call[0] == "answer"]
    chinese = FakeReader({"happy": -1.0, "sad": -2.0}, text="嘴角上扬。因此，情绪为高兴。", language="zh")
    own = answers(chinese, percept, language="zh", **everything)
    assert own.language == "zh" and set(own.texts) == {"reason", "visual", "audio"} and own.stated == "happy"
    assert answers(chinese, percept, **everything).texts == {}  # nor is it asked for English


def test_clues_are_in_the_language_of_the_prompt(percept: Percept) -> None:
    reader = FakeReader({"happy": -1.0, "sad": -2.0}, text="情绪为高兴。", language="zh")
    answers(reader, percept, labels=("happy", "sad"), tasks=("reason",), language="zh")
    ((*_, clues),) = [call for call in reader.calls if call[0] == "answer"]
    english = clues_for(percept, "reason", "happy")
    assert len(clues) == len(english) > 0 and clues == clues_for(percept, "reason", "happy", "zh")
    assert not any(re.search("[A-Za-z]{3,}", clue) for clue in clues), clues
    assert any(clue.endswith("，支持这一判断") for clue in clues)


class Brittle(FakeReader):
    """Cannot read one clip, and not ask about another."""

    def read_together(self, clips: Sequence[tuple[Any, str | None]]) -> list[ClipPrefix]:
        if any(transcript == "unreadable" for _, transcript in clips):
            raise UsageError("cannot be read")
        return super().read_together(clips)

    def begin_together(self, asked: Sequence[tuple[ClipPrefix, Question]]) -> list[Question]:
        if any(clip.transcript == "too long" for clip, _ in asked):
            raise UsageError("cannot be asked")
        return super().begin_together(asked)


def test_clips_are_asked_together_and_a_fault_with_one_costs_the_others_nothing(percept: Percept) -> None:
    reader, both = Brittle({"happy": 0.0, "sad": -1.0}), ("happy", "sad")

    def encoded(words: str, labels: tuple[str, ...] = both) -> Encoded:
        settings = AnalyzeSettings(labels=labels, tasks=("reason",))
        inputs = Inputs({}, words, ("text",), (), {})
        return Encoded(reader, Calibration(), percept, inputs, settings, Stopwatch())  # type: ignore[arg-type]

    well = [encoded("one"), encoded("two"), encoded("three", ("sad", "happy"))]
    assert [one.emotion for one in answered(well)] == ["happy"] * 3
    assert [call for call in reader.calls if call[0] == "read"] == [("read", "one"), ("read", "two"), ("read", "three")]
    assert [call[1] for call in reader.calls if call[0] == "score"] == [both, ("sad", "happy")], (
        "those with one question"
    )
    reader.calls.clear()
    scored = score([encoded("one"), encoded("unreadable"), encoded("too long"), encoded("four")])
    assert [type(one).__name__ for one in scored] == ["Scored", "UsageError", "Scored", "Scored"]
    written = write([one for one in scored if not isinstance(one, Exception)])
    assert [type(one).__name__ for one in written] == ["Answers", "UsageError", "Answers"]
    assert write([]) == [] and score([]) == []
