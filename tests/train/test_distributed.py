"""Two processes on one machine (gloo) against one process with the double batch, through the launchers a user has."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
import yaml

from emotion_llama.model.checkpoint import load_adapter
from emotion_llama.model.processing import EmotionLlamaProcessor
from tests.train.tiny_run import (
    configured,
    largest_difference,
    launch,
    losses,
    tiny_llm,
    trainer_of,
    weights,
    write_settings,
)

CONFIGS = Path(__file__).parents[2] / "configs" / "accelerate"
TORCHRUN = ("torch.distributed.run", "--standalone", "--nproc-per-node=2")


def _accelerate(folder: Path, name: str) -> tuple[str, ...]:
    """The shipped launch settings, on processors."""
    settings = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text(encoding="utf-8")) | {"use_cpu": True}
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(settings), encoding="utf-8")
    return ("accelerate.commands.launch", "--config_file", str(path))


def _alone(folder: Path, *changes: str) -> dict[int, float]:
    """One process with the double batch, with settings of its own, into `alone`; gives its losses."""
    trainer = trainer_of(configured(folder / "single", *changes, f"out={folder / 'alone'}"))
    trainer.train()
    trainer.save_final(folder / "alone")
    return losses(trainer)


def test_shipped_launch_settings_name_two_processes_and_fsdp_version_2() -> None:
    ddp, fsdp = (yaml.safe_load((CONFIGS / f"{name}.yaml").read_text("utf-8")) for name in ("ddp", "fsdp2"))
    assert ddp["distributed_type"] == "MULTI_GPU" and fsdp["distributed_type"] == "FSDP"
    assert fsdp["fsdp_config"]["fsdp_version"] == 2
    assert fsdp["fsdp_config"]["fsdp_transformer_layer_cls_to_wrap"] == "LlamaDecoderLayer"


@pytest.mark.slow  # two processes import everything anew
@pytest.mark.parametrize("launcher", ["torchrun", "accelerate"])
def test_two_processes_equal_one_with_the_double_batch(tmp_path: Path, launcher: str) -> None:
    """Losses to 1e-5, weights to 1e-5 after 6 steps of 2 × 2 accumulated batches: sums in another order, no more."""
    changes = ("model.lora.dropout=0", "schedule.steps=6", "schedule.batch_size=2", "schedule.accumulate=2")
    path = write_settings(tmp_path, (*changes, "validation.every=3"))
    launch(TORCHRUN if launcher == "torchrun" else _accelerate(tmp_path, "ddp"), str(path))
    found = json.loads((tmp_path / "run" / "losses.json").read_text(encoding="utf-8"))
    assert found["kind"] == "DistributedType.MULTI_CPU"
    expected = _alone(tmp_path, *changes, "validation.every=3", "schedule.batch_size=4")
    assert {int(step): loss for step, loss in found["losses"].items()} == pytest.approx(expected, rel=1e-5)
    assert len(expected) == 3
    assert largest_difference(weights(tmp_path / "run"), weights(tmp_path / "alone")) < 1e-5
    scores = found["validation"]["6"]["voices"]
    assert scores["n"] == 8  # each clip once, whichever process asked


@pytest.mark.slow  # two launches of two processes
def test_a_sharded_7b_shaped_model_saves_and_reloads_what_one_process_gives(tmp_path: Path) -> None:
    """FSDP2, base in bfloat16 as 7b: two steps; again from the checkpoint after the first; read back by one process."""
    llm = tiny_llm(hidden_size=64, intermediate_size=172, num_key_value_heads=4, tie_word_embeddings=False)
    groups = [
        {"name": name, "modality": modality}
        for name, modality in (("video_mean", "video"), ("video", "video"), ("both", "video"), ("audio", "audio"))
    ]
    changes = (
        f"model.llm={llm}", f"model.features={json.dumps(groups)}", "model.dtype=bfloat16",
        "model.lora={rank: 64, alpha: 16, dropout: 0}", "schedule.steps=2", "schedule.warmup_steps=0",
        "validation.every=1",
    )  # fmt: skip
    path = write_settings(tmp_path, changes)
    sharded = _accelerate(tmp_path, "fsdp2")
    launch(sharded, str(path))
    run = tmp_path / "run"
    found = json.loads((run / "losses.json").read_text(encoding="utf-8"))
    assert found["kind"] == "DistributedType.FSDP"
    expected = _alone(tmp_path, *changes, "schedule.batch_size=8")
    assert {int(step): loss for step, loss in found["losses"].items()} == pytest.approx(expected, rel=2e-3)
    first = "checkpoints/checkpoint-1"
    before = weights(run)
    assert largest_difference(weights(run / first), weights(tmp_path / "alone" / first)) < 2e-4
    assert not any(file.stat().st_size > 3_000_000 for file in (run / first).iterdir())  # no copy of the base

    shutil.rmtree(run / "checkpoints" / "checkpoint-2")
    launch(sharded, str(path))
    assert largest_difference(weights(run), before) == 0.0
    model = load_adapter(run, llm, dtype=torch.bfloat16, merge=False)
    processor = EmotionLlamaProcessor.from_pretrained(llm, model.config)
    assert [group.name for group in processor.config.groups] == [group["name"] for group in groups]
    loaded = {name: value for name, value in model.state_dict().items() if ".lora_" in name}
    assert len(loaded) == 2 * 2 * 2  # A and B, q and v, two layers
