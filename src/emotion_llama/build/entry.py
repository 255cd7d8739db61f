"""What a data set holds: one `Entry` a clip, or why the clip is not in it (`Rejected`).

An entry carries only what recordings and settings determine: building again gives the same bytes. Times, attempts and
machines stand in the journal.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from emotion_llama.clip import Clip, Record
from emotion_llama.errors import ManifestError, OutputError

ENTRIES = "entries.jsonl"
REJECTED = "rejected.jsonl"

Part = Literal["train", "validation", "test"]


class Source(Record):
    """Where a clip comes from. `sha256` of the recording (`None`: not at hand); what its owner and the person allow."""

    sha256: str | None = None
    licence: str | None = None
    consent: str | None = None


class Media(Record):
    """What the container holds. `frames` is the number of pictures in the span, 0 for sound alone."""

    duration_s: float
    width_px: int | None = None
    height_px: int | None = None
    frame_rate_hz: float | None = None
    frames: int = 0
    has_sound: bool = False


class Faces(Record):
    """The faces seen. `presence`: share of looked-at frames with the main face; its box (px) at its middle frame."""

    people: int
    frames_seen: int
    presence: float = Field(ge=0.0, le=1.0)
    box_px: tuple[float, float, float, float] | None = None


class Peak(Record):
    """The frame in which the face says most: number of the frame, time, the rule that chose it."""

    index: int
    time_s: float | None = None
    rule: str


class CoarseLabel(Record):
    """The label of one clip and what speaks for it.

    `scores`: every emotion of the rule table → how far its action units fire (0–5). `fired`: those that do, strongest
    first. `pseudo_label` is an opinion from elsewhere (`pseudo_source`). `rule_agrees`: the label's own rule fires;
    `None` = the table has none for it.
    """

    emotion: str
    scores: dict[str, float] = {}
    fired: tuple[str, ...] = ()
    pseudo_label: str | None = None
    pseudo_source: str | None = None
    rule_agrees: bool | None = None


class Written(Record):
    """A text and who wrote it: "composer-1" (no language model), "measured", a model's name, "human:NAME", "given"."""

    text: str
    writer: str
    prompt_version: str | None = None


class Check(Record):
    """A reason held against the measurements. `concluded`: the emotion that the text ends with."""

    concluded: str | None = None
    supported: int = 0
    contradicted: int = 0
    unverifiable: int = 0
    notes: tuple[str, ...] = ()


class StepMark(Record):
    """One step that made this entry: name, version, the models it used, a hash of its settings."""

    step: str
    version: str
    settings_sha256: str
    models: tuple[str, ...] = ()


class Entry(Record):
    """One clip of a data set.

    `clip` holds identity, span, speaker, transcript, observations, emotion and final reasoning; its path is relative to
    the data set's folder, or absolute. `action_units`: intensity 0–5 at the peak frame, by name ("AU04", "AU12").
    `units_seen`: units active anywhere. `face_phrases`, `scene`, `voice`: what the coarse text is made of. `part`:
    which side.
    """

    clip: Clip
    source: Source = Source()
    media: Media | None = None
    faces: Faces | None = None
    action_units: dict[str, float] = {}
    units_seen: tuple[str, ...] = ()
    peak: Peak | None = None
    coarse: CoarseLabel | None = None
    face_phrases: tuple[str, ...] = ()
    scene: Written | None = None
    voice: Written | None = None
    coarse_text: Written | None = None
    fine_text: Written | None = None
    check: Check | None = None
    part: Part | None = None
    steps: tuple[StepMark, ...] = ()

    @property
    def name(self) -> str:
        """The clip's identity."""
        return self.clip.clip


class Rejected(Record):
    """A clip that is not in the data set: the step that decided, and why in words."""

    clip: str
    step: str
    reason: str


def read_entries(dataset: Path) -> Iterator[Entry]:
    """Read the entries of a data set one by one. Raises `ManifestError` with file and line for a damaged one."""
    for where, line in _lines(dataset / ENTRIES):
        try:
            yield Entry.model_validate_json(line)
        except ValidationError as error:
            raise ManifestError(f"{where}: not an entry of a data set ({error.errors()[0]['msg']})") from error


def read_rejected(dataset: Path) -> Iterator[Rejected]:
    """Read why clips are not in a data set. Raises `ManifestError` with file and line for a damaged line."""
    for where, line in _lines(dataset / REJECTED):
        try:
            yield Rejected.model_validate_json(line)
        except ValidationError as error:
            raise ManifestError(f"{where}: not a rejection ({error.errors()[0]['msg']})") from error


def write_lines(records: Iterable[Record], path: Path) -> int:
    """Write one JSON object a line, whole or not at all, and give their number. Raises `OutputError`."""
    part = path.with_name(f".{path.name}.part")
    count = 0
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("w", encoding="utf-8", newline="\n") as file:
            for record in records:
                row = record.model_dump(mode="json", exclude_defaults=True)
                file.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")
                count += 1
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise OutputError(f"{path}: cannot be written ({error}); make room or choose another folder") from error
    return count


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield f"{path}:{number}", line
    except FileNotFoundError:
        raise ManifestError(
            f"{path}: no such file; is {path.parent} a data set made by `emotion-llama build`?"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestError(f"{path}: cannot be read ({error})") from error
