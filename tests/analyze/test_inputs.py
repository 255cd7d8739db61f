"""What the user types becomes clips."""

from __future__ import annotations

from pathlib import Path

import pytest

from emotion_llama.analyze.inputs import find_clips, is_collection
from emotion_llama.clip import Clip
from emotion_llama.errors import ManifestError, MediaError, UsageError


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")


def test_a_path_is_a_clip_named_as_given_even_if_it_is_not_there(tmp_path: Path) -> None:
    given = f"{tmp_path}/./nowhere.mp4"
    (clip,) = find_clips([given], None)
    assert clip == Clip(clip=given, path=Path(given))
    assert not is_collection([given])


def test_a_folder_gives_its_media_in_order_and_nothing_else(tmp_path: Path) -> None:
    touch(tmp_path, "b.wav", "a.MP4", "sub/c.png", "notes.txt", ".hidden/d.mp4")
    assert [clip.clip for clip in find_clips([str(tmp_path)], None)] == [
        str(tmp_path / name) for name in ("a.MP4", "b.wav", "sub/c.png")
    ]
    assert is_collection([str(tmp_path)])


def test_a_file_named_twice_is_one_clip(tmp_path: Path) -> None:
    touch(tmp_path, "a.mp4", "b.mp4")
    found = find_clips([str(tmp_path), str(tmp_path / "a.mp4")], None)
    assert [Path(clip.clip).name for clip in found] == ["a.mp4", "b.mp4"]


def test_a_manifest_gives_its_rows_relative_to_itself(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("clip,transcript\nsub/a.mp4,hello\nb.wav,\n")
    first, second = find_clips([str(tmp_path / "list.csv")], None)
    assert (first.clip, first.path, first.transcript) == ("sub/a.mp4", tmp_path / "sub/a.mp4", "hello")
    assert (second.clip, second.transcript) == ("b.wav", None)
    assert is_collection(["list.csv"]) and is_collection(["list.JSONL"]) and is_collection(["a.mp4", "b.mp4"])


def test_two_spans_under_one_name_are_refused_not_dropped(tmp_path: Path) -> None:
    path = tmp_path / "spans.csv"
    path.write_text("clip,start_s,end_s\na.mp4,0,2\na.mp4,2,4\n")
    with pytest.raises(UsageError, match=r"both named 'a\.mp4'.*column clip.*column path"):
        find_clips([str(path)], None)
    path.write_text("clip,path,start_s,end_s\none,a.mp4,0,2\ntwo,a.mp4,2,4\n")
    assert [(clip.clip, clip.start_s) for clip in find_clips([str(path)], None)] == [("one", 0.0), ("two", 2.0)]


def test_a_transcript_alone_is_a_clip_of_text() -> None:
    (clip,) = find_clips([], "I am fine")
    assert (clip.clip, clip.path, clip.transcript) == ("text", None, "I am fine")


def test_a_transcript_goes_with_one_recording(tmp_path: Path) -> None:
    (clip,) = find_clips(["a.mp4"], "hello")
    assert (clip.path, clip.transcript) == (Path("a.mp4"), "hello")
    assert find_clips(["a.mp4"], "")[0].transcript == ""  # "nothing was said", which is something else than unknown
    with pytest.raises(UsageError, match=r"2 were given.*transcript column"):
        find_clips(["a.mp4", "b.mp4"], "hello")


@pytest.mark.parametrize("transcript", [None, "", "  "])
def test_nothing_given_is_a_usage_error(transcript: str | None) -> None:
    with pytest.raises(UsageError, match="give a recording, a folder, a manifest, or --transcript"):
        find_clips([], transcript)


def test_a_folder_without_media_is_named(tmp_path: Path) -> None:
    touch(tmp_path, "notes.txt")
    with pytest.raises(MediaError, match="no media file") as caught:
        find_clips([str(tmp_path)], None)
    assert str(tmp_path) in str(caught.value) and ".mp4" in str(caught.value)


def test_a_missing_manifest_is_named(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"none\.csv"):
        find_clips([str(tmp_path / "none.csv")], None)


def test_an_empty_name_is_not_the_folder_one_is_in() -> None:
    with pytest.raises(UsageError, match="found an empty name"):
        find_clips([""], None)
