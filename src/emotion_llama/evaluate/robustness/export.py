"""Damaged recordings for other systems to answer, and the scoring of what they answered.

    OUT/conditions.json                             what was made
    OUT/<part>/clean/manifest.jsonl                 the undamaged clips
    OUT/<part>/<condition>-<level>/manifest.jsonl   the damaged ones, with their recordings beside it
    …/predictions.jsonl or predictions.csv          to be put there: one line for each clip of the manifest beside it

Conditions that change how a model is asked (missing inputs, label order, wording) cannot be exported. The manifests
hold what may be known: the recording, and the transcript where the suite gives it; never the truth.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pydantic import ValidationError

from emotion_llama.analyze.writers import write_text
from emotion_llama.clip import Clip, Record
from emotion_llama.errors import ManifestError, MediaError, UsageError
from emotion_llama.evaluate.asking import blind, file_name
from emotion_llama.evaluate.matching import index, match
from emotion_llama.evaluate.predictions import read_predictions
from emotion_llama.evaluate.records import Prediction, Problem
from emotion_llama.evaluate.robustness.conditions import CONDITIONS, Condition, Level, level_name
from emotion_llama.evaluate.robustness.corrupt.picture import FindFace
from emotion_llama.evaluate.robustness.corrupt.words import vocabulary
from emotion_llama.evaluate.robustness.curve import ConditionScore, RobustnessReport, ScorePart, Sweep, score_sweep
from emotion_llama.evaluate.robustness.levels import Damage, damaged_item
from emotion_llama.evaluate.robustness.looks import fitting, look, problem
from emotion_llama.evaluate.robustness.sweeps import CLEAN, report_notes
from emotion_llama.evaluate.suite import Part, ScoreSettings
from emotion_llama.manifest import write_manifest

INDEX = "conditions.json"
MANIFEST = "manifest.jsonl"
PREDICTIONS = ("predictions.jsonl", "predictions.csv")
FORMAT = "1"


class ExportedLevel(Record):
    """One folder of damaged clips: `clips` are in its manifest, `left_out` could not be damaged."""

    part: str
    condition: str
    level: str
    folder: str
    clips: tuple[str, ...]
    left_out: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()


class Exported(Record):
    """`conditions.json`. Written last: where it stands, the export is whole."""

    format_version: str = FORMAT
    seed: int
    levels: tuple[ExportedLevel, ...]


def export_corrupted(
    parts: Sequence[Part],
    conditions: Sequence[Condition],
    out: Path,
    *,
    words: str = "none",
    seed: int = 0,
    find_face: FindFace | None = None,
) -> Exported:
    """Write damaged recordings and a manifest for every level of `conditions`, and one for the clean clips.

    `words` "given": manifests carry the transcripts; those of recognition errors always do. Raises `UsageError` when
    none of the conditions can be exported, `OutputError` when files cannot be written.
    """
    wanted = [condition for condition in conditions if condition.damages != "asking"]
    if not wanted:
        raise UsageError("nothing to export: missing, label-order and phrasing change the asking, not the recordings")
    levels: list[ExportedLevel] = []
    for part in parts:
        levels.append(_clean(part, out, words))
        looks = [look(item.clip) for item in part.items]
        for condition in wanted:
            places, problems = fitting(condition, part, looks)
            every = ((condition.undamaged or 0.0),) if condition.damages == "words" else ()
            for level in (*every, *condition.levels) if places else ():
                damage = Damage(condition, level, seed, _vocabulary(condition, part), find_face)
                levels.append(_level(part, damage, places, problems, out, words))
    exported = Exported(seed=seed, levels=tuple(levels))
    write_text(exported.model_dump_json(indent=2) + "\n", out / INDEX)
    return exported


def _vocabulary(condition: Condition, part: Part) -> tuple[str, ...]:
    return vocabulary(item.clip.transcript for item in part.items) if condition.damages == "words" else ()


def _clean(part: Part, out: Path, words: str) -> ExportedLevel:
    folder = f"{file_name(part.name)}/{CLEAN}"
    clips = [blind(item.clip, words) for item in part.items]
    write_manifest(clips, out / folder / MANIFEST)
    return ExportedLevel(
        part=part.name, condition=CLEAN, level="", folder=folder, clips=tuple(clip.clip for clip in clips)
    )


def _level(
    part: Part, damage: Damage, places: Sequence[int], problems: Sequence[Problem], out: Path, words: str
) -> ExportedLevel:
    condition = damage.condition
    folder = f"{file_name(part.name)}/{condition.name}-{level_name(damage.level)}"
    clips: list[Clip] = []
    left_out, notes = list(problems), []
    for place in places:
        item = part.items[place]
        said: list[str] = []
        try:
            damaged = damaged_item(item, damage, out / folder, f"{place:06d}", said)
            clips.append(blind(damaged.clip, "given" if condition.damages == "words" else words))
        except MediaError as error:
            left_out.append(problem(item, str(error)))
        notes += [f"{item.clip.clip}: {note}" for note in said]
    if clips:
        write_manifest(clips, out / folder / MANIFEST)
    return ExportedLevel(
        part=part.name,
        condition=condition.name,
        level=level_name(damage.level),
        folder=folder,
        clips=tuple(clip.clip for clip in clips),
        left_out=tuple(left_out),
        notes=tuple(notes),
    )


def read_exported(out: Path) -> Exported:
    """Read what an export made. Raises `ManifestError` for a folder that holds no whole export."""
    path = out / INDEX
    try:
        return Exported.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, ValidationError) as error:
        raise ManifestError(
            f"{path}: expected the list of an export of damaged recordings, found {error}; export them again"
        ) from error


def score_exported(
    parts: Sequence[Part],
    out: Path,
    score: ScorePart,
    settings: ScoreSettings | None = None,
    clean: Mapping[str, Sequence[Prediction | None]] | None = None,
) -> RobustnessReport:
    """Score the predictions that were put beside an export's manifests.

    `clean`: part name → answers to the undamaged clips, where they are known already; else they lie beside the clean
    manifest.
    A condition of which a level has no predictions is named as not applicable with the file that is missing; a clip
    without a prediction counts as missing, like everywhere. Raises `ManifestError` when the clean predictions of a part
    are missing or a file cannot be read.
    """
    exported = read_exported(out)
    settings = settings or ScoreSettings()
    scores: list[ConditionScore] = []
    for part in parts:
        levels = {(one.condition, one.level): one for one in exported.levels if one.part == part.name}
        if (CLEAN, "") not in levels:
            raise ManifestError(f"{out / INDEX}: part {part.name!r} was not exported; export it, or leave it out")
        answered = (clean or {}).get(part.name) or _answers(part, levels[CLEAN, ""], out)
        metric = score(part, answered).headline[0]
        for condition in CONDITIONS:
            made = [one for (name, _), one in levels.items() if name == condition.name]
            if made:
                scores.append(_condition(part, condition, made, answered, metric, (out, score, settings)))
    return RobustnessReport(seed=exported.seed, conditions=tuple(scores), notes=report_notes(scores))


def _condition(
    part: Part,
    condition: Condition,
    made: Sequence[ExportedLevel],
    clean: Sequence[Prediction | None],
    metric: str,
    scoring: tuple[Path, ScorePart, ScoreSettings],
) -> ConditionScore:
    out, score, settings = scoring
    kept = set(made[0].clips).intersection(*(one.clips for one in made))
    problems = {one.clip: one for level in made for one in level.left_out}
    missing = [str(out / one.folder / PREDICTIONS[0]) for one in made if _file(one, out) is None]
    if missing or not kept:
        why = f"there are no predictions at {', '.join(missing)}" if missing else "no clip could be damaged"
        return ConditionScore(
            condition=condition.name, title=condition.title, part=part.name, unit=condition.unit, metric=metric,
            left_out=tuple(problems.values()), not_applicable=why,
        )  # fmt: skip
    answers = {one.level: _answers(part, one, out) for one in made}
    undamaged = level_name(condition.undamaged) if condition.undamaged is not None else None
    clean = answers.pop(undamaged, clean) if undamaged is not None else clean
    places = [place for place, item in enumerate(part.items) if item.clip.clip in kept]
    levels: tuple[Level, ...] = tuple(level for level in condition.levels if level_name(level) in answers)
    chosen = tuple([answers[level_name(level)][place] for place in places] for level in levels)
    sweep = Sweep(condition, levels, [clean[place] for place in places], chosen, metric)
    found = score_sweep(replace(part, items=tuple(part.items[place] for place in places)), sweep, score, settings)
    notes = tuple(dict.fromkeys(note for one in made for note in one.notes[:1]))
    return found.model_copy(update={"left_out": tuple(problems.values()), "notes": notes})


def _file(level: ExportedLevel, out: Path) -> Path | None:
    return next((path for name in PREDICTIONS if (path := out / level.folder / name).is_file()), None)


def _answers(part: Part, level: ExportedLevel, out: Path) -> list[Prediction | None]:
    path = _file(level, out)
    if path is None:
        raise ManifestError(
            f"{out / level.folder / PREDICTIONS[0]}: expected predictions for the manifest beside it, found no file; "
            "let the system answer that manifest first"
        )
    return match(part.items, index(read_predictions(path)), part.labels).predictions
