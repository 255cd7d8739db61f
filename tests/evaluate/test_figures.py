from __future__ import annotations

import re
import warnings
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from PIL import Image

from emotion_llama.errors import OutputError, UsageError
from emotion_llama.evaluate.records import Bin, ClassScores, Confusion, Published, Slice
from emotion_llama.evaluate.report import figures
from emotion_llama.metrics.statistic import Metric

SVG = "{http://www.w3.org/2000/svg}"
NONE = Metric(value=None, low=None, high=None)


def metric(value: float) -> Metric:
    return Metric(value=value, low=value - 0.05, high=value + 0.05)


def words(figure: Figure) -> list[str]:
    """Every text of the figure, as a reader of the SVG finds it."""
    return ["".join(node.itertext()) for node in ElementTree.fromstring(figures.svg_text(figure)).iter(SVG + "text")]


def confusion(labels: tuple[str, ...], invalid: int = 0) -> Confusion:
    size = len(labels)
    rows = tuple(tuple(7 if x == y else (x + y) % 3 for x in range(size)) for y in range(size))
    return Confusion(labels=labels, matrix=rows, invalid=(invalid,) * size, missing=(0,) * size)


def class_scores(labels: tuple[str, ...]) -> dict[str, ClassScores]:
    score = ClassScores(support=12, predicted=9, precision=metric(0.6), recall=metric(0.5), f1=metric(0.55))
    return {label: score for label in labels}


def test_confusion_matrix_shows_counts_and_row_shares() -> None:
    table = Confusion(labels=("sad", "happy"), matrix=((6, 2), (0, 4)), invalid=(0, 4), missing=(0, 0))
    shown = words(figures.confusion_matrix(table))
    assert shown.count("6") == 1 and "75 %" in shown and "25 %" in shown
    assert shown.count("50 %") == 2  # of eight happy clips four are right and four got no valid answer
    assert "invalid" in shown and "missing" not in shown
    assert "0" not in shown  # empty cells stay empty


def test_a_row_without_clips_is_no_division_by_zero() -> None:
    table = Confusion(labels=("a", "b"), matrix=((0, 0), (1, 3)), invalid=(0, 0), missing=(0, 0))
    assert "75 %" in words(figures.confusion_matrix(table))


@pytest.mark.parametrize("count", [1, 9, 28])
def test_any_number_of_classes_is_drawn_with_every_name(count: int) -> None:
    labels = tuple(f"emotion {number}" for number in range(count))
    for figure in (figures.confusion_matrix(confusion(labels, invalid=1)), figures.class_bars(class_scores(labels))):
        shown = " ".join(words(figure))
        assert all(f"emotion {number}" in shown for number in range(count))


def test_nothing_lies_outside_the_picture() -> None:
    labels = ("a very long label that goes on and on", "短い", "happy")
    for figure in (figures.confusion_matrix(confusion(labels)), figures.class_bars(class_scores(labels))):
        root = ElementTree.fromstring(figures.svg_text(figure))
        width = float(root.attrib["viewBox"].split()[2])
        found = [float(node.attrib["x"]) for node in root.iter(SVG + "text") if "x" in node.attrib]
        assert found and all(0 <= x <= width for x in found)


def test_labels_of_strangers_neither_crash_nor_warn(tmp_path: Path) -> None:
    labels = ("悲しい", "$\\frac{1$", "<b>&", "line\nbreak \x1b[31m", "\udcff", "غضب")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = figures.confusion_matrix(confusion(labels))
        figures.save(figure, tmp_path / "a.png")
        shown = words(figure)
    assert {"悲しい", "$\\frac{1$", "<b>&", "غضب", "line break ?[31m"} <= set(shown)


def test_the_same_figure_gives_the_same_bytes(tmp_path: Path) -> None:
    def draw() -> Figure:
        return figures.class_bars(class_scores(("sad", "happy")))

    assert figures.svg_text(draw()) == figures.svg_text(draw())
    one = draw()
    for name in ("a", "b"):
        figures.save(draw(), tmp_path / f"{name}.png")
        figures.save(one, tmp_path / f"{name}.svg")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert "date" not in figures.svg_text(draw()).lower()


