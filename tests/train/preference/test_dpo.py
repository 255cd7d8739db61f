from __future__ import annotations

import inspect
import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from transformers import Trainer
from transformers.trainer_callback import CallbackHandler
from trl import DPOConfig, DPOTrainer, GRPOTrainer

from emotion_llama.errors import ModelError, UsageError
from emotion_llama.model import load_adapter
from emotion_llama.model.checkpoint import adapter_sha256
from emotion_llama.train.preference import dpo, grpo
from emotion_llama.train.preference.arguments import trl_arguments
from emotion_llama.train.preference.dpo import FeatureDPOTrainer, train_dpo
from emotion_llama.train.preference.pairs import Pair
from emotion_llama.train.preference.policy import as_policy, require_finite_weights
from emotion_llama.train.preference.settings import PreferenceSettings
from emotion_llama.train.preference.training_run import TrainingRun, weights_sha256


def settings(**changes):
    trl = {
        "per_device_train_batch_size": 4, "learning_rate": 1e-2, "beta": 0.5, "lr_scheduler_type": "constant",
        "disable_tqdm": True,
    }  # fmt: skip
    trl |= changes.pop("trl", {})
    return PreferenceSettings(**{"steps": 5, "save_every": 0, "max_new_tokens": 6, **changes, "trl": trl})


def pairs(ask, count=8):
    """Rejected answers of other lengths than the chosen ones; clips with one to five soft tokens."""
    other = {"happy": "sad", "sad": "angry", "angry": "very neutral", "neutral": "happy"}
    return [Pair(s.sample, other[s.facts.label]) for s in (ask(number) for number in range(count))]


def test_loss_starts_at_ln_2_and_falls_and_the_margin_grows(model, processor, ask, tmp_path):
    record = train_dpo(model, processor, pairs(ask), settings(steps=20), tmp_path, validation=[ask(20), ask(21)])
    first, last = record["steps"][0], record["steps"][-1]
    assert first["loss"] == pytest.approx(math.log(2), abs=1e-5)
    assert first["rewards/margins"] == pytest.approx(0, abs=1e-5)
    assert last["loss"] < 0.4 and last["rewards/margins"] > 1
    assert [step["step"] for step in record["steps"]] == list(range(1, 21))


def test_log_probabilities_are_those_computed_by_hand(model, processor, ask, tmp_path):
    chosen = pairs(ask)
    expected = {}
    for name, answer in (("chosen", lambda p: p.sample.answer), ("rejected", lambda p: p.rejected)):
        for pair in chosen:  # one at a time: no padding, no neighbours
            batch = processor.for_training([replace(pair.sample, answer=answer(pair))])
            labels = batch.pop("labels")[:, 1:]
            with torch.no_grad():
                logp = model(**batch).logits[:, :-1].log_softmax(-1)
            said = labels != -100
            expected[name, pair.sample.clip] = float(logp[said].gather(1, labels[said].unsqueeze(1)).sum())
    args = trl_arguments(DPOConfig, settings(), tmp_path, {"precompute_ref_log_probs": True})
    with as_policy(model):
        trainer = FeatureDPOTrainer(model, processor, chosen, args, [str(n) for n in range(8)])
        rows = [trainer.train_dataset[n] for n in range(8)]
        batch = trainer.collate(rows)
        loss = trainer.compute_loss(model, batch)
    assert len({tuple(batch["attention_mask"][n].tolist()) for n in range(16)}) > 4  # lengths do differ
    for row, pair in zip(rows, chosen, strict=True):
        assert row["ref_chosen_logps"] == pytest.approx(expected["chosen", pair.sample.clip], abs=1e-3)
        assert row["ref_rejected_logps"] == pytest.approx(expected["rejected", pair.sample.clip], abs=1e-3)
    assert float(loss) == pytest.approx(math.log(2), abs=1e-5)


def test_pairs_that_look_alike_but_for_their_features_have_their_own_reference(processor, ask, tmp_path, again):
    sides = []
    for shift in (0, 1):
        made = pairs(ask, 4)
        moved = [replace(p.sample, features={n: a + shift for n, a in p.sample.features.items()}) for p in made]
        made = [Pair(s, p.rejected) for s, p in zip(moved, made, strict=True)]
        sides.append(train_dpo(again.model(), processor, made, settings(steps=1), tmp_path / str(shift))["steps"][0])
    assert sides[0]["loss"] == pytest.approx(math.log(2), abs=1e-5)
    assert sides[1]["loss"] == pytest.approx(math.log(2), abs=1e-5)


