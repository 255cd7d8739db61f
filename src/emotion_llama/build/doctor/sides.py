"""What a list says by itself: names listed twice, one speaker in two parts, classes of very different size."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from emotion_llama.build.doctor.records import Finding, found
from emotion_llama.clip import Clip

PART_COLUMNS = ("part", "split", "side")
RARE_SHARE = 0.05
MOST_RATIO = 10.0


def part_of(clip: Clip) -> str | None:
    """Give the part of its data set that a clip is in, from the column part, split or side; `None` = not told."""
    return next((str(clip.groups[name]) for name in PART_COLUMNS if name in clip.groups), None)


def check_list(clips: Sequence[Clip]) -> list[Finding]:
    """Look at names, speakers, parts and classes; no recording is opened."""
    return [*_names(clips), *_speakers(clips), *_classes(clips), *_classes_by_part(clips)]


def _names(clips: Sequence[Clip]) -> Iterator[Finding]:
    parts: dict[str, list[str | None]] = defaultdict(list)
    for clip in clips:
        parts[clip.clip].append(part_of(clip))
    for name, where in parts.items():
        told = sorted({part for part in where if part is not None})
        if len(told) > 1:
            yield found(name, "clip-in-two-parts", "error", f"it is in {' and '.join(told)}")
        elif len(where) > 1:
            yield found(name, "listed-twice", "warning", f"{len(where)} rows have this name")


def _speakers(clips: Sequence[Clip]) -> Iterator[Finding]:
    heard: dict[str, Counter[str]] = defaultdict(Counter)
    for clip in clips:
        part = part_of(clip)
        if clip.speaker is not None and part is not None:
            heard[clip.speaker][part] += 1
    for speaker, parts in sorted(heard.items()):
        if len(parts) > 1:
            counts = ", ".join(f"{count} in {part}" for part, count in sorted(parts.items()))
            yield found(None, "speaker-in-two-parts", "warning", f"speaker {speaker}: {counts}")


def _classes(clips: Sequence[Clip]) -> Iterator[Finding]:
    counts = class_counts(clips)
    total = counts.total()
    if len(counts) < 2:
        return
    (most, n_most), (least, n_least) = counts.most_common()[0], counts.most_common()[-1]
    if n_most > MOST_RATIO * n_least:
        words = f"{most} has {n_most} clips, {least} {n_least}: {n_most / n_least:.0f} times as many"
        yield found(None, "class-balance", "warning", words)
    for emotion, count in reversed(counts.most_common()):
        if count < RARE_SHARE * total:
            words = f"{emotion}: {count} of {total} clips ({count / total:.1%})"
            yield found(None, "class-balance", "warning", words)


def _classes_by_part(clips: Sequence[Clip]) -> Iterator[Finding]:
    emotions = class_counts(clips)
    parts: dict[str, set[str]] = defaultdict(set)
    for clip in clips:
        part = part_of(clip)
        if part is not None and clip.emotion is not None:
            parts[part].add(clip.emotion)
    for part, there in sorted(parts.items()):
        absent = sorted(emotions.keys() - there)
        if absent and len(parts) > 1:
            yield found(None, "class-balance", "warning", f"{part} has no clip of {', '.join(absent)}")


def class_counts(clips: Sequence[Clip]) -> Counter[str]:
    """Emotion → number of clips, in the words of the list; clips without one are left out."""
    return Counter(clip.emotion for clip in clips if clip.emotion is not None)
