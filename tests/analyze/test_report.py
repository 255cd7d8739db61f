from __future__ import annotations

import base64
import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from emotion_llama.analyze import charts
from emotion_llama.analyze.face_figure import CONTOURS, Overlay, close_up, whole_frame
from emotion_llama.analyze.report import UNIT_NAMES, ReportMaterial, draw, render_report, write_report
from emotion_llama.clip import Analysis, Transcript
from emotion_llama.errors import OutputError
from emotion_llama.measurements import ACTION_UNITS, ActionUnitSeries, VoiceTrace
from emotion_llama.media.types import SAMPLE_RATE_HZ, Waveform

VOID = {"meta", "link", "image", "circle", "path", "rect", "line"}


class Page(HTMLParser):
    """Reads a page, checks that its tags close in order, and collects tags, text and addresses."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.words = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href", "action")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data


@pytest.fixture
def material() -> ReportMaterial:
    angle = np.linspace(0, 2 * np.pi, 468, dtype=np.float32)
    mesh = np.stack([100 + 30 * np.cos(angle), 60 + 40 * np.sin(angle), 0 * angle], axis=1).astype(np.float32)
    time_s = np.linspace(0, 4, 40, dtype=np.float32)
    units = np.ones((40, 18), dtype=np.float32)
    hop_s = np.arange(0, 4, 0.1, dtype=np.float32)
    f0_hz = np.where(hop_s < 2, 120, np.nan).astype(np.float32)
    return ReportMaterial(
        peak_rgb=np.full((120, 200, 3), 90, dtype=np.uint8),
        mesh_px=mesh,
        box_px=np.array([70, 20, 130, 100], dtype=np.float32),
        action_units=ActionUnitSeries(time_s, units, units, np.zeros((40, 3), dtype=np.float32), "own"),
        expressions=np.full((40, 7), 1 / 7, dtype=np.float32),
        trace=VoiceTrace(hop_s, f0_hz, np.zeros_like(hop_s), ((0.5, 1.5), (2.0, 3.0))),
        waveform=Waveform(np.sin(np.arange(4 * SAMPLE_RATE_HZ) / 20).astype(np.float32)),
        duration_s=4.0,
    )


def test_the_full_page_tells_everything(analysis: Analysis, material: ReportMaterial) -> None:
    page = Page(render_report(analysis, material))
    expected = [
        "happy",
        "70.0 %",
        "clips/ann.mp4",
        "seems happy",
        "Grüße, 你好!",
        "Two people speak.",
        "lip corners pulled up",
    ]
    expected += ["text not used: left out", "contradicted", "2.31 of 5", "142 Hz", "CC-BY-NC-SA-4.0", "non-commercial"]
    expected += ["hiring, policing or schooling", "mesh-au-1", "A lively voice."]
    assert [part for part in expected if part not in page.words] == []
    assert page.tags.count("image") == 2


def test_the_page_says_what_was_compared_with(analysis: Analysis, material: ReportMaterial) -> None:
    (first, *rest) = analysis.evidence
    noted = first.model_copy(update={"note": "above the person's own rest over other recordings"})
    origin = analysis.provenance.model_copy(update={"baseline_clips": 14, "baseline_from": "auto"})
    beside = analysis.model_copy(update={"evidence": (noted, *rest), "provenance": origin})
    plain, words = (Page(render_report(one, material)).words for one in (analysis, beside))
    for told in ("above the person's own rest", "14 recordings of the same person (other parts of this recording)"):
        assert told in words and told not in plain


def test_nothing_on_the_page_asks_for_anything_outside_it(analysis: Analysis, material: ReportMaterial) -> None:
    text = render_report(analysis, material)
    page = Page(text)
    assert page.addresses and all(address.startswith("data:") for address in page.addresses)
    assert "script" not in page.tags and "@import" not in text and "url(" not in text
    assert "default-src 'none'" in text


def test_hostile_texts_stay_texts(analysis: Analysis, material: ReportMaterial) -> None:
    text = "</style></title><script>alert(1)</script><img src=x onerror=alert(1)> {{ 7 * 7 }} \"'"
    hostile = analysis.model_copy(
        update={
            "clip": text,
            "reasoning": text,
            "warnings": (text,),
            "raw": {text: text},
            "transcript": Transcript(text=text, source=text, language='en" onload="x'),
            "evidence": tuple(o.model_copy(update={"text": text, "source": text}) for o in analysis.evidence),
        }
    )
    page = Page(render_report(hostile, material))
    assert not {"script", "img"} & set(page.tags)
    assert page.words.count(text) >= 6


MISSING = ["peak_rgb", "mesh_px", "box_px", "action_units", "expressions", "trace", "waveform", "duration_s"]


@pytest.mark.parametrize("part", MISSING)
def test_any_one_part_may_be_missing(analysis: Analysis, material: ReportMaterial, part: str) -> None:
    assert "happy" in Page(render_report(analysis, replace(material, **{part: None}))).words


def test_loudness_is_a_curve_from_silence_to_full_scale(analysis: Analysis, material: ReportMaterial) -> None:
    assert material.trace is not None
    levels = np.full_like(material.trace.time_s, -30.0)
    levels[0] = -200.0
    drawing = draw(analysis, replace(material, trace=replace(material.trace, loudness_db=levels)))
    (strip,) = [one for one in drawing["strips"] if one.name == "Loudness"]
    assert strip.note == "-60–0 dBFS"
    heights = {float(y) for y in re.findall(r"[ML ,][\d.]+[ ,]([\d.]+)", strip.path)}
    assert 50.0 in heights and max(heights) <= 100.0


def test_text_alone_and_an_empty_result_have_a_page(analysis: Analysis, bare_analysis: Analysis) -> None:
    page = Page(render_report(bare_analysis, ReportMaterial()))
    assert "no emotion could be named" in page.words and "svg" not in page.tags
    assert "Over time" not in Page(render_report(analysis, ReportMaterial())).words


def test_a_picture_has_no_time_chart(analysis: Analysis, material: ReportMaterial) -> None:
    still = analysis.model_copy(update={"duration_s": None})
    assert "Over time" not in Page(render_report(still, replace(material, duration_s=None))).words


def test_report_is_written_whole_or_not_at_all(analysis: Analysis, tmp_path: Path) -> None:
    write_report(analysis, ReportMaterial(), tmp_path / "a.html")
    assert (tmp_path / "a.html").read_text(encoding="utf-8").lstrip().startswith("<!doctype html>")
    with pytest.raises(OutputError, match="nowhere"):
        write_report(analysis, ReportMaterial(), tmp_path / "nowhere" / "a.html")


def test_a_large_frame_is_made_small_and_its_drawing_with_it(material: ReportMaterial) -> None:
    rgb = np.zeros((2160, 3840, 3), dtype=np.uint8)
    figure = whole_frame(rgb, Overlay(box_px=(400.0, 400.0, 800.0, 1200.0)))
    assert (figure.width_px, figure.height_px) == (960, 540)
    assert figure.boxes == ((100.0, 100.0, 100.0, 200.0, True),)
    picture = Image.open(io.BytesIO(base64.b64decode(figure.uri.split(",")[1])))
    assert picture.size == (960, 540)


def test_the_close_up_holds_the_whole_mesh(material: ReportMaterial) -> None:
    assert material.peak_rgb is not None
    figure = close_up(material.peak_rgb, Overlay(mesh_px=material.mesh_px))
    assert figure is not None and len(figure.points) == 468
    assert all(0 <= x <= figure.width_px and 0 <= y <= figure.height_px for x, y in figure.points)
    assert close_up(material.peak_rgb, Overlay()) is None


def test_a_mesh_outside_the_frame_gives_no_close_up(material: ReportMaterial) -> None:
    assert material.peak_rgb is not None and material.mesh_px is not None
    assert close_up(material.peak_rgb, Overlay(mesh_px=material.mesh_px + 5000)) is None


def test_contours_are_points_of_the_mesh_without_repeats() -> None:
    for chains in CONTOURS.values():
        for chain in chains:
            assert all(0 <= point < 468 for point in chain)
            inner = chain[:-1] if chain[0] == chain[-1] else chain
            assert len(set(inner)) == len(inner)


def test_every_action_unit_has_words() -> None:
    assert set(UNIT_NAMES) == set(ACTION_UNITS)


def test_line_breaks_at_unvoiced_stretches_and_lost_faces() -> None:
    axis = charts.TimeAxis(0.0, 10.0)
    time_s = np.array([0, 1, 2, 3, 4, 9, 10], dtype=np.float32)
    share = np.array([0, 1, np.nan, 0.5, 0.5, 0.5, 0.5], dtype=np.float32)
    path = charts.line_path(time_s[:5], share[:5], axis)
    assert path.startswith("M0.0 100.0L100.0 0.0")
    assert charts.area_path(time_s, np.ones(7, dtype=np.float32), axis).count("M") == 2
    assert charts.line_path(time_s, np.full(7, np.nan, dtype=np.float32), axis) == ""


def test_long_series_are_thinned() -> None:
    time_s = np.arange(100_000, dtype=np.float32)
    path = charts.line_path(time_s, np.zeros(100_000, dtype=np.float32), charts.TimeAxis(0, 1e5))
    assert len(re.findall("[ML]", path)) <= charts.MAX_POINTS


def test_envelope_keeps_the_extremes() -> None:
    samples = np.zeros(10_000, dtype=np.float32)
    samples[1234], samples[8765] = 0.9, -0.8
    bounds = charts.envelope(samples, bins=100)
    assert bounds.shape == (100, 2)
    assert (bounds[12, 1], bounds[87, 0]) == (np.float32(0.9), np.float32(-0.8))
    assert charts.envelope(samples[:0]).shape == (0, 2)


@pytest.mark.parametrize("seconds", [0.3, 3.5, 12, 61, 700, 7200])
def test_the_time_axis_has_a_readable_number_of_ticks(seconds: float) -> None:
    ticks = charts.TimeAxis(5.0, 5.0 + seconds).ticks()
    assert 3 <= len(ticks) <= 9
    assert all(0 <= percent <= 100 for percent, _ in ticks)
    assert len({text for _, text in ticks}) == len(ticks)
