"""What comes first, what is doubtful, and what becomes of judgments."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("sqlalchemy", reason="needs sqlalchemy")

from emotion_llama.build.entry import Check, CoarseLabel, Entry, Faces, read_entries, read_rejected
from emotion_llama.build.preview import read_preview
from emotion_llama.build.review.apply import ReviewOutcome, apply_reviews, decide, reviewed
from emotion_llama.build.review.clips import ReviewClip, ReviewClips
from emotion_llama.build.review.desk import ReviewDesk
from emotion_llama.build.review.doubts import doubts
from emotion_llama.build.review.queue import Show, Tally, differences, last_judgments, queue, queue_item
from emotion_llama.build.review.records import Changes, Judgment, ReviewSettings, Scores
from emotion_llama.build.review.report import ALL, make_report, review_report
from emotion_llama.clip import Observation
from emotion_llama.errors import UsageError

MakeEntry = Callable[..., Entry]


def judgment(number: int, annotator: str, clip: str = "a", **more: Any) -> Judgment:
    usual = {"verdict": "accept", "reason": "", "emotion": "happy", "scores": Scores(), "blind": True}
    fixed = {"id": number, "clip": clip, "annotator": annotator, "content_sha256": "0", "made_at": "2026-01-01"}
    return Judgment.model_validate(usual | fixed | more)


def clip(name: str, label: str | None = "happy", *why: str) -> ReviewClip:
    return ReviewClip(name, name, label, why, "0", 0, 0)


def test_doubts_are_what_the_entry_says_against_itself(entry: MakeEntry) -> None:
    assert doubts(entry("a")) == ()
    weak = Observation(channel="face", text="x", source="mesh-au-1", name="AU4", confidence=0.2)
    plain = entry("a", "happy")
    doubtful = plain.model_copy(
        update={
            "clip": plain.clip.model_copy(update={"observations": (weak,)}),
            "check": Check(concluded="sadness", supported=1, contradicted=2),
            "coarse": CoarseLabel(emotion="happy", pseudo_label="angry", rule_agrees=False),
            "faces": Faces(people=1, frames_seen=10, presence=0.4),
        }
    )
    assert doubts(doubtful) == (
        "1 supported clue", "2 contradicted clues", "no rule for happy fires", "pseudo label: angry",
        "text concludes sadness", "action units 20 % sure", "face in 40 % of frames",
    )  # fmt: skip
    same = CoarseLabel(emotion="happy", pseudo_label="joy", rule_agrees=None)
    assert doubts(plain.model_copy(update={"coarse": same, "check": None})) == ()


def test_the_queue_puts_disagreement_first_then_doubt_then_order() -> None:
    clips = [clip("plain"), clip("one doubt", "sad", "x"), clip("two doubts", "sad", "x", "y"), clip("disputed")]
    tally = Tally(clips)
    judgments = [judgment(1, "Ann", "disputed"), judgment(2, "Bo", "disputed", verdict="reject", emotion=None)]

    def names(annotator: str, show: Show = "todo") -> list[str]:
        return [row.name for row in queue(annotator, clips, tally.count(judgments), wanted=2, show=show)]

    assert names("Cy") == ["disputed", "two doubts", "one doubt", "plain"]
    whys = [queue_item("Ann", row, tally.count(judgments)).why for row in clips]
    assert whys == ["", "doubtful", "doubtful", "disputed"]
    judgments += [judgment(3, "Ann", "plain"), judgment(4, "Bo", "plain")]
    assert "plain" not in names("Cy") and names("Ann", "mine") == ["disputed", "plain"]
    judgments += [judgment(5, "Ann", "disputed", blind=False)]  # Ann has thought again, Bo has not yet
    assert "disputed" not in names("Ann") and "disputed" in names("Bo") and names("Cy", "disputed") == ["disputed"]


def test_the_tally_gives_the_same_step_by_step_and_when_an_earlier_judgment_comes_late() -> None:
    clips = [clip(name) for name in "abc"]
    judgments = [
        judgment(n, name, where, verdict="reject" if n % 3 else "accept", blind=bool(n % 2))
        for n, (name, where) in enumerate(zip("AABBCACBA" * 3, "abcbcaabc" * 3, strict=True), start=1)
    ]
    for blind in (False, True):
        step, whole = Tally(clips, blind=blind), Tally(clips, blind=blind).count(judgments)
        for n in range(len(judgments) + 1):
            standing = step.count(judgments[:n])
        assert standing == whole
        step.count([*judgments[:4], *judgments[5:]])
        assert step.count(judgments) == whole


def test_differences_name_what_people_disagree_about() -> None:
    ann = judgment(1, "Ann", scores=Scores(visual=5, audio=3))
    assert differences([ann, judgment(2, "Bo", scores=Scores(visual=3, text=0))]) == ()
    assert differences([ann, judgment(2, "Bo", emotion="sad", scores=Scores(visual=2))]) == ("emotion", "visual")
    assert differences([ann, judgment(2, "Bo", verdict="reject", emotion=None)]) == ("verdict",)


def test_judgments_of_changed_content_do_not_count() -> None:
    old, gone = judgment(1, "Ann", content_sha256="1"), judgment(2, "Ann", "gone")
    assert last_judgments([old, gone, judgment(3, "Bo")], [clip("a")]) == {"a": {"Bo": judgment(3, "Bo")}}
    report = make_report("x", [clip("a")], [old, gone, judgment(3, "Bo")])
    assert (report.outdated, report.judged, report.annotators) == (2, 1, {"Bo": 1})


def test_the_report_agrees_with_a_hand_calculation() -> None:
    clips = [clip(name, "happy" if name < "c" else "sad") for name in "abcd"]
    points = {"Ann": (5, 4, 1, 2), "Bo": (5, 4, 2, 2)}
    judgments = [
        judgment(n, name, row.name, scores=Scores(visual=value), emotion=row.label)
        for name, values in points.items()
        for n, (row, value) in enumerate(zip(clips, values, strict=True), start=1)
    ]
    report = make_report("x", clips, judgments)
    rows = {row.emotion: row for row in report.means}
    assert (rows[ALL].means["visual"], rows["happy"].means["visual"], rows["sad"].mean) == (3.125, 4.5, 1.75)
    assert rows["sad"].means["audio"] is None and rows["sad"].judgments == 4
    found = {(row.what, row.emotion): row for row in report.agreement}
    emotion = found["emotion", ALL]
    assert (emotion.items, emotion.equal, emotion.fleiss, emotion.alpha_nominal) == (4, 1.0, 1.0, 1.0)
    visual = found["visual", ALL]
    assert visual.equal == 0.75 and visual.alpha_nominal == pytest.approx(1 - 7 * 2 / (64 - 4 - 4 - 9 - 1))
    assert found["visual", "happy"].items == 2 and found["emotion", "sad"].alpha_nominal == 1.0
    verdict = found["verdict", ALL]  # everybody accepts: nothing can be told, and nothing is made up
    assert (verdict.equal, verdict.fleiss, verdict.alpha_nominal) == (1.0, None, None)
    pairs = {(row.what, row.emotion): row for row in report.pairs}
    assert pairs["emotion", "happy"].kappa == 1.0 and pairs["verdict", ALL].kappa is None
    assert pairs["visual", ALL].quadratic == pytest.approx(1 - (1 / 4) / (68 / 16))


def test_nobody_or_one_annotator_gives_a_report_without_agreement() -> None:
    assert make_report("x", [clip("a")], []).means[0].mean is None
    alone = make_report("x", [clip("a")], [judgment(1, "Ann")])
    assert alone.pairs == () and {row.alpha_nominal for row in alone.agreement} == {None}


def by(*judgments: Judgment) -> dict[str, Judgment]:
    return {one.annotator: one for one in judgments}


def test_a_clip_is_settled_by_majority_or_not_at_all() -> None:
    ann, bo, cy = judgment(1, "Ann"), judgment(2, "Bo"), judgment(3, "Cy")
    no = judgment(4, "Dan", verdict="reject", emotion=None, reason="no face")
    assert decide(by(ann), 2).reason == "1 of 2 judgments"
    assert decide(by(ann, bo), 2).count == "accepted"
    assert decide(by(ann, no), 2).reason == "1 of 2 annotators reject it (Dan: no face)"
    assert decide(by(ann, bo, no), 2).count == "accepted"
    assert decide(by(no), 1).reason == "Dan: no face" and decide(by(no), 1).count == "rejected"
    sad = judgment(5, "Bo", verdict="fix", emotion="sad", changes=Changes(emotion="sad", transcript="one"))
    assert decide(by(ann, sad), 2).reason == "no emotion is said most often (Ann: happy; Bo: sad)"
    later = judgment(6, "Cy", verdict="fix", emotion="sad", changes=Changes(emotion="sad", transcript="two"))
    assert decide(by(ann, sad, later), 2).fixes == {"emotion": ("sad", "Cy"), "transcript": ("two", "Cy")}
    text = judgment(7, "Cy", verdict="fix", changes=Changes(fine_text="other"))
    assert decide(by(ann, text), 2).fixes == {"fine_text": ("other", "Cy")}
    assert decide(by(ann, cy, sad), 2).fixes == {}


def test_a_fix_takes_away_what_was_measured_about_the_old_content(entry: MakeEntry) -> None:
    fixed = reviewed(entry("a"), {"emotion": ("sad", "Ann"), "fine_text": ("New.", "Bo"), "transcript": ("", "Bo")})
    assert fixed.clip.emotion == "sad" and fixed.coarse and fixed.coarse.emotion == "sad"
    assert fixed.coarse.rule_agrees is False and fixed.check is None and fixed.clip.transcript == ""
    assert fixed.fine_text and (fixed.fine_text.writer, fixed.clip.reasoning) == ("human:Bo", "New.")
    assert [seen.channel for seen in fixed.clip.observations] == ["face"]
    plain = entry("a")
    assert reviewed(plain, {}) == plain


def test_the_reviewed_data_set_reads_back_and_can_be_reviewed_again(dataset: Path, tmp_path: Path) -> None:
    desk = ReviewDesk(dataset, ReviewSettings())
    rows = {row.name: row for row in desk.clips}
    for name in ("Ann", "Bo"):
        desk.judge(rows["a.mp4"], name, "accept", "", Scores(visual=4), Changes())
        desk.judge(rows["c.avi"], name, "reject", "not angry", Scores(), Changes())
    desk.judge(rows["elsewhere"], "Ann", "accept", "", Scores(), Changes())
    desk.judge(rows["elsewhere"], "Bo", "fix", "", Scores(), Changes(coarse_text="Smiles.", transcript="You came!"))
    out = tmp_path / "reviewed"
    outcome = apply_reviews(dataset, out)
    assert outcome == ReviewOutcome(
        dataset="merr-small", min_judgments=2, accepted=1, fixed=1, rejected=1, unsettled=2, annotators=("Ann", "Bo")
    )
    kept = {one.name: one for one in read_entries(out)}
    assert list(kept) == ["a.mp4", "elsewhere"]
    assert kept["a.mp4"].clip.path == dataset / "a.mp4" and kept["a.mp4"].steps[-1].step == "review"
    written = kept["elsewhere"].coarse_text
    assert written and (written.text, written.writer) == ("Smiles.", "human:Bo")
    reasons = {row.clip: (row.step, row.reason) for row in read_rejected(out)}
    assert reasons["bad.mp4"] == ("faces", "no face")
    assert reasons["c.avi"] == ("review", "Ann: not angry; Bo: not angry")
    assert reasons["words alone"] == ("review", "0 of 2 judgments")
    assert read_preview(out, "a.mp4") is not None and read_preview(out, "c.avi") is None
    assert ReviewDesk(out, ReviewSettings()).recording(next(iter(ReviewClips(out)))).path == dataset / "a.mp4"
    assert review_report(dataset).judged == 3


def test_nothing_is_written_where_it_should_not_be(dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nobody has judged"):
        apply_reviews(dataset, tmp_path / "out")
    desk = ReviewDesk(dataset, ReviewSettings())
    desk.judge(next(iter(desk.clips)), "Ann", "accept", "", Scores(), Changes())
    for taken in (dataset, tmp_path):
        with pytest.raises(UsageError, match="--out"):
            apply_reviews(dataset, taken, min_judgments=1)
    (tmp_path / "out").mkdir()
    assert apply_reviews(dataset, tmp_path / "out", min_judgments=1).accepted == 1
    with pytest.raises(UsageError, match="--overwrite"):
        apply_reviews(dataset, tmp_path / "out", min_judgments=1)
    assert apply_reviews(dataset, tmp_path / "out", min_judgments=1, overwrite=True).accepted == 1
