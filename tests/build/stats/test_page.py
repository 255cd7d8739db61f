"""Figures and page: everything is written and read back, and nothing of a data set becomes markup."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from emotion_llama.build.entry import ENTRIES, Check, CoarseLabel, Entry, Rejected, write_lines
from emotion_llama.build.stats.count import dataset_stats, read_stats
from emotion_llama.build.stats.table import stats_text
from emotion_llama.build.stats.words import number, seconds, share, unit_name
from emotion_llama.clip import Clip
from emotion_llama.errors import ManifestError, OutputError
from tests.build.stats.made_up import write_made_up

pytest.importorskip("matplotlib", reason="figures need matplotlib (emotion-llama[evaluate])")

FIGURES = {"labels", "durations", "units", "class-units", "clues", "agreement", "rejects"}


class _Page(HTMLParser):
    """What a page asks for from outside, the tags that it leaves open, and its words."""

    VOID = {"meta", "link", "br", "img", "use", "path", "rect"}

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.outside: list[str] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag not in self.VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "xlink:href") and value and not value.startswith(("#", "data:")):
                self.outside.append(value)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data


def test_figures_page_and_numbers(tmp_path: Path) -> None:
    from emotion_llama.build.stats.page import write_stats

    stats = dataset_stats(write_made_up(tmp_path / "set"), [write_made_up(tmp_path / "other", 30, seed=5)])
    written = write_stats(stats, tmp_path / "out")
    assert {path.stem for path in written if path.suffix == ".png"} == FIGURES
    assert all(path.is_file() for path in written)
    for path in written:
        if path.suffix == ".png":
            with Image.open(path) as picture:
                assert min(picture.size) > 400, path
    assert read_stats(tmp_path / "out" / "stats.json") == stats
    text = (tmp_path / "out" / "stats.html").read_text(encoding="utf-8")
    page = _Page(text)
    assert (page.open, page.outside) == ([], [])
    assert text.count("<svg") == len(FIGURES)
    for words in ("set (n = 300)", "other (n = 30)", "AU12 lip corner puller", "actor00", "template-1 (300)", "median"):
        assert words in page.words


def test_nothing_of_a_data_set_becomes_markup_and_one_class_is_enough(tmp_path: Path) -> None:
    from emotion_llama.build.stats.page import write_stats

    evil = "<script>alert(1)</script>"
    coarse = CoarseLabel(emotion=evil, scores={"happy": 2.0}, fired=("happy",), pseudo_label="happy")
    entry = Entry(clip=Clip(clip=evil, emotion=evil, speaker=evil, reasoning=evil), coarse=coarse,
                  action_units={"AU12": 2.0, evil: 3.0}, check=Check(supported=1))  # fmt: skip
    write_lines([entry], tmp_path / ENTRIES)
    write_lines([Rejected(clip=evil, step=evil, reason=evil)], tmp_path / "rejected.jsonl")
    write_stats(dataset_stats(tmp_path), tmp_path / "out")
    page = _Page((tmp_path / "out" / "stats.html").read_text(encoding="utf-8"))
    assert page.open == []
    assert "script" not in page.tags
    assert "script" in page.words


def test_of_many_classes_the_largest_are_drawn(tmp_path: Path) -> None:
    from emotion_llama.build.stats import figures

    rows = [Entry(clip=Clip(clip=f"{n} {k}", emotion=f"word{n}"), action_units={"AU04": 1.0}, check=Check(supported=1))
            for n in range(80) for k in range(1 + (n > 70))]  # fmt: skip
    write_lines(rows, tmp_path / ENTRIES)
    stats = dataset_stats(tmp_path)
    assert len(stats.classes) == 80
    labels = figures.label_bars("a", stats.classes).axes[0].get_yticklabels()
    assert len(labels) == figures.MOST_ROWS
    assert labels[0].get_text() == "word71"
    panels = [axes for axes in figures.class_units(stats.classes).axes if axes.get_visible()]
    assert len(panels) == figures.MOST_PANELS
    assert "and 50 smaller classes" in stats_text(stats)


def test_an_empty_data_set_gives_a_page_without_figures(tmp_path: Path) -> None:
    from emotion_llama.build.stats.page import write_stats

    (tmp_path / ENTRIES).write_text("", encoding="utf-8")
    written = write_stats(dataset_stats(tmp_path), tmp_path / "out")
    assert [path.name for path in written] == ["stats.html", "stats.json"]
    assert "holds no entry" in (tmp_path / "out" / "stats.html").read_text(encoding="utf-8")


def test_where_it_cannot_be_written_or_read(tmp_path: Path) -> None:
    from emotion_llama.build.stats.page import write_stats

    (tmp_path / ENTRIES).write_text("", encoding="utf-8")
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(OutputError, match="choose another --out"):
        write_stats(dataset_stats(tmp_path), tmp_path / "file" / "out")
    with pytest.raises(ManifestError, match="run build stats again"):
        read_stats(tmp_path / "file")


def test_words() -> None:
    assert (unit_name("AU12"), unit_name("AU1"), unit_name("AU45"), unit_name("AU99"), unit_name("x")) == (
        "AU12 lip corner puller", "AU01 inner brow raiser", "AU45 blink", "AU99", "x",
    )  # fmt: skip
    assert (share(1, 3), share(0, 0), number(None), number(0.125)) == ("33.3 %", "–", "–", "0.12")
    assert (seconds(None), seconds(3.456), seconds(600.0), seconds(9000.0)) == ("–", "3.46 s", "10.0 min", "2.5 h")
