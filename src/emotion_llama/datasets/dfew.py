"""DFEW: clips from films with one of seven emotions, five folds.

`EmoLabel_DataSplit/test(single-labeled)/set_1.csv` (columns video_name, label 1–7) and the clips below `Clip/`, for
instance `Clip/original/part_1/1.mp4` or `Clip/clip_224x224_avi/00001.avi`: names with and without leading zeros occur.
Source: Jiang et al. (2020), DFEW: a large-scale database for recognizing dynamic facial expressions in the wild, ACM
Multimedia 2020.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from emotion_llama.clip import Clip
from emotion_llama.errors import ManifestError
from emotion_llama.labels import LABEL_SETS
from emotion_llama.manifest import read_csv_rows

FOLDS = ("1", "2", "3", "4", "5")
EMOTIONS = {str(number): word for number, word in enumerate(LABEL_SETS["dfew7"], start=1)}
"""The annotation's numbers: 1 happy, 2 sad, 3 neutral, 4 angry, 5 surprise, 6 disgust, 7 fear."""

# the first that is there is taken: the originals have sound, the cut faces have none
_SUFFIXES = (".mp4", ".avi")


def read_dfew(folder: Path, fold: str, side: Literal["train", "test"] = "test") -> list[Clip]:
    """Read one side of one fold ("1"–"5"). The identity of a clip is its number without leading zeros.

    Gives emotion (in the words of `dfew7`); the people are not known. Without any clip below the folder all paths are
    `None` (enough to score a predictions file); where there are some, a missing one keeps the path where it should be,
    so that it fails by name when it is analysed. Raises `ManifestError` with the line for an annotation that is not
    DFEW's.
    """
    table = _table(folder, fold, side)
    rows = [_number_and_emotion(row, f"{table}:{line}") for line, row in read_csv_rows(table)]
    if not rows:
        raise ManifestError(f"{table}: expected one clip a line below the heading, found none")
    media = _find_media(folder)
    usual = next(iter(media.values())).parent if media else None
    return [
        Clip(clip=str(number), path=media.get(number, usual / f"{number:05d}.mp4") if usual else None, emotion=emotion)
        for number, emotion in rows
    ]


def _table(folder: Path, fold: str, side: str) -> Path:
    if fold not in FOLDS:
        raise ManifestError(f"DFEW has the folds {', '.join(FOLDS)}; found {fold!r}")
    sub = f"{side}(single-labeled)"
    names = (f"set_{fold}.csv", f"{side}_set_{fold}.csv")
    for place in (folder / "EmoLabel_DataSplit" / sub, folder / sub):
        for name in names:
            if (place / name).is_file():
                return place / name
    raise ManifestError(f"{folder}: expected EmoLabel_DataSplit/{sub}/{' or '.join(names)} in it, found none")


def _number_and_emotion(row: dict[str, str], where: str) -> tuple[int, str]:
    name = row.get("video_name", "").strip()
    label = row.get("label", "").strip()
    number = Path(name).stem  # some copies write the file's name
    if not number.isdecimal() or label not in EMOTIONS:
        raise ManifestError(
            f"{where}: expected video_name a number and label 1–{len(EMOTIONS)}; found {name!r} and {label!r} "
            f"in columns {', '.join(row)}"
        )
    return int(number), EMOTIONS[label]


def _find_media(folder: Path) -> dict[int, Path]:
    found: dict[int, Path] = {}
    place = folder / "Clip" if (folder / "Clip").is_dir() else folder
    for suffix in _SUFFIXES:
        for path in sorted(place.rglob(f"*{suffix}")):
            if path.stem.isdecimal():
                found.setdefault(int(path.stem), path)
    return found
