"""`evaluate` and `compare` as a stranger types them: exit codes, one line a mistake, no traceback, nothing heavy."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("torch", "transformers", "peft", "faster_whisper")
PICTURES = ("av", "cv2")
PROBE = f"""
import json, sys
from emotion_llama.cli import main
try:
    main()
    code = 0
except SystemExit as stop:
    code = stop.code
print("\\n" + json.dumps([code or 0, [name for name in {HEAVY + PICTURES!r} if name in sys.modules]]))
"""


def run(*words: str | Path) -> tuple[int, list[str], str, str]:
    """Run the command; gives its exit code, the heavy packages it loaded, stdout and stderr."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *map(str, words)], capture_output=True, text=True, timeout=120, check=False
    )
    *printed, last = done.stdout.rstrip("\n").splitlines()
    code, loaded = json.loads(last)
    return code, loaded, "\n".join(printed), done.stderr


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data set and two systems, in a folder with a space and an umlaut; Windows line ends, a byte order mark."""
    folder = tmp_path / "Über alles 1"
    folder.mkdir()
    rows = "".join(f"Bär {n}.mp4,{'happy' if n % 2 else 'sad'}\r\n" for n in range(8))
    (folder / "m.csv").write_bytes(f"clip,emotion\r\n{rows}".encode("utf-8-sig"))
    for name, wrong in (("a", 1), ("b", 3)):
        said = "".join(f"Bär {n}.mp4,{'happy' if n % 2 or n < wrong else 'sad'}\r\n" for n in range(8))
        (folder / f"{name}.csv").write_bytes(f"clip,emotion\r\n{said}".encode("utf-8-sig"))
    return folder


def test_two_systems_are_scored_and_compared_without_heavy_packages(folder: Path) -> None:
    for name in ("a", "b"):
        words = ("--data", folder / "m.csv", "--predictions", folder / f"{name}.csv", "--draws", "100")
        code, loaded, printed, complaints = run("evaluate", "custom", *words, "--out", folder / name)
        assert (code, [one for one in loaded if one in HEAVY], complaints) == (0, [], "")
        assert "8 of 8 clips scored" in printed and "report.html" in printed
    code, loaded, printed, complaints = run(
        "compare", folder / "a", folder / "b", "--out", folder / "c", "--draws", "100"
    )
    assert (code, [one for one in loaded if one in HEAVY], complaints) == (0, [], "")
    assert "McNemar" in printed and (folder / "c/compare.html").is_file()


def test_a_predictions_file_needs_no_media_libraries(folder: Path) -> None:
    words = ("--data", folder / "m.csv", "--predictions", folder / "a.csv", "--draws", "100")
    assert run("evaluate", "custom", *words, "--out", folder / "a")[1] == []


@pytest.mark.parametrize(
    ("words", "code", "what"),
    [
        ((), 2, "give a suite and --data"),
        (("--predictions", "a.csv"), 2, "give a suite and --data"),
        (("custom", "--data", "m.csv"), 2, "give --predictions FILE"),
        (("ravdes", "--data", "m.csv", "--predictions", "a.csv"), 2, "Did you mean 'ravdess'?"),
        (("custom", "--data", "none.csv", "--predictions", "a.csv"), 2, "none.csv: no such file"),
        (("custom", "--data", "m.csv", "--predictions", "none.csv"), 1, "none.csv: cannot read"),
        (("custom", "--data", "m.csv", "--predictions", "a.csv", "--out", "m.csv"), 1, "m.csv: cannot write"),
        (("custom", "--data", "m.csv", "--predictions", "a.csv", "--labels", "crema6"), 0, ""),
        (("custom", "--data", "m.csv", "--predictions", "a.csv", "--labels", "a,b"), 1, "give other --labels"),
        (("custom", "--data", "m.csv", "--predictions", "a.csv", "--draws", "50"), 2, "at least 100 draws"),
    ],
)
def test_mistakes_are_one_line_with_what_to_do(words: tuple[str, ...], code: int, what: str, folder: Path) -> None:
    paths = [str(folder / word) if word.endswith(".csv") else word for word in words]
    draws = () if "--draws" in words else ("--draws", "100")
    out = () if "--out" in words else ("--out", str(folder / "out"))
    found, _, _, complaints = run("evaluate", *paths, *draws, *out)
    assert found == code, complaints
    assert what in complaints and "Traceback" not in complaints
    assert len(complaints.strip().splitlines()) == (1 if code else 0)


def test_strict_turns_problems_into_an_exit_code(folder: Path) -> None:
    (folder / "a.csv").write_text("clip,emotion\nBär 1.mp4,happy\n", encoding="utf-8")
    words = ("evaluate", "custom", "--data", folder / "m.csv", "--predictions", folder / "a.csv", "--draws", "100")
    code, _, printed, _ = run(*words, "--out", folder / "out", "--strict")
    assert code == 1
    assert "Clips without an answer: 7; first: 'Bär 0.mp4' has no prediction" in printed


def test_the_lists_need_no_data_and_nothing_heavy() -> None:
    code, loaded, printed, _ = run("evaluate", "--list")
    assert (code, loaded) == (0, [])
    assert "custom" in printed and "ravdess" in printed and "licence" in printed
    code, _, printed, _ = run("evaluate", "ravdess", "--list")
    assert code == 0 and "caution" in printed
    code, _, _, complaints = run("evaluate", "ravdes", "--list")
    assert code == 2 and "Did you mean 'ravdess'?" in complaints


def test_compare_asks_for_two_runs() -> None:
    code, _, _, complaints = run("compare", "nowhere")
    assert code == 2 and "two or more evaluations" in complaints
    code, _, _, complaints = run("compare", "nowhere", "elsewhere")
    assert code == 1 and "nowhere/report.json: expected the report of an evaluation" in complaints
