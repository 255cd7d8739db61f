"""Recordings of the machine where a run was started, on another one."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

import pytest
from scale_workers import make_home, make_reader

from emotion_llama.errors import MediaError
from emotion_llama.scale.elsewhere import LARGEST_BYTES, content_of, in_reach
from emotion_llama.scale.spread import spread


def test_what_is_seen_here_is_read_in_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.mp4").write_bytes(b"a")
    for node in ("", "another"):
        monkeypatch.setenv("EMOTION_LLAMA_HOME_NODE", node)
        with in_reach(tmp_path / "a.mp4", tmp_path, lambda path, node: pytest.fail("sent")) as near:
            assert near == tmp_path / "a.mp4"
    monkeypatch.delenv("EMOTION_LLAMA_HOME_NODE")
    with in_reach(Path("gone.mp4"), tmp_path, lambda path, node: pytest.fail("sent")) as near:
        assert near == Path("gone.mp4")


def test_what_is_not_is_copied_for_the_time_being(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOTION_LLAMA_HOME_NODE", "home")
    (tmp_path / "far").mkdir()
    (tmp_path / "far/a b.mp4").write_bytes(b"abc")
    asked: list[tuple[str, str]] = []

    def send(path: str, node: str) -> bytes | int | None:
        asked.append((path, node))
        return content_of(path, 3)

    with in_reach(Path("far/a b.mp4"), tmp_path, send) as near:
        assert near.read_bytes() == b"abc" and near.name == "a b.mp4"
    assert not near.exists() and not near.parent.exists()
    assert asked == [(str(tmp_path / "far/a b.mp4"), "home")]
    with in_reach(Path("far/gone.mp4"), tmp_path, send) as near:
        assert near == Path("far/gone.mp4")
    (tmp_path / "far/a b.mp4").write_bytes(b"abcd")
    with pytest.raises(MediaError, match="put it into a folder that all machines see"):
        in_reach(Path("far/a b.mp4"), tmp_path, send).__enter__()


@pytest.mark.slow
@pytest.mark.skipif(find_spec("ray") is None, reason="needs ray: pip install 'emotion-llama[ray]'")
def test_ray_brings_a_file(tmp_path: Path) -> None:
    """On one machine there is no other node: a worker lets its own read the file."""
    content = os.urandom(3_000_000)
    (tmp_path / "a.mp4").write_bytes(content)
    items = [str(tmp_path / "a.mp4"), str(tmp_path / "gone.mp4")]
    read = dict(spread(make_reader, items, jobs=1, engine="ray"))
    assert read == {0: content, 1: None} and len(content) < LARGEST_BYTES
    assert dict(spread(make_home, items, jobs=1, engine="ray")) == {0: None, 1: None}
