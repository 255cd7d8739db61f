"""An encoder named by its place on the hub comes from there, once; the hub here is a server on loopback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hub_server import serving

CODE = (
    "import sys; from emotion_llama.encoders.own import encoder_folder\n"
    "from emotion_llama.errors import ModelError\n"
    "try:\n    print(encoder_folder(sys.argv[1]))\nexcept ModelError as error:\n    print('refused:', error)"
)


def _ask(name: str, address: str, home: Path) -> str:
    """In a process of its own: the library reads the address when it is imported."""
    settings = {"HF_ENDPOINT": address, "HF_HOME": str(home), "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", CODE, name], env={**os.environ, **settings}, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().splitlines()[-1]


@pytest.fixture
def hub(tmp_path: Path) -> Path:
    root = tmp_path / "hub"
    for name, weights in (("safe", ("model.safetensors", "pytorch_model.bin")), ("old", ("pytorch_model.bin",))):
        folder = root / "lab" / name
        folder.mkdir(parents=True)
        for file in ("config.json", "preprocessor_config.json", *weights, "picture.png"):
            (folder / file).write_text(file, encoding="utf-8")
    return root


def test_files_of_an_encoder_come_from_the_hub_and_no_others(hub: Path, tmp_path: Path) -> None:
    with serving(hub) as (address, asked):
        found = Path(_ask("lab/safe", address, tmp_path / "home"))
        assert sorted(path.name for path in found.iterdir()) == [
            "config.json", "model.safetensors", "preprocessor_config.json"
        ]  # fmt: skip
        old = Path(_ask("lab/old@main", address, tmp_path / "home"))
        assert (old / "pytorch_model.bin").read_text(encoding="utf-8") == "pytorch_model.bin"
        before = list(asked)
        assert Path(_ask("lab/safe", address, tmp_path / "home")) == found and asked == before


def test_what_the_hub_has_not_is_refused_by_name(hub: Path, tmp_path: Path) -> None:
    with serving(hub) as (address, _):
        assert "refused: encoder lab/none: there is no such folder" in _ask("lab/none", address, tmp_path / "home")
