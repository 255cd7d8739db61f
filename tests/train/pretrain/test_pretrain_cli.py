"""The command line of a pre-training: settings among the paths, help without torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from emotion_llama.cli.pretrain import SETTING, pretrain
from emotion_llama.errors import AssetMissingError, UsageError


@pytest.fixture()
def app() -> typer.Typer:
    made = typer.Typer(pretty_exceptions_enable=False)
    made.command()(pretrain)
    return made


def test_settings_are_told_from_paths() -> None:
    assert all(SETTING.match(word) for word in ("seed=1", "schedule.steps=50", "held_back.share=0.2", "init=a/b"))
    assert not any(SETTING.match(word) for word in ("clips", "a/b=c.mp4", "Take=1.mp4", "./seed=1"))


def test_settings_alone_are_no_recordings(app: typer.Typer) -> None:
    result = CliRunner().invoke(app, ["face-mae", "seed=1"])
    assert isinstance(result.exception, UsageError) and "give recordings" in str(result.exception)


def test_a_path_with_an_equals_sign_stays_a_path(
    app: typer.Typer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EMOTION_LLAMA_CACHE", str(tmp_path / "cache"))
    Path("take=one.mp4").write_bytes(b"\0" * 100)
    result = CliRunner().invoke(app, ["face-mae", "take=one.mp4", "device=cpu", "--out", "run"])
    assert isinstance(result.exception, AssetMissingError)  # it went to look for faces in that recording


def test_a_mistyped_setting_is_named_before_anything_is_read(app: typer.Typer, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["face-mae", str(tmp_path), "schedule.step=5"])
    assert isinstance(result.exception, UsageError) and "did you mean 'steps'" in str(result.exception)


def test_help_loads_no_torch() -> None:
    code = "import sys, emotion_llama.cli.pretrain; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
