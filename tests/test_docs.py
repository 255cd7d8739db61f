"""README and docs show what the project has: blocks compile, commands and options exist; the checker would notice."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.fixture(scope="module")
def check() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_check", ROOT / "docs" / "check.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_python_blocks_compile(check: ModuleType, path: Path) -> None:
    assert check.bad_python(path) == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_commands_and_options_exist(check: ModuleType, path: Path) -> None:
    assert check.unknown_commands(path) == []


def test_the_readme_has_something_to_check(check: ModuleType) -> None:
    blocks = check.fenced((ROOT / "README.md").read_text(encoding="utf-8"))
    shell = "".join(code for language, code in blocks if language == "bash")
    assert "make demo" in shell and "make test" in shell and "emotion-llama analyze" in shell
    assert any("import emotion_llama" in code for language, code in blocks if language == "python")


def test_names_in_the_readmes_python_are_public(check: ModuleType) -> None:
    import emotion_llama as el

    blocks = check.fenced((ROOT / "README.md").read_text(encoding="utf-8"))
    code = "".join(block for language, block in blocks if language == "python")
    used = set(re.findall(r"\bel\.(\w+)", code))
    assert used and used <= set(el.__all__)


def test_the_picture_of_the_tree_is_true() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    layout = text.split("\nsrc/emotion_llama/\n")[1].split("```")[0].split("\nconfigs/")[0]
    shown: set[str] = set()
    folders: list[str] = []
    for line in layout.splitlines():
        depth = (len(line) - len(line.lstrip())) // 2 - 1
        names = re.match(r"\s*(\S+(?:  \S+\.py)*)", line)
        assert names is not None
        for name in names[1].split():
            folders[depth:] = [name.rstrip("/")] if name.endswith("/") else []
            shown |= {"/".join([*folders, name])} if "." in name and not name.endswith("/") else set()
    package = ROOT / "src" / "emotion_llama"
    found = {p.relative_to(package).as_posix() for p in package.rglob("*") if p.is_file()}
    kept = {p for p in found if p.endswith((".py", ".yaml", ".j2", ".css", ".npz")) and "weights/" not in f"/{p}"}
    assert shown == {p for p in kept if not p.endswith("__init__.py")} - {"__main__.py"}


@pytest.fixture()
def document(check: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place for a made document; the checker takes its folder for the project."""
    monkeypatch.setattr(check, "ROOT", tmp_path)
    (tmp_path / "Makefile").write_text("demo:\n\ttrue\n", encoding="utf-8")
    return tmp_path / "made.md"


def test_a_broken_block_after_another_block_is_noticed(check: ModuleType, document: Path) -> None:
    document.write_text("```python\nx = 1\n```\nfine\n\n```python\nx = (\n```\n", encoding="utf-8")
    (wrong,) = check.bad_python(document)
    assert "made.md" in wrong and "does not compile" in wrong


def test_unknown_commands_and_options_are_noticed_in_any_block(check: ModuleType, document: Path) -> None:
    document.write_text(
        "```python\nx = 1\n```\nemotion-llama prose\n\n```bash\nmake demo\nmake tea\nemotion-llama analyse a.mp4\n"
        "emotion-llama analyze a.mp4 --outt x --labels mer9\nemotion-llama help\n```\n\n"
        "```json\n{}\n```\n\n```\nmake coffee\n```\n",
        encoding="utf-8",
    )
    wrong = "\n".join(check.unknown_commands(document))
    for command in (
        "`make tea`",
        "`make coffee`",
        "`emotion-llama analyse`",
        "`emotion-llama help`",
        "no option --outt",
    ):
        assert command in wrong
    for fine in ("demo", "--labels", "prose"):
        assert fine not in wrong


def test_an_option_must_match_in_full(check: ModuleType, document: Path) -> None:
    document.write_text("```bash\nemotion-llama analyze a.mp4 --lab x\n```\n", encoding="utf-8")
    assert check.unknown_commands(document) == ["made.md: `emotion-llama analyze` has no option --lab"]


def test_links_to_missing_files_are_noticed(check: ModuleType, document: Path) -> None:
    document.write_text("[a](made.md#top) [b](https://example.org/x) [c](gone.md) ![d](gone.png)\n", encoding="utf-8")
    assert check.broken_links(document) == [
        "made.md: link to gone.md: no such file",
        "made.md: link to gone.png: no such file",
    ]
