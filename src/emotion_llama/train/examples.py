"""Training examples as arrays on disk: features, observations in words, label, person, side of the split."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from emotion_llama.clip import Observation

_OBSERVATIONS = TypeAdapter(tuple[Observation, ...])
Side = str
"""train, validation or test."""


@dataclass(frozen=True)
class Example:
    """One voice recording or one face picture. `emotion` is canonical; `person` keeps people on one side."""

    id: str
    corpus: str
    emotion: str
    person: str
    side: Side
    transcript: str | None
    observations: tuple[Observation, ...]
    arrays: dict[str, NDArray[np.float32]]


def save_examples(examples: Sequence[Example], path: Path) -> None:
    """Write examples to one `.npz`; all have the same arrays. Temporary name, then rename."""
    records = [
        {
            "id": e.id,
            "corpus": e.corpus,
            "emotion": e.emotion,
            "person": e.person,
            "side": e.side,
            "transcript": e.transcript,
            "observations": [o.model_dump(mode="json", exclude_defaults=True) for o in e.observations],
        }
        for e in examples
    ]
    arrays = {name: np.stack([e.arrays[name] for e in examples]) for name in examples[0].arrays}
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".part.npz")
    np.savez(temporary, records=np.array(json.dumps(records)), **arrays)  # type: ignore[arg-type]
    temporary.replace(path)


def load_examples(path: Path) -> list[Example]:
    """Read what `save_examples` wrote."""
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files if name != "records"}
        records = json.loads(str(file["records"]))
    return [
        Example(
            **{key: value for key, value in record.items() if key != "observations"},
            observations=_OBSERVATIONS.validate_python(record["observations"]),
            arrays={name: values[row] for name, values in arrays.items()},
        )
        for row, record in enumerate(records)
    ]
