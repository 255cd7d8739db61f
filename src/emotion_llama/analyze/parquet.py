"""Parquet: the wide table with types, one row a clip; pyarrow is loaded only when it is asked for."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from emotion_llama.analyze.writers import ClipFailure, encodable, output_error, remove, wide_columns, wide_values
from emotion_llama.clip import Analysis
from emotion_llama.errors import UsageError

TEXT_COLUMNS = (
    "clip", "emotion", "language", "transcript", "reasoning", "visual", "audio", "inputs", "warnings", "error",
)  # fmt: skip
"""Columns of text; all others are numbers (float64)."""


def require_pyarrow() -> Any:
    """Give the module. Raises `UsageError` naming the extra to install where it is missing."""
    try:
        import pyarrow as pa  # type: ignore[import-untyped]
        import pyarrow.parquet  # type: ignore[import-untyped]
    except ImportError as error:
        raise UsageError(
            f"--format parquet needs pyarrow ({error}); install it: pip install 'emotion-llama[parquet]'"
        ) from error
    return pa


def write_parquet(rows: Iterable[Analysis | ClipFailure], path: Path) -> None:
    """Write the columns of `write_csv`, texts as they are, a value that is not there as null.

    Raises `OutputError` naming the path, `UsageError` without pyarrow.
    """
    pa = require_pyarrow()
    rows = list(rows)
    cells = [wide_values(row) for row in rows]
    columns = {}
    for name in wide_columns(rows):
        is_text = name in TEXT_COLUMNS or name.startswith("person_")
        values = [_typed(row.get(name), is_text) for row in cells]
        columns[name] = pa.array(values, pa.string() if is_text else pa.float64())
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        pa.parquet.write_table(pa.table(columns), temporary)
        temporary.replace(path)
    except OSError as error:
        remove(temporary)
        raise output_error(path, error) from error


def _typed(value: object, is_text: bool) -> str | float | None:
    if value is None:
        return None
    return encodable(str(value)) if is_text else float(str(value))
