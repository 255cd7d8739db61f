"""An evaluation in a terminal: the headline scores, what was wrong with the input, and where the files lie."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from emotion_llama.analyze.console import printable
from emotion_llama.evaluate.comparison import Comparison
from emotion_llama.evaluate.records import Problem, Report
from emotion_llama.evaluate.report.extras import VERDICTS, robustness_of
from emotion_llama.evaluate.report.words import (
    PROBLEM_NAMES,
    interval,
    lower_is_better,
    metric_group,
    metric_name,
    p_value,
    three,
    with_interval,
)
from emotion_llama.metrics.statistic import Metric

_NARROW_COLUMNS = 70


def show_report(report: Report, console: Console, written: Sequence[Path] = ()) -> None:
    """Print what was scored, the headline and behaviour scores, each part's first score, problems and files."""
    console.print()
    console.print(Text(printable(report.title), style="bold cyan"))
    _line(console, f"{report.system} · suite {report.suite} · {report.side} side", style="dim")
    _line(console, f"{report.n_scored} of {report.n_asked} clips scored")
    console.print()
    shown = dict.fromkeys(key for key in report.headline if key in report.metrics)
    shown |= dict.fromkeys(key for key in report.metrics if key in ("ece", "brier") or metric_group(key) == "behaviour")
    metrics = {key: report.metrics[key] for key in shown} or report.metrics
    if metrics:
        console.print(_scores(metrics, report.n_asked, console))
    if report.parts:
        console.print(_parts(report))
    _show_problems(report.problems, console)
    _show_leaks(report.leaks, console)
    _show_faithfulness(report.faithfulness, console)
    _show_robustness(report, console)
    for note in report.notes:
        _line(console, note, style="dim")
    _show_files(written, console)


def show_comparison(comparison: Comparison, console: Console, written: Sequence[Path] = ()) -> None:
    """Print the systems' headline scores side by side, the paired differences, McNemar's tests and files."""
    console.print()
    console.print(Text(printable(comparison.title), style="bold cyan"))
    keys = comparison.headline or tuple(dict.fromkeys(key for s in comparison.systems for key in s.metrics))
    table = _table("system", *(metric_name(key) for key in keys), "n")
    for system in comparison.systems:
        cells = [with_interval(system.metrics[key]) if key in system.metrics else "–" for key in keys]
        table.add_row(*map(_cell, (system.name, *cells, str(system.n))))
    console.print(table)
    headline = [d for d in comparison.differences if d.metric.rpartition(": ")[2] in keys]
    if headline:
        table = _table("A → B", "score", "B − A", "p boot.", "p perm.")
        for before, d in zip((None, *headline[:-1]), headline, strict=True):
            pair = f"{d.a} → {d.b}"
            same = before is not None and (before.a, before.b) == (d.a, d.b)
            row = ("" if same else pair, metric_name(d.metric), with_interval(d.difference))
            table.add_row(*map(_cell, (*row, p_value(d.p_bootstrap), p_value(d.p_permutation))))
        console.print(table)
    for test in comparison.mcnemar:
        text = f"only {test.a} right: {test.n10}, only {test.b} right: {test.n01}, McNemar p {p_value(test.p)}"
        _line(console, text)
    if comparison.selected:
        _line(console, f"chosen: {comparison.selected}", style="bold")
    _show_problems(comparison.problems, console)
    _show_files(written, console)


def _scores(metrics: dict[str, Metric], n_asked: int, console: Console) -> Table:
    """Narrow terminals get value and interval only."""
    narrow = console.width < _NARROW_COLUMNS
    table = _table("score", "value", "95 % interval", *(() if narrow else ("chance", "majority", "n")))
    for key, metric in metrics.items():
        name = metric_name(key) + (" ↓" if lower_is_better(key) else "")
        cells = [name, three(metric.value), interval(metric)]
        if not narrow:
            cells += [three(metric.chance), three(metric.majority), str(n_asked if metric.n is None else metric.n)]
        table.add_row(*map(_cell, cells))
    return table


def _parts(report: Report) -> Table:
    table = _table("part", "score", "value", "95 % interval", "n")
    for name, part in report.parts.items():
        for key in [key for key in part.headline if key in part.metrics][:2]:
            metric = part.metrics[key]
            n = str(part.n_asked if metric.n is None else metric.n)
            table.add_row(*map(_cell, (name, metric_name(key), three(metric.value), interval(metric), n)))
    return table


