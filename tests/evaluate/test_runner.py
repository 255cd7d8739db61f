"""The runner: what must not change a score does not, parts are put together, wrong files are refused."""

from __future__ import annotations

import json
import random
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emotion_llama.clip import Clip
from emotion_llama.errors import ManifestError, UsageError
from emotion_llama.evaluate.records import Item, Report
from emotion_llama.evaluate.runner import Run, match_file, read_parts, score_run
from emotion_llama.evaluate.scorers.labels import score_labels
from emotion_llama.evaluate.suite import Choice, Part, ScoreSettings
from emotion_llama.evaluate.suites.custom import SUITE

LABELS = ("happy", "sad", "neutral")
Row = dict[str, Any]


def case(seed: int, n: int = 30) -> tuple[list[Clip], list[Row]]:
    """Clips of five speakers, and answers that are right more often than not."""
    rng = random.Random(seed)
    clips, rows = [], []
    for number in range(n):
        truth, said = rng.choice(LABELS), rng.choice(LABELS)
        weights = [rng.random() + (label == said) for label in LABELS]
        total = sum(weights)
        clips.append(Clip(clip=f"Zoë {number}.mp4", emotion=truth, speaker=f"s{number % 5}"))
        probabilities = {label: weight / total for label, weight in zip(LABELS, weights, strict=True)}
        rows.append({"clip": clips[-1].clip, "emotion": rng.choice([said, truth]), "probabilities": probabilities})
    return clips, rows


def part_of(clips: Sequence[Clip], name: str = "all") -> Part:
    return Part(name, tuple(Item(clip=clip) for clip in clips), LABELS, score_labels)


def score(parts: Sequence[Part], rows: Sequence[Row], draws: int = 100) -> Report:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "p.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        run = Run(
            suite=SUITE,
            choice=Choice(),
            data=Path(folder),
            parts=tuple(parts),
            predictions=path,
            settings=ScoreSettings(draws=draws),
            system="s",
        )
        return score_run(run)[0]


def values(report: Report) -> dict[str, float | None]:
    """Scores without intervals, to nine digits: sums of the same numbers in another order differ in the last ones."""
    return {
        name: None if metric.value is None else pytest.approx(metric.value, rel=1e-6, abs=1e-9)
        for name, metric in report.metrics.items()
    }


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 1000), st.randoms(use_true_random=False))
def test_neither_the_order_of_answers_nor_other_columns_change_the_report(seed: int, rng: random.Random) -> None:
    clips, rows = case(seed)
    changed = [{**row, "mood": 3, "line": "x"} for row in rows]
    rng.shuffle(changed)
    one, other = score([part_of(clips)], rows), score([part_of(clips)], changed)
    assert one.metrics == other.metrics
    assert one.confusion == other.confusion and one.problems == other.problems == ()


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 1000), st.randoms(use_true_random=False))
def test_the_order_of_clips_and_their_names_change_no_score(seed: int, rng: random.Random) -> None:
    clips, rows = case(seed)
    shuffled = rng.sample(clips, len(clips))
    one, other = score([part_of(clips)], rows), score([part_of(shuffled)], rows)
    assert {name: metric.value for name, metric in one.metrics.items()} == values(other)
    assert one.confusion == other.confusion
    renamed = [clip.model_copy(update={"clip": f"x/{place}"}) for place, clip in enumerate(clips)]
    again = score([part_of(renamed)], [{**row, "clip": f"x/{place}"} for place, row in enumerate(rows)])
    assert again.metrics == one.metrics


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 1000))
def test_a_perfect_system_scores_one(seed: int) -> None:
    clips, _ = case(seed)
    sure = [{"clip": c.clip, "emotion": c.emotion, "probabilities": {str(c.emotion): 1.0}} for c in clips]
    metrics = score([part_of(clips)], sure).metrics
    for name in ("war", "uar", "weighted_f1", "macro_f1", "war_answered"):
        metric = metrics[name]
        assert (metric.value, metric.low, metric.high) == (1.0, 1.0, 1.0), name
    for name in ("ece", "brier", "nll", "invalid_rate", "missing_rate"):
        assert metrics[name].value == pytest.approx(0.0, abs=1e-6), name


