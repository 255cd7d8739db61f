"""What the server does for a signed-in annotator, without any HTTP."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from emotion_llama.build.review.clips import Recording, ReviewClip, ReviewClips
from emotion_llama.build.review.queue import Show, Standing, Tally, queue, queue_item
from emotion_llama.build.review.records import Changes, Judgment, ReviewSettings, Scores, Verdict, content_of
from emotion_llama.build.review.report import ReviewReport, make_report
from emotion_llama.build.review.store import ReviewStore, Said, add_annotators
from emotion_llama.build.review.view import clip_view
from emotion_llama.errors import UsageError
from emotion_llama.labels import LABEL_SETS

LONGEST_LIST = 200
"""Clips of a queue that are sent at once; the counts are always of all."""


class ReviewDesk:
    """A data set under review. Every method may be called by several threads at once."""

    def __init__(self, dataset: Path, settings: ReviewSettings) -> None:
        """Read the data set and open the database. Raises `ManifestError`, `UsageError`."""
        self.settings = settings
        self.name = dataset.resolve().name
        self.clips = ReviewClips(dataset)
        if not len(self.clips):
            raise UsageError(f"{dataset}: expected at least one entry, found none; build the data set first")
        self.store = ReviewStore(dataset, settings.database)
        if settings.annotators is not None:
            add_annotators(self.store, settings.annotators)
        self._lock = threading.Lock()
        self._tally = Tally(self.clips)
        found = {clip.label for clip in self.clips if clip.label is not None}
        self.labels = settings.labels or (*LABEL_SETS["mer9"], *sorted(found - set(LABEL_SETS["mer9"])))

    def queue(self, annotator: str, show: Show = "todo") -> dict[str, Any]:
        """Give the first clips of a queue, how many there are in all, and how far the review is."""
        standing = self._standing()
        said = standing.said
        rows = queue(annotator, self.clips, standing, wanted=self.settings.judgments, show=show)
        return {
            "show": show,
            "items": [queue_item(annotator, clip, standing).model_dump() for clip in rows[:LONGEST_LIST]],
            "count": len(rows),
            "clips": len(self.clips),
            "mine": sum(annotator in by for by in said.values()),
            "complete": sum(len(by) >= self.settings.judgments for by in said.values()),
            "wanted": self.settings.judgments,
        }

    def view(self, clip: ReviewClip, annotator: str) -> dict[str, Any]:
        """Give a clip with the annotator's own judgment; of the others' only their number."""
        standing = self._standing()
        by = standing.said.get(clip.name, {})
        own = by.get(annotator)
        view = clip_view(self.clips, clip)
        emotions = dict.fromkeys([*self.labels, *([clip.label] if clip.label else [])])
        return view | {
            "emotions": list(emotions),
            "mine": None if own is None else own.model_dump(),
            "others": len(by) - (own is not None),
            "disputed": clip.name in standing.disputed,
        }

    def recording(self, clip: ReviewClip) -> Recording:
        """Give what may be played of a clip."""
        return self.clips.recording(self.clips.entry(clip))

    def judge(
        self, clip: ReviewClip, annotator: str, verdict: Verdict, reason: str, scores: Scores, changes: Changes
    ) -> Judgment:
        """Save a judgment. Raises `UsageError` for one that does not fit its verdict, `OutputError`."""
        entry = self.clips.entry(clip)
        real = _real(changes, content_of(entry))
        if verdict == "reject" and not reason.strip():
            raise UsageError("a rejection needs a reason: say in a few words what is wrong")
        if verdict == "fix" and real == Changes():
            raise UsageError("a fix needs a change: edit the emotion, the transcript or a text, or accept the clip")
        if verdict != "fix" and real != Changes():
            raise UsageError(f"only a fix changes something, and this is {verdict!r}; fix the clip or leave its texts")
        if real.emotion is not None and real.emotion not in self.labels:
            raise UsageError(f"emotion {real.emotion!r}: expected one of {', '.join(self.labels)}")
        emotion = None if verdict == "reject" else real.emotion or clip.label
        said = Said(
            clip=clip.name,
            annotator=annotator,
            verdict=verdict,
            reason=reason.strip(),
            emotion=emotion,
            scores=scores,
            changes=real,
            content_sha256=clip.content_sha256,
        )
        return self.store.add_judgment(said)

    def others(self, clip: ReviewClip, annotator: str) -> list[dict[str, Any]]:
        """Give what the others said.

        Raises `UsageError` while the annotator has not judged the clip: what others said must not sway them.
        """
        by = self._standing().said.get(clip.name, {})
        if annotator not in by:
            raise UsageError("judge the clip first: what the others said is shown afterwards")
        rows = [judgment for name, judgment in by.items() if name != annotator]
        shown = {"annotator", "verdict", "reason", "emotion", "scores", "changes", "made_at"}
        return [judgment.model_dump(include=shown) for judgment in rows]

    def report(self) -> ReviewReport:
        """Give the report as of now."""
        return make_report(self.name, self.clips, self.store.judgments())

    def _standing(self) -> Standing:
        with self._lock:
            return self._tally.count(self.store.judgments())


def _real(changes: Changes, content: Changes) -> Changes:
    """The changes that change something."""
    now = content.model_dump()
    return Changes(**{name: text for name, text in changes.model_dump(exclude_none=True).items() if text != now[name]})
