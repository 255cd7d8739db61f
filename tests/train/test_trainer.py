"""The trainer itself: what moves, what a step is worth, what stops it, what it leaves behind."""

from __future__ import annotations

import json
import resource
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import TrainerCallback

from emotion_llama.errors import ModelError, OutputError
from emotion_llama.train.progress import console
from emotion_llama.train.run import step_scores
from emotion_llama.train.schedule import learning_rate
from emotion_llama.train.trainer import COMPLETE, EmotionTrainer, last_checkpoint
from tests.train.tiny_run import configured, largest_difference, losses, trained, trainer_of, weights

ALONE = ("validation.every=100", "samples.feature_noise=0", "model.lora.dropout=0")
"""No validation, nothing random: differences come from what a test changes."""


class At(TrainerCallback):  # type: ignore[misc]  # untyped library
    """Does something after a step."""

    def __init__(self, step: int, work: Callable[[], object]) -> None:
        self.step, self.work = step, work

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == self.step:
            self.work()


class Killed(Exception):
    """Stands for a kill: nothing in the trainer handles it."""


def _kill() -> None:
    raise Killed


def _fresh(folder: Path, *changes: str) -> EmotionTrainer:
    folder.mkdir(exist_ok=True)
    return trainer_of(configured(folder, *changes))


@pytest.mark.parametrize("parts", ["[projectors]", "[lora]", "[projectors, lora]"])
def test_only_what_is_to_be_trained_moves(tmp_path: Path, parts: str) -> None:
    trainer = _fresh(tmp_path, f"model.train={parts}", "schedule.steps=3", *ALONE)
    before = trained(trainer.model)
    buffers = {name: value.clone() for name, value in trainer.model.named_buffers()}
    trainer.train()
    moved = {name for name, value in trained(trainer.model).items() if not torch.equal(value, before[name])}
    projectors = {name for name in before if name.startswith("projectors.")}
    lora = {name for name in before if ".lora_" in name}
    frozen = before.keys() - projectors - lora
    assert projectors and lora and len(frozen) > 10
    assert moved == (projectors if "projectors" in parts else set()) | (lora if "lora" in parts else set())
    assert {"projectors.audio.mean", "projectors.video.std"} <= buffers.keys()  # what data are standardised with
    assert all(torch.equal(value, buffers[name]) for name, value in trainer.model.named_buffers())


class Rates(TrainerCallback):  # type: ignore[misc]  # untyped library
    """Keeps the rates each step is taken with."""

    def __init__(self) -> None:
        self.seen: list[list[float]] = []

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.seen.append([group["lr"] for group in kwargs["optimizer"].param_groups])


def test_steps_are_taken_with_the_rates_of_the_schedule(tmp_path: Path) -> None:
    """One rate an optimizer step, however many batches it has; after a kill, too. test_schedule.py has the numbers."""
    changes = (
        *ALONE, "schedule.steps=9", "schedule.accumulate=2", "schedule.shape=official", "schedule.steps_an_epoch=3",
        "schedule.learning_rate=1e-3", "schedule.warmup_learning_rate=1e-4", "schedule.min_learning_rate=1e-5",
        "schedule.warmup_steps=4", "validation.every=3",
    )  # fmt: skip
    trainer, rates = _fresh(tmp_path, *changes), Rates()
    trainer.add_callback(rates)
    trainer.add_callback(At(8, _kill))
    with pytest.raises(Killed):
        trainer.train()
    expected = [learning_rate(trainer.schedule, step) for step in range(9)]
    assert expected[0] == expected[3] == 1e-4 < expected[1] < expected[4]  # the warm-up starts again with an epoch
    assert all(len(set(step)) == 1 for step in rates.seen)  # projectors have no rate of their own here
    assert [step[0] for step in rates.seen] == pytest.approx(expected[:8])
    again, rates = _fresh(tmp_path, *changes), Rates()
    again.add_callback(rates)
    again.train(resume_from_checkpoint=str(last_checkpoint(tmp_path / "run" / "checkpoints")))
    assert [step[0] for step in rates.seen] == pytest.approx(expected[6:])


def test_accumulated_batches_equal_one_large_batch(tmp_path: Path) -> None:
    large = _fresh(tmp_path, "schedule.batch_size=8", "schedule.accumulate=1", *ALONE)
    large.train()
    small = _fresh(tmp_path, "schedule.batch_size=2", "schedule.accumulate=4", "out=" + str(tmp_path / "b"), *ALONE)
    small.train()
    assert losses(small) == pytest.approx(losses(large), rel=1e-5)
    assert largest_difference(trained(small.model), trained(large.model)) < 2e-5


