"""Label-matched combinations of a voice, a face and words: one training sample for the language model.

No public set with open terms has many people with face, voice and telling words together. So a voice recording is put
beside a face picture and a line of text with the same emotion; modalities are dropped at random; and in a good part of
the samples the words say nothing about the emotion or contradict it, because in acted speech they carry none.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emotion_llama.clip import Modality, Observation, Task, Transcript
from emotion_llama.encoders.temporal import MOVEMENT
from emotion_llama.errors import ManifestError
from emotion_llama.labels import LABEL_SETS, VALENCE, canonical
from emotion_llama.model.processing import TrainSample
from emotion_llama.perception.describe import describe_words
from emotion_llama.train.asking import (
    Opinions,
    asked_labels,
    clues_for,
    composed,
    features_of,
    hide_some,
    inputs_of,
    phrases_for,
)
from emotion_llama.train.config import FeatureSettings, SampleSettings, Source
from emotion_llama.train.dynamics import still_dynamics
from emotion_llama.train.examples import Example

COMBINATIONS: dict[tuple[Modality, ...], float] = {
    ("video", "audio", "text"): 0.30,
    ("video", "audio"): 0.12,
    ("audio", "text"): 0.14,
    ("video", "text"): 0.06,
    ("audio",): 0.18,
    ("video",): 0.12,
    ("text",): 0.08,
}
"""How often each combination of inputs is drawn."""

WORDS_MATCH, WORDS_NEUTRAL = 0.30, 0.50
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

NEUTRAL_ALONE = 0.35
"""Where words are all there is, so often they are drawn among those that say nothing; the answer is then neutral."""

OPPOSITE = 0.5
"""Words contradict an emotion if their valence differs by more than this."""

GLOBAL_SHARE = 0.5
"""How often the whole picture is shown: it says little about an emotion and must not be leaned on."""

MOVING_SHARE = 0.5
"""How often a still face is given an invented course of movement."""

STILL_NOISE = 0.1

CLOSED_SET = "ravdess8"
"""Label set of validation questions about combinations."""


@dataclass(frozen=True)
class Pool:
    """The examples of one side by what they hold, then by emotion, then by source."""

    voices: dict[str, dict[str, list[Example]]]
    faces: dict[str, dict[str, list[Example]]]
    texts: dict[str, dict[str, list[Example]]]


def pool_of(examples: Sequence[Example], groups: Sequence[FeatureSettings], opinions: Opinions) -> Pool:
    """Sort examples into voices, faces and lines of text; a talking face is all of them."""
    kinds: dict[Modality, dict[str, dict[str, list[Example]]]] = {
        name: defaultdict(lambda: defaultdict(list)) for name in ("video", "audio", "text")
    }
    for example in examples:
        there = inputs_of(example, groups, opinions)
        for name in there:
            if example.emotion is not None and (name != "text" or there == ("text",)):
                kinds[name][example.emotion][example.source].append(example)
    return Pool(voices=kinds["audio"], faces=kinds["video"], texts=kinds["text"])


class Combiner:
    """Sample number `index` of a run: always the same for one seed, whatever was drawn before it."""

    def __init__(
        self,
        examples: Sequence[Example],
        sources: Sequence[Source],
        groups: Sequence[FeatureSettings],
        opinions: Opinions,
        settings: SampleSettings,
        seed: int,
    ) -> None:
        self.weights = {source.name: source.weight for source in sources}
        self.pool = pool_of([e for e in examples if self.weights[e.source] > 0], groups, opinions)
        if not any(self._possible(emotion, inputs) for emotion in EMOTIONS for inputs in COMBINATIONS):
            raise ManifestError(
                "combinations: expected voices, faces or lines of text with an emotion that is drawn "
                f"({', '.join(EMOTIONS)}), found none"
            )
        self.groups = groups
        self.opinions = opinions
        self.settings = settings
        self.seed = seed

    def draw(self, index: int) -> TrainSample:
        """Draw one sample: inputs, label set, task and answer."""
        rng = random.Random(f"{self.seed}-{index}")
        emotion, inputs = self._emotion_and_inputs(rng)
        voice = self._one(rng, self.pool.voices[emotion]) if "audio" in inputs else None
        face = self._face(rng, emotion) if "video" in inputs else None
        words = self._words(rng, emotion, voice, alone=inputs == ("text",)) if "text" in inputs else None
        task = self._task(rng, face, voice)
        labels, label = asked_labels(rng, task, emotion, (), self.settings)
        observations = _observations(voice, face, words)
        clues = clues_for(task, observations, self.settings.clues, labels)
        return TrainSample(
            clip="+".join(part.id for part in (face, voice) if part is not None) or "words",
            task=task,
            labels=labels,
            transcript=words,
            clues=phrases_for(task, clues, labels, self.settings.language),
            features=hide_some(rng, self._features(rng, voice, face), self.groups, self.settings),
            answer=composed(task, clues, label, rng, words, self.settings.language),
            source="combinations",
        )

    def closed(self, index: int) -> TrainSample | None:
        """Draw a label question about at least two inputs, asked with `CLOSED_SET`; `None` if the draw is no such."""
        rng = random.Random(f"{self.seed}-closed-{index}")
        emotion, inputs = self._emotion_and_inputs(rng)
        labels = LABEL_SETS[CLOSED_SET]
        if len(inputs) < 2 or emotion not in map(canonical, labels):
            return None
        voice = self._one(rng, self.pool.voices[emotion]) if "audio" in inputs else None
        face = self._face(rng, emotion) if "video" in inputs else None
        return TrainSample(
            clip="+".join(part.id for part in (face, voice) if part is not None),
            task="emotion",
            labels=labels,
            transcript=self._words(rng, emotion, voice, alone=False) if "text" in inputs else None,
            features=self._features(rng, voice, face),
            answer=next(label for label in labels if canonical(label) == emotion),
            source="combinations",
        )

    def _emotion_and_inputs(self, rng: random.Random) -> tuple[str, tuple[Modality, ...]]:
        while True:
            emotion = rng.choices(list(EMOTIONS), list(EMOTIONS.values()))[0]
            if rng.random() < self.settings.blank:
                return emotion, ()
            inputs = rng.choices(list(COMBINATIONS), list(COMBINATIONS.values()))[0]
            if inputs == ("text",) and rng.random() < NEUTRAL_ALONE:
                emotion = "neutral"
            if self._possible(emotion, inputs):
                return emotion, inputs

    def _possible(self, emotion: str, inputs: tuple[Modality, ...]) -> bool:
        """Whether the pool has what such a sample is put together from."""
        if "audio" in inputs and emotion not in self.pool.voices:
            return False
        if "video" in inputs and not self._face_emotions(emotion):
            return False
        return "text" not in inputs or (emotion if inputs == ("text",) else "neutral") in self.pool.texts

    def _one(self, rng: random.Random, by_source: dict[str, list[Example]]) -> Example:
        """Draw a source by weight, then an example evenly."""
        names = sorted(by_source)
        return rng.choice(by_source[rng.choices(names, [self.weights[name] for name in names])[0]])

    def _face_emotions(self, emotion: str) -> list[str]:
        return [name for name in FACE_STAND_INS.get(emotion, (emotion,)) if name in self.pool.faces]

    def _face(self, rng: random.Random, emotion: str) -> Example:
        return self._one(rng, self.pool.faces[rng.choice(self._face_emotions(emotion))])

    def _words(self, rng: random.Random, emotion: str, voice: Example | None, *, alone: bool) -> str:
        chance = rng.random()
        if (alone or chance < WORDS_MATCH) and emotion in self.pool.texts:
            return self._line(rng, emotion)
        if alone or chance < WORDS_MATCH + WORDS_NEUTRAL:
            return voice.transcript if voice is not None and voice.transcript else self._line(rng, "neutral")
        known = [name for name in sorted(self.pool.texts) if name in VALENCE]
        opposite = [name for name in known if abs(VALENCE[name] - VALENCE[emotion]) > OPPOSITE]
        return self._line(rng, rng.choice(opposite or ["neutral"]))

    def _line(self, rng: random.Random, emotion: str) -> str:
        return self._one(rng, self.pool.texts[emotion]).transcript or ""

    def _task(self, rng: random.Random, face: Example | None, voice: Example | None) -> Task:
        if face is None and voice is None:
            return "emotion"
        kinds = {
            task: share
            for task, share in self.settings.tasks.items()
            if not (task == "visual" and not (face and face.observations))
            and not (task == "audio" and not (voice and voice.observations))
        }
        return rng.choices(list(kinds), list(kinds.values()))[0] if sum(kinds.values()) else "emotion"

    def _features(
        self, rng: random.Random, voice: Example | None, face: Example | None
    ) -> dict[str, NDArray[np.float32]]:
        features: dict[str, NDArray[np.float32]] = {}
        if face is not None:
            features |= features_of(face, self.groups, self.opinions, ("video",))
            if "action_units" in face.arrays:
                features = self._enliven(rng, features, face.arrays["action_units"][0])
            if rng.random() >= GLOBAL_SHARE and len(features) > 1:  # a face that is shown is never empty
                features.pop("global", None)
        if voice is not None:
            features |= features_of(voice, self.groups, self.opinions, ("audio",))
        return features

    def _enliven(
        self, rng: random.Random, features: dict[str, NDArray[np.float32]], intensity: NDArray[np.float32]
    ) -> dict[str, NDArray[np.float32]]:
        """Give a still face the noise of other frames in its mean row, and at times a course of movement."""
        numbers = np.random.default_rng(rng.getrandbits(32))
        found = dict(features)
        if "local" in found:
            mean = found["local"][0] + numbers.normal(0, STILL_NOISE, found["local"][0].shape)
            found["local"] = np.stack([mean, *found["local"][1:]]).astype(np.float32)
        if any(group.name == MOVEMENT for group in self.groups) and rng.random() < MOVING_SHARE:
            found[MOVEMENT] = still_dynamics(intensity, numbers)
            for group in self.groups:
                if group.still:
                    found.pop(group.name, None)
        return found


def _observations(voice: Example | None, face: Example | None, words: str | None) -> list[Observation]:
    found: list[Observation] = []
    found += face.observations if face is not None else ()
    found += [o for o in voice.observations if o.channel == "voice"] if voice is not None else ()
    if words:
        found += describe_words(Transcript(text=words, source="given"))
    return found
