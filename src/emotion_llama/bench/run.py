"""One run: everything measured, in an order that keeps the figures apart."""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib.util import find_spec

import torch
from rich.console import Console

from emotion_llama.analyze.analyzer import EmotionLlama
from emotion_llama.analyze.numerics import Numerics
from emotion_llama.analyze.preset import Preset
from emotion_llama.bench.clips import REASON, asked_of, measure_clips
from emotion_llama.bench.figures import Figures
from emotion_llama.bench.language import TOGETHER, measure_language
from emotion_llama.bench.limits import measure_limits
from emotion_llama.bench.machine import describe
from emotion_llama.bench.perception import measure_perception
from emotion_llama.bench.reference import measure_reference
from emotion_llama.bench.samples import cuts
from emotion_llama.model.score import ClipReader


@dataclass(frozen=True)
class Size:
    """How much is measured: rounds of each pair of sides, tokens of each text, clips that both ways answer, clips."""

    rounds: int
    tokens: int
    reference_clips: int
    clips: int


WHOLE = Size(rounds=3, tokens=64, reference_clips=6, clips=20)
QUICK = Size(rounds=2, tokens=24, reference_clips=2, clips=4)


def ways_of(reader: ClipReader, preset: Preset) -> dict[str, ClipReader]:
    """Readers of one model by how it runs: all ways that are installed here, on a processor."""
    ways = {"plain": ClipReader(reader.model, reader.processor)}
    if preset.device == "cpu" and find_spec("openvino") is not None:
        for name in ("compiled", "int8", "int4"):
            numerics = Numerics.of(None if name == "compiled" else name, name == "compiled")
            ways[name] = replace(preset, numerics=numerics).running(ways["plain"])
    return ways


def measure(preset: Preset, size: Size, *, quick: bool = False) -> Figures:
    """Measure everything, what users meet first and before anything else is loaded, so that its memory is its own."""
    told = Console(stderr=True)
    clips, machine = cuts(max(size.clips, size.reference_clips)), describe(preset, quick)
    model = EmotionLlama(replace(preset, keep_features=False))
    told.print(f"clips: {size.clips}, cold, warm, side by side …")
    looked = [asked_of(model, clip) for clip in clips[:TOGETHER]]
    model.examine(clips[0], REASON)
    by_clip = measure_clips(model, clips[: size.clips], [inputs for _, inputs in looked], size.rounds)
    told.print("language model: first token, tokens a second, label scorings …")
    plain = replace(preset, dtype=torch.float32, numerics=Numerics()).load_reader()
    asked = [one for one, _ in looked]
    ways = {} if quick else ways_of(model.reader, preset)
    language = measure_language(model.reader, plain, asked, rounds=size.rounds, tokens=size.tokens, ways=ways)
    told.print("limits of the machine …")
    decoder = model.reader.model.language_model.get_decoder()
    limits = measure_limits(decoder, language, machine.dtype, preset.device)
    products = limits.matmul_gflop_s["float32"]
    perception = measure_perception(model, clips[: size.reference_clips], products, size.rounds)
    told.print(f"the released way: {size.reference_clips} clips …")
    reference = measure_reference(model, plain, clips[: size.reference_clips], max(1, size.rounds // 2))
    return Figures(**{
        name: value
        for part in (machine, by_clip, language, limits, perception, reference)
        for name, value in part.model_dump().items()
    })  # fmt: skip
