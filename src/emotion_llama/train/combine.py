"""Label-matched combinations of a voice, a face and words: one training sample for the language model.

No public set with open terms has many people with face, voice and telling words together. So a voice recording is put
beside a face picture and a line of text with the same emotion; modalities are dropped at random; and in a good part of
the samples the words say nothing about the emotion or contradict it, because in acted speech they carry none.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from emotion_llama.clip import Modality, Observation, Task, Transcript
from emotion_llama.labels import LABEL_SETS, SYNONYMS, VALENCE, canonical
from emotion_llama.model.processing import TrainSample
from emotion_llama.perception.compose import choose_clues, clue_phrases, compose_audio, compose_reason, compose_visual
from emotion_llama.perception.describe import describe_words
from emotion_llama.train.config import NanoTraining
from emotion_llama.train.dynamics import still_dynamics
from emotion_llama.train.examples import Example

Outputs = Mapping[str, NDArray[np.float32]]
"""Example id → head probabilities (1, K)."""

COMBINATIONS: dict[tuple[Modality, ...], float] = {
    ("video", "audio", "text"): 0.34,
    ("video", "audio"): 0.14,
    ("audio", "text"): 0.12,
    ("video", "text"): 0.06,
    ("audio",): 0.14,
    ("video",): 0.10,
    ("text",): 0.10,
    (): 0.03,
}
"""How often each combination of inputs is drawn. The blank clip teaches the prior that is taken off the scores."""

WORDS_MATCH, WORDS_NEUTRAL = 0.40, 0.40
"""With other inputs: share of lines that fit the emotion, share that say nothing about it; the rest contradict it."""

EMOTIONS = {
    "neutral": 1.0, "calm": 1.0, "happy": 1.2, "sad": 1.2, "angry": 1.2, "fear": 1.2, "disgust": 1.1, "surprise": 1.1,
    "bored": 0.4, "contempt": 0.25, "worried": 0.3, "doubt": 0.3,
} | {name: 0.06 for name in (
    "excited", "admiration", "amused", "annoyed", "approval", "caring", "curious", "desire", "disappointed",
    "disapproval", "embarrassed", "grateful", "grief", "love", "optimism", "proud", "relief", "remorse",
)}  # fmt: skip
"""Relative frequency of the emotion of a sample; the last ones occur in words only."""

FACE_STAND_INS = {"calm": ("neutral",), "bored": ("neutral",)}
"""Picture sets have no calm or bored faces; neutral ones stand in, and the voice or the words must decide."""

IN_SAMPLE_CORPUS = "fer2013"
"""The expression net was itself trained on most of these pictures, so its answers on them are too good."""

PRESS_SHARE = 0.7
"""How often a face is taken from pictures that the expression net has not seen, where there are any."""

OPPOSITE = 0.5
"""Words contradict an emotion if their valence differs by more than this."""

TARGET_WORDS = tuple(
    word for words in SYNONYMS.values() for word in words if word.isalpha() and len(word) > 3 and word != "none"
)


@dataclass(frozen=True)
class Text:
    """A line of text with one canonical emotion."""

    id: str
    text: str
    emotion: str


T = TypeVar("T", Example, Text)


@dataclass(frozen=True)
class Pool:
    """The examples of one side of the split, with the head outputs that the language model is shown."""

    voices: dict[str, list[Example]]
    faces: dict[str, list[Example]]
    texts: dict[str, list[Text]]
    voice_outputs: Outputs
    face_outputs: Outputs


def by_emotion(items: Sequence[T]) -> dict[str, list[T]]:
    """Group examples by canonical emotion."""
    groups: dict[str, list[T]] = defaultdict(list)
    for item in items:
        groups[item.emotion].append(item)
    return dict(groups)


class Combiner:
    """Draws training samples from a pool; the same seed gives the same samples."""

    def __init__(self, pool: Pool, config: NanoTraining, seed: int) -> None:
        self.pool = pool
        self.config = config
        self.rng = random.Random(seed)
        self.numbers = np.random.default_rng(seed)

    def draw(self) -> TrainSample:
        """Draw one sample: inputs, label set, task and answer."""
        emotion, inputs = self._emotion_and_inputs()
        voice = self._voice(emotion) if "audio" in inputs else None
        face = self._face(emotion) if "video" in inputs else None
        words = self._words(emotion, voice, alone=inputs == ("text",)) if "text" in inputs else None
        task = self._task(face, voice)
        labels, label = self._labels(emotion)
        observations = self._observations(voice, face, words)
        clues = choose_clues(_for_task(task, observations))
        return TrainSample(
            clip="+".join(part for part in (face.id if face else "", voice.id if voice else "") if part) or "text",
            task=task,
            labels=labels,
            transcript=words,
            clues=clue_phrases(clues) if task != "emotion" else (),
            features=self._features(voice, face),
            answer=self._answer(task, clues, label, words),
        )

    def _emotion_and_inputs(self) -> tuple[str, tuple[Modality, ...]]:
        while True:
            emotion = self.rng.choices(list(EMOTIONS), list(EMOTIONS.values()))[0]
            inputs = self.rng.choices(list(COMBINATIONS), list(COMBINATIONS.values()))[0]
            if "audio" in inputs and emotion not in self.pool.voices:
                continue
            if "video" in inputs and not self._face_emotions(emotion):
                continue
            if inputs == ("text",) and emotion not in self.pool.texts:
                continue
            return emotion, inputs

    def _face_emotions(self, emotion: str) -> list[str]:
        return [name for name in FACE_STAND_INS.get(emotion, (emotion,)) if name in self.pool.faces]

    def _voice(self, emotion: str) -> Example:
        return self.rng.choice(self.pool.voices[emotion])

    def _face(self, emotion: str) -> Example:
        faces = self.pool.faces[self.rng.choice(self._face_emotions(emotion))]
        press = [face for face in faces if face.corpus != IN_SAMPLE_CORPUS]
        return self.rng.choice(press if press and self.rng.random() < PRESS_SHARE else faces)

    def _words(self, emotion: str, voice: Example | None, *, alone: bool) -> str | None:
        """Choose a line; `None` stands for "not transcribed" where the voice's own words are not known."""
        chance = self.rng.random()
        if (alone or chance < WORDS_MATCH) and emotion in self.pool.texts:
            return self.rng.choice(self.pool.texts[emotion]).text
        if alone or chance < WORDS_MATCH + WORDS_NEUTRAL:
            if voice is not None and voice.transcript is not None and voice.corpus == "ravdess":
                return voice.transcript
            return self.rng.choice(self.pool.texts["neutral"]).text
        opposite = [name for name in self.pool.texts if abs(VALENCE[name] - VALENCE[emotion]) > OPPOSITE]
        return self.rng.choice(self.pool.texts[self.rng.choice(opposite)]).text

    def _task(self, face: Example | None, voice: Example | None) -> Task:
        if (face is None and voice is None) or self.rng.random() >= self.config.text_task_share:
            return "emotion"
        kinds: list[Task] = ["reason", "reason", "reason"]
        kinds += ["visual"] if face is not None and face.observations else []
        kinds += ["audio"] if voice is not None and voice.observations else []
        return self.rng.choice(kinds)

    def _labels(self, emotion: str) -> tuple[tuple[str, ...], str]:
        """Choose a label set that has the emotion, in random order, and its word for the emotion."""
        if self.rng.random() < self.config.named_set_share:
            fitting = [words for words in LABEL_SETS.values() if emotion in map(canonical, words)]
            if fitting:
                words = list(self.rng.choice(fitting))
                self.rng.shuffle(words)
                return tuple(words), next(word for word in words if canonical(word) == emotion)
        if self.rng.random() < 0.1:
            return (), emotion
        others = [name for name in SYNONYMS if name != emotion]
        names = [emotion, *self.rng.sample(others, self.rng.randint(1, 9))]
        words = [self._word(name) for name in names]
        label = words[0]
        self.rng.shuffle(words)
        return tuple(words), label

    def _word(self, name: str) -> str:
        words = [word for word in SYNONYMS[name] if word in TARGET_WORDS]
        return self.rng.choice(words) if words and self.rng.random() < 0.4 else name

    def _observations(self, voice: Example | None, face: Example | None, words: str | None) -> list[Observation]:
        found: list[Observation] = []
        found += face.observations if face is not None else ()
        found += [o for o in voice.observations if o.channel == "voice"] if voice is not None else ()
        if words:
            found += describe_words(Transcript(text=words, source="given"))
        return found

    def _answer(self, task: Task, clues: Sequence[Observation], label: str, words: str | None) -> str:
        if task == "emotion":
            return label
        if task == "reason":
            return compose_reason(clues, label, self.rng, words)
        return compose_visual(clues, self.rng) if task == "visual" else compose_audio(clues, self.rng)

    def _features(self, voice: Example | None, face: Example | None) -> dict[str, NDArray[np.float32]]:
        features: dict[str, NDArray[np.float32]] = {}
        if face is not None:
            features |= self._face_features(face)
        if voice is not None:
            features["audio"] = voice.arrays["audio"]
            if self.rng.random() >= self.config.head_dropout:
                features["voice_emotion"] = self.pool.voice_outputs[voice.id]
        return features

    def _face_features(self, face: Example) -> dict[str, NDArray[np.float32]]:
        features: dict[str, NDArray[np.float32]] = {}
        if self.rng.random() < 0.5:  # the whole picture says little about an emotion; it must not be leaned on
            features["global"] = face.arrays["global"]
        row = face.arrays["local"]
        features["local"] = np.stack([row + self.numbers.normal(0, 0.1, row.shape), row]).astype(np.float32)
        if self.rng.random() < 0.5:
            features["temporal"] = still_dynamics(face.arrays["action_units"], self.numbers)
        if self.rng.random() >= self.config.head_dropout:
            features["face_emotion"] = self.pool.face_outputs[face.id]
        return features


def _for_task(task: Task, observations: Sequence[Observation]) -> list[Observation]:
    if task == "visual":
        return [o for o in observations if o.channel in ("face", "scene")]
    if task == "audio":
        return [o for o in observations if o.channel == "voice"]
    return list(observations)
