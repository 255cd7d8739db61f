"""`evaluate --list`: the suites, what each needs, how to get it, its terms, chance, and what others reached."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from emotion_llama.evaluate.suite import Suite
from emotion_llama.evaluate.suites import FILES, find_suite

SHOWN = 5
"""Published scores that the list of all suites names; one suite's own list has them all, with their sources."""


def show_suites(name: str = "", console: Console | None = None) -> None:
    """Print all suites in short, or one of them (`name`) with its published scores. Raises `UsageError`."""
    console = console or Console()
    if name:
        _show_one(find_suite(name), console)
        return
    for known in FILES:
        suite = find_suite(known)
        console.print(f"[bold]{known}[/bold]  {escape(suite.title)}", highlight=False)
        console.print(_grid(_facts(suite)), highlight=False)
    console.print("\nPublished scores and cautions of one suite: emotion-llama evaluate SUITE --list", highlight=False)


def _grid(facts: list[tuple[str, str]]) -> Padding:
    grid = Table.grid(padding=(0, 2, 0, 0))
    for word, text in facts:
        grid.add_row(escape(word), escape(text))
    return Padding(grid, (0, 0, 0, 4))


def _facts(suite: Suite) -> list[tuple[str, str]]:
    facts = [
        ("needs", suite.needs),
        ("get it", suite.access),
        ("licence", suite.licence),
        ("chance", suite.chance),
    ]
    if len(suite.sides) > 1:
        facts.append(("sides", ", ".join(suite.sides)))
    if any(suite.variants):
        facts.append(("variants", ", ".join(v or "(none)" for v in suite.variants)))
    if suite.published:
        shown = [
            f"{row.system}{f' ({row.setting})' if row.setting else ''} {row.metric} {row.value:g}"
            for row in suite.published[:SHOWN]
        ]
        more = len(suite.published) - len(shown)
        shown += [f"{more} more: evaluate {suite.name} --list"] if more else []
        facts.append(("published", "; ".join(shown)))
    return facts


def _show_one(suite: Suite, console: Console) -> None:
    console.print(f"[bold]{suite.name}[/bold]  {escape(suite.title)}", highlight=False)
    facts = [(word, text) for word, text in _facts(suite) if word != "published"]
    facts += [("labels", ", ".join(suite.labels))] if suite.labels else []
    facts += [("caution", suite.caution)] if suite.caution else []
    console.print(_grid(facts), highlight=False)
    if suite.published:
        table = Table("system", "metric", "value", "setting", "source")
        for row in suite.published:
            table.add_row(escape(row.system), row.metric, f"{row.value:g}", escape(row.setting), escape(row.source))
        console.print(table)
