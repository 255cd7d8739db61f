"""The look of every figure: colours, fonts, sizes, and how a figure becomes a file."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any

from matplotlib import font_manager, rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from emotion_llama.analyze.console import printable
from emotion_llama.errors import OutputError, UsageError
from emotion_llama.metrics.statistic import Metric

# what a colour is for; the page's style sheet knows the same jobs
INK, SOFT, LINE, ACCENT, BAR, ON_ACCENT = "#1c2127", "#59616c", "#e3e0d8", "#0f6e66", "#b4c3c1", "#fefefe"
SERIES = (ACCENT, "#c2570c", "#3565b0", "#9a3b83", "#6f6a1e")
THEME = MappingProxyType(
    {INK: "--ink", SOFT: "--soft", LINE: "--line", ACCENT: "--accent", BAR: "--bar", ON_ACCENT: "--on-accent"}
    | {color: f"--series-{number}" for number, color in enumerate(SERIES[1:], start=2)}
)
"""Every colour of a figure → the CSS variable that stands for it on a page with a dark side."""

WIDTH_IN = 4.2
_FONTS = (
    "DejaVu Sans",
    "Noto Sans",
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Noto Sans Arabic",
    "Noto Sans Devanagari",
)
_STYLE: dict[Any, Any] = {
    "font.family": [name for name in _FONTS if name in font_manager.get_font_names()],
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.edgecolor": LINE,
    "axes.labelcolor": SOFT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "grid.color": LINE,
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": SOFT,
    "ytick.color": LINE,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "svg.fonttype": "none",
    "svg.hashsalt": "emotion-llama",
}
styled = rc_context(_STYLE)  # as a decorator: sets the style for the call and puts back what was there


def save(figure: Figure, path: Path) -> None:
    """Write a figure as `.svg` or `.png` (200 dots an inch) on white, under a temporary name first.

    Raises `UsageError` for another suffix and `OutputError` naming the path when it cannot be written.
    """
    suffix = path.suffix.lower()
    if suffix not in (".svg", ".png"):
        raise UsageError(f"{path}: figures are written as .svg or .png, found {path.suffix or 'no suffix'!r}")
    content = _rendered(figure, "png", "white") if suffix == ".png" else on_white(svg_text(figure)).encode()
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):  # that it cannot be taken away must not hide why it is half-written
            temporary.unlink(missing_ok=True)
        raise OutputError(
            f"{path}: cannot write the figure ({error.strerror or error}); choose another --out"
        ) from error


def svg_text(figure: Figure) -> str:
    """Give the figure as SVG without background, its words as text; the same figure gives the same text."""
    return _rendered(figure, "svg", "none").decode("utf-8")


def on_white(svg: str) -> str:
    """Give `svg_text`'s SVG a white ground, so that a dark viewer shows dark words on white."""
    end = svg.index(">", svg.index("<svg")) + 1
    return svg[:end] + '\n <rect width="100%" height="100%" fill="#ffffff"/>' + svg[end:]


@styled
def _rendered(figure: Figure, kind: str, background: str) -> bytes:
    metadata = {"Date": None, "Creator": None, "Format": None, "Type": None} if kind == "svg" else {"Software": None}
    file = io.BytesIO()
    with warnings.catch_warnings():  # only missing signs are silenced: SVG keeps the text, PNG shows boxes
        warnings.filterwarnings("ignore", message=r"(Glyph \d+|Matplotlib currently does not support)")
        figure.savefig(file, format=kind, dpi=200, facecolor=background, metadata=metadata)
    figure.set_layout_engine("none")  # laid out once: later files of this figure agree with the first
    return file.getvalue()


def new_figure(width_in: float, height_in: float) -> Figure:
    """An empty figure of this size whose parts make room for one another."""
    return Figure(figsize=(width_in, height_in), layout="constrained")


def whisker(axes: Axes, metric: Metric, y: float, color: str) -> None:
    """Draw a score's interval at height `y`; nothing where there is no interval."""
    if metric.low is not None and metric.high is not None:
        axes.plot((metric.low, metric.high), (y, y), color=color, linewidth=1.4, solid_capstyle="butt")


def name_rows(axes: Axes, names: Sequence[str]) -> None:
    """Name the rows 0, 1, … of a picture of lying bars, the first on top."""
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)


def shortened(text: str, letters: int) -> str:
    """A label that fits: without control signs, its end cut where it is long."""
    clean = printable(text)
    return clean if len(clean) <= letters else clean[: letters - 1].rstrip() + "…"


def require(values: Sequence[object] | Mapping[str, object], name: str, wanted: str) -> None:
    """Raise `UsageError` if there is nothing to draw."""
    if not values:
        raise UsageError(f"{name}: expected at least {wanted}, found none")
