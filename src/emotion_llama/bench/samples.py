"""The clips that are measured: cuts of the sample recordings (no torch)."""

from __future__ import annotations

from emotion_llama import assets
from emotion_llama.clip import Clip

CLIP_S = 3.5
RECORDINGS = (("sample-speech", "obama_speech.mp4", 5.0), ("sample-tears", "WolfgangLanger_Pexels.mp4", 16.0))
"""Asset, file, and the second at which its last cut begins."""


def cuts(count: int) -> list[Clip]:
    """Give so many different spans of `CLIP_S` seconds of the sample recordings, of each in turn.

    Raises `AssetMissingError` naming the command that fetches them.
    """
    paths = [assets.path(name) / file for name, file, _ in RECORDINGS]
    rows = -(-count // len(paths))
    found = []
    for number in range(count):
        kind, row = number % len(paths), number // len(paths)
        start_s = round(RECORDINGS[kind][2] * row / max(1, rows - 1), 3)
        path = paths[kind]
        found.append(Clip(clip=f"{path.name}@{start_s}", path=path, start_s=start_s, end_s=round(start_s + CLIP_S, 3)))
    return found