@pytest.mark.parametrize("train", [("lora",), ("projectors",), ("lora", "projectors")])
def test_frozen_parameters_do_not_move_and_the_model_is_left_as_it_was(model, processor, ask, tmp_path, only, train):
    only(model, *train)
    asked = {n for n, p in model.named_parameters() if p.requires_grad}
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    shares = [m.p for m in model.modules() if isinstance(m, torch.nn.Dropout)]
    pad = model.config.text_config.pad_token_id
    train_dpo(model, processor, pairs(ask), settings(), tmp_path)
    moved = {n for n, p in model.named_parameters() if not torch.equal(p, before[n])}
    assert moved <= asked == {n for n, p in model.named_parameters() if p.requires_grad}
    assert any(".lora_" in n for n in moved) == ("lora" in train)
    assert any(n.startswith("projectors.") for n in moved) == ("projectors" in train)
    assert [m.p for m in model.modules() if isinstance(m, torch.nn.Dropout)] == shares and 0.05 in shares
    assert "forward" not in model.__dict__ and model.base_model is model.language_model
    assert model.config.text_config.pad_token_id == pad and not model.training


def test_same_seed_same_weights_and_a_killed_run_goes_on_to_them(model, processor, ask, tmp_path, again):
    chosen = settings(steps=7, save_every=3, trl={"save_total_limit": 9})  # 2 steps an epoch: resumed inside the second
    whole = train_dpo(model, processor, pairs(ask), chosen, tmp_path / "a", validation=[ask(20)])
    killed = again.cut(tmp_path / "a", tmp_path / "b", step=3)
    with pytest.raises(UsageError, match="an unfinished run with other data, settings"):
        train_dpo(again.model(), processor, pairs(ask, 6), settings(), killed, validation=[ask(20)])
    resumed = train_dpo(again.model(), processor, pairs(ask), chosen, killed, validation=[ask(20)])
    assert resumed["resumed_from"] == "checkpoint-3"
    assert resumed["adapter_sha256"] == whole["adapter_sha256"]
    assert resumed["steps"] == whole["steps"] and resumed["validation"] == whole["validation"]
    seen = settings(steps=7, save_every=3, trl={"save_total_limit": 1, "report_to": "none"})  # decides no weight
    fresh = again.model()
    assert train_dpo(fresh, processor, pairs(ask), seen, killed, validation=[ask(20)]) == resumed  # read back
    assert weights_sha256(fresh) == weights_sha256(model)
    with pytest.raises(UsageError, match="holds a finished run with other data, seed"):
        train_dpo(again.model(), processor, pairs(ask), chosen, killed, seed=1)


def test_the_folder_explains_itself_and_loads(model, processor, ask, small_llm, tmp_path):
    record = train_dpo(model, processor, pairs(ask), settings(), tmp_path, validation=[ask(20)])
    assert record == json.loads((tmp_path / "preference.json").read_text("utf-8"))
    assert record["adapter_sha256"] == adapter_sha256(tmp_path) != record["start_sha256"]
    assert record["data"]["pairs"] == 8 and record["data"]["validation"] == 1
    assert set(record["validation"]["before"]) >= {"label_match", "format", "reward", "n"}
    assert set(record["versions"]) >= {"trl", "torch", "peft", "transformers"}
    assert not list(tmp_path.rglob("*.md")) and not list(tmp_path.rglob("*.part"))
    loaded = load_adapter(tmp_path, small_llm, merge=False)
    for (name, mine), (_, theirs) in zip(model.named_parameters(), loaded.named_parameters(), strict=True):
        assert torch.equal(mine, theirs), name
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    losses = [event.value for event in events.Scalars("train/loss")]
    assert np.allclose(losses, [step["loss"] for step in record["steps"]], atol=1e-4)


def test_gradient_checkpointing_changes_nothing(model, processor, ask, tmp_path, again):
    plain = train_dpo(model, processor, pairs(ask), settings(), tmp_path / "a")
    frugal = again.model()
    frugal.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})  # as build does
    saved = train_dpo(frugal, processor, pairs(ask), settings(), tmp_path / "b")
    assert frugal.is_gradient_checkpointing and not model.is_gradient_checkpointing
    assert [s["loss"] for s in saved["steps"]] == pytest.approx([s["loss"] for s in plain["steps"]], abs=1e-5)


def test_a_loss_that_is_not_finite_names_the_clips(model, processor, ask, tmp_path):
    with torch.no_grad():
        next(p for n, p in model.named_parameters() if ".lora_B" in n)[0] = float("nan")
    with pytest.raises(ModelError, match=r"step 1: expected a finite loss, found nan.*clips clip\d, clip"):
        train_dpo(model, processor, pairs(ask), settings(), tmp_path)
    assert not (tmp_path / "preference.json").exists()
    assert "forward" not in model.__dict__


def test_out_of_memory_says_what_to_lower(model, processor, tmp_path):
    class Full(Trainer):
        def __init__(self):
            self.callback_handler = CallbackHandler([], model, processor, None, None)

        def train(self, **_):
            raise torch.OutOfMemoryError("tried to allocate much")

    run = TrainingRun("dpo", model, processor, settings(), tmp_path, 0, ())
    with pytest.raises(ModelError, match=r"lower trl\.per_device_train_batch_size .*tried to allocate much"):
        run.run(Full, data={})


