"""The examination: every clip looked at, then all of them together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from emotion_llama.analyze.writers import write_text
from emotion_llama.build.doctor.duplicates import find_duplicates
from emotion_llama.build.doctor.look import PICTURE_MAX_S, SOUND_MAX_S, Look, make_looker
from emotion_llama.build.doctor.records import MEANINGS, SEVERITIES, DoctorReport, Finding, Severity, found
from emotion_llama.build.doctor.sides import check_list, class_counts, part_of
from emotion_llama.build.doctor.sources import read_clips
from emotion_llama.clip import Clip
from emotion_llama.scale.spread import Failure, spread

LIPS = (
    "Whether lips and voice are together inside a clip was not looked at: an estimate from mouth and loudness missed "
    "by 0.3 s and more in 3 of 14 clips that are together. Only where the streams start and end was compared."
)


def examine(
    clips: Sequence[Clip] | Path, *, jobs: int = 1, progress: Callable[[int, int], None] | None = None
) -> DoctorReport:
    """Look at every clip, and for what they have in common; a bad clip is a finding and never ends the run.

    `clips`: a list, or the path of a data set, a manifest, a folder or a recording (see `read_clips`). `jobs` processes
    decode. `progress` is told (clips done, clips in all). About 1 kB of sound print and 8 kB of pictures are kept for
    each three seconds of a clip. Raises what `read_clips` and `spread` raise; nothing for what a recording is.
    """
    listed = read_clips([clips]) if isinstance(clips, Path) else list(clips)
    looks = _look_at_all(listed, jobs, progress)
    alone = [finding for look in looks for finding in look.findings]
    together = [*check_list(listed), *find_duplicates(listed, looks)]
    return _report(listed, looks, [*alone, *together])


def write_report(report: DoctorReport, out: Path) -> None:
    """Write the report as indented JSON, whole or not at all. Raises `OutputError` naming the file."""
    write_text(report.model_dump_json(indent=2) + "\n", out)


def _look_at_all(clips: Sequence[Clip], jobs: int, progress: Callable[[int, int], None] | None) -> list[Look]:
    looks = [Look()] * len(clips)
    for done, (number, look) in enumerate(spread(make_looker, clips, jobs=jobs), start=1):
        looks[number] = _lost(clips[number], look) if isinstance(look, Failure) else look
        if progress is not None:
            progress(done, len(clips))
    return looks


def _lost(clip: Clip, failure: Failure) -> Look:
    """A decoder that took its process down, or a recording that cannot be opened."""
    return Look((found(clip.clip, "failed", "error", f"{clip.path}: {failure.kind}: {failure.error}"),))


def _report(clips: Sequence[Clip], looks: Sequence[Look], findings: Iterable[Finding]) -> DoctorReport:
    kinds = {kind: number for number, kind in enumerate(MEANINGS)}
    ordered = sorted(findings, key=lambda one: (SEVERITIES.index(one.severity), kinds[one.kind]))
    parts = Counter(part for clip in clips if (part := part_of(clip)) is not None)
    return DoctorReport(
        n_clips=len(clips),
        n_recordings=sum(clip.path is not None for clip in clips),
        n_readable=sum(look.readable for look in looks),
        compared_sound=sum(look.sound is not None for look in looks),
        compared_picture=sum(look.picture is not None for look in looks),
        severities=dict(Counter(finding.severity for finding in ordered)),
        clips_with=_clips_with(ordered),
        kinds=dict(Counter(finding.kind for finding in ordered)),
        classes=dict(class_counts(clips).most_common()),
        parts=dict(parts.most_common()),
        findings=tuple(ordered),
        notes=_notes(clips, looks, bool(parts)),
    )


def _clips_with(ordered: Sequence[Finding]) -> dict[Severity, int]:
    """Each clip once, under the worst that was found."""
    worst: dict[str, Severity] = {}
    for finding in ordered:
        if finding.clip is not None:
            worst.setdefault(finding.clip, finding.severity)
    return dict(Counter(worst.values()))


def _notes(clips: Sequence[Clip], looks: Sequence[Look], parts: bool) -> tuple[str, ...]:
    notes = []
    if any(look.readable for look in looks):
        notes.append(
            f"Of each clip the first {SOUND_MAX_S:.0f} s of sound and {PICTURE_MAX_S:.0f} s of picture were decoded; "
            "time stamps were read to the end."
        )
        notes.append(LIPS)
    if not parts:
        notes.append("No clip says which part it is in: speakers and clips in two parts could not be looked for.")
    if not any(clip.emotion is not None for clip in clips):
        notes.append("No clip has an emotion: the balance of classes could not be looked at.")
    return tuple(notes)
