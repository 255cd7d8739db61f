"""MELD: utterances of a television series, with who speaks, the words, and optionally the clips.

Tables `train_sent_emo.csv`, `dev_sent_emo.csv`, `test_sent_emo.csv`; clips `dia{D}_utt{U}.mp4` in one folder a side.
The same number occurs in all three sides, so a clip is `test/dia0_utt0`. Source: Poria et al. (2019), MELD: a
multimodal multi-party dataset for emotion recognition in conversations, ACL 2019, 527–536.
"""

from __future__ import annotations

import re
from pathlib import Path

from emotion_llama.clip import Clip
from emotion_llama.errors import ManifestError
from emotion_llama.labels import LABEL_SETS
from emotion_llama.manifest import read_csv_rows

FILES = {"train": "train", "validation": "dev", "test": "test"}
"""Side → the word that the data set has for it."""

# where the archives put the clips of a side
_CLIP_FOLDERS = {
    "train": ("train_splits",),
    "dev": ("dev_splits_complete", "dev_splits"),
    "test": ("output_repeated_splits_test", "test_splits"),
}
_COLUMNS = ("Utterance", "Speaker", "Emotion", "Dialogue_ID", "Utterance_ID")
_TIME = re.compile(r"(\d+):(\d\d):(\d\d)[,.](\d{1,3})")


def _cp1252_table() -> dict[int, str]:
    """Map control characters that a wrong decoding left behind (0x92 for ’) to what they stood for."""
    table = {}
    for code in range(0x80, 0xA0):
        meant = bytes([code]).decode("cp1252", errors="replace")
        if meant != "\ufffd":  # five codes stand for nothing
            table[code] = meant
    return table


_CP1252 = _cp1252_table()


def read_meld(folder: Path, side: str, clips: bool = False) -> list[Clip]:
    """Read one side ("train", "validation", "test"), with the clips' paths if `clips`, else as text alone.

    Gives emotion (in the words of `meld7`), speaker, the line as transcript; groups: season, sentiment, language, and
    duration_s where the times allow. A single clip that is missing (the published archives lack some) keeps the path
    where it should be, so that it fails by name when it is analysed. Raises `ManifestError` with the line for a table
    that is not MELD's, or if there is no folder of clips.
    """
    word = FILES[side]
    table = _table(folder, word)
    media = _clip_folder(folder, word) if clips else None
    found = [_clip(row, f"{table}:{line}", word, media) for line, row in read_csv_rows(table)]
    if not found:
        raise ManifestError(f"{table}: expected one utterance a line below the heading, found none")
    return found


def has_clips(folder: Path, side: str) -> bool:
    """Whether the folder holds clips of this side."""
    return _find_clip_folder(folder, FILES[side]) is not None


def _table(folder: Path, word: str) -> Path:
    name = f"{word}_sent_emo.csv"
    for path in (folder / name, folder / word / name):
        if path.is_file():
            return path
    raise ManifestError(f"{folder}: expected {name} in it or in {word}/, found none")


def _clip_folder(folder: Path, word: str) -> Path:
    media = _find_clip_folder(folder, word)
    if media is None:
        raise ManifestError(
            f"{folder}: expected clips as dia0_utt0.mp4 in {word}/ or {' or '.join(_CLIP_FOLDERS[word])}/, found none; "
            "unpack the archive of this side"
        )
    return media


def _find_clip_folder(folder: Path, word: str) -> Path | None:
    inner = _CLIP_FOLDERS[word]
    places = [folder / word / name for name in inner] + [folder / name for name in inner] + [folder / word]
    return next((place for place in places if next(place.glob("dia*_utt*.mp4"), None) is not None), None)


def _clip(row: dict[str, str], where: str, word: str, media: Path | None) -> Clip:
    missing = [column for column in _COLUMNS if column not in row]
    if missing:
        raise ManifestError(f"{where}: expected columns {', '.join(_COLUMNS)}; missing {', '.join(missing)}")
    emotion = row["Emotion"].strip().lower()
    numbers = row["Dialogue_ID"].strip(), row["Utterance_ID"].strip()
    if emotion not in LABEL_SETS["meld7"] or not all(number.isdecimal() for number in numbers):
        raise ManifestError(
            f"{where}: expected Emotion among {', '.join(LABEL_SETS['meld7'])} and whole numbers for the dialogue and "
            f"the utterance; found {row['Emotion']!r} and {', '.join(map(repr, numbers))}"
        )
    name = f"dia{numbers[0]}_utt{numbers[1]}"
    return Clip(
        clip=f"{word}/{name}",
        path=media / f"{name}.mp4" if media else None,
        transcript=row["Utterance"].translate(_CP1252),
        speaker=row["Speaker"].translate(_CP1252).strip(),
        emotion=emotion,
        groups=_groups(row, where),
    )


def _groups(row: dict[str, str], where: str) -> dict[str, str | float]:
    groups: dict[str, str | float] = {"language": "en"}
    for column in ("Season", "Sentiment"):
        if row.get(column):
            groups[column.lower()] = row[column].strip()
    if row.get("StartTime") and row.get("EndTime"):
        # times of the episode, not of the clip: good for its length only; one line ends where it starts
        duration_s = _seconds(row["EndTime"], where) - _seconds(row["StartTime"], where)
        if duration_s > 0:
            groups["duration_s"] = round(duration_s, 3)
    return groups


def _seconds(time: str, where: str) -> float:
    match = _TIME.fullmatch(time.strip())
    if match is None:
        raise ManifestError(f"{where}: expected a time as 00:20:57,256, found {time!r}")
    hours, minutes, seconds, fraction = match.groups()
    return int(hours) * 3600 + int(minutes) * 60 + int(seconds) + float(f"0.{fraction}")
