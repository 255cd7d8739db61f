"""A merged folder answers as the adapter checkpoint does, opens by the library's own classes, and never half exists."""

from __future__ import annotations

import errno
import json
import os
import resource
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, LlamaConfig

import emotion_llama as el
from emotion_llama.errors import ModelError, OutputError, UsageError
from emotion_llama.model import ClipReader, EmotionLlamaProcessor, adapter_sha256, load_adapter
from emotion_llama.output import new_folder
from emotion_llama.train.export.merged import Weights, export_merged
from emotion_llama.train.export.source import open_source

LABELS = ("happy", "sad", "angry")
FLOAT32 = Weights("float32")


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def likelihoods(reader: ClipReader, features: dict[str, np.ndarray]) -> np.ndarray:
    return reader.score(reader.read(features, "I got the job"), LABELS, orders=2).per_order


@pytest.fixture
def expected(checkpoint_dir: Path, llm_dir: Path, features) -> np.ndarray:
    """The adapter's own answer, LoRA still apart."""
    model = load_adapter(checkpoint_dir, llm_dir, merge=False)
    return likelihoods(ClipReader(model, EmotionLlamaProcessor.from_pretrained(llm_dir, model.config)), features)


def test_the_auto_class_and_load_answer_as_the_adapter(source, tmp_path, features, expected):
    out = export_merged(source, tmp_path / "merged", weights=FLOAT32)
    model = AutoModelForCausalLM.from_pretrained(out)
    by_library = likelihoods(ClipReader(model, EmotionLlamaProcessor.from_pretrained(out)), features)
    by_package = likelihoods(el.load(out, device="cpu", dtype="float32", threads=1).reader, features)
    assert np.abs(expected - expected[0, 0]).max() > 0.1  # the answers differ, so equality says something
    np.testing.assert_allclose(by_library, expected, atol=1e-4)
    np.testing.assert_allclose(by_package, expected, atol=1e-4)


def test_lora_is_added_and_nothing_else_changed(source, tmp_path, llm_dir):
    out = export_merged(source, tmp_path / "merged", weights=FLOAT32)
    merged, base = load_file(out / "model.safetensors"), load_file(llm_dir / "model.safetensors")
    adapter = load_file(source.folder / "adapter_model.safetensors")
    name = "model.layers.1.self_attn.q_proj"
    a, b = (adapter[f"base_model.model.{name}.lora_{part}.weight"] for part in "AB")
    torch.testing.assert_close(merged[f"language_model.{name}.weight"], base[f"{name}.weight"] + 8 / 4 * b @ a)
    same = "model.layers.1.mlp.up_proj.weight"
    assert torch.equal(merged[f"language_model.{same}"], base[same])


def test_the_folder_explains_itself(source, tmp_path):
    out = export_merged(source, tmp_path / "new" / "merged")
    assert {path.name for path in out.iterdir()} >= {
        "config.json", "model.safetensors", "tokenizer.json", "heads.safetensors", "calibration.json", "training.json",
        "LICENCE.md", "export.json",
    }  # fmt: skip
    facts = json.loads((out / "export.json").read_text())
    assert facts["checkpoint_sha256"] == adapter_sha256(source.folder) and facts["dtype"] == "bfloat16"
    config = json.loads((out / "config.json").read_text())
    assert config["lora"] is None and config["architectures"] == ["EmotionLlamaForConditionalGeneration"]
    assert "/" not in config["llm"]  # no folder of this machine
    assert json.loads((out / "training.json").read_text())["seed"] == 3
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["merged"]


def test_bfloat16_rounds_the_sum_once_and_keeps_projectors(source, tmp_path):
    exact = load_file(export_merged(source, tmp_path / "a", weights=FLOAT32) / "model.safetensors")
    rounded = load_file(export_merged(source, tmp_path / "b") / "model.safetensors")
    for name, value in rounded.items():
        kept = name.startswith("projectors.")
        assert value.dtype == (torch.float32 if kept else torch.bfloat16)
        assert torch.equal(value, exact[name] if kept else exact[name].bfloat16())


def test_generation_knows_the_end_token(source, tmp_path):
    model = AutoModelForCausalLM.from_pretrained(export_merged(source, tmp_path / "merged"))
    assert model.generation_config.eos_token_id == 2


def test_shards(source, tmp_path, features, expected):
    out = export_merged(source, tmp_path / "merged", weights=Weights("float32", "100KB"))
    shards = sorted(out.glob("model-*.safetensors"))
    assert len(shards) > 1 and not (out / "model.safetensors").exists()
    reader = el.load(out, device="cpu", dtype="float32", threads=1).reader
    np.testing.assert_allclose(likelihoods(reader, features), expected, atol=1e-4)
    before = adapter_sha256(out)
    tensors = load_file(shards[-1])
    name = next(iter(tensors))
    save_file({**tensors, name: tensors[name] + 1}, shards[-1])
    assert adapter_sha256(out) != before
    shards[0].unlink()
    with pytest.raises(ModelError, match=shards[0].name):
        adapter_sha256(out)
    with pytest.raises(ModelError, match="cannot be read"):
        _ = el.load(out, device="cpu", threads=1).reader


