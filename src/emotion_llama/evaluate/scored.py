"""`scored.jsonl`: truth and answer of every clip of a run, so that runs can be compared without the data set."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from emotion_llama.analyze.writers import write_text
from emotion_llama.clip import Clip, Record
from emotion_llama.errors import ManifestError
from emotion_llama.evaluate.records import Item, Prediction
from emotion_llama.evaluate.suite import Part

SCORED = "scored.jsonl"
PREDICTIONS = "predictions.jsonl"


class ScoredClip(Record):
    """One clip of a run as it was scored: the truth, and the answer in the words of the label set."""

    part: str
    clip: str
    speaker: str | None = None
    emotion: str | None = None
    labels: tuple[str, ...] | None = None
    valence: float | None = None
    answered: bool
    answer: str | None = None
    answer_labels: tuple[str, ...] | None = None
    answer_valence: float | None = None
    said: str | None = None
    probabilities: dict[str, float] | None = None


def write_scored(parts: Sequence[tuple[Part, Sequence[Prediction | None]]], path: Path) -> None:
    """Write one line a clip. Raises `OutputError` naming the path."""
    lines = []
    for part, predictions in parts:
        for item, prediction in zip(part.items, predictions, strict=True):
            row = _row(part, item, prediction).model_dump(exclude_none=True)
            lines.append(json.dumps(row, ensure_ascii=False) + "\n")
    write_text("".join(lines), path)


def write_predictions(answered: Sequence[Sequence[Prediction | None]], path: Path) -> None:
    """Write the answers that were scored, one line a clip, with the prompt and the raw answer where they were given."""
    lines = [
        json.dumps(prediction.model_dump(mode="json", exclude_defaults=True), ensure_ascii=False) + "\n"
        for predictions in answered
        for prediction in predictions
        if prediction is not None
    ]
    write_text("".join(lines), path)


def read_scored(path: Path) -> list[ScoredClip]:
    """Read it back. Raises `ManifestError` naming the file and line."""
    found = []
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ManifestError(f"{path}: expected the scored clips of an evaluation ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise ManifestError(f"{path}: expected UTF-8 text ({error}); run evaluate again") from error
    # not str.splitlines: that would also split at the line separators JSON allows inside a name
    for number, line in enumerate(text.removesuffix("\n").split("\n"), start=1):
        try:
            found.append(ScoredClip.model_validate_json(line))
        except ValidationError as error:
            what = error.errors()[0]["msg"]
            raise ManifestError(f"{path}:{number}: not a scored clip: {what}; run evaluate again") from error
    return found


def as_item(row: ScoredClip) -> Item:
    """Give the truth of a scored clip as an item."""
    clip = Clip(clip=row.clip, speaker=row.speaker, emotion=row.emotion, labels=row.labels, valence=row.valence)
    return Item(clip=clip)


def as_prediction(row: ScoredClip) -> Prediction | None:
    """Give the answer of a scored clip; `None` if it had none."""
    if not row.answered:
        return None
    return Prediction(
        clip=row.clip,
        emotion=row.answer,
        labels=row.answer_labels,
        valence=row.answer_valence,
        probabilities=row.probabilities,
        said=row.said,
    )


def _row(part: Part, item: Item, prediction: Prediction | None) -> ScoredClip:
    clip = item.clip
    return ScoredClip(
        part=part.name,
        clip=clip.clip,
        speaker=clip.speaker,
        emotion=clip.emotion,
        labels=clip.labels,
        valence=clip.valence,
        answered=prediction is not None,
        answer=prediction.emotion if prediction else None,
        answer_labels=prediction.labels if prediction else None,
        answer_valence=prediction.valence if prediction else None,
        said=prediction.said if prediction else None,
        probabilities=prediction.probabilities if prediction else None,
    )
