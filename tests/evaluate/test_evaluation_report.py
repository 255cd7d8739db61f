from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from emotion_llama.errors import OutputError
from emotion_llama.evaluate.comparison import (
    ComparedSystem,
    Comparison,
    DifferingClip,
    Disagreement,
    PairedDifference,
)
from emotion_llama.evaluate.records import Bin, ClassScores, Confusion, Problem, Published, Report, Scored, Slice
from emotion_llama.evaluate.report.page import SHOWN_CLIPS, SHOWN_PROBLEMS, compare_page, write_report
from emotion_llama.evaluate.report.terminal import show_comparison, show_report
from emotion_llama.evaluate.report.words import (
    Facts,
    Table,
    cell,
    facts,
    lower_is_better,
    metric_group,
    metric_name,
    p_value,
)
from emotion_llama.metrics.statistic import Metric

EVIL = '<script>alert("x")</script>&\'{{ 7 * 7 }}.wav'
VOID = {"meta", "link", "br"}
SVG_EMPTY = {"path", "use", "rect"}
LABELS = ("sad", "happy")


class Page(HTMLParser):
    """Reads a page, checks that its tags close in order, and collects tags, ids, addresses and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.words = ""
        self.feed(text)
        self.close()
        assert self.open == []
        self.words = " ".join(self.words.split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._note(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._note(tag, attrs)

    def _note(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.ids += [value or "" for name, value in attrs if name == "id"]
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href", "action")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] != "style":
            self.words += " " + data


def metric(value: float, **more: Any) -> Metric:
    return Metric(value=value, low=value - 0.05, high=value + 0.05, **more)


def scored_fields() -> dict[str, Any]:
    score = ClassScores(support=20, predicted=18, precision=metric(0.7), recall=metric(0.6), f1=metric(0.65))
    return {
        "n_asked": 40,
        "n_scored": 38,
        "metrics": {
            "war": metric(0.612, chance=0.5, majority=0.55, n=40),
            "uar": metric(0.598, chance=0.5, majority=0.5),
            "ece": metric(0.123, n=39),
            "scaled_ece": metric(0.077, n=39),
            "auroc": Metric(value=None, low=None, high=None),
            "invalid_rate": metric(0.05, n=40),
            "order_sensitivity": metric(0.021, n=40),
        },
        "headline": ("war", "uar"),
        "chance": 0.5,
        "majority": 0.55,
        "class_counts": {"sad": 20, "happy": 20},
        "per_class": dict.fromkeys(LABELS, score),
        "confusion": Confusion(labels=LABELS, matrix=((12, 6), (5, 14)), invalid=(1, 0), missing=(1, 1)),
        "reliability": (Bin(low=0.0, high=1.0, n=39, confidence=0.7, accuracy=0.6),),
        "risk_coverage": ((0.5, 0.2), (1.0, 0.4)),
        "slices": (
            Slice(group="sex", value="female", n=20, metrics={"war": metric(0.5)}),
            Slice(group="age", value="60+", n=3, metrics={}),
        ),
        "settings": {"draws": 1000, "null_ece": {"value": 0.087, "low": 0.051, "high": 0.131}},
        "notes": ("The caution of this suite.",),
    }


def robustness() -> dict[str, Any]:
    level = {"level": "20", "position": 20.0, "value": metric(0.5).model_dump()}
    shared = {"part": "voice", "unit": "dB", "metric": "war"}
    noise = {"condition": "snr-white", "title": "White noise", "n": 40, "levels": [level], "worst": "20"} | shared
    blur = {"condition": "blur", "title": "Blur", "not_applicable": "no clip has a picture"} | shared
    return {"seed": 3, "conditions": [noise | {"clean": metric(0.6).model_dump()}, blur]}


@pytest.fixture(scope="module")
def report() -> Report:
    missing = [Problem(kind="missing-clip", message="no answer", clip=f"clip{number:02d}") for number in range(13)]
    claim = {"text": EVIL, "verdict": "contradicted", "measured": "AU12", "value": 0.2, "reason": "below 1"}
    return Report(
        suite="custom",
        title="A suite",
        side="test",
        system=EVIL,
        **scored_fields(),
        published=(
            Published(system="theirs", metric="war", value=0.7, setting="tuned", source="a paper"),
            Published(system="percent", metric="war", value=70.0, source="another paper"),
        ),
        problems=(*missing, Problem(kind="unknown-label", message=f"found {EVIL}", clip=EVIL, line=17)),
        faithfulness={
            "n_answers": 40,
            "metrics": {"supported": metric(0.44).model_dump()},
            "clips": [{"clip": "c", "claims": [claim]}],
        },
        leaks={"shared_speakers": ["Actor_01"], "findings": [{"test": EVIL, "train": "b.wav", "reason": "same sound"}]},
        robustness=robustness(),
        provenance={"git_commit": "abc123", "versions": {"numpy": "2.3"}, "machine": {"cores": 2}},
    )


@pytest.fixture(scope="module")
def out(report: Report, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the report written once."""
    folder = tmp_path_factory.mktemp("report")
    assert write_report(report, folder)[:2] == [folder / "report.html", folder / "report.json"]
    return folder


