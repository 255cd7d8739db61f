"""Arrays of plain Python values (dictionaries, lists, texts, numbers) in `.npz` files that others wrote.

Such files hold pickles, and a pickle may run any program. Here it may only build numpy arrays and numbers; everything
else in it is refused before it is run.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from emotion_llama.errors import ManifestError

_ALLOWED = {
    (module, name)
    for core in ("numpy.core", "numpy._core")
    for module, name in (
        (f"{core}.multiarray", "_reconstruct"),
        (f"{core}.multiarray", "scalar"),
        (f"{core}.numeric", "_frombuffer"),
        ("numpy", "ndarray"),
        ("numpy", "dtype"),
    )
}


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """Give the few functions that rebuild numpy values; refuse all others."""
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return super().find_class(module, name)


def read_object(path: Path, key: str) -> Any:
    """Read one entry of an `.npz` as plain values. Raises `ManifestError` if it is missing or not plain."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name.removesuffix(".npy") for name in archive.namelist()]
            if key not in names:
                raise ManifestError(f"{path}: expected an entry {key!r}, found {', '.join(names) or 'none'}")
            return _plain(archive.read(f"{key}.npy"))
    except (OSError, zipfile.BadZipFile, pickle.UnpicklingError, ValueError, EOFError) as error:
        raise ManifestError(f"{path}: entry {key!r} cannot be read as plain values ({error})") from error


def keys(path: Path) -> tuple[str, ...]:
    """Give the names of the entries of an `.npz`. Raises `ManifestError` if it cannot be read."""
    try:
        with zipfile.ZipFile(path) as archive:
            return tuple(name.removesuffix(".npy") for name in archive.namelist())
    except (OSError, zipfile.BadZipFile) as error:
        raise ManifestError(f"{path}: cannot be read as an .npz ({error})") from error


def _plain(content: bytes) -> Any:
    file = io.BytesIO(content)
    version = np.lib.format.read_magic(file)
    header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    _, _, dtype = header(file)
    if not dtype.hasobject:
        return np.load(io.BytesIO(content), allow_pickle=False).tolist()
    return _PlainUnpickler(file).load().tolist()
