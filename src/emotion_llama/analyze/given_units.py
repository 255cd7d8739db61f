"""`--action-units`: which table of another tool belongs to a clip, and whether it can be of this recording."""

from __future__ import annotations

from pathlib import Path

from emotion_llama.analyze.feature_files import file_name
from emotion_llama.clip import Clip
from emotion_llama.errors import ManifestError
from emotion_llama.measurements import ActionUnitSeries
from emotion_llama.media.types import MediaInfo
from emotion_llama.perception.au_tables import read_action_units

LATEST_S = 0.5
"""A table may run so much beyond the recording's end: lengths in headers and frame rates are rounded."""


def given_units(where: Path, clip: Clip, media: MediaInfo) -> ActionUnitSeries:
    """Read the action units of one clip from a table, or from the table of its name in a folder.

    Raises `ManifestError` for a missing table, one that cannot be read, and one whose times are not the recording's.
    """
    path = where
    if where.is_dir():
        path = where / f"{file_name(clip.clip)}.csv"
        if not path.is_file():
            raise ManifestError(
                f"clip {clip.clip}: expected its action units in {path}, found no such file; tables are found by the "
                "name of the recording"
            )
    series = read_action_units(path, media.fps)
    last_s = float(series.time_s[-1])
    if media.duration_s is not None and last_s > media.duration_s + LATEST_S:
        raise ManifestError(
            f"{path}: expected times within the {media.duration_s:.1f} s of {clip.clip}, found {last_s:.1f} s; is it "
            "the table of another recording?"
        )
    start_s, end_s = clip.start_s or 0.0, clip.end_s if clip.end_s is not None else float("inf")
    if not ((series.time_s >= start_s - LATEST_S) & (series.time_s <= end_s + LATEST_S)).any():
        raise ManifestError(
            f"{path}: expected rows between {start_s:g} and {end_s:g} s, the span of {clip.clip}, found none"
        )
    if not series.confidence.any():
        raise ManifestError(f"{path}: expected frames in which a face was found, found none that is sure enough")
    return series
