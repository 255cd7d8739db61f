"""Judges in a run: what they add to the scores of EMER, MER-OV and HitEmotion, through the command."""

from __future__ import annotations

import json
import re
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from emotion_llama.errors import EndpointError, ManifestError, UsageError
from emotion_llama.evaluate.command import Request, run_command
from emotion_llama.evaluate.judge.anchoring import PUBLISHED
from emotion_llama.evaluate.judge.parts import make_judges
from emotion_llama.evaluate.records import Report

_FAKE = runpy.run_path(str(Path(__file__).parent.parent / "llm_server.py"))
LlmServer, Say = _FAKE["LlmServer"], _FAKE["Say"]

REFERENCES = {
    "one": "The corners of her mouth lift. She is happy.",
    "two": "He shouts with furrowed brows. He is angry.",
    "three": "She weeps softly. She is sad.",
    "four": "He trembles and his voice shakes. He is afraid.",
}
FEELINGS = ("happy", "angry", "sad", "afraid")


@pytest.fixture
def llm(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")
    with LlmServer() as server:
        server.answer = sensible
        yield server


def tagged(body: dict[str, Any], tag: str) -> str:
    found = re.search(rf"<{tag}>\n(.*?)\n</{tag}>", body["messages"][1]["content"], re.DOTALL)
    return found[1] if found else ""


def sensible(body: dict[str, Any]) -> Any:
    """Rates an answer by its own "level N", else 9 for equal and 3 for other texts; "strict" gives one point less."""
    fields = body["response_format"]["json_schema"]["schema"]["properties"]
    if "words" in fields:
        text = tagged(body, "text")
        level = re.findall(r"level \d", text)
        return Say(json.dumps({"words": [word for word in FEELINGS if word in text] + level}))
    if "groups" in fields:
        return Say(json.dumps({"groups": [[w for w in tagged(body, "words").split("\n") if w in ("glad", "happy")]]}))
    level = re.findall(r"level (\d)", tagged(body, "answer"))
    score = int(level[0]) if level else 9 if tagged(body, "reference") == tagged(body, "answer") else 3
    return Say(json.dumps({"score": score - (body["model"] == "strict"), "reason": "because"}))


def write_rows(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def emer(tmp_path: Path, llm: Any) -> Request:
    """Four clips; the system gets the first two right, the third wrong and says nothing of the fourth."""
    data = [{"clip": name, "reasoning": text, "speaker": name} for name, text in REFERENCES.items()]
    said = [REFERENCES["one"], REFERENCES["two"], "He laughs. He is happy.", None]
    rows = [{"clip": name, "emotion": None, "reasoning": text} for name, text in zip(REFERENCES, said, strict=True)]
    return Request(
        suite="emer",
        data=write_rows(tmp_path / "manifest.jsonl", data),
        predictions=write_rows(tmp_path / "p.jsonl", rows),
        out=tmp_path / "out",
        draws=100,
        judges=(llm.url,),
        judge_model="tiny",
    )


def run(request: Request, **changes: Any) -> Report:
    request = Request(**{**request.__dict__, **changes})
    assert run_command(request) == 0
    return Report.model_validate_json((request.out / "report.json").read_bytes())


def test_one_judge_stands_before_the_proxies(emer: Request, capsys: pytest.CaptureFixture[str]) -> None:
    report = run(emer)
    assert report.headline[:2] == ("clue_overlap", "label_overlap")
    assert all(name.endswith("_proxy") for name in report.headline[2:])
    # equal texts 9, another one 3, nothing said 1
    assert report.metrics["clue_overlap"].value == pytest.approx((9 + 9 + 3 + 1) / 4)
    assert report.metrics["label_overlap"].value == pytest.approx((9 + 9 + 3 + 1) / 4)
    assert report.metrics["judge_invalid_rate"].value == 0.0
    assert not any("(" in name or "alpha" in name for name in report.metrics)
    assert report.settings["judge_agreement"] == [] and "anchored" not in report.settings
    assert report.notes[0].startswith("clue_overlap and label_overlap are opinions of tiny (prompts judge-1)")
    assert "opinions of tiny" in " ".join(capsys.readouterr().out.split())
    page = (emer.out / "report.html").read_text(encoding="utf-8")
    assert "Clue overlap by a judge" in page
    assert not list((emer.out / "figures").glob("ranking*"))  # another judge's figures are not ours to be ranked with


def test_two_judges_and_how_far_they_agree(emer: Request) -> None:
    report = run(emer, judge_model="tiny, strict")
    each = {name: report.metrics[f"clue_overlap ({name})"].value for name in ("tiny", "strict")}
    assert each == {"tiny": pytest.approx(5.5), "strict": pytest.approx((8 + 8 + 2 + 1) / 4)}
    assert report.metrics["clue_overlap"].value == pytest.approx((5.5 + 4.75) / 2)
    assert {"clue_alpha", "label_alpha", "judge_invalid_rate (strict)"} <= set(report.metrics)
    assert len(report.headline) == 4  # no large figure for each judge
    pairs = {pair["aspect"]: pair for pair in report.settings["judge_agreement"]}
    # the clip without an answer was asked of no judge
    assert pairs["clue_overlap"] == pairs["clue_overlap"] | {"n": 3, "pearson": 1.0, "difference": 1.0}
    page = (emer.out / "report.html").read_text(encoding="utf-8")
    assert "Agreement of judges on clues" in page and "Clue overlap by a judge (1–10) (strict)" in page


def test_nonsense_is_named_with_its_line_and_is_no_number(llm: Any, emer: Request) -> None:
    def moody(body: dict[str, Any]) -> Any:
        return Say("Who knows?") if "laughs" in tagged(body, "answer") else sensible(body)

    llm.answer = moody
    report = run(emer)
    named = [problem for problem in report.problems if problem.kind == "judge"]
    assert [(one.clip, one.line) for one in named] == [("three", 3)]
    assert "3 answers of tiny make no sense, last 'Who knows?'" in named[0].message
    assert report.metrics["clue_overlap"].value == pytest.approx((9 + 9 + 1) / 3)
    assert report.metrics["clue_overlap"].n == 3
    assert report.metrics["judge_invalid_rate"].value == 0.25


def test_a_second_run_asks_nothing_and_says_the_same(llm: Any, emer: Request) -> None:
    first = run(emer)
    asked = len(llm.seen)
    assert asked > 0 and len(list((emer.out / "judge").rglob("*.json"))) == asked
    assert run(emer).metrics == first.metrics
    assert len(llm.seen) == asked


def anchor_folder(folder: Path, levels: dict[str, int]) -> Path:
    folder.mkdir()
    for system, level in levels.items():
        rows = [f'{clip},"He is happy, level {level}."' for clip in REFERENCES]
        (folder / f"{system}.csv").write_text("names,chi_reasons\n" + "\n".join(rows) + "\n", encoding="utf-8")
    return folder


def test_an_anchored_judge_gives_the_published_scale_with_its_cautions(emer: Request, tmp_path: Path) -> None:
    levels = {"videochat-text": 4, "video-llama": 5, "pandagpt": 7, "valley": 8}
    report = run(emer, judge_anchor=anchor_folder(tmp_path / "anchor", levels))
    assert report.settings["anchored_on"] == ["PandaGPT", "Valley", "Video-LLaMA", "VideoChat-Text"]
    found = report.settings["anchored"]["clue_overlap"]
    names = {"videochat-text": "VideoChat-Text", "video-llama": "Video-LLaMA", "pandagpt": "PandaGPT"}
    points = [(levels[file], PUBLISHED[names.get(file, "Valley")][0]) for file in levels]
    mean_x, mean_y = (sum(side) / 4 for side in zip(*points, strict=True))
    slope = sum((x - mean_x) * (y - mean_y) for x, y in points) / sum((x - mean_x) ** 2 for x, _ in points)
    assert found["value"] == pytest.approx(mean_y + slope * (5.5 - mean_x))
    (note,) = [note for note in report.notes if note.startswith("clue_overlap on the published scale")]
    assert f"{found['value']:.2f}" in note and "an estimate from 4 systems, not one of the published scores" in note


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "expected the answers of VideoChat-Text.*found none"),
        ({"gpt-eng.csv": "names,chi_reasons\none,x\n"}, "name the file after one of the published systems"),
        ({"valley.csv": "names,chi_reasons\nother,x\n"}, "none of its clips is one that was asked"),
    ],
)
def test_an_anchor_that_is_none_is_named(files: dict[str, str], message: str, emer: Request, tmp_path: Path) -> None:
    folder = anchor_folder(tmp_path / "anchor", {})
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    with pytest.raises(ManifestError, match=message):
        run(emer, judge_anchor=folder)


