"""dedupe: of recordings that are the same one, cut or encoded again, the first stays.

Every clip leaves a fingerprint of its sound and its picture. The index of sounds and codes of what moves are in memory
(about 5 kB a clip of 3.5 s); pictures themselves are compared only where these make it likely.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np

from emotion_llama.build.entry import Entry
from emotion_llama.build.look import Look
from emotion_llama.build.step import Found, Reject, Step, StepSettings
from emotion_llama.build.whole import Candidate, Decision, LoadPrint, WholeStep
from emotion_llama.errors import MediaError
from emotion_llama.media.fingerprints import (
    MAX_HASH_BITS,
    PicturePrint,
    SoundIndex,
    SoundPrint,
    picture_correlation,
    picture_print,
    sound_print,
)
from emotion_llama.media.likely_copies import Codes, motion_codes, near_hashes, same_motion
from emotion_llama.media.types import Waveform

PICTURE_RATE_HZ = 30.0
PICTURE_MAX_PX = 64
PICTURE_MAX_S = 60.0
SOUND_MAX_S = 120.0
NO_SOUND = SoundPrint(np.zeros(0, np.uint32), np.zeros(0, bool))


class DedupeSettings(StepSettings):
    """`sound`, `picture`: whether clips that share it count as the same recording."""

    sound: bool = True
    picture: bool = True


def note_print(entry: Entry, settings: DedupeSettings, look: Look) -> Found | Reject:
    """Say that the clip was fingerprinted; `print_bytes` does it."""
    return Found(words="its sound and picture were fingerprinted")


def print_bytes(entry: Entry, settings: DedupeSettings, look: Look) -> bytes:
    """Give the fingerprints of sound and picture as one npz file; what there is none of is left out."""
    arrays: dict[str, np.ndarray] = {}
    if settings.sound and look.waveform is not None:
        first = look.waveform.samples[: round(SOUND_MAX_S * 16_000)]
        sound = sound_print(Waveform(first, look.waveform.start_s))
        if sound is not None:
            arrays |= {"codes": sound.codes, "loud": np.packbits(sound.loud), "count": np.array(len(sound.loud))}
    if settings.picture and look.media.has_picture:
        picture = _picture(look)
        if picture is not None:
            arrays |= {"pictures": picture.pictures.round().astype(np.uint8), "hash": np.array(picture.hash)}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def _picture(look: Look) -> PicturePrint | None:
    from emotion_llama.media import iter_frames

    clip = look.clip
    frames = iter_frames(
        look.media,
        start_s=clip.start_s,
        end_s=min(clip.end_s or np.inf, (clip.start_s or 0.0) + PICTURE_MAX_S),
        max_frames_s=PICTURE_RATE_HZ,
        max_frames=round(PICTURE_MAX_S * PICTURE_RATE_HZ),
        max_side_px=PICTURE_MAX_PX,
    )
    try:
        return picture_print(frames)
    except MediaError:
        return None  # damage was told by the steps before


def drop_copies(candidates: Sequence[Candidate], settings: DedupeSettings, load: LoadPrint) -> list[Decision]:
    """Keep the first of every group of equal recordings, in the order of the list."""
    pairs = _pairs(len(candidates), load)
    copies: dict[int, str] = {}
    for first, second in sorted(pairs):
        if first not in copies and second not in copies:
            copies[second] = f"the same recording as {candidates[first].name}: {pairs[first, second]}"
    alone = "no other clip is the same recording"
    return [
        Decision("rejected", copies[place]) if place in copies else Decision("done", alone)
        for place in range(len(candidates))
    ]


def _pairs(count: int, load: LoadPrint) -> dict[tuple[int, int], str]:
    """Pairs of places (earlier, later) that are the same recording, and why."""
    sounds: list[SoundPrint] = []
    hashes: list[np.uint64] = []
    motions: list[Codes] = []
    seen: list[int] = []
    for place in range(count):
        arrays = _arrays(load(place))
        sounds.append(_sound(arrays))
        if "hash" in arrays:
            seen.append(place)
            hashes.append(np.uint64(arrays["hash"]))
            motions.append(motion_codes(arrays["pictures"]))
    found: dict[tuple[int, int], str] = {}
    likely = {*near_hashes(np.array(hashes, np.uint64)), *same_motion(motions)}
    for one, other in sorted(likely):
        if np.bitwise_count(hashes[one] ^ hashes[other]) <= MAX_HASH_BITS:
            first, second = seen[one], seen[other]
            value = picture_correlation(_pictures(_arrays(load(first))), _pictures(_arrays(load(second))))
            if value is not None:
                found[first, second] = f"the pictures correlate by {value:.2f}"
    index = SoundIndex(sounds)
    for place, sound in enumerate(sounds):
        for other, error in index.find(sound).items() if len(sound.codes) else ():
            if other > place:
                found[place, other] = f"{1 - error:.0%} of the sound's bits agree"
    return found


def _arrays(data: bytes | None) -> dict[str, np.ndarray]:
    if data is None:
        return {}
    with np.load(io.BytesIO(data)) as stored:
        return dict(stored)


def _sound(arrays: dict[str, np.ndarray]) -> SoundPrint:
    if "codes" not in arrays:
        return NO_SOUND
    loud = np.unpackbits(arrays["loud"], count=int(arrays["count"])).astype(bool)
    return SoundPrint(arrays["codes"], loud)


def _pictures(arrays: dict[str, np.ndarray]) -> PicturePrint:
    return PicturePrint(arrays["pictures"].astype(np.float32), np.uint64(arrays["hash"]))


DEDUPE = WholeStep(
    "dedupe", "1", DedupeSettings, drop_copies,
    first=Step("dedupe", "1", DedupeSettings, note_print, reads=("probe",), takes_print=print_bytes),
)  # fmt: skip
