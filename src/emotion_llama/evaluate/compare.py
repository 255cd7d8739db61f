"""`emotion-llama compare`: runs over the same clips side by side, with paired tests."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError
from rich.console import Console

from emotion_llama.analyze.folder import check_writable
from emotion_llama.environment import git_commit
from emotion_llama.errors import ManifestError, UsageError
from emotion_llama.evaluate.comparison import (
    ComparedSystem,
    Comparison,
    DifferingClip,
    Disagreement,
    PairedDifference,
)
from emotion_llama.evaluate.records import Report
from emotion_llama.evaluate.report.words import lower_is_better
from emotion_llama.evaluate.scored import SCORED, ScoredClip, as_item, as_prediction, read_scored
from emotion_llama.evaluate.scorers.label_table import Table, tabulate
from emotion_llama.metrics.classes import class_statistic
from emotion_llama.metrics.confidence import confidence_statistic
from emotion_llama.metrics.label_sets import set_statistic, word_set
from emotion_llama.metrics.paired import mcnemar, paired_differences, permutation_p
from emotion_llama.metrics.resample import speaker_codes
from emotion_llama.metrics.statistic import Statistic

SHOWN_CLIPS = 50
MIN_DRAWS = 100
LABEL_SCORES = ("war", "uar", "weighted_f1", "macro_f1", "invalid_rate", "ece", "ece_mass", "brier", "nll")


@dataclass(frozen=True)
class EvaluatedRun:
    """What an evaluation left in its folder."""

    name: str
    folder: Path
    report: Report
    rows: dict[tuple[str, str], ScoredClip]


def run_compare(folders: Sequence[Path], out: Path, *, select: str, draws: int, seed: int) -> int:
    """Compare runs, write `compare.html` and `compare.json`, print the table; gives exit code 0.

    Raises `UsageError` for fewer than two runs, runs over different clips, too few draws, or a choice on a test side.
    """
    from emotion_llama.evaluate.report.page import compare_page
    from emotion_llama.evaluate.report.terminal import show_comparison

    if draws < MIN_DRAWS:
        raise UsageError(f"--draws: an interval needs at least {MIN_DRAWS} draws, found {draws}")
    runs = read_runs(folders)
    if select:
        from emotion_llama.evaluate.leaks import refuse_choice  # it also knows pictures, whose library is heavy

        for run in runs:
            refuse_choice(run.report.side)
    comparison = compare_runs(runs, select=select, draws=draws, seed=seed)
    check_writable(out)
    written = compare_page(comparison, out)
    show_comparison(comparison, Console(), [path for path in written if path.suffix in (".html", ".json")])
    return 0


def read_runs(folders: Sequence[Path]) -> list[EvaluatedRun]:
    """Read evaluated runs; equal names of systems are told apart by their folders."""
    if len(folders) < 2:
        raise UsageError("compare needs the folders of two or more evaluations")
    places = [folder.resolve() for folder in folders]
    twice = next((folder for folder, place in zip(folders, places, strict=True) if places.count(place) > 1), None)
    if twice is not None:
        raise UsageError(f"{twice} is given twice; compare the folders of different evaluations")
    reports = [_report(folder) for folder in folders]
    names = [report.system for report in reports]
    runs: list[EvaluatedRun] = []
    for folder, report in zip(folders, reports, strict=True):
        name = report.system if names.count(report.system) == 1 else f"{report.system} ({folder.name})"
        if name in [run.name for run in runs]:
            name = f"{report.system} ({folder})"
        rows = {(row.part, row.clip): row for row in read_scored(folder / SCORED)}
        runs.append(EvaluatedRun(name, folder, report, rows))
    return runs


def _report(folder: Path) -> Report:
    path = folder / "report.json"
    try:
        return Report.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ManifestError(f"{path}: expected the report of an evaluation ({error.strerror}); run evaluate") from error
    except ValidationError as error:
        raise ManifestError(
            f"{path}: not a report of this version: {error.errors()[0]['msg']}; run evaluate"
        ) from error


def compare_runs(runs: Sequence[EvaluatedRun], *, select: str, draws: int, seed: int) -> Comparison:
    """Compare runs over the clips that all of them scored. Raises `UsageError` if they were asked different things."""
    first = runs[0]
    keys = [key for key in first.rows if all(key in run.rows for run in runs)]
    _check_same(runs, keys)
    notes = [] if all(len(run.rows) == len(keys) for run in runs) else [_common_note(runs, len(keys))]
    parts = list(dict.fromkeys(part for part, _ in keys))
    differences: list[PairedDifference] = []
    tables: list[Disagreement] = []
    for a, b in combinations(runs, 2):
        for part in parts:
            places = [key for key in keys if key[0] == part]
            differences += _pair(a, b, places, part if len(parts) > 1 else "", draws, seed)
        tables += _mcnemar(a, b, keys)
    if len(parts) > 1:
        notes.append(
            "McNemar's table counts the clips of all parts together; a take that is in two parts counts twice."
        )
    if len(runs) > 2:
        notes.append(
            f"{len(runs) * (len(runs) - 1) // 2} pairs are tested: p values are not corrected for that; "
            "compare them with Holm's thresholds."
        )
    differing = [key for key in keys if len({_answer(run.rows[key]) for run in runs}) > 1]
    chosen = _chosen(runs, select) if select else None
    return Comparison(
        title=first.report.title,
        suite=first.report.suite,
        side=first.report.side,
        systems=tuple(
            ComparedSystem(name=run.name, path=str(run.folder), n=run.report.n_asked, metrics=run.report.metrics)
            for run in runs
        ),
        headline=first.report.headline,
        differences=tuple(differences),
        mcnemar=tuple(tables),
        clips=tuple(_differing(runs, key) for key in differing[:SHOWN_CLIPS]),
        n_clips=len(keys),
        n_differing=len(differing),
        published=first.report.published,
        selected=chosen,
        selected_by=select or None,
        notes=tuple(notes),
        settings={"draws": draws, "seed": seed},
        provenance={"git_commit": git_commit(), "runs": [str(run.folder) for run in runs]},
    )


def _check_same(runs: Sequence[EvaluatedRun], keys: Sequence[tuple[str, str]]) -> None:
    first = runs[0]
    for run in runs[1:]:
        if (run.report.suite, run.report.side) != (first.report.suite, first.report.side):
            raise UsageError(
                f"{run.folder} scores {run.report.suite} ({run.report.side}), {first.folder} {first.report.suite} "
                f"({first.report.side}); compare runs of one suite and side"
            )
        for key in keys:
            one, other = first.rows[key], run.rows[key]
            if (one.emotion, one.labels, one.valence) != (other.emotion, other.labels, other.valence):
                raise UsageError(f"clip {key[1]!r} has another truth in {run.folder} than in {first.folder}")
        if _labels(run.report) != _labels(first.report):
            raise UsageError(
                f"{run.folder} and {first.folder} were scored in different label sets; evaluate both with one --labels"
            )
        if _uar_over(run.report) != _uar_over(first.report):
            raise UsageError(
                f"{run.folder} averages UAR over {_uar_over(run.report)} classes, {first.folder} over "
                f"{_uar_over(first.report)} ones; evaluate both with one --uar-over"
            )
    if not keys:
        raise UsageError(f"the runs {', '.join(str(run.folder) for run in runs)} have no clip in common")


def _common_note(runs: Sequence[EvaluatedRun], common: int) -> str:
    sizes = ", ".join(f"{run.name} {len(run.rows)}" for run in runs)
    return f"Paired tests use the {common} clips that all runs have ({sizes}); the scores above are each run's own."


def _labels(report: Report) -> dict[str, list[str]]:
    """Label set of each part, `{}` for suites without one."""
    whole = {"": report.settings} if not report.parts else {name: part.settings for name, part in report.parts.items()}
    return {name: list(settings["labels"]) for name, settings in whole.items() if "labels" in settings}


def _uar_over(report: Report) -> Literal["present", "configured"]:
    every = [report.settings, *(part.settings for part in report.parts.values())]
    return "configured" if any(settings.get("uar_over") == "configured" for settings in every) else "present"


def _pair(
    a: EvaluatedRun, b: EvaluatedRun, keys: Sequence[tuple[str, str]], part: str, draws: int, seed: int
) -> list[PairedDifference]:
    labels = _labels(a.report).get(part if a.report.parts else "")
    rows_a, rows_b = [a.rows[key] for key in keys], [b.rows[key] for key in keys]
    speakers = speaker_codes([row.speaker for row in rows_a])
    if labels is not None and all(row.emotion is not None for row in rows_a):
        statistics_a, statistics_b = _label_statistics(rows_a, rows_b, labels, _uar_over(a.report))
        tested: tuple[str, ...] = LABEL_SCORES
    elif all(row.labels for row in rows_a):
        statistics_a, statistics_b, tested = [_sets(rows_a)], [_sets(rows_b)], ()
    else:
        return []
    found = paired_differences(statistics_a, statistics_b, n=len(keys), groups=speakers, draws=draws, seed=seed)
    p = permutation_p(statistics_a[0], statistics_b[0], groups=speakers, draws=draws, seed=seed)
    prefix = f"{part}: " if part else ""
    return [
        PairedDifference(
            a=a.name,
            b=b.name,
            metric=prefix + name,
            a_value=one.a,
            b_value=one.b,
            difference=one.difference,
            p_bootstrap=one.p_bootstrap,
            p_permutation=p.get(name),
        )
        for name, one in found.items()
        if ":" not in name and (not tested or name in tested)
    ]


def _label_statistics(
    rows_a: Sequence[ScoredClip],
    rows_b: Sequence[ScoredClip],
    labels: Sequence[str],
    over: Literal["present", "configured"],
) -> tuple[list[Statistic], list[Statistic]]:
    """Class scores first; calibration of the clips too, where both systems gave probabilities for all of them."""
    tables = [_table(rows, labels) for rows in (rows_a, rows_b)]
    found = [[class_statistic(t.truth, t.predicted, len(labels), over=over)] for t in tables]
    if all(len(t.stated) == len(t.truth) for t in tables):
        for one, table in zip(found, tables, strict=True):
            one.append(confidence_statistic(table.probabilities, table.truth))
    return found[0], found[1]


def _table(rows: Sequence[ScoredClip], labels: Sequence[str]) -> Table:
    return tabulate([as_item(row) for row in rows], [as_prediction(row) for row in rows], labels)


def _sets(rows: Sequence[ScoredClip]) -> Statistic:
    said = [row.answer_labels or ((row.answer,) if row.answer else ()) for row in rows]
    return set_statistic([word_set(row.labels or ()) for row in rows], [word_set(words) for words in said])


def _mcnemar(a: EvaluatedRun, b: EvaluatedRun, keys: Sequence[tuple[str, str]]) -> list[Disagreement]:
    if any(a.rows[key].emotion is None for key in keys):
        return []
    table = mcnemar(_right(a, keys), _right(b, keys))
    return [Disagreement(a=a.name, b=b.name, n01=table.n01, n10=table.n10, p=table.p)]


def _right(run: EvaluatedRun, keys: Sequence[tuple[str, str]]) -> NDArray[np.bool_]:
    labels = _labels(run.report)
    right = np.zeros(len(keys), np.bool_)
    for part in dict.fromkeys(part for part, _ in keys):
        places = [place for place, key in enumerate(keys) if key[0] == part]
        rows = [run.rows[keys[place]] for place in places]
        words = labels.get(part) or labels.get("") or sorted({row.emotion or "" for row in rows})
        table = _table(rows, words)
        right[places] = table.truth == table.predicted
    return right


def _answer(row: ScoredClip) -> str | None:
    return row.answer if row.answer is not None or not row.answer_labels else "; ".join(sorted(row.answer_labels))


def _differing(runs: Sequence[EvaluatedRun], key: tuple[str, str]) -> DifferingClip:
    truth = runs[0].rows[key]
    return DifferingClip(
        clip=key[1],
        truth=truth.emotion or "; ".join(truth.labels or ()) or None,
        answers={run.name: _answer(run.rows[key]) for run in runs},
        probabilities={run.name: p for run in runs if (p := run.rows[key].probabilities)},
    )


def _chosen(runs: Sequence[EvaluatedRun], metric: str) -> str:
    values: Mapping[str, float | None] = {
        run.name: run.report.metrics[metric].value for run in runs if metric in run.report.metrics
    }
    known = {name: value for name, value in values.items() if value is not None}
    if len(known) < len(runs):
        names = ", ".join(runs[0].report.metrics)
        raise UsageError(f"--select {metric}: not every run has this score; choose one of {names}")
    best = min if lower_is_better(metric) else max
    return best(known, key=lambda name: known[name])


def read_comparison(path: Path) -> Comparison:
    """Read `compare.json` back. Raises `ManifestError` naming the file."""
    try:
        return Comparison.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise ManifestError(f"{path}: not a comparison: {error}") from error
