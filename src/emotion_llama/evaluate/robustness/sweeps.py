"""The robustness suite: the same clips, damaged more and more, asked again.

Each level's answers lie in `OUT/robustness/[<part>/]<condition>-<level>.jsonl`; its first line holds a key of all that
was asked. A second run reads finished levels and asks the others. Damaged recordings are made in batches and removed
once they were answered.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from emotion_llama.errors import MediaError, UsageError
from emotion_llama.evaluate.asking import file_name
from emotion_llama.evaluate.records import Item, Prediction, Problem
from emotion_llama.evaluate.robustness.conditions import Condition, Level, changes, level_name
from emotion_llama.evaluate.robustness.corrupt.picture import FindFace
from emotion_llama.evaluate.robustness.corrupt.words import vocabulary
from emotion_llama.evaluate.robustness.curve import ConditionScore, RobustnessReport, ScorePart, Sweep, score_sweep
from emotion_llama.evaluate.robustness.levels import (
    Damage,
    LevelAnswers,
    clip_notes,
    damaged_item,
    read_level,
    write_level,
)
from emotion_llama.evaluate.robustness.looks import Look, fitting, levels_for, look, problem
from emotion_llama.evaluate.suite import Part, ScoreSettings

FOLDER = "robustness"
CLEAN = "clean"
STEP_VERSION = "1"
"""Changes when a damage changes: answers of earlier versions are asked again."""

Answer = Callable[[Sequence[Item], dict[str, Any]], Sequence[Prediction | None]]
"""(items, what is different about the asking: see `conditions.changes`) → their predictions, in the same order.