@pytest.mark.parametrize(
    ("change", "said"), [("cut", "cannot be read"), ("less", "missing_keys"), ("more", "stranger")]
)
def test_damaged_merged_folders_do_not_load(source, tmp_path, change, said):
    path = export_merged(source, tmp_path / "merged") / "model.safetensors"
    tensors = load_file(path)
    if change == "cut":
        path.write_bytes(path.read_bytes()[:-1000])
    elif change == "less":
        save_file({k: v for k, v in tensors.items() if k != "projectors.audio.std"}, path, metadata={"format": "pt"})
    else:
        save_file({**tensors, "stranger": torch.zeros(1)}, path, metadata={"format": "pt"})
    with pytest.raises(ModelError, match=said):
        _ = el.load(path.parent, device="cpu", threads=1).reader


def test_what_is_no_checkpoint_is_told(tmp_path, checkpoint_dir):
    with pytest.raises(UsageError, match="give one of nano or a checkpoint folder"):
        open_source(tmp_path / "nowhere")
    with pytest.raises(ModelError, match=r"no config\.json"):
        open_source(tmp_path)
    LlamaConfig().save_pretrained(tmp_path)
    with pytest.raises(ModelError, match=r"expected model_type 'emotion_llama' in config\.json, found 'llama'"):
        open_source(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ModelError, match="cannot be read"):
        open_source(tmp_path)
    half = shutil.copytree(checkpoint_dir, tmp_path / "half")
    (half / "projectors.safetensors").unlink()
    with pytest.raises(ModelError, match=r"expected the file projectors\.safetensors"):
        open_source(half)
    with pytest.raises(ModelError, match=r"--llm .*expected a language model's folder"):
        open_source(checkpoint_dir, tmp_path / "nowhere")


def test_a_folder_that_is_taken_is_refused(source, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.txt").write_text("mine")
    with pytest.raises(UsageError, match="not empty; add --overwrite"):
        export_merged(source, out)
    with pytest.raises(UsageError, match=r"no export\.json"):
        export_merged(source, out, overwrite=True)
    assert (out / "thesis.txt").read_text() == "mine"
    for place in (source.folder, source.folder.parent):
        with pytest.raises(UsageError, match="the checkpoint"):
            export_merged(source, place, overwrite=True)
    with pytest.raises(UsageError, match="found a file"):
        export_merged(source, out / "thesis.txt")


def test_overwriting_leaves_nothing_of_the_old_export(source, tmp_path):
    out = export_merged(source, tmp_path / "merged", weights=Weights("float32", "100KB"))
    export_merged(source, out, overwrite=True)
    assert [path.name for path in out.glob("model*")] == ["model.safetensors"]
    assert names_in(tmp_path) == ["merged"]


def test_wrong_words_are_told(source, tmp_path):
    with pytest.raises(UsageError, match="--dtype 'int4': give one of float32"):
        Weights("int4")
    with pytest.raises(UsageError, match="--max-shard-size 'big'"):
        export_merged(source, tmp_path / "merged", weights=Weights("float32", "big"))
    merged = open_source(export_merged(source, tmp_path / "merged"))
    with pytest.raises(UsageError, match="merged already"):
        export_merged(merged, tmp_path / "again")
    assert names_in(tmp_path) == ["merged"]


def test_writing_that_fails_half_way_leaves_nothing(source, tmp_path):
    """A real failed write: no file may grow beyond 50 kB."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        with pytest.raises(OutputError, match=r"cannot be written.*nothing was left behind"):
            export_merged(source, tmp_path / "merged")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert names_in(tmp_path) == []


def test_a_full_disk_is_named(source, tmp_path, monkeypatch):
    with (
        pytest.raises(OutputError, match=r"the disk is full.*make room"),
        new_folder(tmp_path / "a", source=source.folder, overwrite=False) as folder,
    ):
        (folder / "half").write_text("x")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 9, 1))
    with pytest.raises(OutputError, match=r"\d+ bytes needed, 1 free"):
        export_merged(source, tmp_path / "b")
    assert names_in(tmp_path) == []


@pytest.mark.weights
@pytest.mark.slow
def test_nano_merged_answers_as_nano(model_name, tmp_path):
    source = open_source(model_name)
    rng = np.random.default_rng(0)
    features = {
        group.name: rng.standard_normal((group.tokens, group.width), dtype=np.float32) for group in source.config.groups
    }
    adapter = load_adapter(source.folder, source.llm, merge=False)
    expected = likelihoods(
        ClipReader(adapter, EmotionLlamaProcessor(source.load_tokenizer(), adapter.config)), features
    )
    out = export_merged(source, tmp_path / "merged", weights=FLOAT32)
    found = likelihoods(el.load(out, device="cpu", dtype="float32", threads=1).reader, features)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    shutil.rmtree(out)
