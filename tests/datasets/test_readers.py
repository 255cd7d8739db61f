from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from emotion_llama.datasets.emodb import read_emodb
from emotion_llama.datasets.fer2013 import read_fer2013
from emotion_llama.datasets.goemotions import read_goemotions
from emotion_llama.datasets.picture_folders import read_picture_folder
from emotion_llama.datasets.ravdess import parse_name, read_ravdess
from emotion_llama.errors import ManifestError


def touched(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def test_ravdess_folders_of_the_original_release(tmp_path: Path) -> None:
    touched(
        tmp_path, "Actor_12/03-01-06-01-02-01-12.wav", "Actor_01/03-02-03-02-01-02-01.wav",
        "Actor_05/02-01-01-01-01-01-05.mp4", "Actor_05/._03-01-01-01-01-01-05.wav",
    )  # fmt: skip
    video, sound = read_ravdess(tmp_path)
    assert (sound.clip, sound.speaker, sound.emotion) == ("Actor_12/03-01-06-01-02-01-12.wav", "Actor_12", "fearful")
    assert sound.transcript == "Dogs are sitting by the door."
    assert video.path == tmp_path / "Actor_05/02-01-01-01-01-01-05.mp4"
    assert [clip.emotion for clip in read_ravdess(tmp_path, song=True)] == ["happy", "neutral", "fearful"]
    assert [clip.emotion for clip in read_ravdess(tmp_path, modality="audio-only")] == ["fearful"]
    with pytest.raises(ManifestError, match="modality=audio-video"):
        read_ravdess(tmp_path, modality="audio-video")


def test_ravdess_name_fields() -> None:
    name = parse_name("01-01-05-02-01-02-24")
    assert (name.modality, name.channel, name.emotion, name.intensity) == ("audio-video", "speech", "angry", "strong")
    assert (name.statement, name.repetition, name.actor) == ("Kids are talking by the door.", 2, "Actor_24")
    assert name.take == parse_name("03-01-05-02-01-02-24").take


@pytest.mark.parametrize(
    ("stem", "message"), [("hello", "seven two-digit fields"), ("03-01-09-01-01-01-01", "field 3 must be one of.*09")]
)
def test_ravdess_wrong_names(tmp_path: Path, stem: str, message: str) -> None:
    with pytest.raises(ManifestError, match=message):
        read_ravdess(touched(tmp_path, f"{stem}.wav"))


def test_manifest_beside_the_files_decides_and_must_agree(tmp_path: Path) -> None:
    touched(tmp_path, "flac/03-01-06-01-02-01-12.flac", "flac/03-01-04-01-02-01-12.flac")
    manifest = tmp_path / "manifest.csv"
    manifest.write_text("file,actor,emotion\nflac/03-01-06-01-02-01-12.flac,Actor_12,fearful\n")
    assert [clip.emotion for clip in read_ravdess(tmp_path)] == ["fearful"]
    manifest.write_text("file,actor,emotion\nflac/03-01-06-01-02-01-12.flac,Actor_12,calm\n")
    with pytest.raises(ManifestError, match=r"manifest.csv:2: column emotion says 'calm', the file name 'fearful'"):
        read_ravdess(tmp_path)


def test_empty_and_missing_folders(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"expected files ending in .wav, .flac, found none"):
        read_emodb(tmp_path)
    with pytest.raises(ManifestError, match="expected the data set's folder"):
        read_emodb(tmp_path / "none")


def test_emodb(tmp_path: Path) -> None:
    touched(tmp_path, "wav/03a01Fa.wav", "wav/16b10Wb.wav")
    first, second = read_emodb(tmp_path)
    assert (first.speaker, first.emotion, first.transcript) == ("E03", "happy", "Der Lappen liegt auf dem Eisschrank.")
    assert (second.speaker, second.emotion) == ("E16", "angry")
    with pytest.raises(ManifestError, match="expected an EmoDB name"):
        read_emodb(touched(tmp_path, "wav/03a03Fa.wav"))


def test_emodb_cut_recordings_have_no_transcript(tmp_path: Path) -> None:
    rows = ["file,cut", "03a01Fa.wav,no", "03a01Nc.wav,yes", "03a02Nc.wav,unknown"]
    (tmp_path / "manifest.csv").write_text("\n".join(rows))
    assert [clip.transcript is None for clip in read_emodb(tmp_path)] == [False, True, True]


def fer_row(emotion: int, value: int, usage: str, pixels: int = 48 * 48) -> str:
    return f"{emotion},{' '.join([str(value)] * pixels)},{usage}"


def test_fer2013_csv(tmp_path: Path) -> None:
    rows = [
        "emotion,pixels,Usage",
        fer_row(0, 7, "Training"),
        fer_row(6, 255, "PublicTest"),
        fer_row(3, 0, "PrivateTest"),
    ]
    (tmp_path / "fer2013.csv").write_text("\n".join(rows))
    faces = read_fer2013(tmp_path)
    assert faces.images.shape == (3, 48, 48) and faces.images.dtype == np.uint8
    assert faces.images[:, 5, 5].tolist() == [7, 255, 0]
    assert faces.labels == ("angry", "neutral", "happy")
    assert faces.splits == ("train", "val", "test")
    assert [label for _, label in faces.of("train")] == ["angry"]
    with pytest.raises(ManifestError, match="splits are test, train, val"):
        faces.of("dev")


def test_fer2013_numbers_are_the_challenges(tmp_path: Path) -> None:
    path = tmp_path / "fer2013.csv"
    path.write_text("\n".join(["emotion,pixels,Usage", *(fer_row(number, 1, "Training") for number in range(7))]))
    assert read_fer2013(path).labels == ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (fer_row(7, 1, "Training"), "csv:2: expected emotion 0–6"),
        (fer_row(1, 1, "Train"), "csv:2: expected emotion"),
        (fer_row(1, 1, "Training", 9), "csv:2: expected 2304 pixels"),
        (fer_row(1, 256, "Training"), "out of range"),
        ("1,a b,Training", "whole numbers"),
    ],
)
def test_fer2013_damage(tmp_path: Path, row: str, message: str) -> None:
    (tmp_path / "fer2013.csv").write_text(f"emotion,pixels,Usage\n{row}\n")
    with pytest.raises(ManifestError, match=message):
        read_fer2013(tmp_path)


