import json
import zipfile

import numpy as np
import pytest

from emotion_llama.datasets.open_labels import read_open_clips, read_openset
from emotion_llama.datasets.unibench import SETS, read_unibench
from emotion_llama.errors import ManifestError, UsageError
from emotion_llama.evaluate.matching import index, match
from emotion_llama.evaluate.predictions import read_predictions
from emotion_llama.evaluate.suite import Choice, ScoreSettings
from emotion_llama.evaluate.suites import mer_ov, mer_unibench, ov_wheel

SETTINGS = ScoreSettings(draws=50)
CHECK = "name,openset\ns1,\"['happy', 'Excited']\"\ns2,['sad']\n"


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def answered(part, path, rows):
    write(path, "".join(json.dumps(row) + "\n" for row in rows))
    found = match(part.items, index(read_predictions(path)), part.labels)
    return part.score(part.items, found.predictions, part.labels, SETTINGS)


def official_groups(folder):
    with zipfile.ZipFile(folder / "openset-synonym.zip", "w") as archive:
        for name, text in (("s1", "[['happy', 'joyful'], ['excited']]"), ("s2", "[['sad', 'down']]")):
            npy = folder / f"{name}.npy"
            np.save(npy, text)
            archive.write(npy, f"openset-synonym/{name}.npy")
            npy.unlink()


# ---- readers


def test_openset_csv(tmp_path):
    path = write(tmp_path / "check-openset.csv", CHECK)
    assert read_openset(path) == {"s1": ("happy", "Excited"), "s2": ("sad",)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,labels\ns1,happy\n", ":2: expected the columns name and openset"),
        (CHECK + "s1,['sad']\n", ":4: 's1' occurs twice"),
        ("name,openset\n", "at least one|one clip a line"),
    ],
)
def test_damaged_openset_csv(tmp_path, text, message):
    with pytest.raises(ManifestError, match=message):
        read_openset(write(tmp_path / "check-openset.csv", text))


def test_open_clips_find_their_recordings(tmp_path):
    write(tmp_path / "check-openset.csv", CHECK)
    write(tmp_path / "video" / "s1.mp4", "")
    write(tmp_path / "audio" / "s1.wav", "")
    first, second = read_open_clips(tmp_path)
    assert first.path == tmp_path / "video" / "s1.mp4"
    assert second.path == tmp_path / "video" / "s2.mp4"  # not there: it fails by name when it is analysed


def test_open_clips_without_recordings_or_from_a_manifest(tmp_path):
    assert [clip.path for clip in read_open_clips(write(tmp_path / "a" / "check-openset.csv", CHECK))] == [None, None]
    manifest = write(tmp_path / "b" / "manifest.csv", "clip,labels\nx.wav,happy;calm\n")
    assert read_open_clips(manifest.parent)[0].labels == ("happy", "calm")


def test_open_clips_without_words_are_named(tmp_path):
    with pytest.raises(ManifestError, match="1 clips have no emotion words, the first 's1'"):
        read_open_clips(write(tmp_path / "check-openset.csv", "name,openset\ns1,[]\n"))
    # the code of OV-MERD+ reads an empty list as neutral
    assert read_open_clips(write(tmp_path / "ovlabel.csv", "name,openset\ns1,[]\n"))[0].labels == ("neutral",)


def test_nothing_or_too_much_in_the_folder(tmp_path):
    with pytest.raises(ManifestError, match="found none"):
        read_open_clips(tmp_path)
    write(tmp_path / "check-openset.csv", CHECK)
    write(tmp_path / "ovlabel.csv", CHECK)
    with pytest.raises(ManifestError, match=r"found check-openset\.csv, ovlabel\.csv"):
        read_open_clips(tmp_path)


# ---- mer-ov


def test_mer_ov_with_official_groups(tmp_path):
    write(tmp_path / "check-openset.csv", CHECK)
    official_groups(tmp_path)
    (part,) = mer_ov.SUITE.read(tmp_path, Choice())
    assert part.labels == ()
    rows = [{"clip": "s1.mp4", "labels": ["joyful"]}, {"clip": "s2", "labels": ["down", "sad", "worried"]}]
    scored = answered(part, tmp_path / "p.jsonl", rows)
    assert scored.metrics["set_accuracy"].value == pytest.approx((1 + 1 / 2) / 2)
    assert scored.metrics["set_recall"].value == pytest.approx((1 / 2 + 1) / 2)