def test_gradient_checkpointing_gives_the_same_gradients(tmp_path: Path) -> None:
    found = []
    for on in ("false", "true"):
        trainer = _fresh(tmp_path, f"model.gradient_checkpointing={on}", "schedule.steps=1", *ALONE)
        assert trainer.model.is_gradient_checkpointing == (on == "true")
        gradients: dict[str, torch.Tensor] = {}
        for name, parameter in trainer.model.named_parameters():
            if parameter.requires_grad:
                parameter.register_hook(lambda g, name=name, into=gradients: into.__setitem__(name, g.clone()))
        trainer.train()
        found.append(gradients)
    assert len(found[0]) > 5 and max(float(g.abs().max()) for g in found[0].values()) > 1e-3
    assert largest_difference(*found) < 1e-6


def _history(trainer: EmotionTrainer) -> list[dict[str, Any]]:
    return step_scores(trainer)


@pytest.mark.parametrize("killed_at", [5, 8, 11])
def test_a_run_that_was_killed_ends_as_one_that_was_not(tmp_path: Path, killed_at: int) -> None:
    """With dropout, feature noise and input dropout on: random numbers go on where they were, too."""
    changes = ("schedule.steps=12", "validation.every=4", "model.lora.dropout=0.3")
    whole = _fresh(tmp_path, *changes, "out=" + str(tmp_path / "whole"))
    whole.train()
    broken = _fresh(tmp_path, *changes)
    broken.add_callback(At(killed_at, _kill))
    with pytest.raises(Killed):
        broken.train()
    again = _fresh(tmp_path, *changes)
    last = last_checkpoint(tmp_path / "run" / "checkpoints")
    assert last is not None and last.name == f"checkpoint-{(killed_at - 1) // 4 * 4}"
    again.train(resume_from_checkpoint=str(last))
    assert largest_difference(trained(again.model), trained(whole.model)) == 0.0
    assert _history(again) == _history(whole)
    assert [one["step"] for one in _history(whole)] == [1, 4, 8, 10, 12]


def test_dropout_differs_from_step_to_step_and_by_seed(tmp_path: Path) -> None:
    """Otherwise the test above could not see a random state that is lost."""
    ends = []
    for seed, dropout in ((0, 0.0), (0, 0.3), (1, 0.3)):
        trainer = _fresh(tmp_path, *ALONE, f"model.lora.dropout={dropout}", "schedule.steps=2", f"seed={seed}")
        trainer.train()
        ends.append(trained(trainer.model))
    assert largest_difference(ends[0], ends[1]) > 1e-5
    assert largest_difference(ends[1], ends[2]) > 1e-5


def _patient(tmp_path: Path, out: str, *more: str) -> EmotionTrainer:
    """The rate is so low that no answer changes: no validation is better than the first."""
    changes = ("schedule.steps=12", "schedule.learning_rate=1e-5", "validation.every=2", "validation.metric=uar")
    return _fresh(tmp_path, *changes, "validation.patience=2", "out=" + str(tmp_path / out), *more)


def test_early_stopping_counts_on_after_a_kill(tmp_path: Path) -> None:
    whole = _patient(tmp_path, "whole")
    whole.train()
    assert whole.state.global_step == 2 + 2 * 2
    broken = _patient(tmp_path, "run")
    broken.add_callback(At(5, _kill))
    with pytest.raises(Killed):
        broken.train()
    again = _patient(tmp_path, "run")
    again.train(resume_from_checkpoint=str(last_checkpoint(tmp_path / "run" / "checkpoints")))
    assert again.state.global_step == whole.state.global_step
    assert largest_difference(trained(again.model), trained(whole.model)) == 0.0


def test_a_run_that_stopped_early_stays_stopped(tmp_path: Path) -> None:
    """Killed while it calibrates: started again, it must not train on."""
    whole = _patient(tmp_path, "run")
    whole.train()
    again = _patient(tmp_path, "run")
    again.train(resume_from_checkpoint=str(last_checkpoint(tmp_path / "run" / "checkpoints")))
    assert _history(again) == _history(whole)
    assert largest_difference(trained(again.model), trained(whole.model)) == 0.0


def test_the_best_checkpoint_is_kept_and_put_back(tmp_path: Path) -> None:
    trainer = _patient(tmp_path, "run")
    trainer.train()
    assert trainer.state.best_global_step == 2
    best = weights(Path(trainer.state.best_model_checkpoint))
    trainer.save_final(tmp_path / "final")
    assert largest_difference(weights(tmp_path / "final"), best) == 0.0
    assert largest_difference(weights(last_checkpoint(tmp_path / "run" / "checkpoints") or tmp_path), best) > 1e-6


def test_the_last_weights_are_kept_where_nothing_chooses(tmp_path: Path) -> None:
    trainer = _patient(tmp_path, "run", "validation.metric=last", "validation.patience=null")
    trainer.train()
    assert trainer.state.best_metric is None and len(trainer.validation_scores) > 2
    trainer.save_final(tmp_path / "final")
    newest = last_checkpoint(tmp_path / "run" / "checkpoints")
    assert newest is not None and largest_difference(weights(tmp_path / "final"), weights(newest)) == 0.0


