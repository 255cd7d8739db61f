"""The training loop on a tiny random LLaMA: it learns, moves only what it may, and stops at nonsense."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import cast

import numpy as np
import pytest
import torch
from torch import nn

from emotion_llama import assets
from emotion_llama.encoders.face_tokens import LOCAL_WIDTH
from emotion_llama.encoders.heads import EmotionHead
from emotion_llama.errors import AssetMissingError, ModelError
from emotion_llama.model.processing import TrainSample
from emotion_llama.model.projector import Projector
from emotion_llama.train.combine import Combiner, Pool
from emotion_llama.train.config import NanoTraining
from emotion_llama.train.fit import (
    LLM,
    Trainee,
    _batches,
    _noisy,
    _optimizer,
    _start_from_words,
    _warm_cosine,
    build,
    feature_groups,
    train,
    validate,
)

Settings = Callable[..., NanoTraining]


def closed(combiner: Combiner, count: int) -> list[TrainSample]:
    drawn = (combiner.draw() for _ in range(40 * count))
    return [s for s in drawn if s.task == "emotion" and s.labels and s.features][:count]


def state(trainee: Trainee) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in trainee.model.state_dict().items()}


def test_steps_on_a_repeated_batch_lower_the_loss(trainee: Trainee, pool: Pool, settings: Settings) -> None:
    config = settings(warmup_steps=1, learning_rate=0.01, projector_learning_rate=0.01)
    samples = closed(Combiner(pool, config, 0), 6)
    batch = trainee.processor.for_training(samples)
    optimizer = _optimizer(trainee.model.train(), config)
    losses = []
    for _ in range(20):
        loss = trainee.model(**batch).loss
        losses.append(float(loss.detach()))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    assert losses[1] < losses[0]
    assert losses[-1] < 0.8 * losses[0]


def test_training_moves_only_projectors_and_lora(trainee: Trainee, pool: Pool, settings: Settings) -> None:
    config = settings(steps=3, batch_size=4, warmup_steps=1, validate_every=2)
    combiner = Combiner(pool, config, 0)
    checks = closed(combiner, 4)
    before = state(trainee)
    log = train(trainee, config, combiner, checks)
    after = state(trainee)
    moved = {name for name, value in after.items() if not torch.equal(value, before[name])}
    assert moved and all(name.startswith("projectors.") or ".lora_" in name for name in moved)
    assert {name.split(".")[1] for name in moved if name.startswith("projectors.")} == set(trainee.model.projectors)
    assert any("lora_B" in name for name in moved)
    assert not any(name.endswith((".mean", ".std")) for name in moved)  # the standardisation is fitted once
    assert [entry["step"] for entry in log] == [2, 3]
    assert all(np.isfinite(entry["loss"]) and 0 <= entry["validation"] <= 1 for entry in log)


def test_two_runs_with_one_seed_agree(trainee: Trainee, pool: Pool, settings: Settings) -> None:
    config = settings(steps=2, batch_size=3, warmup_steps=1, lora_dropout=0.0)
    start = state(trainee)
    ends = []
    for _ in range(2):
        trainee.model.load_state_dict(start)
        train(trainee, config, Combiner(pool, config, 5), closed(Combiner(pool, config, 6), 2))
        ends.append(state(trainee))
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in start)


def test_a_loss_that_is_no_number_stops_with_the_clips(trainee: Trainee, pool: Pool, settings: Settings) -> None:
    config = settings(steps=4, batch_size=4)
    for projector in trainee.model.projectors.values():
        nn.init.constant_(cast(nn.Linear, cast(Projector, projector).layers[-1]).bias, float("nan"))
    before = state(trainee)
    with pytest.raises(ModelError, match=r"step 1\b.*(voice|face)/\w+/\d"):
        train(trainee, config, Combiner(pool, config, 0), [])
    lora = [name for name in before if ".lora_" in name]
    after = state(trainee)
    assert lora and all(torch.equal(after[name], before[name]) for name in lora)  # nothing was spoilt by it


def test_batches_cover_all_steps_in_full(pool: Pool, settings: Settings) -> None:
    config = settings(steps=11, batch_size=3)
    batches = list(_batches(Combiner(pool, config, 0), config))
    assert [len(batch) for batch in batches] == [3] * 11


def test_rate_warms_up_then_falls(settings: Settings) -> None:
    config = settings(steps=100, warmup_steps=10)
    rates = [_warm_cosine(step, config) for step in range(100)]
    assert rates[0] == pytest.approx(0.1) and rates[10] == pytest.approx(1.0) == max(rates)
    assert all(a <= b for a, b in pairwise(rates[:11]))
    assert all(a >= b for a, b in pairwise(rates[10:]))
    assert 0.05 <= rates[-1] < 0.06


def test_noise_is_in_units_of_each_columns_spread_and_spares_heads(trainee: Trainee, settings: Settings) -> None:
    audio = cast(Projector, trainee.model.projectors["audio"])
    audio.standardise(torch.zeros(5), torch.tensor([1.0, 2.0, 4.0, 8.0, 16.0]))
    features = {"audio": np.zeros((3, 5), np.float32), "voice_emotion": np.full((1, 9), 1 / 9, np.float32)}
    sample = TrainSample("clip", "reason", ("happy", "sad"), "Dogs.", "So sad.", features, ("a clue",))
    rng = np.random.default_rng(0)
    noisy = [_noisy(sample, trainee, settings(feature_noise=0.3), rng) for _ in range(300)]
    spread = np.stack([s.features["audio"] for s in noisy]).std(axis=(0, 1))
    np.testing.assert_allclose(spread, 0.3 * 2.0 ** np.arange(5), rtol=0.12)
    for found in noisy[:3]:
        np.testing.assert_array_equal(found.features["voice_emotion"], features["voice_emotion"])
        assert (found.clip, found.task, found.labels, found.transcript) == ("clip", "reason", ("happy", "sad"), "Dogs.")
        assert (found.answer, found.clues) == ("So sad.", ("a clue",))
    assert not features["audio"].any()  # the sample itself is not changed


def test_a_head_starts_as_the_mixture_of_its_label_words(trainee: Trainee) -> None:
    labels = ("angry", "bored", "calm", "disgust", "fear", "happy", "neutral", "sad", "surprise")
    _start_from_words(trainee.model, trainee.processor, "voice_emotion", labels)
    words = trainee.model.get_input_embeddings().weight
    for column, label in enumerate(labels):
        one = torch.zeros(1, 1, len(labels))
        one[0, 0, column] = 1
        soft = trainee.model.projectors["voice_emotion"](one)[0, 0]
        torch.testing.assert_close(soft, words[trainee.processor.answer_ids(label)].mean(dim=0))


def test_validation_counts_right_labels(trainee: Trainee) -> None:
    voice = {"audio": np.ones((3, 5), np.float32)}
    labels = ("happy", "sad", "angry", "fear")
    samples = [TrainSample(answer, "emotion", labels, None, answer, voice) for answer in labels]
    assert validate(trainee, samples) == 0.25  # the same clip four times: one of the four answers is the likeliest
    joyful = [TrainSample("c", "emotion", labels, None, "joy", voice)]
    assert validate(trainee, joyful) == validate(trainee, samples[:1])  # by meaning, not by spelling


def test_feature_groups_follow_the_heads() -> None:
    def head(name: str, labels: tuple[str, ...]) -> EmotionHead:
        zeros = np.zeros(2, np.float32)
        return EmotionHead(name, labels, zeros, zeros + 1, np.zeros((2, len(labels)), np.float32), zeros)

    groups = feature_groups({"face_emotion": head("face_emotion", ("a", "b")), "voice_emotion": head("v", ("a",))})
    sizes = {group.name: (group.tokens, group.width) for group in groups}
    assert groups[0].name == "global"  # stands first in the prompt
    assert sizes["face_emotion"] == (1, 2) and sizes["voice_emotion"] == (1, 1)
    assert sizes["local"] == (2, LOCAL_WIDTH) and sizes["temporal"] == (4, 36)


@pytest.mark.weights
def test_the_real_model_starts_standardised_and_trains_little(settings: Settings) -> None:
    try:
        assets.path(LLM)
    except AssetMissingError as error:
        pytest.skip(f"needs the nano weights (emotion-llama fetch nano sample): {error}")
    rng = np.random.default_rng(0)
    labels = ("angry", "happy", "sad")
    zeros = np.zeros(2, np.float32)
    head = EmotionHead("made", labels, zeros, zeros + 1, np.zeros((2, 3), np.float32), zeros)
    heads = {"face_emotion": head, "voice_emotion": head}
    groups = feature_groups(heads)
    features = [{g.name: rng.normal(3, 2, (g.tokens, g.width)).astype(np.float32) for g in groups} for _ in range(6)]
    samples = [TrainSample("c", "emotion", labels, None, "sad", made) for made in features]
    made = build(settings(), heads, samples)
    audio = cast(Projector, made.model.projectors["audio"])
    rows = np.concatenate([s.features["audio"] for s in samples])
    np.testing.assert_allclose(audio.mean.numpy(), rows.mean(axis=0), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(audio.std.numpy(), rows.std(axis=0, ddof=1), rtol=1e-3)
    trained = sum(p.numel() for p in made.model.parameters() if p.requires_grad)
    assert 4 * trained < 20_000_000  # float32 bytes: what is shipped stays small
    batch = made.processor.for_training(samples[:2])
    assert torch.isfinite(made.model(**batch).loss)
