"""Data sets and manifests → items: clips with a side, a label of their own set, and where their features come from."""

from __future__ import annotations

import hashlib
import json
import re
from collections import ChainMap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from emotion_llama.analyze.feature_files import file_name, read_clip
from emotion_llama.clip import Clip
from emotion_llama.datasets.crema_d import read_crema_d
from emotion_llama.datasets.dfew import read_dfew
from emotion_llama.datasets.emodb import read_emodb
from emotion_llama.datasets.features import read_features
from emotion_llama.datasets.fer2013 import read_fer2013
from emotion_llama.datasets.goemotions import read_goemotions
from emotion_llama.datasets.iemocap import SESSIONS, read_iemocap
from emotion_llama.datasets.meld import FILES, has_clips, read_meld
from emotion_llama.datasets.mer import SUBSETS as MER_SUBSETS
from emotion_llama.datasets.mer import read_mer
from emotion_llama.datasets.picture_folders import read_picture_folder
from emotion_llama.datasets.ravdess import read_ravdess
from emotion_llama.errors import ManifestError
from emotion_llama.labels import canonical, is_known, parse_label_set
from emotion_llama.manifest import read_manifest
from emotion_llama.train.config import DataSettings, Kind, Source

Side = Literal["train", "validation", "test"]
SIDES: tuple[Side, ...] = get_args(Side)
MAX_COMMENT_CHARACTERS = 120
"""Comments longer than this are left out: they are rarely about one emotion."""

_RAVDESS_TAKE = re.compile(r"\d\d-((?:\d\d-){5}\d\d)")
_PICTURE_SIDES: dict[str, Side] = {"train": "train", "val": "validation", "validation": "validation", "test": "test"}


@dataclass(frozen=True)
class Item:
    """One clip of one source. `side` `None` = the source does not say; `split` decides.

    `labels` is the set it is asked about, `label` its own word in it, `emotion` the canonical name (or the word
    itself, where it is not in the synonym table). `picture` is a gray face that lies in an array, not in a file;
    `arrays` are features that were extracted elsewhere. `question` makes it a general question; the answer is the
    clip's `reasoning`.
    """

    source: str
    clip: Clip
    side: Side | None
    label: str | None = None
    labels: tuple[str, ...] = ()
    picture: NDArray[np.uint8] | None = None
    arrays: Mapping[str, NDArray[np.float32]] | None = None
    question: str | None = None

    @property
    def emotion(self) -> str | None:
        """Canonical name of the label."""
        return canonical(self.label) if self.label is not None and is_known(self.label) else self.label

    @property
    def take(self) -> str:
        """The moment that was recorded: RAVDESS's views of one take share it, other clips are takes of their own."""
        match = _RAVDESS_TAKE.fullmatch(Path(self.clip.clip).stem)
        return match[1] if match else self.clip.clip

    @property
    def person(self) -> str:
        """Who is seen or heard: the speaker, or the clip itself where nobody is named."""
        return f"{self.source}/{self.clip.speaker or self.clip.clip}"


def read_source(source: Source, data: DataSettings) -> list[Item]:
    """Read one source; the sides it does not know itself are `None`. Raises `ManifestError` naming file and clip."""
    root = Path(data.root)
    found = READERS[source.kind](source, root / source.path)
    for side, path in (("validation", source.validation_path), ("test", source.test_path)):
        if path is not None:
            more = READERS[source.kind](source, root / path)
            if source.split is None:
                found = [replace(item, side=item.side or "train") for item in found]
            found += [replace(item, side=side) for item in more]  # type: ignore[arg-type]  # one of the two sides
    left_out = {*data.exclude, *source.exclude}
    chosen = [item for item in found if item.clip.speaker not in left_out and not _left_out(item, source)]
    if not chosen:
        raise ManifestError(
            f"source {source.name}: no clip is left of {root / source.path}; check exclude, leave_out and part"
        )
    folders = [root / folder for folder in source.features]
    return [_labelled(_with_features(item, folders), source) for item in chosen]