def test_parts_are_scored_alone_and_averaged_with_the_same_weight() -> None:
    clips, rows = case(1)
    report = score([part_of(clips[:20], "one"), part_of(clips[20:], "two")], rows)
    alone = [score([part_of(some)], rows).metrics["war"].value for some in (clips[:20], clips[20:])]
    assert [part.metrics["war"].value for part in report.parts.values()] == alone
    assert report.metrics["war"].value == pytest.approx((alone[0] + alone[1]) / 2)  # type: ignore[operator]
    assert (report.n_asked, report.n_scored, report.confusion) == (30, 30, None)
    assert any("means over 2 parts" in note for note in report.notes)


def test_the_mean_of_parts_has_an_interval_only_where_they_share_no_one() -> None:
    clips, rows = case(1)
    named = [clip.model_copy(update={"speaker": f"s{place % 15}"}) for place, clip in enumerate(clips)]
    shared = score([part_of(named[:20], "one"), part_of(named[20:], "two")], rows)
    apart = [clip.model_copy(update={"speaker": f"{place < 20}-{place % 5}"}) for place, clip in enumerate(clips)]
    own = score([part_of(apart[:20], "one"), part_of(apart[20:], "two")], rows)
    assert shared.metrics["war"].value == own.metrics["war"].value
    assert shared.metrics["war"].low is None and any("share people" in note for note in shared.notes)
    assert own.metrics["war"].low is not None and not any("share people" in note for note in own.notes)


def test_a_part_without_answers_is_named_and_its_clips_are_missing() -> None:
    clips, rows = case(2)
    report = score([part_of(clips[:20], "one"), part_of(clips[20:], "two")], rows[:20])
    assert list(report.parts) == ["one"]
    assert any("not scored: two" in note for note in report.notes)
    assert sum(problem.kind == "missing-clip" for problem in report.problems) == 10
    assert (report.n_asked, report.n_scored) == (30, 20)


def test_one_answer_never_serves_two_parts_by_its_file_name() -> None:
    parts = [part_of([Clip(clip=f"{name}/a.wav", emotion="sad")], name) for name in ("one", "two")]
    report = score(parts, [{"clip": "one/a.wav", "emotion": "sad"}])
    assert [(p.kind, p.clip) for p in report.problems] == [("missing-clip", "two/a.wav")]
    with pytest.raises(UsageError, match="none of its 1 clips"):  # "a" could be either
        score(parts, [{"clip": "a", "emotion": "sad"}])


def test_answers_that_share_a_file_name_are_named_as_not_asked() -> None:
    asked = [part_of([Clip(clip="a.wav", emotion="sad"), Clip(clip="b.wav", emotion="sad")])]
    rows = [{"clip": name, "emotion": "sad"} for name in ("b.wav", "x/b.wav", "x/a.wav", "y/a.wav")]
    problems = score(asked, rows).problems
    assert [(p.kind, p.clip) for p in problems] == [
        ("unknown-clip", "x/b.wav"),
        ("unknown-clip", "x/a.wav"),
        ("unknown-clip", "y/a.wav"),
        ("missing-clip", "a.wav"),
    ]


def test_both_spellings_of_an_umlaut_are_one_name() -> None:
    report = score([part_of([Clip(clip="Mu\u0308ller", emotion="sad")])], [{"clip": "M\u00fcller", "emotion": "sad"}])
    assert report.metrics["war"].value == 1.0 and report.problems == ()


