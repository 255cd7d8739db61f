"""One level of one condition: the damaged items, and the file its answers are kept in."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from emotion_llama.analyze.writers import write_text
from emotion_llama.errors import ManifestError
from emotion_llama.evaluate.records import Item, Prediction
from emotion_llama.evaluate.robustness.conditions import Condition, Level, corruption
from emotion_llama.evaluate.robustness.corrupt.picture import FindFace
from emotion_llama.evaluate.robustness.corrupt.seed import clip_seed
from emotion_llama.evaluate.robustness.corrupt.words import asr_errors
from emotion_llama.evaluate.robustness.corrupt.write import corrupt_recording
from emotion_llama.evaluate.suite import Part


@dataclass(frozen=True)
class Damage:
    """One level of one condition, and what making it needs: a seed, words to mishear, a face detector."""

    condition: Condition
    level: Level
    seed: int
    words: tuple[str, ...] = ()
    find_face: FindFace | None = None


@dataclass
class LevelAnswers:
    """What came back at one level, by the item's place: its prediction, or why it could not be damaged."""

    predictions: dict[int, Prediction | None] = field(default_factory=dict)
    left_out: dict[int, str] = field(default_factory=dict)
    notes: dict[int, tuple[str, ...]] = field(default_factory=dict)


def damaged_item(item: Item, damage: Damage, media: Path, stem: str, notes: list[str]) -> Item:
    """Give the item with its recording or transcript damaged; a new recording is written into `media` as `stem`.

    Ways of asking damage nothing. Raises `MediaError` where the clip does not allow it, `OutputError` when the
    recording cannot be written.
    """
    condition, clip = damage.condition, item.clip
    if condition.damages == "asking":
        return item
    if condition.damages == "words":
        rate = float(damage.level) / 100
        seed = clip_seed(damage.seed, clip.clip, condition.name)
        heard = asr_errors(clip.transcript or "", rate, seed, damage.words)
        return item.model_copy(update={"clip": clip.model_copy(update={"transcript": heard})})
    copy = corrupt_recording(
        clip,
        corruption(condition, damage.level, damage.seed),
        media,
        stem=stem,
        find_face=damage.find_face,
        notes=notes,
    )
    return item.model_copy(update={"clip": copy})


def face_finder() -> FindFace | None:
    """The package's own face detector, or `None` where its weights were not fetched."""
    from emotion_llama import assets
    from emotion_llama.errors import AssetMissingError
    from emotion_llama.perception.faces import FaceDetector

    try:
        detector = FaceDetector(assets.path("blazeface-short-range"))
    except AssetMissingError:
        return None

    def find(rgb: Any) -> tuple[float, float, float, float] | None:
        faces = detector.detect(rgb)
        if not faces:
            return None
        x0, y0, x1, y1 = (float(edge) for edge in faces[0].corners_px)
        return x0, y0, x1, y1

    return find


def write_level(path: Path, heading: dict[str, str], part: Part, found: LevelAnswers) -> None:
    """Keep the answers of one level: the heading, then a line a clip. Raises `OutputError`."""
    lines: list[dict[str, Any]] = [heading]
    for place, prediction in found.predictions.items():
        row: dict[str, Any] = {"place": place, "clip": part.items[place].clip.clip}
        if place in found.notes:
            row["notes"] = found.notes[place]
        if prediction is not None:
            row["prediction"] = prediction.model_dump(mode="json", exclude_defaults=True)
        lines.append(row)
    lines += [
        {"place": place, "clip": part.items[place].clip.clip, "left_out": why} for place, why in found.left_out.items()
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text("".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in lines), path)


def read_level(path: Path, key: str) -> LevelAnswers | None:
    """Read what `write_level` kept; `None` where nothing was kept or something else was asked.

    Raises `ManifestError` naming the line of a file that was changed since.
    """
    if not path.exists():
        return None
    found = LevelAnswers()
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            try:
                row = json.loads(line)
                if number == 1:
                    if row["key"] != key:
                        return None
                else:
                    _take(row, found)
            except (ValueError, KeyError, TypeError, ValidationError) as error:
                raise ManifestError(
                    f"{path}:{number}: expected one kept answer as JSON, found {error!r}; remove the file to ask again"
                ) from error
    return found


def _take(row: dict[str, Any], found: LevelAnswers) -> None:
    place = int(row["place"])
    if "left_out" in row:
        found.left_out[place] = str(row["left_out"])
        return
    given = row.get("prediction")
    found.predictions[place] = None if given is None else Prediction.model_validate(given)
    if "notes" in row:
        found.notes[place] = tuple(row["notes"])


def clip_notes(part: Part, answers: Sequence[LevelAnswers]) -> tuple[str, ...]:
    """What was noted about damaged copies, in one line: how many, and the first."""
    noted = {place: notes for one in answers for place, notes in one.notes.items()}
    if not noted:
        return ()
    place, notes = min(noted.items())
    return (f"{len(noted)} of {len(part.items)} clips: for instance {part.items[place].clip.clip}: {'; '.join(notes)}",)
