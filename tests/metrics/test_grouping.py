import json
import pickle
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emotion_llama.errors import ManifestError
from emotion_llama.metrics.grouping import (
    group_heads,
    grouped,
    parse_groups,
    parse_words,
    read_groupings,
    table_heads,
)
from emotion_llama.metrics.label_sets import set_scores, word_set

GROUPS = (("happy", "joyful", "glad"), ("sad",), ("angry", "mad"))


def test_words_become_the_first_of_their_group():
    heads = group_heads(GROUPS)
    assert grouped(word_set(["joyful", "Glad", "mad", "proud"]), heads) == {"happy", "angry", "proud"}
    assert set_scores(grouped(word_set(["glad"]), heads), grouped(word_set(["joyful", "mad"]), heads)) == (0.5, 1.0)


def test_a_word_in_two_groups_belongs_to_the_last():
    assert group_heads([["a", "b"], ["c", "b"]])["b"] == "c"


@given(st.lists(st.sampled_from(["happy", "joyful", "glad", "sad", "angry", "mad", "proud"]), min_size=1))
@settings(max_examples=25, deadline=None)
def test_order_case_and_repetition_do_not_change_the_score(words):
    heads = group_heads(GROUPS)
    truth = grouped(word_set(["happy", "angry"]), heads)
    changed = [word.title() for word in reversed(words)] + words
    assert set_scores(truth, grouped(word_set(changed), heads)) == set_scores(truth, grouped(word_set(words), heads))


def test_table_heads_hold_only_known_words():
    assert table_heads(word_set(["joy", "cheerful", "zorbic"])) == {"joy": "happy", "cheerful": "happy"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("['happy', 'sad']", ("happy", "sad")),
        ('["looking forward to", "sad"]', ("looking forward to", "sad")),
        ("[happy, sad]", ("happy", "sad")),
        ("happy,sad , ", ("happy", "sad")),
        ("[]", ()),
        ("", ()),
    ],
)
def test_parse_words(text, words):
    assert parse_words(text) == words


@pytest.mark.parametrize(
    ("text", "groups"),
    [
        ("[['happy', 'joyful'], ['sad']]", (("happy", "joyful"), ("sad",))),
        ("['happy', 'joyful'],\n['sad']", (("happy", "joyful"), ("sad",))),
        ("[[]]", ()),
    ],
)
def test_parse_groups(text, groups):
    assert parse_groups(text) == groups


def write_npy(path, text):
    path.parent.mkdir(exist_ok=True)
    np.save(path, text)
    return path


def test_official_archive_and_folder(tmp_path):
    folder = tmp_path / "openset-synonym"
    write_npy(folder / "sample_1.npy", "[['happy', 'joyful'], ['sad']]")
    write_npy(folder / "sample_2.npy", "[['Angry', 'mad']]")
    archive = tmp_path / "openset-synonym.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for npy in folder.glob("*.npy"):
            file.write(npy, f"openset-synonym/{npy.name}")
        file.writestr("__MACOSX/openset-synonym/._sample_1.npy", b"junk")
    expected = {"sample_1": (("happy", "joyful"), ("sad",)), "sample_2": (("Angry", "mad"),)}
    assert read_groupings(archive) == expected
    assert read_groupings(folder) == expected


def test_own_form_is_normalised(tmp_path):
    path = tmp_path / "groups.jsonl"
    path.write_text('{"clip": "a", "groups": [["Happy", " joyful "], [], [""]]}\n\n{"clip": "b", "groups": []}\n')
    assert read_groupings(path) == {"a": (("happy", "joyful"),), "b": ()}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", ":1: expected one JSON object"),
        (json.dumps({"clip": "a", "groups": "happy"}), ":1: expected .*groups"),
        (
            json.dumps({"clip": "a", "groups": [["x"]]}) * 1 + "\n" + json.dumps({"clip": "a", "groups": []}),
            ":2: .*'a'",
        ),
    ],
)
def test_damaged_own_form(tmp_path, line, message):
    path = tmp_path / "groups.jsonl"
    path.write_text(line)
    with pytest.raises(ManifestError, match=message):
        read_groupings(path)


def test_damaged_official_files(tmp_path):
    broken = tmp_path / "openset-synonym.zip"
    broken.write_bytes(b"not a zip")
    with pytest.raises(ManifestError, match="zip of"):
        read_groupings(broken)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ManifestError, match="at least one clip"):
        read_groupings(tmp_path / "empty")
    write_npy(tmp_path / "numbers" / "a.npy", np.arange(3))
    with pytest.raises(ManifestError, match=r"a\.npy: expected one text"):
        read_groupings(tmp_path / "numbers")


def test_pickled_groups_are_refused(tmp_path):
    (tmp_path / "g").mkdir()
    np.save(tmp_path / "g" / "a.npy", np.array({"run": pickle.dumps(1)}, dtype=object), allow_pickle=True)
    with pytest.raises(ManifestError, match="without pickled objects"):
        read_groupings(tmp_path / "g")
