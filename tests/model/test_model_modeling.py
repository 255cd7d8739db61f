from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, GPT2Config, Trainer, TrainingArguments

from emotion_llama.errors import ModelError
from emotion_llama.model import (
    EmotionLlamaConfig,
    EmotionLlamaForConditionalGeneration,
    FeatureGroup,
    TrainSample,
    new_model,
)

LABELS = ("happy", "sad", "angry")


def samples(features):
    """Three clips with different inputs and lengths: everything, voice only (two rows), text only."""
    return [
        TrainSample("a", "emotion", LABELS, "I got the job", "happy", features),
        TrainSample("b", "emotion", LABELS, None, "sad", {"audio": features["audio"][:2]}),
        TrainSample("c", "reason", (), "", "a long face; the emotion is sad", {}, ("slow speech",)),
    ]


def test_batch_of_many_is_the_weighted_mean_of_batches_of_one(model, processor, features):
    rows = samples(features)
    with torch.no_grad():
        together = model(**processor.for_training(rows)).loss
        alone = [model(**processor.for_training([row])).loss for row in rows]
    tokens = torch.tensor([len(processor.answer_ids(row.answer)) + 1.0 for row in rows])
    assert torch.allclose(together, (torch.stack(alone) * tokens).sum() / tokens.sum(), atol=1e-4)


def test_loss_is_what_the_logits_say(model, processor, features):
    batch = processor.for_training(samples(features))
    labels = batch.pop("labels")
    with torch.no_grad():
        logits = model(**batch).logits
        loss = model(**batch, labels=labels).loss
    expected = torch.nn.functional.cross_entropy(
        logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=-100
    )
    assert torch.allclose(loss, expected, atol=1e-5)


def test_splice_puts_projected_rows_at_their_places_in_configuration_order(model, processor, features):
    batch = processor.for_training(samples(features)[:2])
    embeds = model.embed(batch["input_ids"], batch["features"], batch["feature_mask"])
    place = batch["input_ids"] == processor.config.placeholder_token_id
    rows = [model.projectors[name](torch.from_numpy(features[name])[None])[0] for name in ("global", "local", "audio")]
    assert torch.allclose(embeds[0][place[0]], torch.cat(rows), atol=1e-6)
    assert torch.allclose(embeds[1][place[1]], rows[2][:2], atol=1e-6)
    words = model.get_input_embeddings()(batch["input_ids"])
    assert torch.equal(embeds[~place], words[~place])


def test_every_group_changes_the_answer(model, processor, features):
    base = processor.for_generation(samples(features)[:1])
    with torch.no_grad():
        before = model(**base).logits[0, -1]
        for name in features:
            changed = {**base["features"], name: base["features"][name] + 1.0}
            after = model(**{**base, "features": changed}).logits[0, -1]
            assert (after - before).abs().max() > 1e-3, name


def test_wrong_number_of_rows_names_the_clip(model, processor, features):
    batch = processor.for_training(samples(features))
    batch["feature_mask"]["audio"][1, 0] = False
    with pytest.raises(ModelError, match=r"clip b: .* 2 soft-token places but 1"):
        model(**batch)


def test_unknown_group_and_wrong_width_are_errors(model, processor, features):
    batch = processor.for_training(samples(features)[:1])
    with pytest.raises(ModelError, match="smell"):
        model(**{**batch, "features": {"smell": torch.zeros(1, 1, 4)}})
    with pytest.raises(ModelError, match=r"'audio': expected shape \(1, N, 8\), found \(1, 3, 9\)"):
        model(**{**batch, "features": {**batch["features"], "audio": torch.zeros(1, 3, 9)}})


def test_labels_without_an_answer_are_an_error(model, processor, features):
    batch = processor.for_training(samples(features)[:1])
    batch["labels"].fill_(-100)
    with pytest.raises(ModelError, match="answer tokens"):
        model(**batch)


def test_gradients_reach_projectors_and_lora_only(model, processor, features):
    model.train()
    model(**processor.for_training(samples(features))).loss.backward()
    with_gradient = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
    assert all(name.startswith("projectors.") or ".lora_" in name for name in with_gradient)
    assert {name.split(".")[1] for name in with_gradient if name.startswith("projectors.")} == {
        "global",
        "local",
        "audio",
    }
    adapted = {name.split(".")[-4] for name in with_gradient if ".lora_" in name}
    assert adapted == {"q_proj", "v_proj"}
    assert all(parameter.grad.abs().sum() > 0 for parameter in model.parameters() if parameter.grad is not None)


def test_a_training_step_leaves_the_base_as_it_was(model, processor, features):
    base = {n: p.clone() for n, p in model.named_parameters() if not p.requires_grad}
    optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)
    before = model(**processor.for_training(samples(features))).loss
    for _ in range(5):
        optimiser.zero_grad()
        model(**processor.for_training(samples(features))).loss.backward()
        optimiser.step()
    after = model(**processor.for_training(samples(features))).loss
    assert after < before
    assert all(torch.equal(p, base[n]) for n, p in model.named_parameters() if n in base)


def test_bfloat16_base_keeps_float32_projectors_and_lora(llm_dir, config, processor, features):
    model = new_model(config, llm_dir, dtype=torch.bfloat16)
    kinds = {parameter.requires_grad: set() for parameter in model.parameters()}
    for parameter in model.parameters():
        kinds[parameter.requires_grad].add(parameter.dtype)
    assert kinds == {True: {torch.float32}, False: {torch.bfloat16}}
    loss = model(**processor.for_training(samples(features))).loss
    loss.backward()
    assert loss.dtype == torch.float32 and torch.isfinite(loss)


