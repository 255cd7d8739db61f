"""A whole run: what it leaves behind explains itself, opens, and is not done twice."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import emotion_llama as el
from emotion_llama.analyze.calibration import Calibration
from emotion_llama.cli import app
from emotion_llama.errors import ModelError, UsageError
from emotion_llama.evaluate.predictions import read_predictions
from emotion_llama.manifest import read_manifest
from emotion_llama.model.checkpoint import adapter_sha256
from emotion_llama.train.record import RECORD
from emotion_llama.train.run import run
from tests.train.tiny_run import WORDS, configured, largest_difference, tiny_llm, weights, write_settings

CHANGES = (
    "schedule.steps=10", "score_test=true", "trackers=[tensorboard]", "calibration.orders=2", "licence=CC0-1.0",
    "model.heads=[{name: ear, array: both, strengths: [0.01, 0.1], folds: 3}]",
    "model.features=[{name: video, modality: video}, {name: audio, modality: audio}, "
    "{name: ear, modality: audio, head: ear}]",
)  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run; its settings and data lie one above."""
    folder = tmp_path_factory.mktemp("finished")
    return run(configured(folder, *CHANGES, people=8, takes=4))


@pytest.fixture(scope="module")
def record(finished: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((finished / RECORD).read_text(encoding="utf-8"))
    return found


def test_the_folder_holds_what_was_promised_and_no_scaffolding(finished: Path) -> None:
    names = {path.name for path in finished.iterdir()}
    assert names == {
        "config.json", "adapter_config.json", "adapter_model.safetensors", "projectors.safetensors",
        "heads.safetensors", "calibration.json", "test", "tensorboard", "started.json", RECORD,
    }  # fmt: skip
    assert {p.name for p in (finished / "test").iterdir()} == {
        "voices.clips.jsonl", "voices.predictions.jsonl", "voices.baseline.jsonl",
    }  # fmt: skip
    assert any(finished.joinpath("tensorboard").rglob("events*"))


def test_the_record_is_complete(finished: Path, record: dict[str, Any]) -> None:
    assert record["schema"] == "1" and record["seed"] == 0 and record["licence"] == "CC0-1.0"
    assert record["config"]["schedule"]["steps"] == 10 and record["config"]["samples"]["balance"] == "balanced"
    (data,) = record["data"]
    assert data["name"] == "voices" and data["clips"] == {"train": 192, "validation": 32, "test": 32}
    assert re.fullmatch("[0-9a-f]{64}", data["sha256"])
    assert {"torch", "transformers", "peft", "accelerate", "python"} <= record["versions"].keys()
    assert all(isinstance(version, str) for version in record["versions"].values() if version is not None)
    assert record["git_commit"] is None or re.match("[0-9a-f]{40}", record["git_commit"])
    assert record["adapter_sha256"] == adapter_sha256(finished)
    assert isinstance(record["seconds"], int) and record["left_out"] == []
    assert set(record["heads"]["ear"]) == {"train", "validation", "test"}


def test_scores_by_step_and_the_best_of_them(record: dict[str, Any]) -> None:
    assert [one["step"] for one in record["scores"]] == [1, 4, 8, 10]
    assert all(one["loss"] > 0 and one["loss_by_task"]["emotion"] > 0 for one in record["scores"])
    validated = {one["step"]: one["validation"] for one in record["scores"] if "validation" in one}
    assert validated.keys() == {4, 8, 10}
    assert all({"war", "uar", "weighted_f1", "nll", "ece", "n"} <= scores.keys() for scores in validated.values())
    best = record["best"]
    assert best["metric"] == "nll" and best["value"] == min(scores["nll"] for scores in validated.values())
    assert validated[best["step"]]["nll"] == best["value"]


def test_test_scores_are_those_of_the_files(finished: Path, record: dict[str, Any]) -> None:
    found = record["test"]["voices"]
    assert found["n"] == 32 and found["labels"] == list(WORDS)
    assert {"war", "uar", "weighted_f1", "nll", "ece"} <= found.keys()
    truth = {clip.clip: clip.emotion for clip in read_manifest(finished / "test" / "voices.clips.jsonl")}
    read = read_predictions(finished / "test" / "voices.predictions.jsonl").predictions
    assert found["war"] == pytest.approx(sum(truth[one.clip] == one.emotion for one in read) / 32)


def test_the_result_opens_and_analyses_a_text(finished: Path) -> None:
    model = el.load(finished, dtype="float32", threads=1)
    analysis = model.analyze(None, transcript="Kids are talking by the door.", labels=WORDS, tasks=("emotion",))
    assert analysis.emotion in WORDS and set(analysis.probabilities) == set(WORDS)
    assert sum(analysis.probabilities.values()) == pytest.approx(1.0)
    assert analysis.provenance.weights_sha256 == adapter_sha256(finished)
    assert model.calibration == Calibration.read(finished / "calibration.json")
    assert "validation people: voices" in model.calibration.fitted_on
    assert set(model.parts.heads) == {"ear"}


def test_a_finished_run_is_not_done_again(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = {path: path.stat().st_mtime_ns for path in finished.rglob("*")}
    assert run(configured(finished.parent, *CHANGES)) == finished
    assert "finished; nothing to do" in " ".join(capsys.readouterr().err.split())
    assert {path: path.stat().st_mtime_ns for path in finished.rglob("*")} == files


def test_the_command_refuses_another_run_in_its_folder(finished: Path) -> None:
    """Exit code 2, the keys named; nothing is touched."""
    before = hashlib.sha256((finished / RECORD).read_bytes()).hexdigest()
    path = write_settings(finished.parent, CHANGES)
    with pytest.raises(UsageError, match=r"\(samples\.blank, seed\)"):
        CliRunner().invoke(app, ["train", str(path), "seed=3", "samples.blank=0.5"], catch_exceptions=False)
    assert hashlib.sha256((finished / RECORD).read_bytes()).hexdigest() == before


def test_one_seed_gives_one_result_and_another_another(tmp_path: Path) -> None:
    changes = ("schedule.steps=3", "calibration=null")
    ends = [
        weights(run(configured(tmp_path, *changes, f"seed={seed}", f"out={tmp_path / name}")))
        for seed, name in ((4, "a"), (4, "b"), (5, "c"))
    ]
    assert largest_difference(ends[0], ends[1]) == 0.0 < largest_difference(ends[1], ends[2])
    uncalibrated = el.load(tmp_path / "a", dtype="float32", threads=1).calibration
    assert uncalibrated == Calibration() and uncalibrated.fitted_on == "not fitted"


def test_training_goes_on_from_a_result(finished: Path, tmp_path: Path) -> None:
    changes = ("model.features=[]", "model.lora=null", "schedule.steps=2", f"model.init={finished}", "score_test=true")
    out = run(configured(tmp_path, *changes, people=8))
    found = json.loads((out / RECORD).read_text(encoding="utf-8"))
    assert found["test"]["voices"]["n"] == 8
    assert largest_difference(weights(out), weights(finished)) > 1e-6
    assert (out / "heads.safetensors").read_bytes() == (finished / "heads.safetensors").read_bytes()
    assert json.loads((out / "config.json").read_text("utf-8"))["llm"] == str(tiny_llm())


def test_a_run_without_validation_people_keeps_its_last_weights(tmp_path: Path) -> None:
    out = run(
        configured(
            tmp_path, "data.sources.voices.split=null", "data.sources.voices.side=train", "schedule.steps=2",
            "model.train=[lora]",
        )
    )  # fmt: skip
    found = json.loads((out / RECORD).read_text(encoding="utf-8"))
    assert found["best"] is None and "validation" not in found and [one["step"] for one in found["scores"]] == [1, 2]


def test_hidden_groups_of_a_checkpoint_must_be_its_own(finished: Path, tmp_path: Path) -> None:
    changes = ("model.features=[]", "model.lora=null", f"model.init={finished}", "samples.feature_drop={eye: 0.5}")
    with pytest.raises(ModelError, match=r"feature_drop: eye names no feature group .* known are video, audio, ear"):
        run(configured(tmp_path, *changes, people=8))
