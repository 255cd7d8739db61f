"""Who trains, who validates, who is for the test: every item gets a side, and no person is on two."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

from emotion_llama.datasets.splits import Split, read_split
from emotion_llama.errors import ManifestError
from emotion_llama.train.config import DataSettings, Source, SplitShares
from emotion_llama.train.sources import SIDES, Item, Side


def assign_sides(items: Sequence[Item], source: Source, data: DataSettings, seed: int) -> list[Item]:
    """Give every item of one source its side.

    Raises `ManifestError` for a clip without a speaker where the split goes by speaker, a speaker on two sides, or a
    training side without a clip.
    """
    if source.side is not None:
        sided = [replace(item, side=source.side) for item in items]
    elif source.split is None or source.split == "official":
        sided = list(items)
    elif isinstance(source.split, SplitShares):
        sided = _by_shares(items, source.split, seed)
    elif source.split == "folds":
        sided = _by_fold(items, data, seed)
    else:
        sided = _by_file(items, _find_split(source.split, data.root))
    sided = _limited(sided, source, seed)
    _check(sided, source)
    return sided


def check_people(items: Sequence[Item], sources: Sequence[Source]) -> None:
    """Raise `ManifestError` if a person, or a recording, is on two sides.

    A data set's own split (`split: official`) is taken as published: its people may recur within it, never between it
    and another source.
    """
    official = {source.name for source in sources if source.split == "official"}
    people: dict[str, dict[Side, set[str]]] = defaultdict(lambda: defaultdict(set))
    files: dict[tuple[str, float | None], dict[Side, str]] = defaultdict(dict)
    for item in items:
        if item.side is None:
            continue
        if item.clip.speaker is not None:
            people[item.clip.speaker][item.side].add(item.source)
        if item.clip.path is not None:
            files[str(item.clip.path.resolve()), item.clip.start_s].setdefault(item.side, item.source)
    shared = [(f"recording {Path(name).name}", sides) for (name, _), sides in files.items() if len(sides) > 1]
    for person, by_side in people.items():
        names = {name for found in by_side.values() for name in found}
        if len(by_side) > 1 and not (len(names) == 1 and names <= official):
            shared.append((f"speaker {person!r}", {side: ", ".join(sorted(n)) for side, n in by_side.items()}))
    if shared:
        what, sides = shared[0]
        found = " and ".join(f"{side} (source {name})" for side, name in sides.items())
        raise ManifestError(
            f"{what} is on {found}, and {len(shared) - 1} more like this; what trains, what chooses the checkpoint and "
            "what is scored must be apart: use one split file for all sources, or exclude the speaker"
        )


def shuffled_truth(items: Sequence[Item], seed: int) -> list[Item]:
    """Give what trains the truth (label and written reasoning) of another training clip of its source, by `seed`.

    A control: a model trained on it can know nothing, so what it scores on validation people above chance is a leak.
    The other sides keep their truth; general questions and clips without a label keep theirs too.
    """
    found = list(items)
    places: dict[str, list[int]] = defaultdict(list)
    for place, item in enumerate(items):
        if item.side == "train" and item.label is not None and item.question is None:
            places[item.source].append(place)
    for source, mine in places.items():
        others = random.Random(f"{seed}-truth-{source}").sample(mine, len(mine))
        for place, other in zip(mine, others, strict=True):
            truth = items[other].clip
            clip = items[place].clip.model_copy(update={"emotion": truth.emotion, "reasoning": truth.reasoning})
            found[place] = replace(items[place], label=items[other].label, clip=clip)
    return found


def _find_split(name: str, root: str) -> Split:
    for path in (Path(name), Path(root) / name):
        if path.is_file():
            return read_split(path)
    shipped = files("emotion_llama.datasets") / f"{name.replace('-', '_')}_split.json"
    if not shipped.is_file():
        raise ManifestError(
            f"split {name!r}: expected official, folds, a shipped split (ravdess, emodb, crema_d), shares, or a file"
        )
    return read_split(Path(str(shipped)))


def _by_file(items: Sequence[Item], split: Split) -> list[Item]:
    found = []
    for item in items:
        side = split.side_of(item.clip.speaker) if item.clip.speaker is not None else None
        if side is None:
            raise ManifestError(
                f"source {item.source}, clip {item.clip.clip}: speaker {item.clip.speaker!r} is on no side of split "
                f"{split.name!r}; name the speaker there, or exclude it"
            )
        found.append(replace(item, side=side))  # type: ignore[arg-type]  # one of SIDES
    return found


def _by_shares(items: Sequence[Item], shares: SplitShares, seed: int) -> list[Item]:
    """Draw speakers for validation and test; items whose side the manifest names keep it."""
    free = [item for item in items if item.side is None]
    units = sorted({_unit(item, shares.unit) for item in free})
    random.Random(f"{seed}-split").shuffle(units)
    validation, test = (round(share * len(units)) for share in (shares.validation, shares.test))
    if shares.validation and not validation:
        validation = 1
    if free and len(units) < validation + test + 1:
        raise ManifestError(
            f"source {free[0].source}: {len(units)} {shares.unit}s are too few to hold some back for validation; "
            "give a validation manifest (validation_path), or split by unit: clip"
        )
    sides: dict[str, Side] = {unit: "train" for unit in units}
    sides |= {unit: "validation" for unit in units[:validation]}
    sides |= {unit: "test" for unit in units[validation : validation + test]}
    return [item if item.side is not None else replace(item, side=sides[_unit(item, shares.unit)]) for item in items]


def _by_fold(items: Sequence[Item], data: DataSettings, seed: int) -> list[Item]:
    """Fold `data.fold` of the speakers is for the test, the next one validates, the others train.

    The order of the speakers does not depend on the run's seed: all runs of a cross-validation share one partition.
    """
    del seed
    units = sorted({_unit(item, "speaker") for item in items})
    if len(units) < data.folds:
        raise ManifestError(
            f"source {items[0].source}: {len(units)} speakers are too few for {data.folds} folds; lower data.folds"
        )
    random.Random("folds").shuffle(units)
    place = {unit: number % data.folds for number, unit in enumerate(units)}
    held = {data.fold: "test", (data.fold + 1) % data.folds: "validation"}
    return [replace(item, side=held.get(place[_unit(item, "speaker")], "train")) for item in items]  # type: ignore[arg-type]


def _unit(item: Item, unit: str) -> str:
    if unit == "clip":
        return item.clip.clip
    if item.clip.speaker is None:
        raise ManifestError(
            f"source {item.source}, clip {item.clip.clip}: expected a speaker to split by, found none; add a column "
            "speaker, or set split: {unit: clip} (its validation scores will be too good if people recur)"
        )
    return item.clip.speaker


def _limited(items: Sequence[Item], source: Source, seed: int) -> list[Item]:
    """Keep at most `limit` training clips of each label, and a quarter as many on the other sides."""
    if source.limit is None:
        return list(items)
    groups: dict[tuple[Side | None, str | None], list[int]] = defaultdict(list)
    for place, item in enumerate(items):
        groups[item.side, item.label].append(place)
    kept: list[int] = []
    for (side, label), places in sorted(groups.items(), key=lambda pair: str(pair[0])):
        random.Random(f"{seed}-{source.name}-{side}-{label}").shuffle(places)
        kept += places[: source.limit if side == "train" else max(1, source.limit // 4)]
    return [items[place] for place in sorted(kept)]


def _check(items: Sequence[Item], source: Source) -> None:
    lost = next((item for item in items if item.side not in SIDES), None)
    if lost is not None:
        raise ManifestError(
            f"source {source.name}, clip {lost.clip.clip}: it is on no side; this kind has no split of its own: set "
            "split to shares by speaker, folds or a split file, or add a column split"
        )
