"""The suites of closed label sets on tiny data sets in their original forms."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from emotion_llama.datasets.crema_d import EMOTIONS
from emotion_llama.datasets.emodb import SPLIT as EMODB
from emotion_llama.datasets.ravdess import SPLIT as RAVDESS
from emotion_llama.datasets.splits import read_split
from emotion_llama.errors import ManifestError
from emotion_llama.evaluate.records import Prediction
from emotion_llama.evaluate.suite import Choice, Part, ScoreSettings
from emotion_llama.evaluate.suites import find_suite

NAMES = (
    "ravdess", "emodb", "crema-d", "meld", "dfew", "mer2023-semi", "mer2023-multi", "mer2023-noise", "mer2024-noise",
    "iemocap",
)  # fmt: skip
MELD_HEAD = "Utterance,Speaker,Emotion,Dialogue_ID,Utterance_ID\n"


def touched(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def written(folder: Path, name: str, text: str) -> Path:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    return folder


def read(name: str, folder: Path, choice: Choice | None = None) -> list[Part]:
    return list(find_suite(name).read(folder, choice or Choice()))


def clips(part: Part) -> list[str]:
    return [item.clip.clip for item in part.items]


@pytest.mark.parametrize("name", NAMES)
def test_a_suite_says_what_it_is(name: str) -> None:
    suite = find_suite(name)
    assert suite.name == name
    for field in (suite.title, suite.needs, suite.access, suite.licence, suite.chance):
        assert len(field) > 5
    assert suite.variants[0] == "" and suite.sides[0] == "test"
    known = {"war", "uar", "weighted_f1", "mer2023_score", "valence_mse"}
    for row in suite.published:
        assert row.metric in known and len(row.source) > 10
        assert 0 < row.value < (1 if row.metric != "valence_mse" else 25), "shares, not per cent"
    rows = [(p.system, p.metric, p.setting) for p in suite.published]
    assert len(set(rows)) == len(rows)


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_folder_is_told_what_was_expected(name: str, tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="expected"):
        read(name, tmp_path)


def test_ravdess_voices_and_faces_of_test_people(tmp_path: Path) -> None:
    touched(
        tmp_path, "Actor_05/03-01-06-01-02-01-05.wav", "Actor_05/01-01-06-01-02-01-05.mp4",
        "Actor_05/02-01-06-01-02-01-05.mp4", "Actor_04/03-01-05-01-02-01-04.wav", "Actor_24/03-01-05-01-02-01-24.wav",
        "Actor_05/03-02-05-01-02-01-05.wav",
    )  # fmt: skip
    voice, face = read("ravdess", tmp_path)
    assert (voice.name, clips(voice)) == ("voice", ["Actor_05/03-01-06-01-02-01-05.wav"])
    assert (face.name, clips(face)) == ("face", ["Actor_05/01-01-06-01-02-01-05.mp4"])
    assert [part.name for part in read("ravdess", tmp_path, Choice(variant="face"))] == ["face"]
    assert clips(read("ravdess", tmp_path, Choice(side="validation", variant="voice"))[0])[0].startswith("Actor_04")
    assert clips(read("ravdess", tmp_path, Choice(side="train", variant="voice"))[0])[0].startswith("Actor_24")


def test_ravdess_views_of_one_take_are_asked_apart(tmp_path: Path) -> None:
    rows = "file,view\nfull/01-01-06-01-02-01-05.mp4,full\ncrop/01-01-06-01-02-01-05.mp4,crop\n"
    parts = read("ravdess", written(tmp_path, "manifest.csv", rows))
    assert [(part.name, len(part.items)) for part in parts] == [("face-crop", 1), ("face-full", 1)]


def test_nobody_moves_to_another_side() -> None:
    """The people of the first release: who tested then must not train later."""
    assert read_split(RAVDESS).test == ("Actor_05", "Actor_10", "Actor_15", "Actor_20")
    assert read_split(RAVDESS).validation == ("Actor_04", "Actor_11", "Actor_18")
    assert (read_split(EMODB).test, read_split(EMODB).validation) == (("E10", "E14"), ("E09",))


def test_emodb(tmp_path: Path) -> None:
    touched(tmp_path, "wav/10a01Fa.wav", "wav/09a01Nb.wav", "wav/16a01Wb.wav")
    (part,) = read("emodb", tmp_path)
    assert clips(part) == ["wav/10a01Fa.wav"] and part.items[0].clip.groups["sex"] == "male"
    assert clips(read("emodb", tmp_path, Choice(side="train"))[0]) == ["wav/16a01Wb.wav"]


def test_crema_d_names_are_the_same_in_every_form(tmp_path: Path) -> None:
    name = "1004_DFA_ANG_XX"
    recordings = touched(tmp_path / "a", f"AudioWAV/{name}.wav")
    tables = written(tmp_path / "b", "summaryTable.csv", f'"","FileName"\n"1","{name}"\n')
    features = tmp_path / "c"
    written(features, "manifest.csv", f"row,id,set,actor,emotion\n0,{name},CREMA-D,C1004,angry\n")
    for folder in (recordings, tables, features):
        (part,) = read("crema-d", folder)
        assert clips(part) == [name] and part.items[0].clip.emotion == "anger"
    assert read("crema-d", recordings)[0].items[0].clip.path is not None
    with pytest.raises(ManifestError, match="no recording of the face"):
        read("crema-d", recordings, Choice(variant="face"))


def test_meld_with_and_without_clips(tmp_path: Path) -> None:
    written(tmp_path, "test_sent_emo.csv", f"{MELD_HEAD}Hi.,Ross,joy,0,0\n")
    assert [(p.name, p.items[0].clip.path) for p in read("meld", tmp_path)] == [("text", None)]
    touched(tmp_path, "output_repeated_splits_test/dia0_utt0.mp4")
    assert read("meld", tmp_path)[0].name == "video"
    assert read("meld", tmp_path, Choice(variant="text"))[0].name == "text"
    assert find_suite("meld").words == "given"


def test_dfew_first_fold_or_all(tmp_path: Path) -> None:
    for fold in range(1, 6):
        written(tmp_path, f"EmoLabel_DataSplit/test(single-labeled)/set_{fold}.csv", f"video_name,label\n{fold},1\n")
    assert [clips(part) for part in read("dfew", tmp_path)] == [["1"]]
    assert [clips(part) for part in read("dfew", tmp_path, Choice(variant="3"))] == [["3"]]
    everything = read("dfew", tmp_path, Choice(variant="all"))
    assert [part.name for part in everything] == [f"fold {n}" for n in range(1, 6)]
    with pytest.raises(ManifestError, match="train"):
        read("dfew", tmp_path, Choice(side="train"))


@pytest.mark.parametrize(("name", "file"), [("mer2023-semi", 3), ("mer2023-multi", 1), ("mer2023-noise", 2)])
def test_mer2023_tracks(tmp_path: Path, name: str, file: int) -> None:
    written(tmp_path, f"test{file}-label.csv", "name,discrete,valence\na,sad,-2\nb,happy,3\n")
    (part,) = read(name, tmp_path)
    said = [Prediction(clip="a", emotion="sad", valence=-2.0), Prediction(clip="b", emotion="happy", valence=1.0)]
    scored = part.score(part.items, said, part.labels, ScoreSettings(draws=20))
    assert scored.metrics["weighted_f1"].value == 1.0
    if name == "mer2023-semi":
        assert "mer2023_score" not in scored.metrics
    else:  # mean squared error (0 + 4) / 2, a quarter of it taken off
        assert scored.metrics["mer2023_score"].value == pytest.approx(1 - 0.25 * 2)


def test_published_scores_of_mer2023_follow_from_their_parts() -> None:
    for name in ("mer2023-multi", "mer2023-noise"):
        rows = {row.metric: row.value for row in find_suite(name).published}
        assert rows["mer2023_score"] == pytest.approx(rows["weighted_f1"] - 0.25 * rows["valence_mse"], abs=1e-4)


def test_published_zero_shot_row_of_dfew_is_a_count_of_fold_1() -> None:
    """71.98, 76.25, 61.99, 71.95, 33.67, 0.00, 3.31 % of the classes' clips: 1,390 of 2,341 right."""
    right = [352, 289, 331, 313, 99, 0, 6]
    classes = [489, 379, 534, 435, 294, 29, 181]
    rows = {(r.system, r.metric, r.setting): r.value for r in find_suite("dfew").published}
    war = rows["Emotion-LLaMA", "war", "zero-shot, fold 1"]
    uar = rows["Emotion-LLaMA", "uar", "zero-shot, fold 1"]
    assert sum(right) / sum(classes) == pytest.approx(war, abs=1e-4)
    assert sum(r / n for r, n in zip(right, classes, strict=True)) / 7 == pytest.approx(uar, abs=1e-4)