def read(out: Path, name: str = "report.html") -> Page:
    return Page((out / name).read_text(encoding="utf-8"))


def test_report_holds_every_number_with_interval_and_n(out: Path) -> None:
    words = read(out).words
    assert "0.612 [0.562, 0.662] n 40 · chance 0.500 · majority 0.550" in words
    assert "uar 0.598 [0.548, 0.648] 0.500 0.500 40" in words  # a score that names no n rests on all that was asked
    assert "0.123 [0.073, 0.173] 0.077 [0.027, 0.127] 39" in words  # ECE before and after temperature
    assert "about 0.087 (95 % of the time 0.051 to 0.131)" in words
    assert "auroc not defined" in words
    assert "asked 40 scored 38 invalid 1 missing 2" in words
    assert "age 60+ 3 too few to score" in words
    assert "theirs WAR (accuracy) 0.700 tuned a paper" in words and "The caution of this suite." in words
    assert "Actor_01" in words and "same sound" in words
    assert "White noise 40 0.600 [0.550, 0.650] 20 dB" in words and "no clip has a picture" in words
    assert f"clip the reason says because c {EVIL} below 1" in words and "supported 0.440 [0.390, 0.490]" in words
    assert "git commit abc123" in words and "cores 2" in words


def test_every_figure_is_a_file_too(out: Path) -> None:
    files = list((out / "figures").iterdir())
    assert all(path.stat().st_size > 0 for path in files) and len(files) == 14
    assert {path.stem for path in files} == {
        "confusion", "classes", "reliability", "risk-coverage", "slices", "ranking", "robustness-01"
    }  # fmt: skip


def test_problems_are_counted_and_the_first_ten_named(out: Path) -> None:
    words = read(out).words
    assert "14 problems" in words and "Clips without an answer: 13" in words
    assert len(re.findall(r"clip\d\d · no answer", words)) == SHOWN_PROBLEMS and "and 3 more" in words
    assert "line 17 · " + EVIL in words


def test_nothing_of_a_stranger_runs_and_nothing_is_asked_for(out: Path) -> None:
    page = read(out)
    assert "script" not in page.tags and "img" not in page.tags and "49.wav" not in page.words
    assert EVIL in page.words
    assert all(address.startswith(("#", "data:")) for address in page.addresses)
    text = (out / "report.html").read_text(encoding="utf-8")
    assert "default-src 'none'" in text and "@import" not in text
    assert not re.search(r"url\((?!#)", text)


def test_figures_stand_in_the_page_with_ids_of_their_own(out: Path) -> None:
    page = read(out)
    assert page.tags.count("svg") == 7
    assert len(page.ids) == len(set(page.ids))
    pointed = {address[1:] for address in page.addresses if address.startswith("#")}
    assert pointed <= set(page.ids)
    text = (out / "report.html").read_text(encoding="utf-8")
    assert "var(--accent, #0f6e66)" in text and ": #0f6e66" not in text.split("</style>", 1)[1]


def test_printed_percentages_are_listed_but_not_drawn_beside_shares(out: Path) -> None:
    drawn = (out / "figures" / "ranking.svg").read_text(encoding="utf-8")
    assert "theirs" in drawn and "percent" not in drawn
    assert "percent WAR (accuracy) 70.000" in read(out).words


def test_json_reads_back_as_the_same_report(report: Report, out: Path) -> None:
    assert Report.model_validate_json((out / "report.json").read_bytes()) == report


def test_the_same_report_gives_the_same_files(report: Report, out: Path, tmp_path: Path) -> None:
    write_report(report, tmp_path)
    names = [path.relative_to(out) for path in out.rglob("*") if path.is_file()]
    assert len(names) == 16
    assert all((out / name).read_bytes() == (tmp_path / name).read_bytes() for name in names)


def test_an_almost_empty_report_is_a_whole_page(tmp_path: Path) -> None:
    empty = Report(suite="custom", title="Empty", side="unknown", system="x", n_asked=0, n_scored=0, chance=None,
                   majority=None, metrics={}, headline=())  # fmt: skip
    assert write_report(empty, tmp_path) == [tmp_path / "report.html", tmp_path / "report.json"]
    page = read(tmp_path)
    assert "asked 0 scored 0 invalid not counted missing not counted" in page.words
    assert "Confusion" not in page.words and "svg" not in page.tags


