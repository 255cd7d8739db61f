from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from emotion_llama.datasets.vecbench import GROUPS, group_of, read_vecbench
from emotion_llama.errors import ManifestError


def public_row(image: str = "/data/FI/awe/1.jpg", **changes: Any) -> dict[str, Any]:
    content = [{"type": "image", "image": image}, {"type": "text", "text": "Which emotion?"}]
    return {
        "task": "FI-8",
        "ground_truth": "Awe",
        "candidates": ["Amusement", "Awe"],
        "conversations": [{"role": "user", "content": content}],
    } | changes


def write(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_the_table_has_the_published_counts() -> None:
    assert {group: sum(sets.values()) for group, sets in GROUPS.items()} == {
        "ID VER": 3997, "ID VSA": 2000, "OOD VER": 2035,
    }  # fmt: skip
    assert group_of("WebEmo-2") == "ID VSA"


def test_the_public_form(tmp_path: Path) -> None:
    (tmp_path / "awe").mkdir()
    (tmp_path / "awe/1.jpg").touch()
    (picture,) = read_vecbench(write(tmp_path / "test_8k.jsonl", [public_row()]))
    assert picture.clip.clip == "/data/FI/awe/1.jpg@FI-8"
    assert picture.clip.emotion == "awe"
    assert picture.clip.groups == {"set": "FI-8"}
    assert picture.candidates == ("amusement", "awe")
    assert picture.clip.path == tmp_path / "awe/1.jpg"  # the authors' own folders are not here


def test_a_folder_with_one_file_a_set_and_plain_rows(tmp_path: Path) -> None:
    row = {"image": "a.jpg", "label": "positive"}
    write(tmp_path / "FI-2.jsonl", [row])
    (tmp_path / "webemo-2.json").write_text(json.dumps([row, {**row, "id": "x7"}]), encoding="utf-8")
    pictures = read_vecbench(tmp_path)
    assert [p.clip.clip for p in pictures] == ["a.jpg@FI-2", "a.jpg@WebEmo-2", "x7@WebEmo-2"]
    assert pictures[0].candidates == ()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task": "FI-9"}, "'FI-9' is no set of VECBench; expected one of FI-8"),
        ({"ground_truth": None}, "expected ground_truth with the true label"),
        ({"ground_truth": "fear"}, "'fear' is not among the candidates amusement, awe"),
        ({"candidates": "awe"}, "expected candidates as a list"),
        ({"conversations": []}, "expected an image"),
    ],
)
def test_damaged_rows_are_named_with_their_line(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    path = write(tmp_path / "test.jsonl", [public_row(), public_row("2.jpg", **changes)])
    with pytest.raises(ManifestError, match=message) as caught:
        read_vecbench(path)
    assert str(caught.value).startswith(f"{path}:2: ")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"task": "FI-8"\n', ":1: expected one JSON object a line"),
        ("[1, 2", "expected a JSON list"),
        ("[1]", "item 0: expected a JSON object, found int"),
        ("\n", "expected at least one image, found none"),
    ],
)
def test_damaged_files_are_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "test.jsonl"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ManifestError, match=message):
        read_vecbench(path)


def test_an_image_twice_in_a_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r":2: '/data/FI/awe/1.jpg@FI-8' occurs twice"):
        read_vecbench(write(tmp_path / "t.jsonl", [public_row(), public_row()]))


def test_nothing_there(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.jsonl"):
        with pytest.raises(ManifestError, match="expected VECBench's test file"):
            read_vecbench(path)
