"""Recordings in, analyses out: cold, warm, side by side, and the time of each stage."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from statistics import median

from emotion_llama.analyze.analyzer import EmotionLlama, Looked, Result
from emotion_llama.analyze.answers import clues_for, drafts_for
from emotion_llama.analyze.features import encode, for_model
from emotion_llama.analyze.perceive import Stopwatch, perceive, present_inputs
from emotion_llama.analyze.pipeline import Pipeline
from emotion_llama.analyze.scoring import Inputs, score_labels, shortened
from emotion_llama.bench.figures import ClipFigures, ClipsPerS, Together
from emotion_llama.bench.language import TOGETHER, Asked
from emotion_llama.bench.machine import peak_rss_mb, peak_vram_mb
from emotion_llama.bench.samples import CLIP_S
from emotion_llama.bench.timing import Side, in_turn, ratio, timed
from emotion_llama.clip import Clip
from emotion_llama.errors import ModelError
from emotion_llama.model.together import Question
from emotion_llama.settings import AnalyzeSettings

MOST_REASONS = 12
EMOTION = AnalyzeSettings(tasks=("emotion",))
REASON = AnalyzeSettings(tasks=("emotion", "reason"))
TEXT = Clip(clip="text", transcript="I can't believe that you did this to me!")


def asked_of(model: EmotionLlama, clip: Clip, settings: AnalyzeSettings = REASON) -> tuple[Asked, Inputs]:
    """Look at a clip and encode it: what the language model is asked about it, with the clues of its own answer."""
    watch = Stopwatch()
    percept = perceive(clip, settings, model.parts, watch)
    present = present_inputs(percept, settings)
    groups = model.reader.model.config.groups
    features = for_model(encode(percept, model.parts, present["audio"], watch), model.parts.heads, groups)
    inputs = Inputs.of(features, percept.transcript.text, [name for name in present if present[name]], groups)
    chances = score_labels(model.reader, model.calibration, inputs, settings).probabilities
    best = max(chances, key=lambda label: chances[label])
    clues, drafts = clues_for(percept, "reason", best), drafts_for(percept, "reason", best)
    reason = Question("reason", (best,), clues, settings.max_new_tokens, drafts)
    return Asked(features, shortened(inputs.transcript), settings.labels, reason), inputs


def measure_clips(model: EmotionLlama, clips: Sequence[Clip], inputs: Sequence[Inputs], rounds: int) -> ClipFigures:
    """Measure analyses of `clips`; `inputs` are some of them, looked at already. The model must be warm."""
    device = model.preset.device
    cold_s = median(_process_s(_cold(model, clips[0])) for _ in range(rounds))
    emotion_s = [timed(lambda c=clip: model.examine(c, EMOTION), device) for clip in clips]  # type: ignore[misc]
    cached_s = [timed(lambda i=one: _scored(model, i), device) for one in inputs for _ in range(rounds)]  # type: ignore[misc]
    together, results = _together(model, clips[:MOST_REASONS], rounds)
    slowest_s = max(result.analysis.timings_s["total"] for result in results)
    return ClipFigures(
        clips=len(clips),
        clip_s=CLIP_S,
        cold_first_clip_s=cold_s,
        warm_emotion_s=median(emotion_s),
        rtf_emotion=median(emotion_s) / CLIP_S,
        reason_clips=together.clips,
        warm_reason_s=slowest_s,
        rtf_reason=slowest_s / CLIP_S,
        clips_per_s=ClipsPerS(cold=1 / cold_s, warm=len(clips) / sum(emotion_s), cached=1 / median(cached_s)),
        folder_with_reasons=together,
        text_emotion_s=median(timed(lambda: model.examine(TEXT, EMOTION), device) for _ in range(rounds + 2)),
        help_s=median(_process_s(["-m", "emotion_llama", "--help"]) for _ in range(rounds)),
        peak_rss_mb=peak_rss_mb(),
        peak_vram_mb=peak_vram_mb(device),
        stages=stages(results),
    )


def stages(results: Sequence[Result]) -> dict[str, float]:
    """Median seconds of each part of an analysis, the longest first."""
    names = {name for result in results for name in result.analysis.timings_s}
    found = {name: median(one.analysis.timings_s.get(name, 0.0) for one in results) for name in names}
    return {name: round(found[name], 4) for name in sorted(found, key=lambda name: (-found[name], name))}


def side_by_side(model: EmotionLlama, clips: Sequence[Clip]) -> list[Result]:
    """A folder with reasons as `analyze DIR` works through it: looked at ahead, answered several at once."""
    pipeline: Pipeline[Clip, Looked | Result, Result] = Pipeline(  # one of its own each time: it ends with its jobs
        [lambda clip: model.look(clip, REASON)],
        lambda found: model.answer_together([looked for _, looked in found]),
        TOGETHER,
    )
    results = []
    for _, found in pipeline.results(clips):
        if isinstance(found, Exception):
            raise found
        results.append(found)
    return results


def _together(model: EmotionLlama, clips: Sequence[Clip], rounds: int) -> tuple[Together, list[Result]]:
    """Both ways of a folder with reasons; the results are those of clip after clip."""
    device, results = model.preset.device, list[Result]()
    sides: list[Side] = [
        lambda: timed(lambda: results.extend(model.examine(clip, REASON) for clip in clips), device),
        lambda: timed(lambda: side_by_side(model, clips), device),
    ]
    one_s, side_s = in_turn(sides, rounds)
    found = Together(
        clips=len(clips), one_by_one_s=median(one_s), side_by_side_s=median(side_s), ratio=ratio(one_s, side_s)
    )
    return found, results


def _scored(model: EmotionLlama, inputs: Inputs) -> object:
    return score_labels(model.reader, model.calibration, inputs, EMOTION)


def _cold(model: EmotionLlama, clip: Clip) -> list[str]:
    preset = model.preset
    return ["-m", "emotion_llama.bench.cold", preset.name, preset.device, clip.model_dump_json()]


def _process_s(words: list[str]) -> float:
    """Seconds of a Python process from its start to its end. Raises `ModelError` with what it said where it failed."""

    def run() -> None:
        done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)
        if done.returncode:
            raise ModelError(f"a process of its own failed ({' '.join(words[:2])}): {done.stderr.strip()[-400:]}")

    return timed(run, "cpu")
