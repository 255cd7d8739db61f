"""Stretches hold through flickers, end where people change, do not overlap, and give the transitions."""

from __future__ import annotations

from emotion_llama.analyze.timeline.stretches import stretches_of, transitions_of
from emotion_llama.timeline import Window
from tests.analyze.timeline.windows import of, window


def run(*happy: float | None, people: str = "") -> list[Window]:
    persons = people or "0" * len(happy)
    return [
        window(3.0 * at, {} if p is None else of(p), int(who))
        for at, (p, who) in enumerate(zip(happy, persons, strict=True))
    ]


def seen(*happy: float | None, people: str = "") -> list[tuple[float, float, str]]:
    return [(s.start_s, s.end_s, s.emotion) for s in stretches_of(run(*happy, people=people))]


def test_neighbours_with_one_emotion_are_one_stretch() -> None:
    found = stretches_of(run(0.8, 0.9, 0.7))
    assert [(s.start_s, s.end_s, s.emotion, s.person) for s in found] == [(0.0, 12.0, "happy", 0)]
    assert abs(found[0].confidence - 0.8) < 1e-9 and found[0].peak_s == 6.0


def test_a_flicker_makes_no_stretch_and_a_clear_moment_does() -> None:
    assert seen(0.8, 0.8, 0.45, 0.8, 0.8) == [(0.0, 18.0, "happy")]
    assert [s[2] for s in seen(0.8, 0.8, 0.1, 0.8, 0.8)] == ["happy", "sad", "happy"]
    assert seen(0.45, 0.8, 0.8) == [(0.0, 12.0, "happy")]  # also at the very start


def test_a_faint_change_that_lasts_is_one() -> None:
    assert seen(0.8, 0.8, 0.45, 0.45, 0.45) == [(0.0, 7.5, "happy"), (7.5, 18.0, "sad")]


def test_another_person_or_nobody_ends_a_stretch() -> None:
    assert [s[2] for s in seen(0.8, 0.8, 0.8, people="011")] == ["happy", "happy"]
    assert seen(0.8, None, 0.8) == [(0.0, 6.0, "happy"), (6.0, 12.0, "happy")]
    assert seen(None, None) == [] and seen() == []


def test_transitions_count_each_person_alone() -> None:
    stretches = stretches_of(run(0.9, 0.9, 0.1, 0.1, 0.9, 0.9, people="000000"))
    assert transitions_of(stretches) == {"happy": {"sad": 1}, "sad": {"happy": 1}}
    assert transitions_of(stretches_of(run(0.9, 0.1, people="01"))) == {}
    # whoever comes back goes on where they were
    assert transitions_of(stretches_of(run(0.9, 0.5, 0.1, people="010"))) == {"happy": {"sad": 1}}