def test_a_file_about_other_clips_or_with_failures_alone_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text('{"clip": "zz", "emotion": "sad"}\n')
    parts = [part_of([Clip(clip="a", emotion="sad")])]
    with pytest.raises(UsageError, match=r"p\.jsonl: none of its 1 clips.*'zz'.*'a'.*other data"):
        match_file(path, parts)
    path.write_text('{"clip": "a", "error": {"type": "MediaError", "message": "no stream"}}\n')
    with pytest.raises(UsageError, match=r"1 failed; the first: line 1: 'a' has no answer: MediaError: no stream"):
        match_file(path, parts)


@pytest.mark.parametrize(
    ("row", "kind", "what"),
    [
        ('{"clip": "a", "emotion": "sad", "probabilities": {"sad": "x"}}', "bad-probabilities", "found 'x'"),
        ('{"clip": "a", "emotion": "sad", "probabilities": [1]}', "bad-probabilities", "left out: probabilities"),
        ('{"clip": "a", "emotion": "sad", "valence": "high"}', "unreadable", "found 'high'; left out: valence"),
        ('{"clip": "a", "emotion": "sad", "order_sensitivity": NaN}', "unreadable", "finite number, found nan"),
    ],
)
def test_what_stands_beside_an_answer_and_cannot_be_read_is_named_and_the_answer_kept(
    row: str, kind: str, what: str, tmp_path: Path
) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text(row + "\n")
    answered, problems = match_file(path, [part_of([Clip(clip="a", emotion="sad")])])
    (found,) = answered[0][1]
    assert found is not None and found.emotion == "sad" and found.probabilities is None
    (problem,) = problems
    assert (problem.kind, problem.clip, problem.line) == (kind, "a", 1)
    assert what in problem.message and f"{path}:1" in problem.message


@pytest.mark.parametrize(
    ("name", "text", "what"),
    [
        ("p.csv", "clip,label\na,sad\n", "expected an answer beside the clip.*found label, clip"),
        ("p.jsonl", '{"clip": "a", "label": "sad"}\n', "expected an answer beside the clip.*found clip, label"),
        ("p.csv", "clip;emotion\na;sad\n", "with commas between, found clip;emotion"),
        ("p.jsonl", '{"clip": "a", "probabilities": {"sad": [1]}, "emotion": 3}\n', "found none.*emotion.*found '3'"),
        ("p.jsonl", "[" * 100_000 + "\n", "not one JSON object a line"),
    ],
)
def test_a_file_without_answers_says_what_it_has(name: str, text: str, what: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(ManifestError, match=what):
        match_file(path, [part_of([Clip(clip="a", emotion="sad")])])


def test_a_limit_spreads_over_the_clips_and_wrong_words_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text("clip,emotion\n" + "".join(f"c{n},{LABELS[n % 3]}\n" for n in range(9)))
    (part,) = read_parts(SUITE, path, Choice(), limit=3)
    assert [item.clip.clip for item in part.items] == ["c0", "c4", "c8"]
    with pytest.raises(UsageError, match=r"no side 'unknown'; it has test, validation, train"):
        read_parts(SUITE, path, Choice(side="unknown"))
    with pytest.raises(UsageError, match=r"no variant 'fold1'; it has \(none\)"):
        read_parts(SUITE, path, Choice(variant="fold1"))
    with pytest.raises(UsageError, match=r"no such file.*needs a manifest"):
        read_parts(SUITE, tmp_path / "none.csv", Choice())


def test_calibration_over_some_of_the_clips_has_the_interval_of_those_alone() -> None:
    clips, rows = case(3, n=120)
    some = [row if place < 100 else {"clip": row["clip"], "emotion": row["emotion"]} for place, row in enumerate(rows)]
    part, alone = score([part_of(clips)], some, draws=400), score([part_of(clips[:100])], rows[:100], draws=400)
    for name in ("ece", "ece_mass", "ece_class", "brier"):
        one, other = part.metrics[name], alone.metrics[name]
        assert one.value == pytest.approx(other.value, rel=1e-6)
        assert (one.low, one.high) == (pytest.approx(other.low, abs=0.02), pytest.approx(other.high, abs=0.02)), name
