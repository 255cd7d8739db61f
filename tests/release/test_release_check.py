"""The check before a release: passes on this tree, and names what is wrong with damaged copies of it."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / ".ci" / "release-check"
FILES = ("pyproject.toml", "CITATION.cff", "CHANGELOG.md", "src/emotion_llama/__init__.py")
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]


def check(root: Path, *words: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--root", str(root), *words],
        capture_output=True, text=True, check=False, timeout=250,
    )  # fmt: skip
    assert done.returncode in (0, 1), done.stderr
    return done.returncode, done.stdout


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the files that state a version, as they are on the day of a release."""
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "CHANGELOG.md").write_text(f"# Changelog\n\n## {VERSION}, 2026-01-02\n\n- What is new.\n", "utf-8")
    return tmp_path


def test_this_tree_states_one_version_and_has_its_section() -> None:
    assert check(ROOT, "--no-build") == (0, f"{VERSION} is fit to be released\n")


def test_a_tree_on_the_day_of_its_release_passes(tree: Path) -> None:
    assert check(tree, "--no-build", "--tag", f"v{VERSION}")[0] == 0


def test_another_tag_is_refused(tree: Path) -> None:
    code, said = check(tree, "--no-build", "--tag", "v9.9.9")
    assert code == 1 and said == f"tag v9.9.9: expected v{VERSION}, the version of pyproject.toml\n"


@pytest.mark.parametrize("name", [name for name in FILES if name != "CHANGELOG.md"])
def test_a_version_that_differs_is_named(tree: Path, name: str) -> None:
    path = tree / name
    text = path.read_text(encoding="utf-8")
    assert VERSION in text
    path.write_text(text.replace(VERSION, "7.7.7", 1), encoding="utf-8")
    code, said = check(tree, "--no-build")
    assert code == 1 and "7.7.7" in said and ("CITATION.cff" in said if name == "pyproject.toml" else name in said)


@pytest.mark.parametrize(
    ("changelog", "tag", "told"),
    [
        ("# Changelog\n\n## 0.0.1, 2025-01-01\n\n- Old.\n", "", f"no section “## {VERSION}”"),
        (f"# Changelog\n\n## {VERSION}1, 2026-01-02\n\n- Another.\n", "", f"no section “## {VERSION}”"),
        (f"# Changelog\n\n## {VERSION}, 2026-01-02\n\n## 0.0.1\n\n- Old.\n", "", "is empty"),
        (f"# Changelog\n\n## {VERSION}, not yet released\n\n- New.\n", f"v{VERSION}", "YYYY-MM-DD"),
    ],
)
def test_a_changelog_that_does_not_tell_is_refused(tree: Path, changelog: str, tag: str, told: str) -> None:
    (tree / "CHANGELOG.md").write_text(changelog, encoding="utf-8")
    code, said = check(tree, "--no-build", "--tag", tag)
    assert code == 1 and told in said


@pytest.fixture(scope="module")
def script() -> ModuleType:
    loader = importlib.machinery.SourceFileLoader("release_check", str(SCRIPT))
    spec = importlib.util.spec_from_loader("release_check", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True  # no cache beside the script
    loader.exec_module(module)
    sys.dont_write_bytecode = before
    return module


@pytest.fixture(scope="module")
def built(script: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    wheel, sdist = script.built(ROOT, tmp_path_factory.mktemp("dist"))
    return wheel, sdist


@pytest.mark.slow
def test_what_is_built_from_this_tree_holds_everything(script: ModuleType, built: tuple[Path, Path]) -> None:
    wheel, sdist = built
    assert [*script.wheel_faults(ROOT, wheel), *script.sdist_faults(sdist)] == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "gone",
    ["perception/identity.npz", "weights/nano/heads.safetensors", "serve/page/result.html.j2", "train/own-data.yaml"],
)
def test_a_file_that_the_wheel_lacks_is_named(
    script: ModuleType, built: tuple[Path, Path], tmp_path: Path, gone: str
) -> None:
    damaged = tmp_path / built[0].name
    with zipfile.ZipFile(built[0]) as whole, zipfile.ZipFile(damaged, "w") as part:
        for name in whole.namelist():
            if name != f"emotion_llama/{gone}":
                part.writestr(name, whole.read(name))
        part.writestr("tests/stray.py", "")
    faults = "\n".join(script.wheel_faults(ROOT, damaged))
    assert f"emotion_llama/{gone} (" in faults and "tests/stray.py does not belong" in faults
    assert len(faults.splitlines()) == (3 if gone.endswith("identity.npz") else 2)  # of two kinds, and the stray one


@pytest.mark.slow
def test_what_was_picked_up_by_accident_is_named(script: ModuleType, built: tuple[Path, Path], tmp_path: Path) -> None:
    damaged = tmp_path / built[1].name
    (tmp_path / "clip.mp4").write_bytes(b"x")
    with tarfile.open(damaged, "w:gz") as archive:
        archive.add(tmp_path / "clip.mp4", "emotion_llama/runs/clip.mp4")
    faults = list(script.sdist_faults(damaged))
    assert len(faults) == 1 + len(script.IN_SDIST) and "runs/clip.mp4 does not belong" in faults[-1]
