"""The emotion-wheel metric of MER2025 and MER2026 for open-vocabulary words."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from emotion_llama.datasets.open_labels import read_open_clips
from emotion_llama.errors import ManifestError, UsageError
from emotion_llama.evaluate.records import Item
from emotion_llama.evaluate.scorers.wheel import score_wheel
from emotion_llama.evaluate.suite import Choice, Part, Suite
from emotion_llama.metrics.wheel_tables import WheelTables, has_official, own_tables, read_official

TABLES_FOLDER = "emotion_wheel"
VARIANTS = ("", "own", "official")


def read(folder: Path, choice: Choice) -> list[Part]:
    """Read true words and choose the tables. Raises `ManifestError`, and `UsageError` for an unknown variant."""
    tables = choose_tables(folder, choice.variant)
    items = tuple(Item(clip=clip) for clip in read_open_clips(folder))
    return [Part("ov-wheel", items, (), partial(score_wheel, tables=tables))]


def choose_tables(folder: Path, variant: str) -> WheelTables:
    """Give the official tables where the folder holds them, else our own; the variant may insist on either."""
    if variant not in VARIANTS:
        raise UsageError(f"unknown variant {variant!r}: choose own or official, or give none")
    base = folder if folder.is_dir() else folder.parent
    place = next((path for path in (base / TABLES_FOLDER, base) if has_official(path)), None)
    if variant == "official" and place is None:
        raise ManifestError(f"{base}: expected the official folder {TABLES_FOLDER} in it, found none")
    return own_tables() if place is None or variant == "own" else read_official(place)


SUITE = Suite(
    name="ov-wheel",
    title="Open-vocabulary emotion words by five emotion wheels (EW)",
    needs="true words: check-openset.csv, ovlabel.csv, another official CSV (name, openset) or a manifest with labels; "
    f"for official figures the folder {TABLES_FOLDER} beside it; to run a model, the clips",
    access="tables: emotion_wheel in MERTools, MER2026_Track2 (or MER2025_Track23); labels and clips: EULA on the hub, "
    "data sets MERChallenge/MER2025 and MER2026",
    licence="tables: Apache-2.0 with a non-commercial note; data: CC BY-NC 4.0, no redistribution",
    chance="no meaning for free words; the metric of the commonest true word stands beside as majority",
    labels=(),
    read=read,
    variants=VARIANTS,
    caution="Scores by our own wheels and by the official tables are not comparable. The metric drops the words that "
    "no table holds: a third of the distinct words of MER2024 with the official tables. Read coverage and strict.",
)
