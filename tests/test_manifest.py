from __future__ import annotations

from pathlib import Path

import pytest

from emotion_llama.clip import Clip, Observation
from emotion_llama.errors import ManifestError, OutputError
from emotion_llama.manifest import read_manifest, write_manifest


def written(folder: Path, name: str, text: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_csv_with_the_columns_of_a_data_set(tmp_path: Path) -> None:
    path = written(tmp_path, "m.csv", "file,actor,emotion,licence\nfull/a.mp4,Actor_05,sad,CC\n/abs/b.mp4,,,\n")
    first, second = read_manifest(path)
    assert (first.clip, first.path) == ("full/a.mp4", tmp_path / "full/a.mp4")
    assert (first.speaker, first.emotion, first.transcript) == ("Actor_05", "sad", None)
    assert second.path == Path("/abs/b.mp4")
    assert (second.speaker, second.emotion) == (None, None)


def test_csv_tolerates_a_byte_order_mark_and_quoted_line_breaks(tmp_path: Path) -> None:
    text = b'\xef\xbb\xbfclip,transcript,start_s,end_s,labels\r\na.wav,"one,\r\ntwo",0.5,2,happy; calm\r\n'
    text += b"\r\nb.wav,,,,\r\n"
    first, second = read_manifest(written(tmp_path, "m.csv", text))
    assert first.transcript == "one,\r\ntwo"
    assert (first.start_s, first.end_s, first.labels) == (0.5, 2.0, ("happy", "calm"))
    assert (second.transcript, second.labels) == (None, None)


def test_jsonl_tells_nothing_said_from_not_transcribed(tmp_path: Path) -> None:
    text = '{"clip": "a.wav", "transcript": ""}\n\n{"clip": "b.wav", "transcript": null}\n{"clip": "c.wav"}'
    assert [clip.transcript for clip in read_manifest(written(tmp_path, "m.jsonl", text))] == ["", None, None]


def test_text_alone(tmp_path: Path) -> None:
    (clip,) = read_manifest(written(tmp_path, "m.jsonl", '{"clip": "line 7", "path": null, "transcript": "Oh no."}'))
    assert (clip.clip, clip.path, clip.transcript) == ("line 7", None, "Oh no.")


def test_jsonl_keeps_unicode_line_separators_inside_a_text(tmp_path: Path) -> None:
    (clip,) = read_manifest(written(tmp_path, "m.jsonl", '{"clip": "a.wav", "transcript": "one\u2028two"}'))
    assert clip.transcript == "one\u2028two"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("m.csv", "video,emotion\na.mp4,sad\n", r"m.csv:2: expected a column clip, path or file, found video, emotion"),
        ("m.csv", "clip,start_s\na.mp4,1\nb.mp4,soon\n", r"m.csv:3: start_s.*'soon'"),
        ("m.csv", "clip,start_s,end_s\na.mp4,3,2\n", r"m.csv:2: end_s \(2.0\) must be after start_s"),
        ("m.csv", "clip,valence\na.mp4,nan\n", r"m.csv:2: valence must be a finite number"),
        ("m.csv", "clip,emotion\na.mp4\n", r"m.csv:2: expected 2 cells as in the heading, found 1"),
        ("m.csv", 'clip,transcript\n"a.wav","x\ny"\nb.wav\n', r"m.csv:4: expected 2 cells"),
        ("m.csv", "clip,clip\na,b\n", r"column 'clip' occurs more than once"),
        ("m.csv", "", r"found an empty file"),
        ("m.csv", "clip\n", r"expected at least one clip"),
        ("m.csv", "clip,emotion\n,sad\n", r"m.csv:2: expected a path or name"),
        ("m.jsonl", '{"clip": "a.wav"}\n{"clip": \n', r"m.jsonl:2: expected one JSON object a line"),
        ("m.jsonl", "[1]\n", r"m.jsonl:1: expected a JSON object, found list"),
        ("m.jsonl", '{"clip": 3}\n', r"m.jsonl:1: expected a path or name as text"),
        ("m.jsonl", '{"clip": "x", "path": null}\n', r"neither a recording nor a transcript"),
        ("m.txt", "a.wav\n", r"ends in .jsonl or .csv, found '.txt'"),
        ("m.csv", b"clip\n\xff\xfe\n", r"expected UTF-8"),
    ],
)
def test_what_is_wrong_is_named_with_file_and_line(tmp_path: Path, name: str, text: str | bytes, message: str) -> None:
    with pytest.raises(ManifestError, match=message):
        read_manifest(written(tmp_path, name, text))


