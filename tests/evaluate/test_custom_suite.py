"""One's own manifests: the forms they come in, the side they are of, and everything that can be wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from emotion_llama.errors import EmotionLlamaError, ManifestError, UsageError
from emotion_llama.evaluate.records import Side
from emotion_llama.evaluate.suite import Choice
from emotion_llama.evaluate.suites import FILES, find_suite
from emotion_llama.evaluate.suites.custom import read


def names(path: Path, side: Side = "test", labels: tuple[str, ...] = ("happy", "sad")) -> list[str]:
    (part,) = read(path, Choice(side=side, labels=labels))
    return [item.clip.clip for item in part.items]


def test_a_spreadsheet_of_windows_is_read(tmp_path: Path) -> None:
    path = tmp_path / "Übersicht 1.csv"
    path.write_bytes('clip,emotion,speaker\r\n"Müller, 1.mp4",very happy,s1\r\nb c.mp4,sad,s2\r\n'.encode("utf-8-sig"))
    (part,) = read(path, Choice())
    assert [item.clip.clip for item in part.items] == ["Müller, 1.mp4", "b c.mp4"]
    assert part.labels == ("sad", "very happy")


def test_csv_and_json_lines_give_the_same_items(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("clip,emotion,age\na,happy,30\nb,sad,\n")
    (tmp_path / "m.jsonl").write_text(
        '{"clip": "a", "emotion": "happy", "age": 30}\n\n{"clip": "b", "emotion": "sad", "age": null}\n'
    )
    one, other = (read(tmp_path / name, Choice())[0] for name in ("m.csv", "m.jsonl"))
    assert one.items == other.items and one.labels == other.labels == ("happy", "sad")


def test_the_only_manifest_of_a_folder_is_taken(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("clip,emotion\na,happy\n")
    assert names(tmp_path) == ["a"]
    (tmp_path / "p.jsonl").write_text("")
    with pytest.raises(ManifestError, match=r"expected one manifest.*found m\.csv, p\.jsonl; name the file"):
        names(tmp_path)


@pytest.mark.parametrize("column", ["split", "side"])
def test_a_column_of_sides_keeps_the_chosen_one(column: str, tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text(f"clip,emotion,{column}\na,happy,Test\nb,sad,val\nc,sad,dev\nd,sad,training\n")
    assert [names(path, side) for side in ("test", "validation", "train")] == [["a"], ["b", "c"], ["d"]]


@pytest.mark.parametrize("word", ["", "fold1", "0"])
def test_a_clip_of_no_side_is_never_left_out_in_silence(word: str, tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text(f"clip,emotion,split\na,happy,test\nb,sad,{word}\n")
    with pytest.raises(ManifestError, match=r"clip 'b' has .* in its column split; expected train, validation or test"):
        names(path)


def test_a_side_without_clips_names_those_that_are_there(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text("clip,emotion,split\na,happy,test\nb,sad,val\n")
    with pytest.raises(ManifestError, match=r"no clip has 'train' in its column split, only test, validation"):
        names(path, "train")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("clip,emotion\na,happy\na,sad\n", "clip 'a' occurs twice"),
        ("clip,emotion\na,happy\nb,\n", "clip 'b' has no emotion"),
        ("clip,emotion\na,happy\nb,happy\n", r"only the label happy occurs \(2 clips\); give --labels"),
        ("clip,emotion\n", "at least one clip"),
        ("", "empty file"),
        ("clip,emotion\na\n", ":2: expected 2 cells"),
        ("emotion\nhappy\n", ":2: expected a column clip"),
    ],
)
def test_wrong_manifests_say_what_is_wrong(text: str, what: str, tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text(text)
    with pytest.raises(EmotionLlamaError, match=what) as error:
        read(path, Choice())
    assert "m.csv" in str(error.value)


def test_every_suite_is_found_by_its_name_and_others_are_refused() -> None:
    for name in FILES:
        suite = find_suite(name)
        assert suite.name == name and suite.title and suite.needs and suite.access and suite.licence and suite.chance
        assert suite.sides and set(suite.sides) <= {"test", "validation", "train"}
        assert all(row.source for row in suite.published)
    with pytest.raises(UsageError, match=r"unknown suite 'crema': choose from custom.* Did you mean 'crema-d'\?"):
        find_suite("crema")
