"""What became of the tensors of a released file: found, mapped, left out with the reason, missing, not known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from emotion_llama.errors import ModelError
from emotion_llama.official.keys import Fate

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class FileTable:
    """The account of one file. `mapped`: its tensor → name in our folder. `left_out`: its tensor → the reason.

    `missing`: names that our folder needs and the file lacks; `unknown`: tensors that nothing is known of.
    """

    file: Path
    what: str
    mapped: Mapping[str, str] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()

    @property
    def found(self) -> int:
        """Tensors in the file."""
        return len(self.mapped) + len(self.left_out) + len(self.unknown)

    def reasons(self) -> dict[str, int]:
        """How many tensors were left out for each reason."""
        return dict(Counter(self.left_out.values()))

    def check(self) -> None:
        """Raise `ModelError` unless every tensor is accounted for and none is missing."""
        if self.unknown:
            raise ModelError(
                f"{self.file}: {len(self.unknown)} of {self.found} tensors are not known in {self.what}: "
                f"{_some(self.unknown)}; is it the file that its option asks for?"
            )
        if self.missing:
            raise ModelError(
                f"{self.file}: {len(self.missing)} tensors of {self.what} are missing: {_some(self.missing)}; "
                "the file is of another model, or cut short"
            )


def account(file: Path, what: str, shapes: Shapes, fate: Callable[[str], Fate], expected: Shapes) -> FileTable:
    """Account for the tensors of a file, given by name and shape, against the `expected` ones of our folder.

    Raises `ModelError` for a tensor of another shape than the one that it becomes. Names that several tensors become
    together (a bias in parts) are not compared.
    """
    mapped: dict[str, str] = {}
    left_out: dict[str, str] = {}
    unknown: list[str] = []
    for key in shapes:
        end = fate(key)
        if end.reason is not None:
            left_out[key] = end.reason
        elif end.name is not None and end.name in expected:
            mapped[key] = end.name
        else:
            unknown.append(key)
    shared = {name for name, count in Counter(mapped.values()).items() if count > 1}
    for key, name in mapped.items():
        if name not in shared and shapes[key] != expected[name]:
            raise ModelError(
                f"{file}: {key} expected shape {expected[name]}, found {shapes[key]}; the file is of another model"
            )
    missing = tuple(sorted(set(expected) - set(mapped.values())))
    return FileTable(file, what, mapped, left_out, missing, tuple(sorted(unknown)))


def _some(names: Iterable[str], most: int = 4) -> str:
    listed = list(names)
    return ", ".join(listed[:most]) + (f" and {len(listed) - most} more" if len(listed) > most else "")
