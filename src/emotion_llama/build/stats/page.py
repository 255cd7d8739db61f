"""What `build stats` leaves: figures as PNG and SVG, one page with everything in it, and the numbers as JSON."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from emotion_llama.analyze.writers import write_text
from emotion_llama.build.stats import words
from emotion_llama.build.stats.records import DatasetStats
from emotion_llama.errors import OutputError, UsageError

try:
    from emotion_llama.build.stats import figures
    from emotion_llama.evaluate.report.page_figures import save_all
except ModuleNotFoundError as error:
    raise UsageError(f"figures of a data set need matplotlib ({error}); install emotion-llama[evaluate]") from error

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN_SPEAKERS = 12
SHOWN_REJECTS = 30


def write_stats(stats: DatasetStats, out: Path) -> tuple[Path, ...]:
    """Write `figures/*.png` and `.svg`, `stats.html` and last `stats.json` into `out`; gives their paths.

    Raises `OutputError` naming the file that cannot be written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{out}: cannot make the folder ({error.strerror}); choose another --out") from error
    pictures, written = save_all(draw(stats), out / "figures")
    write_text(page(stats, pictures), out / "stats.html")
    write_text(stats.model_dump_json(indent=2) + "\n", out / "stats.json")
    return (out / "stats.html", out / "stats.json", *written)


def draw(stats: DatasetStats) -> dict[str, Figure]:
    """Draw every figure for which there is something to draw, by name."""
    drawn = {}
    if stats.classes or any(other.labels for other in stats.against):
        drawn["labels"] = figures.label_bars(stats.dataset, stats.classes, stats.against)
    if stats.durations.counts:
        drawn["durations"] = figures.duration_histogram(stats.durations)
    if stats.units.peak or stats.units.anywhere:
        drawn["units"] = figures.unit_bars(stats.units)
    if any(one.units for one in stats.classes):
        drawn["class-units"] = figures.class_units(stats.classes)
    if any(one.clues.n for one in stats.classes):
        drawn["clues"] = figures.clue_bars(stats.classes)
    if 0 < len(stats.agreement.labels) <= figures.MOST_ROWS:
        drawn["agreement"] = figures.agreement_matrix(stats.agreement)
    if stats.rejects:
        drawn["rejects"] = figures.reject_bars(stats.rejects)
    return drawn


def page(stats: DatasetStats, pictures: dict[str, Markup]) -> str:
    """Give the page; everything taken from the data set is escaped."""
    environment = Environment(
        loader=ChoiceLoader(
            [PackageLoader("emotion_llama.build.stats", "."), PackageLoader("emotion_llama.evaluate.report", ".")]
        ),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update({"seconds": words.seconds, "number": words.number, "unit_name": words.unit_name})
    environment.globals["share"] = words.share
    return environment.get_template("stats.html.j2").render(
        s=stats,
        pictures=pictures,
        rejects=stats.rejects[:SHOWN_REJECTS],
        speakers=stats.speakers[:SHOWN_SPEAKERS],
        labels=[one.label for one in stats.classes][: figures.MOST_PANELS],
        most={"panels": figures.MOST_PANELS, "rows": figures.MOST_ROWS},
    )
