"""Released files become one folder, every tensor accounted for; anything amiss is named."""

from __future__ import annotations

import json
import pickle
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import HubertConfig, HubertModel
from typer.testing import CliRunner

from emotion_llama.cli import app
from emotion_llama.errors import EmotionLlamaError, ModelError, UsageError
from emotion_llama.model.checkpoint import load_merged
from emotion_llama.model.modeling import EmotionLlamaForConditionalGeneration
from emotion_llama.official.convert import ReleasedFiles, convert_official
from emotion_llama.official.diagnose import diagnose_checkpoint
from emotion_llama.official.keys import checkpoint_fate, eva_fate

from .conftest import GOLDEN, SMALL


def test_every_released_key_has_a_fate() -> None:
    known = json.loads((GOLDEN / "keys.json").read_text(encoding="utf-8"))
    for part in ("released_checkpoint_peft_0_2", "released_checkpoint_peft_0_3", "minigptv2_checkpoint"):
        fates = {key: checkpoint_fate(key) for key in known[part]}
        assert all(fate.name or fate.reason for fate in fates.values()), part
        mapped = [fate.name for fate in fates.values() if fate.name]
        assert len(set(mapped)) == len(mapped) == (138 if part.startswith("released") else 130)
    eva = {**known["eva_vit_g_needed"], **known["eva_vit_g_extra_unverified"]}
    assert all(eva_fate(key, 39).name or eva_fate(key, 39).reason for key in eva)
    assert not checkpoint_fate("llama_model.something.else").name and not eva_fate("blocks.0.attn.rel_pos", 39).name


def test_the_full_model_has_the_published_sizes() -> None:
    from emotion_llama.official.language import full_config

    with torch.device("meta"):
        model = EmotionLlamaForConditionalGeneration(full_config())
    lora = sum(p.numel() for name, p in model.named_parameters() if ".lora_" in name)
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert (lora, trained) == (33_554_432, 74_993_664)


def test_a_converted_folder_explains_itself_and_reloads_equal(converted: Path, tmp_path: Path) -> None:
    record = json.loads((converted / "export.json").read_text(encoding="utf-8"))
    assert {part["file"] for part in record["made_from"]} >= {"eva_vit_g.pth", "Emoation_LLaMA.pth", "tokenizer.model"}
    assert all(len(part["sha256"]) == 64 for part in record["made_from"])
    assert all(path.stat().st_mode & 0o044 == 0o044 for path in converted.rglob("*.safetensors"))
    assert "Llama 2 Community License" in (converted / "LICENCES.md").read_text(encoding="utf-8")
    first = load_merged(converted)
    first.save_pretrained(tmp_path / "again")
    second = load_merged(tmp_path / "again")
    for name, value in first.state_dict().items():
        torch.testing.assert_close(second.state_dict()[name], value, rtol=0, atol=0)


def test_newer_names_of_lora_are_understood(released: ReleasedFiles, converted: Path, tmp_path: Path) -> None:
    loaded = torch.load(released.emotion_llama, weights_only=True)
    loaded["model"] = {
        key.replace("lora_A.weight", "lora_A.default.weight").replace("lora_B.weight", "lora_B.default.weight"): value
        for key, value in loaded["model"].items()
    }
    torch.save(loaded, tmp_path / "newer.pth")
    convert_official(
        replace(released, emotion_llama=tmp_path / "newer.pth", minigptv2=None), tmp_path / "out", eva=SMALL
    )
    old, new = load_merged(converted).state_dict(), load_merged(tmp_path / "out").state_dict()
    assert old.keys() == new.keys() and all(torch.equal(old[name], new[name]) for name in old)


def test_minigptv2_alone_is_a_start_for_training(released: ReleasedFiles, converted: Path, tmp_path: Path) -> None:
    files = replace(released, emotion_llama=None)
    for name in ("one", "two"):
        convert_official(files, tmp_path / name, eva=SMALL)
    one, two = (load_merged(tmp_path / name).state_dict() for name in ("one", "two"))
    assert all(torch.equal(one[name], two[name]) for name in one)  # drawn with a fixed seed
    whole = load_merged(converted).state_dict()
    assert one.keys() == whole.keys()
    assert released.minigptv2 is not None
    first = torch.load(released.minigptv2, weights_only=True)["model"]
    assert torch.equal(one["projectors.global.layers.0.weight"], first["llama_proj.weight"])
    fresh = one["projectors.audio.layers.0.weight"]
    assert 0 < float(fresh.abs().max()) <= 1024**-0.5 and not torch.equal(
        fresh, whole["projectors.audio.layers.0.weight"]
    )
    with pytest.raises(UsageError, match="give --emotion-llama, or --minigptv2"):
        convert_official(replace(files, minigptv2=None), tmp_path / "three", eva=SMALL)


