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
from emotion_llama.model.processing import EmotionLlamaProcessor
from emotion_llama.model.segments import SegmentTokenizer
from emotion_llama.prompt import Layout

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


@pytest.mark.parametrize("clip", CLIPS)
def test_evaluation(clip: str, converted: Path, model: EmotionLlamaForConditionalGeneration) -> None:
    facts, arrays = told(clip)
    processor = processor_for(converted, model, "official-eval")
    features = features_of(clip, converted)
    task, question = facts["task"], facts["instruction_input"].split("] ", 1)[1].strip()
    prompt = processor.render(
        "reason" if task.startswith("reason") else task, (), facts["sentence"], features, question=question, tag=task
    )
    pieces = (*prompt.prefix, *prompt.suffix)
    ids = torch.tensor([processor.token_ids(pieces)])
    batch, masks = processor.collate([features])
    with torch.inference_mode():
        embeds = model.embed(ids, batch, masks)
        np.testing.assert_allclose(embeds[0].numpy(), arrays["eval_inputs_embeds"], atol=1e-6)
        logits = model(ids, torch.ones_like(ids), features=batch, feature_mask=masks).logits
    np.testing.assert_allclose(logits[0, -1].numpy(), arrays["eval_logits_last"], atol=5e-5)


def test_pictures_become_the_official_pixels() -> None:
    with np.load(GOLDEN / "preprocess.npz") as golden:
        pixels = eva_pixels(golden["small_input"], 448)
        np.testing.assert_allclose(pixels, golden["small_output_f16"].astype(np.float32), atol=2e-3)
