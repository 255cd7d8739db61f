"""What a person looks at while reviewing a clip: action units over time, mesh, waveform. A small file a clip."""

from __future__ import annotations

import hashlib
from pathlib import Path

from pydantic import ValidationError

from emotion_llama.clip import Record
from emotion_llama.errors import ManifestError

PREVIEWS = "previews"
MOST_TIMES = 120
MOST_BARS = 400


class Preview(Record):
    """Times are seconds of the recording. An empty list: not measured.

    `action_units`: name ("AU12") → intensity 0–5 at each of `times_s` (at most 120). `mesh_px`: 468 points x, y of the
    peak frame, whose size is `frame_px`. `waveform`: at most 400 peaks 0–1, evenly over `duration_s`. `f0_hz` (`None` =
    unvoiced) and `loudness_db` at `voice_times_s`.
    """

    duration_s: float | None = None
    times_s: tuple[float, ...] = ()
    action_units: dict[str, tuple[float, ...]] = {}
    frame_px: tuple[int, int] | None = None
    mesh_px: tuple[tuple[float, float], ...] = ()
    waveform: tuple[float, ...] = ()
    voice_times_s: tuple[float, ...] = ()
    f0_hz: tuple[float | None, ...] = ()
    loudness_db: tuple[float | None, ...] = ()


def preview_path(dataset: Path, clip: str) -> Path:
    """Give the file of one clip's preview; its name is a hash, because clip names may hold anything."""
    return dataset / PREVIEWS / f"{hashlib.sha256(clip.encode('utf-8')).hexdigest()[:20]}.json"


def read_preview(dataset: Path, clip: str) -> Preview | None:
    """Read a clip's preview; `None` where none was made. Raises `ManifestError` for a damaged file."""
    path = preview_path(dataset, clip)
    try:
        return Preview.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        raise ManifestError(f"{path}: not a preview ({error}); build the data set again to make it anew") from error
