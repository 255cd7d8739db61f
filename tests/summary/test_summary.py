"""A table and a page over many analyses, and what is said about results that cannot be summarised."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from emotion_llama.errors import ManifestError, UsageError
from emotion_llama.summary.command import run_summary
from emotion_llama.summary.page import MOST_DRAWN

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path, analysis_json: dict[str, Any]) -> Write:
    """Write results of these emotions: `write("happy", None, failed=1, **changes of every analysis)`."""

    def to_file(*emotions: str | None, failed: int = 0, name: str = "analyses.jsonl", **changes: Any) -> Path:
        rows: list[dict[str, Any]] = [
            analysis_json | {"clip": f"clips/{n}.mp4", "emotion": emotion} | changes
            for n, emotion in enumerate(emotions)
        ]
        rows += [{"clip": f"bad{n}.mp4", "error": {"type": "MediaError", "message": "empty"}} for n in range(failed)]
        (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return tmp_path

    return to_file


def table(folder: Path) -> dict[tuple[str, str, str, str], dict[str, str]]:
    with (folder / "summary.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    found = {(row["by"], row["group"], row["quantity"], row["name"]): row for row in rows}
    assert len(found) == len(rows)
    return found


def manifest(folder: Path, *lines: str) -> Path:
    (folder / "list.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder / "list.csv"


class Page(HTMLParser):
    """What a page holds; refuses what it must not."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.words = ""
        self.policy = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        given = dict(attrs)
        assert tag not in ("script", "iframe", "img", "base", "form") and not any(
            name.startswith("on") for name in given
        )
        assert not any((given.get(name) or "data:").split(":")[0] in ("http", "https") for name in ("href", "src"))
        if given.get("http-equiv") == "Content-Security-Policy":
            self.policy = given["content"] or ""

    def handle_data(self, data: str) -> None:
        self.words += data


def test_shares_means_and_failures(write: Write) -> None:
    folder = write("happy", "happy", "sad", None, failed=1, confidence=0.5, action_units={"AU12": 2.0})
    assert run_summary([folder], None, "", None) == 0
    found = table(folder)
    happy = found["all", "all", "share", "happy"]
    assert (happy["count"], happy["n"], float(happy["value"])) == ("2", "4", 0.5)
    assert float(happy["low"]) == pytest.approx(0.15, abs=0.001) and float(happy["high"]) == pytest.approx(
        0.85, abs=0.001
    )
    assert found["all", "all", "share", "(none)"]["count"] == "1"
    assert found["all", "all", "failure", ""]["count"] == "1" and found["all", "all", "failure", ""]["n"] == "5"
    assert found["all", "all", "failure", "MediaError"]["count"] == "1"
    assert float(found["all", "all", "action_unit", "AU12"]["value"]) == 2.0
    assert float(found["label", "happy", "probability", "happy"]["value"]) == pytest.approx(0.7)
    assert ("label", "happy", "share", "happy") not in found and ("all", "all", "voice", "f0_hz") not in found


def test_warnings_that_differ_in_numbers_and_labels_are_one(write: Write) -> None:
    folder = write("happy", warnings=["2 faces were found.", "Not sure: happy and sad are likeliest, unhappy is not."])
    run_summary([folder], None, "", None)
    names = [name for by, _, quantity, name in table(folder) if (by, quantity) == ("all", "warning")]
    assert sorted(names) == ["# faces were found.", "Not sure: … and … are likeliest, unhappy is not."]


def test_a_mean_of_one_has_no_deviation(write: Write) -> None:
    folder = write("happy")
    run_summary([folder], None, "", None)
    assert table(folder)["all", "all", "confidence", ""]["deviation"] == ""


