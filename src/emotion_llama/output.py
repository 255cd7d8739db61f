"""Where an export goes: nothing is overwritten unasked, and what was not finished leaves nothing behind."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from emotion_llama.assets.sources import is_disk_full
from emotion_llama.errors import OutputError, UsageError

MARKER = "export.json"
"""Written last into every exported folder: what it was made from. Only a folder with it is ever replaced."""


@contextmanager
def new_folder(out: Path, *, source: Path, overwrite: bool) -> Iterator[Path]:
    """Give a folder to fill; it becomes `out` when the block ends well and vanishes when it does not.

    Raises `UsageError` if `out` is taken (see `check_free`), `OutputError` if it cannot be written or the disk is full.
    """
    check_free(out, source=source, overwrite=overwrite)
    with _partial(out) as partial:
        yield partial
        old = partial.with_suffix(".old")
        if out.exists():
            out.replace(old)
        partial.replace(out)
        shutil.rmtree(old, ignore_errors=True)


@contextmanager
def new_files(outs: Sequence[Path], *, overwrite: bool) -> Iterator[Path]:
    """Give a folder in which to write files with the names of `outs` (all in one place); moved there at the end.

    The first of `outs` is moved last. Raises `UsageError` and `OutputError` like `new_folder`.
    """
    for out in outs:
        if out.is_dir() or (out.exists() and not overwrite):
            raise UsageError(f"--out: {out} is there already; add --overwrite or give another name")
    with _partial(outs[0]) as partial:
        yield partial
        for out in reversed(outs):
            (partial / out.name).replace(out)


def check_free(out: Path, *, source: Path, overwrite: bool) -> None:
    """Raise `UsageError` unless `out` is absent, empty, or an earlier export that may be overwritten."""
    if out.is_file():
        raise UsageError(f"--out {out}: expected a folder, found a file; give another name")
    if source.resolve().is_relative_to(out.resolve()):
        raise UsageError(f"--out {out}: the checkpoint {source} itself lies there; give a folder of its own")
    if not out.is_dir() or not any(out.iterdir()):
        return
    if not overwrite:
        raise UsageError(f"--out {out}: the folder is not empty; add --overwrite or give another one")
    if not (out / MARKER).is_file():
        raise UsageError(
            f"--out {out}: --overwrite replaces earlier exports only, and this folder has no {MARKER}; "
            "empty it yourself or give another one"
        )


def require_space(out: Path, needed_bytes: int) -> None:
    """Raise `OutputError` if the disk of `out` has less room than `needed_bytes`."""
    parent = next(folder for folder in out.absolute().parents if folder.is_dir())
    free = shutil.disk_usage(parent).free
    if free < needed_bytes:
        raise OutputError(f"{out}: {needed_bytes} bytes needed, {free} free on its disk; make room or choose another")


@contextmanager
def _partial(out: Path) -> Iterator[Path]:
    folder = out.parent / f".{out.name}.{os.getpid()}.partial"
    try:
        folder.mkdir(parents=True)
        yield folder
    except (OSError, SafetensorError) as error:
        full = is_disk_full(error) or "No space left" in str(error)
        why = f"the disk is full ({error}); make room or choose another" if full else f"cannot be written: {error}"
        raise OutputError(f"{out}: {why}; nothing was left behind") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
