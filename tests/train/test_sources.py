"""Data sets and manifests become items: labels in the words of their set, sides where the data name them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from emotion_llama.analyze.feature_files import write_clip
from emotion_llama.errors import ManifestError
from emotion_llama.train.config import DataSettings, Source
from emotion_llama.train.sources import Item, list_sha256, read_source

Read = Callable[..., list[Item]]
LINES: list[dict[str, Any]] = [
    {"clip": "a.mp4", "speaker": "A", "emotion": "happy", "transcript": "hello"},
    {"clip": "b.mp4", "speaker": "B", "emotion": "Joy"},
    {"clip": "c.mp4", "speaker": "C", "emotion": "fearful"},
]


def write(path: Path, lines: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Read one source below `tmp_path`; keywords are its settings, `exclude_all` the data's."""

    def done(exclude_all: tuple[str, ...] = (), **settings: Any) -> list[Item]:
        source = Source.model_validate({"name": "made", "split": "official", "path": "m.jsonl", **settings})
        return read_source(source, DataSettings(root=str(tmp_path), sources=(source,), exclude=exclude_all))

    return done


def test_labels_are_given_in_the_words_of_the_set(tmp_path: Path, read: Read) -> None:
    write(tmp_path / "m.jsonl", LINES)
    items = read(labels="fer7")
    assert [(i.label, i.emotion) for i in items] == [("happy", "happy"), ("happy", "happy"), ("fear", "fear")]
    assert len({i.labels for i in items}) == 1 and len(items[0].labels) == 7
    assert [i.label for i in read(labels=["joy", "fearful"])] == ["joy", "joy", "fearful"]
    assert [i.emotion for i in read(labels=["joy", "fearful"])] == ["happy", "happy", "fear"]


def test_without_a_set_every_word_is_its_own_label(tmp_path: Path, read: Read) -> None:
    write(tmp_path / "m.jsonl", [*LINES, {"clip": "d", "path": "", "emotion": "homesick", "transcript": "x"}])
    items = read()
    assert [i.label for i in items] == ["happy", "Joy", "fearful", "homesick"]
    assert items[3].emotion == "homesick" and items[3].labels == ()


@pytest.mark.parametrize("word", ["contempt", "homesick", "hapy", "7"])
def test_a_label_outside_the_set_names_file_and_clip(tmp_path: Path, read: Read, word: str) -> None:
    write(tmp_path / "m.jsonl", [*LINES, {"clip": "bad.mp4", "emotion": word}])
    with pytest.raises(ManifestError, match=rf"made.*m\.jsonl.*clip bad\.mp4: label '{word}'.*\(angry, disgust"):
        read(labels="fer7")


def test_a_clip_to_learn_nothing_from_is_refused_a_reason_alone_is_enough(tmp_path: Path, read: Read) -> None:
    write(tmp_path / "m.jsonl", [{"clip": "a.mp4", "reasoning": "The voice trembles."}])
    assert read(labels="fer7")[0].label is None
    write(tmp_path / "m.jsonl", [{"clip": "a.mp4"}])
    with pytest.raises(ManifestError, match=r"clip a\.mp4: expected an emotion or a reasoning"):
        read(labels="fer7")


def test_sides_of_a_manifest_come_from_its_column(tmp_path: Path, read: Read) -> None:
    sides = ("train", "val", "validation", "test")
    write(tmp_path / "m.jsonl", [{"clip": f"{s}.mp4", "emotion": "sad", "split": s} for s in sides])
    assert [i.side for i in read()] == ["train", "validation", "validation", "test"]
    write(tmp_path / "m.jsonl", [{"clip": "a.mp4", "emotion": "sad", "side": "dev"}])
    with pytest.raises(ManifestError, match=r"m\.jsonl, clip a\.mp4: split 'dev' is none of"):
        read()


def test_sides_may_come_as_files_of_their_own(tmp_path: Path, read: Read) -> None:
    write(tmp_path / "m.jsonl", LINES)
    write(tmp_path / "held.jsonl", [{"clip": "v.mp4", "speaker": "V", "emotion": "sad"}])
    write(tmp_path / "last.jsonl", [{"clip": "t.mp4", "speaker": "T", "emotion": "sad"}])
    items = read(split=None, validation_path="held.jsonl", test_path="last.jsonl")
    assert [(i.clip.clip, i.side) for i in items] == [
        ("a.mp4", "train"), ("b.mp4", "train"), ("c.mp4", "train"), ("v.mp4", "validation"), ("t.mp4", "test"),
    ]  # fmt: skip


