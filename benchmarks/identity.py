"""Make the axes along which faces differ (`perception/identity.npz`), and see how well they tell people apart.

    python benchmarks/identity.py --data DATA [--write] [--json docs/identity.json]

DATA holds `faces/muxspace_balanced128` (pictures of public figures, many a person). The axes are made of the training
side: of everybody with two pictures or more, at most four. Whether two pictures show one person is then asked of
people of the test side, whom the axes have not seen: AUROC over pairs (chance .5), and at the bound that joins tracks
the share of strangers that it would join and of pairs of one person that it finds. Single pictures say less than
tracks, which are compared by the mean of twelve.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from emotion_llama.analyze.analyzer import load
from emotion_llama.analyze.parts import Parts
from emotion_llama.clip import Clip
from emotion_llama.datasets.picture_folders import read_picture_folder
from emotion_llama.media import iter_frames, probe
from emotion_llama.perception import identity
from emotion_llama.perception.identity import COLOURS_UNKNOWN, Seen, Space, shapes, space_of, unlike

PICTURES = "faces/muxspace_balanced128"
MOST_PICTURES = 4
"""Of one person: a few people have a hundred pictures, and would be the axes."""

LOOK_AXES, SHAPE_AXES = 150, 24
ROOT = Path(__file__).resolve().parent.parent
FILE = ROOT / "src/emotion_llama/perception" / identity.IDENTITY_FILE


@dataclass(frozen=True)
class Face:
    """One picture: whose, the expression net's map in quarters (512,), rigid points of the mesh (72,)."""

    person: str
    look: NDArray[np.float32]
    shape: NDArray[np.float64]


def chosen(clips: Sequence[Clip], most: int = MOST_PICTURES) -> list[Clip]:
    """Give the first `most` pictures of everybody who has two or more, by name."""
    by_person: dict[str, list[Clip]] = defaultdict(list)
    for clip in sorted(clips, key=lambda one: one.clip):
        if clip.speaker is not None:
            by_person[clip.speaker].append(clip)
    return [clip for some in by_person.values() if len(some) > 1 for clip in some[:most]]


def look_at(clips: Sequence[Clip], parts: Parts, about: str) -> list[Face]:
    """Measure the main face of each picture; pictures without one are left out."""
    found = []
    for clip in track(clips, about):
        assert clip.path is not None and clip.speaker is not None
        faces = parts.face_reader.read(iter_frames(probe(clip.path)))
        if faces.main is not None:
            sample = faces.tracks[faces.main].samples[0]
            look = parts.expression_net.grid(sample.crop[None])[0]
            found.append(Face(clip.speaker, look, shapes(sample.mesh_px[None])[0]))
    return found


def spaces_of(faces: Sequence[Face]) -> tuple[Space, Space]:
    """The axes of looks and of shapes."""
    return (
        space_of(np.stack([face.look for face in faces]), LOOK_AXES),
        space_of(np.stack([face.shape for face in faces]), SHAPE_AXES),
    )


def stored(spaces: tuple[Space, Space], people: int) -> dict[str, NDArray[Any]]:
    """What is written: the arrays of both spaces, and of how many people they are. Looks in half precision."""
    look, shape = spaces
    return {
        "look_mean": look.mean.astype(np.float16), "look_axes": look.axes.astype(np.float16),
        "shape_mean": shape.mean, "shape_axes": shape.axes, "people": np.array(people),
    }  # fmt: skip


def distances(faces: Sequence[Face], spaces: tuple[Space, Space]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """How unlike every two pictures are, colours not known, and whether they show one person."""
    looks = spaces[0].place(np.stack([face.look for face in faces]))
    forms = spaces[1].place(np.stack([face.shape for face in faces]))
    seen = [Seen(look, form, None, frozenset()) for look, form in zip(looks, forms, strict=True)]
    pairs = list(combinations(range(len(faces)), 2))
    far = np.array([unlike(seen[one], seen[other]) for one, other in pairs])
    same = np.array([faces[one].person == faces[other].person for one, other in pairs])
    return far, same


def scores(far: NDArray[np.float64], same: NDArray[np.bool_]) -> Mapping[str, Any]:
    """AUROC of nearness for one person, and what the bound does."""
    order = np.argsort(far, kind="stable")
    ranks = np.empty(len(far))
    ranks[order] = np.arange(1, len(far) + 1)
    ones, others = int(same.sum()), int((~same).sum())
    below = (ranks[~same].sum() - others * (others + 1) / 2) / (ones * others)
    return {
        "pairs of one person": ones,
        "pairs of strangers": others,
        "auroc": round(float(below), 3),
        "bound": identity.SAME_PERSON,
        "colours": COLOURS_UNKNOWN,
        "one person found": round(float((far[same] < identity.SAME_PERSON).mean()), 3),
        "strangers joined": round(float((far[~same] < identity.SAME_PERSON).mean()), 4),
    }


def main() -> int:
    """Make the axes of the training side, judge them on the test side; gives the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--write", action="store_true", help="put the axes into the package")
    parser.add_argument("--json", type=Path, help="write the scores to this file")
    options = parser.parse_args()
    parts = load("nano", keep_features=False).parts
    folder = options.data / PICTURES
    learned = look_at(chosen(read_picture_folder(folder, "train")), parts, "training side")
    asked = look_at(chosen(read_picture_folder(folder, "test")), parts, "test side")
    people = len({face.person for face in learned})
    arrays = stored(spaces_of(learned), people)
    if options.write:
        np.savez(FILE, **arrays)
    spaces = tuple(
        Space(arrays[f"{name}_mean"].astype(np.float32), arrays[f"{name}_axes"].astype(np.float32))
        for name in ("look", "shape")
    )
    far, same = distances(asked, (spaces[0], spaces[1]))
    found = {
        "made of": {"people": people, "pictures": len(learned)},
        "asked about": {"people": len({face.person for face in asked}), "pictures": len(asked), **scores(far, same)},
    }
    print(json.dumps(found, indent=1))
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
