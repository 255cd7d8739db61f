"""Clips with open-vocabulary emotion words: the files of MER2024-OV, OV-MERD and MER2025/2026, or a plain manifest.

The challenges' own form is a CSV with the columns name and openset, the latter a list as text: "['happy', 'excited']".
Sources: MERTools, MER2024/ov_store; AffectGPT, `ovlabel.csv` of OV-MERD+.
"""

from __future__ import annotations

from pathlib import Path

from emotion_llama.clip import Clip
from emotion_llama.errors import ManifestError
from emotion_llama.manifest import read_csv_rows, read_manifest
from emotion_llama.metrics.grouping import Groups, parse_words, read_groupings

OPENSET_FILES = (
    "check-openset.csv",
    "ovlabel.csv",
    "track2_train_ovmerd.csv",
    "track2_train_human.csv",
)
"""Names of label files in the challenges' releases."""
MANIFESTS = ("manifest.jsonl", "manifest.csv")
GROUP_FILES = ("groups.jsonl", "openset-synonym.zip", "openset-synonym")
"""Names that stored groups may have, ours first."""
MEDIA_SUFFIXES = (".mp4", ".avi", ".mkv", ".wav")

_EMPTY_MEANS = {"ovlabel.csv": ("neutral",)}  # so read by the code of OV-MERD+


def read_openset(path: Path) -> dict[str, tuple[str, ...]]:
    """Read a CSV with the columns name and openset: clip → words; an empty list stays empty.

    Answers in this form (`predict-openset.csv`) are read alike. Raises `ManifestError` with file and line.
    """
    found: dict[str, tuple[str, ...]] = {}
    for line, row in read_csv_rows(path):
        name = row.get("name", "").strip()
        if not name or "openset" not in row:
            raise ManifestError(f"{path}:{line}: expected the columns name and openset, found {', '.join(row)}")
        if name in found:
            raise ManifestError(f"{path}:{line}: {name!r} occurs twice; keep one line a clip")
        found[name] = parse_words(row["openset"])
    if not found:
        raise ManifestError(f"{path}: expected one clip a line below the heading, found none")
    return found


def read_open_clips(path: Path) -> list[Clip]:
    """Read clips with their true words: an official CSV, a manifest with labels, or a folder that holds one of them.

    Without any recording below the folder all paths are `None` (enough to score a predictions file). Raises
    `ManifestError` if nothing is found, or a clip has no words.
    """
    file = label_file(path, (*MANIFESTS, *OPENSET_FILES)) if path.is_dir() else path
    clips = _openset_clips(file) if is_openset(file) else read_manifest(file)
    bare = [clip.clip for clip in clips if not clip.labels]
    if bare:
        raise ManifestError(f"{file}: {len(bare)} clips have no emotion words, the first {bare[0]!r}; give it labels")
    return clips


def is_openset(file: Path) -> bool:
    """Whether a file is a CSV with an openset column."""
    if file.suffix.lower() != ".csv":
        return False
    return any("openset" in row for _, row in read_csv_rows(file)[:1])


def label_file(folder: Path, names: tuple[str, ...]) -> Path:
    """Give the one file of these names in the folder. Raises `ManifestError` for none or several."""
    found = [folder / name for name in names if (folder / name).is_file()]
    if len(found) != 1:
        there = ", ".join(file.name for file in found) or "none"
        raise ManifestError(f"{folder}: expected one of {', '.join(names)} in it, found {there}")
    return found[0]


def find_groups(folder: Path) -> dict[str, Groups] | None:
    """Read the stored groups that lie in a folder, `None` where there are none. Raises `ManifestError` for damage."""
    found = next((folder / name for name in GROUP_FILES if (folder / name).exists()), None)
    return None if found is None else read_groupings(found)


def find_media(folder: Path) -> dict[str, Path]:
    """Index the recordings below a folder by their names without ending; a picture with sound goes before sound."""
    found: dict[str, Path] = {}
    files = [file for file in sorted(folder.rglob("*")) if file.suffix.lower() in MEDIA_SUFFIXES]
    for file in sorted(files, key=lambda file: MEDIA_SUFFIXES.index(file.suffix.lower())):
        found.setdefault(file.stem, file)
    return found


def media_path(name: str, media: dict[str, Path]) -> Path | None:
    """Give where a clip's recording lies; where some lie there and it does not, the place where it should be."""
    if not media:
        return None
    return media.get(name) or next(iter(media.values())).parent / f"{name}.mp4"


def _openset_clips(file: Path) -> list[Clip]:
    media = find_media(file.parent)
    words = read_openset(file)
    default = _EMPTY_MEANS.get(file.name, ())
    return [Clip(clip=name, path=media_path(name, media), labels=said or default) for name, said in words.items()]
