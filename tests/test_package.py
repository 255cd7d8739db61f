"""The wheel: what is inside, and that it runs where the source tree is not."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Callable
from email.parser import Parser
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "emotion_llama"
NEEDED = (
    "assets/catalog.yaml",
    "perception/describe.yaml",
    "perception/neutral_face.npz",
    "analyze/report.html.j2",
    "analyze/report.css",
    "datasets/ravdess_split.json",
    "datasets/emodb_split.json",
    "datasets/crema_d_split.json",
    "evaluate/report/report.html.j2",
    "evaluate/report/compare.html.j2",
    "evaluate/report/report.css",
    "metrics/wheel_lexicon.yaml",
    "build/merr.yaml",
    "build/steps/rules.yaml",
    "build/steps/phrases.yaml",
    "build/stats/stats.html.j2",
    "build/review/page.html.j2",
    "build/review/review.css",
    "build/review/review.js",
    "serve/page/result.html.j2",
    "serve/page/details.html.j2",
    "serve/page/macros.html.j2",
    "serve/page/page.css",
    "serve/page/page.js",
    "serve/page/words.en.yaml",
    "serve/page/words.zh.yaml",
    "perception/claims.yaml",
    "weights/LICENSE",
    "weights/nano/MODEL_CARD.md",
    "weights/nano/config.json",
    "weights/nano/adapter_config.json",
    "weights/nano/adapter_model.safetensors",
    "weights/nano/projectors.safetensors",
    "weights/nano/heads.safetensors",
    "weights/nano/calibration.json",
    "weights/nano/population.safetensors",
)
MOST_BYTES = 20_000_000

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the tree; without the network where the build back end is installed."""
    folder = tmp_path_factory.mktemp("wheel")
    isolation = [] if find_spec("hatchling") is None else ["--no-isolation"]
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", *isolation, "--outdir", str(folder), str(ROOT)],
        check=True, capture_output=True, text=True, timeout=200,
    )  # fmt: skip
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def python_elsewhere(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Python of an empty environment with the wheel installed; it sees the dependencies, but not the source tree."""
    folder = tmp_path_factory.mktemp("elsewhere") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True, timeout=60)
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    install = ["install", "--quiet", "--no-deps", "--no-index", "--disable-pip-version-check", str(wheel)]
    subprocess.run([sys.executable, "-m", "pip", "--python", str(python), *install], check=True, timeout=100)
    where = subprocess.run(
        [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        check=True, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    # path files inside a folder that a path file names are not read, so an editable install stays out of sight
    Path(where.stdout.strip(), "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return python


def test_the_wheel_holds_the_whole_package_and_only_that(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        inside = {name: archive.getinfo(name).file_size for name in archive.namelist()}
    missing = [name for name in NEEDED if not inside.get(f"emotion_llama/{name}")]
    assert missing == []
    source = {
        f"emotion_llama/{file.relative_to(PACKAGE).as_posix()}"
        for file in PACKAGE.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    assert {name for name in inside if ".dist-info/" not in name} == source
    assert sum(size for name, size in inside.items() if "/weights/nano/" in name) < MOST_BYTES


def test_the_wheel_declares_its_licences(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (path,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        metadata = Parser().parsestr(archive.read(path).decode("utf-8"))
        licences = [name for name in archive.namelist() if "/licenses/" in name]
    assert metadata["License-Expression"] == "Apache-2.0 AND CC-BY-NC-SA-4.0"
    assert len(licences) == 2 and metadata["Requires-Python"] == ">=3.11"


@pytest.mark.weights
def test_the_installed_wheel_analyses_a_clip(
    python_elsewhere: Path, model_name: str, make_clip: Callable[..., Path], tmp_path: Path
) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}

    def run(*words: str) -> str:
        done = subprocess.run(
            [*words], capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=250, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    home = run(str(python_elsewhere), "-c", "import emotion_llama; print(emotion_llama.__file__)")
    assert Path(home.strip()).is_relative_to(python_elsewhere.parents[1])
    make_clip("a.mp4")
    command = str(python_elsewhere.with_name("emotion-llama"))
    words = ("analyze", "a.mp4", "--task", "emotion", "--model", model_name, "--out", "out", "--format", "json,html")
    assert "a.mp4" in run(command, *words)
    assert (tmp_path / "out" / "a.json").exists() and "<html" in (tmp_path / "out" / "a.html").read_text("utf-8")
