from __future__ import annotations

import json

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from emotion_llama.errors import ModelError
from emotion_llama.model import TrainSample, adapter_sha256, load_adapter, new_model, save_adapter
from emotion_llama.model.checkpoint import ADAPTER_FILE, PROJECTORS_FILE


def loss_of(model, processor, features):
    batch = processor.for_training([TrainSample("a", "emotion", ("happy", "sad"), "hello", "happy", features)])
    with torch.no_grad():
        return model(**batch).loss


@pytest.fixture()
def saved(model, tmp_path):
    model.projectors["audio"].standardise(torch.arange(8.0), torch.full((8,), 2.0))
    save_adapter(model, tmp_path / "adapter")
    return tmp_path / "adapter"


@pytest.mark.parametrize("merge", [False, True])
def test_round_trip(model, processor, features, saved, llm_dir, merge):
    again = load_adapter(saved, llm_dir, merge=merge)
    assert torch.allclose(loss_of(again, processor, features), loss_of(model, processor, features), atol=1e-5)
    assert (again.config.lora is None) == merge and not again.training


def test_round_trip_in_bfloat16_is_close(model, processor, features, saved, llm_dir):
    again = load_adapter(saved, llm_dir, dtype=torch.bfloat16)
    assert again.get_input_embeddings().weight.dtype == torch.bfloat16
    assert again.projectors["audio"].mean.dtype == torch.float32
    assert torch.allclose(loss_of(again, processor, features), loss_of(model, processor, features), rtol=0.1)


def test_peft_alone_reads_the_adapter(model, saved, llm_dir):
    plain = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(llm_dir), saved).eval()
    ids = torch.arange(4, 20)[None]
    with torch.no_grad():
        assert torch.allclose(plain(ids).logits, model.language_model(ids).logits, atol=1e-5)


def test_folder_holds_what_is_promised_and_no_base_weights(saved):
    assert {path.name for path in saved.iterdir()} == {
        "adapter_config.json",
        "adapter_model.safetensors",
        "config.json",
        "projectors.safetensors",
    }
    assert all(".lora_" in name for name in load_file(saved / ADAPTER_FILE))
    assert "/" not in json.loads((saved / "config.json").read_text())["text_config"].get("_name_or_path", "")


def test_hash_follows_the_weights(model, saved, tmp_path):
    before = adapter_sha256(saved)
    save_adapter(model, tmp_path / "same")
    assert adapter_sha256(tmp_path / "same") == before
    with torch.no_grad():
        model.projectors["audio"].mean += 1
    save_adapter(model, tmp_path / "other")
    assert adapter_sha256(tmp_path / "other") != before


@pytest.mark.parametrize("name", [ADAPTER_FILE, PROJECTORS_FILE])
def test_missing_or_foreign_tensors_are_named(saved, llm_dir, name):
    tensors = load_file(saved / name)
    gone, kept = sorted(tensors)[0], dict(sorted(tensors.items())[1:])
    save_file(kept, saved / name)
    with pytest.raises(ModelError, match=f"(?s){name}.*missing.*{gone}"):
        load_adapter(saved, llm_dir)
    save_file({**tensors, "stranger": torch.zeros(1)}, saved / name)
    with pytest.raises(ModelError, match=r"not known.*stranger"):
        load_adapter(saved, llm_dir)


def test_old_peft_names_do_not_load_silently(saved, llm_dir):
    tensors = load_file(saved / ADAPTER_FILE)
    save_file({"old." + name: value for name, value in tensors.items()}, saved / ADAPTER_FILE)
    with pytest.raises(ModelError, match="0 of 8 tensors found"):
        load_adapter(saved, llm_dir)


def test_wrong_shape_names_the_tensor(saved, llm_dir):
    tensors = load_file(saved / PROJECTORS_FILE)
    save_file({**tensors, "audio.mean": torch.zeros(5)}, saved / PROJECTORS_FILE)
    with pytest.raises(ModelError, match=r"audio.mean expected shape \(8,\), found \(5,\)"):
        load_adapter(saved, llm_dir)


def test_half_written_and_absent_files(saved, llm_dir):
    path = saved / PROJECTORS_FILE
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ModelError, match=PROJECTORS_FILE):
        load_adapter(saved, llm_dir)
    path.unlink()
    with pytest.raises(ModelError, match=PROJECTORS_FILE):
        load_adapter(saved, llm_dir)
    with pytest.raises(ModelError, match=r"config\.json"):
        load_adapter(saved / "nowhere", llm_dir)


def test_another_language_model_is_refused(model, saved, llm_dir):
    document = json.loads((saved / "config.json").read_text())
    document["text_config"]["hidden_size"] = 64
    (saved / "config.json").write_text(json.dumps(document))
    with pytest.raises(ModelError, match="expected hidden_size 64, found 32"):
        load_adapter(saved, llm_dir)


def test_another_prompt_version_is_refused(saved, llm_dir):
    document = json.loads((saved / "config.json").read_text())
    document["prompt_version"] = "0"
    (saved / "config.json").write_text(json.dumps(document))
    with pytest.raises(ModelError, match="prompt version 0"):
        load_adapter(saved, llm_dir)


def test_new_models_are_repeatable(config, llm_dir):
    made = []
    for _ in range(2):
        torch.manual_seed(4)
        made.append(new_model(config, llm_dir).state_dict())
    assert made[0].keys() == made[1].keys()
    assert all(torch.equal(value, made[1][name]) for name, value in made[0].items())
