"""MER2023 and MER2024: clips of Chinese films and series with one of six emotions, some with a valence.

Labels stand in `train-label.csv`, `test1-label.csv` (MULTI), `test2-label.csv` (NOISE), `test3-label.csv` (SEMI) with
the columns name, discrete, valence, or, as the Emotion-LLaMA code has them, in lines of `name frames emotion valence`
(`relative_test3_NCEV.txt`; valence -10 = none). Source: Lian et al. (2023), MER 2023: multi-label learning, modality
robustness, and semi-supervised learning, ACM Multimedia 2023; Lian et al. (2024), MER 2024.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from emotion_llama.clip import Clip
from emotion_llama.errors import ManifestError
from emotion_llama.labels import LABEL_SETS
from emotion_llama.manifest import read_csv_rows

NO_VALENCE = -10.0
SUFFIXES = (".mp4", ".avi")


@dataclass(frozen=True)
class MerSubset:
    """Where a subset lies: names its label file may have, and folders its clips may lie in; `has_valence`."""

    label_files: tuple[str, ...]
    clip_folders: tuple[str, ...]
    has_valence: bool = False


SUBSETS = {
    "mer2023-train": MerSubset(("train-label.csv", "relative_train_NCEV.txt"), ("train",), True),
    "mer2023-multi": MerSubset(("test1-label.csv", "relative_test1_NCEV.txt"), ("test1",), True),
    "mer2023-noise": MerSubset(("test2-label.csv", "relative_test2_NCEV.txt"), ("test2",), True),
    "mer2023-semi": MerSubset(("test3-label.csv", "relative_test3_NCEV.txt"), ("test3",)),
    "mer2024-train": MerSubset(("label-disdim.csv",), ("video-labeled",), True),
    "mer2024-noise": MerSubset(
        ("test2_name_convert_label.csv", "MER2024-noise_NCE.txt", "noise-label.csv"),
        ("video-unlabeled-with-test2noise", "video-test2-noise", "video-noise"),
    ),
    "mer2025-train": MerSubset(("track1_train_disdim.csv",), ("video",)),
    "mer2025-semi": MerSubset(("track1_test_dis.csv",), ("video",)),
}
"""Subsets by name, with the file names that the releases and the challenge's own code use."""


def read_mer(folder: Path, subset: str) -> list[Clip]:
    """Read one subset of `SUBSETS`; label file and clips may lie anywhere below the folder.

    Gives emotion (in the words of `mer6`), valence on the data set's own scale where the subset has it, group language.
    The people are not known. Without any clip all paths are `None` (enough to score a predictions file); where there
    are some, a missing one keeps the path where it should be, so that it fails by name when it is analysed. Raises
    `ManifestError` with the line for labels that are not MER's.
    """
    form = SUBSETS[subset]
    table = _label_file(folder, subset, form.label_files)
    media = _find_media(folder, form.clip_folders)
    usual = next(iter(media.values())).parent if media else None
    clips = []
    for where, name, emotion, valence in _rows(table):
        clips.append(
            Clip(
                clip=name,
                path=media.get(name, usual / f"{name}.mp4") if usual else None,
                emotion=_emotion(emotion, where),
                valence=_valence(valence, where) if form.has_valence else None,
                groups={"language": "zh"},
            )
        )
    if not clips:
        raise ManifestError(f"{table}: expected one clip a line, found none")
    return clips


def _label_file(folder: Path, subset: str, names: tuple[str, ...]) -> Path:
    for name in names:
        found = sorted(folder.rglob(name))
        if len(found) > 1:
            raise ManifestError(f"{folder}: {name} lies in {found[0].parent} and in {found[1].parent}; keep one")
        if found:
            return found[0]
    raise ManifestError(f"{folder}: expected the labels of {subset} as {' or '.join(names)} below it, found none")


def _rows(table: Path) -> list[tuple[str, str, str, str]]:
    """Give (where, name, emotion, valence or "") of each line."""
    if table.suffix == ".csv":
        rows = []
        for line, row in read_csv_rows(table):
            name, emotion = row.get("name", "").strip(), row.get("discrete", "").strip()
            if not name or not emotion:
                raise ManifestError(f"{table}:{line}: expected columns name and discrete filled, found {row}")
            rows.append((f"{table}:{line}", name, emotion, row.get("valence", "").strip()))
        return rows
    return [_line(text, f"{table}:{number}") for number, text in enumerate(_lines(table), start=1) if text.strip()]


def _lines(table: Path) -> list[str]:
    try:
        return table.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestError(f"{table}: cannot be read as UTF-8 text ({error})") from error


def _line(text: str, where: str) -> tuple[str, str, str, str]:
    cells = text.split()
    if len(cells) not in (3, 4):
        raise ManifestError(f"{where}: expected name, frames, emotion and perhaps valence, found {text.strip()!r}")
    return where, cells[0], cells[2], cells[3] if len(cells) == 4 else ""


def _emotion(word: str, where: str) -> str:
    if word.lower() not in LABEL_SETS["mer6"]:
        raise ManifestError(f"{where}: expected an emotion among {', '.join(LABEL_SETS['mer6'])}, found {word!r}")
    return word.lower()


def _valence(cell: str, where: str) -> float | None:
    if not cell:
        return None
    try:
        value = float(cell)
    except ValueError as error:
        raise ManifestError(f"{where}: valence must be a number, found {cell!r}") from error
    if not math.isfinite(value):
        raise ManifestError(f"{where}: valence must be finite, found {cell!r}")
    return None if value == NO_VALENCE else value


def _find_media(folder: Path, places: tuple[str, ...]) -> dict[str, Path]:
    """Index the clips in folders of these names; if there is no such folder, all clips below the folder."""
    named = [path for place in places for path in sorted(folder.rglob(place)) if path.is_dir()]
    found: dict[str, Path] = {}
    for place in named or [folder]:
        for path in sorted(place.rglob("*")):
            if path.suffix.lower() in SUFFIXES:
                found.setdefault(path.stem, path)
    return found