@pytest.fixture
def open_words(tmp_path: Path, llm: Any) -> Request:
    data = [{"clip": "one", "labels": ["happy", "calm"]}, {"clip": "two", "labels": ["sad"]}]
    rows = [{"clip": "one", "labels": ["glad"]}, {"clip": "two", "labels": ["angry", "sad"]}]
    return Request(
        suite="mer-ov",
        data=write_rows(tmp_path / "manifest.jsonl", data),
        predictions=write_rows(tmp_path / "p.jsonl", rows),
        out=tmp_path / "out",
        draws=100,
        judges=(llm.url,),
    )


def test_a_judge_groups_the_synonyms_of_open_words(open_words: Request) -> None:
    report = run(open_words)
    # one: {happy = glad, calm} against {glad}: 1/1 and 1/2; two: {sad} against {angry, sad}: 1/2 and 1/1
    assert report.metrics["set_accuracy"].value == pytest.approx(0.75)
    assert report.metrics["set_recall"].value == pytest.approx(0.75)
    assert report.notes[0].startswith("Synonyms were grouped by tiny (prompts judge-1)")
    assert (report.settings["judge"], report.settings["prompt_version"]) == ("tiny", "judge-1")
    assert {problem.clip for problem in report.problems if problem.kind == "judge"} == {"one", "two"}  # words left out


