"""Whose folder it is, and what a run says of itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from emotion_llama.errors import OutputError, UsageError
from emotion_llama.train.material import read_items
from emotion_llama.train.record import RECORD, STARTED, begin, data_record, write_json
from tests.train.tiny_run import configured

DATA = [{"name": "voices", "sha256": "aa"}, {"name": "words", "sha256": "bb"}]


def begun(tmp_path: Path) -> Path:
    """A run that has written its first checkpoint."""
    out = tmp_path / "run"
    begin(out, configured(tmp_path), DATA)
    (out / "checkpoints" / "checkpoint-1").mkdir(parents=True)
    return out


def test_a_run_that_stopped_before_it_wrote_anything_may_be_corrected(tmp_path: Path) -> None:
    out = tmp_path / "run"
    begin(out, configured(tmp_path), DATA)
    (out / "tensorboard").mkdir()
    corrected = configured(tmp_path, "seed=7")
    assert begin(out, corrected, DATA) is False
    (out / "checkpoints").mkdir()
    assert begin(out, corrected, DATA) is False
    with pytest.raises(UsageError, match="seed"):
        begin(out, configured(tmp_path), DATA)


def test_a_new_folder_is_claimed_and_gone_on_with(tmp_path: Path) -> None:
    out, config = tmp_path / "run", configured(tmp_path)
    assert begin(out, config, DATA) is False
    assert (out / STARTED).is_file()
    assert begin(out, config, DATA) is False
    write_json(out / RECORD, {})
    assert begin(out, config, DATA) is True


def test_a_folder_with_other_settings_is_refused_naming_them(tmp_path: Path) -> None:
    out = begun(tmp_path)
    changed = configured(tmp_path, "seed=7", "schedule.learning_rate=0.5", "model.lora.rank=2")
    with pytest.raises(UsageError, match=r"model\.lora\.rank, schedule\.learning_rate, seed\)") as failure:
        begin(out, changed, DATA)
    assert "out" in str(failure.value)


@pytest.mark.parametrize(
    "change", ["trackers=[tensorboard]", "keep_checkpoints=5", "data.root=/elsewhere", "out=there"]
)
def test_what_does_not_decide_the_result_may_change(tmp_path: Path, change: str) -> None:
    assert begin(begun(tmp_path), configured(tmp_path, change), DATA) is False


def test_changed_data_are_refused_naming_the_source(tmp_path: Path) -> None:
    out, config = begun(tmp_path), configured(tmp_path)
    with pytest.raises(UsageError, match="other data: words changed"):
        begin(out, config, [DATA[0], {"name": "words", "sha256": "cc"}])


def test_a_checkpoint_of_another_command_is_left_alone(tmp_path: Path) -> None:
    write_json(tmp_path / "run" / RECORD, {})
    with pytest.raises(UsageError, match="another command"):
        begin(tmp_path / "run", configured(tmp_path), DATA)
    assert not (tmp_path / "run" / STARTED).exists()


def _data(folder: Path, *changes: str, **features: int) -> dict[str, Any]:
    config = configured(folder, *changes, **features)
    (found,) = data_record(read_items(config), config)
    return found


def test_data_are_described_by_side_person_and_label(tmp_path: Path) -> None:
    found = _data(tmp_path, people=6, takes=2)
    assert found["clips"] == {"train": 64, "validation": 16, "test": 16}
    assert found["people"] == {"train": 4, "validation": 1, "test": 1}
    assert found["labels"] == {word: 8 for word in sorted(found["labels"])} and len(found["labels"]) == 8
    assert len(found["sha256"]) == 64 and found["path"] == "clips"


def test_the_hash_changes_with_a_label_a_word_or_a_side_and_not_with_the_order(tmp_path: Path) -> None:
    first = _data(tmp_path)["sha256"]
    manifest = tmp_path / "clips" / "manifest.csv"
    text = manifest.read_text(encoding="utf-8")
    heading, *rows = text.splitlines()
    manifest.write_text("\n".join([heading, *reversed(rows)]) + "\n", encoding="utf-8")
    assert _data(tmp_path)["sha256"] == first
    assert _data(tmp_path, "data.sources.voices.split.test=0.34")["sha256"] != first
    for old, new in ((",happy,", ",sad,"), ("talking", "walking")):
        manifest.write_text(text.replace(old, new, 1), encoding="utf-8")
        assert _data(tmp_path)["sha256"] != first


def test_json_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b.json"
    write_json(path, {"x": "é"})
    assert json.loads(path.read_text(encoding="utf-8")) == {"x": "é"} and list(path.parent.iterdir()) == [path]
    (path.parent / "c.json.part").mkdir()
    with pytest.raises(OutputError, match=r"c\.json: cannot be written"):
        write_json(path.parent / "c.json", {})
    assert not (path.parent / "c.json").exists()
