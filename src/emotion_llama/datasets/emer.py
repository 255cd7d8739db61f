"""EMER: written explanations of the emotion in film clips of MER2023; the texts are public, the clips are not.

    gt-eng.csv, gt-chi.csv     version 1, 100 clips: names, emotions, subtitles, reasons
    final-EMER-reason.csv      version 2, 332 clips: name, chinese, english
    any other .csv             system answers: names, chi_reasons (so called whatever the language)

Source: Lian et al., "Explainable Multimodal Emotion Reasoning" (arXiv 2306.15401, versions 3 and 5); files in the
repository zeroQiaoba/AffectGPT, folders EMER/dataset-v1 and EMER/dataset-v2 (README there).
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from emotion_llama.clip import Clip
from emotion_llama.errors import ManifestError
from emotion_llama.manifest import SUFFIXES, read_csv_rows, read_manifest

Language = Literal["english", "chinese"]
Version = Literal[1, 2]

FILES: dict[tuple[Version, Language], str] = {
    (1, "english"): "gt-eng.csv",
    (1, "chinese"): "gt-chi.csv",
    (2, "english"): "final-EMER-reason.csv",
    (2, "chinese"): "final-EMER-reason.csv",
}
EMOTIONS = {"生气": "angry", "高兴": "happy", "担忧": "worried", "悲伤": "sad", "惊讶": "surprise"}
"""The five labels of version 1 in Chinese; there is no neutral."""

_MEDIA = (".mp4", ".avi", ".mkv", ".wav")
_MEDIA_FOLDERS = ("", "video", "videos", "audio")


def read_texts(path: Path, version: Version = 1, language: Language = "english") -> list[Clip]:
    """Read whatever holds the reference texts: a manifest, the official folder, or a folder with a manifest.

    Raises `ManifestError` if it is none of them, and as `read_emer` and `read_explained` do.
    """
    if path.is_file() and path.name not in FILES.values():
        return read_explained(path)
    folder = path.parent if path.is_file() else path
    if any(folder.rglob(FILES[version, language])):
        return read_emer(folder, version, language)
    for suffix in SUFFIXES:
        if (folder / f"manifest{suffix}").is_file():
            return read_explained(folder / f"manifest{suffix}")
    raise ManifestError(
        f"{folder}: expected {FILES[version, language]} or manifest.jsonl with reasoning, found neither"
    )


def read_emer(folder: Path, version: Version = 1, language: Language = "english") -> list[Clip]:
    """Read an EMER folder: clips with `reasoning`, in version 1 also with emotion and subtitles as transcript.

    The official file may lie in any folder below. Recordings `<name>.mp4` (.avi, .mkv, .wav) beside it or in video/ or
    audio/ become `path`; without them the clips have texts only. Raises `ManifestError` for a missing file or column, a
    repeated name, an empty text, or an emotion that is none of EMER's five.
    """
    file = _find(folder, FILES[version, language])
    text_column = "reasons" if version == 1 else language
    clips: dict[str, Clip] = {}
    for line, row in read_csv_rows(file):
        where = f"{file}:{line}"
        name = _cell(row, "names" if version == 1 else "name", where)
        if name in clips:
            raise ManifestError(f"{where}: {name!r} stands there twice; keep one row a clip")
        clips[name] = Clip(
            clip=name,
            path=_recording(file.parent, name),
            emotion=_emotion(_cell(row, "emotions", where), where) if version == 1 else None,
            # an empty cell of this column is a clip in which nothing is said
            transcript=row.get("subtitles") if version == 1 else None,
            reasoning=_cell(row, text_column, where),
        )
    if not clips:
        raise ManifestError(f"{file}: expected at least one clip, found only a heading")
    return list(clips.values())


def read_explained(path: Path) -> list[Clip]:
    """Read a manifest whose clips all have `reasoning`. Raises `ManifestError` naming the clips that have none."""
    clips = read_manifest(path)
    bare = [clip.clip for clip in clips if not (clip.reasoning or "").strip()]
    if bare:
        raise ManifestError(
            f"{path}: expected a reference text in the column reasoning; none for {', '.join(bare[:5])}"
        )
    return clips


def read_answers(path: Path) -> dict[str, str]:
    """Read a system's answers in the official form (names, chi_reasons): clip name → text, `""` where it is empty.

    Raises `ManifestError` for a missing column or a repeated name.
    """
    answers: dict[str, str] = {}
    for line, row in read_csv_rows(path):
        name = _cell(row, "names", f"{path}:{line}")
        if "chi_reasons" not in row:
            raise ManifestError(f"{path}:{line}: expected the columns names, chi_reasons; found {', '.join(row)}")
        if name in answers:
            raise ManifestError(f"{path}:{line}: {name!r} is answered twice; keep one row a clip")
        answers[name] = row["chi_reasons"].strip()
    return answers


def _find(folder: Path, name: str) -> Path:
    found = sorted(folder.rglob(name))
    if not found:
        raise ManifestError(
            f"{folder}: expected EMER's {name}, found none; it lies in zeroQiaoba/AffectGPT, folder EMER"
        )
    return found[0]


def _cell(row: dict[str, str], column: str, where: str) -> str:
    if column not in row:
        raise ManifestError(f"{where}: expected a column {column}, found {', '.join(row)}")
    if not row[column].strip():
        raise ManifestError(f"{where}: the column {column} is empty; fill it or take the row out")
    return row[column].strip()


def _emotion(word: str, where: str) -> str:
    name = EMOTIONS.get(word, word.lower())
    if name not in EMOTIONS.values():
        raise ManifestError(f"{where}: expected one of {', '.join(EMOTIONS.values())} as emotion, found {word!r}")
    return name


def _recording(folder: Path, name: str) -> Path | None:
    places = (folder / below / f"{name}{suffix}" for below in _MEDIA_FOLDERS for suffix in _MEDIA)
    return next((place for place in places if place.is_file()), None)
