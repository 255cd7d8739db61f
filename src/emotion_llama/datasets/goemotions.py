"""GoEmotions: short comments with one or more of 28 labels.

A `.tsv` without heading: text, label numbers with commas between, comment id. The numbers are lines, counted from 0, of
`labels.txt` (`emotions.txt` in the original release) beside it. Source: Demszky et al. (2020), GoEmotions, ACL 2020.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from emotion_llama.errors import ManifestError

_LABEL_FILES = ("labels.txt", "emotions.txt")


class LabelledText(NamedTuple):
    """One text with its labels in the words of the data set."""

    text: str
    labels: tuple[str, ...]


def read_goemotions(path: Path) -> list[LabelledText]:
    """Read one `.tsv` of GoEmotions as (text, labels) pairs. Raises `ManifestError` with file and line."""
    names = _label_names(path.parent)
    texts = []
    # split at "\n" only: comments hold other characters that str.splitlines would take for line ends
    for number, line in enumerate(_read(path).split("\n"), start=1):
        if not line:
            continue
        cells = line.rstrip("\r").split("\t")
        numbers = cells[1].split(",") if len(cells) == 3 else []
        if not numbers or not all(n.isdecimal() and int(n) < len(names) for n in numbers):
            raise ManifestError(
                f"{path}:{number}: expected text, label numbers below {len(names)} and an id with tabs between, "
                f"found {line[:80]!r}"
            )
        texts.append(LabelledText(cells[0], tuple(names[int(n)] for n in numbers)))
    if not texts:
        raise ManifestError(f"{path}: expected one comment a line, found none")
    return texts


def _label_names(folder: Path) -> list[str]:
    for name in _LABEL_FILES:
        if (folder / name).is_file():
            return _read(folder / name).split()
    raise ManifestError(
        f"{folder}: expected {' or '.join(_LABEL_FILES)} beside the .tsv, one label a line; found neither"
    )


def _read(path: Path) -> str:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return file.read()
    except OSError as error:
        raise ManifestError(f"{path}: cannot be read ({error})") from error
    except UnicodeDecodeError as error:
        raise ManifestError(f"{path}: expected UTF-8 text ({error})") from error
