from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("prometheus_client", reason="serving needs emotion-llama[serve]")

from emotion_llama.serve.uploads import UploadFolder

KILLED = """
import os, signal
from emotion_llama.serve.uploads import UploadFolder
folder = UploadFolder()
folder.new_path().write_bytes(b"somebody's face")
print(folder.root, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(autouse=True)
def own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)


@pytest.mark.skipif(os.name == "nt", reason="needs signals and POSIX permissions")
def test_what_a_killed_service_left_is_removed_by_the_next_and_what_is_in_use_is_not(tmp_path: Path) -> None:
    living = UploadFolder()
    living.new_path().write_bytes(b"in use")
    done = subprocess.run([sys.executable, "-c", KILLED], capture_output=True, text=True, timeout=60, check=False)
    left = Path(done.stdout.strip())
    assert len(list(left.iterdir())) == 1
    (tmp_path / "emotion-llama-other").mkdir()
    folder = UploadFolder()
    assert not left.exists() and (tmp_path / "emotion-llama-other").is_dir()
    assert len(list(living.root.iterdir())) == 1 and stat.S_IMODE(folder.root.stat().st_mode) == 0o700
    folder.remove()
    living.remove()
    assert [path.name for path in tmp_path.iterdir()] == ["emotion-llama-other"]
