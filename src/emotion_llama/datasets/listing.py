"""The files of a data set's folder: those a `manifest.csv` beside them names, or all with a known suffix."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from emotion_llama.errors import ManifestError
from emotion_llama.manifest import read_csv_rows

MANIFEST_NAME = "manifest.csv"


@dataclass(frozen=True)
class ListedFile:
    """One file: `clip` is its path below the folder, `columns` the manifest's other cells (none without a manifest)."""

    clip: str
    path: Path
    where: str
    columns: dict[str, str] = field(default_factory=dict)

    def check(self, **expected: str) -> None:
        """Raise `ManifestError` if a manifest column says something else than the file's name does."""
        for column, value in expected.items():
            said = self.columns.get(column, value)
            if said != value:
                raise ManifestError(
                    f"{self.where}: column {column} says {said!r}, the file name {value!r}; correct one"
                )

    def duration(self) -> dict[str, float]:
        """Give {"duration_s": seconds} where a manifest says it, else nothing. Raises `ManifestError` for no number."""
        said = self.columns.get("duration_s")
        if not said:
            return {}
        try:
            return {"duration_s": float(said)}
        except ValueError as error:
            raise ManifestError(f"{self.where}: duration_s must be a number of seconds, found {said!r}") from error


def find_files(folder: Path, suffixes: tuple[str, ...]) -> list[ListedFile]:
    """List a data set's files, in the manifest's order, else sorted by path.

    Raises `ManifestError` for a missing folder, a manifest without a `file` column, or a folder without such files.
    """
    if not folder.is_dir():
        raise ManifestError(f"{folder}: expected the data set's folder, found none")
    manifest = folder / MANIFEST_NAME
    files = _listed(manifest) if manifest.is_file() else _walked(folder, suffixes)
    if not files:
        raise ManifestError(f"{folder}: expected files ending in {', '.join(suffixes)}, found none")
    return files


def _listed(manifest: Path) -> list[ListedFile]:
    files = []
    for line, row in read_csv_rows(manifest):
        if not row.get("file"):
            raise ManifestError(f"{manifest}:{line}: expected a file column with a path, found {', '.join(row)}")
        files.append(ListedFile(row["file"], manifest.parent / row["file"], f"{manifest}:{line}", row))
    return files


def _walked(folder: Path, suffixes: tuple[str, ...]) -> list[ListedFile]:
    # names that start with a dot are what file systems and archivers leave behind, never a recording
    paths = [p for p in sorted(folder.rglob("*")) if p.suffix.lower() in suffixes and not p.name.startswith(".")]
    return [ListedFile(p.relative_to(folder).as_posix(), p, str(p)) for p in paths]
