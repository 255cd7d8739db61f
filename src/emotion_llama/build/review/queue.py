"""What an annotator should look at next: disagreement first, then doubtful clips, then the rest in their order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from emotion_llama.build.review.clips import ReviewClip
from emotion_llama.build.review.records import CRITERIA, Judgment
from emotion_llama.clip import Record

Show = Literal["todo", "disputed", "mine", "all"]
Why = Literal["disputed", "doubtful", ""]
MOST_APART = 2
"""Points of one criterion that two annotators may be apart before the clip counts as disputed."""

ByAnnotator = Mapping[str, Judgment]
"""Annotator → the judgment that counts."""


class QueueItem(Record):
    """One clip in the queue. `why`: "disputed", "doubtful" or "" (the rest). `judged`: by how many people."""

    key: str
    clip: str
    label: str | None
    why: Why
    doubts: tuple[str, ...]
    judged: int
    mine: bool


@dataclass(frozen=True)
class Standing:
    """Where the review stands: `said`, clip → annotator → the judgment that counts; `disputed`, names of clips."""

    said: Mapping[str, ByAnnotator]
    disputed: frozenset[str]


class Tally:
    """Makes a `Standing` of judgments, and the next one from that: only what is new costs time.

    Only the last judgment of each annotator counts, and only of the content that the data set has now. `blind`: only
    those given before the annotator could know of the others'.
    """

    def __init__(self, clips: Iterable[ReviewClip], *, blind: bool = False) -> None:
        self._now = {clip.name: clip.content_sha256 for clip in clips}
        self._blind = blind
        self._seen: Sequence[Judgment] = ()
        self._standing = Standing({}, frozenset())

    def count(self, judgments: Sequence[Judgment]) -> Standing:
        """Give the standing after these judgments: every one ever given, oldest first."""
        seen, before = len(self._seen), self._standing
        if seen and (len(judgments) < seen or judgments[seen - 1].id != self._seen[-1].id):
            seen, before = 0, Standing({}, frozenset())  # an earlier one has come to light since
        new: dict[str, dict[str, Judgment]] = {}
        for judgment in judgments[seen:]:
            if self._now.get(judgment.clip) == judgment.content_sha256 and (judgment.blind or not self._blind):
                by = new.setdefault(judgment.clip, dict(before.said.get(judgment.clip, {})))
                by[judgment.annotator] = judgment
        differ = {name for name, by in new.items() if differences(by.values())}
        self._standing = Standing({**before.said, **new}, (before.disputed - set(new)) | differ)
        self._seen = tuple(judgments)
        return self._standing


def last_judgments(
    judgments: Sequence[Judgment], clips: Iterable[ReviewClip], *, blind: bool = False
) -> Mapping[str, ByAnnotator]:
    """Give clip → annotator → the judgment that counts (see `Tally`)."""
    return Tally(clips, blind=blind).count(judgments).said


def differences(judgments: Iterable[Judgment]) -> tuple[str, ...]:
    """Give in what annotators disagree: "verdict" (kept or not), "emotion", names of criteria; `()` = in nothing."""
    said = list(judgments)
    if len(said) < 2:
        return ()
    found = ["verdict"] if len({judgment.verdict == "reject" for judgment in said}) > 1 else []
    if len({judgment.emotion for judgment in said if judgment.verdict != "reject"}) > 1:
        found.append("emotion")
    for name in CRITERIA:
        points = [value for judgment in said if (value := getattr(judgment.scores, name)) is not None]
        if points and max(points) - min(points) > MOST_APART:
            found.append(name)
    return tuple(found)


def queue(
    annotator: str, clips: Iterable[ReviewClip], standing: Standing, *, wanted: int, show: Show = "todo"
) -> list[ReviewClip]:
    """Give the clips for one annotator, most urgent first.

    "todo": not judged by them and short of `wanted` judgments or disputed; or disputed and judged by them before they
    could know of it. "mine": judged by them. Within one urgency more doubts come first, then the data set's order.
    """
    chosen = [clip for clip in clips if _shown(annotator, clip, standing, wanted, show)]
    return sorted(chosen, key=lambda clip: (clip.name not in standing.disputed, -len(clip.doubts)))


def queue_item(annotator: str, clip: ReviewClip, standing: Standing) -> QueueItem:
    """Give what an annotator may know of a clip before looking at it."""
    by = standing.said.get(clip.name, {})
    doubtful: Why = "doubtful" if clip.doubts else ""
    return QueueItem(
        key=clip.key,
        clip=clip.name,
        label=clip.label,
        why="disputed" if clip.name in standing.disputed else doubtful,
        doubts=clip.doubts,
        judged=len(by),
        mine=annotator in by,
    )


def _shown(annotator: str, clip: ReviewClip, standing: Standing, wanted: int, show: Show) -> bool:
    by, disputed = standing.said.get(clip.name, {}), clip.name in standing.disputed
    own = by.get(annotator)
    if show == "todo":
        return (len(by) < wanted or disputed) if own is None else (disputed and own.blind)
    return show == "all" or (own is not None if show == "mine" else disputed)
