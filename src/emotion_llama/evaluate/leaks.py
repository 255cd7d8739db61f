"""Leak guard: what the test side shares with the training side, and no choice of a checkpoint on the test side.

Every finding names a test clip, a training clip and the reason. Recordings are compared by content: the bytes, then
fingerprints that survive cutting, scaling and encoding again (see `fingerprints`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from emotion_llama.clip import Clip, Record
from emotion_llama.errors import MediaError, NoStreamError, UsageError
from emotion_llama.evaluate.records import Side
from emotion_llama.media.fingerprints import (
    PicturePrint,
    SoundIndex,
    SoundPrint,
    find_pictures,
    picture_print,
    sound_print,
)

LeakKind = Literal["same-identity", "same-file", "same-recording", "same-sound", "same-picture", "same-words"]

SOUND_MAX_S = 120.0
PICTURE_MAX_S = 60.0
PICTURE_RATE_HZ = 30.0
PICTURE_MAX_PX = 64


class Leak(Record):
    """A test clip that the training side holds too. `others` more training clips share it for the same reason."""

    kind: LeakKind
    test: str
    train: str
    reason: str
    others: int = 0


class SharedSpeaker(Record):
    """A speaker on both sides and the number of clips there."""

    speaker: str
    n_test: int
    n_train: int


class Unreadable(Record):
    """A recording that could not be compared, and why."""

    side: Literal["test", "train"]
    clip: str
    reason: str


class LeakReport(Record):
    """What was found. `counts` holds the number of test clips for each kind of finding; "any" those with one at all.

    `compared_sound` and `compared_picture` are (test, train) clips whose sound or picture could be fingerprinted; a
    clip that is too short, silent or plain cannot. Both are `None` when content was not looked at.
    """

    n_test: int
    n_train: int
    counts: dict[str, int]
    speakers: tuple[SharedSpeaker, ...]
    findings: tuple[Leak, ...]
    unreadable: tuple[Unreadable, ...]
    compared_sound: tuple[int, int] | None
    compared_picture: tuple[int, int] | None


@dataclass(frozen=True)
class _Content:
    """What is known of one clip's recording; `None` = not to be had (no such stream, too short, too plain)."""

    clip: Clip
    sha256: str | None
    sound: SoundPrint | None
    picture: PicturePrint | None
    unreadable: str | None = None


def find_leaks(test: Sequence[Clip], train: Sequence[Clip], *, content: bool = True) -> LeakReport:
    """Compare two sides of a data set: identities, speakers, words of the same speaker and, with `content`, recordings.

    Looks at the first 120 s of sound and 60 s of picture of each clip. One finding for each test clip and kind, with
    the likest training clip. A recording that cannot be read is listed.
    """
    findings = [*_same_identity(test, train), *_same_words(test, train)]
    unreadable: list[Unreadable] = []
    seen: list[list[_Content]] = []
    if content:
        for side, clips in (("test", test), ("train", train)):
            known: dict[tuple[str, float | None, float | None], _Content] = {}
            seen.append([_content(clip, known) for clip in clips])
            unreadable += [_unreadable(side, one) for one in seen[-1] if one.unreadable is not None]
        findings += [*_same_file(*seen), *_same_sound(*seen), *_same_picture(*seen)]
    counts = Counter(str(leak.kind) for leak in findings)
    return LeakReport(
        n_test=len(test),
        n_train=len(train),
        counts={**counts, "any": len({leak.test for leak in findings})},
        speakers=_shared_speakers(test, train),
        findings=tuple(findings),
        unreadable=tuple(unreadable),
        compared_sound=_fingerprinted("sound", seen),
        compared_picture=_fingerprinted("picture", seen),
    )


def refuse_choice(side: Side) -> None:
    """Raise `UsageError` when a checkpoint is to be chosen by scores on the test side."""
    if side == "test":
        raise UsageError(
            "a checkpoint cannot be chosen on the test side: its score would no longer say how good the model is on "
            "clips it has not seen. Score the candidates with --side validation, choose there, then score the chosen "
            "one on the test side once"
        )


def _shared_speakers(test: Sequence[Clip], train: Sequence[Clip]) -> tuple[SharedSpeaker, ...]:
    mine, theirs = (Counter(clip.speaker for clip in clips if clip.speaker is not None) for clips in (test, train))
    return tuple(
        SharedSpeaker(speaker=name, n_test=mine[name], n_train=theirs[name]) for name in sorted(mine.keys() & theirs)
    )


def _same_identity(test: Sequence[Clip], train: Sequence[Clip]) -> Iterable[Leak]:
    names = {clip.clip for clip in train}
    for clip in test:
        if clip.clip in names:
            yield Leak(kind="same-identity", test=clip.clip, train=clip.clip, reason="the same name on both sides")


def _same_words(test: Sequence[Clip], train: Sequence[Clip]) -> Iterable[Leak]:
    said: dict[tuple[str, str], list[str]] = {}
    for clip in train:
        said.setdefault(_words(clip), []).append(clip.clip)
    for clip in test:
        same = said.get(_words(clip), []) if all(_words(clip)) else []
        if same:
            reason = f"speaker {clip.speaker} says the same words"
            yield Leak(kind="same-words", test=clip.clip, train=same[0], reason=reason, others=len(same) - 1)