def test_excluded_speakers_are_on_no_side(tmp_path: Path, read: Read) -> None:
    write(tmp_path / "m.jsonl", LINES)
    assert [i.clip.speaker for i in read(exclude=["A"])] == ["B", "C"]
    assert [i.clip.speaker for i in read(exclude_all=("B",), exclude=["A"])] == ["C"]
    with pytest.raises(ManifestError, match=r"source made: no clip is left of .*m\.jsonl"):
        read(exclude=["A", "B", "C"])


def test_labels_left_out_are_not_read_by_word_or_meaning(tmp_path: Path, read: Read) -> None:
    """A corpus with a label that the asked set lacks can still be scored on the others."""
    lines = [
        {"clip": "a.mp4", "speaker": "A", "emotion": "bored"},
        {"clip": "b.mp4", "speaker": "B", "emotion": "Boredom"},
        {"clip": "c.mp4", "speaker": "C", "emotion": "sad"},
        {"clip": "d.mp4", "speaker": "D", "emotion": "my own word"},
    ]
    write(tmp_path / "m.jsonl", lines)
    kept = [i.label for i in read(labels=["sad", "happy"], leave_out=["bored", "My own word"])]
    assert kept == ["sad"]
    with pytest.raises(ManifestError, match=r"label 'bored' is not in its set"):
        read(labels=["sad", "my own word"])


def test_general_questions_need_a_question_and_its_answer(tmp_path: Path, read: Read) -> None:
    line = {"clip": "q1", "path": "", "transcript": "", "question": "What is two and two?", "reasoning": "Four."}
    write(tmp_path / "m.jsonl", [line])
    (item,) = read(kind="questions")
    assert item.question == "What is two and two?" and item.clip.reasoning == "Four." and item.label is None
    for lacking in ("question", "reasoning"):
        write(tmp_path / "m.jsonl", [{key: value for key, value in line.items() if key != lacking}])
        with pytest.raises(ManifestError, match=r"m\.jsonl, clip q1: expected a question and its answer"):
            read(kind="questions")


def test_a_person_is_the_speaker_of_one_source_or_the_clip_itself(tmp_path: Path, read: Read) -> None:
    write(tmp_path / "m.jsonl", [LINES[0], {"clip": "lonely.mp4", "emotion": "sad"}])
    assert [i.person for i in read()] == ["made/A", "made/lonely.mp4"]


def test_features_extracted_elsewhere_keep_their_numbers(read: Read, feature_folder: Path) -> None:
    items = read(kind="features", part="CREMA-D", path=str(feature_folder), labels="crema6")
    with np.load(feature_folder / "features.npz") as stored:
        audio, video = stored["audio"], stored["video"]
    assert len(items) == len(audio) and {i.side for i in items} == {None}
    for row, item in enumerate(items):
        assert item.arrays is not None
        np.testing.assert_array_equal(item.arrays["audio"], audio[row : row + 1])
        np.testing.assert_array_equal(item.arrays["video"], video[row])
        np.testing.assert_allclose(item.arrays["video_mean"][0], video[row].mean(axis=0), rtol=1e-5)
        np.testing.assert_array_equal(item.arrays["both"], np.hstack([item.arrays["audio"], item.arrays["video_mean"]]))
    assert items[0].label == "anger" and items[0].emotion == "angry" and items[0].clip.speaker == "C1001"


def test_short_comments_with_one_emotion_and_no_blanked_names(tmp_path: Path, read: Read) -> None:
    rows = [
        "[NAME] is happy about [RELIGION]\t0\tid0",
        "Both at once\t0,1\tid1",
        "x" * 121 + "\t1\tid2",
        "I am angry\t1\tid3",
    ]
    (tmp_path / "labels.txt").write_text("joy\nanger\n", encoding="utf-8")
    for name in ("train", "dev", "test"):
        (tmp_path / f"{name}.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    items = read(kind="goemotions", path=".")
    assert [(i.side, i.emotion) for i in items] == [
        (side, emotion) for side in ("train", "validation", "test") for emotion in ("happy", "angry")
    ]
    assert items[0].clip.transcript == "Alex is happy about faith" and items[0].clip.path is None
    assert len({i.clip.clip for i in items}) == 6


def test_gray_pictures_of_an_array_have_their_own_split(tmp_path: Path, read: Read) -> None:
    splits = np.array(["train", "val", "test", "train"])
    images = np.arange(4 * 48 * 48, dtype=np.uint32).reshape(4, 48, 48).astype(np.uint8)
    np.savez(tmp_path / "fer2013.npz", images=images, label=np.array(["happy", "sad", "fear", "angry"]), split=splits)
    items = read(kind="fer2013", path=".", labels="fer7")
    assert [i.side for i in items] == ["train", "validation", "test", "train"]
    for row, item in enumerate(items):
        np.testing.assert_array_equal(item.picture, images[row])


def pictures(folder: Path, people: int, group: bool = True) -> None:
    """Two pictures of each person, the last two people in the test part."""
    lines = ["file,label,split,group" if group else "file,label,split"]
    for number in range(2 * people):
        split = "train" if number // 2 < people - 2 else "test"
        folder.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / f"{number:03d}.png"), np.full((16, 16, 3), number, np.uint8))
        row = [f"{number:03d}.png", "anger" if number % 2 else "happiness", split, f"person{number // 2}"]
        lines.append(",".join(row if group else row[:3]))
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_people_in_pictures_are_held_back_for_validation_whole(tmp_path: Path, read: Read) -> None:
    pictures(tmp_path / "press", people=40)
    items = read(kind="pictures", path="press", labels="mux8")
    sides: dict[str, set[str | None]] = {}
    for item in items:
        sides.setdefault(item.person, set()).add(item.side)
    assert len(sides) == 40 and all(len(on) == 1 for on in sides.values())
    counts = {side: sum(on == {side} for on in sides.values()) for side in ("train", "validation", "test")}
    assert counts["test"] == 2 and 1 <= counts["validation"] <= 14 and counts["train"] > 20
    assert {i.emotion for i in items} == {"angry", "happy"}


