"""The words of the command line are checked before anything is loaded."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from emotion_llama.analyze.command import Request, run_command, settings_of, words
from emotion_llama.errors import OutputError, UsageError
from emotion_llama.labels import LABEL_SETS

REQUEST = Request(
    inputs=(), labels="mer9", tasks="emotion", transcript=None, transcribe=True, model="nano", frame="peak", without="",
    out=None, formats=None, seed=3, device="cpu", jobs=1, overwrite=False,
)  # fmt: skip


def test_words_are_split_once_each_in_order() -> None:
    assert words(" html, JSON,,html ", ("json", "html"), "--format") == ("html", "json")
    with pytest.raises(UsageError, match="--format: pdf is not one of json, html"):
        words("json,pdf", ("json", "html"), "--format")


def test_typed_words_become_settings() -> None:
    request = replace(REQUEST, labels="a, b", tasks="reason,audio", frame="Middle", without="text", transcribe=False)
    settings = settings_of(request)
    assert (settings.labels, settings.tasks, settings.frame) == (("a", "b"), ("reason", "audio"), "middle")
    assert (settings.without, settings.transcribe, settings.seed) == (("text",), False, 3)
    assert settings_of(replace(REQUEST, labels="dfew7")).labels == LABEL_SETS["dfew7"]
    assert settings_of(replace(REQUEST, labels="open")).labels == ()
    chinese = settings_of(replace(REQUEST, labels="高兴，悲伤、joy", language="ZH"))
    assert (chinese.language, chinese.labels) == ("zh", ("happy", "sad", "joy"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": "mer10"}, "unknown label set 'mer10'.*Did you mean"),
        ({"labels": "happy,sad,happy"}, "happy more than once"),
        ({"language": "tlh"}, "--language: tlh is not one of en, zh"),
        ({"labels": "高兴,happy"}, "happy more than once"),
        ({"tasks": "emotion,dance"}, "--task: dance is not one of emotion, reason, visual, audio"),
        ({"tasks": ""}, "tasks: choose from emotion"),
        ({"frame": "best"}, "--frame: best is not one of peak, first, middle, random"),
        ({"frame": "first,middle"}, "--frame: expected one of.*found 'first,middle'"),
        ({"frame": ""}, "--frame: expected one of"),
        ({"without": "smell"}, "--without: smell"),
        ({"without": "video,audio,text"}, "all left out; keep at least one"),
        ({"formats": "pdf"}, "--format: pdf is not one of json, csv, csv-long, parquet, html, vtt"),
        ({"formats": ","}, "--format: expected one or more"),
        ({"timeline": True, "window_s": 0.0}, "window_s must be 1 to 60 seconds, found 0"),
        ({"timeline": True, "step_s": 9.0}, "step_s must be 0.5 seconds to the length of a window"),
        ({"timeline": True, "label_method": "generate-last-word"}, "timeline: windows are scored by likelihood"),
        ({}, "nothing to analyse"),
    ],
)
def test_wrong_words_are_usage_errors(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    inputs = ("x.mp4",) if change else ()
    with pytest.raises(UsageError, match=message) as caught:
        run_command(replace(REQUEST, inputs=inputs, out=tmp_path / "out", **change))
    assert "Value error" not in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("inputs", "change", "message"),
    [
        (("x.mp4",), {"engine": "ray"}, "they spread a folder or a manifest, and one recording was given"),
        (("x.mp4", "y.mp4"), {"engine": "dask"}, "engine 'dask': expected local or ray"),
        (("x.mp4", "y.mp4"), {"address": "10.0.0.1:6379"}, "give --engine ray too"),
        (("x.mp4", "y.mp4"), {"engine": "ray", "device": "cuda:0"}, "Ray chooses which GPU a worker gets"),
    ],
)
def test_workers_that_do_not_go_together_are_refused(
    inputs: tuple[str, ...], change: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=message):
        run_command(replace(REQUEST, inputs=inputs, out=tmp_path / "out", **change))
    assert not (tmp_path / "out").exists()


def test_an_unknown_model_is_told_before_the_folder_is_touched(tmp_path: Path) -> None:
    for inputs in (("x.mp4",), ("x.mp4", "y.mp4")):
        with pytest.raises(UsageError, match="unknown model 'huge': give one of nano or a checkpoint folder"):
            run_command(replace(REQUEST, inputs=inputs, model="huge", out=tmp_path / "out"))
    assert not (tmp_path / "out" / "analyses.jsonl").exists()


def test_an_output_folder_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("I am a file")
    with pytest.raises(OutputError, match=r"cannot write results there.*choose another --out"):
        run_command(replace(REQUEST, inputs=("x.mp4", "y.mp4"), out=tmp_path / "out"))


def test_a_table_of_action_units_is_for_one_recording(tmp_path: Path) -> None:
    table = tmp_path / "a.csv"
    with pytest.raises(UsageError, match=r"--action-units: expected a table or a folder of tables, found nothing at"):
        run_command(replace(REQUEST, inputs=("x.mp4",), action_units=table))
    table.touch()
    with pytest.raises(UsageError, match=r"--action-units: .*a\.csv is the table of one recording, and 2 were given"):
        run_command(replace(REQUEST, inputs=("x.mp4", "y.mp4"), action_units=table))
    assert settings_of(replace(REQUEST, action_units=table)).action_units == table


def test_parquet_without_pyarrow_is_told_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UsageError, match=r"pip install 'emotion-llama\[parquet\]'"):
        run_command(replace(REQUEST, inputs=("x.mp4",), formats="json,parquet", out=tmp_path / "out"))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("inputs", "span", "message"),
    [
        (("a.mp4", "b.mp4"), (1.0, 2.0), "they cut one recording"),
        ((), (1.0, 2.0), "they cut one recording"),
        (("a.mp4",), (3.0, 2.0), r"--end 2: expected a second after --start \(3\)"),
    ],
)
def test_a_part_of_one_recording(inputs: tuple[str, ...], span: tuple[float, float], message: str) -> None:
    typed = {"transcript": None if inputs else "hi", "start_s": span[0], "end_s": span[1]}
    words = replace(REQUEST, inputs=inputs, **typed)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=message):
        run_command(words)