def _with_features(item: Item, folders: Sequence[Path]) -> Item:
    """Take the features from files, where the source names folders of them; the recording is then not opened.

    Raises `ManifestError`, naming the file, for a clip that has none, or features that are damaged or all zeros.
    """
    if not folders:
        return item
    name = file_name(item.clip.clip)
    found = [read_clip(folder, name) for folder in reversed(folders)]
    return replace(item, arrays=ChainMap(*found))  # type: ignore[arg-type]  # it is only read


def list_sha256(items: Iterable[Item]) -> str:
    """Give one hash over what was read: clips, people, labels, words and sides, in any order."""
    rows = sorted(
        json.dumps([i.clip.clip, i.clip.speaker, i.label, i.clip.transcript, i.side, i.clip.start_s, i.clip.end_s])
        for i in items
    )
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()


def _left_out(item: Item, source: Source) -> bool:
    """Whether the clip has one of the labels that are not read, by word or meaning."""
    return item.clip.emotion is not None and _meaning(item.clip.emotion) in map(_meaning, source.leave_out)


def _meaning(word: str) -> str:
    text = word.strip().lower()
    return canonical(text) if is_known(text) else text


def _labelled(item: Item, source: Source) -> Item:
    """Check the label against the source's set and give it in the set's own word."""
    if item.question is not None:
        return item
    labels = label_set(source)
    word = item.clip.emotion
    files = ", ".join(path for path in (source.path, source.validation_path, source.test_path) if path is not None)
    where = f"source {source.name} ({files}), clip {item.clip.clip}"
    if word is None:
        if item.clip.reasoning is None:
            raise ManifestError(
                f"{where}: expected an emotion or a reasoning to learn from, "
                "found neither; annotate it or take it out of the manifest"
            )
        return replace(item, labels=labels)
    if not labels:
        return replace(item, label=word)
    return replace(item, labels=labels, label=_own_word(word, labels, where))


def label_set(source: Source) -> tuple[str, ...]:
    """Give the label set a source's clips are asked about, lower-case; `()` for free words.

    Raises `UsageError` for an unknown set, or words that are no set.
    """
    words = source.labels if isinstance(source.labels, str) else ", ".join(source.labels)
    return parse_label_set(words) if words else ()


def _own_word(word: str, labels: tuple[str, ...], where: str) -> str:
    text = word.strip().lower()
    if text in labels:
        return text
    if is_known(text):
        wanted = canonical(text)
        for label in labels:
            if is_known(label) and canonical(label) == wanted:
                return label
    raise ManifestError(
        f"{where}: label {word!r} is not in its set ({', '.join(labels)}); add it to labels, correct it, or leave the "
        "clip out"
    )


def _clips(source: Source, clips: Iterable[Clip], side: Side | None = None) -> list[Item]:
    return [Item(source.name, clip, side) for clip in clips]


def _manifest(source: Source, path: Path) -> list[Item]:
    items = _clips(source, read_manifest(path))
    return [replace(item, side=_named_side(item.clip, path)) for item in items]


def _named_side(clip: Clip, path: Path) -> Side | None:
    """A column split or side of the manifest."""
    word = clip.groups.get("split", clip.groups.get("side"))
    if word is None:
        return None
    if str(word) not in _PICTURE_SIDES:
        raise ManifestError(f"{path}, clip {clip.clip}: split {word!r} is none of train, validation, test")
    return _PICTURE_SIDES[str(word)]


def _questions(source: Source, path: Path) -> list[Item]:
    found = []
    for clip in read_manifest(path):
        question = clip.groups.get("question")
        if not question or not clip.reasoning:
            raise ManifestError(f"{path}, clip {clip.clip}: expected a question and its answer (column reasoning)")
        found.append(Item(source.name, clip, _named_side(clip, path), question=str(question)))
    return found


def _meld(source: Source, path: Path) -> list[Item]:
    found: list[Item] = []
    for side in SIDES:
        clips = source.part == "clips" and has_clips(path, side)
        if side in FILES:
            found += _clips(source, read_meld(path, side, clips), side)
    return found


def _mer(source: Source, path: Path) -> list[Item]:
    """The subset that `part` names."""
    if source.part not in MER_SUBSETS:
        raise ManifestError(
            f"source {source.name}: part names the subset, one of {', '.join(MER_SUBSETS)}; found {source.part!r}"
        )
    return _clips(source, read_mer(path, source.part))


