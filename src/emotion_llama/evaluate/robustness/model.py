"""Robustness of a model, or of another system that answered exported recordings, for `emotion-llama evaluate`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from emotion_llama.clip import MODALITIES, Analysis
from emotion_llama.errors import AssetError, EmotionLlamaError, UsageError
from emotion_llama.evaluate.asking import Ask, blind, settings_for
from emotion_llama.evaluate.matching import index, match
from emotion_llama.evaluate.predictions import Answers
from emotion_llama.evaluate.records import Item, Prediction, Scored
from emotion_llama.evaluate.robustness.conditions import Condition, parse_conditions
from emotion_llama.evaluate.robustness.corrupt.picture import FindFace
from emotion_llama.evaluate.robustness.curve import RobustnessReport, ScorePart
from emotion_llama.evaluate.robustness.export import INDEX, Exported, export_corrupted, score_exported
from emotion_llama.evaluate.robustness.levels import face_finder
from emotion_llama.evaluate.robustness.sweeps import RobustnessOptions, run_robustness
from emotion_llama.evaluate.suite import Part, ScoreSettings, Suite

if TYPE_CHECKING:
    from emotion_llama.analyze.analyzer import EmotionLlama

CALIBRATION_DRAWS = 200
"""Draws of the scores that the suite's own scorer gives a level; the curve's intervals use the report's draws."""


@dataclass(frozen=True)
class ModelAnswers:
    """Asks one loaded model about damaged items what the suite asks; what it cannot analyse has no answer.

    Further tasks of `ask` are left out: they cost time and change no score of a curve.
    """

    model: EmotionLlama
    suite: Suite
    ask: Ask

    def __call__(self, items: Sequence[Item], changes: Mapping[str, Any]) -> list[Prediction | None]:
        """Give one prediction an item, in their order."""
        changed = dict(changes)
        labels = tuple(changed.pop("labels"))
        words = changed.pop("words", None) or self.ask.words or self.suite.words
        left_out = {*self.ask.without, *changed.pop("without", ())}
        without = tuple(name for name in MODALITIES if name in left_out)
        ask = replace(self.ask, words=words, without=without, tasks=self.suite.tasks)
        settings = settings_for(self.suite, labels, ask, **changed)
        found = []
        for item in items:
            try:
                analysis: Analysis = self.model.examine(blind(item.clip, words), settings).analysis
            except AssetError:
                raise
            except EmotionLlamaError as error:
                found.append(Prediction(clip=item.clip.clip, error=str(error)))
            else:
                found.append(Prediction.model_validate(analysis.model_dump(mode="json")))
        return match(items, index(Answers(tuple(found))), labels).predictions


def model_robustness(
    suite: Suite,
    answered: Sequence[tuple[Part, Sequence[Prediction | None]]],
    conditions: str,
    ask: Ask,
    out: Path,
    settings: ScoreSettings,
) -> RobustnessReport:
    """Damage the recordings of every part, ask the model again, and score the curves. Answers are kept and resumed.

    Raises `UsageError` for unknown conditions, or `missing` where inputs are left out anyway.
    """
    chosen = parse_conditions(conditions)
    if ask.without and any(one.name == "missing" for one in chosen):
        names = ",".join(one.name for one in chosen if one.name != "missing")
        raise UsageError(f"robustness: missing leaves inputs out in turn, --without always; drop one of them ({names})")
    from emotion_llama.analyze.analyzer import load
    from emotion_llama.model.checkpoint import adapter_sha256

    # features of damaged recordings are of no use to anyone later
    model = load(ask.model, device=ask.device, keep_features=False)
    with _bar() as progress:
        bars: dict[str, TaskID] = {}

        def advance(condition: str, level: str, done: int, total: int) -> None:
            name = f"{condition} {level}"
            if name not in bars:
                bars[name] = progress.add_task(name, total=total)
            progress.update(bars[name], completed=done, visible=done < total)

        options = RobustnessOptions(
            settings=settings,
            system=f"{adapter_sha256(model.preset.folder)} {replace(ask, jobs=1, tasks=None)}",
            seed=settings.seed,
            clean={part.name: predictions for part, predictions in answered},
            find_face=_finder(chosen),
            progress=advance,
        )
        parts = [part for part, _ in answered]
        return run_robustness(parts, chosen, ModelAnswers(model, suite, ask), scorer(settings), out, options)


def exported_robustness(
    answered: Sequence[tuple[Part, Sequence[Prediction | None]]], folder: Path, settings: ScoreSettings
) -> RobustnessReport:
    """Score what another system answered about exported recordings, beside its answers to the undamaged ones.

    Raises `UsageError` for a folder without an export.
    """
    if not (folder / INDEX).is_file():
        raise UsageError(f"{folder}: no exported recordings; export them first (leave --predictions out)")
    clean = {part.name: predictions for part, predictions in answered}
    return score_exported([part for part, _ in answered], folder, scorer(settings), settings, clean)


def export(suite: Suite, parts: Sequence[Part], conditions: str, folder: Path, seed: int) -> Exported:
    """Write damaged recordings for other systems to answer."""
    chosen = parse_conditions(conditions or "all")
    words = "given" if suite.words == "given" else "none"
    recordings = [one for one in chosen if one.damages != "asking"]
    return export_corrupted(parts, recordings, folder, words=words, seed=seed, find_face=_finder(recordings))


def _finder(conditions: Sequence[Condition]) -> FindFace | None:
    """Load the face detector only for conditions that need one."""
    return face_finder() if any(one.name.startswith("occlusion") for one in conditions) else None


def scorer(settings: ScoreSettings) -> ScorePart:
    """Give the function that scores one level: the part's own scorer with few draws."""
    quick = replace(settings, draws=min(settings.draws, CALIBRATION_DRAWS), validation=None)

    def score(part: Part, predictions: Sequence[Prediction | None]) -> Scored:
        return part.score(part.items, predictions, part.labels, quick)

    return score


def _bar() -> Progress:
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
        console=console, disable=not console.is_terminal,
    )  # fmt: skip
