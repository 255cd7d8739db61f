"""csv, datasets and manifest: read back by pandas, by `datasets` and by our own reader."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from emotion_llama.build.entry import Entry, Source
from emotion_llama.build.exchange.export_datasets import ROWS
from emotion_llama.build.exchange.exports import export_dataset
from emotion_llama.build.exchange.options import ExportOptions
from emotion_llama.clip import Clip
from emotion_llama.manifest import read_manifest
from tests.build.exchange.entries import SEEN, dataset, entry


def three(tmp_path: Path) -> Path:
    return dataset(
        tmp_path / "set",
        entry("a", part="train", transcript="- no, =1+1 | 悲伤\nnext", labels=("happy", "awe")),
        Entry(clip=Clip(clip="bare", transcript="", path=Path("clips/bare.wav")), part="train"),
        entry("c", part="test", emotion="happy", groups={"age": 40.0, "accent": "north"}),
    )


def test_csv_for_pandas(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas", reason="needs pandas")
    export_dataset(three(tmp_path), "csv", tmp_path / "out")
    table = pandas.read_csv(tmp_path / "out" / "clips.csv").set_index("clip")
    a, bare, c = (table.loc[name] for name in ("a", "bare", "c"))
    assert list(table.index) == ["a", "bare", "c"] and a["path"] == str(tmp_path / "set" / "clips" / "a.mp4")
    assert (a["AU26"], a["AU05"], a["frames"], a["valence"], a["peak_index"]) == (2.1, 0.86, 22, -0.61, 7)
    assert (a["labels"], a["units_seen"], a["face_phrases"]) == (
        "happy; awe",
        "AU05; AU26",
        "eyes widened; jaw dropped",
    )
    assert a["transcript"] == "'- no, =1+1 | 悲伤\nnext", "no spreadsheet runs it"
    assert (a["group_sex"], c["group_age"], c["group_accent"]) == ("female", 40, "north")
    assert bool(bare["transcribed"]) and pandas.isna(bare["transcript"]) and pandas.isna(bare["AU26"])
    assert table["part"].tolist() == ["train", "train", "test"]


def test_csv_has_a_row_of_equal_length_a_clip(tmp_path: Path) -> None:
    export_dataset(three(tmp_path), "csv", tmp_path / "out")
    with (tmp_path / "out" / "clips.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert len(rows) == 4 and len({len(row) for row in rows}) == 1 and len(set(rows[0])) == len(rows[0])


def opened(out: Path, cache: Path) -> Any:
    datasets = pytest.importorskip("datasets", reason="needs datasets")
    return datasets.load_dataset(str(out), cache_dir=str(cache))


def test_datasets_opens_the_folder(tmp_path: Path) -> None:
    report = export_dataset(three(tmp_path), "datasets", tmp_path / "out")
    sides = opened(tmp_path / "out", tmp_path / "cache")
    assert {name: len(side) for name, side in sides.items()} == {"train": 2, "test": 1}
    assert report.files["data/train-00000-of-00001.parquet"] == 2
    a, bare = sides["train"]
    assert (a["clip"], a["emotion"], a["transcript"]) == ("a", "surprise", "- no, =1+1 | 悲伤\nnext")
    (seen,) = a["observations"]
    assert seen == SEEN.model_dump(mode="json") and a["labels"] == ["happy", "awe"]
    assert {one["unit"]: one["intensity"] for one in a["action_units"]} == {"AU05": 0.86, "AU26": 2.1, "AU12": 0.3}
    assert {one["name"]: one["word"] or one["number"] for one in a["groups"]} == {"sex": "female", "age": 33.0}
    assert (bare["transcript"], bare["transcribed"], bare["labels"], bare["observations"]) == ("", True, None, [])
    assert (
        bare["duration_s"] is None and a["steps"][0]["step"] == "probe" and a["face_box_px"] == [1.0, 2.0, 30.5, 40.0]
    )


def test_datasets_without_the_card_and_without_sides(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets", reason="needs datasets")
    source = dataset(tmp_path / "set", entry("a"), entry("b"))
    export_dataset(source, "datasets", tmp_path / "out")
    assert {name: len(side) for name, side in opened(tmp_path / "out", tmp_path / "cache").items()} == {"clips": 2}
    files = str(tmp_path / "out" / "data" / "*.parquet")
    table = datasets.load_dataset("parquet", data_files={"train": files}, cache_dir=str(tmp_path / "cache"))["train"]
    assert table["clip"][:] == ["a", "b"]


def test_one_schema_whatever_is_missing(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="needs pyarrow")
    import pyarrow.parquet as pq

    bare = Entry(clip=Clip(clip="bare", transcript="x"))
    for name, one in (("full", entry("a")), ("bare", bare)):
        export_dataset(dataset(tmp_path / f"{name}-set", one), "datasets", tmp_path / name)
    full, empty = (pq.read_schema(tmp_path / n / "data" / "clips-00000-of-00001.parquet") for n in ("full", "bare"))
    assert full.equals(empty)


def test_the_card_counts(tmp_path: Path) -> None:
    other = entry("d", part="train").model_copy(update={"source": Source(licence="a|b\nc"), "media": None})
    source = dataset(tmp_path / "set", entry("a", part="train"), other, entry("c", part="test", emotion="happy"))
    export_dataset(source, "datasets", tmp_path / "out")
    card = (tmp_path / "out" / "README.md").read_text("utf-8")
    assert "| surprise | 2 | 0 |" in card and "| happy | 0 | 1 |" in card and "| **all** | 2 | 1 |" in card
    assert "| CC BY 4.0 | 2 |" in card and "| a\\|b c | 1 |" in card and "| not told | 1 |" in card
    assert "| composer-1 | 3 |" in card and "3 clips, 0.0 minutes (2 clips of known length), 1 known speakers" in card


def test_many_entries_go_through_in_groups(tmp_path: Path) -> None:
    source = dataset(tmp_path / "set", *(Entry(clip=Clip(clip=f"clip{n}")) for n in range(2 * ROWS + 1)))
    export_dataset(source, "datasets", tmp_path / "out")
    assert opened(tmp_path / "out", tmp_path / "cache")["clips"]["clip"][-1] == f"clip{2 * ROWS}"


@pytest.mark.parametrize("media", ["absolute", "relative", "copy"])
def test_our_own_reader_reads_the_manifests(tmp_path: Path, media: Any) -> None:
    source = three(tmp_path)
    report = export_dataset(source, "manifest", tmp_path / "out", options=ExportOptions(media=media))
    assert report.files == {"train.jsonl": 2, "test.jsonl": 1}
    a, bare = read_manifest(tmp_path / "out" / "train.jsonl")
    assert a.path is not None and a.path.read_bytes() == b"recording of a"
    assert a.observations == (SEEN,) and a.labels == ("happy", "awe") and a.groups == {"sex": "female", "age": 33.0}
    assert (bare.clip, bare.transcript, bare.emotion) == ("bare", "", None)


def test_a_manifest_has_no_place_for_nothing(tmp_path: Path) -> None:
    source = dataset(tmp_path / "set", entry("a"), entry("nothing", path=None, transcript=None))
    report = export_dataset(source, "manifest", tmp_path / "out")
    assert [one.clip for one in report.left_out] == ["nothing"]
    assert [json.loads(line)["clip"] for line in (tmp_path / "out" / "manifest.jsonl").open()] == ["a"]