def test_style_leaves_no_trace_in_the_process() -> None:
    from matplotlib import rcParams

    before = dict(rcParams)
    figures.svg_text(figures.risk_coverage_curve([(0.5, 0.1), (1.0, 0.2)]))
    assert dict(rcParams) == before


def test_every_colour_of_a_figure_has_a_name_on_the_page() -> None:
    used = set()
    curve = figures.Curve("a", (1.0, 2.0), (metric(0.5), metric(0.6)))
    bins = (Bin(low=0.0, high=1.0, n=10, confidence=0.5, accuracy=0.4),)
    for figure in (
        figures.confusion_matrix(confusion(("a", "b"))),
        figures.class_bars(class_scores(("a",))),
        figures.ablation_curves([curve] * 5, y_name="war"),
        figures.reliability_diagram(bins, null_band=figures.chance_band(bins)),
        figures.ranking_bars({"ours": metric(0.5)}, [Published(system="x", metric="war", value=0.4, source="s")]),
    ):
        used |= set(re.findall(r"#[0-9a-f]{6}\b", figures.svg_text(figure)))
    assert used <= set(figures.THEME)


def test_class_bars_say_what_is_not_defined() -> None:
    scores = ClassScores(support=0, predicted=0, precision=NONE, recall=NONE, f1=metric(0.0))
    shown = words(figures.class_bars({"fear": scores}))
    assert shown.count("not defined") == 1 and "fear (0)" in shown


def test_probability_bars_name_the_truth_and_what_was_not_asked() -> None:
    systems = {"nano": {"happy": 0.7, "sad": 0.3}, "other": {"happy": 1.0}}
    figure = figures.probability_bars(systems, truth="sad")
    shown = words(figure)
    assert shown.count("0.70") == 1 and shown.count("not asked") == 1 and "probability (truth: sad)" in shown
    bold = [tick.get_text() for tick in figure.axes[0].get_yticklabels() if tick.get_fontweight() == "bold"]
    assert bold == ["sad"]


def test_ablation_curve_keeps_gaps_and_order() -> None:
    scores = (metric(0.5), NONE, metric(0.7))
    figure = figures.ablation_curves([figures.Curve("nano", (1e-4, 1e-5, 1e-6), scores)], y_name="F1", log_x=True)
    y = figure.axes[0].lines[0].get_ydata()
    assert np.isnan(y[1]) and y[2] == 0.7
    left, right = figure.axes[0].get_xlim()
    assert left > 1e-4 and right < 1e-6
    assert {"0.0001", "1e-06", "F1"} <= set(words(figure))


def test_ranking_puts_the_best_first_and_marks_what_others_printed() -> None:
    printed = [Published(system="GPT-4V", metric="war", value=0.55, setting="zero-shot", source="s")]
    figure = figures.ranking_bars({"ours": metric(0.5), "best": metric(0.9), "undefined": NONE}, printed)
    axes = figure.axes[0]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["best", "GPT-4V\nzero-shot", "ours"]
    assert [bool(bar.get_hatch()) for bar in axes.patches] == [False, True, False]
    assert {"0.900", "0.550", "0.500"} <= set(words(figure))


def test_chance_band_is_the_binomial_one() -> None:
    bins = (
        Bin(low=0.0, high=0.5, n=0, confidence=None, accuracy=None),
        Bin(low=0.5, high=1.0, n=100, confidence=0.8, accuracy=0.7),
    )
    band = figures.chance_band(bins)
    assert band[0] is None
    assert band[1] == pytest.approx((0.8 - 1.96 * 0.04, 0.8 + 1.96 * 0.04))
    shown = words(figures.reliability_diagram(bins, null_band=band))
    assert "chance alone (95 %)" in shown and "clips" in shown


