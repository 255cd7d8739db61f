"""The files of MERR, and one row of its JSON.

    MERR_coarse_grained.json   {name: {AU_list, visual_prior_list, audio_prior_list, peak_index, peak_AU_list,
                               pseu_emotion, caption}}
    MERR_fine_grained.json     the same with text (the words spoken) and smp_reason_caption instead of caption
    MERR_*_grained.txt         name frames emotion
    relative_NCEV.txt          name frames emotion valence, every name once: its order is the data set's
    transcription_en_all.csv   name, sentence
    names.csv                  ours: name, clip, for clips whose names the lists cannot hold

`audio_prior_list` and `peak_index` are strings; where nothing is known they are empty.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel

Grain = Literal["coarse", "fine"]
GRAINS: tuple[Grain, ...] = ("coarse", "fine")
NCEV = "relative_NCEV.txt"
NAMES = "names.csv"
TEXT_KEYS: dict[Grain, str] = {"coarse": "caption", "fine": "smp_reason_caption"}
"""Which key of a row holds the text."""
MERR_SOURCE = "merr"
"""What measured an observation that came from a MERR file."""
FRAMES = "frames"
"""The group (`Clip.groups`) that holds a clip's number of frames where nothing else of its container is known."""


def json_name(grain: Grain) -> str:
    """Give the name of a JSON file."""
    return f"MERR_{grain}_grained.json"


def txt_name(grain: Grain) -> str:
    """Give the name of a list."""
    return f"MERR_{grain}_grained.txt"


class MerrRow(BaseModel):
    """One row as others write it: keys may be missing, numbers may stand for strings, unknown keys are passed over.

    `peak_AU_list` may be a table unit → intensity.
    """

    AU_list: list[str] = []
    visual_prior_list: list[str] | str = []
    audio_prior_list: str | list[str] = ""
    peak_index: str | int | None = None
    peak_AU_list: list[str] | dict[str, float] = []
    pseu_emotion: str | None = None
    text: str | None = None
    caption: str | None = None
    smp_reason_caption: str | None = None


def joined(rows: list[Any]) -> Any:
    """Give one row of a clip's coarse and fine rows, the fine one's words before the other's; no table: as it is."""
    wrong = next((row for row in rows if not isinstance(row, dict)), None)
    if wrong is not None:
        return wrong
    return {key: value for row in rows for key, value in row.items()}
