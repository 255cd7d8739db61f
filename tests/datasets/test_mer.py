from __future__ import annotations

from pathlib import Path

import pytest

from emotion_llama.datasets.mer import SUBSETS, read_mer
from emotion_llama.errors import ManifestError
from emotion_llama.labels import LABEL_SETS

CSV = "name,discrete,valence\nsample_1,worried,-2.5\nsample_2,happy,3\n"


def labels(folder: Path, name: str = "test1-label.csv", text: str = CSV, sub: str = "test-labels") -> Path:
    (folder / sub).mkdir(parents=True, exist_ok=True)
    (folder / sub / name).write_text(text, encoding="utf-8")
    return folder


@pytest.mark.parametrize("sub", ["", "test-labels", "mer2023-dataset/labels"])
def test_labels_wherever_they_lie(tmp_path: Path, sub: str) -> None:
    first, second = read_mer(labels(tmp_path, sub=sub), "mer2023-multi")
    assert (first.clip, first.emotion, first.valence, first.path) == ("sample_1", "worried", -2.5, None)
    assert second.valence == 3.0 and second.groups == {"language": "zh"} and second.speaker is None


def test_the_semi_set_has_no_valence(tmp_path: Path) -> None:
    labels(tmp_path, "test3-label.csv", "name,discrete\nsample_9,surprise\n")
    (clip,) = read_mer(tmp_path, "mer2023-semi")
    assert (clip.emotion, clip.valence) == ("surprise", None)


def test_annotation_of_the_emotion_llama_code(tmp_path: Path) -> None:
    labels(tmp_path, "relative_test1_NCEV.txt", "a 125 sad -10\nb 22 surprise -0.61\n")
    assert [(c.clip, c.emotion, c.valence) for c in read_mer(tmp_path, "mer2023-multi")] == [
        ("a", "sad", None),
        ("b", "surprise", -0.61),
    ]
    labels(tmp_path, "MER2024-noise_NCE.txt", "c 10 neutral\n")
    assert read_mer(tmp_path, "mer2024-noise")[0].emotion == "neutral"


def test_clips_of_their_own_folder(tmp_path: Path) -> None:
    labels(tmp_path)
    for name in ("test1/sample_1.avi", "test3/sample_1.mp4", "test3/sample_2.mp4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    first, second = read_mer(tmp_path, "mer2023-multi")
    assert first.path == tmp_path / "test1/sample_1.avi", "never another test set's clip of the same name"
    assert second.path == tmp_path / "test1/sample_2.mp4" and not second.path.exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (CSV.replace("happy", "calm"), "csv:3: expected an emotion among .*found 'calm'"),
        (CSV.replace("-2.5", "low"), "csv:2: valence must be a number, found 'low'"),
        (CSV.replace("-2.5", "nan"), "csv:2: valence must be finite"),
        (CSV.replace("discrete", "emotion"), "csv:2: expected columns name and discrete"),
        ("name,discrete,valence\n", "expected one clip a line"),
    ],
)
def test_damaged_labels(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ManifestError, match=message):
        read_mer(labels(tmp_path, text=text), "mer2023-multi")


def test_missing_and_twice(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"labels of mer2023-noise as test2-label.csv or relative_test2_NCEV.txt"):
        read_mer(tmp_path, "mer2023-noise")
    labels(tmp_path, sub="one")
    labels(tmp_path, sub="two")
    with pytest.raises(ManifestError, match=r"test1-label.csv lies in .*one and in .*two; keep one"):
        read_mer(tmp_path, "mer2023-multi")
    labels(tmp_path, "relative_test3_NCEV.txt", "a sad\n")
    with pytest.raises(ManifestError, match=r"NCEV.txt:1: expected name, frames, emotion"):
        read_mer(tmp_path, "mer2023-semi")


@pytest.mark.parametrize("subset", SUBSETS)
def test_every_subset_reads_each_name_its_labels_may_have(tmp_path: Path, subset: str) -> None:
    for number, name in enumerate(SUBSETS[subset].label_files):
        text = CSV if name.endswith(".csv") else "sample_1 10 worried -2.5\n"
        clips = read_mer(labels(tmp_path / str(number), name, text), subset)
        assert clips[0].emotion in LABEL_SETS["mer6"]
