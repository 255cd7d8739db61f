"""All recordings of a pre-training: their face tracks, and which recordings gave none and why."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path

from rich.console import Console
from rich.progress import track as progress

from emotion_llama.clip import Clip
from emotion_llama.errors import MediaError, NoStreamError, UsageError
from emotion_llama.train.pretrain.settings import FaceSettings
from emotion_llama.train.pretrain.tracks import Found, Reader, Track, find_tracks

MakeReader = Callable[[], Reader]


@dataclass(frozen=True)
class Skipped:
    """A recording that gives no face. `unreadable`: it is damaged, rather than without a (large enough) face."""

    clip: str
    reason: str
    unreadable: bool


@dataclass(frozen=True)
class Search:
    """What was found in all recordings: those with faces, those without. A content that comes twice counts once."""

    found: tuple[Found, ...]
    skipped: tuple[Skipped, ...]

    @property
    def tracks(self) -> list[Track]:
        """All tracks, in the order of the recordings."""
        return [track for found in self.found for track in found.tracks]


def search(
    clips: Sequence[Clip], settings: FaceSettings, root: Path, make_reader: MakeReader, console: Console
) -> Search:
    """Find the faces of all clips, with progress; what was found before is only read.

    `make_reader` is called once in each of `settings.jobs` processes. Raises `UsageError` if no recording has a face,
    `OutputError` if crops cannot be kept, `AssetMissingError` if the face nets were not fetched.
    """
    found: dict[str, Found] = {}
    skipped = []
    looked = _look_at_all(clips, settings, root, make_reader)
    for clip, result in zip(clips, progress(looked, "finding faces", len(clips), console=console), strict=True):
        usable = result if isinstance(result, Skipped) else _usable(result, settings)
        if isinstance(usable, Skipped):
            skipped.append(usable)
            console.print(f"skipped {clip.clip}: {usable.reason}", markup=False, highlight=False)
        else:
            found.setdefault(str(usable.tracks[0].path.parent), usable)
    if not found:
        raise UsageError(f"no usable face in {len(clips)} recordings; give recordings that show faces{_why(skipped)}")
    return Search(tuple(found.values()), tuple(skipped))


def held_back(tracks: Sequence[Track], share: float, seed: int) -> set[str]:
    """Choose the groups (speakers, or recordings) that nothing is learned from: a share of them, at least one.

    Raises `UsageError` if there is only one group.
    """
    groups = sorted({track.group for track in tracks})
    if len(groups) < 2:
        raise UsageError(
            "all faces are of one speaker or one recording, so none can be held back to measure what is learned; "
            "give a second recording, or name the speakers in a manifest's speaker column"
        )
    drawn = sorted(groups, key=lambda group: hashlib.sha256(f"{seed} {group}".encode()).hexdigest())
    return set(drawn[: min(max(1, round(share * len(groups))), len(groups) - 1)])


def _look_at_all(
    clips: Sequence[Clip], settings: FaceSettings, root: Path, make_reader: MakeReader
) -> Iterator[Found | Skipped]:
    look = partial(_look, settings=settings, root=root, make_reader=make_reader)
    if settings.jobs == 1:
        yield from map(look, clips)
        return
    try:
        with ProcessPoolExecutor(settings.jobs, get_context("spawn")) as pool:
            yield from pool.map(look, clips)
    except BrokenProcessPool as error:
        raise UsageError(
            f"a process that looked for faces was ended from outside, most likely for lack of memory; lower faces.jobs "
            f"(now {settings.jobs}) and start again: what was found is kept"
        ) from error


_reader_of_this_process = cache(lambda make_reader: make_reader())


def _look(clip: Clip, settings: FaceSettings, root: Path, make_reader: MakeReader) -> Found | Skipped:
    try:
        return find_tracks(clip, settings, root, partial(_reader_of_this_process, make_reader))
    except NoStreamError as error:
        return Skipped(clip.clip, str(error), unreadable=False)
    except MediaError as error:
        return Skipped(clip.clip, str(error), unreadable=True)


def _usable(found: Found, settings: FaceSettings) -> Found | Skipped:
    tracks = tuple(t for t in found.tracks if t.faces >= settings.fewest and t.size_px >= settings.smallest_px)
    if tracks:
        return Found(found.clip, found.sha256, tracks)
    if not found.tracks:
        return Skipped(found.clip, "no face found", unreadable=False)
    longest, largest = max(t.faces for t in found.tracks), max(t.size_px for t in found.tracks)
    return Skipped(
        found.clip,
        f"no usable face: wanted {settings.fewest} in a row of {settings.smallest_px:g} px (settings faces.fewest, "
        f"faces.smallest_px), found at most {longest} in a row and {largest:g} px",
        unreadable=False,
    )


def _why(skipped: Sequence[Skipped]) -> str:
    reasons = Counter(one.reason.removeprefix(one.clip) for one in skipped).most_common(3)
    return "".join(f"\n  {count} x {reason}" for reason, count in reasons)
