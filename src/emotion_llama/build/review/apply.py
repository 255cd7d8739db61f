"""Judgments → a reviewed data set: what was accepted or fixed stays, the rest is listed with the reason."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from emotion_llama.build.entry import (
    ENTRIES,
    REJECTED,
    CoarseLabel,
    Entry,
    Rejected,
    StepMark,
    Written,
    read_rejected,
    write_lines,
)
from emotion_llama.build.preview import preview_path
from emotion_llama.build.review.clips import ReviewClip, ReviewClips
from emotion_llama.build.review.queue import ByAnnotator, last_judgments
from emotion_llama.build.review.records import Judgment
from emotion_llama.build.review.store import ReviewStore
from emotion_llama.clip import Clip, Record
from emotion_llama.errors import UsageError
from emotion_llama.output import MARKER, new_folder

STEP = "review"
VERSION = "1"

Count = Literal["accepted", "fixed", "rejected", "unsettled"]


class ReviewOutcome(Record):
    """What `apply_reviews` did: clips kept as they were, kept with changes, rejected by people, and not settled.

    `unsettled`: too few judgments, or no majority. They stand among the rejected, with that as the reason.
    """

    dataset: str
    min_judgments: int
    accepted: int
    fixed: int
    rejected: int
    unsettled: int
    annotators: tuple[str, ...]


@dataclass(frozen=True)
class Decision:
    """What becomes of one clip. `fixes`: field of `Changes` → (new content, who wrote it); `reason` if it is out."""

    count: Count
    fixes: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    reason: str = ""

    @property
    def kept(self) -> bool:
        """Whether the clip stays in the data set."""
        return self.count in ("accepted", "fixed")


def apply_reviews(
    dataset: Path, out: Path, *, min_judgments: int = 2, database: str | None = None, overwrite: bool = False
) -> ReviewOutcome:
    """Write the data set that people left of `dataset` into the new folder `out`, and give the counts.

    A clip needs `min_judgments` annotators; the last judgment of each counts (see `decide`). A fixed text has the
    writer "human:NAME". Recordings are not copied: entries name them by full path. Raises `UsageError` if nobody has
    judged anything or `out` is taken; `ManifestError`, `OutputError`.
    """
    clips = ReviewClips(dataset)
    said = _said(dataset, database, clips)
    decisions = [(clip, decide(said.get(clip.name, {}), min_judgments)) for clip in clips]
    counts = Counter(decision.count for _, decision in decisions)
    outcome = ReviewOutcome(
        dataset=dataset.resolve().name,
        min_judgments=min_judgments,
        accepted=counts["accepted"],
        fixed=counts["fixed"],
        rejected=counts["rejected"],
        unsettled=counts["unsettled"],
        annotators=tuple(sorted({name for by in said.values() for name in by})),
    )
    with new_folder(out, source=dataset, overwrite=overwrite) as folder:
        write_lines(_entries(clips, decisions, min_judgments), folder / ENTRIES)
        write_lines(_rejected(dataset, decisions), folder / REJECTED)
        _copy_previews(dataset, folder, [clip.name for clip, decision in decisions if decision.kept])
        (folder / MARKER).write_text(outcome.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return outcome


def decide(by: ByAnnotator, min_judgments: int) -> Decision:
    """Settle one clip from the last judgment of each annotator.

    It is out if more than half reject it, and kept if more than half keep it and one emotion is said more often than
    every other. Of several fixes for that emotion the later one wins, field by field. Else it is not settled.
    """
    judgments = sorted(by.values(), key=lambda judgment: judgment.id)
    if len(judgments) < min_judgments:
        return Decision("unsettled", reason=f"{len(judgments)} of {min_judgments} judgments")
    against = [judgment for judgment in judgments if judgment.verdict == "reject"]
    reasons = "; ".join(f"{judgment.annotator}: {judgment.reason}" for judgment in against)
    if 2 * len(against) > len(judgments):
        return Decision("rejected", reason=reasons)
    if 2 * len(against) == len(judgments):
        return Decision("unsettled", reason=f"{len(against)} of {len(judgments)} annotators reject it ({reasons})")
    return _kept([judgment for judgment in judgments if judgment.verdict != "reject"])


def reviewed(entry: Entry, fixes: Mapping[str, tuple[str, str]]) -> Entry:
    """Give an entry with fixes put in; (new content, who wrote it) by field of `Changes`.

    What was measured about the old content goes: its check, and with a new transcript the clues in the words. A
    reasoning that was the fine text stays the fine text.
    """
    if not fixes:
        return entry
    written = {name: Written(text=text, writer=f"human:{who}") for name, (text, who) in fixes.items()}
    update: dict[str, Any] = {name: written[name] for name in ("coarse_text", "fine_text") if name in written}
    update |= {"clip": _clip(entry, fixes), "check": None}
    if entry.coarse and "emotion" in fixes:
        update["coarse"] = _coarse(entry.coarse, fixes["emotion"][0])
    return entry.model_copy(update=update)


def _said(dataset: Path, database: str | None, clips: ReviewClips) -> Mapping[str, ByAnnotator]:
    store = ReviewStore(dataset, database)
    try:
        said = last_judgments(store.judgments(), clips)
    finally:
        store.close()
    if not said:
        raise UsageError(f"{dataset}: nobody has judged a clip yet; start with `emotion-llama review {dataset}`")
    return said


def _kept(keeping: list[Judgment]) -> Decision:
    votes = Counter(judgment.emotion for judgment in keeping).most_common()
    if len(votes) > 1 and votes[0][1] == votes[1][1]:
        said = "; ".join(f"{judgment.annotator}: {judgment.emotion}" for judgment in keeping)
        return Decision("unsettled", reason=f"no emotion is said most often ({said})")
    fixes = {
        name: (text, judgment.annotator)
        for judgment in keeping
        if judgment.emotion == votes[0][0]
        for name, text in judgment.changes.model_dump(exclude_none=True).items()
    }
    return Decision("fixed" if fixes else "accepted", fixes=fixes)


def _clip(entry: Entry, fixes: Mapping[str, tuple[str, str]]) -> Clip:
    clip = entry.clip
    update: dict[str, Any] = {name: fixes[name][0] for name in ("emotion", "transcript", "reasoning") if name in fixes}
    if "transcript" in fixes:
        update["observations"] = tuple(seen for seen in clip.observations if seen.channel != "words")
    was_fine_text = entry.fine_text is not None and clip.reasoning == entry.fine_text.text
    if was_fine_text and "fine_text" in fixes and "reasoning" not in fixes:
        update["reasoning"] = fixes["fine_text"][0]
    return clip.model_copy(update=update)


def _coarse(coarse: CoarseLabel, emotion: str) -> CoarseLabel:
    agrees = emotion in coarse.fired if emotion in coarse.scores else None
    return coarse.model_copy(update={"emotion": emotion, "rule_agrees": agrees})


def _entries(
    clips: ReviewClips, decisions: Iterable[tuple[ReviewClip, Decision]], min_judgments: int
) -> Iterator[Entry]:
    settings = json.dumps({"min_judgments": min_judgments}, sort_keys=True)
    mark = StepMark(step=STEP, version=VERSION, settings_sha256=hashlib.sha256(settings.encode()).hexdigest())
    for clip, decision in decisions:
        if decision.kept:
            entry = reviewed(clips.entry(clip), decision.fixes)
            path = entry.clip.path
            full = None if path is None else (clips.dataset.resolve() / path)
            yield entry.model_copy(
                update={"clip": entry.clip.model_copy(update={"path": full}), "steps": (*entry.steps, mark)}
            )


def _rejected(dataset: Path, decisions: Iterable[tuple[ReviewClip, Decision]]) -> Iterator[Rejected]:
    if (dataset / REJECTED).is_file():
        yield from read_rejected(dataset)
    for clip, decision in decisions:
        if not decision.kept:
            yield Rejected(clip=clip.name, step=STEP, reason=decision.reason)


def _copy_previews(dataset: Path, folder: Path, names: Iterable[str]) -> None:
    for name in names:
        preview = preview_path(dataset, name)
        if preview.is_file():
            copy = preview_path(folder, name)
            copy.parent.mkdir(exist_ok=True)
            shutil.copyfile(preview, copy)
