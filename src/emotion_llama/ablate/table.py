"""An ablation's report as a Markdown table, and in the terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from emotion_llama.ablate.record import AblationReport, CellMetric, CellScores, Spread
from emotion_llama.analyze.console import printable
from emotion_llama.evaluate.report.words import lower_is_better, metric_name, p_value, three, with_interval

HOW_TO_READ = """\
Scores are means over seeds with their 95 % interval (people drawn again first, then their clips; one draw for all
seeds); ± is the standard deviation over seeds. Differences are on the same clips and seeds, with the same draws; their
p values are not corrected for the number of cells. Choose by the validation column: a choice by a test score flatters
that score.
"""


def markdown(report: AblationReport) -> str:
    """The report as Markdown: a table a source, what was not run, how to read it."""
    parts = [f"# {_plain(report.title)}", _counts(report)]
    for source in sources(report):
        rows = [_markdown_row(row) for row in table_rows(report, source)]
        heading = [*columns(report)]
        lines = [_markdown_row(heading), _markdown_row(["---"] * len(heading)), *rows]
        parts += [f"## {_plain(source)}", _facts(report, source), "\n".join(lines)]
    if report.scores:
        parts.append(HOW_TO_READ.strip())
    parts += _listed("Notes", notes(report)) + _listed("Not done", not_done(report))
    return "\n\n".join(parts) + "\n"


def show(report: AblationReport, console: Console, written: Sequence[Path]) -> None:
    """Print the tables narrow: the first score, its spread, the difference, validation; then notes and files."""
    console.print()
    console.print(Text(printable(report.title), style="bold cyan"))
    for source in sources(report):
        console.print(Text(printable(f"{source}: {_facts(report, source)}"), style="dim"))
        table = Table(box=None, pad_edge=False, header_style="dim")
        kept = [number for number, name in enumerate(columns(report)) if number == 0 or _shown(report, name)]
        for number in kept:
            table.add_column(printable(columns(report)[number]), overflow="fold")
        for row in table_rows(report, source):
            table.add_row(*(Text(printable(row[number])) for number in kept))
        console.print(table)
    for text in notes(report):
        console.print(Text(printable(f"note: {text}"), style="yellow"), soft_wrap=True)
    for text in not_done(report):
        console.print(Text(printable(text), style="yellow"), soft_wrap=True)
    for path in written:
        console.print(Text(printable(f"wrote {path}"), style="dim"), soft_wrap=True)


def sources(report: AblationReport) -> list[str]:
    """The test sources, in their order."""
    return list(dict.fromkeys(scores.source for scores in report.scores))


def metrics(report: AblationReport) -> list[str]:
    """The scores asked for."""
    return [str(name) for name in report.settings["score"]["metrics"]]


def columns(report: AblationReport) -> list[str]:
    """The table's heading."""
    names = [metric_name(name) + (" ↓" if lower_is_better(name) else "") for name in metrics(report)]
    folds = ["mean of folds"] if any(scores.folds for scores in report.scores) else []
    difference = [f"Δ {metrics(report)[0]} to {report.baseline}", "p"] if report.baseline else []
    validation = [f"validation {name}{' ↓' if lower_is_better(name) else ''}" for name in _validation_metrics(report)]
    return ["cell", names[0], "± seeds", *folds, *difference, *names[1:], *validation, "n", "seeds"]


def table_rows(report: AblationReport, source: str) -> list[list[str]]:
    """One row a cell, in the order of the grid; dashes where nothing is finished."""
    found = {scores.cell: scores for scores in report.scores if scores.source == source}
    width = len(columns(report))
    return [_row(report, found[cell]) if cell in found else [cell, *["–"] * (width - 1)] for cell in report.cells]


def notes(report: AblationReport) -> list[str]:
    """What a reader must know: of the whole, then of single cells."""
    return [*report.notes, *(f"{s.cell} on {s.source}: {note}" for s in report.scores for note in s.notes)]


def not_done(report: AblationReport) -> list[str]:
    """Trainings that failed, with the last line of their log, or did not run."""
    found = []
    for row in report.trainings:
        if row.state == "finished":
            continue
        fold = "" if row.fold is None else f", fold {row.fold}"
        name = f"{row.cell}{fold}{f', stage {row.stage}' if row.stage else ''}, seed {row.seed}"
        last = f" ({row.failure.last_lines[-1]})" if row.failure and row.failure.last_lines else ""
        state = {"waiting": "not run", "started": "begun, not finished"}.get(row.state, row.state)
        found.append(f"{name}: {state}{f', {row.failure.reason}{last}' if row.failure else ''}")
    return found


def _row(report: AblationReport, scores: CellScores) -> list[str]:
    names = metrics(report)
    first = scores.metrics[names[0]]
    folds = [_folds(first)] if any(s.folds for s in report.scores) else []
    return [
        scores.cell,
        with_interval(first.score),
        three(first.over_seeds.sd),
        *folds,
        *(_difference(report, scores, names[0]) if report.baseline else []),
        *(with_interval(scores.metrics[name].score) for name in names[1:]),
        *(_spread(report.validation[scores.cell].get(name)) for name in _validation_metrics(report)),
        str(scores.n),
        ", ".join(map(str, scores.seeds)),
    ]


def _difference(report: AblationReport, scores: CellScores, name: str) -> list[str]:
    if scores.cell == report.baseline:
        return ["baseline", "–"]
    difference = scores.compared.metrics.get(name) if scores.compared else None
    if difference is None or difference.difference.value is None:
        return ["–", "–"]
    sign = "+" if difference.difference.value > 0 else ""
    return [sign + with_interval(difference.difference), p_value(difference.p_bootstrap)]


def _folds(metric: CellMetric) -> str:
    known = metric.over_folds
    return "–" if known is None else f"{_spread(known)} ({known.n} folds)"


def _spread(known: Spread | None) -> str:
    if known is None or known.mean is None:
        return "–"
    return three(known.mean) + (f" ± {three(known.sd)}" if known.sd is not None else "")


def _validation_metrics(report: AblationReport) -> list[str]:
    return list(dict.fromkeys(name for values in report.validation.values() for name in values))


def _shown(report: AblationReport, column: str) -> bool:
    first = columns(report)[1]
    return column in (first, "± seeds", "mean of folds", "p") or column.startswith(("Δ ", "validation "))


def _facts(report: AblationReport, source: str) -> str:
    """Clips, people, labels, and what a guesser gets."""
    scores = [row for row in report.scores if row.source == source]
    first = max(scores, key=lambda row: row.n)
    people = f", {first.speakers} speakers" if first.speakers else ""
    name = metrics(report)[0]
    guess = first.metrics[name].score
    chance = f"; {name} of guessing {three(guess.chance)}, of one answer to all {three(guess.majority)}"
    return f"{first.n} clips{people}, {len(first.labels)} labels{'' if guess.chance is None else chance}."


def _counts(report: AblationReport) -> str:
    states = Counter(row.state for row in report.trainings)
    done = f"{states['finished']} of {len(report.trainings)} trainings finished"
    failed = f", {states['failed']} failed" if states["failed"] else ""
    draws = report.settings["score"]
    return f"{done}{failed}. {draws['draws']} draws, seed {draws['seed']}."


def _listed(title: str, lines: Sequence[str]) -> list[str]:
    return [f"## {title}", "\n".join(f"- {_plain(line)}" for line in lines)] if lines else []


def _markdown_row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(_plain(cell) for cell in cells) + " |"


def _plain(text: str) -> str:
    """Text that cannot break a table or a terminal."""
    return printable(text).replace("|", "\\|")