def _dfew(source: Source, path: Path) -> list[Item]:
    """One fold, named by `part`: its test side; `split` holds clips of its training side back for validation."""
    found = _clips(source, read_dfew(path, source.part, "train"))
    return found + _clips(source, read_dfew(path, source.part, "test"), "test")


def _iemocap(source: Source, path: Path) -> list[Item]:
    """All sessions; the one that `part` names is the test side (five-fold, people apart)."""
    if source.part and source.part not in SESSIONS:
        raise ManifestError(
            f"source {source.name}: part names the session that is the test side, {' to '.join(SESSIONS[::4])}; "
            f"found {source.part!r}"
        )
    found: list[Item] = []
    for session in SESSIONS:
        found += _clips(source, read_iemocap(path, session), "test" if session == source.part else None)
    return found


def _goemotions(source: Source, path: Path) -> list[Item]:
    """Short comments with exactly one label; names are filled in, as in the published preparation's masks."""
    found: list[Item] = []
    for name, side in (("train", "train"), ("dev", "validation"), ("test", "test")):
        for row, line in enumerate(read_goemotions(path / f"{name}.tsv")):
            if len(line.labels) == 1 and len(line.text) <= MAX_COMMENT_CHARACTERS:
                text = line.text.replace("[NAME]", "Alex").replace("[RELIGION]", "faith")
                clip = Clip(clip=f"{name}/{row}", transcript=text, emotion=line.labels[0])
                found.append(Item(source.name, clip, side))  # type: ignore[arg-type]  # one of the three sides
    return found


def _fer2013(source: Source, path: Path) -> list[Item]:
    pictures = read_fer2013(path)
    rows = zip(pictures.images, pictures.labels, pictures.splits, strict=True)
    return [
        Item(source.name, Clip(clip=f"{split}/{row}", emotion=label), _PICTURE_SIDES[split], picture=image)
        for row, (image, label, split) in enumerate(rows)
    ]


def _pictures(source: Source, path: Path) -> list[Item]:
    """The folder's own split; people of the training part are held back for validation: one in seven, by name."""
    found: list[Item] = []
    for split in ("train", "test"):
        for clip in read_picture_folder(path, split):
            if clip.speaker is None:
                raise ManifestError(
                    f"{path}, picture {clip.clip}: expected to be told who is in the picture, found nothing; "
                    "name the people in a column group of manifest.csv, so that each stays on one side"
                )
            held = int(hashlib.sha256(clip.speaker.encode()).hexdigest(), 16) % 7 == 0
            side: Side = "validation" if split == "train" and held else _PICTURE_SIDES[split]
            found.append(Item(source.name, clip, side))
    return found


def _features(source: Source, path: Path) -> list[Item]:
    """Arrays: audio (1, A), video (T, V), video_mean (1, V), both (1, A + V), stretches: audio, start, middle, end."""
    vectors = read_features(path, source.part or "CREMA-D")
    mean, moments = vectors.mean_video(), vectors.moments()
    found = []
    for row, clip in enumerate(vectors.clips):
        video = vectors.video[row, : vectors.video_len[row]]  # (T, V)
        arrays = {
            "audio": vectors.audio[row][None],
            "video": video,
            "video_mean": mean[row][None],
            "both": np.concatenate([vectors.audio[row], mean[row]])[None],
            "stretches": np.concatenate([vectors.audio[row], moments[row].ravel()])[None],
        }
        found.append(Item(source.name, clip, None, arrays=arrays))
    return found


READERS: dict[Kind, Callable[[Source, Path], list[Item]]] = {
    "manifest": _manifest,
    "ravdess": lambda source, path: _clips(source, read_ravdess(path, modality=source.part or None)),  # type: ignore[arg-type]
    "emodb": lambda source, path: _clips(source, read_emodb(path)),
    "crema-d": lambda source, path: _clips(source, read_crema_d(path, source.part or None)),  # type: ignore[arg-type]
    "features": _features,
    "fer2013": _fer2013,
    "pictures": _pictures,
    "goemotions": _goemotions,
    "meld": _meld,
    "mer": _mer,
    "dfew": _dfew,
    "iemocap": _iemocap,
    "questions": _questions,
}
"""Kind of a source → its reader."""