def test_groups_of_a_manifest(write: Write) -> None:
    folder = write("happy", "sad", "sad", "happy")
    listed = manifest(folder, "clip,speaker,age,room", "0.mp4,ann,20,a", "1.mp4,ann,30,b", "2.mp4,bo,40,b")
    run_summary([folder], listed, "speaker,room,age", folder / "out")
    found = table(folder / "out")
    assert found["speaker", "ann", "share", "sad"]["value"] == "0.5"
    assert found["room", "b", "share", "sad"]["count"] == "2"
    assert found["speaker", "(not known)", "clips", ""]["value"] == "1.0"
    assert [group for by, group, quantity, _ in found if by == "age" and quantity == "clips"] == [
        "20", "30", "40", "(not known)",
    ]  # fmt: skip
    assert "1 of 4 analyses are not in the manifest" in (folder / "out" / "summary.html").read_text(encoding="utf-8")


def test_many_numbers_are_cut_into_parts(write: Write) -> None:
    folder = write(*["happy"] * 30)
    listed = manifest(folder, "clip,age", *(f"{n}.mp4,{n}" for n in range(30)))
    run_summary([folder], listed, "age", None)
    sizes = [row["value"] for (by, _, quantity, _), row in table(folder).items() if (by, quantity) == ("age", "clips")]
    assert sizes == ["10.0", "10.0", "10.0"]


def test_time_counts_windows(write: Write) -> None:
    def window(start_s: float, emotion: str | None) -> dict[str, Any]:
        return {"start_s": start_s, "end_s": start_s + 1, "emotion": emotion, "confidence": 0.5,
                "probabilities": {"happy": 0.5, "sad": 0.5}, "inputs": []}  # fmt: skip

    timeline = {"window_s": 1, "step_s": 1, "windows": [window(n, "sad" if n > 4 else None) for n in range(10)],
                "stretches": [], "expressions": [], "transitions": {}, "cuts_s": []}  # fmt: skip
    folder = write("happy", "happy", timeline=timeline)
    run_summary([folder], None, "", None)
    found = table(folder)
    assert found["time", "0–10 %", "share", "(none)"]["count"] == "2"
    assert found["time", "90–100 %", "share", "sad"]["value"] == "1.0"
    assert ("all", "all", "share", "(none)") not in found


def test_open_words_are_counted_each(write: Write) -> None:
    folder = write(None, None, probabilities={}, confidence=None, labels=["proud", "calm"])
    run_summary([folder], None, "", None)
    assert table(folder)["all", "all", "share", "calm"]["count"] == "2"


def test_single_files_and_several_inputs(write: Write, tmp_path: Path, analysis_json: dict[str, Any]) -> None:
    folder = tmp_path / "single"
    folder.mkdir()
    for name in "ab":
        row = json.dumps(analysis_json | {"schema_version": "1", "clip": f"{name}.mp4"})
        (folder / f"{name}.json").write_text(row, encoding="utf-8")
    (folder / "run.json").write_text('{"model": "nano"}', encoding="utf-8")
    lines = write("sad", name="more.jsonl") / "more.jsonl"
    run_summary([folder, lines, folder / "a.json"], None, "", tmp_path / "out")
    assert table(tmp_path / "out")["all", "all", "clips", ""]["value"] == "3.0"
    assert "stand more than once" in (tmp_path / "out" / "summary.html").read_text(encoding="utf-8")


def test_the_page_is_safe_and_whole(write: Write) -> None:
    evil = "<script>alert(1)</script>"
    folder = write("happy", "sad", failed=2, warnings=[evil])
    listed = manifest(folder, "clip,speaker", f"0.mp4,{evil}", "1.mp4,=1+1")
    run_summary([folder], listed, "", None)
    page = Page((folder / "summary.html").read_text(encoding="utf-8"))
    assert page.policy == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    assert (
        evil in page.words and "svg" in page.tags and "bad1.mp4" in page.words and "2 more clips failed" in page.words
    )
    assert table(folder)["speaker", "'=1+1", "clips", ""]["value"] == "1.0"


def test_many_groups_stand_in_the_table(write: Write) -> None:
    folder = write(*["happy"] * (MOST_DRAWN + 5))
    listed = manifest(folder, "clip,speaker", *(f"{n}.mp4,s{n:03d}" for n in range(MOST_DRAWN + 5)))
    run_summary([folder], listed, "speaker", None)
    page = Page((folder / "summary.html").read_text(encoding="utf-8"))
    assert "5 more groups" in page.words and page.words.count("s044") == 2


