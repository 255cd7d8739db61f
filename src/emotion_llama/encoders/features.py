"""Encoder outputs on disk: arrays of one file, and a cache keyed by the content they were computed from."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load, save

from emotion_llama.errors import OutputError

Features = dict[str, NDArray[np.float32]]


class StoredArrays(Mapping[str, NDArray[np.float32]]):
    """Arrays of one file, read from it when they are asked for and not kept: memory does not grow with clips."""

    def __init__(self, path: Path, names: tuple[str, ...]) -> None:
        self.path = path
        self.names = names

    def __getitem__(self, name: str) -> NDArray[np.float32]:
        """Read one array. Raises `OutputError` if the file is gone or cut short."""
        if name not in self.names:
            raise KeyError(name)
        try:
            with safe_open(self.path, framework="numpy") as file:
                array: NDArray[np.float32] = file.get_tensor(name)
        except (OSError, SafetensorError) as error:
            raise OutputError(
                f"features {self.path}: cannot be read any more ({error}); run emotion-llama extract again"
            ) from error
        return array

    def __contains__(self, name: object) -> bool:
        """Whether there is an array of this name; nothing is read."""
        return name in self.names

    def __iter__(self) -> Iterator[str]:
        """Names of the arrays."""
        return iter(self.names)

    def __len__(self) -> int:
        """Number of arrays."""
        return len(self.names)


def feature_key(
    media_sha256: str,
    span_s: tuple[float | None, float | None],
    step: str,
    version: str,
    settings: Mapping[str, object],
) -> str:
    """Key of one step's result: sha256, as 64 hexadecimal digits, over everything that can change it.

    `media_sha256` is the recording's content hash, `span_s` the start and end in seconds (`None` = the recording's
    own), `step` and `version` name the code, `settings` are its settings as plain JSON values in any order.
    """
    content = [media_sha256, list(span_s), step, version, dict(settings)]
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


class FeatureCache:
    """Features on disk, one safetensors file a key, under `root/ab/abcd….safetensors`.

    `max_bytes` bounds the folder: when a new entry passes it, the entries written longest ago are removed; `None` sets
    no bound. Several processes may share one folder: entries are renamed into place whole.
    """

    def __init__(self, root: Path, max_bytes: int | None = None) -> None:
        self.root = root
        self.max_bytes = max_bytes

    def get_or_compute(self, key: str, compute: Callable[[], Features]) -> Features:
        """The stored features of `key`, or those of `compute()`, which are then stored.

        An entry that cannot be read is computed again and replaced. Raises `OutputError` if the folder cannot be
        written.
        """
        stored = self._read(self.path(key))
        if stored is not None:
            return stored
        features = compute()
        self._write(self.path(key), features)
        if self.max_bytes is not None:
            self._shrink(self.max_bytes, keep=self.path(key))
        return features

    def path(self, key: str) -> Path:
        """Where the entry of `key` lies, or would lie."""
        return self.root / key[:2] / f"{key}.safetensors"

    def _read(self, path: Path) -> Features | None:
        try:
            return load(path.read_bytes())
        except (OSError, SafetensorError):  # absent, unreadable, or cut short by a crash or a full disk
            return None

    def _write(self, path: Path, features: Features) -> None:
        content = save({name: np.ascontiguousarray(array) for name, array in features.items()})
        partial: Path | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False) as file:
                partial = Path(file.name)
                file.write(content)
            partial.replace(path)
        except OSError as error:
            if partial is not None:
                partial.unlink(missing_ok=True)
            raise OutputError(
                f"feature cache entry {path} cannot be written: {error}; free space or set another cache folder"
            ) from error

    def _shrink(self, max_bytes: int, keep: Path) -> None:
        entries = [(path.stat(), path) for path in self.root.glob("??/*.safetensors") if path != keep]
        total = keep.stat().st_size + sum(stat.st_size for stat, _ in entries)
        for stat, path in sorted(entries, key=lambda entry: entry[0].st_mtime_ns):
            if total <= max_bytes:
                return
            path.unlink(missing_ok=True)
            total -= stat.st_size