def test_risk_coverage_of_a_faultless_system_is_drawn() -> None:
    assert "all answers" in words(figures.risk_coverage_curve([(0.5, 0.0), (1.0, 0.0)]))


def test_robustness_panels_run_towards_more_damage() -> None:
    scores = tuple(metric(value) for value in (0.7, 0.6, 0.4))
    noise = figures.Curve("noise", (20.0, 0.0, -5.0), scores, "dB", clean=metric(0.8))
    mp3 = figures.Curve("mp3", (6.0, 5.0, 3.0), scores, "kbit/s", level_names=("64", "32", "8"))
    missing = figures.Curve("missing", ("video", "audio", "text"), scores, "left out")
    figure = figures.robustness_curves([noise, mp3, missing], y_name="war")
    left, right = figure.axes[0].get_xlim()
    assert left > 20.0 and right < -5.0
    assert {"noise", "missing", "64", "video", "dB"} <= set(words(figure))
    joined = [axes.lines[-1].get_linestyle() for axes in figure.axes[:3]]
    assert joined == ["-", "-", "None"]  # words have no order that a line could follow
    assert not figure.axes[3].get_visible()


def test_slices_are_drawn_with_their_counts() -> None:
    rows = [
        Slice(group="sex", value="female", n=40, metrics={"war": metric(0.6)}),
        Slice(group="age", value="60+", n=3, metrics={}),
    ]
    shown = words(figures.slice_dots(rows, "war", overall=metric(0.5)))
    assert "sex: female (40)" in shown and not any("60+" in text for text in shown)
    with pytest.raises(UsageError, match="'uar'"):
        figures.slice_dots(rows, "uar")


@pytest.mark.parametrize(
    "draw",
    [
        lambda: figures.probability_bars({}),
        lambda: figures.ablation_curves([], y_name="x"),
        lambda: figures.ranking_bars({"a": NONE}),
        lambda: figures.reliability_diagram([]),
        lambda: figures.risk_coverage_curve([]),
        lambda: figures.robustness_curves([], y_name="x"),
    ],
)
def test_nothing_to_draw_is_an_error_that_says_so(draw: object) -> None:
    with pytest.raises(UsageError, match="expected at least"):
        draw()  # type: ignore[operator]


def test_saved_files_are_whole_and_on_white(tmp_path: Path) -> None:
    figure = figures.risk_coverage_curve([(0.5, 0.1), (1.0, 0.3)])
    figures.save(figure, tmp_path / "risk.PNG")
    figures.save(figure, tmp_path / "risk.svg")
    with Image.open(tmp_path / "risk.PNG") as picture:
        assert picture.convert("RGB").getpixel((0, 0)) == (255, 255, 255) and picture.width == 840
    assert ElementTree.parse(tmp_path / "risk.svg").getroot().tag == SVG + "svg"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["risk.PNG", "risk.svg"]


def test_a_figure_that_cannot_be_written_names_its_path(tmp_path: Path) -> None:
    figure = figures.risk_coverage_curve([(1.0, 0.3)])
    with pytest.raises(UsageError, match=r"\.svg or \.png"):
        figures.save(figure, tmp_path / "risk.gif")
    with pytest.raises(OutputError, match="nowhere"):
        figures.save(figure, tmp_path / "nowhere" / "risk.svg")
    (tmp_path / "taken.svg").mkdir()
    with pytest.raises(OutputError, match="taken"):
        figures.save(figure, tmp_path / "taken.svg")
    assert [path.name for path in tmp_path.iterdir()] == ["taken.svg"]  # no half-written file stays


@settings(max_examples=8, deadline=None)
@given(st.lists(st.text(max_size=30), min_size=1, max_size=4, unique=True))
def test_any_text_is_drawn_as_well_formed_svg(labels: list[str]) -> None:
    page = ElementTree.fromstring(figures.svg_text(figures.confusion_matrix(confusion(tuple(labels)))))
    assert page.tag.endswith("svg")
