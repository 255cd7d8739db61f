"""MER2024's grouping: words that a judge put in one group become the first word of the group.

Groups are stored a clip at a time, so scoring needs no judge and gives the same number every time. Source: MERTools,
MER2024/main-ov.py. Two stored forms are read:

- the official one: `openset-synonym.zip` (or the folder it unpacks to), one `<clip>.npy` a clip holding a text such as
  "[['happy', 'joyful'], ['sad']]";
- our own: JSON lines `{"clip": "sample_1", "groups": [["happy", "joyful"], ["sad"]]}`.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeGuard

import numpy as np

from emotion_llama.errors import ManifestError
from emotion_llama.labels import canonical, is_known
from emotion_llama.metrics.label_sets import Words, normalise, word_set

Groups = tuple[tuple[str, ...], ...]

_FILLER = ("", ",")


def group_heads(groups: Sequence[Sequence[str]]) -> dict[str, str]:
    """Give each word of the groups the first word of its group; of several groups with one word the last counts."""
    return {word: group[0] for group in groups for word in group}


def grouped(words: Words, heads: Mapping[str, str]) -> Words:
    """Replace words by the first word of their group; a word in no group stays itself."""
    return frozenset(heads.get(word, word) for word in words)


def table_heads(words: Words) -> dict[str, str]:
    """Give words their canonical name in our label table; words that it does not hold are left out."""
    return {word: canonical(word) for word in words if is_known(word)}


def parse_words(text: str) -> tuple[str, ...]:
    """Read "['happy', 'sad']" or "happy, sad"; quotes part words where there are any, else commas do."""
    inside = text.strip().removeprefix("[").removesuffix("]")
    parts = re.split("['\"]" if re.search("['\"]", inside) else ",", inside)
    return tuple(part.strip() for part in parts if part.strip() not in _FILLER)


def parse_groups(text: str) -> Groups:
    """Read "[['happy', 'joyful'], ['sad']]"; groups are parted by brackets, so a missing outer bracket does no harm."""
    parts = [part for part in re.split(r"[\[\]]", text) if part.strip() not in _FILLER]
    return tuple(words for words in map(parse_words, parts) if words)


def read_groupings(path: Path) -> dict[str, Groups]:
    """Read stored groups of each clip: a `.zip` or folder of `.npy` texts, or our `.jsonl`.

    Raises `ManifestError` with the file and the member or line that is not one of these forms.
    """
    if path.suffix.lower() == ".jsonl":
        found = dict(_own(path))
    elif path.is_dir():
        found = {file.stem: _npy_groups(_bytes(file), str(file)) for file in sorted(path.rglob("*.npy"))}
    else:
        found = dict(_zipped(path))
    if not found:
        raise ManifestError(f"{path}: expected the groups of at least one clip (.npy or JSON lines), found none")
    return found


def _zipped(path: Path) -> Iterator[tuple[str, Groups]]:
    try:
        with zipfile.ZipFile(path) as archive:
            for name in sorted(archive.namelist()):
                # macOS leaves a twin of each file, named "._…", in archives
                if name.endswith(".npy") and not Path(name).name.startswith("._"):
                    yield Path(name).stem, _npy_groups(archive.read(name), f"{path}:{name}")
    except (OSError, zipfile.BadZipFile) as error:
        raise ManifestError(f"{path}: cannot be read as a zip of .npy files ({error})") from error


def _npy_groups(content: bytes, where: str) -> Groups:
    try:
        text = np.load(io.BytesIO(content), allow_pickle=False)
    except ValueError as error:
        raise ManifestError(f"{where}: expected an .npy with a text, without pickled objects ({error})") from error
    if text.dtype.kind != "U" or text.size != 1:
        raise ManifestError(f"{where}: expected one text, found an array {text.shape} of {text.dtype}")
    return parse_groups(str(text.item()))  # case is kept: the official scorer compares the words as stored


def _own(path: Path) -> Iterator[tuple[str, Groups]]:
    seen: dict[str, int] = {}
    for line, text in enumerate(_bytes(path).decode("utf-8-sig", errors="replace").split("\n"), start=1):
        if not text.strip():
            continue
        clip, groups = _own_row(text, f"{path}:{line}")
        if clip in seen:
            raise ManifestError(f"{path}:{line}: the groups of {clip!r} stood in line {seen[clip]} already; keep one")
        seen[clip] = line
        yield clip, groups


def _own_row(text: str, where: str) -> tuple[str, Groups]:
    try:
        row = json.loads(text)
    except ValueError as error:
        raise ManifestError(f"{where}: expected one JSON object a line ({error})") from error
    clip, groups = (row.get("clip"), row.get("groups")) if isinstance(row, dict) else (None, None)
    if not isinstance(clip, str) or not is_groups(groups):
        raise ManifestError(
            f'{where}: expected {{"clip": "…", "groups": [["happy", "joyful"], …]}}, found {text[:80]!r}'
        )
    return clip, as_groups(groups)


def is_groups(value: object) -> TypeGuard[Sequence[Sequence[str]]]:
    """Whether a JSON value is a list of lists of words."""
    return isinstance(value, list | tuple) and all(
        isinstance(group, list | tuple) and all(isinstance(word, str) for word in group) for group in value
    )


def as_groups(value: Sequence[Sequence[str]]) -> Groups:
    """Give groups with normalised words; empty words and groups are left out."""
    groups = (tuple(normalise(word) for word in group if word_set([word])) for group in value)
    return tuple(group for group in groups if group)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ManifestError(f"{path}: cannot read the stored groups ({error})") from error
