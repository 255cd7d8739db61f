"""The way the released demonstration works, in our own words and on the same weights: what ours is held against.

Taken over from the released code (`app.py` at 4ee28d2, of the paper's authors): one request at a time; the audio
encoder read from disk again for each; the first frame; no features kept; the label written freely and read off the last
word, with one label order; the library's own `generate` on a whole prompt for each question, nothing shared between two
questions; float32 on a processor. In the demonstration, language model and picture encoder stay loaded, and so they do
here; `reloaded` is a program started for each clip, but for the start of Python itself.

Not taken over: it looks at no faces and recognises no words, and draws its tokens at random, up to 500; here both sides
look at and listen to the same things, write the likeliest text, and ask the same questions, so that the same work is
compared. Its weights, at 7 billion parameters in float16, are others unless the model given is a converted release.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from statistics import median

import torch

from emotion_llama.analyze.analyzer import EmotionLlama
from emotion_llama.analyze.answers import clues_for
from emotion_llama.analyze.features import encode, for_model
from emotion_llama.analyze.parts import Parts
from emotion_llama.analyze.perceive import Stopwatch, perceive, present_inputs
from emotion_llama.analyze.preset import Preset
from emotion_llama.answer import parse_last_word
from emotion_llama.bench.clips import REASON
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
        reader = reader or replace(preset, dtype=torch.float32).load_reader()
        config = preset.config()
        released = config.wording == "official"
        parts = RereadingParts(preset.folder, preset.device, preset.threads, False, config.encoders, released)
        return cls(reader, parts)

    def answer(self, clip: Clip) -> tuple[str | None, str]:
        """Give label (`None`: the last word written is none) and reason of one clip."""
        watch = Stopwatch()
        percept = perceive(clip, SETTINGS, self.parts, watch)
        encoded = encode(percept, self.parts, present_inputs(percept, SETTINGS)["audio"], watch)
        features = for_model(encoded, self.parts.heads, self.reader.model.config.groups)
        words = percept.transcript.text
        label = parse_last_word(self._written("emotion", SETTINGS.labels, words, features), SETTINGS.labels)
        clues = clues_for(percept, "reason", label) if label is not None else ()
        asked = SETTINGS.labels if label is None else (label,)
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


def measure_reference(model: EmotionLlama, plain: ClipReader, clips: list[Clip]) -> ReferenceFigures:
    """Let both answer each clip, one right after the other. `plain`: the model's language model in float32."""
    kept, device = Reference.of(model.preset, plain), model.preset.device
    kept.answer(clips[0])
    model.examine(clips[0], REASON)
    rows: list[list[float]] = []
    for clip in clips:
        sides: list[Side] = [
            lambda c=clip: timed(lambda: model.examine(c, REASON), device),  # type: ignore[misc]
            lambda c=clip: timed(lambda: kept.answer(c), device),  # type: ignore[misc]
            lambda c=clip: timed(lambda: Reference.of(model.preset).answer(c), device),  # type: ignore[misc]
        ]
        rows.append([one_s for (one_s,) in in_turn(sides, 1)])
    ours_s, kept_s, reloaded_s = map(list, zip(*rows, strict=True))
    return ReferenceFigures(
        reference_clips=len(clips),
        reference_s=median(kept_s),
        reference_reloaded_s=median(reloaded_s),
        ours_s=median(ours_s),
        reference_ratio=ratio(kept_s, ours_s),
        reference_reloaded_ratio=ratio(reloaded_s, ours_s),
    )