def test_a_judge_that_groups_nothing_is_an_error_and_no_table_takes_its_place(llm: Any, open_words: Request) -> None:
    llm.said(Say("I will not."))
    with pytest.raises(EndpointError, match=r"judge tiny: no clip's words could be grouped.*'one'"):
        run(open_words)


def test_a_judge_rates_free_answers_and_leaves_the_other_tasks_alone(tmp_path: Path, llm: Any) -> None:
    for code, gold in (("EI", "He lost his keys."), ("FESD", "positive")):
        prompt = "Why? Choose one of the following labels as your final answer: positive, negative, neutral."
        rows = [{"id": "1", "video": "v/1.mp4", "conversations": [{"value": prompt}, {"value": gold}]}]
        (tmp_path / f"{code}.json").write_text(json.dumps(rows), encoding="utf-8")
    from emotion_llama.evaluate.suite import Choice
    from emotion_llama.evaluate.suites.hitemotion import SUITE

    clips = {part.name: part.items[0].clip.clip for part in SUITE.read(tmp_path, Choice())}
    said = {"EI": "He lost his keys.", "FESD": "positive"}
    given = write_rows(tmp_path / "p.jsonl", [{"clip": clips[code], "emotion": text} for code, text in said.items()])
    request = Request(
        suite="hitemotion", data=tmp_path, predictions=given, out=tmp_path / "out", draws=100, judges=(llm.url,)
    )
    report = run(request)
    assert report.parts["EI"].metrics["judge_score"].value == pytest.approx(8 / 9)  # 9 of 1–10
    assert report.parts["EI"].headline == ("judge_score", "judge_invalid_rate")
    assert report.parts["FESD"].metrics["war"].value == 1.0
    assert len(llm.seen) == 1
    for changes, idle in (({"judge_model": "a,b"}, "a second judge"), ({"judge_anchor": tmp_path}, "--judge-anchor")):
        with pytest.raises(UsageError, match=f"part EI: {idle} is for overlaps of reasons"):
            run(request, **changes)


def test_a_suite_without_use_for_a_judge_is_refused(tmp_path: Path, llm: Any) -> None:
    data = tmp_path / "m.csv"
    data.write_text("clip,emotion\na,happy\nb,sad\n")
    request = Request(suite="custom", data=data, predictions=data, out=tmp_path / "out", draws=100, judges=(llm.url,))
    with pytest.raises(UsageError, match="suite custom has nothing for a judge; leave --judge out"):
        run_command(request)
    assert llm.seen == []


@pytest.mark.parametrize(
    ("urls", "models", "names"),
    [(1, "a", ["a"]), (1, "a, b", ["a", "b"]), (2, "a,b", ["a", "b"]), (1, "", ["tiny"])],
)
def test_judges_are_made_of_urls_and_models(urls: int, models: str, names: list[str], llm: Any, tmp_path: Path) -> None:
    assert [judge.name for judge in make_judges([llm.url] * urls, models, "", tmp_path)] == names


@pytest.mark.parametrize(
    ("urls", "models", "message"),
    [(3, "a,b", "names 3 endpoints, --judge-model 2 models"), (2, "a", r"one model twice \(a, a\)")],
)
def test_judges_that_do_not_fit_together_are_refused(
    urls: int, models: str, message: str, llm: Any, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=message):
        make_judges([llm.url] * urls, models, "", tmp_path)
