from __future__ import annotations

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from emotion_llama import assets
from emotion_llama.assets.cache import write_marker
from emotion_llama.cli.fetch import fetch
from emotion_llama.errors import AssetMissingError, UsageError

app = typer.Typer()
app.command()(fetch)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EMOTION_LLAMA_CACHE", str(tmp_path))
    return tmp_path


def test_ready_assets_are_printed_as_folders(root: Path) -> None:
    for asset in assets.load_catalog().select(["sample"]):
        (root / asset.name).mkdir()
        write_marker(asset, root / asset.name)
    result = CliRunner().invoke(app, ["sample", "--offline"])
    assert result.exit_code == 0
    assert result.stdout.split() == [str(root / asset.name) for asset in assets.load_catalog().select(["sample"])]


def test_without_a_name_it_is_nano(root: Path) -> None:
    result = CliRunner().invoke(app, ["--offline"])
    assert isinstance(result.exception, AssetMissingError)
    assert "smollm2-135m-instruct" in str(result.exception) and "sample" not in str(result.exception)


@pytest.mark.parametrize("arguments", [["nanno"], ["nano", "--source", "ftp"], ["nano", "--source", ""]])
def test_wrong_words_are_usage_errors(root: Path, arguments: list[str]) -> None:
    assert isinstance(CliRunner().invoke(app, [*arguments, "--offline"]).exception, UsageError)