def test_parts_have_their_own_sections_and_figures(tmp_path: Path) -> None:
    kept = ("n_asked", "n_scored", "metrics", "headline", "confusion", "notes")
    fields = {name: value for name, value in scored_fields().items() if name in kept}
    part = Scored(**fields, problems=(Problem(kind="judge", message="nonsense", clip="c1", line=4),))
    published = (Published(system="theirs", metric="FESD war", value=0.33, source="a page"),)
    whole = Report(suite="hitemotion", title="Parts", side="test", system="ours", n_asked=80, n_scored=76, chance=None,
                   majority=None, metrics={}, headline=(), parts={"FESD": part, "情绪 <i>": part},
                   published=published, notes=fields["notes"])  # fmt: skip
    written = write_report(whole, tmp_path)
    page = read(tmp_path)
    assert "情绪 <i>" in page.words and "i" not in page.tags
    assert page.words.count("Judge answers that cannot be used: 1") == 2
    assert "invalid 2 missing 4" in page.words  # of both parts together
    assert page.words.count("The caution of this suite.") == 1  # said once, at the top
    names = {path.name for path in written}
    assert {"part-01-confusion.svg", "part-02-confusion.png", "part-01-ranking.svg"} <= names
    assert "part-02-ranking.svg" not in names  # the printed figure is of the other part
    assert len(page.ids) == len(set(page.ids))


