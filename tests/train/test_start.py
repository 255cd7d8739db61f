"""From the words of the command line to settings: where the data are, what is changed, what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from emotion_llama.errors import UsageError
from emotion_llama.train import start
from emotion_llama.train.record import RECORD
from tests.train.tiny_run import write_settings


def test_the_data_folder_of_the_command_line_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_settings(tmp_path, ["data.root=/nowhere", "schedule.steps=1", "calibration=null"])
    out = start.start(path, [f"out={tmp_path / 'a'}"], tmp_path, jobs=1)
    assert (out / RECORD).is_file() and out == tmp_path / "a"


def test_the_data_folder_can_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_settings(tmp_path, ["data.root=$EMOTION_LLAMA_DATA"])
    monkeypatch.setenv("EMOTION_LLAMA_DATA", str(tmp_path))
    assert start.start_extraction(path, [], None, jobs=1, engine="local", address=None) == 0
    monkeypatch.delenv("EMOTION_LLAMA_DATA")
    with pytest.raises(UsageError, match="--data FOLDER, or EMOTION_LLAMA_DATA"):
        start.start(path, [], None, jobs=1)


def test_an_unknown_engine_is_refused(tmp_path: Path) -> None:
    path = write_settings(tmp_path)
    with pytest.raises(UsageError, match="engine 'slurm': expected local or ray"):
        start.start_extraction(path, [], None, jobs=1, engine="slurm", address=None)


def test_a_wrong_key_is_refused_with_a_suggestion(tmp_path: Path) -> None:
    path = write_settings(tmp_path)
    with pytest.raises(UsageError, match=r"schedule.*steps"):
        start.start(path, ["schedule.step=5"], None, jobs=1)


def test_a_test_side_cannot_choose_the_checkpoint(tmp_path: Path) -> None:
    path = write_settings(tmp_path)
    with pytest.raises(UsageError, match="chosen on the validation side"):
        start.start(path, ["validation.side=test"], None, jobs=1)