def test_soft_tokens_start_at_the_size_of_word_embeddings(model):
    words = model.get_input_embeddings().weight.pow(2).mean().sqrt()
    with torch.no_grad():
        for name, width in (("global", 12), ("local", 6)):
            soft = model.projectors[name](torch.randn(64, 1, width)).pow(2).mean().sqrt()
            assert 0.5 < float(soft / words) < 2.0


def test_standardisation_is_applied_and_checked(model):
    projector = model.projectors["audio"]
    rows = torch.randn(2, 3, 8)
    before = projector(rows)
    mean, std = torch.arange(8.0), torch.full((8,), 2.0)
    projector.standardise(mean, std)
    assert torch.allclose(projector(rows * 2 + mean), before, atol=1e-5)
    projector.standardise(mean, torch.zeros(8))
    assert torch.isfinite(projector(rows)).all()
    with pytest.raises(ModelError, match="8 finite numbers as mean"):
        projector.standardise(torch.zeros(7), std)


def test_generate_with_and_without_cache_agree_batch_and_alone(model, processor, features):
    rows = samples(features)
    batch = processor.for_generation(rows)
    options = {"max_new_tokens": 8, "do_sample": False, "eos_token_id": -1}
    cached = model.generate(**batch, **options)[:, batch["input_ids"].shape[1] :]
    uncached = model.generate(**batch, **options, use_cache=False)[:, batch["input_ids"].shape[1] :]
    assert torch.equal(cached, uncached)
    for row, sample in enumerate(rows):
        one = processor.for_generation([sample])
        alone = model.generate(**one, **options)[:, one["input_ids"].shape[1] :]
        assert torch.equal(alone[0], cached[row])


def test_whole_model_round_trip_through_the_auto_classes(model, processor, features, tmp_path):
    model.projectors["audio"].standardise(torch.arange(8.0), torch.full((8,), 2.0))
    model.save_pretrained(tmp_path)
    again = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert isinstance(AutoConfig.from_pretrained(tmp_path), EmotionLlamaConfig)
    assert again.config.groups == model.config.groups
    batch = processor.for_training(samples(features))
    with torch.no_grad():
        assert torch.equal(model(**batch).loss, again.eval()(**batch).loss)


def test_another_architecture_with_absolute_positions_ignores_padding(processor, features):
    """The language model is a line of configuration: here a GPT-2, which sees where a token stands."""
    config = EmotionLlamaConfig(
        text_config=GPT2Config(
            vocab_size=len(processor.tokenizer), n_embd=32, n_layer=2, n_head=4, initializer_range=0.3
        ),
        features=processor.config.features,
        placeholder_token_id=processor.config.placeholder_token_id,
    )
    torch.manual_seed(0)
    gpt = EmotionLlamaForConditionalGeneration(config).eval()
    rows = samples(features)
    with torch.no_grad():
        together = gpt(**processor.for_generation(rows)).logits[:, -1]
        alone = torch.cat([gpt(**processor.for_generation([row])).logits[:, -1] for row in rows])
    assert torch.allclose(together, alone, atol=1e-4)


def test_the_librarys_trainer_trains_and_saves_it(model, processor, features, tmp_path):
    arguments = TrainingArguments(
        output_dir=tmp_path,
        max_steps=2,
        per_device_train_batch_size=2,
        gradient_accumulation_steps=2,
        remove_unused_columns=False,
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
        save_strategy="no",
        learning_rate=1e-2,
    )
    rows = samples(features) * 4
    before = {name: value.clone() for name, value in model.named_parameters()}
    trainer = Trainer(model, arguments, data_collator=processor.for_training, train_dataset=rows)
    assert np.isfinite(trainer.train().training_loss)
    changed = {name for name, value in model.named_parameters() if not torch.equal(value, before[name])}
    assert changed == {name for name, value in model.named_parameters() if value.requires_grad}
    trainer.save_model(tmp_path / "saved")
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "saved").eval()
    batch = processor.for_training(rows[:2])
    with torch.no_grad():
        assert torch.equal(again(**batch).loss, model.eval()(**batch).loss)


def test_configuration_refuses_what_cannot_work():
    group = {"name": "audio", "width": 4, "tokens": 1, "modality": "audio"}
    with pytest.raises(ModelError, match="different names"):
        EmotionLlamaConfig(features=[group, group])
    with pytest.raises(ModelError, match="'global' stands first"):
        EmotionLlamaConfig(features=[group, {**group, "name": "global"}])
    with pytest.raises(ModelError, match="at least 1"):
        EmotionLlamaConfig(features=[{**group, "tokens": 0}])


def test_placeholder_must_exist(llm_dir):
    with pytest.raises(ModelError, match="<nowhere>"):
        EmotionLlamaConfig.for_llm(llm_dir, [FeatureGroup("audio", 4, 1, "audio")], placeholder="<nowhere>")


def test_features_that_are_not_numbers_are_refused(processor, features):
    broken = {"audio": np.full((3, 8), np.nan, np.float32)}
    with pytest.raises(ModelError, match="finite"):
        processor.for_training([TrainSample("x", "emotion", LABELS, None, "happy", broken)])


def test_a_whole_checkpoint_read_in_bfloat16_can_be_trained_on(model, processor, features, tmp_path):
    model.save_pretrained(tmp_path)
    again = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.bfloat16)
    kinds = {(parameter.requires_grad, parameter.dtype) for parameter in again.parameters()}
    assert kinds == {(True, torch.float32), (False, torch.bfloat16)}
    trained = {name for name, parameter in again.named_parameters() if parameter.requires_grad}
    assert trained == {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert torch.isfinite(again(**processor.for_training(samples(features))).loss)
