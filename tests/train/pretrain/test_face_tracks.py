"""Faces are looked for once, kept whole or not at all, and recordings without one are told apart from damaged ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from emotion_llama.clip import Clip
from emotion_llama.errors import ManifestError, OutputError, UsageError
from emotion_llama.measurements import FaceMeasures
from emotion_llama.media.types import Frame
from emotion_llama.train.pretrain.search import held_back, search
from emotion_llama.train.pretrain.settings import FaceSettings
from emotion_llama.train.pretrain.tracks import STRETCH, Track, find_tracks

FACES = FaceSettings(frames_s=10.0, crop_px=24)


@pytest.fixture()
def root(tmp_path: Path) -> Path:
    return tmp_path / "kept"


def _search(clips: list[Clip], root: Path, reader: Any, **changes: Any) -> tuple[Any, str]:
    console = Console(record=True, quiet=False, width=200, file=(root.parent / "log").open("w"))
    return search(clips, FACES.model_copy(update=changes), root, lambda: reader, console), console.export_text()


def test_a_recording_is_looked_at_once(moving: Callable[..., Clip], root: Path, reader: Any) -> None:
    clip = moving("a.mp4", seed=1)
    first = find_tracks(clip, FACES, root, lambda: reader)
    asked = reader.asked
    again = find_tracks(clip, FACES, root, lambda: reader)
    assert first == again and reader.asked == asked
    (track,) = first.tracks
    assert (track.faces, track.size_px, track.clip) == (12, 80.0, "a.mp4")
    crops = track.crops(2, 5)
    assert crops.shape == (3, 24, 24, 3) and crops.dtype == np.uint8
    assert (crops[0] != crops[1]).any()  # the film moves
    assert (track.crops(0, 12)[2:5] == crops).all()


def test_other_settings_and_other_spans_are_looked_at_anew(
    moving: Callable[..., Clip], root: Path, reader: Any
) -> None:
    clip = moving("a.mp4", seed=1)
    others = [
        find_tracks(clip, FACES, root, lambda: reader),
        find_tracks(clip, FACES.model_copy(update={"crop_px": 32}), root, lambda: reader),
        find_tracks(clip.model_copy(update={"start_s": 0.5}), FACES, root, lambda: reader),
    ]
    assert len({found.tracks[0].path for found in others}) == 3
    assert others[1].tracks[0].crops(0, 1).shape == (1, 32, 32, 3)
    assert others[2].tracks[0].faces == 7


def test_a_search_that_breaks_leaves_nothing(moving: Callable[..., Clip], root: Path) -> None:
    class Breaks:
        def read(self, frames: Iterable[Frame], /) -> FaceMeasures:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        find_tracks(moving("a.mp4", seed=1), FACES, root, Breaks)
    assert not [path for path in root.rglob("*") if path.is_file()]


def test_a_long_recording_is_read_in_stretches(moving: Callable[..., Clip], root: Path, reader: Any) -> None:
    found = find_tracks(moving("long.mp4", seed=1, frames=STRETCH + 20), FACES, root, lambda: reader)
    assert [track.faces for track in found.tracks] == [STRETCH, 20]
    assert reader.asked == 3  # the last finds no frame left


def test_recordings_without_a_face_and_damaged_ones_are_told(
    moving: Callable[..., Clip], root: Path, reader: Any, tmp_path: Path
) -> None:
    (tmp_path / "torn.mp4").write_bytes(b"\0" * 500)
    torn = Clip(clip="torn.mp4", path=tmp_path / "torn.mp4")
    clips = [moving("a.mp4", seed=1), moving("dark.mp4", seed=2, level=0), torn]
    found, told = _search(clips, root, reader)
    assert [one.clip for one in found.found] == ["a.mp4"]
    assert [(one.clip, one.unreadable) for one in found.skipped] == [("dark.mp4", False), ("torn.mp4", True)]
    assert "skipped dark.mp4: no face found" in told and "skipped torn.mp4" in told


def test_short_and_small_tracks_are_left_out_with_the_setting_that_did_it(
    moving: Callable[..., Clip], root: Path, reader: Any
) -> None:
    clips = [moving("a.mp4", seed=1), moving("short.mp4", seed=2, frames=3)]
    found, told = _search(clips, root, reader, fewest=4)
    assert [one.clip for one in found.found] == ["a.mp4"] and "faces.fewest" in told
    with pytest.raises(UsageError, match=r"no usable face in 2 recordings.*\n.*found at most 12 in a row and 80 px"):
        _search(clips, root, reader, smallest_px=81.0)


def test_one_content_counts_once(moving: Callable[..., Clip], root: Path, reader: Any, tmp_path: Path) -> None:
    one = moving("a.mp4", seed=1)
    copy = tmp_path / "copy.mp4"
    copy.write_bytes((tmp_path / "a.mp4").read_bytes())
    found, _ = _search([one, Clip(clip="copy.mp4", path=copy)], root, reader)
    assert len(found.found) == 1 and len(found.tracks) == 1


def test_text_alone_has_no_face(root: Path, reader: Any) -> None:
    with pytest.raises(ManifestError, match="found text alone"):
        find_tracks(Clip(clip="words", transcript="hello"), FACES, root, lambda: reader)


def test_lost_crops_name_the_folder_to_delete(moving: Callable[..., Clip], root: Path, reader: Any) -> None:
    (track,) = find_tracks(moving("a.mp4", seed=1), FACES, root, lambda: reader).tracks
    track.path.write_bytes(track.path.read_bytes()[:100])
    with pytest.raises(OutputError, match="delete the folder"):
        track.crops(0, 1)


def _track(group: str) -> Track:
    return Track(group, Path("x"), 5, 80.0, group, group)


def test_whole_groups_are_held_back() -> None:
    tracks = [_track(group) for group in "aabbbcddee"]
    chosen = held_back(tracks, 0.4, seed=0)
    assert len(chosen) == 2 and chosen < set("abcde")
    assert chosen == held_back(tracks[::-1], 0.4, seed=0)
    assert len({frozenset(held_back(tracks, 0.4, seed)) for seed in range(10)}) > 1
    assert len(held_back(tracks, 0.01, seed=0)) == 1 and len(held_back(tracks, 0.99, seed=0)) == 4


def test_a_single_group_cannot_be_divided() -> None:
    with pytest.raises(UsageError, match="give a second recording"):
        held_back([_track("a"), _track("a")], 0.5, seed=0)


def test_a_speaker_of_several_recordings_is_one_group(moving: Callable[..., Clip], root: Path, reader: Any) -> None:
    clips = [moving(f"{n}.mp4", seed=n, speaker="ann" if n < 2 else None) for n in range(3)]
    found, _ = _search(clips, root, reader)
    groups = [track.group for track in found.tracks]
    assert groups[:2] == ["ann", "ann"] and groups[2] == found.found[2].sha256
