"""csv: one wide row a clip, for pandas and spreadsheets."""

from __future__ import annotations

import csv

from emotion_llama.build.entry import Entry
from emotion_llama.build.exchange.export import Export
from emotion_llama.build.exchange.facts import COLUMNS, facts
from emotion_llama.build.exchange.units import unit_name
from emotion_llama.measurements import ACTION_UNITS

CSV = "clips.csv"
SEPARATOR = "; "
"""Between the words of a cell that holds several."""

_LISTS = ("labels", "face_phrases", "units_seen")
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def export_csv(export: Export) -> None:
    """Write one row a clip, UTF-8 with a heading; an empty cell is a value that is not there.

    Columns: those of `facts`, then `labels`, `face_phrases`, `units_seen` (joined by "; "), AU01 … AU45 (0–5 at the
    peak frame), `group_<name>` for each group of any clip. A text that a spreadsheet would run as a formula gets a
    leading apostrophe, as in the results of `analyze`.
    """
    units = dict.fromkeys(unit_name(unit) for unit in ACTION_UNITS)
    groups: dict[str, None] = {}
    for entry in export.entries():  # a pass of its own: the heading stands before the rows
        units |= dict.fromkeys(entry.action_units)
        groups |= dict.fromkeys(f"group_{name}" for name in entry.clip.groups)
    with export.open(CSV) as file:
        table = csv.DictWriter(file, [*COLUMNS, *_LISTS, *units, *groups], restval="", lineterminator="\n")
        table.writeheader()
        for entry in export.fitting():
            table.writerow({name: _cell(value) for name, value in _row(entry, export.place(entry)).items()})
            export.clips += 1
    export.files[CSV] = export.clips


def _row(entry: Entry, path: str | None) -> dict[str, object]:
    return {
        **facts(entry, path),
        "labels": SEPARATOR.join(entry.clip.labels or ()),
        "face_phrases": SEPARATOR.join(entry.face_phrases),
        "units_seen": SEPARATOR.join(entry.units_seen),
        **entry.action_units,
        **{f"group_{name}": value for name, value in entry.clip.groups.items()},
    }


def _cell(value: object) -> object:
    """A cell as it is written; texts are made safe for spreadsheets, numbers stay numbers."""
    if isinstance(value, str) and value.startswith(_FORMULA_STARTS):
        return "'" + value
    return "" if value is None else value
