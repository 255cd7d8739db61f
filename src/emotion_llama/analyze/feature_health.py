"""Feature files compared with what a checkpoint expects (`emotion-llama extract --check`)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from emotion_llama.analyze.extraction import RECORD
from emotion_llama.analyze.feature_files import ENDING, wrong_with
from emotion_llama.analyze.preset import load_preset
from emotion_llama.encoders.heads import load_heads
from emotion_llama.errors import ManifestError
from emotion_llama.model.checkpoint import read_config
from emotion_llama.official.feature_folders import FOLDERS, FolderHealth, examine

LIMIT = 6.0
"""Standardised numbers are held within this, as the projectors hold them."""

FACTOR = 3.0
"""A spread this many times larger or smaller is off scale: other scenes than those learned on make it twice as large,
another layer or scaling of pixels much more."""


@dataclass(frozen=True)
class Expected:
    """What a checkpoint expects of an array: its width, and mean and spread (E,) of what it learned on, where known."""

    width: int
    mean: NDArray[np.float32] | None = None
    spread: NDArray[np.float32] | None = None


def check(root: Path, model: str | None, names: Iterable[str] | None = None) -> list[FolderHealth]:
    """Look through a folder of feature files of either form; `names`: clips that should be there.

    `model`: the checkpoint that is to read them; `None` = the one that `features.json` names, or the released one for
    upstream's folders. Raises `ManifestError` for a folder without features, `UsageError` for an unknown model.
    """
    if any((root / folder).is_dir() for folder in FOLDERS.values()):
        found = examine(root, names)
        if model is None:
            return found
        folder = load_preset(model, device="cpu", dtype="auto", threads=None).folder
        widths = {group.name: group.width for group in read_config(folder).groups}
        return [_fitting(one, widths.get(one.feature), model) for one in found]
    files = {file.name.removesuffix(ENDING): file for file in sorted(root.glob(f"*{ENDING}"))}
    if not files:
        raise ManifestError(f"{root}: expected feature files (*{ENDING}) or {', '.join(FOLDERS.values())}, found none")
    name = model or _recorded(root)
    expected = expected_of(load_preset(name, device="cpu", dtype="auto", threads=None).folder)
    return _examine_files(root, files, expected, list(names) if names is not None else list(files))


def _recorded(root: Path) -> str:
    try:
        return str(json.loads((root / RECORD).read_text(encoding="utf-8"))["model"])
    except (OSError, ValueError, KeyError) as error:
        raise ManifestError(f"{root / RECORD}: does not name the model that made the features; say --model") from error


def _fitting(found: FolderHealth, width: int | None, model: str) -> FolderHealth:
    released = next(iter(np.load(file).size for file in sorted(found.folder.glob("*.npy"))), None)
    if width is None or released is None or width == released:
        return found
    note = f"{released} numbers a clip, where {model} reads {width}: these are of other encoders"
    return FolderHealth(**{**vars(found), "off_scale": note})


def expected_of(folder: Path) -> dict[str, Expected]:
    """What the checkpoint in `folder` expects, by array: of its feature groups, and of what its heads read."""
    found: dict[str, Expected] = {}
    heads = load_heads(folder / "heads.safetensors") if (folder / "heads.safetensors").is_file() else {}
    for head in heads.values():
        found[head.array] = Expected(len(head.mean), head.mean, head.scale)
    projectors = folder / "projectors.safetensors"
    standard: dict[str, NDArray[np.float32]] = {}
    if projectors.is_file():
        with safe_open(projectors, framework="numpy") as file:
            standard = {key: file.get_tensor(key) for key in file.keys() if key.endswith((".mean", ".std"))}  # noqa: SIM118
    for group in read_config(folder).groups:
        if group.name not in heads:
            mean, spread = standard.get(f"{group.name}.mean"), standard.get(f"{group.name}.std")
            found[group.name] = Expected(group.width, mean, spread)
    return found


class _Tally:
    """Running numbers of one array over the files; memory does not grow with clips."""

    def __init__(self) -> None:
        self.clips, self.count, self.total, self.squares, self.standard = 0, 0, 0.0, 0.0, 0.0
        self.least, self.most = np.inf, -np.inf
        self.wrong: dict[str, str] = {}
        self.zeros: list[str] = []

    def add(self, rows: NDArray[np.float32], expected: Expected) -> None:
        """Take in one clip's rows."""
        values = rows.astype(np.float64)
        self.count += values.size
        self.total += float(values.sum())
        self.squares += float((values**2).sum())
        self.least, self.most = min(self.least, float(values.min())), max(self.most, float(values.max()))
        if expected.mean is not None and expected.spread is not None:
            standard = np.clip((values - expected.mean) / expected.spread, -LIMIT, LIMIT)
            self.standard += float((standard**2).sum())

    def health(self, array: str, root: Path, expected: Expected) -> FolderHealth:
        """Compare what was taken in with what is expected of the array."""
        n = max(self.count, 1)
        mean = self.total / n
        std = max(self.squares / n - mean**2, 0.0) ** 0.5
        off = None
        spread = (self.standard / n) ** 0.5
        if self.count and expected.spread is not None and not 1 / FACTOR <= spread <= FACTOR:
            off = (
                f"spread {spread:.2f} of what the checkpoint learned on: another encoder, layer or scaling of pixels "
                "or sound; it will not understand it"
            )
        if not self.count:
            mean = std = self.least = self.most = float("nan")
        return FolderHealth(
            array, root, self.clips, mean, std, self.least, self.most, self.wrong, tuple(self.zeros), off
        )


def _examine_files(
    root: Path, files: dict[str, Path], expected: dict[str, Expected], names: list[str]
) -> list[FolderHealth]:
    tallies: dict[str, _Tally] = {}
    unreadable: dict[str, str] = {name: "no file" for name in names if name not in files}
    for name, file in files.items():
        try:
            with safe_open(file, framework="numpy") as opened:
                arrays = {key: opened.get_tensor(key) for key in opened.keys() if key in expected}  # noqa: SIM118
        except (OSError, SafetensorError) as error:
            unreadable[name] = f"not a readable feature file ({error})"
            continue
        for key, rows in arrays.items():
            tally = tallies.setdefault(key, _Tally())
            tally.clips += 1
            problem = wrong_with(rows)
            if problem is None and rows.shape[1] != expected[key].width:
                problem = f"expected rows of {expected[key].width} numbers, found {rows.shape[1]}"
            if problem is None:
                tally.add(rows, expected[key])
            elif problem.startswith("all zeros"):
                tally.zeros.append(name)
            else:
                tally.wrong[name] = problem
    if not tallies:
        raise ManifestError(f"{root}: no file holds what this checkpoint reads ({', '.join(expected)})")
    found = [tally.health(key, root, expected[key]) for key, tally in tallies.items()]
    return [FolderHealth(**{**vars(one), "wrong": {**unreadable, **one.wrong}}) for one in found]
