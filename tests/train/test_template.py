"""Settings written for a manifest: its path, labels and people, as the training reads them; refusals say what to do."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from emotion_llama.cli import app
from emotion_llama.errors import ManifestError, UsageError
from emotion_llama.overrides import read_config
from emotion_llama.train.config import SplitShares, TrainConfig
from emotion_llama.train.material import read_items
from emotion_llama.train.template import TEMPLATE, write_settings

ROWS = "file,speaker,label\na.wav,ann,Calm\nb.wav,ben,tense\nc.wav,cem,not sure\nd.wav,cem,calm\n"


def manifest(folder: Path, text: str = ROWS) -> Path:
    path = folder / "my clips #1.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_written_settings_read_the_manifest(tmp_path: Path) -> None:
    said = write_settings(tmp_path / "new" / "my.yaml", manifest(tmp_path))
    assert said == "4 clips of 3 people: 2 calm, 1 tense, 1 not sure"
    config = read_config(TrainConfig, tmp_path / "new" / "my.yaml")
    assert config.data.sources[0].labels == ("calm", "tense", "not sure")
    assert [item.label for item in read_items(config)] == ["calm", "tense", "not sure", "calm"]


def test_nothing_else_differs_from_the_template(tmp_path: Path) -> None:
    write_settings(tmp_path / "my.yaml", manifest(tmp_path))
    before, after = (path.read_text(encoding="utf-8").splitlines() for path in (TEMPLATE, tmp_path / "my.yaml"))
    changed = [(a, b) for a, b in zip(before, after, strict=True) if a != b]
    assert [b.strip().split(" ")[0] for _, b in changed] == ["#", "path:", "labels:"]
    assert "--labels calm,tense,not sure" in changed[0][1]
    assert all(a.split(" #")[-1] == b.split(" #")[-1] for a, b in changed[1:])  # the remarks stay


def test_without_speakers_clips_are_split_one_by_one(tmp_path: Path) -> None:
    said = write_settings(tmp_path / "my.yaml", manifest(tmp_path, "file,label\na.wav,calm\nb.wav,tense\n"))
    assert said == "2 clips, speakers not named: 1 calm, 1 tense"
    config = read_config(TrainConfig, tmp_path / "my.yaml")
    assert config.data.sources[0].split == SplitShares(validation=0.2, unit="clip")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("file,speaker\na.wav,ann\n", r"clip 'a.wav' has no label; expected one in a column emotion or label"),
        ("file,label\na.wav,calm\nb.wav,Calm\n", "two or more labels, found calm alone"),
        ('file,label\na.wav,"calm, cool"\nb.wav,calm\n', "are no label set"),
    ],
)
def test_a_manifest_without_labels_to_learn_is_refused(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(ManifestError, match=told):
        write_settings(tmp_path / "my.yaml", manifest(tmp_path, text))
    assert not (tmp_path / "my.yaml").exists()


def test_settings_that_are_there_are_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "my.yaml").write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError, match="is there already"):
        write_settings(tmp_path / "my.yaml", manifest(tmp_path))
    assert (tmp_path / "my.yaml").read_text(encoding="utf-8") == "mine"


def test_the_command_writes_and_names_the_next_step(tmp_path: Path) -> None:
    words = ["train", str(tmp_path / "my.yaml"), "--new", str(manifest(tmp_path))]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0 and f"emotion-llama extract {tmp_path / 'my.yaml'}" in done.output.replace("\n", "")
    refused = CliRunner().invoke(app, [words[0], str(tmp_path / "other.yaml"), "seed=1", *words[2:]])
    assert refused.exit_code != 0 and isinstance(refused.exception, UsageError) and "seed=1" in str(refused.exception)