def test_a_model_without_lora_is_refused(model, processor, ask, tmp_path):
    model.merge_lora()
    with pytest.raises(ModelError, match="expected LoRA layers to train, found none"):
        train_dpo(model, processor, pairs(ask), settings(), tmp_path)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"betta": 1}, "DPOConfig of the installed TRL has no such option; did you mean 'beta'"),
        ({"max_steps": 3}, "set steps instead"),
        ({"gradient_checkpointing": True}, "set model.gradient_checkpointing instead"),
        ({"max_length": 64}, "never cut"),
        ({"learning_rate": "fast"}, "trl.learning_rate: expected a number, found 'fast'"),
        ({"sync_ref_model": True}, "the reference never moves"),
        ({"lr_scheduler_type": "spiral"}, "DPOConfig refuses these options: .*spiral"),
        ({"loss_type": ["sigmoid"], "loss_weights": [1, 2]}, "DPOConfig refuses these options"),
    ],
)
def test_options_are_checked(tmp_path, option, message):
    with pytest.raises(UsageError, match=message):
        trl_arguments(DPOConfig, settings(trl=option), tmp_path, {})


def test_a_number_that_yaml_takes_for_a_word_is_read_as_one(tmp_path):
    args = trl_arguments(
        DPOConfig, settings(trl={"learning_rate": "1e-4", "lr_scheduler_type": "cosine"}), tmp_path, {}
    )
    assert args.learning_rate == 1e-4


def test_an_attempt_without_a_checkpoint_is_begun_anew(model, processor, ask, tmp_path, again):
    with torch.no_grad():
        next(p for n, p in model.named_parameters() if ".lora_B" in n)[0] = float("nan")
    with pytest.raises(ModelError, match="finite"):
        train_dpo(model, processor, pairs(ask), settings(), tmp_path)
    record = train_dpo(again.model(), processor, pairs(ask), settings(steps=1), tmp_path)
    assert len(record["steps"]) == 1


@pytest.mark.parametrize("loss", ["ipo", "hinge", ["sigmoid", "sft"]])
def test_other_losses_of_trl_run(model, processor, ask, tmp_path, loss):
    record = train_dpo(model, processor, pairs(ask, 4), settings(steps=2, trl={"loss_type": loss}), tmp_path)
    assert all(math.isfinite(step["loss"]) for step in record["steps"])


SIGNATURES = {
    ("DPOTrainer", "_prepare_dataset"): "self dataset processing_class args dataset_name",
    ("DPOTrainer", "compute_loss"): "self model inputs return_outputs num_items_in_batch",
    ("DPOTrainer", "create_model_card"): "self model_name dataset_name tags",
    ("DPOTrainer", "_send_telemetry"): "self",
    ("GRPOTrainer", "_generate_and_score_completions"): "self inputs",
    ("GRPOTrainer", "_compute_loss"): "self model inputs",
    ("GRPOTrainer", "_get_per_token_logps_and_entropies"): (
        "self model input_ids attention_mask logits_to_keep batch_size compute_entropy compute_aux_loss pixel_values "
        "image_grid_thw num_images pixel_attention_mask spatial_shapes num_tiles image_sizes token_type_ids "
        "mm_token_type_ids image_position_ids"
    ),
    ("GRPOTrainer", "create_model_card"): "self model_name dataset_name tags",
    ("GRPOTrainer", "_send_telemetry"): "self",
    ("Trainer", "_save"): "self output_dir state_dict",
    ("Trainer", "_load_from_checkpoint"): "self resume_from_checkpoint model",
}


def test_what_is_overridden_is_still_as_it_was():
    overridden = {(owner.__name__, name): getattr(owner, name) for owner, name in (*dpo.OVERRIDDEN, *grpo.OVERRIDDEN)}
    found = {key: " ".join(inspect.signature(method).parameters) for key, method in overridden.items()}
    assert found == SIGNATURES
    own = {name for trainer in (FeatureDPOTrainer, grpo.FeatureGRPOTrainer) for name in vars(trainer)}
    base = {name for owner in (DPOTrainer, GRPOTrainer, Trainer) for name in dir(owner)}
    assert {name for name in own & base if not name.startswith("__")} == {name for _, name in overridden}


def test_the_calls_we_rely_on_are_still_made():
    loss, reference = inspect.getsource(DPOTrainer._compute_loss), inspect.getsource(DPOTrainer.compute_ref_log_probs)
    scored = inspect.getsource(GRPOTrainer._get_per_token_logps_and_entropies)
    for source in (loss, reference, scored):
        assert "labels=labels, fused_lm_head=True)" in source
    assert "self.rollout_func(prompts, self)" in inspect.getsource(GRPOTrainer._generate)


def test_weights_that_are_not_finite_are_never_written(model):
    require_finite_weights(model)
    name, weight = next((n, p) for n, p in model.named_parameters() if ".lora_A" in n)
    with torch.no_grad():
        weight[0, 0] = float("inf")
    with pytest.raises(ModelError, match=name):
        require_finite_weights(model)
