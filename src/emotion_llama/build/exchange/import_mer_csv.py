"""mer-csv: the label files of MER2023 to MER2026: name, discrete, perhaps valence; or name, openset (free words)."""

from __future__ import annotations

import math
from collections.abc import Iterator

from emotion_llama.build.entry import Part
from emotion_llama.build.exchange.source import Imported, ImportSource, entry_of
from emotion_llama.clip import Clip
from emotion_llama.datasets.mer import SUBSETS, read_mer
from emotion_llama.errors import ManifestError, UsageError
from emotion_llama.manifest import read_csv_rows


def import_mer_csv(source: ImportSource) -> Imported:
    """Read a folder of one challenge, or one label file. The names of known files tell the subset, and so the side.

    Other files need the columns name and discrete, or name and openset; their words are kept as they are. Raises
    `ManifestError` for other columns, `UsageError` for a folder with several subsets of which none is named.
    """
    subset = source.options.subset or _known_subset(source)
    recordings = source.recordings() if source.options.media else {}
    if subset is not None:
        clips, part = read_mer(source.folder, subset), _part(subset)
    else:
        clips, part = list(_clips(source)), None
    for clip in clips:
        path = recordings.get(clip.clip)
        yield entry_of(clip if path is None else clip.model_copy(update={"path": path}), part)


def _known_subset(source: ImportSource) -> str | None:
    """Give the subset whose label file this is, or lies in the folder; `None` for a file of another name."""
    if source.path.is_file():
        return next((name for name, form in SUBSETS.items() if source.path.name in form.label_files), None)
    found = [name for name, form in SUBSETS.items() if any(any(source.path.rglob(file)) for file in form.label_files)]
    if not found:
        raise ManifestError(f"{source.path}: expected a label file of MER such as train-label.csv below it, found none")
    if len(found) > 1:
        raise UsageError(f"{source.path} holds {', '.join(found)}: name one with --subset")
    return found[0]


def _part(subset: str) -> Part:
    return "train" if subset.endswith("-train") else "test"


def _clips(source: ImportSource) -> Iterator[Clip]:
    from emotion_llama.datasets.open_labels import is_openset, read_openset

    media = source.recordings("")
    if is_openset(source.path):
        for name, words in read_openset(source.path).items():
            yield Clip(clip=name, path=media.get(name), labels=words, groups={"language": "zh"})
        return
    for line, row in read_csv_rows(source.path):
        where = f"{source.path}:{line}"
        name, emotion = row.get("name", "").strip(), row.get("discrete", "").strip()
        if not name or not emotion:
            raise ManifestError(f"{where}: expected the columns name and discrete (or openset) filled, found {row}")
        valence = _valence(row.get("valence", ""), where)
        yield Clip(clip=name, path=media.get(name), emotion=emotion, valence=valence, groups={"language": "zh"})


def _valence(cell: str, where: str) -> float | None:
    if not cell.strip():
        return None
    try:
        value = float(cell)
    except ValueError as error:
        raise ManifestError(f"{where}: valence must be a number, found {cell!r}") from error
    if not math.isfinite(value):
        raise ManifestError(f"{where}: valence must be finite, found {cell!r}")
    return value
