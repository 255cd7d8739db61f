"""What `--clips` names → clips.

In a folder a clip is called by its path below it, so that the data set is the same wherever the folder lies.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from emotion_llama.analyze.inputs import find_clips
from emotion_llama.clip import Clip
from emotion_llama.errors import UsageError
from emotion_llama.media import list_media


def list_clips(inputs: Sequence[str]) -> list[Clip]:
    """Give the clips of folders, manifests and single recordings, in order, each once.

    Raises `UsageError` where two different clips have one name, `MediaError` for a folder without media,
    `ManifestError` for a list that cannot be read.
    """
    clips: dict[str, Clip] = {}
    for text in inputs:
        for clip in _of(text):
            if clips.setdefault(clip.clip, clip) != clip:
                raise UsageError(f"two different clips are both named {clip.clip!r}; give a manifest with other names")
    return list(clips.values())


def _of(text: str) -> list[Clip]:
    folder = Path(text)
    if folder.is_dir():
        return [Clip(clip=path.relative_to(folder).as_posix(), path=path) for path in list_media(folder)]
    found = find_clips([text], None)
    return [one.model_copy(update={"clip": folder.name}) if one.clip == text else one for one in found]
