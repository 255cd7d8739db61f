"""The conductor: Clip → Analysis."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from emotion_llama.analyze.answers import Answers, Encoded, score, write
from emotion_llama.analyze.baseline import Baselines, Beside
from emotion_llama.analyze.calibration import Calibration
from emotion_llama.analyze.feature_files import file_name, read_clip
from emotion_llama.analyze.features import encode, for_model
from emotion_llama.analyze.gating import Gated, gate
from emotion_llama.analyze.numerics import Numerics, Quantize
from emotion_llama.analyze.parts import Parts
from emotion_llama.analyze.people import about, people_of, whom
from emotion_llama.analyze.people_notes import people_notes
from emotion_llama.analyze.perceive import Percept, Stopwatch, perceive, present_inputs
from emotion_llama.analyze.preset import Preset, load_preset, provenance
from emotion_llama.analyze.profile import PersonProfile
from emotion_llama.analyze.recentre import recentred
from emotion_llama.analyze.results import Result as Result
from emotion_llama.analyze.results import build_analysis, build_material
from emotion_llama.analyze.scoring import Inputs
from emotion_llama.analyze.timeline.focus import Focus
from emotion_llama.analyze.timeline.run import OnWindow, examine_over_time
from emotion_llama.analyze.told import in_language
from emotion_llama.clip import Analysis, Clip, Modality
from emotion_llama.encoders.features import Features
from emotion_llama.encoders.person import PersonBaseline
from emotion_llama.encoders.temporal import MOVEMENT
from emotion_llama.errors import UsageError
from emotion_llama.labels import parse_label_set
from emotion_llama.model import checkpoint
from emotion_llama.model.score import ClipReader
from emotion_llama.settings import AnalyzeSettings
from emotion_llama.timeline import PersonEmotion

Given = TypeVar("Given")
Made = TypeVar("Made")

FACE_OUTPUTS = ("local", "face_expressions", "face_view")
"""Encoder outputs of the face alone."""


@dataclass(frozen=True)
class LookedAt:
    """What the language model is to be asked about: a clip that was perceived and encoded, and which inputs count."""

    percept: Percept
    settings: AnalyzeSettings
    encoded: Features
    present: dict[Modality, bool]
    gated: Gated | None
    watch: Stopwatch


@dataclass(frozen=True)
class Looked:
    """A clip before the language model: the question, and what a result needs beside its answer."""

    question: LookedAt
    beside: Beside
    people: tuple[PersonEmotion, ...]
    focus: Focus | None

    def of_recording(self, path: Path) -> Looked:
        """The same, where it was a copy of the recording at `path` that was looked at."""
        percept = self.question.percept
        media = None if percept.media is None else replace(percept.media, path=path)
        percept = replace(percept, clip=percept.clip.model_copy(update={"path": path}), media=media)
        return replace(self, question=replace(self.question, percept=percept))


class EmotionLlama:
    """A loaded preset. Made by `load`; one object analyses any number of clips, one at a time."""

    def __init__(self, preset: Preset) -> None:
        self.preset = preset
        config = preset.config()
        released = config.wording == "official"
        self.parts = Parts(
            preset.folder, preset.device, preset.threads, preset.keep_features, config.encoders, released
        )

    @cached_property
    def baselines(self) -> Baselines:
        """Where a person's own baseline comes from."""
        return Baselines(self.parts, self.preset.name, checkpoint.adapter_sha256(self.preset.folder))

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

    def examine(
        self,
        clip: Clip,
        settings: AnalyzeSettings,
        on_window: OnWindow | None = None,
        watch: Stopwatch | None = None,
        focus: Focus | None = None,
    ) -> Result:
        """`analyze`, together with the material for the HTML report.

        With `settings.timeline`, `on_window` is called with each window as it is finished. `watch` is told what is
        being done. `focus`: the clip is one window of a recording that was looked at over time.
        """
        (found,) = self.answer_together([self.look(clip, settings, on_window, watch, focus)])
        if isinstance(found, Exception):
            raise found
        return found

    def look(
        self,
        clip: Clip,
        settings: AnalyzeSettings,
        on_window: OnWindow | None = None,
        watch: Stopwatch | None = None,
        focus: Focus | None = None,
    ) -> Looked | Result:
        """The part of `examine` before the language model: what is seen and heard, encoded.

        With `settings.timeline` that is all there is to do, and it gives the result.
        """
        if settings.timeline:
            result = examine_over_time(self, clip, settings, on_window)
            return Result(in_language(result.analysis, settings.language), result.material)
        watch = watch or Stopwatch()
        with watch.time("total"):
            beside = self.beside(clip, settings, watch) if focus is None else focus.beside
            percept = self.perceive(clip, settings, watch)
            percept, people = self._people(percept, settings, watch, focus)
            if beside.profile is not None:
                percept = recentred(percept, beside.profile.norms, settings)
            gated = gate(percept, present_inputs(percept, settings)) if settings.gate else None
            percept = gated.percept if gated is not None else percept
            question = self._question(percept, settings, beside.profile, watch, gated)
        return Looked(question, beside, people, focus)

    def answer_together(self, clips: Sequence[Looked | Result]) -> list[Result | Exception]:
        """The rest of `examine`, for several clips at once, side by side.

        What goes wrong with one clip takes its place; the others are not touched by it.
        """
        answers = iter(self._answers([clip.question for clip in clips if isinstance(clip, Looked)]))
        found: list[Result | Exception] = []
        for clip in clips:
            if isinstance(clip, Result):
                found.append(clip)
                continue
            answer = next(answers)
            try:
                found.append(answer if isinstance(answer, Exception) else self._result(clip, answer))
            except Exception as error:
                found.append(error)
        return found

    def _result(self, clip: Looked, answers: Answers) -> Result:
        percept, settings, beside = clip.question.percept, clip.question.settings, clip.beside
        origin = provenance(self.preset, settings)
        if beside.profile is not None:
            update = {"baseline_clips": beside.profile.facts.clips, "baseline_from": beside.source}
            origin = origin.model_copy(update=update)
        gated = clip.question.gated
        remarks = (*beside.warnings, *(gated.warnings if gated is not None else ()))
        analysis = build_analysis(percept, settings, answers, origin, dict(clip.question.watch.seconds), remarks)
        if settings.person != "main" and clip.focus is None:
            notes = (*people_notes(percept, settings), *analysis.warnings)
            analysis = analysis.model_copy(update={"people": clip.people, "warnings": notes})
        if clip.focus is None:  # otherwise the whole recording is told when all of it is there
            analysis = in_language(analysis, settings.language)
        finder = self.parts.all_faces if settings.blur_faces else None
        return Result(analysis, build_material(percept, finder))

    def perceive(self, clip: Clip, settings: AnalyzeSettings, watch: Stopwatch) -> Percept:
        """Look at and listen to one clip. Raises `MediaError` for a recording that cannot be read."""
        return perceive(clip, settings, self.parts, watch)

    def encode(self, percept: Percept, heard: bool, watch: Stopwatch, given: tuple[str, ...] = ()) -> Features:
        """Encode what was perceived. `heard`: the sound counts as present; `given`: features had from elsewhere."""
        return encode(percept, self.parts, heard, watch, given)

    def probabilities(
        self, percept: Percept, settings: AnalyzeSettings, profile: PersonProfile | None = None
    ) -> dict[str, float]:
        """Give the probabilities of the asked labels for a clip that was perceived already; they sum to 1.

        `profile`: what is the person's own and is taken off.
        """
        gated = gate(percept, present_inputs(percept, settings)) if settings.gate else None
        return dict(self._answer(percept, settings, profile, gated).probabilities)

    def _people(
        self, percept: Percept, settings: AnalyzeSettings, watch: Stopwatch, focus: Focus | None
    ) -> tuple[Percept, tuple[PersonEmotion, ...]]:
        """What belongs to the person whom the answer is about, and what each of them shows where all are asked for."""
        person = whom(percept, settings) if settings.person != "main" and focus is None else None
        if focus is not None and percept.faces is not None:
            person = focus.person_in(percept.faces.tracks)
        if person is None:
            return percept, ()
        with watch.time("people"):
            if settings.person != "all":
                return about(percept, person, settings, self.parts.face_reader), ()
            asked = settings.model_copy(update={"tasks": ("emotion",), "attribution": False})

            def score(one: Percept) -> tuple[str | None, dict[str, float]]:
                answers = self._answer(one, asked, None)
                return answers.emotion, dict(answers.probabilities)

            return percept, people_of(percept, settings, self.parts.face_reader, score)

    def beside(self, clip: Clip, settings: AnalyzeSettings, watch: Stopwatch) -> Beside:
        """What is the person's own, from what settings name; never from the clip itself."""
        if not settings.baseline:
            return Beside()
        with watch.time("baseline"):
            return self.baselines.of(clip, settings.baseline, settings.timeline)

    def _answer(
        self, percept: Percept, settings: AnalyzeSettings, profile: PersonProfile | None, gated: Gated | None = None
    ) -> Answers:
        (found,) = self._answers([self._question(percept, settings, profile, Stopwatch(), gated)])
        if isinstance(found, Exception):
            raise found
        return found

    def _question(
        self,
        percept: Percept,
        settings: AnalyzeSettings,
        profile: PersonProfile | None,
        watch: Stopwatch,
        gated: Gated | None,
    ) -> LookedAt:
        present = present_inputs(percept, settings) if gated is None else gated.present
        given = read_clip(settings.features, file_name(percept.clip.clip)) if settings.features else {}
        encoded = {**self.encode(percept, present["audio"], watch, tuple(given)), **given}
        if profile is not None:
            encoded = without_own(encoded, profile.features, self.parts.population)
        return LookedAt(percept, settings, encoded, present, gated, watch)

    def _answers(self, clips: Sequence[LookedAt]) -> list[Answers | Exception]:
        """Ask the language model about several clips."""
        encoded: list[Encoded | Exception] = []
        with ExitStack() as timing:
            for clip in clips:
                try:
                    timing.enter_context(clip.watch.time("total"))
                    encoded.append(self._encoded(clip))
                except Exception as error:  # a fault with one clip must not cost the others theirs
                    encoded.append(error)
            scored = _in_place(encoded, score)
            written = _in_place(scored, write)
        return [
            one if isinstance(one, Exception) else self._complete(one, clip)
            for one, clip in zip(written, clips, strict=True)
        ]

    def _encoded(self, clip: LookedAt) -> Encoded:
        with clip.watch.time("load model"):
            reader = self.reader.in_layout(clip.settings.layout)
        groups = reader.model.config.groups
        features = for_model(clip.encoded, self.parts.heads, groups)
        there = [name for name, is_there in clip.present.items() if is_there]
        inputs = Inputs.of(features, clip.percept.transcript.text, there, groups)
        if clip.gated is not None:
            inputs = inputs.only(inputs.present)
        return Encoded(reader, self.calibration, clip.percept, inputs, clip.settings, clip.watch)

    def _complete(self, answers: Answers, clip: LookedAt) -> Answers:
        reasons = clip.gated.reasons if clip.gated is not None else {}
        return replace(answers, present=clip.present, trained=self.trained, released=self.parts.released, gated=reasons)


