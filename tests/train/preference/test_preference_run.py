from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from trl import DPOConfig, GRPOConfig

from emotion_llama.clip import Clip, Observation
from emotion_llama.errors import ManifestError, UsageError
from emotion_llama.manifest import write_manifest
from emotion_llama.model import load_adapter
from emotion_llama.train.overrides import read_config
from emotion_llama.train.preference.arguments import trl_arguments
from emotion_llama.train.preference.run import PreferenceRun, run

CONFIGS = Path(__file__).parents[3] / "configs" / "preference"
SMILE = Observation(
    channel="face", text="the lip corners are pulled up strongly", source="mesh-au-1", name="AU12", value=3.0,
    unit="of 5", supports=("happy",),
)  # fmt: skip
QUIET = Observation(
    channel="voice", text="the voice is quiet", source="voice-1", name="loudness_db", value=-45.0, unit="dB",
    direction=-1, supports=("sad",),
)  # fmt: skip


@pytest.fixture()
def data(tmp_path):
    def clip(side, n):
        happy = n % 2 == 0
        return Clip(
            clip=f"{side}{n}", transcript="well " * (1 + n % 3), speaker=f"{side} speaker {n % 3}",
            emotion="happy" if happy else "sad", observations=(SMILE,) if happy else (QUIET,),
        )  # fmt: skip

    for side, count in (("train", 6), ("validation", 3)):
        write_manifest([clip(side, n) for n in range(count)], tmp_path / f"{side}.jsonl")
    return tmp_path


def config(data, adapter, small_llm, method, **changes):
    trl = {"per_device_train_batch_size": 4, "disable_tqdm": True, "learning_rate": 1e-3}
    if method == "grpo":
        trl |= {"num_generations": 4, "max_completion_length": 4}
    content = {
        "method": method, "out": str(data / "out"), "model": str(adapter), "llm": str(small_llm), "device": "cpu",
        "dtype": "float32", "train": str(data / "train.jsonl"), "validation": str(data / "validation.jsonl"),
        "labels": "happy, sad, angry", "preference": {"steps": 2, "save_every": 1, "max_new_tokens": 4, "trl": trl},
    }  # fmt: skip
    path = data / f"{method}.yaml"
    path.write_text(yaml.safe_dump({**content, **changes}), "utf-8")
    return path


def test_dpo_from_a_file(data, adapter, small_llm):
    path = config(data, adapter, small_llm, "dpo")
    record = run(path, ["preference.seed=5", "preference.trl.beta=0.3"])
    assert record["seed"] == 5 and record["settings"]["trl"]["beta"] == 0.3 and len(record["steps"]) == 2
    made = [json.loads(line) for line in (data / "out" / "pairs.jsonl").read_text("utf-8").splitlines()]
    assert record["data"]["pairs"] == len(made) == 12  # two tasks a clip
    assert record["data"]["validation"] == 6 and record["validation"]["after"]["n"] == 6
    load_adapter(data / "out", small_llm)
    with pytest.raises(UsageError, match="holds a finished run"):
        run(path, ["preference.seed=5", "preference.trl.beta=0.3"])


def test_own_pairs(data, adapter, small_llm):
    rows = [{"clip": f"train{n}", "task": "emotion", "chosen": "happy", "rejected": "sad"} for n in range(4)]
    (data / "mine.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    record = run(config(data, adapter, small_llm, "dpo", pairs=str(data / "mine.jsonl")))
    assert record["data"]["pairs"] == 4 and not (data / "out" / "pairs.jsonl").exists()


def test_grpo_from_a_file(data, adapter, small_llm):
    record = run(config(data, adapter, small_llm, "grpo"), ["tasks=[reason]"])
    assert set(record["steps"][0]) >= {"reward", "rewards/label_match/mean", "rewards/supported_clues/mean", "loss"}
    assert "rewards/wheel_f1/mean" not in record["steps"][0]  # a label set was asked for
    assert record["data"]["samples"] == 6


@pytest.mark.parametrize(
    ("override", "error", "message"),
    [
        ("preference.trl.num_generation=4", UsageError, "did you mean 'num_generations'"),
        ("preference.stebs=4", UsageError, "did you mean 'steps'"),
        ("tasks=[dance]", UsageError, "tasks"),
        ("pairs=x.jsonl", UsageError, "only method dpo reads pairs"),
        ("preference.trl.num_generations=3", UsageError, "divisible by num_generations"),
        ("model=nowhere", UsageError, "nowhere"),
    ],
)
def test_mistakes_are_named(data, adapter, small_llm, override, error, message):
    with pytest.raises(error, match=message):
        run(config(data, adapter, small_llm, "grpo"), [override])
    assert not (data / "out").exists()


def test_a_speaker_on_both_sides_is_refused(data, adapter, small_llm):
    path = config(data, adapter, small_llm, "grpo", validation=str(data / "train.jsonl"))
    with pytest.raises(ManifestError, match=r"expected other speakers than in .*train speaker 0"):
        run(path)


@pytest.mark.parametrize("method", ["dpo", "grpo"])
def test_shipped_configurations_parse(method, tmp_path):
    settings = read_config(PreferenceRun, CONFIGS / f"{method}.yaml")
    assert settings.method == method
    kind = {"dpo": DPOConfig, "grpo": GRPOConfig}[method]
    args = trl_arguments(kind, settings.preference, tmp_path, {})
    assert args.max_steps == 100 and args.learning_rate == 5e-5
