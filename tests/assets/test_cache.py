from __future__ import annotations

from pathlib import Path

import pytest

from emotion_llama import assets
from emotion_llama.assets import cache
from emotion_llama.assets.catalog import Catalog
from emotion_llama.errors import AssetMissingError, UsageError

NOTE = b"a small file"


def ready_note(catalog: Catalog, root: Path) -> Path:
    folder = root / "note"
    folder.mkdir()
    (folder / "note.txt").write_bytes(NOTE)
    cache.write_marker(catalog.asset("note"), folder)
    return folder


def test_state_follows_the_folder(catalog: Catalog, tmp_path: Path) -> None:
    note = catalog.asset("note")
    assert cache.state(note, tmp_path) == "missing"
    folder = ready_note(catalog, tmp_path)
    assert cache.state(note, tmp_path) == "ready"
    assert cache.state(note.model_copy(update={"conversion_version": 2}), tmp_path) == "outdated"
    # a word in the description is no reason to fetch again
    assert cache.state(note.model_copy(update={"title": "other words"}), tmp_path) == "ready"
    (folder / "note.txt").write_bytes(NOTE[:-1])
    assert cache.state(note, tmp_path) == "damaged"
    (folder / "note.txt").unlink()
    assert cache.state(note, tmp_path) == "damaged"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"files": 1}', '{"recipe": "x"}'])
def test_broken_marker_is_damage_not_a_crash(catalog: Catalog, tmp_path: Path, text: str) -> None:
    folder = ready_note(catalog, tmp_path)
    (folder / cache.MARKER).write_text(text)
    assert cache.state(catalog.asset("note"), tmp_path) == "damaged"


def test_files_without_marker_are_not_ready(catalog: Catalog, tmp_path: Path) -> None:
    (ready_note(catalog, tmp_path) / cache.MARKER).unlink()
    assert cache.state(catalog.asset("note"), tmp_path) == "missing"


def test_path_of_a_missing_asset_names_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOTION_LLAMA_CACHE", str(tmp_path))
    with pytest.raises(AssetMissingError, match="emotion-llama fetch nano") as caught:
        assets.path("whisper-base")
    assert str(tmp_path / "whisper-base") in str(caught.value)
    with pytest.raises(UsageError, match="whisper-base"):
        assets.path("wisper-base")


def test_cache_folder_is_the_environments_else_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOTION_LLAMA_CACHE", str(tmp_path))
    assert assets.cache_dir() == tmp_path
    monkeypatch.delenv("EMOTION_LLAMA_CACHE")
    assert assets.cache_dir().is_absolute() and "emotion-llama" in assets.cache_dir().parts


@pytest.mark.parametrize(("value", "offline"), [("1", True), ("true", True), ("0", False), ("", False), ("no", False)])
def test_offline_variable(monkeypatch: pytest.MonkeyPatch, value: str, offline: bool) -> None:
    monkeypatch.setenv("EMOTION_LLAMA_OFFLINE", value)
    assert cache.is_offline() is offline