def _in_place(
    clips: Sequence[Given | Exception], work: Callable[[Sequence[Given]], Sequence[Made | Exception]]
) -> list[Made | Exception]:
    """Do the work on those that did not fail before."""
    made = iter(work([one for one in clips if not isinstance(one, Exception)]))
    return [one if isinstance(one, Exception) else next(made) for one in clips]


def without_own(encoded: Features, baseline: PersonBaseline, population: Features) -> Features:
    """Take off a person's own; of a face that does not move it is left on, which it made worse (docs/log.md)."""
    moved = baseline.recentred(encoded, population)
    still = MOVEMENT not in encoded
    return {name: encoded[name] if still and name in FACE_OUTPUTS else rows for name, rows in moved.items()}


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
    quantize: Quantize | None = None,
    compiled: bool = False,
) -> EmotionLlama:
    """Load a preset by name, or a checkpoint folder.

    `device` is auto, cpu, cuda or cuda:N; `dtype` auto, float32 or bfloat16. Encoders load on first use.
    `keep_features` keeps the slow encoders' outputs in the cache folder, by content of the recording. `quantize` (int8
    or int4) and `compiled`: texts are written faster; see `Numerics`. Raises `UsageError` for an unknown name or
    device, `ModelError` for a folder that is not a checkpoint.
    """
    numerics = Numerics.of(quantize, compiled)
    preset = load_preset(name, device=device, dtype=dtype, threads=threads, numerics=numerics)
    return EmotionLlama(replace(preset, keep_features=keep_features))
