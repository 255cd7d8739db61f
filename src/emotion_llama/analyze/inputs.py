"""What the user typed → clips: paths, folders, manifests, or text alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from emotion_llama.clip import Clip
from emotion_llama.errors import UsageError
from emotion_llama.manifest import SUFFIXES, read_manifest

TEXT_CLIP = "text"
"""The clip name of an analysis of text alone."""


def find_clips(inputs: Sequence[str], transcript: str | None) -> list[Clip]:
    """Give the clips to analyse, in order, each once.

    A folder gives its media files, a `.jsonl` or `.csv` file its rows, any other path itself (whether it exists is
    found out when it is analysed). No path and a transcript give one clip of text alone. Raises `UsageError` when there
    is nothing to analyse, a transcript is given for several clips or two different clips have one name, `MediaError`
    for a folder without media, `ManifestError` for a list that cannot be read.
    """
    if not inputs:
        if transcript is None or not transcript.strip():
            raise UsageError("nothing to analyse: give a recording, a folder, a manifest, or --transcript TEXT")
        return [Clip(clip=TEXT_CLIP, transcript=transcript)]
    clips: dict[str, Clip] = {}
    for text in inputs:
        if not text.strip():
            raise UsageError(
                "expected a recording, a folder or a manifest, found an empty name; is a variable not set?"
            )
        for clip in _expand(text):
            if clips.setdefault(clip.clip, clip) != clip:
                raise UsageError(
                    f"two different clips are both named {clip.clip!r}: results are kept by name; in the manifest give "
                    "each row its own name in column clip, and the recording in column path"
                )
    if transcript is not None and len(clips) > 1:
        raise UsageError(
            f"--transcript is for one recording, and {len(clips)} were given; write a manifest with a transcript column"
        )
    found = list(clips.values())
    return [found[0].model_copy(update={"transcript": transcript})] if transcript is not None else found


def is_collection(inputs: Sequence[str]) -> bool:
    """Whether the inputs name more than one recording (a folder, a manifest or several paths)."""
    return len(inputs) > 1 or any(Path(text).is_dir() or _is_manifest(text) for text in inputs)


def _is_manifest(text: str) -> bool:
    return Path(text).suffix.lower() in SUFFIXES


def _expand(text: str) -> list[Clip]:
    path = Path(text)
    if path.is_dir():
        from emotion_llama.media import list_media

        return [Clip(clip=str(found), path=found) for found in list_media(path)]
    if _is_manifest(text):
        return read_manifest(path)
    return [Clip(clip=text, path=path)]
