"""datasets: a folder for the Hugging Face `datasets` library, one Parquet file a side, with a data card.

`load_dataset("<folder>")` opens it, as does any reader of Parquet.
"""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from emotion_llama.build.entry import Entry
from emotion_llama.build.exchange.card import Tally, card
from emotion_llama.build.exchange.export import Export, stem
from emotion_llama.build.exchange.facts import COLUMNS, facts
from emotion_llama.clip import Observation
from emotion_llama.errors import UsageError

if TYPE_CHECKING:
    import pyarrow as pa  # type: ignore[import-untyped]

CARD = "README.md"
ROWS = 500
"""Entries that are held before they are written."""


def export_datasets(export: Export) -> None:
    """Write Parquet files and the card. Tables and lists of an entry become lists of records with named values."""
    tally = Tally()
    with ExitStack() as stack:
        tables: dict[str, _Table] = {}
        for entry in export.fitting():
            side = stem(entry)
            if side not in tables:
                tables[side] = _Table(export, side)
                stack.callback(tables[side].close)
            tables[side].add(record(entry, export.place(entry)))
            tally.add(entry, side)
            export.clips += 1
    counts: Counter[str] = tally.sides
    export.files |= {file_name(side): count for side, count in counts.items()}
    with export.open(CARD) as file:
        file.write(card(tally, {side: file_name(side) for side in counts}))
    export.files[CARD] = 1
    export.notes.append(f'for datasets: load_dataset("{export.out}")')


def file_name(side: str) -> str:
    """Give the name of a side's file, in the pattern that the library knows without a card too."""
    return f"data/{side}-00000-of-00001.parquet"


class _Table:
    """One Parquet file, written in groups of rows."""

    def __init__(self, export: Export, side: str) -> None:
        try:
            import pyarrow.parquet as pq  # type: ignore[import-untyped]
        except ImportError as error:
            raise UsageError(f"--to datasets needs Parquet ({error}); install pyarrow") from error
        path = export.folder / file_name(side)
        path.parent.mkdir(exist_ok=True)
        self._schema = schema()
        self._writer = pq.ParquetWriter(path, self._schema)
        self._rows: list[dict[str, Any]] = []

    def add(self, row: dict[str, Any]) -> None:
        """Add one row."""
        self._rows.append(row)
        if len(self._rows) >= ROWS:
            self._write()

    def close(self) -> None:
        """Write the rest and end the file."""
        self._write()
        self._writer.close()

    def _write(self) -> None:
        import pyarrow as pa

        if self._rows:
            self._writer.write_table(pa.Table.from_pylist(self._rows, schema=self._schema))
            self._rows = []


def schema() -> pa.Schema:
    """Give the columns and their types, the same for every data set."""
    import pyarrow as pa

    plain = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
    words = pa.list_(pa.string())
    times = [(name, pa.float64()) for name in ("value", "norm", "start_s", "end_s", "confidence")]
    texts = [(name, pa.string()) for name in ("channel", "text", "source", "name", "unit", "speaks", "verdict", "note")]
    observation = pa.struct([*texts, *times, ("direction", pa.int64()), ("supports", words)])
    group = pa.struct([("name", pa.string()), ("word", pa.string()), ("number", pa.float64())])
    step = pa.struct([(name, pa.string()) for name in ("step", "version", "settings_sha256")] + [("models", words)])
    return pa.schema(
        [
            *((name, plain[kind]) for name, kind in COLUMNS.items()),
            ("labels", words),
            ("face_phrases", words),
            ("units_seen", words),
            ("action_units", pa.list_(pa.struct([("unit", pa.string()), ("intensity", pa.float64())]))),
            ("scores", pa.list_(pa.struct([("emotion", pa.string()), ("score", pa.float64())]))),
            ("fired", words),
            ("check_notes", words),
            ("face_box_px", pa.list_(pa.float64())),
            ("observations", pa.list_(observation)),
            ("groups", pa.list_(group)),
            ("steps", pa.list_(step)),
        ]
    )


def record(entry: Entry, path: str | None) -> dict[str, Any]:
    """Give one row: single values, and lists of words and records. A list that is `None` was never made."""
    coarse, check, faces = entry.coarse, entry.check, entry.faces
    return {
        **facts(entry, path),
        "labels": None if entry.clip.labels is None else list(entry.clip.labels),
        "face_phrases": list(entry.face_phrases),
        "units_seen": list(entry.units_seen),
        "action_units": [{"unit": name, "intensity": x} for name, x in entry.action_units.items()],
        "scores": [{"emotion": name, "score": x} for name, x in (coarse.scores if coarse else {}).items()],
        "fired": list(coarse.fired) if coarse else [],
        "check_notes": list(check.notes) if check else [],
        "face_box_px": list(faces.box_px) if faces and faces.box_px else None,
        "observations": [_observation(seen) for seen in entry.clip.observations],
        "groups": [_group(name, value) for name, value in entry.clip.groups.items()],
        "steps": [step.model_dump(mode="json") for step in entry.steps],
    }


def _observation(seen: Observation) -> dict[str, Any]:
    return seen.model_dump(mode="json")


def _group(name: str, value: str | float) -> dict[str, Any]:
    is_word = isinstance(value, str)
    return {"name": name, "word": value if is_word else None, "number": None if is_word else value}
