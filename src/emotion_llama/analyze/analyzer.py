"""The conductor: Clip → Analysis."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from emotion_llama.analyze.answers import Answers, ask
from emotion_llama.analyze.calibration import Calibration, opinions_of
from emotion_llama.analyze.feature_files import file_name, read_clip
from emotion_llama.analyze.features import encode, for_model
from emotion_llama.analyze.inputs import find_clips
from emotion_llama.analyze.parts import Parts
from emotion_llama.analyze.perceive import Percept, Stopwatch, perceive, present_inputs
from emotion_llama.analyze.preset import Preset, load_preset, provenance
from emotion_llama.analyze.report import ReportMaterial
from emotion_llama.analyze.results import build_analysis, build_material
from emotion_llama.clip import Analysis, Clip
from emotion_llama.encoders.features import Features
from emotion_llama.encoders.person import PersonBaseline
from emotion_llama.errors import UsageError
from emotion_llama.labels import parse_label_set
from emotion_llama.model.score import ClipReader
from emotion_llama.settings import AnalyzeSettings


@dataclass(frozen=True)
class Result:
    """An analysis and the pictures and traces that its HTML report draws."""

    analysis: Analysis
    material: ReportMaterial


class EmotionLlama:
    """A loaded preset. Made by `load`; one object analyses any number of clips, one at a time."""

    def __init__(self, preset: Preset) -> None:
        self.preset = preset
        config = preset.config()
        released = config.wording == "official"
        self.parts = Parts(
            preset.folder, preset.device, preset.threads, preset.keep_features, config.encoders, released
        )
        self._encoded: dict[tuple[str, ...], list[tuple[Path | None, Features]]] = {}

    @cached_property
    def reader(self) -> ClipReader:
        """The language model with its adapter, loaded on first use."""
        return self.preset.load_reader()

    @cached_property
    def calibration(self) -> Calibration:
        """Prior weight and temperatures of the checkpoint; a converted release has none and is taken as it answers."""
        path = self.preset.folder / "calibration.json"
        if self.preset.config().wording == "official" and not path.is_file():
            return Calibration(prior_weight=0.0)
        return Calibration.read(path)

    @cached_property
    def trained(self) -> tuple[str, ...]:
        """Labels the checkpoint was trained on, as its record says."""
        return self.preset.trained_labels()

    def analyze(
        self,
        clip: str | Path | Clip | None = None,
        *,
        transcript: str | None = None,
        settings: AnalyzeSettings | None = None,
        **changes: Any,
    ) -> Analysis:
        """Say what one recording shows.

        `clip` is a path, a `Clip`, or `None` with a `transcript` for text alone. `changes` are fields of
        `AnalyzeSettings` (`labels="ravdess8"` or `labels=("happy", "sad")`, `tasks=("emotion",)`, …). Raises
        `MediaError` for a recording that cannot be read, `UsageError` for a wrong setting, `AssetMissingError` if
        weights were not fetched.
        """
        chosen = changed(settings or AnalyzeSettings(), changes)
        return self.examine(as_clip(clip, transcript), chosen).analysis

    def examine(self, clip: Clip, settings: AnalyzeSettings) -> Result:
        """`analyze`, together with the material for the HTML report."""
        watch = Stopwatch()
        with watch.time("total"):
            baseline = self._baseline(clip, settings, watch)
            percept = perceive(clip, settings, self.parts, watch)
            answers = self._answer(percept, settings, baseline, watch)
        origin = provenance(self.preset, settings)
        if baseline is not None:
            origin = origin.model_copy(update={"baseline_clips": baseline.clips})
        analysis = build_analysis(percept, settings, answers, origin, dict(watch.seconds))
        return Result(analysis, build_material(percept))

    def probabilities(self, percept: Percept, settings: AnalyzeSettings) -> dict[str, float]:
        """Give the probabilities of the asked labels for a clip that was perceived already; they sum to 1."""
        return dict(self._answer(percept, settings, None, Stopwatch()).probabilities)

    def _baseline(self, clip: Clip, settings: AnalyzeSettings, watch: Stopwatch) -> PersonBaseline | None:
        """What is the person's own, from the other recordings that settings name; never from the clip itself."""
        if not settings.baseline:
            return None
        if settings.baseline not in self._encoded:
            with watch.time("baseline"):
                self._encoded[settings.baseline] = [
                    (other.path, self._encode(other)) for other in find_clips(settings.baseline, None)
                ]
        mine = clip.path.resolve() if clip.path is not None else None
        others = [rows for path, rows in self._encoded[settings.baseline] if path is None or path.resolve() != mine]
        return PersonBaseline.of(others)

    def _encode(self, clip: Clip) -> Features:
        settings, watch = AnalyzeSettings(transcribe=False), Stopwatch()
        percept = perceive(clip, settings, self.parts, watch)
        return encode(percept, self.parts, present_inputs(percept, settings)["audio"], watch)

    def _answer(
        self, percept: Percept, settings: AnalyzeSettings, baseline: PersonBaseline | None, watch: Stopwatch
    ) -> Answers:
        present = present_inputs(percept, settings)
        given = read_clip(settings.features, file_name(percept.clip.clip)) if settings.features else {}
        encoded = {**encode(percept, self.parts, present["audio"], watch, tuple(given)), **given}
        if baseline is not None:
            encoded = baseline.recentred(encoded, self.parts.population)
        with watch.time("load model"):
            reader = self.reader.in_layout(settings.layout)
        groups = reader.model.config.groups
        features = for_model(encoded, self.parts.heads, groups)
        opinions = opinions_of(features, groups)
        answers = ask(reader, self.calibration, percept, features, opinions, settings, watch)
        return replace(answers, present=present, trained=self.trained, released=self.parts.released)


def changed(settings: AnalyzeSettings, changes: dict[str, Any]) -> AnalyzeSettings:
    """Change some fields; `labels` may be the name of a label set. Raises `UsageError` naming the field."""
    if isinstance(changes.get("labels"), str):
        changes = changes | {"labels": parse_label_set(changes["labels"])}
    try:
        return AnalyzeSettings.model_validate(settings.model_dump() | changes)
    except ValidationError as error:
        wrong = (": ".join([*map(str, e["loc"]), str(e["msg"]).removeprefix("Value error, ")]) for e in error.errors())
        raise UsageError("; ".join(wrong)) from error


def as_clip(clip: str | Path | Clip | None, transcript: str | None) -> Clip:
    """Make a `Clip` of what a caller passed. Raises `UsageError` if there is neither a recording nor a transcript."""
    if isinstance(clip, Clip):
        return clip if transcript is None else clip.model_copy(update={"transcript": transcript})
    if clip is None:
        if transcript is None:
            raise UsageError("nothing to analyse: give a recording or a transcript")
        return Clip(clip="text", transcript=transcript)
    return Clip(clip=str(clip), path=Path(clip), transcript=transcript)


def load(
    name: str | Path = "nano",
    *,
    device: str = "auto",
    dtype: str = "auto",
    threads: int | None = None,
    keep_features: bool = True,
) -> EmotionLlama:
    """Load a preset by name, or a checkpoint folder.

    `device` is auto, cpu, cuda or cuda:N; `dtype` auto, float32 or bfloat16. Encoders load on first use.
    `keep_features` keeps the slow encoders' outputs in the cache folder, by content of the recording. Raises
    `UsageError` for an unknown name or device, `ModelError` for a folder that is not a checkpoint.
    """
    preset = load_preset(name, device=device, dtype=dtype, threads=threads)
    return EmotionLlama(replace(preset, keep_features=keep_features))
