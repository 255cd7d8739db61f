"""A build end to end without nets: every clip in the set, rejected or failed; what is done is not done again."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import pytest

from emotion_llama.build.entry import ENTRIES, REJECTED, read_entries, read_rejected
from emotion_llama.build.journal import Journal, journal_url
from emotion_llama.build.run import Workers, build, retry_failed
from emotion_llama.build.status import build_status, explain
from emotion_llama.clip import Clip
from emotion_llama.errors import ManifestError, UsageError

HERE = runpy.run_path(str(Path(__file__).with_name("conftest.py")))
light, Say = HERE["light"], HERE["Say"]
ONE = Workers(jobs=1)


def writer(url: str, **more: Any) -> dict[str, Any]:
    """Settings of an endpoint that is asked without long pauses."""
    return {
        "writer": {"url": url, "model": "tiny", "first_pause_s": 0.01, "longest_pause_s": 0.05, "timeout_s": 10, **more}
    }


def good(body: dict[str, Any]) -> Any:
    """A usable answer that depends on the question alone."""
    question = body["messages"][1]["content"]
    emotion = question.split("Emotion: ")[1].splitlines()[0]
    text = f"The clues fit together ({len(question)}). Therefore the emotion is {emotion}."
    answer = {"reasoning": text, "supporting": [1], "contradicting": [], "plausible": True}
    return Say(json.dumps(answer))


def files(out: Path) -> dict[str, bytes]:
    """The data set itself: names and bytes, without journal and locks."""
    skipped = ("journal", ".")
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file() and not path.name.startswith(skipped)
    }


def test_every_clip_is_in_the_set_or_rejected_with_a_reason(clips: list[Clip], tmp_path: Path) -> None:
    (tmp_path / "bad.mp4").write_bytes(b"not a recording")
    bad = Clip(clip="bad.mp4", path=tmp_path / "bad.mp4", emotion="sad")
    totals = build(light(), [*clips, bad], tmp_path / "set", ONE)
    assert (totals.entries, totals.rejected, totals.failed) == (8, 1, 0)
    entries = list(read_entries(tmp_path / "set"))
    assert [entry.name for entry in entries] == [clip.clip for clip in clips]
    for entry, clip in zip(entries, clips, strict=True):
        assert entry.clip.emotion == clip.emotion and entry.coarse and entry.coarse.pseudo_source == "given"
        assert entry.fine_text and entry.fine_text.writer == "composer-1" and entry.check
        assert entry.check.concluded == clip.emotion and entry.check.contradicted == 0
        assert entry.coarse_text and f"Saying: “{clip.transcript}”" in entry.coarse_text.text
        assert entry.source.sha256 and len(entry.source.sha256) == 64 and entry.part
    (gone,) = read_rejected(tmp_path / "set")
    assert gone.step == "probe" and "cannot be read" in gone.reason
    people: dict[str | None, set[str | None]] = {}
    for entry in entries:
        people.setdefault(entry.clip.speaker, set()).add(entry.part)
    assert all(len(parts) == 1 for parts in people.values())


def test_a_second_run_does_nothing_and_gives_the_same_bytes(clips: list[Clip], tmp_path: Path, llm: Any) -> None:
    llm.answer = good
    config = light(endpoints=writer(llm.url), refine={"endpoint": "writer"})
    build(config, clips, tmp_path / "one", ONE)
    first, asked = files(tmp_path / "one"), len(llm.seen)
    assert asked == 8
    build(config, clips, tmp_path / "one", ONE)
    assert files(tmp_path / "one") == first and len(llm.seen) == asked
    build(config, clips, tmp_path / "two", Workers(jobs=2))
    assert files(tmp_path / "two") == first
    assert b"127.0.0.1" not in first["build.json"]  # where it was asked is not what was made


def test_a_missing_file_fails_and_is_tried_again(clips: list[Clip], recordings: Path, tmp_path: Path) -> None:
    late = Clip(clip="late.mp4", path=tmp_path / "late.mp4", emotion="happy", transcript="Here I am.")
    totals = build(light(), [*clips[:2], late], tmp_path / "set", ONE)
    assert (totals.entries, totals.failed) == (2, 1)
    assert "no such file" in build_status(tmp_path / "set").failures["late.mp4"]
    (tmp_path / "late.mp4").write_bytes((recordings / "clip5.mp4").read_bytes())
    assert retry_failed(tmp_path / "set", ONE).entries == 3
    lines = list(explain(tmp_path / "set", "late.mp4"))
    assert any("tried in vain: probe" in line for line in lines) and lines[0] == "late.mp4"


def test_answers_that_cannot_be_used_are_asked_again_and_every_attempt_is_kept(
    clips: list[Clip], tmp_path: Path, llm: Any
) -> None:
    says = iter([Say(status=503, text="busy"), Say("no JSON here"), Say(json.dumps({"reasoning": "x"}))])
    llm.answer = lambda body: next(says, None) or good({"messages": body["messages"][:2]})
    config = light(endpoints=writer(llm.url, workers=1), refine={"endpoint": "writer"})
    totals = build(config, clips[:1], tmp_path / "set", ONE)
    assert totals.entries == 1
    records = Journal(journal_url(tmp_path / "set", None))
    told = [one.words for one in records.attempts("clip0.mp4") if one.kind == "failed"]
    assert len(told) == 3 and "status 503" in told[0] and "found none" in told[1] and "reasoning" in told[2]
    assert records.spent()[0] == 3  # two useless answers were paid for too
    records.close()


def test_an_endpoint_that_is_down_fails_its_clips_only_and_can_be_retried(
    clips: list[Clip], tmp_path: Path, llm: Any
) -> None:
    llm.answer = lambda body: Say(status=500, text="down")
    config = light(endpoints=writer(llm.url, max_attempts=2), refine={"endpoint": "writer"})
    totals = build(config, clips[:3], tmp_path / "set", ONE)
    assert (totals.entries, totals.rejected, totals.failed) == (0, 0, 3)
    llm.answer = good
    assert retry_failed(tmp_path / "set", ONE).entries == 3


def test_useless_answers_are_not_read_again_after_a_retry(clips: list[Clip], tmp_path: Path, llm: Any) -> None:
    llm.answer = lambda body: Say("nonsense")
    config = light(endpoints=writer(llm.url, most_answers=2), refine={"endpoint": "writer"})
    assert build(config, clips[:1], tmp_path / "set", ONE).failed == 1
    assert build(config, clips[:1], tmp_path / "set", ONE).failed == 1 and len(llm.seen) == 2
    llm.answer = good
    assert retry_failed(tmp_path / "set", ONE).entries == 1 and len(llm.seen) == 3


def test_a_writer_may_find_the_label_implausible(clips: list[Clip], tmp_path: Path, llm: Any) -> None:
    answer = {"reasoning": "The voice is calm.", "supporting": [], "contradicting": [1], "plausible": False}
    llm.answer = lambda body: Say(json.dumps(answer))
    config = light(endpoints=writer(llm.url), refine={"endpoint": "writer"})
    assert build(config, clips[:1], tmp_path / "set", ONE).rejected == 1
    (gone,) = read_rejected(tmp_path / "set")
    assert gone.step == "refine" and "The voice is calm." in gone.reason


def test_another_conclusion_than_the_label_is_rejected(clips: list[Clip], tmp_path: Path, llm: Any) -> None:
    answer = {"reasoning": "So the emotion is angry.", "supporting": [], "contradicting": [], "plausible": True}
    llm.answer = lambda body: Say(json.dumps(answer))
    config = light(endpoints=writer(llm.url), refine={"endpoint": "writer"})
    build(config, clips[:1], tmp_path / "set", ONE)
    (gone,) = read_rejected(tmp_path / "set")
    assert gone.step == "consistency" and "ends with angry, the label is happy" in gone.reason


def test_changed_settings_are_told_repeat_what_depends_on_them_and_keep_the_old_set(
    clips: list[Clip], tmp_path: Path, llm: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    llm.answer = good
    config = light(endpoints=writer(llm.url), refine={"endpoint": "writer"})
    build(config, clips, tmp_path / "set", ONE)
    before = files(tmp_path / "set")
    build(
        light(endpoints=writer(llm.url), refine={"endpoint": "writer"}, split={"seed": 7}), clips, tmp_path / "set", ONE
    )
    assert len(llm.seen) == 8 and "split.seed: default → 7" in capsys.readouterr().err
    (kept,) = (tmp_path / "set" / "earlier").iterdir()
    assert (kept / ENTRIES).read_bytes() == before[ENTRIES] and (kept / REJECTED).read_bytes() == before[REJECTED]
    build(light(consistency={"least_supported": 9}), clips, tmp_path / "set", ONE)
    assert len(llm.seen) == 8 and len(list(read_rejected(tmp_path / "set"))) == 8
    build(config, clips, tmp_path / "set", ONE)  # back again: everything is known
    assert len(llm.seen) == 8
    assert {name: data for name, data in files(tmp_path / "set").items() if "earlier" not in name} == before


def test_the_same_recording_twice_stays_once(clips: list[Clip], recordings: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.mp4"
    copy.write_bytes((recordings / "clip7.mp4").read_bytes())
    twice = [*clips, Clip(clip="copy.mp4", path=copy, emotion="happy", transcript="Another sentence.")]
    build(light(), twice, tmp_path / "set", ONE)
    gone = {one.clip: one for one in read_rejected(tmp_path / "set")}
    assert "copy.mp4" in gone and gone["copy.mp4"].step == "dedupe" and "clip7.mp4" in gone["copy.mp4"].reason


def test_what_is_no_data_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="no journal"):
        build_status(tmp_path)
    with pytest.raises(UsageError, match="no clips"):
        build(light(), [], tmp_path / "set", ONE)