def test_problems_told_at_the_top_are_not_told_again_in_the_part(tmp_path: Path) -> None:
    problem = Problem(kind="judge", message="nonsense", clip="c1", line=4)
    part = Scored(n_asked=1, n_scored=0, metrics={}, problems=(problem,))
    whole = Report(suite="s", title="t", side="test", system="x", n_asked=1, n_scored=0, chance=None, majority=None,
                   metrics={}, headline=(), parts={"a": part, "b": part}, problems=(problem,))  # fmt: skip
    write_report(whole, tmp_path)
    assert read(tmp_path).words.count("nonsense") == 1


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_that_json_cannot_hold_is_named(report: Report, tmp_path: Path, value: float) -> None:
    broken = report.model_copy(update={"metrics": {"nll": Metric(value=value, low=None, high=None)}})
    with pytest.raises(OutputError, match=r"report\.json.*metrics\.nll\.value is (nan|inf)"):
        write_report(broken, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named(report: Report, tmp_path: Path) -> None:
    (tmp_path / "figures").write_text("a file stands where the folder should")
    with pytest.raises(OutputError, match="figures"):
        write_report(report, tmp_path)
    assert not (tmp_path / "report.json").exists()


@pytest.fixture
def comparison() -> Comparison:
    names = (EVIL, "B")
    systems = [ComparedSystem(name=n, path="runs/" + n, n=99, metrics={"war": metric(0.5)}) for n in names]
    apart = PairedDifference(a=EVIL, b="B", metric="war", a_value=0.5, b_value=0.7, difference=metric(0.2),
                             p_bootstrap=0.0, p_permutation=0.0421)  # fmt: skip
    clips = [DifferingClip(clip=f"clip{i:02d}", truth="sad", answers={EVIL: "sad", "B": None}) for i in range(60)]
    return Comparison(title="Two", suite="custom", side="validation", systems=tuple(systems), headline=("war",),
                      differences=(apart,), mcnemar=(Disagreement(a=EVIL, b="B", n01=30, n10=12, p=0.008),),
                      clips=tuple(clips), n_clips=99, n_differing=61, selected="B", selected_by="war")  # fmt: skip


def test_comparison_page_has_tests_and_clips(comparison: Comparison, tmp_path: Path) -> None:
    written = compare_page(comparison, tmp_path)
    page = read(tmp_path, "compare.html")
    assert "0.200 [0.150, 0.250] 99 < 0.001 0.042" in page.words
    assert f"{EVIL} B 12 30 99 0.008" in page.words  # only A right, only B right
    assert len(re.findall(r"clip\d\d sad sad no valid answer", page.words)) == SHOWN_CLIPS
    assert "50 shown of 61, of 99 clips in all" in page.words and "Chosen by WAR (accuracy): B" in page.words
    assert "script" not in page.tags
    assert [path.name for path in written[2:]] == ["ranking-war.svg", "ranking-war.png"]
    assert Comparison.model_validate_json((tmp_path / "compare.json").read_bytes()) == comparison


def test_comparison_shows_what_the_systems_believe_of_a_few_clips(comparison: Comparison, tmp_path: Path) -> None:
    assert "What they believe of single clips" not in read_compared(comparison, tmp_path / "without")
    believed = {EVIL: {"sad": 0.7, "happy": 0.3}, "B": {"happy": 0.9, "sad": 0.1}}
    one = {EVIL: {"sad": 1.0}}  # a single system is nothing to compare
    clips = [
        clip.model_copy(update={"probabilities": one if number == 0 else believed})
        for number, clip in enumerate(comparison.clips)
    ]
    words = read_compared(comparison.model_copy(update={"clips": tuple(clips)}), tmp_path / "with")
    shown = words.partition("What they believe of single clips")[2]
    assert [f"clip{number:02d}" in shown for number in range(6)] == [False, True, True, True, True, False]
    assert len(list((tmp_path / "with/figures").glob("clip-*.svg"))) == 4
    assert "Ranking WAR (accuracy)" in words


def read_compared(comparison: Comparison, out: Path) -> str:
    compare_page(comparison, out)
    return read(out, "compare.html").words


def printed(width: int, show: Any, *what: Any) -> str:
    out = io.StringIO()
    show(what[0], Console(file=out, width=width), *what[1:])
    return out.getvalue()


def test_terminal_shows_scores_problems_and_files(report: Report, out: Path) -> None:
    wide = printed(110, show_report, report, sorted(out.rglob("*.*")))
    assert re.search(r"WAR \(accuracy\) +0\.612 +\[0\.562, 0\.662\] +0\.500 +0\.550 +40", wide)
    assert "Invalid answers ↓" in wide and "Clips without an answer: 13; first: clip00: no answer" in wide
    assert "14 figures" in wide and EVIL in " ".join(wide.split())


def test_terminal_fits_a_narrow_window_and_stops_control_signs(report: Report, comparison: Comparison) -> None:
    steering = report.model_copy(update={"system": "\x1b[31m[bold]x"})
    for text in (printed(40, show_report, steering), printed(40, show_comparison, comparison)):
        assert "\x1b" not in text and max(map(len, text.splitlines())) <= 40
    assert "[bold]x" in printed(40, show_report, steering)
    assert "McNemar p 0.008" in " ".join(printed(40, show_comparison, comparison).split())


def test_words_for_scores() -> None:
    assert metric_name("scaled_ece") == metric_name("ece") + ", after temperature"
    assert metric_name("FESD: war") == "FESD: WAR (accuracy)" and metric_name("my_score") == "my score"
    less = ("ece", "calibrated_brier", "aurc", "mse", "invalid_rate", "order_sensitivity")
    assert all(map(lower_is_better, less)) and not any(map(lower_is_better, ("war", "auroc", "hit_rate", "recall")))
    assert [metric_group(key) for key in ("war", "hit_rate", "nll", "refusal_rate")] == [
        "recognition", "recognition", "calibration", "behaviour"
    ]  # fmt: skip
    assert [p_value(p) for p in (None, 0.0, 0.0009, 0.05)] == ["–", "< 0.001", "< 0.001", "0.050"]


def test_facts_of_any_record() -> None:
    plain = metric(0.5, n=9).model_dump()
    told = facts({"a_b": 1, "score": plain, "all": {"x": plain}, "rows": [{"k": 1}, {"l": [2, 3]}], "in": {"y": {}}}, 1)
    found = dict(told.rows)
    assert found["a b"] == "1" and found["score"] == "0.500 [0.450, 0.550], n 9"
    assert found["all"] == Table(("", "value", "95 % interval", "n"), (("x", "0.500", "[0.450, 0.550]", "9"),))
    assert found["rows"] == Table(("k", "l"), (("1", "–"),), 1)
    assert found["in"] == Facts([("y", "none")])
    assert [cell(value) for value in (True, None, 0.25, 3.0, 1e-5, (), "x")] == [
        "yes", "–", "0.250", "3", "1e-05", "none", "x"
    ]  # fmt: skip


def test_report_json_is_plain_json(out: Path) -> None:
    found = json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert found["metrics"]["war"] == pytest.approx(
        {"value": 0.612, "low": 0.562, "high": 0.662, "chance": 0.5, "majority": 0.55, "n": 40}
    )
    assert found["confusion"]["matrix"] == [[12, 6], [5, 14]]


def test_without_matplotlib_the_report_says_what_to_install_and_the_terminal_still_works() -> None:
    code = """
import sys
sys.modules["matplotlib"] = None
import emotion_llama.evaluate.comparison, emotion_llama.evaluate.report.terminal
from emotion_llama.errors import UsageError
try:
    import emotion_llama.evaluate.report.page
except UsageError as error:
    print(error)
print("torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "install emotion-llama[evaluate]" in done.stdout and done.stdout.split()[-1] == "False"