def _words(clip: Clip) -> tuple[str, str]:
    """Speaker and words without case and punctuation; an empty part = not known."""
    letters = "".join(char if char.isalnum() else " " for char in (clip.transcript or "").casefold())
    return clip.speaker or "", " ".join(letters.split())


def _same_file(test: Sequence[_Content], train: Sequence[_Content]) -> Iterable[Leak]:
    files: dict[str, list[Clip]] = {}
    for one in train:
        if one.sha256 is not None:
            files.setdefault(one.sha256, []).append(one.clip)
    for one in test:
        same = files.get(one.sha256 or "", [])
        shared = [clip for clip in same if _overlap(one.clip, clip)]
        if shared:
            reason = "the same bytes"
            yield Leak(
                kind="same-file", test=one.clip.clip, train=shared[0].clip, reason=reason, others=len(shared) - 1
            )
        elif same:
            reason = "another span of the same file"
            yield Leak(
                kind="same-recording", test=one.clip.clip, train=same[0].clip, reason=reason, others=len(same) - 1
            )


def _overlap(one: Clip, other: Clip) -> bool:
    spans = [(clip.start_s or 0.0, clip.end_s if clip.end_s is not None else np.inf) for clip in (one, other)]
    return max(spans[0][0], spans[1][0]) < min(spans[0][1], spans[1][1])


def _same_sound(test: Sequence[_Content], train: Sequence[_Content]) -> Iterable[Leak]:
    known = [(one, one.sound) for one in train if one.sound is not None]
    index = SoundIndex([sound for _, sound in known])
    for one in test:
        errors = index.find(one.sound) if one.sound is not None else {}
        found = {number: 1 - error for number, error in errors.items()}
        yield from _likest("same-sound", one, [each for each, _ in known], found, "{:.0%} of the sound's bits agree")


def _same_picture(test: Sequence[_Content], train: Sequence[_Content]) -> Iterable[Leak]:
    known = [(one, one.picture) for one in train if one.picture is not None]
    pictures = [picture for _, picture in known]
    hashes = np.array([picture.hash for picture in pictures], np.uint64)
    for one in test:
        found = find_pictures(one.picture, pictures, hashes) if one.picture is not None else {}
        yield from _likest("same-picture", one, [each for each, _ in known], found, "the pictures correlate by {:.2f}")


def _likest(
    kind: LeakKind, test: _Content, train: Sequence[_Content], found: Mapping[int, float], reason: str
) -> Iterable[Leak]:
    """One finding for the likest of `found`; the very same file is told by `_same_file` already."""
    fresh = {at: value for at, value in found.items() if train[at].sha256 != test.sha256}
    if fresh:
        best = max(fresh, key=lambda at: fresh[at])
        yield Leak(
            kind=kind,
            test=test.clip.clip,
            train=train[best].clip.clip,
            reason=reason.format(fresh[best]),
            others=len(fresh) - 1,
        )


def _content(clip: Clip, known: dict[tuple[str, float | None, float | None], _Content]) -> _Content:
    """Hash and fingerprints of a clip; a file that several clips name is decoded once a span."""
    from emotion_llama.media.probe import sha256_of

    if clip.path is None:
        return _Content(clip, None, None, None)
    try:
        key = (sha256_of(clip.path), clip.start_s, clip.end_s)
        if key not in known:
            known[key] = _Content(clip, key[0], _sound(clip, clip.path), _picture(clip, clip.path))
    except OSError as error:
        return _Content(clip, None, None, None, f"{clip.path}: cannot be read: {error.strerror}")
    except MediaError as error:
        return _Content(clip, key[0], None, None, str(error))
    return _Content(clip, key[0], known[key].sound, known[key].picture)


def _sound(clip: Clip, path: Path) -> SoundPrint | None:
    from emotion_llama.media import read_waveform

    waveform = read_waveform(path, start_s=clip.start_s, end_s=clip.end_s, max_s=SOUND_MAX_S)
    return None if waveform is None else sound_print(waveform)


def _picture(clip: Clip, path: Path) -> PicturePrint | None:
    from emotion_llama.media import iter_frames

    end_s = min(clip.end_s if clip.end_s is not None else np.inf, (clip.start_s or 0.0) + PICTURE_MAX_S)
    frames = iter_frames(
        path,
        start_s=clip.start_s,
        end_s=end_s,
        max_frames_s=PICTURE_RATE_HZ,
        max_frames=round(PICTURE_MAX_S * PICTURE_RATE_HZ),
        max_side_px=PICTURE_MAX_PX,
    )
    try:
        return picture_print(frames)
    except NoStreamError:
        return None  # sound alone


def _unreadable(side: str, one: _Content) -> Unreadable:
    return Unreadable(side="test" if side == "test" else "train", clip=one.clip.clip, reason=one.unreadable or "")


def _fingerprinted(what: Literal["sound", "picture"], seen: Sequence[Sequence[_Content]]) -> tuple[int, int] | None:
    if not seen:
        return None
    test, train = (sum(getattr(one, what) is not None for one in side) for side in seen)
    return test, train
