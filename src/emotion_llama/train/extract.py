"""Items → examples: every clip goes once through perception and the encoders, on all cores; the results stay cached.

A cache entry is named by the content of the recording, the span, the step's version and the settings: a manifest that
changed since finds its unchanged clips, and only new or changed recordings are extracted again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter
from safetensors import SafetensorError, safe_open

from emotion_llama import assets
from emotion_llama.analyze.features import encode
from emotion_llama.analyze.parts import Parts
from emotion_llama.analyze.perceive import Stopwatch, is_heard, perceive
from emotion_llama.clip import Observation, Transcript
from emotion_llama.encoders.features import FeatureCache, Features, StoredArrays, feature_key
from emotion_llama.encoders.own import encoder_folder, encoder_sha256
from emotion_llama.errors import MediaError
from emotion_llama.media import read_frame
from emotion_llama.media.listing import SOUND
from emotion_llama.model.checkpoint import read_config
from emotion_llama.perception.describe import describe_words
from emotion_llama.scale.spread import Engine, Failure, spread
from emotion_llama.settings import AnalyzeSettings
from emotion_llama.train.alteration import Altered
from emotion_llama.train.build import checkpoint_folder
from emotion_llama.train.config import ModelSettings, Source, TrainConfig
from emotion_llama.train.examples import Example, example_of
from emotion_llama.train.face_pictures import encode_face_picture, to_gray
from emotion_llama.train.hashes import FileHashes
from emotion_llama.train.progress import working
from emotion_llama.train.sources import Item

VERSION = "3"
"""Part of every key: changes when the features below change, so that old entries are not taken for new ones."""

SOUND_VERSION = "1"
"""Part of the keys of recordings: changes when only the features of sound change."""

FACE_VERSION = "3"
"""Part of the keys of what may show a face: changes when only the features of faces change."""

MOVING_VERSION = "1"
"""Part of the keys of recordings that may show a face: changes when only the features of moving faces change."""

NOTES = "notes"
"""Name of the array that holds the words and observations of a clip, as JSON bytes."""

_OBSERVATIONS = TypeAdapter(tuple[Observation, ...])


@dataclass(frozen=True)
class Task:
    """One clip or altered copy to extract, with everything that a worker needs and that decides the result.

    `face`: a picture of a research set that shows one face, turned gray, without sound.
    """

    item: Item
    copy: int
    key: str
    face: bool
    words: str
    without: tuple[Any, ...]
    augment: dict[str, Any]
    seed: int


@dataclass(frozen=True)
class LeftOut:
    """A clip that could not be used, and why."""

    clip: str
    reason: str


@dataclass(frozen=True)
class Extracted:
    """All usable examples, and what was left out. `fresh`: how many were not in the cache."""

    examples: list[Example]
    left_out: list[LeftOut] = field(default_factory=list)
    fresh: int = 0


def cache_folder() -> Path:
    """Where training features lie."""
    return assets.cache_dir() / "training"


def extract(
    items: Sequence[Item], config: TrainConfig, *, jobs: int = 1, engine: Engine = "local", address: str | None = None
) -> Extracted:
    """Give the examples of all items, extracting what the cache lacks on `jobs` workers, with progress.

    A recording that cannot be read, or a picture without a face, is left out and named. Raises `OutputError` if the
    cache cannot be written.
    """
    cache = FeatureCache(cache_folder())
    sources = {source.name: source for source in config.data.sources}
    hashes = FileHashes(cache_folder() / "hashes.json")
    encoders, released = own_encoders(config.model)
    known = {name: encoder_sha256(folder) for name, folder in encoders.items()}
    tasks: list[Task] = []
    lost: list[LeftOut] = []
    for item in items:
        if _is_recording(item):
            try:
                tasks += _tasks(item, sources[item.source], config, hashes, known)
            except OSError as error:
                lost.append(LeftOut(f"{item.source}/{item.clip.clip}", f"cannot be read: {error}"))
    hashes.save()
    missing = [task for task in tasks if not _whole(cache.path(task.key))]
    make = partial(_worker, cache_folder(), {name: str(folder) for name, folder in encoders.items()}, released)
    with closing(spread(make, missing, jobs=jobs, engine=engine, address=address)) as done:
        for index, result in working(done, total=len(missing), about="extracting features"):
            if isinstance(result, Failure):
                lost.append(LeftOut(_name(missing[index]), result.error))
    ready = [item for item in items if not _is_recording(item)]
    examples = [_example(item, sources[item.source]) for item in ready]
    for task in tasks:
        found = _stored(task, cache)
        if isinstance(found, Example):
            examples.append(found)
        elif found is not None:
            lost.append(found)
    return Extracted(examples, lost, len(missing))


def own_encoders(settings: ModelSettings) -> tuple[dict[str, Path], bool]:
    """Folders of the encoders that stand in for `nano`'s, by feature, and whether they are those of a released model.

    Those of the checkpoint that is gone on with, and over them what the settings name.
    """
    found: dict[str, Path] = {}
    released = False
    if settings.init is not None:
        folder = checkpoint_folder(settings.init)
        config = read_config(folder)
        released = config.wording == "official"
        found = {name: encoder_folder(path, folder).resolve() for name, path in config.encoders.items()}
    return found | {str(name): encoder_folder(path).resolve() for name, path in settings.encoders.items()}, released


def _is_recording(item: Item) -> bool:
    """Whether there is something to look at or listen to, and its features are not given."""
    return item.arrays is None and (item.clip.path is not None or item.picture is not None)


def _tasks(item: Item, source: Source, config: TrainConfig, hashes: FileHashes, encoders: dict[str, str]) -> list[Task]:
    """The clip itself, and its altered copies where it trains. `encoders`: hashes of the own encoders."""
    picture = item.picture
    content = hashes.of(_path(item)) if picture is None else hashlib.sha256(picture.tobytes()).hexdigest()
    face = item.picture is not None or source.kind == "pictures"
    copies = source.copies if item.side == "train" and not face else 0
    found = []
    for copy in range(copies + 1):
        augment = config.data.augment.model_dump(mode="json") if copy else {}
        settings = {
            "kind": "face" if face else "clip",
            "words": source.words,
            "transcript": item.clip.transcript if source.words == "given" else None,
            "without": list(source.without),
            "copy": copy,
            "augment": augment,
            "seed": config.seed if copy else 0,
            **({} if _only_heard(item, source) else {"face_version": FACE_VERSION}),
            **({} if face else {"sound_version": SOUND_VERSION}),
            **({} if face or _only_heard(item, source) else {"moving_version": MOVING_VERSION}),
            # the own encoders by what they are; left out where there are none, so that such keys stay as they were
            **({"encoders": encoders} if encoders else {}),
        }
        span = (item.clip.start_s, item.clip.end_s)
        key = feature_key(content, span, "example", VERSION, settings)
        found.append(Task(item, copy, key, face, source.words, source.without, augment, config.seed))
    return found


def _only_heard(item: Item, source: Source) -> bool:
    """Whether nothing of a clip is looked at: a sound file, or a recording whose picture is left out."""
    if item.picture is not None or source.kind == "pictures":
        return False
    return "video" in source.without or _path(item).suffix.lower() in SOUND


def _worker(folder: Path, encoders: dict[str, str], released: bool) -> Callable[[Task], None]:
    """Made once in each worker process: the parts that are shared by its clips."""
    cache = FeatureCache(folder)
    parts = Parts(
        folder,
        "cpu",
        int(os.environ.get("OMP_NUM_THREADS", "1")),
        keep_features=False,
        encoders=encoders,
        released=released,
    )

    def work(task: Task) -> None:
        cache.get_or_compute(task.key, lambda: _extract(task, parts))

    return work


def _extract(task: Task, parts: Parts) -> Features:
    """Encoder outputs and notes of one task; a picture without a face is an entry of its own, not tried again."""
    try:
        features, transcript, observations = _look(task, parts)
    except MediaError as error:
        if not task.face:
            raise
        return {NOTES: _notes({"left_out": str(error)})}
    listed = [o.model_dump(mode="json", exclude_defaults=True) for o in observations]
    return {**features, NOTES: _notes({"transcript": transcript, "observations": listed})}


def _look(task: Task, parts: Parts) -> tuple[Features, str | None, tuple[Observation, ...]]:
    item = task.item
    if task.face:
        gray = item.picture if item.picture is not None else to_gray(read_frame(_path(item), 0.0).rgb)
        features, seen = encode_face_picture(gray, item.clip.clip, parts)
        return features, None, seen
    settings = AnalyzeSettings(
        without=(*task.without, *(("text",) if task.words == "none" else ())), transcribe=task.words == "heard"
    )
    clip = item.clip if task.words == "given" else item.clip.model_copy(update={"transcript": None})
    alter = Altered.draw(task.augment, f"{task.seed}-{clip.clip}-{task.copy}") if task.copy else None
    watch = Stopwatch()
    percept = perceive(clip, settings, parts, watch, alter)
    features = encode(percept, parts, is_heard(percept, settings), watch)
    return features, percept.transcript.text, percept.observations


def _path(item: Item) -> Path:
    assert item.clip.path is not None
    return item.clip.path


def _notes(notes: dict[str, Any]) -> Any:
    return np.frombuffer(json.dumps(notes).encode(), dtype=np.uint8).copy()


def _stored(task: Task, cache: FeatureCache) -> Example | LeftOut | None:
    """What the cache has of a task; `None` if its extraction failed in this run (it is named already)."""
    path = cache.path(task.key)
    if not _whole(path):
        return None
    names, notes = _read_notes(path)
    if "left_out" in notes:
        return LeftOut(_name(task), notes["left_out"])
    observations = _OBSERVATIONS.validate_python(notes["observations"])
    return example_of(task.item, StoredArrays(path, names), notes["transcript"], observations, task.copy)


def _whole(path: Path) -> bool:
    """Whether an entry is there and was not cut short."""
    try:
        _read_notes(path)
    except (OSError, SafetensorError, ValueError):
        return False
    return True


def _read_notes(path: Path) -> tuple[tuple[str, ...], dict[str, Any]]:
    with safe_open(path, framework="numpy") as file:
        names = tuple(name for name in file.keys() if name != NOTES)  # noqa: SIM118  # not a mapping
        notes: dict[str, Any] = json.loads(file.get_tensor(NOTES).tobytes())
    return names, notes


def _example(item: Item, source: Source) -> Example:
    """Text alone, or features that were extracted elsewhere: nothing to extract."""
    words = None if source.words == "none" or "text" in source.without else item.clip.transcript
    observations = tuple(describe_words(Transcript(text=words, source="given"))) if words else ()
    return example_of(item, item.arrays or {}, words, observations)


def _name(task: Task) -> str:
    return f"{task.item.source}/{task.item.clip.clip}" + (f"#{task.copy}" if task.copy else "")