def _show_problems(problems: Iterable[Problem], console: Console) -> None:
    problems = list(problems)
    if not problems:
        return
    console.print(Text("Please note", style="bold yellow"))
    for kind, count in Counter(problem.kind for problem in problems).most_common():
        first = next(problem for problem in problems if problem.kind == kind)
        _line(console, f"{PROBLEM_NAMES.get(kind, kind)}: {count}; first: {_place(first)}", style="yellow")


def _place(problem: Problem) -> str:
    """The message, with its line and clip in front where it does not name them itself."""
    line = f"line {problem.line}, " if problem.line is not None and str(problem.line) not in problem.message else ""
    clip = f"{problem.clip}: " if problem.clip and problem.clip not in problem.message else ""
    return f"{line}{clip}{problem.message}"


def _show_leaks(leaks: Mapping[str, Any], console: Console) -> None:
    """Say what the scored side shares with the training side; nothing where they were not compared."""
    if "counts" not in leaks:
        return
    shared, speakers = leaks["counts"]["any"], len(leaks["speakers"])
    kinds = ", ".join(f"{kind} {count}" for kind, count in leaks["counts"].items() if kind != "any" and count)
    text = f"Leaks: {shared} of {leaks['n_test']} clips are in the training data too{f' ({kinds})' if kinds else ''}"
    _line(console, f"{text}; shared speakers: {speakers}", style="yellow" if shared or speakers else "dim")
    if leaks.get("unreadable"):
        first = leaks["unreadable"][0]
        _line(console, f"not compared: {len(leaks['unreadable'])}; first: {first['reason']}", style="yellow")


def _show_faithfulness(found: Mapping[str, Any], console: Console) -> None:
    """Say what share of the signs in the reasons the measurements bear out; nothing where none was checked."""
    metrics = {name: Metric.model_validate(one) for name, one in found.get("metrics", {}).items()}
    if not {"supported_of_checked", "shuffled_supported_of_checked", *VERDICTS} <= set(metrics):
        return
    shares = ", ".join(f"{name} {three(metrics[name].value)}" for name in VERDICTS)
    checked, shuffled = (metrics[name] for name in ("supported_of_checked", "shuffled_supported_of_checked"))
    control = f"; against another clip's {three(shuffled.value)}" if shuffled.value is not None else ""
    text = f"Signs that the reasons name ({found['n_checked']} answers): {shares}"
    _line(console, f"{text}; supported of those checked {with_interval(checked)}{control}")


def _show_robustness(report: Report, console: Console) -> None:
    """Name the damage with the least area under its curve, and the one with the deepest fall of the score."""
    robustness = robustness_of(report)
    if robustness is None:
        return
    scored = [one for one in robustness.conditions if one.levels]
    told = []
    areas = [(one.area.value, one) for one in scored if one.area is not None and one.area.value is not None]
    if areas:
        _, worst = min(areas, key=lambda row: row[0])
        assert worst.area is not None
        told.append(f"least relative area {with_interval(worst.area)} ({worst.title})")
    falls = [(one.difference.value, one) for one in scored if one.difference and one.difference.value is not None]
    if falls:
        _, deepest = min(falls, key=lambda row: row[0])
        assert deepest.difference is not None
        level = f"{deepest.title} {deepest.worst} {deepest.unit}".strip()
        told.append(f"deepest fall {with_interval(deepest.difference)} {metric_name(deepest.metric)} ({level})")
    left = len(robustness.conditions) - len(scored)
    told += [f"not applicable: {left}"] if left else []
    _line(console, f"Under damage: {'; '.join(told)}")


def _show_files(written: Sequence[Path], console: Console) -> None:
    """Pages and records by name, figures by their folder."""
    figures = [path for path in written if path.parent.name == "figures"]
    for path in written:
        if path not in figures:
            _line(console, f"wrote {path}", style="dim")
    if figures:
        _line(console, f"wrote {len(figures)} figures in {figures[0].parent}", style="dim")


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for number, name in enumerate(columns):
        table.add_column(printable(name), overflow="fold", no_wrap=False, justify="left" if number == 0 else "default")
    return table


def _cell(text: str) -> Text:
    """A cell as plain text: names of strangers hold no markup and no control signs."""
    return Text(printable(text))


def _line(console: Console, text: str, style: str = "") -> None:
    console.print(Text(printable(text), style=style), soft_wrap=False)
