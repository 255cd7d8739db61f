"""`emotion-llama export` from the command line: the tiny checkpoint through all three, and refusals."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from emotion_llama.cli.export import export
from emotion_llama.errors import UsageError

RUN = CliRunner()


def call(*words: object) -> list[str]:
    done = RUN.invoke(export, [str(word) for word in words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout.split()


def test_all_three(checkpoint_dir: Path, tmp_path: Path) -> None:
    assert call("merged", checkpoint_dir, "--out", tmp_path / "m", "--dtype", "float16") == [str(tmp_path / "m")]
    assert call("hub", checkpoint_dir, "--out", tmp_path / "h", "--licence", "mit") == [str(tmp_path / "h")]
    assert "license: mit" in (tmp_path / "h" / "README.md").read_text()
    written = call("gguf-llm", checkpoint_dir, "--out", tmp_path / "g.gguf", "--type", "f32")
    assert written[0] == str(tmp_path / "g.gguf") and all(Path(path).is_file() for path in written)
    call("gguf-llm", tmp_path / "m", "--out", tmp_path / "again.gguf")  # a merged folder needs no language model


def test_the_language_model_may_lie_elsewhere(checkpoint_dir: Path, llm_dir: Path, tmp_path: Path) -> None:
    call("merged", checkpoint_dir, "--out", tmp_path / "m", "--llm", llm_dir)
    assert (tmp_path / "m" / "tokenizer.json").is_file()


def test_a_wrong_push_name_stops_before_anything_is_written(checkpoint_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="give OWNER/NAME"):
        call("hub", checkpoint_dir, "--out", tmp_path / "h", "--push", "calls")
    assert not (tmp_path / "h").exists()


def test_help_loads_no_torch() -> None:
    code = (
        "import sys\nfrom typer.testing import CliRunner\nfrom emotion_llama.cli.export import export\n"
        "done = CliRunner().invoke(export, ['merged', '--help'])\n"
        "assert done.exit_code == 0 and '--max-shard-size' in done.output\n"
        "assert not {'torch', 'transformers', 'gguf'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
