"""The command line as a user meets it, in processes of its own: exit codes, messages, what is imported."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("torch", "transformers", "cv2", "av", "faster_whisper", "peft")
PROBE = f"""
import json, sys
from emotion_llama.cli import main
try:
    main()
    code = 0
except SystemExit as stop:
    code = stop.code
print("\\n" + json.dumps({{"code": code, "loaded": [name for name in {HEAVY!r} if name in sys.modules]}}))
"""


def run(*words: str, folder: Path | None = None) -> tuple[dict[str, object], str, str]:
    """Run the command; gives its exit code and the heavy packages it loaded, stdout and stderr."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *words], capture_output=True, text=True, cwd=folder, timeout=120, check=False
    )
    *printed, last = done.stdout.rstrip("\n").splitlines()
    return json.loads(last), "\n".join(printed), done.stderr


@pytest.mark.parametrize("words", [("--help",), ("analyze", "--help"), ("fetch", "--help"), ("doctor", "--help")])
def test_help_loads_nothing_heavy(words: tuple[str, ...]) -> None:
    result, printed, _ = run(*words)
    assert result == {"code": 0, "loaded": []}
    assert "Usage" in printed


def test_importing_the_package_loads_nothing_heavy() -> None:
    program = f"import sys, emotion_llama as el; el.Clip; print([n for n in {HEAVY!r} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


def test_version_is_told() -> None:
    from emotion_llama import __version__

    result, printed, _ = run("--version")
    assert result["code"] == 0 and printed.strip() == f"emotion-llama {__version__}"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("analyze",), "nothing to analyse"),
        (("analyze", "x.mp4", "--labels", "mer10"), "unknown label set 'mer10'"),
        (("analyze", "x.mp4", "--without", "video,audio,text"), "keep at least one"),
        (("analyze", "x.mp4", "--format", "pdf"), "pdf is not one of"),
        (("analyze", "x.mp4", "y.mp4", "--transcript", "hello"), "--transcript is for one recording"),
        (("analyze", "x.mp4", "--jobs", "0"), "--jobs"),
        (("analyze", "x.mp4", "--lables", "mer9"), "--lables"),
        (("dance",), "dance"),
    ],
)
def test_wrong_usage_is_exit_code_2_with_a_reason_and_loads_no_torch(words: tuple[str, ...], message: str) -> None:
    result, _, complaint = run(*words)
    assert result == {"code": 2, "loaded": []}
    assert message in complaint and "Traceback" not in complaint


def test_a_folder_without_media_is_exit_code_1_and_loads_no_torch(tmp_path: Path) -> None:
    result, _, complaint = run("analyze", str(tmp_path))
    assert result["code"] == 1 and "torch" not in result["loaded"]
    assert complaint.startswith(f"emotion-llama: {tmp_path}: no media file") and "Traceback" not in complaint


def test_an_unknown_model_is_exit_code_2(tmp_path: Path) -> None:
    result, _, complaint = run("analyze", "x.mp4", "--model", "huge", folder=tmp_path)
    assert result["code"] == 2 and "unknown model 'huge'" in complaint and "Traceback" not in complaint


@pytest.mark.slow  # two runs of the command line with the whole model
@pytest.mark.weights
def test_a_clip_is_shown_without_noise_and_files_are_written_when_asked(model_name: str, tmp_path: Path) -> None:
    words = ("analyze", "--transcript", "I am so happy", "--task", "emotion", "--model", model_name)
    result, printed, complaint = run(*words, "--format", "json,csv", folder=tmp_path)
    assert result["code"] == 0 and "happy" in printed
    assert "Loading weights" not in complaint
    written = json.loads((tmp_path / "out" / "text.json").read_text(encoding="utf-8"))
    assert written["clip"] == "text" and sum(written["probabilities"].values()) == pytest.approx(1)
    assert (tmp_path / "out" / "text.csv").exists()


@pytest.mark.weights
def test_a_missing_file_is_exit_code_1_and_named(model_name: str, tmp_path: Path) -> None:
    result, _, complaint = run("analyze", "nowhere.mp4", "--model", model_name, folder=tmp_path)
    assert result["code"] == 1 and "Traceback" not in complaint
    assert "nowhere.mp4: no such file" in complaint
