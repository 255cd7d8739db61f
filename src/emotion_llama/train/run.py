"""One training run from settings to a checkpoint folder that explains itself. The stages, in order."""

from __future__ import annotations

import os
import shutil
import time
from functools import partial
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from transformers import TrainingArguments
from transformers.utils import logging as library_logging

from emotion_llama.encoders.heads import save_heads
from emotion_llama.encoders.person import save_population
from emotion_llama.model.score import ClipReader
from emotion_llama.train.build import Trainee, build
from emotion_llama.train.config import TrainConfig
from emotion_llama.train.dataset import Samples
from emotion_llama.train.extract import extract
from emotion_llama.train.finish import calibrate_and_score
from emotion_llama.train.material import POPULATION, Material, prepare, read_items, say_extracted
from emotion_llama.train.progress import StepReport, console, duration
from emotion_llama.train.questions import questions, sampler_for
from emotion_llama.train.record import LOGS, RECORD, begin, data_record, training_record, write_json
from emotion_llama.train.trainer import EmotionTrainer, last_checkpoint
from emotion_llama.train.validate import Ask, answer_together

CHECKPOINTS = "checkpoints"
LOG_EVERY = 10


def run(config: TrainConfig, *, jobs: int = 1) -> Path:
    """Train as `config` says; gives the checkpoint folder. A run that was killed goes on where it was.

    Raises an error of the package's tree for settings, data or a checkpoint that do not fit, NaN losses, a full disk.
    """
    start = time.perf_counter()
    state = PartialState(cpu=not torch.cuda.is_available())
    out = Path(config.out)
    items = read_items(config)
    data = data_record(items, config)
    with state.main_process_first():
        if begin(out, config, data):
            console.print(f"{out} holds this run already, finished; nothing to do")
            return out
        extracted = extract(items, config, jobs=jobs if state.is_main_process else 1)
    say_extracted(extracted, items)
    material = prepare(config, extracted.examples)
    sampler = sampler_for(config, material, "train")
    trainee = build(
        config.model,
        material.heads,
        sampler,
        seed=config.seed,
        device=_device(state),
        code=config.samples.language,
    )
    ask, facts = (_learn if config.method == "sft" else _prefer)(config, trainee, material, out)
    facts |= _finish(config, ask, material, out)
    facts["left_out"] = [f"{one.clip}: {one.reason}" for one in (*extracted.left_out, *material.left_out)]
    facts["seconds"] = round(time.perf_counter() - start)
    if state.is_main_process:
        write_json(out / RECORD, training_record(config, data, out, facts))
        shutil.rmtree(out / CHECKPOINTS, ignore_errors=True)
        console.print(f"wrote {out} after {duration(facts['seconds'])}")
    state.wait_for_everyone()
    return out


def make_trainer(config: TrainConfig, trainee: Trainee, material: Material, out: Path) -> EmotionTrainer:
    """Put samples, validation and the library's trainer together."""
    schedule = config.schedule
    world = int(os.environ.get("WORLD_SIZE", "1"))
    a_step = schedule.batch_size * schedule.accumulate * world
    samples = Samples(
        sampler_for(config, material, "train"),
        steps=schedule.steps,
        a_step=a_step,
        bucket=schedule.bucket,
        seed=config.seed,
        noise=config.samples.feature_noise,
        spread=trainee.spread,
        official_answers=config.samples.official_answers,
    )
    validation = questions(config, material, "validation", config.validation.clips, config.validation.combinations)
    arguments = training_arguments(config, out, validate=bool(validation))
    return EmotionTrainer(
        trainee.model, trainee.processor, samples, validation, config, arguments, callbacks=[StepReport(a_step)]
    )