def test_fer2013_npz(tmp_path: Path) -> None:
    images = np.arange(2, dtype=np.uint8)[:, None, None] * np.ones((2, 48, 48), np.uint8)
    np.savez(tmp_path / "fer2013.npz", images=images, label=np.array(["fear", "sad"]), split=np.array(["val", "test"]))
    faces = read_fer2013(tmp_path)
    assert faces.labels == ("fear", "sad") and len(faces.of("test")) == 1 and faces.of("test").images.max() == 1
    np.savez(tmp_path / "fer2013.npz", images=images, label=np.array(["fear", "joyless"]), split=np.array(["a", "b"]))
    with pytest.raises(ManifestError, match="found 'joyless'"):
        read_fer2013(tmp_path)
    (tmp_path / "fer2013.npz").write_bytes(b"not an archive")
    with pytest.raises(ManifestError, match=r"cannot be read as an .npz"):
        read_fer2013(tmp_path)


def test_goemotions(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("admiration\namusement\nanger\n")
    (tmp_path / "train.tsv").write_text('Nice "one"\u2028here\t0,1\tid1\nGo away\t2\tid2\n', encoding="utf-8")
    assert read_goemotions(tmp_path / "train.tsv") == [
        ('Nice "one"\u2028here', ("admiration", "amusement")),
        ("Go away", ("anger",)),
    ]


@pytest.mark.parametrize("line", ["text\t3\tid", "text\tid", "text\t\tid", "text\tx\tid"])
def test_goemotions_damage(tmp_path: Path, line: str) -> None:
    (tmp_path / "emotions.txt").write_text("admiration\namusement\nanger")
    (tmp_path / "train.tsv").write_text(f"fine\t0\tid\n{line}\n")
    with pytest.raises(ManifestError, match=r"train.tsv:2: expected text, label numbers below 3"):
        read_goemotions(tmp_path / "train.tsv")


def test_goemotions_needs_its_labels(tmp_path: Path) -> None:
    (tmp_path / "train.tsv").write_text("fine\t0\tid\n")
    with pytest.raises(ManifestError, match=r"labels.txt or emotions.txt"):
        read_goemotions(tmp_path / "train.tsv")


def test_picture_folders(tmp_path: Path) -> None:
    touched(tmp_path, "train/happy/a.jpg", "train/sad/b.png", "test/sad/c.JPG", "test/sad/notes.txt")
    assert [(c.clip, c.emotion, c.speaker) for c in read_picture_folder(tmp_path, "test")] == [
        ("test/sad/c.JPG", "sad", None)
    ]
    assert len(read_picture_folder(tmp_path)) == 3
    with pytest.raises(ManifestError, match="no picture in split 'val'; found test, train"):
        read_picture_folder(tmp_path, "val")
    with pytest.raises(ManifestError, match="expected a label"):
        read_picture_folder(touched(tmp_path, "loose.jpg"))


def test_picture_manifest(tmp_path: Path) -> None:
    rows = ["file,label,split,group,colour", "anger/A_1.jpg,anger,train,A,gray", "fear/B_1.jpg,fear,test,,rgb"]
    (tmp_path / "manifest.csv").write_text("\n".join(rows))
    assert [(c.emotion, c.speaker) for c in read_picture_folder(tmp_path)] == [("anger", "A"), ("fear", None)]
    assert [c.clip for c in read_picture_folder(tmp_path, "test")] == ["fear/B_1.jpg"]
