from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from emotion_llama import assets
from emotion_llama.assets.cache import write_marker
from emotion_llama.cli.doctor import PACKAGES, diagnose, doctor


def make_ready(root: Path, group: str) -> None:
    for asset in assets.load_catalog().select([group]):
        (root / asset.name).mkdir()
        write_marker(asset, root / asset.name)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    folder = tmp_path / "weights"
    folder.mkdir()
    (folder / "adapter.safetensors").write_bytes(b"x")
    return folder


def test_nothing_missing_means_no_problem(tmp_path: Path, weights: Path) -> None:
    make_ready(tmp_path, "nano")
    report = diagnose(assets.load_catalog(), tmp_path, weights)
    assert report["problems"] == []
    # the samples are not there, which is a hint and no problem
    assert any("emotion-llama fetch sample" in hint for hint in report["hints"])
    assert all(report["versions"][name] for name in PACKAGES)


def test_each_missing_thing_names_its_remedy(tmp_path: Path) -> None:
    report = diagnose(assets.load_catalog(), tmp_path, tmp_path / "nowhere")
    problems = " | ".join(report["problems"])
    assert "emotion-llama fetch nano" in problems and "whisper-base (missing)" in problems
    assert "no nano weights" in problems


def test_non_commercial_terms_are_said(tmp_path: Path, weights: Path) -> None:
    report = diagnose(assets.load_catalog(), tmp_path, weights)
    assert "CC BY-NC-SA 4.0" in report["licence_note"]
    assert all(row["licence"] and row["purpose"] for row in report["assets"])


def test_empty_cache_exits_with_1_and_prints_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOTION_LLAMA_CACHE", str(tmp_path))
    result = CliRunner().invoke(doctor, [])
    assert result.exit_code == 1
    assert "emotion-llama fetch nano" in result.stdout and "CC BY-NC-SA 4.0" in result.stdout
    for asset in assets.load_catalog().assets:
        assert asset.name in result.stdout


def test_json_is_one_object(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOTION_LLAMA_CACHE", str(tmp_path))
    result = CliRunner().invoke(doctor, ["--json"])
    report = json.loads(result.stdout)
    assert result.exit_code == 1 and report["devices"]["cpu_count"] >= 1
    assert {row["state"] for row in report["assets"]} == {"missing"}