def test_mer_ov_prefers_own_groups_and_refuses_foreign_ones(tmp_path):
    write(tmp_path / "check-openset.csv", CHECK)
    write(tmp_path / "groups.jsonl", '{"clip": "s1", "groups": [["happy", "excited"]]}\n')
    official_groups(tmp_path)
    (part,) = mer_ov.SUITE.read(tmp_path, Choice())
    assert [item.extra for item in part.items] == [{"groups": (("happy", "excited"),)}, {}]
    write(tmp_path / "groups.jsonl", '{"clip": "other", "groups": []}\n')
    with pytest.raises(ManifestError, match="none of the clips, for instance 'other'"):
        mer_ov.SUITE.read(tmp_path, Choice())


# ---- ov-wheel


def official_mapping(folder):
    words = ("happy", "excited", "sad", "worried")
    own = {word: [word] for word in words}
    level = {word: "down" if word in ("sad", "worried") else "up" for word in words}
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(
        folder / "wheel_mapping.npz",
        format_mapping=np.array(own, dtype=object),
        raw_mapping=np.array(own, dtype=object),
        wheel_map_whole=np.array({f"wheel{n}": {"level1": level, "level2": level} for n in range(1, 6)}, dtype=object),
    )


def test_ov_wheel_takes_official_tables_where_they_lie(tmp_path):
    write(tmp_path / "check-openset.csv", CHECK)
    rows = [{"clip": "s1", "labels": ["excited"]}, {"clip": "s2", "emotion": "worried"}]
    (part,) = ov_wheel.SUITE.read(tmp_path, Choice())
    assert "own lexicon" in answered(part, tmp_path / "p.jsonl", rows).settings["wheel_tables"]
    official_mapping(tmp_path / "emotion_wheel")
    (part,) = ov_wheel.SUITE.read(tmp_path, Choice())
    scored = answered(part, tmp_path / "p.jsonl", rows)
    assert "official" in scored.settings["wheel_tables"]
    assert scored.metrics["ew_f1_level1"].value == 1
    (part,) = ov_wheel.SUITE.read(tmp_path, Choice(variant="own"))
    assert "own lexicon" in answered(part, tmp_path / "p.jsonl", rows).settings["wheel_tables"]


def test_ov_wheel_variants_insist(tmp_path):
    write(tmp_path / "check-openset.csv", CHECK)
    with pytest.raises(ManifestError, match="official folder emotion_wheel"):
        ov_wheel.SUITE.read(tmp_path, Choice(variant="official"))
    with pytest.raises(UsageError, match="'best'"):
        ov_wheel.SUITE.read(tmp_path, Choice(variant="best"))


# ---- mer-unibench


def corpus(path, key, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **{key: np.array(rows, dtype=object)})


def bench(folder):
    corpus(folder / "mer2023" / "label-6way.npz", "test1_corpus", {"s1": {"emo": "happy", "val": 1.0}})
    four = {"Ses05F_1": {"emo": 3, "val": 0}, "Ses01F_1": {"emo": 0, "val": 0}}
    corpus(folder / "iemocap" / "label_4way.npz", "whole_corpus", four)
    mosi = {"m1": {"emo": 0, "val": 1.2}, "m2": {"emo": 0, "val": np.float32(-0.4)}}
    corpus(folder / "mosi" / "label.npz", "test_corpus", mosi)
    write(folder / "meld.csv", "clip,emotion\nd1.mp4,joy\nd2.mp4,anger\n")
    write(folder / "ovmerd" / "ovlabel.csv", CHECK)


