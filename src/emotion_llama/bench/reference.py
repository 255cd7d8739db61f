"""The way the released demonstration works, in our own words and on the same weights: what ours is held against.

Taken over from the released code of the paper's authors (commit 4ee28d2, `app.py`): one request at a time; the audio
encoder read from disk again for each; the first frame; no features kept; the library's own `generate` on a whole prompt
for each question, nothing shared between two. Language model and picture encoder stay loaded there, and so here;
`reloaded` loads everything for each clip, as a script does. From its evaluation (`eval_emotion.py`): the label is the
last word of what was written, asked for with one label order.

Not taken over: the demonstration looks at no faces, recognises no words, draws its tokens at random and writes up to
500; here both sides look at and listen to the same things, write the likeliest text, and ask for reasons of the same
labels, so that the same work is compared. It computes in float16 on a GPU, here in float32. Its weights of 7 billion
parameters are others, unless the model given is a converted release.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median

import torch

from emotion_llama.analyze.analyzer import EmotionLlama
from emotion_llama.analyze.answers import clues_for
from emotion_llama.analyze.features import encode, for_model
from emotion_llama.analyze.numerics import Numerics
from emotion_llama.analyze.parts import Parts
from emotion_llama.analyze.perceive import Stopwatch, perceive, present_inputs
from emotion_llama.analyze.preset import Preset
from emotion_llama.answer import parse_last_word
from emotion_llama.bench.clips import REASON, side_by_side
from emotion_llama.bench.figures import ReferenceFigures
from emotion_llama.bench.language import prompt_batch
from emotion_llama.bench.timing import Side, in_turn, ratio, timed
from emotion_llama.clip import Clip, Task
from emotion_llama.encoders import WhisperEncoder
from emotion_llama.encoders.speech import SpeechEncoder
from emotion_llama.model.processing import Features, TrainSample
from emotion_llama.model.score import ClipReader

SETTINGS = REASON.model_copy(update={"frame": "first", "label_method": "generate-last-word", "label_orders": 1})


@dataclass(frozen=True)
class RereadingParts(Parts):
    """Parts of which the audio encoder is read from disk whenever it is asked for."""

    @property
    def audio_encoder(self) -> WhisperEncoder:
        """The audio encoder, read again."""
        return self._fresh().audio_encoder

    @property
    def own_audio(self) -> SpeechEncoder | None:
        """An own audio encoder, read again."""
        return self._fresh().own_audio

    def _fresh(self) -> Parts:
        return Parts(self.checkpoint, self.device, self.threads, self.keep_features, self.encoders, self.released)


@dataclass(frozen=True)
class Reference:
    """A model that answers in the released way."""

    reader: ClipReader
    parts: Parts

    @classmethod
    def of(cls, preset: Preset, reader: ClipReader | None = None) -> Reference:
        """Make one of a preset's weights in float32; `reader`: its language model, where it is loaded already."""
        reader = reader or replace(preset, dtype=torch.float32, numerics=Numerics()).load_reader()
        config = preset.config()
        released = config.wording == "official"
        parts = RereadingParts(preset.folder, preset.device, preset.threads, False, config.encoders, released)
        return cls(reader, parts)

    def answer(self, clip: Clip, explained: str | None = None) -> tuple[str | None, str]:
        """Give label (`None`: the last word written is none) and reason of one clip.

        `explained`: the label that the reason is asked for, `None` = the one written.
        """
        watch = Stopwatch()
        percept = perceive(clip, SETTINGS, self.parts, watch)
        encoded = encode(percept, self.parts, present_inputs(percept, SETTINGS)["audio"], watch)
        features = for_model(encoded, self.parts.heads, self.reader.model.config.groups)
        words = percept.transcript.text
        label = parse_last_word(self._written("emotion", SETTINGS.labels, words, features), SETTINGS.labels)
        about = explained or label
        clues = clues_for(percept, "reason", about) if about is not None else ()
        asked = SETTINGS.labels if about is None else (about,)
        return label, self._written("reason", asked, words, features, clues)

    @torch.inference_mode()
    def _written(
        self, task: Task, labels: tuple[str, ...], words: str | None, features: Features, clues: tuple[str, ...] = ()
    ) -> str:
        processor = self.reader.processor
        sample = TrainSample("reference", task, labels, words, "", processor.complete(features), clues)
        prompt = prompt_batch(self.reader, sample)
        found = self.reader.model.generate(
            **prompt,
            max_new_tokens=SETTINGS.max_new_tokens,
            do_sample=False,
            eos_token_id=processor.end_id,
            pad_token_id=processor.pad_id,
            suppress_tokens=[self.reader.model.config.placeholder_token_id],
        )
        return processor.decode(found[0, prompt["input_ids"].shape[1] :].tolist())


def measure_reference(model: EmotionLlama, plain: ClipReader, clips: Sequence[Clip], rounds: int) -> ReferenceFigures:
    """Let both work through the same clips, in turn. `plain`: the model's language model in float32."""
    device, kept = model.preset.device, Reference.of(model.preset, plain)
    labels = {one.analysis.clip: one.analysis.emotion for one in side_by_side(model, clips)}
    kept.answer(clips[0], labels[clips[0].clip])
    sides: list[Side] = [
        lambda: timed(lambda: side_by_side(model, clips), device),
        lambda: timed(lambda: [kept.answer(clip, labels[clip.clip]) for clip in clips], device),
        lambda: timed(lambda: [Reference.of(model.preset).answer(clip, labels[clip.clip]) for clip in clips], device),
    ]
    ours_s, kept_s, reloaded_s = in_turn(sides, rounds)
    return ReferenceFigures(
        reference_clips=len(clips),
        reference_s=median(kept_s) / len(clips),
        reference_reloaded_s=median(reloaded_s) / len(clips),
        ours_s=median(ours_s) / len(clips),
        reference_ratio=ratio(kept_s, ours_s),
        reference_reloaded_ratio=ratio(reloaded_s, ours_s),
    )
