"""Windows → stretches of one emotion, and what follows what.

With hysteresis: another emotion takes over where it leads for two windows running, or leads in one by `CLEAR_LEAD`. A
shorter flicker changes nothing. A window without an emotion, another person or a break ends a stretch.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby, pairwise

from emotion_llama.analyze.timeline.smoothing import joined
from emotion_llama.timeline import Stretch, Window

CLEAR_LEAD = 0.2
"""Lead in probability by which one window alone changes the emotion."""


def stretches_of(windows: Sequence[Window]) -> tuple[Stretch, ...]:
    """The stretches of windows in time order."""
    found: list[Stretch] = []
    for run in _runs(windows):
        labels = held_labels(run)
        groups = [list(group) for _, group in groupby(zip(labels, run, strict=True), key=lambda pair: pair[0])]
        found += _bounded([[window for _, window in group] for group in groups], [group[0][0] for group in groups])
    return tuple(found)


def _runs(windows: Sequence[Window]) -> list[list[Window]]:
    """Windows of one person without a break, all with an emotion."""
    runs: list[list[Window]] = []
    for window in windows:
        if window.emotion is None:
            runs.append([])
        elif runs and runs[-1] and joined(runs[-1][-1], window):
            runs[-1].append(window)
        else:
            runs.append([window])
    return [run for run in runs if run]


def held_labels(run: Sequence[Window]) -> list[str]:
    """The emotion of each window when short flickers are left out; `run`: windows with an emotion, at least one."""
    held = _first_held(run)
    labels: list[str] = []
    for place, window in enumerate(run):
        leader = window.emotion
        assert leader is not None
        if leader != held:
            lead = window.probabilities[leader] - window.probabilities[held]
            stays = place + 1 < len(run) and run[place + 1].emotion == leader
            if stays or lead >= CLEAR_LEAD:
                held = leader
        labels.append(held)
    return labels


def _first_held(run: Sequence[Window]) -> str:
    """What a run begins with: its first emotion, unless that is itself a flicker before another."""
    first = run[0].emotion
    assert first is not None
    if len(run) > 2 and run[1].emotion != first and run[1].emotion == run[2].emotion:
        second = run[1].emotion
        assert second is not None
        if run[0].probabilities[first] - run[0].probabilities[second] < CLEAR_LEAD:
            return second
    return first


def _bounded(groups: Sequence[Sequence[Window]], labels: Sequence[str]) -> list[Stretch]:
    """Stretches that meet half way between the middles of the windows on both sides."""
    starts = [groups[0][0].start_s]
    starts += [(_middle_s(one[-1]) + _middle_s(other[0])) / 2 for one, other in pairwise(groups)]
    ends = [*starts[1:], groups[-1][-1].end_s]
    found = []
    for windows, label, start_s, end_s in zip(groups, labels, starts, ends, strict=True):
        sizes = [window.probabilities[label] for window in windows]
        surest = max(range(len(windows)), key=sizes.__getitem__)
        found.append(
            Stretch(
                start_s=start_s,
                end_s=end_s,
                emotion=label,
                confidence=sum(sizes) / len(sizes),
                peak_s=min(max(_middle_s(windows[surest]), start_s), end_s),
                person=windows[0].person,
            )
        )
    return found


def _middle_s(window: Window) -> float:
    return (window.start_s + window.end_s) / 2


def transitions_of(stretches: Iterable[Stretch]) -> dict[str, dict[str, int]]:
    """How often each emotion follows each other from one stretch of a person to their next."""
    found: dict[str, dict[str, int]] = {}
    last: dict[int | None, str] = {}
    for stretch in sorted(stretches, key=lambda one: one.start_s):
        before = last.get(stretch.person)
        if before is not None:
            row = found.setdefault(before, {})
            row[stretch.emotion] = row.get(stretch.emotion, 0) + 1
        last[stretch.person] = stretch.emotion
    return found
