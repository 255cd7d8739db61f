from __future__ import annotations

import pytest
import torch

from emotion_llama.errors import ModelError, UsageError
from emotion_llama.train.preference.facts import Facts, VerifiableSample
from emotion_llama.train.preference.grpo import (
    FeatureGRPOTrainer,
    _arguments,
    reward_function,
    rows_in_order,
    train_grpo,
)
from emotion_llama.train.preference.policy import as_policy
from emotion_llama.train.preference.settings import PreferenceSettings

ONLY_LABEL = {"weights": {"label_match": 1.0, "wheel_f1": 0, "format": 0, "supported_clues": 0}}


def settings(processor, **changes):
    """Answers of two tokens, each a label or the end: rewards come often enough to learn from in a few steps."""
    said = [processor.end_id, *(processor.answer_ids(label)[0] for label in ("happy", "sad", "angry", "neutral"))]
    others = [token for token in range(len(processor.tokenizer)) if token not in said]
    trl = {
        "per_device_train_batch_size": 16, "num_generations": 8, "max_completion_length": 2, "learning_rate": 1e-2,
        "generation_kwargs": {"suppress_tokens": others}, "lr_scheduler_type": "constant", "disable_tqdm": True,
    }  # fmt: skip
    trl |= changes.pop("trl", {})
    return PreferenceSettings(
        **{"steps": 3, "save_every": 0, "max_new_tokens": 2, "rewards": ONLY_LABEL, **changes, "trl": trl}
    )


def test_mean_reward_rises(model, processor, ask, tmp_path):
    samples = [ask(n, label="happy") for n in range(6)]
    record = train_grpo(
        model,
        processor,
        samples,
        settings(processor, steps=20, trl={"learning_rate": 3e-3}),
        tmp_path,
        validation=[ask(30, label="happy")],
    )
    rewards = [step["reward"] for step in record["steps"]]
    first, last = sum(rewards[:3]) / 3, sum(rewards[-3:]) / 3
    assert 0.05 < first < 0.6 and last > first + 0.3
    assert record["validation"]["after"]["label_match"] >= record["validation"]["before"]["label_match"]


def test_log_probabilities_are_those_of_the_forward(model, processor, ask, tmp_path):
    samples = [ask(n) for n in range(4)]
    chosen = settings(processor, trl={"num_iterations": 2, "temperature": 0.7, "per_device_train_batch_size": 32})
    args = _arguments(processor, chosen, tmp_path, ["label_match"], seed=0)
    rewards = [reward_function("label_match", samples, chosen)]
    with as_policy(model):
        trainer = FeatureGRPOTrainer(model, processor, samples, rewards, args)
        rows = [n for n in range(4) for _ in range(8)]
        batch = trainer._generate_and_score_completions([{"row": r, "prompt": "x"} for r in rows])
        assert batch["row"].tolist() == rows
        ids = torch.cat([batch["prompt_ids"], batch["completion_ids"]], 1)
        mask = torch.cat([batch["prompt_mask"], batch["completion_mask"]], 1)
        keep = batch["completion_ids"].shape[1]
        with torch.no_grad():  # in chunks of another size than the trainer's own
            again, _, _ = trainer._get_per_token_logps_and_entropies(model, ids, mask, keep, batch_size=5)
    said = batch["completion_mask"].bool()
    ratio = torch.exp(again - batch["old_per_token_logps"])[said]
    assert torch.allclose(ratio, torch.ones_like(ratio), atol=1e-4)
    for row, number in enumerate(rows):
        one = ids[row][mask[row] == 1].unsqueeze(0)  # alone, without padding
        features, present = processor.collate([samples[number].sample.features])
        with torch.no_grad():
            logits = model(input_ids=one, features=features, feature_mask=present).logits[0]
        length = int(said[row].sum())
        logp = (logits / 0.7).log_softmax(-1)[-length - 1 : -1]
        expected = logp.gather(1, one[0, -length:].unsqueeze(1))[:, 0]
        assert torch.allclose(again[row][said[row]], expected, atol=1e-4), number


