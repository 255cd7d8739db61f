"""The converted release gives the numbers of the official code (tests/golden)."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from emotion_llama.encoders.eva import EvaVit, eva_pixels
from emotion_llama.model.checkpoint import load_merged
from emotion_llama.model.modeling import EmotionLlamaForConditionalGeneration
from emotion_llama.model.processing import EmotionLlamaProcessor, TrainSample
from emotion_llama.model.segments import SegmentTokenizer
from emotion_llama.official.keys import PROJECTORS, checkpoint_fate
from emotion_llama.prompt import Layout
from emotion_llama.prompt_official import demo_kept

GOLDEN = Path(__file__).parent.parent / "golden"
CLIPS = tuple(f"clip{number}" for number in range(4))


@cache
def told(name: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    with np.load(GOLDEN / f"parity_{name}.npz") as arrays:
        return json.loads((GOLDEN / f"parity_{name}.json").read_text(encoding="utf-8")), dict(arrays)


def test_segments_become_the_official_tokens() -> None:
    own = SegmentTokenizer(GOLDEN / "tokenizer.model")
    newer = SegmentTokenizer(GOLDEN / "tokenizer.model", mark_after_control=False)
    variants = json.loads((GOLDEN / "tokenizer_variants.json").read_text(encoding="utf-8"))["ids"]
    compared = 0
    for clip in CLIPS:
        for layout in ("train", "eval", "demo"):
            for number, segment in enumerate(told(clip)[0][layout]["segments"]):
                text, start = segment["text"], segment["adds_bos"]
                assert own(text, add_special_tokens=start)["input_ids"] == segment["ids"]
                changed = variants.pop(f"{clip}.{layout}.{number}", segment["ids"])
                assert newer(text, add_special_tokens=start)["input_ids"] == changed
                compared += 1
    assert compared == 32 and not variants


@pytest.fixture(scope="module")
def model(converted: Path) -> EmotionLlamaForConditionalGeneration:
    return load_merged(converted)


@pytest.mark.parametrize("clip", CLIPS)
def test_image_tokens(clip: str, converted: Path, model: EmotionLlamaForConditionalGeneration) -> None:
    features = features_of(clip, converted)
    tokens = torch.cat([model.projectors[name](torch.from_numpy(rows)[None])[0] for name, rows in features.items()])
    order = [*range(16), 16, 17, 18, 19]
    np.testing.assert_allclose(tokens.detach().numpy(), told(clip)[1]["image_tokens"][order], atol=1e-6)


def test_vision_states(converted: Path) -> None:
    arrays = told("clip0")[1]
    states = EvaVit(converted / "encoders/global").states(arrays["image"])
    np.testing.assert_allclose(states, arrays["ln_vision_output"], atol=1e-5)


def features_of(clip: str, converted: Path, key: str = "video_features") -> dict[str, np.ndarray]:
    arrays = told(clip)[1]
    states = EvaVit(converted / "encoders/global").states(arrays["image"])
    rows = dict(zip(("local", "temporal", "audio"), arrays[key][:, None], strict=True))
    return {"global": states[1:].reshape(16, -1), **rows, "global_cls": states[:1]}


def processor_for(
    converted: Path, model: EmotionLlamaForConditionalGeneration, layout: Layout
) -> EmotionLlamaProcessor:
    return EmotionLlamaProcessor(SegmentTokenizer(converted / "tokenizer.model"), model.config, layout)


def sample_of(clip: str, converted: Path) -> TrainSample:
    facts = told(clip)[0]
    task, question = facts["task"], facts["instruction_input"].split("] ", 1)[1].strip()
    kind = "reason" if task.startswith("reason") else task
    features = features_of(clip, converted)
    return TrainSample(clip, kind, (), facts["sentence"], facts["answer"], features, question=question, tag=task)


def run(model: EmotionLlamaForConditionalGeneration, batch: dict[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
    """Embeddings and logits of a batch."""
    with torch.inference_mode():
        embeds = model.embed(batch["input_ids"], batch["features"], batch["feature_mask"])
        inputs = {key: batch[key] for key in ("input_ids", "attention_mask", "features", "feature_mask")}
        return embeds, model(**inputs).logits


@pytest.mark.parametrize("clip", CLIPS)
def test_evaluation(clip: str, converted: Path, model: EmotionLlamaForConditionalGeneration) -> None:
    arrays = told(clip)[1]
    processor = processor_for(converted, model, "official-eval")
    batch = processor.for_generation([sample_of(clip, converted)])
    embeds, logits = run(model, batch)
    np.testing.assert_allclose(embeds[0].numpy(), arrays["eval_inputs_embeds"], atol=1e-6)
    np.testing.assert_allclose(logits[0, -1].numpy(), arrays["eval_logits_last"], atol=5e-5)
    if "eval_logits_all" in arrays:
        np.testing.assert_allclose(logits[0].numpy(), arrays["eval_logits_all"], atol=5e-5)


def test_evaluation_of_several_clips_and_their_answers(
    converted: Path, model: EmotionLlamaForConditionalGeneration
) -> None:
    facts, arrays = told("eval_batch")
    processor = processor_for(converted, model, "official-eval")
    batch = processor.for_generation([sample_of(clip, converted) for clip in facts["clips"]])
    mask = batch["attention_mask"].numpy()
    np.testing.assert_array_equal(mask, arrays["attention_mask"])
    embeds, logits = run(model, batch)
    real = mask.astype(bool)
    np.testing.assert_allclose(embeds.numpy()[real], arrays["inputs_embeds"][real], atol=1e-6)
    np.testing.assert_allclose(logits[:, -1].numpy(), arrays["logits_last"], atol=5e-5)
    written = model.generate(
        **{key: batch[key] for key in ("input_ids", "attention_mask", "features", "feature_mask")},
        max_new_tokens=12,
        do_sample=False,
        output_logits=True,
        return_dict_in_generate=True,
    )
    answers = written.sequences[:, batch["input_ids"].shape[1] :]
    np.testing.assert_array_equal(answers.numpy(), arrays["generated_ids"])
    steps = torch.stack(written.logits, dim=1).numpy()
    np.testing.assert_allclose(steps, arrays["step_logits"], atol=5e-5)
    texts = [processor.tokenizer.decode(row) for row in answers.tolist()]
    assert texts == facts["generated_text"]


@pytest.mark.parametrize("clip", CLIPS)
def test_training(clip: str, converted: Path, model: EmotionLlamaForConditionalGeneration) -> None:
    arrays = told(clip)[1]
    batch = processor_for(converted, model, "aligned").for_training([sample_of(clip, converted)])
    length = len(arrays["train_targets"])
    assert int(batch["attention_mask"].sum()) == length
    np.testing.assert_array_equal(batch["labels"][0, :length].numpy(), arrays["train_targets"])
    embeds, logits = run(model, batch)
    np.testing.assert_allclose(embeds[0, :length].numpy(), arrays["train_inputs_embeds"], atol=1e-6)
    np.testing.assert_allclose(logits[0, length - 1].numpy(), arrays["train_logits_last"], atol=5e-5)
    first = int((arrays["train_targets"] != -100).argmax()) - 1
    np.testing.assert_allclose(logits[0, first : length - 1].numpy(), arrays["train_answer_logits"], atol=5e-5)
    with torch.inference_mode():
        assert float(model(**batch).loss) == pytest.approx(float(arrays["train_loss"]), abs=1e-5)


@pytest.mark.parametrize(("key", "most"), [("", None), ("cut_", 6)])
def test_training_on_several_clips(
    key: str, most: int | None, converted: Path, model: EmotionLlamaForConditionalGeneration
) -> None:
    facts, arrays = told("train_batch")
    samples = [sample_of(clip, converted) for clip in facts["clips"]]
    batch = processor_for(converted, model, "aligned").for_training(samples, most)
    lengths = (facts["cut"] if key else facts)["real_lengths"]
    assert batch["attention_mask"].sum(1).tolist() == lengths
    embeds, _ = run(model, batch)
    for row, length in enumerate(lengths):
        np.testing.assert_array_equal(batch["labels"][row, :length].numpy(), arrays[f"{key}targets"][row, :length])
        golden = arrays[f"{key}inputs_embeds"][row, :length]
        np.testing.assert_allclose(embeds[row, :length].numpy(), golden, atol=1e-6)
    with torch.inference_mode():
        assert float(model(**batch).loss) == pytest.approx(float(arrays[f"{key}loss"]), abs=1e-5)


def test_gradients(converted: Path) -> None:
    model = load_merged(converted)  # evaluation mode: no dropout, as in the golden run
    facts, arrays = told("train_batch")
    batch = processor_for(converted, model, "aligned").for_training([sample_of(c, converted) for c in facts["clips"]])
    model(**batch).loss.backward()
    own = {checkpoint_fate(key).name: norm for key, norm in facts["gradient_norms"].items()}
    found = {name: float(p.grad.norm()) for name, p in model.named_parameters() if p.grad is not None}
    assert found.keys() == own.keys()
    for name, norm in own.items():
        assert found[str(name)] == pytest.approx(norm, abs=1e-5, rel=1e-4), name
    for group, part in PROJECTORS.items():
        bias = model.projectors[part].layers[0].bias.grad
        np.testing.assert_allclose(bias.numpy(), arrays[f"grad_{group}_bias"], atol=1e-5)


@pytest.mark.parametrize("clip", CLIPS)
def test_demonstration(clip: str, converted: Path, model: EmotionLlamaForConditionalGeneration) -> None:
    facts, arrays = told(clip)
    processor = processor_for(converted, model, "official-demo")
    heard = {"audio": arrays["demo_video_features"][2:3]}  # the rest are zeros, which the layout adds
    seen = {name: rows for name, rows in features_of(clip, converted).items() if name.startswith("global")}
    features = processor.complete({**seen, **heard})
    asked = [facts["demo"]["user_text"]]
    turns = [("demo", asked)]
    if "demo_second_turn" in facts:
        turns.append(("demo2", [*asked, facts["demo_second_turn"]["user_text"]]))
    for name, said in turns:
        sample = TrainSample(
            clip, "emotion", (), None, "", features, question=said[-1], tag="", history=tuple(said[:-1])
        )
        embeds, logits = run(model, processor.for_generation([sample]))
        np.testing.assert_allclose(embeds[0].numpy(), arrays[f"{name}_inputs_embeds"], atol=1e-6)
        np.testing.assert_allclose(logits[0, -1].numpy(), arrays[f"{name}_logits_last"], atol=5e-5)


def test_the_demonstration_reads_only_the_end_of_a_long_prompt() -> None:
    crop = told("clip0")[0]["demo_crop"]
    kept = demo_kept(crop["full_positions"], crop["max_length"], crop["max_new_tokens"])
    assert kept == crop["kept_positions"] and crop["kept_are_the_last"]
    assert demo_kept(1499) == 1499 and demo_kept(1501) == 1500


def test_pictures_become_the_official_pixels() -> None:
    with np.load(GOLDEN / "preprocess.npz") as golden:
        pixels = eva_pixels(golden["small_input"], 448)
        np.testing.assert_allclose(pixels, golden["small_output_f16"].astype(np.float32), atol=2e-3)
