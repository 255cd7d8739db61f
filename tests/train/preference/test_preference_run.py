"""Preference and reward training as a user starts it: settings and data in, a checkpoint that explains itself out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer
from trl import DPOConfig, GRPOConfig
from typer.testing import CliRunner

import emotion_llama as el
from emotion_llama.cli import app
from emotion_llama.errors import ManifestError, UsageError
from emotion_llama.model.checkpoint import adapter_sha256
from emotion_llama.overrides import read_config
from emotion_llama.train.config import TrainConfig
from emotion_llama.train.preference.arguments import trl_arguments
from emotion_llama.train.preference.training_run import RECORD as OWN_RECORD
from emotion_llama.train.record import RECORD
from emotion_llama.train.run import run
from tests.train.tiny_run import WORDS, configured, largest_difference, tiny_llm, weights, write_settings

CONFIGS = Path(__file__).parents[3] / "configs" / "train"
GOING_ON = ("model.features=[]", "model.lora=null", "samples={}", "schedule={}", "validation={}")
ALL_TRAIN = ("data.sources.voices.split=null", "data.sources.voices.side=train")
SHORT = {"steps": 2, "save_every": 1, "questions": 12, "questions_validation": 4, "max_new_tokens": 2}
DPO_OPTIONS = {"per_device_train_batch_size": 4, "learning_rate": 0.01}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds the data, and in `run` a checkpoint to go on from."""
    found = tmp_path_factory.mktemp("preference")
    run(configured(found, "schedule.steps=2", "calibration=null", people=8))
    return found


def grpo_options() -> dict[str, Any]:
    """Answers are single words of the label set: some are right, so that there is something to be rewarded."""
    tokenizer = AutoTokenizer.from_pretrained(tiny_llm())
    said = {tokenizer(f" {word}", add_special_tokens=False)["input_ids"][0] for word in WORDS}
    others = [token for token in range(len(tokenizer)) if token not in said and token != tokenizer.eos_token_id]
    return {
        "per_device_train_batch_size": 16, "num_generations": 8, "max_completion_length": 2, "learning_rate": 0.01,
        "generation_kwargs": {"suppress_tokens": others},
    }  # fmt: skip


def settings(folder: Path, method: str, out: Path, *changes: str, **preference: Any) -> TrainConfig:
    """Settings of a run of two steps that goes on from the folder's checkpoint."""
    trl = DPO_OPTIONS if method == "dpo" else grpo_options()
    found = SHORT | preference
    found["trl"] = trl | preference.get("trl", {})
    words = (f"method={method}", f"model.init={folder / 'run'}", f"out={out}", f"preference={json.dumps(found)}")
    return configured(folder, *GOING_ON, *words, *changes)


def read(out: Path, name: str = RECORD) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / name).read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize("method", ["dpo", "grpo"])
def test_a_whole_run(folder: Path, tmp_path: Path, method: str) -> None:
    out = run(settings(folder, method, tmp_path / "out", "model.train=[lora]", "score_test=true"))
    assert {path.name for path in out.iterdir()} - {"pairs.jsonl"} == {
        "config.json", "adapter_config.json", "adapter_model.safetensors", "projectors.safetensors", "calibration.json",
        "test", "started.json", "preference.started.json", OWN_RECORD, RECORD,
    }  # fmt: skip
    assert (out / "pairs.jsonl").is_file() == (method == "dpo")
    found, own = read(out), read(out, OWN_RECORD)
    assert found["config"]["method"] == own["method"] == method and found["best"] is None
    assert [one["step"] for one in found["scores"]] == [1, 2] and all("loss" in one for one in found["scores"])
    facts = found["preference"]
    assert facts["data"]["validation"] == facts["validation"]["before"]["n"] == facts["validation"]["after"]["n"] == 4
    assert facts["data"]["pairs" if method == "dpo" else "samples"] == 12 and facts["resumed_from"] is None
    assert [one["step"] for one in facts["steps"]] == [1, 2]
    assert ("rewards/label_match/mean" if method == "grpo" else "rewards/margins") in facts["steps"][0]
    assert found["adapter_sha256"] == own["adapter_sha256"] == adapter_sha256(out) and found["versions"]["trl"]
    assert found["test"]["voices"]["n"] == 8 and found["validation"]["voices"]["n"] == 8
    before, after = weights(folder / "run"), weights(out)
    moved = {name.split("/")[0] for name in after if not before[name].equal(after[name])}
    assert moved == {"adapter_model.safetensors"}  # the projectors are frozen
    analysis = el.load(out, dtype="float32", threads=1).analyze(
        None, transcript="Well.", labels=WORDS, tasks=("emotion",)
    )
    assert set(analysis.probabilities) == set(WORDS)


@pytest.mark.parametrize("method", ["dpo", "grpo"])
def test_a_killed_run_ends_with_the_weights_of_a_whole_one(folder: Path, tmp_path: Path, method: str) -> None:
    whole = run(settings(folder, method, tmp_path / "whole", "calibration=null"))
    out = tmp_path / "killed"
    obstacle = out / "checkpoints" / "checkpoint-2"  # a file where the second checkpoint's folder must be
    obstacle.parent.mkdir(parents=True)
    obstacle.touch()
    config = settings(folder, method, out, "calibration=null")
    with pytest.raises(OSError):
        run(config)
    assert not (out / RECORD).exists() and not (out / OWN_RECORD).exists()
    obstacle.unlink()
    made = (out / "pairs.jsonl").read_bytes() if method == "dpo" else b""
    run(config)
    assert read(out)["preference"]["resumed_from"] == "checkpoint-1"
    assert (
        largest_difference(weights(out), weights(whole))
        == 0.0
        < largest_difference(weights(out), weights(folder / "run"))
    )
    assert read(out)["preference"]["steps"] == read(whole)["preference"]["steps"]
    if method == "dpo":
        assert (out / "pairs.jsonl").read_bytes() == made == (whole / "pairs.jsonl").read_bytes()


