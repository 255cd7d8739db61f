"""Content hashes are remembered, and never believed after a file changed."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from emotion_llama.errors import OutputError
from emotion_llama.train.hashes import FileHashes


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_hashes_are_those_of_the_content_and_change_with_it(tmp_path: Path) -> None:
    path, memory = tmp_path / "a.wav", tmp_path / "deep" / "hashes.json"
    path.write_bytes(b"first")
    hashes = FileHashes(memory)
    assert hashes.of(path) == sha256(path)
    hashes.save()
    path.write_bytes(b"second")
    assert FileHashes(memory).of(path) == sha256(path)
    path.write_bytes(b"drawn")  # as long as the one that is remembered
    os.utime(path, ns=(1, 1))
    assert FileHashes(memory).of(path) == sha256(path)


def test_an_unchanged_file_is_not_read_again(tmp_path: Path) -> None:
    path, memory = tmp_path / "a.wav", tmp_path / "hashes.json"
    path.write_bytes(b"first")
    stat = path.stat()
    hashes = FileHashes(memory)
    before = hashes.of(path)
    hashes.save()
    path.write_bytes(b"other")  # a change that size and time do not show, as if nothing had happened
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert FileHashes(memory).of(path) == before
    assert FileHashes(tmp_path / "none.json").of(path) == sha256(path)


@pytest.mark.parametrize("content", [b"", b"{", b"[1, 2]", b"\xff", b"null", b'{"a": 1}'])
def test_a_memory_that_cannot_be_read_is_made_anew(tmp_path: Path, content: bytes) -> None:
    path, memory = tmp_path / "a.wav", tmp_path / "hashes.json"
    path.write_bytes(b"first")
    memory.write_bytes(content)
    hashes = FileHashes(memory)
    assert hashes.of(path) == sha256(path)
    hashes.save()
    assert str(path.resolve()) in json.loads(memory.read_text(encoding="utf-8"))


def test_nothing_new_writes_nothing_and_nothing_is_left_behind(tmp_path: Path) -> None:
    memory = tmp_path / "hashes.json"
    FileHashes(memory).save()
    assert not memory.exists()
    (tmp_path / "a.wav").write_bytes(b"x")
    hashes = FileHashes(memory)
    hashes.of(tmp_path / "a.wav")
    hashes.save()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.wav", "hashes.json"]


def test_what_cannot_be_read_or_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        FileHashes(tmp_path / "hashes.json").of(tmp_path / "absent.wav")
    (tmp_path / "file").write_text("a file where the folder should be", encoding="utf-8")
    (tmp_path / "a.wav").write_bytes(b"x")
    hashes = FileHashes(tmp_path / "file" / "hashes.json")
    hashes.of(tmp_path / "a.wav")
    with pytest.raises(OutputError, match=r"hashes\.json: cannot be written .*; free space"):
        hashes.save()
