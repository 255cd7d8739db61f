from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emotion_llama.datasets.crema_d import (
    EMOTIONS,
    LEVELS,
    SENTENCES,
    SPLIT,
    Vote,
    has_recordings,
    parse_name,
    read_crema_d,
    read_votes,
)
from emotion_llama.datasets.features import is_feature_folder, read_feature_clips, read_features
from emotion_llama.datasets.splits import clips_of_side, read_split
from emotion_llama.errors import ManifestError, UsageError
from emotion_llama.labels import LABEL_SETS

PEOPLE = '"ActorID","Age","Sex","Race","Ethnicity"\n1001,51,"Male","Caucasian","Not Hispanic"\n'
SUMMARY = (
    '"","FileName","VoiceVote","VoiceLevel","FaceVote","FaceLevel","MultiModalVote","MultiModalLevel"\n'
    '"1","1001_IEO_NEU_XX","N","69.1","N","92.22","N","64.78"\n'
    '"2","1040_ITH_SAD_X","A:D","1","S","1","S","1"\n'
)
VOTES = (
    '"","A","D","F","H","N","S","fileName","numResponses","agreement","emoVote"\n'
    '"100001",0,0,0,1,10,0,"1001_IEO_NEU_XX",11,0.909,"N"\n'
    '"200001",4,4,0,1,0,0,"1001_IEO_NEU_XX",9,0.444,"A:D"\n'
)


def published(folder: Path, sub: str = "processedResults") -> Path:
    (folder / sub).mkdir(parents=True, exist_ok=True)
    (folder / "AudioWAV").mkdir()
    (folder / "VideoFlash").mkdir()
    (folder / "VideoDemographics.csv").write_text(PEOPLE)
    (folder / sub / "summaryTable.csv").write_text(SUMMARY)
    (folder / sub / "tabulatedVotes.csv").write_text(VOTES)
    for name in ("1001_IEO_NEU_XX", "1001_DFA_ANG_HI", "1040_ITH_SAD_X"):
        (folder / "AudioWAV" / f"{name}.wav").touch()
    (folder / "VideoFlash" / "1001_DFA_ANG_HI.flv").touch()
    return folder


def test_recordings_of_the_published_folders(tmp_path: Path) -> None:
    angry, neutral, sad = read_crema_d(published(tmp_path), "voice")
    assert (angry.clip, angry.speaker, angry.emotion) == ("1001_DFA_ANG_HI", "C1001", "anger")
    assert angry.transcript == "Don't forget a jacket."
    assert angry.path == tmp_path / "AudioWAV/1001_DFA_ANG_HI.wav"
    assert angry.groups == {
        "sex": "male", "age": 51.0, "race": "caucasian", "ethnicity": "not hispanic", "language": "en",
        "intensity": "high", "sentence": "Don't forget a jacket.",
    }  # fmt: skip
    assert neutral.groups["intensity"] == "unspecified"
    assert sad.clip == "1040_ITH_SAD_XX" and sad.path is not None and sad.path.stem == "1040_ITH_SAD_X"
    assert "sex" not in sad.groups, "nothing is known of an actor the table does not name"
    assert [clip.path for clip in read_crema_d(tmp_path, "face")] == [tmp_path / "VideoFlash/1001_DFA_ANG_HI.flv"]
    assert has_recordings(tmp_path, "voice") and not has_recordings(tmp_path / "VideoFlash", "voice")


def test_a_better_format_of_one_take_is_read_once(tmp_path: Path) -> None:
    folder = published(tmp_path)
    (folder / "VideoFlash" / "1001_DFA_ANG_HI.mp4").touch()
    assert [clip.path for clip in read_crema_d(folder, "face")] == [folder / "VideoFlash/1001_DFA_ANG_HI.mp4"]


@pytest.mark.parametrize("sub", ["", "processedResults"])
def test_tables_alone_give_clips_without_recordings(tmp_path: Path, sub: str) -> None:
    clips = read_crema_d(published(tmp_path, sub))
    assert [(c.clip, c.path, c.emotion) for c in clips] == [
        ("1001_IEO_NEU_XX", None, "neutral"),
        ("1040_ITH_SAD_XX", None, "sad"),
    ]


def test_votes(tmp_path: Path) -> None:
    votes = read_votes(published(tmp_path))["1001_IEO_NEU_XX"]
    assert votes.voice is not None and votes.voice.emotion == "neutral" and votes.voice.counts["happy"] == 1
    assert votes.face is not None and votes.face.emotion is None and votes.face.winners == ("anger", "disgust")
    assert votes.both is None


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"N"\n', '"S"\n', r"Votes.csv:2: emoVote says 'S', the counts say neutral"),
        ('"100001"', '"400001"', r"Votes.csv:2: expected a row number that starts with 1, 2, 3"),
        (",0,0,0,1,10,0,", ",0,0,0,1,ten,0,", "found '100001' and .*'ten'"),
        ("1001_IEO_NEU_XX", "1001_IEO_NEU", "'1001_IEO_NEU': expected a CREMA-D name"),
    ],
)
def test_damaged_votes(tmp_path: Path, old: str, new: str, message: str) -> None:
    folder = published(tmp_path)
    (folder / "processedResults/tabulatedVotes.csv").write_text(VOTES.replace(old, new, 1))
    with pytest.raises(ManifestError, match=message):
        read_votes(folder)


def test_nothing_to_read(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="no recording of the face"):
        read_crema_d(tmp_path, "face")
    with pytest.raises(ManifestError, match=r"expected summaryTable.csv in it or in processedResults/"):
        read_crema_d(tmp_path)
    with pytest.raises(ManifestError, match="level must be one of LO, MD, HI, XX, found QQ"):
        parse_name("1001_IEO_NEU_QQ")


