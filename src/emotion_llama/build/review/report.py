"""What the review found: mean points of each criterion by emotion, as in the paper's table 9, and how far people agree.

The means are of each annotator's last judgment. Agreement is of the last judgment that each gave before the page could
tell anything of the others'. A class is the emotion that the data set says of a clip, except in the agreement about
the emotion itself: there it is the emotion said by the annotators, held against all others.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from emotion_llama.build.review.clips import ReviewClip, ReviewClips
from emotion_llama.build.review.measures import (
    ALL,
    Agreement,
    PairAgreement,
    agreements,
    pair_agreements,
    rating_tables,
)
from emotion_llama.build.review.queue import differences, last_judgments
from emotion_llama.build.review.records import CRITERIA, VERDICTS, Judgment
from emotion_llama.build.review.store import ReviewStore
from emotion_llama.clip import Record

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
_CSV_AGREEMENT = ("items", "equal", "fleiss", "alpha_nominal", "alpha_ordinal")


class EmotionMeans(Record):
    """Points of the clips of one emotion (`ALL`: of every clip, "": of those without one).

    `means` by criterion, 0–5, `None` = nobody rated it, over `n` points. `mean` is over all points given.
    """

    emotion: str
    clips: int
    judgments: int
    means: dict[str, float | None]
    n: dict[str, int]
    mean: float | None
    verdicts: dict[str, int]


class ReviewReport(Record):
    """Counts, means by emotion, agreement.

    `judged`: clips with a judgment; `judged_twice`: with at least two. `disputed`: those whose judgments differ.
    `outdated`: judgments of content that has changed since; they count nowhere. `annotators`: clips judged by each.
    """

    dataset: str
    clips: int
    judged: int
    judged_twice: int
    disputed: int
    outdated: int
    annotators: dict[str, int]
    means: tuple[EmotionMeans, ...]
    agreement: tuple[Agreement, ...]
    pairs: tuple[PairAgreement, ...]


def review_report(dataset: Path, database: str | None = None) -> ReviewReport:
    """Read a data set and what people said of it. Raises `ManifestError` or `UsageError` if either cannot be read."""
    store = ReviewStore(dataset, database)
    try:
        return make_report(dataset.resolve().name, ReviewClips(dataset), store.judgments())
    finally:
        store.close()


def make_report(name: str, clips: Iterable[ReviewClip], judgments: Sequence[Judgment]) -> ReviewReport:
    """Give the report of clips and every judgment ever given of them."""
    known = list(clips)
    last = last_judgments(judgments, known)
    now = {clip.name: clip.content_sha256 for clip in known}
    tables = rating_tables(known, last_judgments(judgments, known, blind=True))
    return ReviewReport(
        dataset=name,
        clips=len(known),
        judged=len(last),
        judged_twice=sum(len(by) > 1 for by in last.values()),
        disputed=sum(bool(differences(by.values())) for by in last.values()),
        outdated=sum(now.get(judgment.clip) != judgment.content_sha256 for judgment in judgments),
        annotators=dict(sorted(Counter(name for by in last.values() for name in by).items())),
        means=_means(known, [judgment for by in last.values() for judgment in by.values()]),
        agreement=tuple(row for table in tables for row in agreements(table)),
        pairs=tuple(row for table in tables for row in pair_agreements(table)),
    )


def report_csv(report: ReviewReport) -> str:
    """Give the report as CSV: a row an emotion, first of all, with means, counts and the agreement on each thing."""
    text = io.StringIO(newline="")
    things = ("verdict", "emotion", *CRITERIA)
    agreed = [f"{thing}_{figure}" for thing in things for figure in _CSV_AGREEMENT]
    counts = ["clips", "judgments", *VERDICTS, *CRITERIA, "mean", *(f"{name}_n" for name in CRITERIA)]
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["emotion", *counts, *agreed])
    found = {(row.what, row.emotion): row for row in report.agreement}
    means = {row.emotion: row for row in report.means}
    said_only = sorted({row.emotion for row in report.agreement} - set(means))  # emotions of annotators alone
    for emotion in (*means, *said_only):
        rows = [found.get((thing, emotion)) for thing in things]
        figures = [getattr(row, figure) if row else None for row in rows for figure in _CSV_AGREEMENT]
        writer.writerow([_cell(value) for value in (emotion, *_mean_cells(means.get(emotion)), *figures)])
    return text.getvalue()


def _means(clips: Sequence[ReviewClip], judgments: Sequence[Judgment]) -> tuple[EmotionMeans, ...]:
    """Rows of the table: every clip, then each emotion that a judged clip has."""
    label = {clip.name: clip.label or "" for clip in clips}
    rows = [_row(ALL, judgments)]
    for emotion in sorted({label[judgment.clip] for judgment in judgments}):
        rows.append(_row(emotion, [judgment for judgment in judgments if label[judgment.clip] == emotion]))
    return tuple(rows)


def _row(emotion: str, judgments: Sequence[Judgment]) -> EmotionMeans:
    points = {
        name: [value for judgment in judgments if (value := getattr(judgment.scores, name)) is not None]
        for name in CRITERIA
    }
    return EmotionMeans(
        emotion=emotion,
        clips=len({judgment.clip for judgment in judgments}),
        judgments=len(judgments),
        means={name: _mean(values) for name, values in points.items()},
        n={name: len(values) for name, values in points.items()},
        mean=_mean([value for values in points.values() for value in values]),
        verdicts={verdict: sum(judgment.verdict == verdict for judgment in judgments) for verdict in VERDICTS},
    )


def _mean(values: Sequence[int]) -> float | None:
    return sum(values) / len(values) if values else None


def _mean_cells(row: EmotionMeans | None) -> list[float | None]:
    if row is None:
        return [None] * (3 + len(VERDICTS) + 2 * len(CRITERIA))
    return [row.clips, row.judgments, *row.verdicts.values(), *row.means.values(), row.mean, *row.n.values()]


def _cell(value: object) -> object:
    """A cell as it is written; a text is not to be a formula in a spreadsheet."""
    if isinstance(value, str) and value.startswith(_FORMULA_STARTS):
        return "'" + value
    return "" if value is None else value
