"""Reader of CTranslate2's `model.bin` (binary version 6), as far as Whisper needs it.

Little-endian: uint32 version, string name, uint32 revision, uint32 variables; then for each variable its name, uint8
rank, uint32 sizes, uint8 type, uint32 bytes, data. A string is a uint16 length and the bytes, ending in NUL.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_llama.errors import AssetCorruptError

_VERSION = 6
_TYPES = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}


class _Cursor:
    """Walks over the bytes of the file."""

    def __init__(self, content: memoryview) -> None:
        self.content = content
        self.position = 0

    def take(self, count: int) -> memoryview:
        piece = self.content[self.position : self.position + count]
        if len(piece) < count:
            raise ValueError(f"ends at byte {len(self.content)}, {count} more were expected at {self.position}")
        self.position += count
        return piece

    def number(self, code: str) -> int:
        return int(struct.unpack(f"<{code}", self.take(struct.calcsize(code)))[0])

    def text(self) -> str:
        return bytes(self.take(self.number("H"))).rstrip(b"\0").decode()

    def array(self) -> NDArray[Any]:
        shape = [self.number("I") for _ in range(self.number("B"))]
        type_code = self.number("B")
        if type_code not in _TYPES:
            raise ValueError(f"unknown number type {type_code} before byte {self.position}")
        return np.frombuffer(self.take(self.number("I")), dtype=_TYPES[type_code]).reshape(shape)


def read_variables(path: Path, prefix: str = "") -> dict[str, NDArray[Any]]:
    """The variables whose name starts with `prefix`, by name without it. Raises `AssetCorruptError` naming the file."""
    cursor = _Cursor(memoryview(path.read_bytes()))
    variables: dict[str, NDArray[Any]] = {}
    try:
        version = cursor.number("I")
        if version != _VERSION:
            raise ValueError(f"binary version {version}, {_VERSION} is wanted")
        cursor.text()
        cursor.number("I")
        for _ in range(cursor.number("I")):
            name, array = cursor.text(), cursor.array()
            if name.startswith(prefix):
                variables[name.removeprefix(prefix)] = array
    except ValueError as error:  # also undecodable names and sizes that do not fit
        raise AssetCorruptError(
            f"{path}: not a CTranslate2 model ({error}); delete it and run: emotion-llama fetch nano"
        ) from error
    return variables
