from __future__ import annotations

from pathlib import Path

import pytest

from emotion_llama.datasets.dfew import EMOTIONS, read_dfew
from emotion_llama.errors import ManifestError


def annotated(folder: Path, text: str = "video_name,label\n1,3\n00012,6\n", name: str = "set_1.csv") -> Path:
    place = folder / "EmoLabel_DataSplit" / "test(single-labeled)"
    place.mkdir(parents=True, exist_ok=True)
    (place / name).write_text(text)
    return folder


def test_labels_alone(tmp_path: Path) -> None:
    clips = read_dfew(annotated(tmp_path), "1")
    assert [(c.clip, c.emotion, c.path) for c in clips] == [("1", "neutral", None), ("12", "disgust", None)]


def test_the_annotations_numbers() -> None:
    assert [EMOTIONS[n] for n in "1234567"] == ["happy", "sad", "neutral", "angry", "surprise", "disgust", "fear"]


@pytest.mark.parametrize("media", ["Clip/original/part_2/12.mp4", "Clip/clip_224x224_avi/00012.avi", "12.mp4"])
def test_names_with_and_without_leading_zeros(tmp_path: Path, media: str) -> None:
    (tmp_path / media).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / media).touch()
    missing, found = read_dfew(annotated(tmp_path), "1")
    assert found.path == tmp_path / media
    assert missing.path is not None and not missing.path.exists(), "a missing clip fails by name when it is analysed"


def test_the_originals_are_taken_before_the_cut_faces(tmp_path: Path) -> None:
    for media in ("Clip/original/12.mp4", "Clip/clip_224x224_avi/00012.avi"):
        (tmp_path / media).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / media).touch()
    assert read_dfew(annotated(tmp_path), "1")[1].path == tmp_path / "Clip/original/12.mp4"


def test_other_columns_and_names_of_the_file(tmp_path: Path) -> None:
    annotated(tmp_path, "order,video_name,label\n0,5.mp4,7\n", "test_set_4.csv")
    assert [(c.clip, c.emotion) for c in read_dfew(tmp_path, "4")] == [("5", "fear")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("video_name,label\n1,8\n", "set_1.csv:2: expected video_name a number and label 1–7; found '1' and '8'"),
        ("video_name,label\nfilm,1\n", "found 'film' and '1'"),
        ("name,label\n1,1\n", "in columns name, label"),
        ("video_name,label\n", "expected one clip a line"),
    ],
)
def test_damaged_annotation(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ManifestError, match=message):
        read_dfew(annotated(tmp_path, text), "1")


def test_missing_fold(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"expected EmoLabel_DataSplit/test\(single-labeled\)/set_2.csv"):
        read_dfew(annotated(tmp_path), "2")
    with pytest.raises(ManifestError, match="folds 1, 2, 3, 4, 5; found '6'"):
        read_dfew(tmp_path, "6")
