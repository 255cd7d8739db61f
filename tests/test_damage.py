"""Bad input: the message names the file, what was expected and what to do, and nothing is lost.

A full disk while downloading stands in tests/assets, a run killed half-way in tests/analyze/test_folder.py, an unknown
label set in tests/cli; more kinds of damage to media files stand in tests/media.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from emotion_llama.errors import MediaError, UsageError

if TYPE_CHECKING:
    from emotion_llama import Analysis, EmotionLlama

MakeClip = Callable[..., Path]
pytestmark = pytest.mark.weights


def analyze(nano: EmotionLlama, path: Path, **changes: object) -> Analysis:
    found = nano.analyze(path, **({"tasks": ("emotion",), "label_orders": 1} | changes))  # type: ignore[arg-type]
    assert sum(found.probabilities.values()) == pytest.approx(1)
    assert found.clip == str(path)
    return found


def warned(found: Analysis, words: str) -> bool:
    return any(words in line for line in found.warnings)


def refused(nano: EmotionLlama, path: Path) -> str:
    """The message, which names the file and speaks to people."""
    with pytest.raises(MediaError) as caught:
        analyze(nano, path)
    message = str(caught.value)
    assert path.name in message and "Errno" not in message and len(message) < 400
    return message


def test_missing_file(nano: EmotionLlama, tmp_path: Path) -> None:
    assert "no such file; expected a video, sound or picture file" in refused(nano, tmp_path / "gone.mp4")


def test_folder_as_a_clip(nano: EmotionLlama, tmp_path: Path) -> None:
    assert "found a folder" in refused(nano, tmp_path)


def test_empty_file(nano: EmotionLlama, tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    assert "empty (0 bytes); expected a recording; copy or export it again" in refused(nano, tmp_path / "empty.mp4")


def test_text_renamed_to_mp4(nano: EmotionLlama, tmp_path: Path) -> None:
    (tmp_path / "notes.mp4").write_text("Dear diary, today was a good day.\n" * 50)
    assert "no known media format in its content" in refused(nano, tmp_path / "notes.mp4")


def test_truncated_file_without_its_index(nano: EmotionLlama, make_clip: MakeClip) -> None:
    path = make_clip("cut.mp4", seconds=2)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert "cut off" in refused(nano, path) and path.stat().st_size > 0


def test_truncated_file_that_can_be_read_in_part(nano: EmotionLlama, make_clip: MakeClip) -> None:
    path = make_clip("cut.mkv", seconds=2, size=(160, 120))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert warned(analyze(nano, path), "The file is damaged")


def test_a_tenth_of_a_second(nano: EmotionLlama, make_clip: MakeClip) -> None:
    found = analyze(nano, make_clip("brief.mp4", seconds=0.1))
    assert warned(found, "very short") and not found.inputs["audio"].present
    assert found.inputs["audio"].reason == "the sound is shorter than 0.2 s"


def test_4k(nano: EmotionLlama, make_clip: MakeClip) -> None:
    found = analyze(nano, make_clip("huge.mp4", size=(3840, 2160), seconds=0.6, rate=5, level=None))
    assert found.inputs["video"].present


def test_portrait_rotation(nano: EmotionLlama, make_clip: MakeClip) -> None:
    from emotion_llama import Clip
    from emotion_llama.settings import AnalyzeSettings

    path = make_clip("phone.mp4", size=(64, 48), rotation=90, level=None)
    material = nano.examine(Clip(clip="phone", path=path), AnalyzeSettings(tasks=("emotion",))).material
    assert material.peak_rgb is not None and material.peak_rgb.shape == (64, 48, 3)  # higher than wide


def test_no_picture(nano: EmotionLlama, make_clip: MakeClip) -> None:
    found = analyze(nano, make_clip("voice.m4a", size=None))
    assert found.inputs["video"].reason == "the recording has no picture" and found.peak_frame is None
    assert warned(found, "No speech was found")


def test_no_sound(nano: EmotionLlama, make_clip: MakeClip) -> None:
    found = analyze(nano, make_clip("mute.mp4", level=None))
    assert found.inputs["audio"].reason == "the recording has no sound" and found.voice is None
    assert found.inputs["text"].reason == "there was no sound to transcribe and no transcript was given"


def test_digital_silence(nano: EmotionLlama, make_clip: MakeClip) -> None:
    found = analyze(nano, make_clip("quiet.mp4", level=0))
    assert warned(found, "sound track is silent") and found.inputs["audio"].reason == "the sound track is silent"
    assert found.transcript.text == ""


def test_silence_and_nothing_else(nano: EmotionLlama, make_clip: MakeClip) -> None:
    with pytest.raises(MediaError, match=r"quiet\.wav: nothing to analyse: expected a picture"):
        analyze(nano, make_clip("quiet.wav", size=None, level=0), transcribe=False)


def test_black_frames_and_no_face(nano: EmotionLlama, make_clip: MakeClip) -> None:
    found = analyze(nano, make_clip("black.mp4", grey=0, level=None))
    assert warned(found, "nearly black") and warned(found, "No face was found")
    assert found.faces == () and found.action_units == {}


def test_many_faces(nano: EmotionLlama, faces_picture: Path) -> None:
    found = analyze(nano, faces_picture)
    assert warned(found, f"{len(found.faces)} faces were found")


def test_labels_unlike_those_of_training(nano: EmotionLlama) -> None:
    found = nano.analyze(transcript="hello", labels=("hungry", "sleepy"), tasks=("emotion",))
    assert warned(found, "never trained on: hungry, sleepy")
    with pytest.raises(UsageError, match="unknown label set 'hungry'"):
        nano.analyze(transcript="hello", labels="hungry")


def command(model: str, folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "emotion_llama", "analyze", *words, "--model", model, "--task", "emotion"],
        capture_output=True, text=True, cwd=folder, env=os.environ | environment, timeout=250, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    return done


@pytest.mark.slow  # two runs of the command line
def test_no_network_and_an_empty_cache(model_name: str, make_clip: MakeClip, tmp_path: Path) -> None:
    make_clip("a.mp4")
    offline = {"EMOTION_LLAMA_CACHE": str(tmp_path / "cache"), "EMOTION_LLAMA_OFFLINE": "1"}
    one = command(model_name, tmp_path, "a.mp4", **offline)
    assert one.returncode == 1 and "Run: emotion-llama fetch nano" in one.stderr and "is missing" in one.stderr
    make_clip("b.mp4")
    many = command(model_name, tmp_path, "a.mp4", "b.mp4", **offline)
    assert many.returncode == 1 and many.stderr.count("Run: emotion-llama fetch nano") == 1


@pytest.mark.slow  # a run of the command line
def test_an_output_folder_that_cannot_be_made(model_name: str, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    done = command(model_name, tmp_path, "--transcript", "hello", "--out", "taken/out")
    assert done.returncode == 1 and "taken/out: cannot write results there" in done.stderr
    assert "choose another --out" in done.stderr and (tmp_path / "taken").read_text() == "a file"