class Dangerous:
    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("this ran",))


def damaged(released: ReleasedFiles, folder: Path, how: str) -> ReleasedFiles:
    """The release with one thing amiss."""
    file = folder / "bad.pth"
    whole = torch.load(released.emotion_llama, weights_only=True)
    if how == "swapped":
        return replace(released, eva=released.emotion_llama, emotion_llama=released.eva)
    if how == "truncated":
        file.write_bytes(released.emotion_llama.read_bytes()[:-5000])
    elif how == "code":
        with file.open("wb") as stream:
            pickle.dump({"model": Dangerous()}, stream)
    elif how == "no-lora":
        torch.save({"model": {k: v for k, v in whole["model"].items() if "lora" not in k}}, file)
    elif how == "one-lora-missing":
        gone = "llama_model.base_model.model.model.layers.1.self_attn.v_proj.lora_B.weight"
        torch.save({"model": {k: v for k, v in whole["model"].items() if k != gone}}, file)
    elif how == "wrong-shape":
        whole["model"]["llama_proj.weight"] = torch.zeros(64, 5000)
        torch.save(whole, file)
    elif how == "unknown-key":
        whole["model"]["surprise.weight"] = torch.zeros(2)
        torch.save(whole, file)
    return replace(released, emotion_llama=file)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("swapped", "LoRA"), ("truncated", "cut short|not a readable"), ("code", "could run code"),
        ("no-lora", "found none among"), ("one-lora-missing", r"layers\.1\.self_attn\.v_proj\.lora_B"),
        ("wrong-shape", "llama_proj"), ("unknown-key", "surprise"),
    ],
)  # fmt: skip
def test_what_is_amiss_is_named_and_nothing_is_left(
    how: str, said: str, released: ReleasedFiles, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ModelError, match=said):
        convert_official(damaged(released, tmp_path, how), tmp_path / "out", eva=SMALL)
    assert not (tmp_path / "out").exists() and not list(tmp_path.glob(".*partial"))
    assert "this ran" not in capsys.readouterr().out


def test_a_folder_in_use_is_not_overwritten(released: ReleasedFiles, converted: Path) -> None:
    with pytest.raises(UsageError, match="overwrite"):
        convert_official(released, converted, eva=SMALL)


def test_hubert_comes_along_or_its_missing_processor_is_named(released: ReleasedFiles, tmp_path: Path) -> None:
    folder = tmp_path / "hubert"
    small = HubertConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=37, conv_dim=(16, 16),
        conv_stride=(5, 4), conv_kernel=(10, 8), num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=2,
    )  # fmt: skip
    HubertModel(small).save_pretrained(folder)
    with pytest.raises(ModelError, match=r"preprocessor_config\.json is missing"):
        convert_official(replace(released, hubert=folder), tmp_path / "out", eva=SMALL)
    described = {"feature_extractor_type": "Wav2Vec2FeatureExtractor", "sampling_rate": 16000, "do_normalize": True}
    (folder / "preprocessor_config.json").write_text(json.dumps(described), encoding="utf-8")
    tables = convert_official(replace(released, hubert=folder), tmp_path / "out", eva=SMALL)
    assert tables[-1].what == "HuBERT" and not tables[-1].left_out


def test_doctor_tells_files_and_folders(released: ReleasedFiles, converted: Path, tmp_path: Path) -> None:
    assert diagnose_checkpoint(released.eva).kind == "EVA-ViT-g"
    assert released.minigptv2 is not None
    assert diagnose_checkpoint(released.minigptv2).kind == "MiniGPT-v2 checkpoint"
    general = diagnose_checkpoint(released.emotion_llama)
    assert general.kind == "Emotion-LLaMA checkpoint" and "reasons" in general.purpose and not general.unknown
    best = tmp_path / "checkpoint_best.pth"
    shutil.copyfile(released.emotion_llama, best)
    assert "cannot reason" in diagnose_checkpoint(best).purpose
    whole = diagnose_checkpoint(converted)
    assert whole.kind == "whole model folder" and whole.share == 1.0 and "official-eval" in whole.needs
    shown = CliRunner().invoke(app, ["doctor", "checkpoint", str(converted)])
    assert shown.exit_code == 0 and "100.0% of them used" in shown.output
    odd = tmp_path / "odd.pth"
    torch.save({"something": torch.ones(3)}, odd)
    assert CliRunner().invoke(app, ["doctor", "checkpoint", str(odd)]).exit_code == 1
    with pytest.raises(EmotionLlamaError):
        diagnose_checkpoint(tmp_path / "absent.pth")
