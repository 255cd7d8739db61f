"""The same recording twice in a list: the same bytes, or the same sound or picture after cutting and encoding again.

Files are found by their hash, sounds by `SoundIndex`, pictures by `candidates`. For N clips the tables are sorted in
O(N log N); each clip is then compared with the few that share a bucket with it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from emotion_llama.build.doctor.look import Look
from emotion_llama.build.doctor.records import Finding, found
from emotion_llama.build.doctor.sides import part_of
from emotion_llama.clip import Clip
from emotion_llama.media.fingerprints import SoundIndex, picture_correlation
from emotion_llama.media.likely_copies import MAX_HASH_BITS, motion_codes, near_hashes, same_motion

MOST_SHARED = 0.5  # of the shorter span: more of it in common makes two spans of one file the same clip


@dataclass(frozen=True)
class Same:
    """Two clips of a list (by number, the earlier first) that are one recording, and what shows it."""

    first: int
    second: int
    why: str


def find_duplicates(clips: Sequence[Clip], looks: Sequence[Look]) -> list[Finding]:
    """One finding for each clip that is the same recording as an earlier one; an error where their parts differ."""
    partners: dict[int, dict[int, list[str]]] = defaultdict(lambda: defaultdict(list))
    for same in (*_same_file(clips, looks), *_same_sound(looks), *_same_picture(looks)):
        partners[same.second][same.first].append(same.why)
    return [_finding(clips, second, partners[second]) for second in sorted(partners)]


def _finding(clips: Sequence[Clip], second: int, partners: dict[int, list[str]]) -> Finding:
    part = part_of(clips[second])

    def apart(first: int) -> bool:
        return part is not None and part_of(clips[first]) not in (None, part)

    first = min(partners, key=lambda one: (not apart(one), -len(partners[one]), one))
    one, other = clips[second], clips[first]
    words = f"{' and '.join(partners[first])} as {other.clip}"
    if one.emotion != other.emotion:
        words += f"; it is called {other.emotion or 'nothing'} there and {one.emotion or 'nothing'} here"
    if apart(first):
        words += f"; that one is in {part_of(other)}, this one in {part}"
    if len(partners) > 1:
        words += f"; {len(partners) - 1} more like it"
    if apart(first):
        return found(one.clip, "duplicate-in-two-parts", "error", words, other.clip)
    return found(one.clip, "duplicate", "warning", words, other.clip)


def _same_file(clips: Sequence[Clip], looks: Sequence[Look]) -> Iterator[Same]:
    files: dict[str, list[int]] = defaultdict(list)
    for number, look in enumerate(looks):
        if look.sha256 is not None:
            files[look.sha256].append(number)
    for numbers in files.values():
        if len(numbers) > 1:
            yield from _same_span(clips, numbers)


def _same_span(clips: Sequence[Clip], numbers: Iterable[int]) -> Iterator[Same]:
    """Compare spans of one file, by their start, each with the one before it that reaches furthest."""
    furthest: int | None = None
    for number in sorted(numbers, key=lambda one: (_span(clips[one]), one)):
        start_s, end_s = _span(clips[number])
        if furthest is None:
            furthest = number
            continue
        other_start_s, other_end_s = _span(clips[furthest])
        shared_s = min(end_s, other_end_s) - start_s
        if shared_s > MOST_SHARED * min(end_s - start_s, other_end_s - other_start_s) or shared_s == np.inf:
            why = "the same bytes" if (start_s, end_s) == (other_start_s, other_end_s) else "mostly the same span"
            yield Same(min(number, furthest), max(number, furthest), why)
        if end_s > other_end_s:
            furthest = number


def _span(clip: Clip) -> tuple[float, float]:
    return clip.start_s or 0.0, clip.end_s if clip.end_s is not None else np.inf


def _same_sound(looks: Sequence[Look]) -> Iterator[Same]:
    known = [(number, look.sound) for number, look in enumerate(looks) if look.sound is not None]
    index = SoundIndex([sound for _, sound in known])
    for later, (number, sound) in enumerate(known):
        for earlier, error in index.find(sound).items():
            other = known[earlier][0]
            if earlier < later and looks[other].sha256 != looks[number].sha256:
                yield Same(other, number, f"the same sound ({1 - error:.0%} of its bits)")


def _same_picture(looks: Sequence[Look]) -> Iterator[Same]:
    known = [(number, look.picture) for number, look in enumerate(looks) if look.picture is not None]
    hashes = np.array([picture.hash for _, picture in known], np.uint64)
    pairs = {*near_hashes(hashes), *same_motion([motion_codes(picture.pictures) for _, picture in known])}
    for earlier, later in sorted(pairs):
        (other, theirs), (number, mine) = known[earlier], known[later]
        if looks[other].sha256 == looks[number].sha256 or np.bitwise_count(mine.hash ^ theirs.hash) > MAX_HASH_BITS:
            continue
        value = picture_correlation(mine.as_print(), theirs.as_print())
        if value is not None:
            yield Same(other, number, f"the same picture (correlation {value:.2f})")
