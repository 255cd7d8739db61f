"""Duplicates: found after cutting and encoding again, other takes left alone, and no comparison of all with all."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from emotion_llama.build.doctor.examine import examine
from emotion_llama.build.doctor.look import make_looker
from emotion_llama.build.doctor.records import Finding
from emotion_llama.clip import Clip
from emotion_llama.media.fingerprints import picture_correlation
from emotion_llama.media.likely_copies import MOST, motion_codes, near_hashes, same_motion
from tests.build.doctor.recordings import head, record, speech


def clip(path: Path, part: str | None = None, **fields: object) -> Clip:
    groups = {"part": part} if part else {}
    return Clip.model_validate({"clip": path.name, "path": path, "groups": groups, **fields})


def duplicates(clips: list[Clip]) -> list[Finding]:
    return [finding for finding in examine(clips).findings if finding.kind.startswith("duplicate")]


def test_a_shifted_reencoded_copy_is_found_and_other_takes_are_not(tmp_path: Path) -> None:
    clips = [clip(record(tmp_path / f"{take}.mp4", head(take), speech(take)), emotion="happy") for take in range(4)]
    assert duplicates(clips) == []
    copy = record(tmp_path / "copy.mkv", head(3)[5:], 0.6 * speech(3)[6_400:], crf=34)
    (finding,) = duplicates([*clips, clip(copy, emotion="sad")])
    assert (finding.clip, finding.other, finding.kind, finding.severity) == (
        "copy.mkv",
        "3.mp4",
        "duplicate",
        "warning",
    )
    assert "the same sound" in finding.words
    assert "the same picture" in finding.words
    assert "it is called happy there and sad here" in finding.words


def test_sound_or_picture_alone_is_enough(tmp_path: Path) -> None:
    takes = [clip(record(tmp_path / f"{take}.mp4", head(take), speech(take))) for take in range(3)]
    dubbed = clip(record(tmp_path / "dubbed.mp4", head(1)[3:], speech(9), crf=32))
    heard = clip(record(tmp_path / "heard.wav", None, speech(2)[3_000:]))
    found = {finding.clip: finding for finding in duplicates([*takes, dubbed, heard])}
    assert (found["dubbed.mp4"].other, found["heard.wav"].other) == ("1.mp4", "2.mp4")
    assert found["dubbed.mp4"].words.startswith("the same picture")
    assert found["heard.wav"].words.startswith("the same sound")
    assert len(found) == 2


def test_a_copy_in_another_part_is_an_error(tmp_path: Path) -> None:
    one = record(tmp_path / "one.wav", None, speech(1))
    same, other = tmp_path / "same.wav", tmp_path / "other.wav"
    same.write_bytes(one.read_bytes())
    other.write_bytes(one.read_bytes())
    first, second = duplicates([clip(one, "train"), clip(same, "train"), clip(other, "test")])
    assert (first.clip, first.kind, first.severity) == ("other.wav", "duplicate-in-two-parts", "error")
    assert "the same bytes as one.wav; that one is in train, this one in test" in first.words
    assert (second.clip, second.other, second.severity) == ("same.wav", "one.wav", "warning")


def test_spans_of_one_file(tmp_path: Path) -> None:
    path = record(tmp_path / "a.wav", None, np.concatenate([speech(number) for number in range(4)]))
    spans = [(0.0, 2.4), (2.4, 4.8), (4.8, 7.2), (4.9, 7.2), (7.0, 9.6)]
    clips = [clip(path, clip=f"{start}", start_s=start, end_s=end) for start, end in spans]
    (finding,) = duplicates(clips)
    assert (finding.clip, finding.other) == ("4.9", "4.8")
    assert finding.words.startswith("mostly the same span")


def test_every_pair_that_comparing_all_with_all_finds_is_found(tmp_path: Path) -> None:
    look = make_looker()
    paths = [record(tmp_path / f"{take}.mp4", head(take)) for take in range(5)]
    paths += [record(tmp_path / f"again{take}.mp4", head(take)[take + 1 :], crf=36) for take in range(5)]
    pictures = [look(clip(path)).picture for path in paths]
    assert all(picture is not None for picture in pictures)
    prints = [picture.as_print() for picture in pictures if picture is not None]
    brute = {(i, j) for i, j in combinations(range(10), 2) if picture_correlation(prints[i], prints[j]) is not None}
    assert brute == {(take, take + 5) for take in range(5)}
    codes = [motion_codes(picture.pictures) for picture in pictures if picture is not None]
    assert brute <= {*near_hashes(np.array([one.hash for one in prints], np.uint64)), *same_motion(codes)}


def test_the_number_of_comparisons_grows_with_the_number_of_clips() -> None:
    rng = np.random.default_rng(0)
    for count in (100, 300):
        # one wall, so all hashes are alike; each take moves in its own way
        walk = np.cumsum(rng.normal(0, 8, (count, 30, 4, 4)), axis=1).repeat(4, axis=2).repeat(4, axis=3)
        pictures = (120 + walk).clip(0, 255).astype(np.uint8)
        hashes = np.uint64(0x0F0F) ^ (np.uint64(1) << rng.integers(0, 64, count).astype(np.uint64))
        pairs = {*near_hashes(hashes), *same_motion([motion_codes(one) for one in pictures])}
        assert len(pairs) <= 2 * MOST * count
        assert all(earlier < later for earlier, later in pairs)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_pictures(count: int) -> None:
    assert near_hashes(np.zeros(count, np.uint64)) == [(0, 1)][: max(0, count - 1)]
    still = [motion_codes(np.full((3, 16, 16), 90, np.uint8))] * count
    assert same_motion(still) == []
