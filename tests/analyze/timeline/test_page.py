"""What the report draws of a timeline: areas that add up, shapes in place, breaks where nobody is there."""

from __future__ import annotations

import re

import pytest

from emotion_llama.analyze.charts import TimeAxis
from emotion_llama.analyze.report import UNIT_NAMES, ReportMaterial, render_report
from emotion_llama.analyze.timeline.page import TimelinePage, page_of
from emotion_llama.analyze.timeline.stretches import stretches_of, transitions_of
from emotion_llama.clip import Analysis
from emotion_llama.timeline import Expression, Timeline
from tests.analyze.timeline.windows import of, window

WINDOWS = (
    window(0.0, of(0.9)), window(3.0, of(0.9)), window(6.0, of(0.1)), window(9.0, of(0.1)), window(20.0, {}),
    window(26.0, of(0.6), person=1),
)  # fmt: skip


def made() -> Timeline:
    stretches = stretches_of(WINDOWS)
    smile = Expression(unit="AU12", onset_s=2, apex_s=4, offset_s=6, intensity=3, person=0)
    brief = smile.model_copy(update={"onset_s": 6.01, "apex_s": 6.02, "offset_s": 6.03})
    return Timeline(
        window_s=6, step_s=3, windows=WINDOWS, stretches=stretches, expressions=(smile, brief),
        transitions=transitions_of(stretches), cuts_s=(20.0,),
    )  # fmt: skip


@pytest.fixture
def page() -> TimelinePage:
    return page_of(made(), TimeAxis(0.0, 32.0), UNIT_NAMES)


def test_areas_fill_the_height_and_break_where_nobody_is(page: TimelinePage) -> None:
    assert {layer.label for layer in page.layers} == {"happy", "sad"}
    for layer in page.layers:
        assert layer.path.count("M") == 2
        xs = [float(x) for x, _ in re.findall(r"([\d.]+) ([\d.]+)", layer.path)]
        assert not [x for x in xs if 470 < x < 810]  # from 15 s to 26 s
    ys = [float(y) for layer in page.layers for _, y in re.findall(r"([\d.]+) ([\d.]+)", layer.path)]
    assert min(ys) == 0.0 and max(ys) == 100.0


def test_shapes_lie_where_they_happen(page: TimelinePage) -> None:
    (row,) = page.stretches
    assert next((shape.x, round(shape.x + shape.width, 1)) for shape in row.shapes) == (0.0, pytest.approx(234.4, 0.01))
    (unit,) = page.expressions
    assert unit.shapes[0].mark == 125.0 and "apex 4 s (3.0 of 5)" in unit.shapes[0].title
    assert page.cuts_x == (625,) and unit.note == "AU12, 2×"
    assert page.transitions[0][1] and ("happy", ((0, 0.0), (1, 1.0))) in page.transitions


def test_the_report_has_the_section_with_escaped_labels(analysis: Analysis) -> None:
    odd = "<b>&"
    windows = tuple(window(3.0 * at, {odd: 0.7, "sad": 0.3}) for at in range(4))
    timeline = Timeline(
        window_s=6, step_s=3, windows=windows, stretches=stretches_of(windows), expressions=(), transitions={},
        cuts_s=(),
    )  # fmt: skip
    text = render_report(
        analysis.model_copy(update={"timeline": timeline, "duration_s": 15.0}),
        ReportMaterial(trace=None, duration_s=15.0),
    )
    assert "Emotion over time" in text and odd not in text and "&lt;b&gt;&amp;" in text
    assert "Emotion over time" not in render_report(analysis, ReportMaterial(duration_s=15.0))