def test_pictures_of_nobody_are_refused(tmp_path: Path, read: Read) -> None:
    pictures(tmp_path / "press", people=3, group=False)
    with pytest.raises(ManifestError, match=r"press, picture 000\.png: .*column group of manifest\.csv"):
        read(kind="pictures", path="press")


def test_one_hash_for_what_was_read(tmp_path: Path, read: Read) -> None:
    write(tmp_path / "m.jsonl", LINES)
    first = list_sha256(read())
    assert len(first) == 64 and list_sha256(reversed(read())) == first
    for change in ({"emotion": "sad"}, {"speaker": "Z"}, {"transcript": "other"}, {"start_s": 1.0}, {"clip": "z.mp4"}):
        write(tmp_path / "m.jsonl", [{**LINES[0], **change}, *LINES[1:]])
        assert list_sha256(read()) != first, change
    write(tmp_path / "m.jsonl", LINES[:2])
    assert list_sha256(read()) != first


def test_stretches_of_any_number_become_start_middle_and_end(tmp_path: Path, read: Read, feature_folder: Path) -> None:
    folder = tmp_path / "vectors"
    folder.mkdir()
    (folder / "manifest.csv").write_bytes((feature_folder / "manifest.csv").read_bytes())
    with np.load(feature_folder / "features.npz") as stored:
        audio = stored["audio"]
    lengths = np.resize([1, 2, 3, 4, 5], len(audio))
    video = np.random.default_rng(0).normal(size=(len(audio), 5, 8)).astype(np.float32)
    video[np.arange(5) >= lengths[:, None]] = 0
    np.savez(folder / "features.npz", audio=audio, video=video, video_len=lengths)
    for row, item in enumerate(read(kind="features", part="CREMA-D", path="vectors", labels="crema6")):
        assert item.arrays is not None
        v, count = video[row], lengths[row]
        middle = np.stack([np.interp((count - 1) / 2, np.arange(count), column) for column in v[:count].T])
        expected = np.concatenate([audio[row], v[0], middle, v[count - 1]])[None]
        assert item.arrays["stretches"].dtype == np.float32
        np.testing.assert_allclose(item.arrays["stretches"], expected, atol=1e-6)


def test_features_come_from_files_where_the_source_names_folders(tmp_path: Path, read: Read) -> None:
    write(tmp_path / "m.jsonl", LINES)
    rows = {name: np.full((1, 4), value, np.float32) for name, value in (("audio", 1.0), ("local", 2.0))}
    for name in "abc":
        write_clip(tmp_path / "one", name, rows, "own")
        write_clip(tmp_path / "two", name, {"local": np.full((1, 4), 3.0, np.float32)}, "own")
    (item, *_) = read(labels="fer7", features=["one", "two"])
    assert item.arrays is not None and sorted(item.arrays) == ["audio", "local"]
    assert item.arrays["audio"][0, 0] == 1 and item.arrays["local"][0, 0] == 3  # the last folder's
    (tmp_path / "two/b.safetensors").unlink()
    with pytest.raises(ManifestError, match=r"clip b: expected .*b\.safetensors"):
        read(labels="fer7", features=["one", "two"])
    (tmp_path / "HL-UTT").mkdir()
    for name in "abc":
        np.save(tmp_path / f"HL-UTT/{name}.npy", np.zeros(1024, np.float32))
    with pytest.raises(ManifestError, match=r"HL-UTT/a\.npy: all zeros"):
        read(labels="fer7", features=["."])
