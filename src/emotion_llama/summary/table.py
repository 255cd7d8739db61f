"""Numbers of each group: shares with Wilson's interval, means with their standard deviation."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from emotion_llama.analyze.writers import spreadsheet_cell, write_text
from emotion_llama.clip import Record, VoiceMeasures
from emotion_llama.metrics.proportion import wilson_interval
from emotion_llama.summary.groups import Sample

Quantity = Literal["clips", "share", "probability", "confidence", "action_unit", "voice", "claim", "warning", "failure"]

VERDICTS = ("supported", "contradicted", "unverifiable")


class Cell(Record):
    """One number of one group.

    `by` is the column ("all": everything), `group` its value. `quantity` and `name` say what `value` is: "share" of a
    label, "claim" (signs that reasons name, by verdict), "warning" and "failure" are shares of `n` with a 95 % Wilson
    interval and the `count` behind them; the others are means of `n` values with their standard deviation (`None` for
    one value); "clips" is a count.
    """

    by: str
    group: str
    quantity: Quantity
    name: str
    n: int
    value: float
    count: int | None = None
    low: float | None = None
    high: float | None = None
    deviation: float | None = None


def cells(by: str, groups: Mapping[str, Sequence[Sample]], labels: Sequence[str]) -> Iterator[Cell]:
    """All numbers of the groups of one column; every label has its share in every group, zero or not."""
    for group, samples in groups.items():
        yield Cell(by=by, group=group, quantity="clips", name="", n=len(samples), value=len(samples))
        given = Counter(label for sample in samples for label in sample.labels)
        for label in labels:
            yield share(by, group, "share", label, given[label], len(samples))
        yield from _means(by, group, samples)
        judged = Counter(verdict for sample in samples for verdict in sample.verdicts)
        for verdict in VERDICTS if judged else ():
            yield share(by, group, "claim", verdict, judged[verdict], judged.total())
        warned = Counter(text for sample in samples for text in set(sample.warnings))
        for text, count in warned.most_common():
            yield share(by, group, "warning", text, count, len(samples))


def share(by: str, group: str, quantity: Quantity, name: str, count: int, n: int) -> Cell:
    """`count` of `n` as a share with its interval."""
    low, high = wilson_interval(count, n)
    return Cell(by=by, group=group, quantity=quantity, name=name, n=n, value=count / n, count=count, low=low, high=high)


def _means(by: str, group: str, samples: Sequence[Sample]) -> Iterator[Cell]:
    confident = [sample.confidence for sample in samples if sample.confidence is not None]
    yield from _mean(by, group, "confidence", "", confident)
    for name in _names(sample.probabilities for sample in samples):
        yield from _mean(by, group, "probability", name, _values(name, [s.probabilities for s in samples]))
    for name in sorted(_names(sample.action_units for sample in samples)):
        yield from _mean(by, group, "action_unit", name, _values(name, [s.action_units for s in samples]))
    for name in VoiceMeasures.model_fields:
        yield from _mean(by, group, "voice", name, _values(name, [s.voice for s in samples]))


def _names(records: Iterable[Mapping[str, float]]) -> list[str]:
    return list(dict.fromkeys(name for record in records for name in record))


def _values(name: str, records: Sequence[Mapping[str, float]]) -> list[float]:
    return [record[name] for record in records if name in record]


def _mean(by: str, group: str, quantity: Quantity, name: str, values: Sequence[float]) -> Iterator[Cell]:
    if values:
        deviation = float(np.std(values, ddof=1)) if len(values) > 1 else None
        mean = float(np.mean(values))
        yield Cell(by=by, group=group, quantity=quantity, name=name, n=len(values), value=mean, deviation=deviation)


def write_table(rows: Iterable[Cell], path: Path) -> None:
    """Write one line a number, UTF-8 with a heading; an empty cell is a value that has no meaning there.

    Raises `OutputError` naming the path.
    """
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, fieldnames=list(Cell.model_fields))
    table.writeheader()
    for row in rows:
        table.writerow({name: spreadsheet_cell(value) for name, value in row.model_dump().items()})
    write_text(text.getvalue(), path)