def test_unibench_parts_and_their_scores(tmp_path):
    bench(tmp_path)
    parts = {part.name: part for part in mer_unibench.SUITE.read(tmp_path, Choice())}
    assert list(parts) == ["mer2023", "meld", "iemocap", "mosi", "ovmerd"]
    assert [item.clip.clip for item in parts["iemocap"].items] == ["iemocap/Ses05F_1"]
    assert parts["iemocap"].items[0].clip.emotion == "anger"
    rows = [
        {"clip": "mer2023/s1", "labels": ["joyful"]},
        {"clip": "d1", "labels": ["glad", "proud"]},
        {"clip": "d2", "labels": ["calm"]},
        {"clip": "Ses05F_1", "labels": ["mad"]},
        {"clip": "m1", "labels": ["cheerful"]},
        {"clip": "m2", "valence": -0.3},
        {"clip": "ovmerd/s1", "labels": ["thrilled", "happy"]},
        {"clip": "ovmerd/s2", "labels": ["gloomy"]},
    ]
    scored = {name: answered(part, tmp_path / "p.jsonl", rows) for name, part in parts.items()}
    values = {name: one.metrics["unibench_score"].value for name, one in scored.items()}
    assert values == pytest.approx({"mer2023": 1, "meld": 0.5, "iemocap": 1, "mosi": 1, "ovmerd": 1})
    assert {one.headline for one in scored.values()} == {("unibench_score",)}  # so that the runner takes their mean
    assert scored["mosi"].settings["unibench_score"] == "sign_weighted_f1"
    assert scored["mer2023"].settings["candidates"] == sorted(SETS["mer2023"].candidates)
    assert len(scored["meld"].settings["candidates"]) == 7


def test_unibench_published_rows_close_to_their_means():
    for system in ("Emotion-LLaMA", "AffectGPT"):
        rows = [one for one in mer_unibench.SUITE.published if one.system == system]
        sets = [one.value for one in rows if one.setting]
        assert [one.setting for one in rows if one.setting] == list(SETS)
        assert len(sets) == 9
        assert sum(sets) / 9 == pytest.approx(rows[-1].value, abs=1e-4)


def test_unibench_empty_folder_and_twice_the_same_set(tmp_path):
    with pytest.raises(ManifestError, match="one or more of mer2023"):
        mer_unibench.SUITE.read(tmp_path, Choice())
    bench(tmp_path)
    write(tmp_path / "mosi.csv", "clip,valence\nm1,1\n")
    with pytest.raises(ManifestError, match=r"'mosi' lies in mosi and in mosi\.csv"):
        read_unibench(tmp_path, "mosi")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ({"m1": {"emo": 0}}, "'m1'.*a value 'val'"),
        ({"m1": {"val": "high"}}, "'m1'.*a number as val"),
        ({"m1": 1.0}, "'m1': 1.0"),
        ({}, "a dictionary of clips"),
    ],
)
def test_damaged_official_labels(tmp_path, rows, message):
    corpus(tmp_path / "mosi" / "label.npz", "test_corpus", rows)
    with pytest.raises(ManifestError, match=message):
        read_unibench(tmp_path, "mosi")


def test_unknown_emotion_numbers_missing_entries_and_missing_truth(tmp_path):
    corpus(tmp_path / "meld" / "label.npz", "test_corpus", {"d": {"emo": 9}})
    with pytest.raises(ManifestError, match="number below 7, found 9"):
        read_unibench(tmp_path, "meld")
    corpus(tmp_path / "sims" / "label.npz", "train_corpus", {"d": {"val": 1}})
    with pytest.raises(ManifestError, match="entry 'test_corpus', found train_corpus"):
        read_unibench(tmp_path, "sims")
    write(tmp_path / "mosei.csv", "clip,emotion\nx.wav,happy\n")
    with pytest.raises(ManifestError, match=r"'x\.wav' has no valence"):
        read_unibench(tmp_path, "mosei")


@pytest.mark.parametrize("suite", [mer_ov.SUITE, ov_wheel.SUITE, mer_unibench.SUITE], ids=lambda suite: suite.name)
def test_suites_say_what_they_need(suite):
    assert suite.labels == ()
    assert suite.tasks == ("emotion",)
    assert all((suite.needs, suite.access, suite.licence, suite.chance, suite.caution))
    assert all(0 <= one.value <= 1 and one.source for one in suite.published)
