"""The scoring benchmark's numbers against values worked out by hand."""

from __future__ import annotations

import importlib.util
import io
import json
import sys
from dataclasses import asdict
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from rich.console import Console
from sklearn.metrics import recall_score

from emotion_llama.clip import MODALITIES, Clip
from emotion_llama.labels import LABEL_SETS
from emotion_llama.settings import AnalyzeSettings

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "score.py"
TRUTH = ("happy", "happy", "happy", "happy", "sad", "sad", "angry", "angry", "angry", "angry")
SAID = ("happy", "happy", "sad", None, "sad", "happy", "angry", "angry", "angry", "calm")


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    spec = importlib.util.spec_from_file_location("score_benchmark", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def part(benchmark: ModuleType, emotions: tuple[str, ...] = TRUTH, labels: str = "ravdess8"):  # type: ignore[no-untyped-def]
    clips = [Clip(clip=str(n), emotion=emotion, speaker=f"A{n % 3}") for n, emotion in enumerate(emotions)]
    return benchmark.Part("made", clips, labels, ("voice",))


def test_numbers_worked_by_hand(benchmark: ModuleType) -> None:
    row = benchmark.score(part(benchmark), "voice", SAID)
    assert (row.part, row.inputs, row.n, row.people, row.classes, row.none) == ("made", "voice", 10, 3, 8, 1)
    assert row.chance == pytest.approx(1 / 8)
    assert row.majority == pytest.approx(4 / 10)
    assert row.war == pytest.approx(6 / 10)
    assert row.uar == pytest.approx((2 / 4 + 1 / 2 + 3 / 4) / 3)
    # F1: happy 2·2/(3+4), sad 2·1/(2+2), angry 2·3/(3+4); weighted by 4, 2, 4 of 10
    assert row.weighted_f1 == pytest.approx(0.4 * 4 / 7 + 0.2 * 1 / 2 + 0.4 * 6 / 7)


def test_an_answer_of_none_is_wrong_for_every_label(benchmark: ModuleType) -> None:
    row = benchmark.score(part(benchmark), "voice", [None] * 10)
    assert (row.war, row.uar, row.weighted_f1, row.none) == (0, 0, 0, 10)
    assert row.war_interval == row.uar_interval == (0, 0)
    neutral = benchmark.score(part(benchmark, ("neutral", "sad")), "voice", [None, "sad"])
    assert neutral.war == 0.5 and neutral.uar == 0.5  # "none" is not a synonym of neutral here


def test_all_right_is_one_without_spread(benchmark: ModuleType) -> None:
    row = benchmark.score(part(benchmark), "voice", TRUTH)
    assert row.war == row.uar == row.weighted_f1 == 1
    assert row.war_interval == row.uar_interval == (1, 1)


def test_truth_is_read_in_the_words_of_the_asked_set(benchmark: ModuleType) -> None:
    row = benchmark.score(
        part(benchmark, ("anger", "joy", "afraid"), "ravdess8"), "voice", ["angry", "happy", "fearful"]
    )
    assert row.war == 1


def test_interval_is_that_of_a_binomial_share(benchmark: ModuleType) -> None:
    truth = ("happy", "sad") * 100
    said = ["happy" if n % 4 else "sad" for n in range(200)]
    row = benchmark.score(part(benchmark, truth), "voice", said)
    low, high = row.war_interval
    half = 1.96 * np.sqrt(row.war * (1 - row.war) / 200)
    assert low == pytest.approx(row.war - half, abs=0.015) and high == pytest.approx(row.war + half, abs=0.015)
    assert benchmark.score(part(benchmark, truth), "voice", said) == row  # seeded


def test_the_middle_of_the_intervals_agrees_with_scikit_learn(benchmark: ModuleType) -> None:
    rng = np.random.default_rng(0)
    truth, said = (rng.choice(["happy", "sad", "angry"], 60, p=[0.7, 0.2, 0.1]) for _ in range(2))
    row = benchmark.score(part(benchmark, tuple(truth)), "voice", list(said))
    draws = [rng.integers(0, 60, 60) for _ in range(400)]
    uar = [recall_score(truth[d], said[d], labels=sorted(set(truth[d])), average="macro") for d in draws]
    assert row.uar_interval == pytest.approx(np.percentile(uar, (2.5, 97.5)), abs=0.03)


def test_each_row_of_inputs_leaves_the_others_out(benchmark: ModuleType) -> None:
    left = {name: set(MODALITIES) - set(without) for name, without in benchmark.INPUTS.items()}
    assert left["video + voice + words"] == {"video", "audio", "text"}
    assert left["video + voice"] == {"video", "audio"}
    assert (left["video"], left["voice"], left["words"]) == ({"video"}, {"audio"}, {"text"})
    for without in benchmark.INPUTS.values():
        AnalyzeSettings(labels=LABEL_SETS["ravdess8"], without=without)


def test_the_model_is_told_nothing_but_the_recording(benchmark: ModuleType) -> None:
    asked: list[tuple[Clip, AnalyzeSettings]] = []

    class Model:
        def analyze(self, clip: Clip, settings: AnalyzeSettings):  # type: ignore[no-untyped-def]
            asked.append((clip, settings))
            return type("Answer", (), {"emotion": None})()

    clips = [Clip(clip="a.wav", path=Path("a.wav"), emotion="sad", speaker="A", transcript="Dogs are sitting.")]
    made = benchmark.Part("made", clips, "ravdess8", ("voice",))
    assert benchmark.answers(Model(), made, "voice") == [None]
    ((clip, settings),) = asked
    assert (clip.transcript, clip.emotion, clip.speaker) == (None, None, None)
    assert set(settings.without) == {"video", "text"} and settings.labels == LABEL_SETS["ravdess8"]


def test_rows_can_be_shown_and_written(benchmark: ModuleType) -> None:
    row = benchmark.score(part(benchmark), "voice", SAID)
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(benchmark.table([row]))
    shown = console.export_text()
    assert "0.600" in shown and "0.125" in shown and "0.400" in shown
    assert json.loads(json.dumps(asdict(row)))["uar"] == row.uar