def test_steps_that_are_done_are_not_done_again(folder: Path, tmp_path: Path) -> None:
    """Killed while it was calibrated: the adapter is there, the record is not."""
    config = settings(folder, "dpo", tmp_path / "out")
    out = run(config)
    before, adapter = read(out), (out / "adapter_model.safetensors").stat().st_mtime_ns
    (out / RECORD).unlink()
    (out / "calibration.json").unlink()
    run(config)
    assert (out / "adapter_model.safetensors").stat().st_mtime_ns == adapter
    after = read(out)
    assert all(after[name] == before[name] for name in ("preference", "scores", "validation", "adapter_sha256"))
    (out / RECORD).unlink()
    with pytest.raises(UsageError, match=r"other settings \(preference\.trl\.beta\)"):
        run(settings(folder, "dpo", out, "preference.trl.beta=0.3"))


def test_own_pairs(folder: Path, tmp_path: Path) -> None:
    rows = [
        {"clip": f"p{n}-{word}-0", "task": "emotion", "chosen": word, "rejected": "calm"}
        for n in (1, 2)
        for word in WORDS[2:5]
    ]
    (folder / "mine.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    found = read(run(settings(folder, "dpo", tmp_path / "out", *ALL_TRAIN, pairs={"file": "mine.jsonl"})))
    assert found["preference"]["data"]["pairs"] == 6 and not (tmp_path / "out" / "pairs.jsonl").exists()
    assert found["preference"]["validation"] == {"before": None, "after": None}  # nobody is held back


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"clip": "gone"}, r"mine\.jsonl:2: expected one sample of clip 'gone' with task 'emotion', found 0"),
        ({"rejected": "sad"}, r"mine\.jsonl:2: expected two different answers"),
        ({"chosen": None}, r"mine\.jsonl:2: expected clip, task, chosen and rejected"),
    ],
)
def test_bad_pairs_are_named_before_anything_is_learned(
    folder: Path, tmp_path: Path, row: dict[str, Any], message: str
) -> None:
    good = {"clip": "voices/p1-sad-0", "task": "emotion", "chosen": "sad", "rejected": "happy"}
    (folder / "mine.jsonl").write_text(f"{json.dumps(good)}\n{json.dumps(good | row)}\n", encoding="utf-8")
    with pytest.raises(ManifestError, match=message):
        run(settings(folder, "dpo", tmp_path / "out", *ALL_TRAIN, pairs={"file": "mine.jsonl"}))
    assert not (tmp_path / "out" / "config.json").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (("preference={}",), "preference: only methods dpo and grpo read it"),
        (("method=dpo", "preference={}"), "method dpo: expected model.init, the checkpoint to go on from, found none"),
        (("method=grpo", "model.init=nano"), "method grpo: expected preference"),
        (("method=grpo", "model.init=nano", "preference.pairs.file=x.jsonl"), "only method dpo reads pairs"),
        (("method=dpo", "model.init=nano", "preference={}"), "leave schedule and validation out"),
        ((*GOING_ON, "method=dpo", "model.init=nano", "preference={}", "samples.mix=combine"), "leave mix and feature"),
        ((*GOING_ON, "method=dpo", "model.init=nano", "preference.stebs=3"), "did you mean 'steps'"),
        ((*GOING_ON, "method=ppo", "model.init=nano", "preference={}"), "'sft', 'dpo' or 'grpo'"),
    ],
)
def test_settings_that_do_not_fit_are_refused(folder: Path, tmp_path: Path, changes: tuple[str, ...], message: str):
    path = write_settings(folder)
    with pytest.raises(UsageError, match=message):
        CliRunner().invoke(app, ["train", str(path), f"out={tmp_path / 'out'}", *changes], catch_exceptions=False)
    assert not (tmp_path / "out").exists()


def test_options_that_trl_does_not_know_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="did you mean 'num_generations'"):
        run(settings(folder, "grpo", tmp_path / "a", trl={"num_generation": 4}))
    with pytest.raises(UsageError, match="divisible by num_generations"):
        run(settings(folder, "grpo", tmp_path / "b", trl={"num_generations": 3}))


def test_sharding_is_refused(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = settings(folder, "dpo", tmp_path / "out")
    monkeypatch.setenv("ACCELERATE_USE_DEEPSPEED", "true")
    with pytest.raises(UsageError, match="ACCELERATE_USE_DEEPSPEED: preference training runs in one process"):
        run(config)


@pytest.mark.parametrize(("method", "kind"), [("dpo", DPOConfig), ("grpo", GRPOConfig)])
def test_trl_takes_the_shipped_configurations(tmp_path: Path, method: str, kind: type[Any]) -> None:
    config = read_config(TrainConfig, CONFIGS / f"nano-{method}.yaml")
    assert config.method == method and config.preference is not None
    args = trl_arguments(kind, config.preference, tmp_path, {})
    assert args.max_steps == config.preference.steps and args.learning_rate == 5e-5
    nano = {source.name: source for source in read_config(TrainConfig, CONFIGS / "nano.yaml").data.sources}
    cached = {"kind", "path", "part", "words", "without", "copies"}  # what extraction depends on
    for source in config.data.sources:
        assert source.model_dump(include=cached) == nano[source.name].model_dump(include=cached)