def test_a_loss_that_is_no_number_names_the_clips(tmp_path: Path) -> None:
    trainer = _fresh(tmp_path, *ALONE, "schedule.batch_size=2")
    seen: list[list[str]] = []
    collate = trainer.data_collator
    trainer.data_collator = lambda samples: seen.append([s.clip for s in samples]) or collate(samples)
    spoil = trainer.model.projectors["audio"].layers[0].bias

    def forget() -> None:
        with torch.no_grad():
            spoil.fill_(float("nan"))

    trainer.add_callback(At(2, forget))
    with pytest.raises(ModelError, match="step 3: expected a finite loss, found nan") as failure:
        trainer.train()
    assert len(seen[2]) == 2 and all(clip in str(failure.value) for clip in seen[2])
    assert "learning_rate" in str(failure.value)


@pytest.mark.parametrize("where", ["forward", "backward"])
def test_out_of_memory_says_what_to_lower(tmp_path: Path, where: str) -> None:
    trainer = _fresh(tmp_path, *ALONE)

    def fail(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    if where == "forward":
        trainer.model.projectors["audio"].register_forward_hook(fail)
    else:
        trainer.model.projectors["audio"].layers[0].weight.register_hook(fail)
    with pytest.raises(ModelError, match=r"schedule\.batch_size") as failure:
        trainer.train()
    for word in ("schedule.accumulate", "model.gradient_checkpointing", "2.00 GiB"):
        assert word in str(failure.value)


def test_other_errors_pass_unchanged(tmp_path: Path) -> None:
    trainer = _fresh(tmp_path, *ALONE)

    def fail(*_: object) -> None:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    trainer.model.projectors["audio"].register_forward_hook(fail)
    with pytest.raises(RuntimeError, match="mat1"):
        trainer.train()


@contextmanager
def _file_size_limit() -> Iterator[Callable[[int], None]]:
    """`limit(n)`: from then on no file can grow beyond n bytes, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("room", [3_000, 30_000])
def test_a_full_disk_leaves_the_last_good_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    """Too little for the adapter, or for the optimizer's state; with room again the run ends as it should."""
    monkeypatch.setattr(
        console, "quiet", True
    )  # what is printed may go to a file, which must not be the one that fails
    changes = ("schedule.steps=6", "validation.every=2")
    whole = _fresh(tmp_path, *changes, "out=" + str(tmp_path / "whole"))
    whole.train()
    checkpoints = tmp_path / "run" / "checkpoints"
    files = {path.name: path.stat().st_size for path in (tmp_path / "whole" / "checkpoints" / "checkpoint-6").iterdir()}
    assert 3_000 < files["adapter_model.safetensors"] < 30_000 < files["optimizer.pt"]
    broken = _fresh(tmp_path, *changes)
    with _file_size_limit() as limit:
        broken.add_callback(At(3, lambda: limit(room)))
        with pytest.raises(OutputError, match="checkpoint-2: free space"):
            broken.train()
    assert [path.name for path in checkpoints.iterdir()] == ["checkpoint-2"]
    assert (checkpoints / "checkpoint-2" / COMPLETE).is_file()
    again = _fresh(tmp_path, *changes)
    again.train(resume_from_checkpoint=str(last_checkpoint(checkpoints)))
    assert largest_difference(trained(again.model), trained(whole.model)) == 0.0


def test_half_a_checkpoint_does_not_count(tmp_path: Path) -> None:
    trainer = _fresh(tmp_path, "schedule.steps=4", "validation.every=2")
    trainer.train()
    folder = tmp_path / "run" / "checkpoints"
    assert last_checkpoint(folder) == folder / "checkpoint-4"
    (folder / "checkpoint-4" / COMPLETE).unlink()
    assert last_checkpoint(folder) == folder / "checkpoint-2"
    shutil.rmtree(folder / "checkpoint-2")
    assert last_checkpoint(folder) is None


def test_losses_are_logged_by_task_and_average_to_the_loss_by_token(tmp_path: Path) -> None:
    text = tmp_path / "words.jsonl"
    lines = [{"clip": f"w{n}", "path": None, "transcript": "I am so glad", "emotion": "happy"} for n in range(8)]
    text.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    source = "{name: words, path: words.jsonl, side: train, labels: ravdess8}"
    voices = "{name: voices, kind: features, path: clips, part: RAVDESS, labels: ravdess8, side: train}"
    trainer = _fresh(tmp_path, *ALONE, f"data.sources=[{voices}, {source}]", "schedule.steps=4")
    trainer.train()
    (entry,) = [e for e in trainer.state.log_history if "loss" in e and e["step"] == 4]
    assert {"loss_emotion", "loss_text-only"} <= entry.keys()
    assert min(entry["loss_emotion"], entry["loss_text-only"]) - 1 < entry["loss"]
    assert entry["loss"] < max(entry["loss_emotion"], entry["loss_text-only"]) + 1
    assert np.isfinite(entry["grad_norm"]) and entry["learning_rate"] > 0
