"""Data sets → examples with features, each corpus once, kept in the user's cache."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from emotion_llama import assets
from emotion_llama.analyze.parts import Parts
from emotion_llama.clip import Clip
from emotion_llama.datasets.emodb import read_emodb
from emotion_llama.datasets.fer2013 import read_fer2013
from emotion_llama.datasets.picture_folders import read_picture_folder
from emotion_llama.datasets.ravdess import read_ravdess
from emotion_llama.datasets.splits import read_split, split_clips
from emotion_llama.encoders.face_tokens import head_rows
from emotion_llama.errors import ManifestError, NoStreamError
from emotion_llama.labels import canonical
from emotion_llama.media import probe, read_frame, read_waveform
from emotion_llama.media.types import SAMPLE_RATE_HZ, Frame, Waveform
from emotion_llama.perception.describe import describe_face, describe_voice, describe_words
from emotion_llama.perception.sound import perceive_sound
from emotion_llama.train.config import NanoTraining
from emotion_llama.train.examples import Example, load_examples, save_examples

T = TypeVar("T")
VERSION = "1"
"""Changes when the features below change, so that old files are not taken for new ones."""

FACE_SIDE_PX = 256
FACE_MARGIN_PX = 64
_PICTURE_SIDES = {"train": "train", "val": "validation", "test": "test"}


def voices(config: NanoTraining, data: Path, parts: Parts) -> list[Example]:
    """Extract RAVDESS and EmoDB speech by the committed splits (test people too; training never reads them)."""
    ravdess = read_ravdess(data / config.ravdess, modality="audio-only")
    emodb = read_emodb(data / config.emodb)
    found: list[Example] = []
    for corpus, clips in (("ravdess", ravdess), ("emodb", emodb)):
        sides = split_clips(clips, read_split(Path(config.splits[corpus])))
        rows = [(clip, side) for side, members in sides.items() for clip in members]
        found += _kept(f"{corpus}-voice", config, partial(_voices, rows, corpus, parts, config))
    return found


def pictures(config: NanoTraining, data: Path, parts: Parts) -> list[Example]:
    """Extract face pictures, all turned gray (colour nearly gives away a class in one set)."""
    found = _kept("fer2013", config, partial(_fer2013, config, data, parts))
    return found + _kept("pictures", config, partial(_press, config, data, parts))


def _kept(name: str, config: NanoTraining, make: Callable[[], Iterator[Example]]) -> list[Example]:
    settings = config.model_dump(include={"fer2013_per_class", "voice_augmentations", "splits", "seed"})
    splits = {corpus: Path(file).read_text(encoding="utf-8") for corpus, file in config.splits.items()}
    key = hashlib.sha256(json.dumps([VERSION, name, settings, splits], sort_keys=True).encode()).hexdigest()[:12]
    path = assets.cache_dir() / "training" / f"{name}-{key}.npz"
    if not path.exists():
        save_examples(list(make()), path)
    return load_examples(path)


def _bar(rows: list[T], name: str) -> Iterator[T]:
    yield from track(rows, description=f"extracting {name}")


def _voices(rows: list[tuple[Clip, str]], corpus: str, parts: Parts, config: NanoTraining) -> Iterator[Example]:
    for clip, side in _bar(rows, corpus):
        yield from _voice(clip, side, corpus, parts, config)


def _voice(clip: Clip, side: str, corpus: str, parts: Parts, config: NanoTraining) -> Iterator[Example]:
    assert clip.path is not None and clip.emotion is not None and clip.speaker is not None
    waveform = read_waveform(probe(clip.path))
    if waveform is None:
        raise NoStreamError(f"{clip.path}: expected a voice recording, found no sound; take it out of the data set")
    sound = perceive_sound(waveform, None, clip.transcript)
    observations = (*describe_voice(sound), *describe_words(sound.transcript))
    copies = [waveform]
    if side == "train":
        rng = np.random.default_rng([config.seed, int(hashlib.sha256(clip.clip.encode()).hexdigest()[:8], 16)])
        copies += [augment(waveform, rng) for _ in range(config.voice_augmentations)]
    for number, copy in enumerate(copies):
        features = parts.audio_encoder.features(copy)
        yield Example(
            id=clip.clip if number == 0 else f"{clip.clip}#{number}",
            corpus=corpus,
            emotion=canonical(clip.emotion),
            person=clip.speaker,
            side=side,
            transcript=clip.transcript,
            observations=observations,
            arrays={"audio": features["audio"], "audio_layers": features["audio_layers"][0]},
        )


def augment(waveform: Waveform, rng: np.random.Generator) -> Waveform:
    """Give a changed copy: noise at 10–30 dB below the speech, another level, up to 0.4 s cut from either end."""
    samples = waveform.samples
    cut = rng.integers(0, int(0.4 * SAMPLE_RATE_HZ), size=2)
    if len(samples) > 2 * SAMPLE_RATE_HZ:
        samples = samples[cut[0] : len(samples) - cut[1]]
    level = float(np.sqrt(np.mean(samples**2))) + 1e-6
    noise = rng.standard_normal(len(samples)) * level * 10 ** (-rng.uniform(10, 30) / 20)
    gain = 10 ** (rng.uniform(-8, 4) / 20)
    return Waveform(np.clip((samples + noise) * gain, -1, 1).astype(np.float32), waveform.start_s)


def _fer2013(config: NanoTraining, data: Path, parts: Parts) -> Iterator[Example]:
    everything = read_fer2013(data / config.fer2013)
    rng = np.random.default_rng(config.seed)
    for split, side in _PICTURE_SIDES.items():
        part = everything.of(split)
        limit = config.fer2013_per_class if side == "train" else config.fer2013_per_class // 4
        labels = np.array(part.labels)
        chosen = np.concatenate(
            [rng.permutation(np.flatnonzero(labels == name))[:limit] for name in sorted(set(labels))]
        )
        for row in _bar(chosen.tolist(), f"fer2013 {split}"):
            found = _face(part.images[row], f"fer2013/{split}/{row}", str(labels[row]), f"{split}/{row}", side, parts)
            if found is not None:
                yield found


def _press(config: NanoTraining, data: Path, parts: Parts) -> Iterator[Example]:
    """Press pictures: one person in seven of the training part becomes the validation part."""
    for split in ("train", "test"):
        for clip in _bar(read_picture_folder(data / config.pictures, split), f"pictures {split}"):
            assert clip.path is not None and clip.emotion is not None
            if clip.speaker is None:
                raise ManifestError(
                    f"{clip.path}: expected to be told who is in the picture, found nothing; "
                    "name the people in a column group of manifest.csv, so that each stays on one side"
                )
            gray = np.asarray(read_frame(clip.path, 0.0).rgb.mean(axis=2), dtype=np.uint8)
            held = int(hashlib.sha256(clip.speaker.encode()).hexdigest(), 16) % 7 == 0
            side = "validation" if split == "train" and held else split
            found = _face(gray, f"pictures/{clip.clip}", clip.emotion, clip.speaker, side, parts)
            if found is not None:
                yield found


def _face(gray: NDArray[np.uint8], name: str, label: str, person: str, side: str, parts: Parts) -> Example | None:
    """Features of one gray face picture; `None` where no face is found (the picture is then not used)."""
    inner = FACE_SIDE_PX - 2 * FACE_MARGIN_PX if max(gray.shape) < FACE_SIDE_PX // 2 else FACE_SIDE_PX
    large = cv2.resize(gray, (inner, inner), interpolation=cv2.INTER_CUBIC)
    border = FACE_MARGIN_PX
    framed = cv2.copyMakeBorder(large, border, border, border, border, cv2.BORDER_REPLICATE)
    frame = Frame(np.repeat(framed[:, :, None], 3, axis=2), 0, 0.0)
    faces = parts.face_reader.read([frame])
    if faces.main is None or faces.action_units is None or faces.expressions is None or faces.face_features is None:
        return None
    crop = faces.tracks[faces.main].samples[0].crop[None]
    rows = head_rows(faces.face_features, faces.expressions, parts.opinion_net(crop), faces.action_units.intensity)
    return Example(
        id=name,
        corpus=name.split("/")[0],
        emotion=canonical(label),
        person=person,
        side=side,
        transcript=None,
        observations=tuple(describe_face(faces)),
        arrays={
            "global": parts.global_encoder(frame.rgb),
            "local": np.hstack([faces.face_features, np.log(np.maximum(faces.expressions, 1e-4))])[0].astype(
                np.float32
            ),
            "head_row": rows[0],
            "action_units": faces.action_units.intensity[0],
        },
    )
