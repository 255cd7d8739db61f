"""The nine sets of MER-UniBench: labels in the `.npz` files of MERBench, or plain manifests.

Each set is a folder or a manifest named after it (`mer2023/`, `mer2023.csv`, `mer2023.jsonl`). The official `.npz` hold
dictionaries `name → {"emo": …, "val": …}`; they are pickles and are read as plain values only (`metrics.object_npz`).
Source: AffectGPT (2025), arXiv 2501.16566, and its code (`my_affectgpt/datasets`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from emotion_llama.clip import Clip
from emotion_llama.datasets.open_labels import MANIFESTS, find_media, media_path, read_open_clips
from emotion_llama.errors import ManifestError
from emotion_llama.manifest import SUFFIXES, read_manifest
from emotion_llama.metrics.object_npz import keys, read_object

Kind = Literal["label", "sentiment", "words"]


@dataclass(frozen=True)
class UnibenchSet:
    """One set: what is scored, its size in the paper, its candidate labels, and where its official labels lie.

    `emotions` are the words behind numbered labels of the `.npz`; `prefix` keeps the clips whose names start so.
    """

    title: str
    kind: Kind
    n: int
    candidates: tuple[str, ...] = ()
    file: str = ""
    corpus: str = ""
    emotions: tuple[str, ...] = ()
    prefix: str = ""


_MER = ("neutral", "angry", "happy", "sad", "worried", "surprise")
_MELD = ("anger", "joy", "sadness", "neutral", "disgust", "fear", "surprise")
_IEMOCAP = ("happy", "sad", "neutral", "anger")
SETS: dict[str, UnibenchSet] = {
    "mer2023": UnibenchSet("MER2023", "label", 411, _MER, "label-6way.npz", "test1_corpus"),
    "mer2024": UnibenchSet("MER2024", "label", 1169, _MER, "label-6way.npz", "test1_corpus"),
    "meld": UnibenchSet("MELD", "label", 2610, _MELD, "label.npz", "test_corpus", _MELD),
    "iemocap": UnibenchSet(
        "IEMOCAP, session 5", "label", 1241, _IEMOCAP, "label_4way.npz", "whole_corpus", _IEMOCAP, "Ses05"
    ),
    "mosi": UnibenchSet("CMU-MOSI", "sentiment", 686, (), "label.npz", "test_corpus"),
    "mosei": UnibenchSet("CMU-MOSEI", "sentiment", 4659, (), "label.npz", "test_corpus"),
    "sims": UnibenchSet("CH-SIMS", "sentiment", 457, (), "label.npz", "test_corpus"),
    "simsv2": UnibenchSet("CH-SIMS v2", "sentiment", 1034, (), "label.npz", "test_corpus"),
    "ovmerd": UnibenchSet("OV-MERD+", "words", 532),
}
"""The sets by name, with the sizes of the paper's table."""


def read_unibench(folder: Path, name: str) -> list[Clip] | None:
    """Read one set of `SETS`, `None` where the folder has nothing of it.

    Clip names start with the set's name ("mosi/…"): sets share clips. Raises `ManifestError` for a set that is there
    but cannot be read, or whose clips lack what it is scored by.
    """
    place = _place(folder, name)
    if place is None:
        return None
    clips = _read(place, SETS[name])
    for clip in clips:
        if _lacks_truth(clip, SETS[name].kind):
            raise ManifestError(f"{place}: clip {clip.clip!r} has no {_COLUMNS[SETS[name].kind]}; every clip needs one")
    return [clip.model_copy(update={"clip": f"{name}/{clip.clip}"}) for clip in clips]


_COLUMNS: dict[Kind, str] = {"label": "emotion", "sentiment": "valence", "words": "labels"}


def _lacks_truth(clip: Clip, kind: Kind) -> bool:
    return {"label": clip.emotion is None, "sentiment": clip.valence is None, "words": not clip.labels}[kind]


def _place(folder: Path, name: str) -> Path | None:
    found = [path for path in (folder / name, *(folder / f"{name}{suffix}" for suffix in SUFFIXES)) if path.exists()]
    if len(found) > 1:
        raise ManifestError(f"{folder}: the set {name!r} lies in {found[0].name} and in {found[1].name}; keep one")
    return found[0] if found else None


def _read(place: Path, one: UnibenchSet) -> list[Clip]:
    if one.kind == "words":
        return read_open_clips(place)
    if not place.is_dir():
        return read_manifest(place)
    manifest = next((place / name for name in MANIFESTS if (place / name).is_file()), None)
    if manifest is not None:
        return read_manifest(manifest)
    if not (place / one.file).is_file():
        raise ManifestError(f"{place}: expected {', '.join(MANIFESTS)} or {one.file} in it, found none")
    return _read_npz(place / one.file, one)


def _read_npz(path: Path, one: UnibenchSet) -> list[Clip]:
    corpus = read_object(path, one.corpus)
    if not isinstance(corpus, Mapping) or not corpus:
        raise ManifestError(f"{path}: expected {one.corpus} as a dictionary of clips; it has {', '.join(keys(path))}")
    media = find_media(path.parent)
    clips = []
    for name, row in corpus.items():
        if not isinstance(name, str) or not isinstance(row, Mapping):
            raise ManifestError(f"{path}: expected name → values in {one.corpus}, found {name!r}: {row!r}")
        if name.startswith(one.prefix):
            clips.append(Clip(clip=name, path=media_path(name, media), **_truth(row, one, f"{path}: {name!r}")))
    if not clips:
        raise ManifestError(f"{path}: no clip of {one.corpus} starts with {one.prefix!r}")
    return clips


def _truth(row: Mapping[str, Any], one: UnibenchSet, where: str) -> dict[str, Any]:
    column = "emo" if one.kind == "label" else "val"
    if column not in row:
        raise ManifestError(f"{where}: expected a value {column!r}, found {', '.join(map(str, row))}")
    value = row[column]
    if one.kind == "sentiment":
        try:
            return {"valence": float(value)}
        except (TypeError, ValueError) as error:
            raise ManifestError(f"{where}: expected a number as {column}, found {value!r}") from error
    if isinstance(value, int) and 0 <= value < len(one.emotions):
        return {"emotion": one.emotions[value]}
    if not isinstance(value, str):
        raise ManifestError(f"{where}: expected an emotion or its number below {len(one.emotions)}, found {value!r}")
    return {"emotion": value}
