"""VECBench: emotion (VER) and polarity (VSA) of still images, nine sets in three groups. JSON lines, one an image:

    {"task": "FI-8", "ground_truth": "awe", "candidates": ["amusement", …], "conversations": [… {"type": "image",
     "image": "…/x.jpg"} …]}

`image` (or `image_path`) and `label` may stand at the top instead; a JSON list does as well. With one file a set
("FI-8.jsonl"), `task` may be left out. Source: arXiv 2512.15528, repository wdqqdw/EmoCaliber (inference/).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from emotion_llama.clip import Clip
from emotion_llama.errors import ManifestError

GROUPS: MappingProxyType[str, MappingProxyType[str, int]] = MappingProxyType(
    {
        "ID VER": MappingProxyType({"FI-8": 1000, "EmoSet-8": 1000, "WebEmo-7": 1000, "WebEmo-25": 997}),
        "ID VSA": MappingProxyType({"FI-2": 1000, "WebEmo-2": 1000}),
        "OOD VER": MappingProxyType({"Abstract-8": 229, "Artphoto-8": 806, "UnbiasedEmo-6": 1000}),
    }
)
"""Group → set → number of test images in the public file."""

SUFFIXES = (".jsonl", ".json")
_SETS = {name.lower(): name for sets in GROUPS.values() for name in sets}
_IMAGE_KEYS = ("image", "image_path", "img_path")
_TRUTH_KEYS = ("ground_truth", "label", "emotion")


@dataclass(frozen=True)
class Picture:
    """One image: the clip (its `emotion` is the truth, in lower case), its set, the labels that were offered.

    `clip.clip` is "<image>@<set>": the same image stands in several sets. An `id` in the data takes the image's place.
    """

    clip: Clip
    set_name: str
    candidates: tuple[str, ...]


def group_of(set_name: str) -> str:
    """Give the group of a set ("FI-8" → "ID VER")."""
    return next(group for group, sets in GROUPS.items() if set_name in sets)


def read_vecbench(path: Path) -> list[Picture]:
    """Read the test file, or all .jsonl and .json files of a folder.

    Raises `ManifestError` with file and line for what is not as described above, or for an image twice in a set.
    """
    files = sorted(f for f in path.iterdir() if f.suffix in SUFFIXES) if path.is_dir() else [path]
    if not files or not files[0].is_file():
        raise ManifestError(f"{path}: expected VECBench's test file (.jsonl or .json) or a folder with it, found none")
    pictures: dict[str, Picture] = {}
    for file in files:
        for where, row in _rows(file):
            picture = _picture(row, file, where)
            if picture.clip.clip in pictures:
                raise ManifestError(f"{where}: {picture.clip.clip!r} occurs twice; remove one, or give each an own id")
            pictures[picture.clip.clip] = picture
    return list(pictures.values())


def _rows(file: Path) -> list[tuple[str, dict[str, Any]]]:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestError(f"{file}: expected readable UTF-8 text ({error})") from error
    rows = _json_list(file, text) if text.lstrip().startswith("[") else _json_lines(file, text)
    if not rows:
        raise ManifestError(f"{file}: expected at least one image, found none")
    for where, row in rows:
        if not isinstance(row, dict):
            raise ManifestError(f"{where}: expected a JSON object, found {type(row).__name__}")
    return rows


def _json_list(file: Path, text: str) -> list[tuple[str, Any]]:
    try:
        return [(f"{file}: item {index}", row) for index, row in enumerate(json.loads(text))]
    except json.JSONDecodeError as error:
        raise ManifestError(f"{file}: expected a JSON list ({error})") from error


def _json_lines(file: Path, text: str) -> list[tuple[str, Any]]:
    rows = []
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                rows.append((f"{file}:{number}", json.loads(line)))
            except json.JSONDecodeError as error:
                raise ManifestError(f"{file}:{number}: expected one JSON object a line ({error})") from error
    return rows


def _picture(row: dict[str, Any], file: Path, where: str) -> Picture:
    named = str(row.get("task") or file.stem)
    set_name = _SETS.get(named.lower())
    if set_name is None:
        raise ManifestError(
            f"{where}: task {named!r} is no set of VECBench; expected one of {', '.join(_SETS.values())}"
        )
    truth = next((row[key] for key in _TRUTH_KEYS if row.get(key)), None)
    if not isinstance(truth, str):
        raise ManifestError(f"{where}: expected ground_truth with the true label, found {truth!r}")
    image = _image(row)
    if image is None:
        raise ManifestError(f"{where}: expected an image, at the top or in conversations, found {', '.join(row)}")
    candidates = _candidates(row.get("candidates"), truth.strip().lower(), where)
    clip = Clip(
        clip=f"{row.get('id', image)}@{set_name}",
        path=_image_path(file.parent, image),
        emotion=truth.strip().lower(),
        groups={"set": set_name},
    )
    return Picture(clip, set_name, candidates)


def _candidates(value: Any, truth: str, where: str) -> tuple[str, ...]:
    """Give the offered labels in lower case; `()` where the data name none."""
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(label, str) for label in value):
        raise ManifestError(f"{where}: expected candidates as a list of labels, found {value!r}")
    labels = tuple(dict.fromkeys(label.strip().lower() for label in value))
    if truth not in labels:
        raise ManifestError(f"{where}: the true label {truth!r} is not among the candidates {', '.join(labels)}")
    return labels


def _image(row: dict[str, Any]) -> str | None:
    for key in _IMAGE_KEYS:
        if isinstance(row.get(key), str):
            return str(row[key])
    turns = row.get("conversations")
    for turn in turns if isinstance(turns, list) else []:
        content = turn.get("content") if isinstance(turn, dict) else None
        for part in content if isinstance(content, list) else []:
            if isinstance(part, dict) and isinstance(part.get("image"), str):
                return str(part["image"])
    return None


def _image_path(folder: Path, image: str) -> Path:
    """Give the image's path. The public file may hold the authors' full paths: their last parts are tried too."""
    parts = Path(image.removeprefix("file://")).parts
    tails = [folder.joinpath(*parts[start:]) for start in range(len(parts))]
    return next((path for path in tails if path.is_file()), tails[0])
