"""What makes two recordings recognisable as the same one after cutting, scaling and encoding again.

Sound: one 24-bit code each 16 ms, the signs of how 25 band levels tilt against each other and change in time, after
Haitsma & Kalker, "A Highly Robust Audio Fingerprinting System" (ISMIR 2002). Gain and equal filtering cancel out.
Picture: small grey pictures ten times a second. Their mean gives a 64-bit difference hash that finds candidates; what
moves in them decides, because two recordings of one person before one wall have the same hash.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from emotion_llama.media.types import SAMPLE_RATE_HZ, Frame, Waveform

HOP = 256  # 16 ms
WINDOW = 2048  # 128 ms: half a hop of misalignment changes little
LAG = 4  # hops: change is measured over 64 ms
BAND_EDGES_HZ = np.geomspace(300.0, 3400.0, 26)  # the telephone band: what every codec keeps
BITS = 24
QUIET_DB = 35.0  # frames this far below the loudest one hold codec noise, not sound
SILENCE_DB = -80.0  # re full scale: not far above what 16 bits resolve
MIN_FRAMES = 40  # 0.64 s of sound in common
MAX_BIT_ERROR = 0.27  # unrelated sounds: about 0.5; one sentence said twice alike by one actor: 0.35 and more
COMMON_CODE = 500  # a code this frequent tells nothing apart

PICTURES_S = 10.0
SIDE = 16
MIN_MOVING = 8  # pictures
MAX_SHIFT = 20  # pictures: up to 2 s cut off
MIN_CONTRAST = 2.0  # grey levels: below it there is nothing to compare
MIN_MOTION = 0.75  # grey levels
MAX_HASH_BITS = 12
MIN_MOTION_CORRELATION = 0.8
MIN_STILL_CORRELATION = 0.985


@dataclass(frozen=True)
class SoundPrint:
    """Codes (T,) of consecutive frames and whether each frame is loud enough to count."""

    codes: NDArray[np.uint32]
    loud: NDArray[np.bool_]


@dataclass(frozen=True)
class PicturePrint:
    """Small grey pictures (T, 16, 16), ten a second, and the difference hash of their mean."""

    pictures: NDArray[np.float32]
    hash: np.uint64


def sound_print(waveform: Waveform) -> SoundPrint | None:
    """Fingerprint of a sound; `None` where it has less than 0.64 s above the quiet."""
    samples = waveform.samples
    count = 1 + (len(samples) - WINDOW) // HOP
    if count <= LAG:
        return None
    levels_db = np.concatenate([_levels_db(samples, at, min(at + 1024, count)) for at in range(0, count, 1024)])
    tilt = np.diff(levels_db[:, :-1], axis=1)  # (T, 24)
    bits = tilt[LAG:] > tilt[:-LAG]
    loudness_db = levels_db[:, -1]
    floor_db = max(float(loudness_db.max()) - QUIET_DB, SILENCE_DB)
    loud = np.minimum(loudness_db[LAG:], loudness_db[:-LAG]) > floor_db
    if loud.sum() < MIN_FRAMES:
        return None
    return SoundPrint((bits @ (1 << np.arange(BITS))).astype(np.uint32), loud)


def _levels_db(samples: NDArray[np.float32], first: int, last: int) -> NDArray[np.float64]:
    """Levels of frames `first` to `last`: 25 bands, then all of the frame (dB re full scale)."""
    rows = np.lib.stride_tricks.sliding_window_view(samples, WINDOW)[first * HOP : (last - 1) * HOP + 1 : HOP]
    power = np.square(np.abs(np.fft.rfft(rows * np.hanning(WINDOW).astype(np.float32), axis=1))).astype(np.float64)
    edges = np.round(BAND_EDGES_HZ * WINDOW / SAMPLE_RATE_HZ).astype(int)
    bands = np.add.reduceat(power, edges, axis=1)[:, :-1]
    whole = np.square(rows, dtype=np.float64).mean(axis=1)
    return np.asarray(10 * np.log10(np.column_stack([bands, whole]) + 1e-12))


class SoundIndex:
    """Finds sounds among many: codes that agree exactly propose a place, all codes around it decide."""

    def __init__(self, prints: Sequence[SoundPrint]) -> None:
        self._prints = prints
        codes = [one.codes[one.loud] for one in prints]
        order = np.argsort(np.concatenate([*codes, np.zeros(0, np.uint32)]), kind="stable")
        self._codes = np.concatenate([*codes, np.zeros(0, np.uint32)])[order]
        self._owner = np.repeat(np.arange(len(prints)), [len(one) for one in codes])[order]
        self._frame = np.concatenate([*(np.flatnonzero(one.loud) for one in prints), np.zeros(0, int)])[order]

    def find(self, sound: SoundPrint) -> dict[int, float]:
        """Numbers of the sounds that share a stretch with this one → share of bits that differ there."""
        frames = np.flatnonzero(sound.loud)
        left = np.searchsorted(self._codes, sound.codes[frames], "left")
        right = np.searchsorted(self._codes, sound.codes[frames], "right")
        hits = np.where(right - left > COMMON_CODE, 0, right - left)
        at = np.repeat(left - np.cumsum(hits) + hits, hits) + np.arange(hits.sum())
        places = np.stack([self._owner[at], self._frame[at] - np.repeat(frames, hits)], axis=1)
        found: dict[int, float] = {}
        for number, shift in np.unique(places, axis=0).tolist():
            error = bit_error(sound, self._prints[number], shift)
            if error is not None and error <= min(MAX_BIT_ERROR, found.get(number, 1.0)):
                found[number] = error
        return found


def bit_error(one: SoundPrint, other: SoundPrint, shift: int) -> float | None:
    """Share of bits that differ where frame i of one meets frame i + `shift` of the other.

    `None` where fewer than 40 loud frames meet, or fewer than half of those of the shorter sound.
    """
    first, last = max(0, -shift), min(len(one.codes), len(other.codes) - shift)
    if last - first < MIN_FRAMES:
        return None
    mine, theirs = slice(first, last), slice(first + shift, last + shift)
    both = one.loud[mine] & other.loud[theirs]
    if both.sum() < max(MIN_FRAMES, min(one.loud.sum(), other.loud.sum()) / 2):
        return None
    wrong = np.bitwise_count(one.codes[mine] ^ other.codes[theirs])
    return float(wrong[both].mean() / BITS)


def picture_print(frames: Iterable[Frame]) -> PicturePrint | None:
    """Fingerprint of a still picture or of all frames of a video; `None` for pictures without anything in them."""
    times_s, small = [], []
    for frame in frames:
        times_s.append(frame.time_s)
        grey = cv2.cvtColor(frame.rgb, cv2.COLOR_RGB2GRAY)
        small.append(cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA))
    if not small:
        return None
    pictures = _evenly(np.array(times_s), np.stack(small).astype(np.float32))
    mean = pictures.mean(axis=0)
    return None if mean.std() < MIN_CONTRAST else PicturePrint(pictures, _difference_hash(mean))


def _evenly(times_s: NDArray[np.float64], pictures: NDArray[np.float32]) -> NDArray[np.float32]:
    """Pictures `PICTURES_S` a second, between the two nearest ones: two encodings may differ in frame rate."""
    if len(times_s) == 1:
        return pictures
    at_s = np.arange(times_s[0], times_s[-1] + 1e-6, 1 / PICTURES_S)
    after = np.clip(np.searchsorted(times_s, at_s), 1, len(times_s) - 1)
    share = np.clip((at_s - times_s[after - 1]) / np.maximum(times_s[after] - times_s[after - 1], 1e-6), 0, 1)
    weight = share.astype(np.float32)[:, None, None]
    return np.asarray(pictures[after - 1] * (1 - weight) + pictures[after] * weight, np.float32)


def _difference_hash(picture: NDArray[np.float32]) -> np.uint64:
    small = cv2.resize(picture, (9, 8), interpolation=cv2.INTER_AREA)
    bits = (small[:, 1:] > small[:, :-1]).ravel()
    return np.uint64(sum(1 << int(place) for place in np.flatnonzero(bits)))


def find_pictures(one: PicturePrint, many: Sequence[PicturePrint], hashes: NDArray[np.uint64]) -> dict[int, float]:
    """Numbers of the pictures or videos that show the same as this one → how well they correlate.

    `hashes` (N,) are those of `many`.
    """
    near = np.flatnonzero(np.bitwise_count(hashes ^ one.hash) <= MAX_HASH_BITS).tolist()
    found = {number: picture_correlation(one, many[number]) for number in near}
    return {number: value for number, value in found.items() if value is not None}


def picture_correlation(one: PicturePrint, other: PicturePrint) -> float | None:
    """Correlation of what moves, at the shift where it is largest; of the mean pictures where nothing moves in both.

    `None` where it is too small for the same recording, or where only one of them moves.
    """
    still = [len(each.pictures) < MIN_MOVING or _moving(each.pictures).std() < MIN_MOTION for each in (one, other)]
    if all(still):
        value = _correlation(*(each.pictures.mean(axis=0) - each.pictures.mean() for each in (one, other)))
        return value if value >= MIN_STILL_CORRELATION else None
    if any(still):
        return None
    best = max(_shifted(one.pictures, other.pictures))
    return best if best >= MIN_MOTION_CORRELATION else None


def _shifted(one: NDArray[np.float32], other: NDArray[np.float32]) -> Iterable[float]:
    """Correlations at every shift that leaves at least half of the shorter video (eight pictures at least)."""
    enough = max(MIN_MOVING, min(len(one), len(other)) // 2)
    for shift in range(max(-MAX_SHIFT, enough - len(one)), min(MAX_SHIFT, len(other) - enough) + 1):
        first, last = max(0, -shift), min(len(one), len(other) - shift)
        if last - first >= enough:
            yield _correlation(_moving(one[first:last]), _moving(other[first + shift : last + shift]))


def _moving(pictures: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(pictures - pictures.mean(axis=0), np.float32)


def _correlation(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    size = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float(np.vdot(one, other)) / size if size > 0 else 0.0
