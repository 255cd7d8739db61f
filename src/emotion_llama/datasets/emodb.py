"""EmoDB, the Berlin database of emotional speech: acted German sentences, labelled in their file names.

`03a01Fa.wav` is speaker 03, text a01, emotion F (Freude), version a. Source: Burkhardt, Paeschke, Rolfes, Sendlmeier &
Weiss (2005), A database of German emotional speech, Interspeech 2005, 1517–1520.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from emotion_llama.clip import Clip
from emotion_llama.datasets.listing import ListedFile, find_files
from emotion_llama.errors import ManifestError

SUFFIXES = (".wav", ".flac")
SPLIT = Path(__file__).with_name("emodb_split.json")
"""Who trains, validates and tests: the file that `read_split` reads."""
# sex and age in years as the set's own page gives them
SPEAKERS = {
    "E03": ("male", 31.0),
    "E08": ("female", 34.0),
    "E09": ("female", 21.0),
    "E10": ("male", 32.0),
    "E11": ("male", 26.0),
    "E12": ("male", 30.0),
    "E13": ("female", 32.0),
    "E14": ("female", 35.0),
    "E15": ("male", 25.0),
    "E16": ("female", 31.0),
}
# initials of the German words: Wut, Langeweile, Ekel, Angst, Freude, Trauer, neutral
EMOTIONS = {
    "W": "angry",
    "L": "bored",
    "E": "disgust",
    "A": "fearful",
    "F": "happy",
    "T": "sad",
    "N": "neutral",
}
SENTENCES = {
    "a01": "Der Lappen liegt auf dem Eisschrank.",
    "a02": "Das will sie am Mittwoch abgeben.",
    "a04": "Heute abend könnte ich es ihm sagen.",
    "a05": "Das schwarze Blatt Papier befindet sich da oben neben dem Holzstück.",
    "a07": "In sieben Stunden wird es soweit sein.",
    "b01": "Was sind denn das für Tüten, die da unter dem Tisch stehen?",
    "b02": "Sie haben es gerade hochgetragen und jetzt gehen sie wieder runter.",
    "b03": "An den Wochenenden bin ich jetzt immer nach Hause gefahren und habe Agnes besucht.",
    "b09": "Ich will das eben wegbringen und dann mit Karl was trinken gehen.",
    "b10": "Die wird auf dem Platz sein, wo wir sie immer hinlegen.",
}

_NAME = re.compile(r"(\d\d)([ab]\d\d)([A-Z])([a-z])")


@dataclass(frozen=True)
class EmodbName:
    """What a file name says; `speaker` as `E03`."""

    speaker: str
    text_code: str
    emotion: str
    version: str


def parse_name(stem: str) -> EmodbName:
    """Read a file name without its suffix. Raises `ManifestError` if it is not one of EmoDB's."""
    match = _NAME.fullmatch(stem)
    if match is None or match[2] not in SENTENCES or match[3] not in EMOTIONS:
        raise ManifestError(
            f"{stem!r}: expected an EmoDB name as 03a01Fa: speaker, text ({', '.join(SENTENCES)}), "
            f"emotion ({' '.join(EMOTIONS)}), version"
        )
    return EmodbName(f"E{match[1]}", match[2], EMOTIONS[match[3]], match[4])


def read_emodb(folder: Path) -> list[Clip]:
    """Read an EmoDB folder (`wav/` as published, or a `manifest.csv` that names the files).

    Gives clips with emotion (in the words of `emodb7`), speaker (`E03`) and the sentence as transcript. Where a
    manifest has a column `cut` that is not "no", the recording may stop before the sentence does: its transcript is
    `None`. Groups: sex, age, language, sentence, cut, and duration_s where a manifest has it. Raises `ManifestError` if
    nothing is found, a name is not EmoDB's, or a manifest contradicts a name.
    """
    clips = []
    for file in find_files(folder, SUFFIXES):
        name = parse_name(file.path.stem)
        file.check(emotion=name.emotion, actor=name.speaker)
        whole = file.columns.get("cut", "no") == "no"
        clips.append(
            Clip(
                clip=file.clip,
                path=file.path,
                transcript=SENTENCES[name.text_code] if whole else None,
                speaker=name.speaker,
                emotion=name.emotion,
                groups=_groups(name, file),
            )
        )
    return clips


def _groups(name: EmodbName, file: ListedFile) -> dict[str, str | float]:
    groups: dict[str, str | float] = {"language": "de", "sentence": SENTENCES[name.text_code]}
    if name.speaker in SPEAKERS:
        groups["sex"], groups["age"] = SPEAKERS[name.speaker]
    if "cut" in file.columns:
        groups["cut"] = file.columns["cut"]
    return groups | file.duration()