The items of different levels have the same clip names, so nothing may be kept by name between two calls.
"""


def _silent(condition: str, level: str, done: int, total: int) -> None:
    pass


@dataclass(frozen=True)
class RobustnessOptions:
    """How a robustness run is done.

    `system` names what answers (model and weights): answers of another one are not taken up again. `clean`: part name →
    answers to the undamaged items, where they are known already. `keep`: damaged recordings stay under
    `OUT/robustness/media`. `batch` clips are damaged, asked and removed at a time. `find_face` is for the occlusions
    (see `levels.face_finder`). `progress` hears (condition, level, clips done, clips in all).
    """

    settings: ScoreSettings = field(default_factory=ScoreSettings)
    system: str = ""
    seed: int = 0
    clean: Mapping[str, Sequence[Prediction | None]] = field(default_factory=dict)
    keep: bool = False
    batch: int = 32
    find_face: FindFace | None = None
    progress: Callable[[str, str, int, int], None] = _silent


def run_robustness(
    parts: Sequence[Part],
    conditions: Sequence[Condition],
    answer: Answer,
    score: ScorePart,
    out: Path,
    options: RobustnessOptions | None = None,
) -> RobustnessReport:
    """Damage, ask and score every condition of every part.

    A condition that a part's clips do not allow is in the report with the reason, and so is every clip that had to be
    left out. Raises what `answer` and `score` raise, `UsageError` for answers that do not fit the items, `OutputError`
    when files cannot be written.
    """
    options = options or RobustnessOptions()
    scores = []
    for part in parts:
        folder = out / FOLDER / file_name(part.name) if len(parts) > 1 else out / FOLDER
        run = _PartRun(part, [look(item.clip) for item in part.items], answer, folder, options)
        clean = options.clean.get(part.name) or run.clean()
        _check_count(part.name, len(part.items), clean)
        metric = score(part, clean).headline[0]
        scores += [run.condition(condition, clean, metric, score) for condition in conditions]
    return RobustnessReport(seed=options.seed, conditions=tuple(scores), notes=report_notes(scores))


def report_notes(scores: Sequence[ConditionScore]) -> tuple[str, ...]:
    """What a reader of the report must know about the conditions in it."""
    applied = {one.condition for one in scores if one.not_applicable is None}
    notes = []
    if applied & {"snr-babble", "snr-music"}:
        notes.append("Babble and music are synthetic: computed, not recorded.")
    if any(name.startswith("snr-") for name in applied):
        notes.append("Signal-to-noise ratios are against the level of the active speech, not of the whole clip.")
    if "mp3" in applied:
        notes.append("MP3 is coded from the 16 kHz mono sound that speech encoders hear.")
    if "missing" in applied:
        notes.append("Levels of missing input name what was left out.")
    return tuple(notes)


def _check_count(part: str, asked: int, answers: Sequence[Prediction | None]) -> None:
    if len(answers) != asked:
        raise UsageError(f"part {part}: expected one answer for each of {asked} clips, found {len(answers)}")


@dataclass(frozen=True)
class _PartRun:
    """One part and what answers about it."""

    part: Part
    looks: Sequence[Look]
    answer: Answer
    folder: Path
    options: RobustnessOptions

    def clean(self) -> list[Prediction | None]:
        """Answers to the undamaged items."""
        places = range(len(self.part.items))
        found = self._level(None, CLEAN, places)
        return [found.predictions[place] for place in places]

    def condition(
        self, condition: Condition, clean: Sequence[Prediction | None], metric: str, score: ScorePart
    ) -> ConditionScore:
        """Ask all levels of one condition and score the clips that could be damaged at each of them."""
        places, problems = fitting(condition, self.part, self.looks)
        levels = levels_for(condition, [self.looks[place] for place in places])
        if not places or not levels:
            return self._not_applicable(condition, metric, problems)
        answers = [self._level(condition, level, places) for level in levels]
        if condition.damages == "words":
            undamaged = self._level(condition, condition.undamaged or 0.0, places).predictions
            clean = [undamaged.get(place) for place in range(len(self.part.items))]
        failed = {place: why for one in answers for place, why in one.left_out.items()}
        problems += [problem(self.part.items[place], why) for place, why in sorted(failed.items())]
        kept = [place for place in places if place not in failed]
        if not kept:
            return self._not_applicable(condition, metric, problems)
        chosen = tuple([one.predictions[place] for place in kept] for one in answers)
        sweep = Sweep(condition, levels, [clean[place] for place in kept], chosen, metric)
        part = replace(self.part, items=tuple(self.part.items[place] for place in kept))
        found = score_sweep(part, sweep, score, self.options.settings)
        return found.model_copy(update={"left_out": tuple(problems), "notes": clip_notes(self.part, answers)})

    def _not_applicable(self, condition: Condition, metric: str, problems: Sequence[Problem]) -> ConditionScore:
        why = "its clips have no two inputs in common, of which one could be left out"
        if problems:
            why = f"none of its {len(self.part.items)} clips allows it; the first: {problems[0].message}"
        return ConditionScore(
            condition=condition.name,
            title=condition.title,
            part=self.part.name,
            unit=condition.unit,
            metric=metric,
            left_out=tuple(one for one in problems if one.kind == "unreadable"),
            not_applicable=why,
        )

    def _level(self, condition: Condition | None, level: Level, places: Sequence[int]) -> LevelAnswers:
        """Answers at one level (`condition` `None`: the clean run), from an earlier run's file or asked now."""
        name, text = (CLEAN, "") if condition is None else (condition.name, level_name(level))
        path = self.folder / f"{name}-{text}.jsonl" if text else self.folder / f"{name}.jsonl"
        key = self._key(name, text, places)
        found = read_level(path, key)
        if found is None:
            found = self._asked(condition, level, places)
            write_level(path, {"key": key, "condition": name, "level": text, "part": self.part.name}, self.part, found)
        self.options.progress(name, text, len(places), len(places))
        return found

    def _key(self, name: str, level: str, places: Sequence[int]) -> str:
        """Hash of everything the answers follow from, but for the model's own code."""
        clips = [self.part.items[place].clip for place in places]
        asked = [
            [place, clip.clip, self.looks[place].sha256, clip.start_s, clip.end_s, clip.transcript]
            for place, clip in zip(places, clips, strict=True)
        ]
        options = self.options
        has_face = options.find_face is not None
        record = [STEP_VERSION, name, level, options.seed, options.system, has_face, list(self.part.labels), asked]
        return hashlib.sha256(json.dumps(record).encode()).hexdigest()

    def _asked(self, condition: Condition | None, level: Level, places: Sequence[int]) -> LevelAnswers:
        name, text = (CLEAN, "") if condition is None else (condition.name, level_name(level))
        asked = changes(condition, level, self.part.labels, self.options.seed)
        found = LevelAnswers()
        for first in range(0, len(places), self.options.batch):
            batch = places[first : first + self.options.batch]
            with self._media(name, text) as media:
                items = self._items(condition, level, batch, media, found)
                answers = self.answer(list(items.values()), dict(asked)) if items else []
            _check_count(self.part.name, len(items), answers)
            found.predictions.update(zip(items, answers, strict=True))
            self.options.progress(name, text, first + len(batch), len(places))
        return found

    def _items(
        self, condition: Condition | None, level: Level, batch: Sequence[int], media: Path, found: LevelAnswers
    ) -> dict[int, Item]:
        """The damaged items of a batch by their places; what cannot be damaged goes into `found.left_out`."""
        if condition is None:
            return {place: self.part.items[place] for place in batch}
        words = vocabulary(item.clip.transcript for item in self.part.items) if condition.damages == "words" else ()
        damage = Damage(condition, level, self.options.seed, words, self.options.find_face)
        items = {}
        for place in batch:
            notes: list[str] = []
            try:
                items[place] = damaged_item(self.part.items[place], damage, media, f"{place:06d}", notes)
            except MediaError as error:
                found.left_out[place] = str(error)
            if notes:
                found.notes[place] = tuple(notes)
        return items

    @contextmanager
    def _media(self, name: str, level: str) -> Iterator[Path]:
        """A folder for damaged recordings: one that stays, or one that is gone afterwards."""
        if self.options.keep:
            yield self.folder / "media" / f"{name}-{level}"
            return
        folder = Path(tempfile.mkdtemp(prefix="emotion-llama-damaged-"))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