def test_mer2024(tmp_path: Path) -> None:
    (part,) = read("mer2024-noise", written(tmp_path, "noise-label.csv", "name,discrete\na,worried\n"))
    assert [item.clip.emotion for item in part.items] == ["worried"]


def test_iemocap_sessions(tmp_path: Path) -> None:
    for n in (1, 2, 3, 4, 5):
        turn = f"[1.0 - 2.0]\tSes0{n}F_impro01_F000\tneu\t[2.5, 2.5, 2.5]\n"
        written(tmp_path, f"Session{n}/dialog/EmoEvaluation/Ses0{n}F_impro01.txt", turn)
    assert [part.name for part in read("iemocap", tmp_path)] == ["session 5"]
    assert [part.name for part in read("iemocap", tmp_path, Choice(variant="2"))] == ["session 2"]
    train = read("iemocap", tmp_path, Choice(side="train", variant="2"))
    assert [part.name for part in train] == ["session 1", "session 3", "session 4", "session 5"]
    assert len(read("iemocap", tmp_path, Choice(variant="all"))) == 5


def test_a_perfect_and_a_half_wrong_system(tmp_path: Path) -> None:
    names = [f"1004_DFA_{code}_XX" for code in EMOTIONS]
    table = "".join(f'"{n}","{name}"\n' for n, name in enumerate(names))
    (part,) = read("crema-d", written(tmp_path, "summaryTable.csv", f'"","FileName"\n{table}'))
    right = [Prediction(clip=item.clip.clip, emotion=item.clip.emotion) for item in part.items]
    half = [p.model_copy(update={"emotion": "anger"}) if n >= 3 else p for n, p in enumerate(right)]
    settings = ScoreSettings(draws=20)
    assert part.score(part.items, right, part.labels, settings).metrics["war"].value == 1.0
    assert part.score(part.items, half, part.labels, settings).metrics["war"].value == 0.5


def test_splits_are_part_of_the_package() -> None:
    package = Path(RAVDESS).parents[1]
    for file in ("ravdess", "emodb", "crema_d"):
        assert json.loads((package / "datasets" / f"{file}_split.json").read_text())["unit"] == "speaker"


def test_melds_own_split_shares_people_and_says_so() -> None:
    assert find_suite("meld").shares_people and "same characters" in find_suite("meld").caution
    assert not any(find_suite(name).shares_people for name in ("ravdess", "emodb", "crema-d", "custom"))