def test_reference_stays_where_it_was(model, processor, ask, tmp_path):
    samples = [ask(n, label="happy") for n in range(6)]
    record = train_grpo(model, processor, samples, settings(processor, steps=6, trl={"beta": 0.1}), tmp_path)
    kl = [step["kl"] for step in record["steps"]]
    assert kl[0] == pytest.approx(0, abs=1e-6) and kl[-1] > 1e-4
    assert record["settings"]["trl"]["beta"] == 0.1


@pytest.mark.parametrize("train", [("lora",), ("lora", "projectors")])
def test_frozen_parameters_do_not_move_and_the_model_is_left_as_it_was(model, processor, ask, tmp_path, only, train):
    only(model, *train)
    asked = {n for n, p in model.named_parameters() if p.requires_grad}
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    shares = [m.p for m in model.modules() if isinstance(m, torch.nn.Dropout)]
    train_grpo(model, processor, [ask(n, label="happy") for n in range(6)], settings(processor), tmp_path)
    moved = {n for n, p in model.named_parameters() if not torch.equal(p, before[n])}
    assert moved <= asked == {n for n, p in model.named_parameters() if p.requires_grad}
    assert any(".lora_" in n for n in moved)
    assert any(n.startswith("projectors.") for n in moved) == ("projectors" in train)
    assert [m.p for m in model.modules() if isinstance(m, torch.nn.Dropout)] == shares and 0.05 in shares
    assert "forward" not in model.__dict__ and model.base_model is model.language_model


def test_same_seed_same_weights_and_a_killed_run_goes_on_to_them(model, processor, ask, adapter, tmp_path, again):
    samples = [ask(n, label="happy") for n in range(5)]
    chosen = settings(processor, steps=7, save_every=3, trl={"save_total_limit": 9})
    whole = train_grpo(model, processor, samples, chosen, tmp_path / "a")
    killed = again.cut(tmp_path / "a", tmp_path / "b", step=3)
    resumed = train_grpo(again.model(), processor, samples, chosen, killed)
    assert resumed["resumed_from"] == "checkpoint-3"
    assert resumed["adapter_sha256"] == whole["adapter_sha256"]
    assert resumed["steps"] == whole["steps"]
    other = train_grpo(again.model(), processor, samples, settings(processor, steps=7), tmp_path / "c", seed=1)
    assert other["adapter_sha256"] != whole["adapter_sha256"]


def test_a_loss_that_is_not_finite_names_the_clips(model, processor, ask, tmp_path):
    chosen = settings(processor, trl={"beta": 1e38, "learning_rate": 1.0})
    with pytest.raises(ModelError, match=r"step \d+: expected a finite loss, found (inf|nan).*clip[01]"):
        train_grpo(model, processor, [ask(0, label="happy"), ask(1, label="happy")], chosen, tmp_path)


def test_samples_without_any_reward_are_refused_by_name(model, processor, ask, tmp_path):
    blank = ask(3)
    nothing = VerifiableSample(blank.sample, Facts("emotion", blank.facts.labels))
    with pytest.raises(UsageError, match="clip clip3, task emotion: no reward applies"):
        train_grpo(model, processor, [ask(1), nothing], settings(processor), tmp_path)


def test_saving_between_two_rounds_of_answers_is_refused(model, processor, ask, tmp_path):
    odd = settings(processor, save_every=3, trl={"num_iterations": 2})
    with pytest.raises(UsageError, match="save_every 3: answers are sampled once for 2 batches"):
        train_grpo(model, processor, [ask(1), ask(2)], odd, tmp_path)


def test_every_question_comes_once_before_any_comes_again():
    order = rows_in_order(5, 12, seed=3)
    assert sorted(order[:5]) == sorted(order[5:10]) == [0, 1, 2, 3, 4] and order[:5] != order[5:10]
    assert order == rows_in_order(5, 12, seed=3) != rows_in_order(5, 12, seed=4)
