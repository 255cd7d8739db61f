"""The GGUF file read back by an independent reader answers as the merged model; what it cannot say is refused."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer, decoders, models, normalizers, trainers
from transformers import AutoModelForCausalLM, AutoTokenizer, GPT2Config, LlamaConfig, PreTrainedTokenizerFast

from emotion_llama.errors import ModelError, UsageError
from emotion_llama.train.export.gguf_llm import check_architecture, export_gguf_llm, permute
from emotion_llama.train.export.gguf_tokenizer import add_tokenizer, split_name
from emotion_llama.train.export.source import open_source

TEXT = "<|im_start|>user\nA happy person, 2 sad videos.\n\nGröße 日本<|im_end|>\n"


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def logits(model, ids) -> torch.Tensor:
    with torch.no_grad():
        return model.eval()(torch.tensor([ids])).logits[0].float()


def read_back(path: Path):
    return AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32)


def field(reader: gguf.GGUFReader, key: str):
    return reader.fields[key].contents()


def tokenizer_facts(tokenizer, vocab_size: int, folder: Path) -> gguf.GGUFReader:
    writer = gguf.GGUFWriter(folder / "facts.gguf", "llama")
    add_tokenizer(writer, tokenizer, vocab_size, folder)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return gguf.GGUFReader(folder / "facts.gguf")


@pytest.mark.parametrize(("kind", "tolerance"), [("f32", 1e-4), ("f16", 0.05), ("bf16", 0.3), ("q8_0", 0.5)])
def test_logits_come_back(source, tmp_path, kind, tolerance):
    files = export_gguf_llm(source, tmp_path / "llm.gguf", kind)
    tokenizer = source.load_tokenizer()
    ids = tokenizer(TEXT).input_ids
    expected = logits(source.load_merged().language_model, ids)
    found = logits(read_back(files.model), ids)
    assert (found - expected).abs().max() <= tolerance < expected.std()
    assert (found.argmax(-1) == expected.argmax(-1)).float().mean() >= (1.0 if kind == "f32" else 0.9)


def test_the_tokenizer_comes_back(source, tmp_path):
    files = export_gguf_llm(source, tmp_path / "llm.gguf", "f32")
    own, again = source.load_tokenizer(), AutoTokenizer.from_pretrained(tmp_path, gguf_file=files.model.name)
    assert again(TEXT).input_ids == own(TEXT).input_ids
    assert again.chat_template == own.chat_template and again.eos_token_id == own.eos_token_id == 2
    reader = gguf.GGUFReader(files.model)
    kinds = field(reader, "tokenizer.ggml.token_type")
    assert kinds[3] == gguf.TokenType.CONTROL and kinds[300] == gguf.TokenType.NORMAL
    assert kinds[-3:] == [gguf.TokenType.UNUSED] * 3  # rows of the model that no token has
    assert field(reader, "tokenizer.ggml.pre") == "gpt-2" and not field(reader, "tokenizer.ggml.add_bos_token")
    assert field(reader, "llama.vocab_size") == len(kinds)


def test_what_lies_beside_the_model(source, tmp_path):
    files = export_gguf_llm(source, tmp_path / "llm.gguf", "q8_0")
    projectors, own = load_file(files.projectors), load_file(source.folder / "projectors.safetensors")
    assert projectors.keys() == own.keys() and all(torch.equal(value, own[name]) for name, value in projectors.items())
    readme = files.readme.read_text()
    assert "⟨global×1⟩" in readme and "llm.projectors.safetensors" in readme
    assert "| `local` | video | 2 | 6 | mlp |" in readme
    assert names_in(tmp_path) == ["llm.README.md", "llm.gguf", "llm.projectors.safetensors"]
    kinds = {tensor.name: tensor.tensor_type.name for tensor in gguf.GGUFReader(files.model).tensors}
    assert kinds["blk.0.attn_q.weight"] == "Q8_0" and kinds["blk.0.attn_norm.weight"] == "F32"
    assert kinds["blk.0.ffn_down.weight"] == "F16"  # rows of 48 fill no whole blocks of 32
    assert "output.weight" not in kinds  # tied


def test_an_untied_head_is_written(tmp_path, make_source, make_llm):
    source = make_source(None, make_llm(tie_word_embeddings=False))
    files = export_gguf_llm(source, tmp_path / "llm.gguf", "f32")
    ids = source.load_tokenizer()(TEXT).input_ids
    torch.testing.assert_close(
        logits(read_back(files.model), ids), logits(source.load_merged().language_model, ids), atol=1e-4, rtol=0
    )


def test_permuted_heads_give_the_same_attention_under_rotation_of_pairs():
    """Independent answer: halves rotated together (the library) against neighbours rotated together (llama.cpp)."""
    rng = np.random.default_rng(0)
    heads, width, hidden = 3, 8, 5
    weight = rng.standard_normal((heads * width, hidden)).astype(np.float32)
    x = rng.standard_normal(hidden).astype(np.float32)
    angle = 0.7 * 10.0 ** (-np.arange(width // 2))
    by_half = (weight @ x).reshape(heads, width)
    first, second = by_half[:, : width // 2], by_half[:, width // 2 :]
    expected = np.stack(
        [first * np.cos(angle) - second * np.sin(angle), second * np.cos(angle) + first * np.sin(angle)], -1
    )
    pairs = (permute(weight, heads) @ x).reshape(heads, width // 2, 2)
    found = np.stack(
        [
            pairs[..., 0] * np.cos(angle) - pairs[..., 1] * np.sin(angle),
            pairs[..., 1] * np.cos(angle) + pairs[..., 0] * np.sin(angle),
        ],
        -1,
    )
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (GPT2Config(), "expected model_type 'llama', found 'gpt2'"),
        (LlamaConfig(attention_bias=True), "attention_bias"),
        (LlamaConfig(mlp_bias=True), "mlp_bias"),
        (LlamaConfig(hidden_act="gelu"), "hidden_act 'silu', found 'gelu'"),
        (LlamaConfig(rope_parameters={"rope_type": "linear", "factor": 2.0, "rope_theta": 1e4}), "rope_type"),
    ],
)
def test_other_architectures_are_refused(config, said):
    with pytest.raises(ModelError, match=f"{said}.*export merged"):
        check_architecture(config)


def test_wrong_words_and_taken_files(source, tmp_path):
    with pytest.raises(UsageError, match="--type 'q4_0': give one of f32, f16, bf16, q8_0"):
        export_gguf_llm(source, tmp_path / "llm.gguf", "q4_0")
    with pytest.raises(UsageError, match=r"ends in \.gguf"):
        export_gguf_llm(source, tmp_path / "llm", "f16")
    (tmp_path / "llm.README.md").write_text("mine")
    with pytest.raises(UsageError, match=r"llm\.README\.md is there already"):
        export_gguf_llm(source, tmp_path / "llm.gguf")
    assert names_in(tmp_path) == ["llm.README.md"]
    export_gguf_llm(source, tmp_path / "llm.gguf", overwrite=True)
    assert (tmp_path / "llm.README.md").read_text() != "mine"


def step(kind: str, **facts):
    return {"type": kind, **facts}


DIGITS = step("Digits", individual_digits=True)
BYTES = step("ByteLevel", add_prefix_space=False, use_regex=True)


def test_ways_of_splitting_have_llama_cpps_names():
    assert split_name(BYTES) == "gpt-2"
    assert split_name(step("Sequence", pretokenizers=[DIGITS, BYTES])) == "smollm"
    for unknown in (
        None,
        step("Whitespace"),
        BYTES | {"add_prefix_space": True},
        BYTES | {"use_regex": False},
        step("Sequence", pretokenizers=[step("Split", pattern={"Regex": r"\w+"}), BYTES | {"use_regex": False}]),
    ):
        with pytest.raises(ModelError, match="no name in GGUF is known"):
            split_name(unknown)


@pytest.fixture
def byte_fallback() -> PreTrainedTokenizerFast:
    """The kind of tokenizer Llama 2 has."""
    core = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    core.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    core.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    special = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    trainer = trainers.BpeTrainer(vocab_size=330, special_tokens=special)
    core.train_from_iterator(["▁happy▁person▁a▁sad▁video"] * 9, trainer)
    document = json.loads(core.to_str())
    document["added_tokens"] = document["added_tokens"][:3]  # bytes are pieces, not added tokens
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(document)), unk_token="<unk>", bos_token="<s>", eos_token="</s>"
    )


def test_a_llama_2_tokenizer_is_written_with_scores_in_the_order_of_merging(byte_fallback, tmp_path):
    reader = tokenizer_facts(byte_fallback, len(byte_fallback), tmp_path)
    assert field(reader, "tokenizer.ggml.model") == "llama" and field(reader, "tokenizer.ggml.add_space_prefix")
    pieces, kinds = field(reader, "tokenizer.ggml.tokens"), field(reader, "tokenizer.ggml.token_type")
    scores = dict(zip(pieces, field(reader, "tokenizer.ggml.scores"), strict=True))
    assert kinds[:4] == [2, 3, 3, 6]
    assert spm(" a happy person".replace(" ", "▁"), scores) == byte_fallback.tokenize("a happy person")


def spm(text: str, scores: dict[str, float]) -> list[str]:
    """SentencePiece's BPE, plainly: join the neighbours whose piece has the highest score, leftmost first."""
    parts = list(text)
    while True:
        joins = [(-scores[a + b], i) for i, (a, b) in enumerate(pairwise(parts)) if a + b in scores]
        if not joins:
            return parts
        _, at = min(joins)
        parts[at : at + 2] = [parts[at] + parts[at + 1]]


def test_a_tokenizer_of_another_model_is_refused(source, tmp_path):
    with pytest.raises(ModelError, match="do not belong together"):
        tokenizer_facts(source.load_tokenizer(), 50, tmp_path)


@pytest.mark.weights
@pytest.mark.slow
def test_nano_comes_back(model_name, tmp_path):
    source = open_source(model_name)
    files = export_gguf_llm(source, tmp_path / "nano.gguf", "f32")
    ids = source.load_tokenizer()("Once upon a time a person smiled, and the video showed why: she was 27.").input_ids
    expected = logits(source.load_merged().language_model, ids)
    assert (logits(read_back(files.model), ids) - expected).abs().max() <= 1e-4
    files.model.unlink()