def test_another_model_is_told(write: Write, tmp_path: Path, analysis_json: dict[str, Any]) -> None:
    write("happy")
    other = analysis_json | {"clip": "z.mp4", "provenance": analysis_json["provenance"] | {"model": "7b"}}
    with (tmp_path / "analyses.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(other) + "\n")
    run_summary([tmp_path], None, "", None)
    assert "Not all were made with one model: nano (1), 7b (1)" in (tmp_path / "summary.html").read_text(
        encoding="utf-8"
    )


def test_what_cannot_be_summarised_is_told(write: Write, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"expected analyses\.jsonl or"):
        run_summary([tmp_path], None, "", None)
    with pytest.raises(UsageError, match="no such file"):
        run_summary([tmp_path / "nowhere"], None, "", None)
    with pytest.raises(UsageError, match=r"all 2 clips failed.*MediaError: empty \(2\)"):
        run_summary([write(failed=2)], None, "", None)
    with pytest.raises(UsageError, match="no analysis in there"):
        run_summary([write()], None, "", None)
    folder = write("happy")
    with pytest.raises(UsageError, match=r"no column 'labl'; did you mean label.*columns of your own come with"):
        run_summary([folder], None, "labl", None)
    with pytest.raises(UsageError, match="time needs analyses with a timeline"):
        run_summary([folder], None, "time", None)
    with pytest.raises(UsageError, match="none of its 1 clips"):
        run_summary([folder], manifest(folder, "clip", "other.mp4"), "", None)
    (tmp_path / "half.json").write_text('{"clip": ', encoding="utf-8")
    with pytest.raises(ManifestError, match=r"half\.json: expected an analysis as JSON"):
        run_summary([tmp_path / "half.json"], None, "", None)
    (tmp_path / "half.json").write_text('{"clip": "a"}', encoding="utf-8")
    with pytest.raises(ManifestError, match=r"half\.json: expected an analysis as analyze writes it; duration_s"):
        run_summary([tmp_path / "half.json"], None, "", None)


def test_mixed_label_sets_are_told(write: Write, tmp_path: Path, analysis_json: dict[str, Any]) -> None:
    write("happy", "sad")
    other = analysis_json | {"clip": "z.mp4", "probabilities": {"calm": 1.0}, "emotion": "calm"}
    with (tmp_path / "analyses.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(other) + "\n")
    with pytest.raises(UsageError, match=r"happy, sad \(2\); calm \(1\)"):
        run_summary([tmp_path], None, "", None)


def test_a_row_of_the_manifest_is_found_by_the_end_of_the_path(write: Write) -> None:
    folder = write("happy", "sad", "sad")
    listed = manifest(
        folder, "clip,speaker", "/data/clips/0.mp4,ann", "1.mp4,bo", "clips/2.mp4,cem", "other/2.mp4,dora"
    )
    run_summary([folder], listed, "speaker", None)
    found = table(folder)
    assert [group for by, group, quantity, _ in found if by == "speaker" and quantity == "clips"] == [
        "ann",
        "bo",
        "cem",
    ]
    twice = manifest(folder, "clip,speaker", "x/0.mp4,ann", "y/0.mp4,bo", "1.mp4,bo")
    run_summary([folder], twice, "speaker", None)
    assert table(folder)["speaker", "(not known)", "clips", ""]["value"] == "2.0"


def test_signs_in_reasons_are_counted_by_verdict(write: Write) -> None:
    claims = [
        {"channel": "face", "text": text, "source": "reasoning", "verdict": verdict}
        for text, verdict in (("a smile", "supported"), ("a frown", "contradicted"), ("a sigh", "unverifiable"))
    ]
    folder = write("happy", "sad", claims=claims)
    run_summary([folder], None, "", None)
    found = table(folder)
    assert found["all", "all", "claim", "contradicted"]["count"] == "2"
    assert found["all", "all", "claim", "contradicted"]["n"] == "6"
    assert found["label", "sad", "claim", "supported"]["count"] == "1"