def training_arguments(config: TrainConfig, out: Path, *, validate: bool) -> TrainingArguments:
    """Give the library's arguments for a run. TensorBoard files go to `out/tensorboard`."""
    os.environ["TENSORBOARD_LOGGING_DIR"] = str(out / LOGS)
    library_logging.set_verbosity_error()
    library_logging.disable_progress_bar()
    schedule, validation = config.schedule, config.validation
    choose = validate and validation.metric != "last"
    cuda = torch.cuda.is_available()
    return TrainingArguments(
        output_dir=str(out / CHECKPOINTS),
        max_steps=schedule.steps,
        per_device_train_batch_size=schedule.batch_size,
        gradient_accumulation_steps=schedule.accumulate,
        max_grad_norm=schedule.clip_norm,
        eval_strategy="steps" if validate else "no",
        eval_steps=validation.every,
        save_strategy="steps",
        save_steps=validation.every,
        save_total_limit=config.keep_checkpoints,
        load_best_model_at_end=choose,
        restore_callback_states_from_checkpoint=True,
        metric_for_best_model=f"eval_{validation.metric}" if choose else None,
        greater_is_better=validation.metric != "nll" if choose else None,
        logging_steps=LOG_EVERY,
        logging_first_step=True,
        report_to=list(config.trackers) or "none",
        seed=config.seed,
        remove_unused_columns=False,
        dataloader_num_workers=schedule.workers,
        dataloader_pin_memory=cuda,
        ddp_find_unused_parameters=True,
        use_cpu=not cuda,
        disable_tqdm=True,
    )


def _device(state: PartialState) -> str:
    return f"cuda:{state.local_process_index}" if torch.cuda.is_available() else "cpu"


def train_steps(trainer: EmotionTrainer, out: Path) -> None:
    """Run the steps, from the last whole checkpoint where there is one; half-written ones are removed."""
    folder = out / CHECKPOINTS
    last = last_checkpoint(folder)
    if trainer.is_world_process_zero():
        for path in folder.glob("checkpoint-*"):
            if last is None or int(path.name.rpartition("-")[2]) > int(last.name.rpartition("-")[2]):
                shutil.rmtree(path)
    if last is not None:
        console.print(f"going on from step {last.name.rpartition('-')[2]}")
    trainer.train(resume_from_checkpoint=str(last) if last is not None else None)


def _learn(config: TrainConfig, trainee: Trainee, material: Material, out: Path) -> tuple[Ask, dict[str, Any]]:
    """Learn the right answers and save the best weights; gives how to ask the model, and facts for the record."""
    trainer = make_trainer(config, trainee, material, out)
    train_steps(trainer, out)
    trainer.save_final(out)
    return trainer.answers, {"scores": step_scores(trainer), "best": best_step(trainer, config.validation.metric)}


def _prefer(config: TrainConfig, trainee: Trainee, material: Material, out: Path) -> tuple[Ask, dict[str, Any]]:
    """Go on by preference or reward and save the weights; gives what `_learn` gives."""
    from emotion_llama.train.preference.run import run_preference  # loads TRL

    facts = run_preference(config, trainee, material, out)
    return partial(answer_together, ClipReader(trainee.model, trainee.processor), seed=config.seed), facts


def _finish(config: TrainConfig, ask: Ask, material: Material, out: Path) -> dict[str, Any]:
    """Save the heads, calibrate, score the test sides; gives the facts for the record."""
    main = PartialState().is_main_process
    if main and material.heads:
        save_heads(material.heads, out / "heads.safetensors")
    if main and material.population:
        save_population(material.population, out / POPULATION)
    return {"heads": material.recall, **calibrate_and_score(config, ask, material, out)}


def end_together() -> None:
    """Wait for all processes of a launch and take their group apart.

    One that exits while others still talk to it is aborted by the threads that the group left running.
    """
    state = PartialState()
    state.wait_for_everyone()
    state.destroy_process_group()


def step_scores(trainer: EmotionTrainer) -> list[dict[str, Any]]:
    """Give losses and validation scores by step, from the library's own history (it survives a kill)."""
    found: dict[int, dict[str, Any]] = {}
    for entry in trainer.state.log_history:
        if not {"loss", "eval_war"} & entry.keys():
            continue  # the library's summary of the whole run
        one = found.setdefault(int(entry["step"]), {"step": int(entry["step"])})
        if "loss" in entry:
            one["loss"] = entry["loss"]
            one["loss_by_task"] = {k[5:]: v for k, v in entry.items() if k.startswith("loss_")}
            one["learning_rate"] = entry.get("learning_rate")
        else:
            names = ("war", "uar", "weighted_f1", "nll", "ece", "n")
            one["validation"] = {name: entry[f"eval_{name}"] for name in names}
    return [found[step] for step in sorted(found)]


def best_step(trainer: EmotionTrainer, metric: str) -> dict[str, Any] | None:
    """Give which step was chosen, by what."""
    if trainer.state.best_metric is None:
        return None
    return {"step": trainer.state.best_global_step, "metric": metric, "value": trainer.state.best_metric}