def test_missing_manifest(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"none.csv: cannot read"):
        read_manifest(tmp_path / "none.csv")


def full_clip(folder: Path, **more: object) -> Clip:
    fields: dict[str, object] = {"clip": "a", "path": folder / "sub/ä.mp4", "start_s": 0.25, "end_s": 1.5}
    fields |= {"transcript": 'He said, "no".\nTwice.', "speaker": "S1", "emotion": "sad", "valence": -0.5}
    fields |= {"labels": ("sad", "tense"), "reasoning": "Because."}
    return Clip.model_validate({**fields, **more})


@pytest.mark.parametrize("name", ["m.csv", "m.jsonl"])
def test_round_trip(tmp_path: Path, name: str) -> None:
    clips = [full_clip(tmp_path), Clip(clip="b", path=Path("/else/b.wav")), Clip(clip="t", transcript="words")]
    write_manifest(clips, tmp_path / name)
    assert read_manifest(tmp_path / name) == clips
    assert "/else/b.wav" in (tmp_path / name).read_text("utf-8")
    assert str(tmp_path) not in (tmp_path / name).read_text("utf-8")
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_jsonl_round_trip_of_what_csv_cannot_hold(tmp_path: Path) -> None:
    seen = Observation(channel="face", text="the brows are raised", source="human:ann03")
    clip = full_clip(tmp_path, transcript="", observations=(seen,))
    write_manifest([clip], tmp_path / "m.jsonl")
    assert read_manifest(tmp_path / "m.jsonl") == [clip]
    with pytest.raises(OutputError, match=r"observations, transcript, which a CSV cell cannot hold; write a .jsonl"):
        write_manifest([clip], tmp_path / "m.csv")


def test_folder_in_the_way(tmp_path: Path) -> None:
    written(tmp_path, "file", "")
    with pytest.raises(OutputError, match="cannot write the manifest"):
        write_manifest([full_clip(tmp_path)], tmp_path / "file" / "m.jsonl")


def test_own_columns_become_groups(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text("clip,gender,age,site,actor\na.wav,female,33,,7\nb.wav,male,x,B,8\n", encoding="utf-8")
    one, two = read_manifest(path)
    assert one.groups == {"sex": "female", "age": 33.0}  # an empty cell groups nothing
    assert two.groups == {"sex": "male", "age": "x", "site": "B"} and two.speaker == "8"


@pytest.mark.parametrize("name", ["m.csv", "m.jsonl"])
def test_groups_survive_writing(tmp_path: Path, name: str) -> None:
    clips = [
        Clip(clip="a", transcript="x", groups={"age": 30.0}),
        Clip(clip="b", transcript="y", groups={"sex": "male"}),
    ]
    write_manifest(clips, tmp_path / name)
    assert [clip.groups for clip in read_manifest(tmp_path / name)] == [{"age": 30.0}, {"sex": "male"}]


def test_label_is_another_word_for_emotion(tmp_path: Path) -> None:
    path = tmp_path / "clips.csv"
    path.write_text("file,speaker,label\na.wav,ann,tense\n", encoding="utf-8")
    (clip,) = read_manifest(path)
    assert (clip.emotion, clip.groups) == ("tense", {})