@given(st.integers(1000, 9999), st.sampled_from([*SENTENCES]), st.sampled_from([*EMOTIONS]), st.sampled_from([*LEVELS]))
def test_names_are_read_back(actor: int, sentence: str, emotion: str, level: str) -> None:
    name = parse_name(f"{actor}_{sentence}_{emotion}_{level}")
    assert name.name == f"{actor}_{sentence}_{emotion}_{level}"
    assert name.emotion in LABEL_SETS["crema6"] and name.emotion.upper().startswith(emotion)


@given(st.lists(st.integers(0, 12), min_size=6, max_size=6))
def test_a_tie_has_no_single_winner(numbers: list[int]) -> None:
    vote = Vote(dict(zip(LABEL_SETS["crema6"], numbers, strict=True)))
    assert (vote.emotion is None) == (sorted(numbers)[-1] == sorted(numbers)[-2])


def test_split_follows_the_actors_number_alone() -> None:
    split = read_split(SPLIT)
    for number in range(1001, 1092):
        expected = "test" if number % 4 == 0 else "validation" if number % 8 == 1 else "train"
        assert split.side_of(f"C{number}") == expected
    assert sum(number <= 1073 for number in (int(s[1:]) for s in split.test)) == 18


MANIFEST = (
    "row,id,set,actor,gender,age,emotion,intensity,sentence,video_len\n"
    "0,1001_DFA_ANG_XX,CREMA-D,C1001,male,51,angry,unspecified,Don't forget a jacket.,3\n"
    "2,1004_DFA_FEA_XX,CREMA-D,C1004,female,,fearful,unspecified,Don't forget a jacket.,1\n"
    "1,01-01-02-01-01-01-02,RAVDESS,R02,female,,calm,normal,Kids are talking by the door.,2\n"
)


def feature_folder(folder: Path, manifest: str = MANIFEST) -> Path:
    video = np.zeros((3, 4, 2), np.float16)
    video[0, :3] = [[3, 0], [6, 0], [0, 9]]
    video[2, 0] = [1, 2]
    np.savez(folder / "features.npz", audio=np.eye(3, dtype=np.float16), video=video, video_len=np.array([3, 2, 1]))
    (folder / "manifest.csv").write_text(manifest)
    return folder


def test_features_follow_the_row_column(tmp_path: Path) -> None:
    features = read_features(feature_folder(tmp_path), "CREMA-D")
    assert [(c.clip, c.emotion, c.speaker) for c in features.clips] == [
        ("1001_DFA_ANG_XX", "anger", "C1001"),
        ("1004_DFA_FEA_XX", "fear", "C1004"),
    ]
    assert features.audio.tolist() == [[1, 0, 0], [0, 0, 1]]
    assert features.mean_video().tolist() == [[3, 3], [1, 2]], "zero rows after video_len are no part of the mean"
    assert features.clips[0].groups["age"] == 51.0 and "age" not in features.clips[1].groups
    (ravdess,) = read_feature_clips(tmp_path, "RAVDESS")
    assert (ravdess.speaker, ravdess.emotion) == ("Actor_02", "calm"), "the speaker as the RAVDESS reader writes it"
    assert is_feature_folder(tmp_path) and not is_feature_folder(tmp_path / "none")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("C1001,male,51,angry", "C1001,male,51,sad", "csv:2: emotion says 'sad', the id 'anger'"),
        ("C1001,male,51,angry", "C1001,male,51,calm", "csv:2: label 'calm'.*no counterpart"),
        ("C1001,male,51", "C1001,male,old", "csv:2: age must be a number, found 'old'"),
        ("2,1004", "7,1004", "names row 7, but features.npz has 3 rows"),
        ("2,1004", "x,1004", "csv:3: expected row"),
        ("CREMA-D", "CREMA", "expected rows of set CREMA-D, found none"),
    ],
)
def test_damaged_feature_manifest(tmp_path: Path, old: str, new: str, message: str) -> None:
    feature_folder(tmp_path, MANIFEST.replace(old, new))
    with pytest.raises(ManifestError, match=message):
        read_features(tmp_path, "CREMA-D")


def test_damaged_arrays(tmp_path: Path) -> None:
    feature_folder(tmp_path)
    with pytest.raises(UsageError, match="unknown set 'MELD'"):
        read_features(tmp_path, "MELD")
    np.savez(tmp_path / "features.npz", audio=np.eye(3), video=np.zeros((3, 4, 2)), video_len=np.array([3, 0, 1]))
    with pytest.raises(ManifestError, match=r"video_len .* from 1 to T"):
        read_features(tmp_path, "CREMA-D")
    (tmp_path / "features.npz").write_bytes(b"half a file")
    with pytest.raises(ManifestError, match="plain arrays audio, video and video_len"):
        read_features(tmp_path, "CREMA-D")


def test_speakers_outside_the_split_train(tmp_path: Path) -> None:
    manifest = MANIFEST.replace("1001_DFA_ANG_XX,CREMA-D,C1001", "2001_DFA_ANG_XX,CREMA-D,C2001")
    clips = read_feature_clips(feature_folder(tmp_path, manifest), "CREMA-D")
    split = read_split(SPLIT)
    assert [c.speaker for c in clips_of_side(clips, split, "train")] == ["C2001"]
    assert [c.speaker for c in clips_of_side(clips, split, "test")] == ["C1004"]
    with pytest.raises(ManifestError, match=r"no clip of the validation side of split 'crema_d'.*found C1004, C2001"):
        clips_of_side(clips, split, "validation")
