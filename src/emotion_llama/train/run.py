"""One training run from settings to a checkpoint folder that explains itself. The stages, in order."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import PartialState
from numpy.typing import NDArray
from transformers import TrainingArguments
from transformers.utils import logging as library_logging

from emotion_llama.analyze.calibration import Calibration
from emotion_llama.encoders.heads import EmotionHead, load_heads, save_heads
from emotion_llama.encoders.person import load_population, save_population
from emotion_llama.errors import ManifestError, ModelError
from emotion_llama.model.checkpoint import read_config
from emotion_llama.model.configuration import FeatureGroup
from emotion_llama.model.processing import TrainSample
from emotion_llama.model.score import ClipReader
from emotion_llama.train.asking import Opinions, inputs_of
from emotion_llama.train.build import Trainee, build, checkpoint_folder
from emotion_llama.train.calibrate import calibrate
from emotion_llama.train.clip_samples import ClipSampler, closed_samples
from emotion_llama.train.combine import Combiner
from emotion_llama.train.config import CalibrationSettings, FeatureSettings, Source, TrainConfig
from emotion_llama.train.dataset import MixedSampler, Sampler, Samples
from emotion_llama.train.examples import Example
from emotion_llama.train.extract import Extracted, LeftOut, extract
from emotion_llama.train.heads import FittedHead, fit_head
from emotion_llama.train.person import SUFFIX, population_means, with_baselines
from emotion_llama.train.progress import StepReport, console, duration
from emotion_llama.train.record import LOGS, RECORD, begin, data_record, training_record, write_json
from emotion_llama.train.scoring import score_test
from emotion_llama.train.sides import assign_sides, check_people, shuffled_truth
from emotion_llama.train.sources import Item, read_source
from emotion_llama.train.trainer import EmotionTrainer, last_checkpoint
from emotion_llama.train.validate import Ask, answer_together, by_source

CHECKPOINTS = "checkpoints"
POPULATION = "population.safetensors"
LOG_EVERY = 10
STREAMS = {"train": 0, "validation": 1_000_003, "calibration": 2_000_003}
"""Added to the seed, so that no two stages draw the same combinations."""


@dataclass(frozen=True)
class Material:
    """What training, validation and scoring draw from. `left_out`: clips in which the model has nothing to read."""

    examples: list[Example]
    groups: tuple[FeatureSettings, ...]
    heads: dict[str, EmotionHead]
    opinions: Opinions
    recall: dict[str, dict[str, float]]
    population: dict[str, NDArray[np.float32]]
    left_out: list[LeftOut] = field(default_factory=list)


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
    trainee = build(config.model, material.heads, sampler, seed=config.seed, device=_device(state))
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


def read_items(config: TrainConfig) -> list[Item]:
    """Read all sources and give each clip its side."""
    items: list[Item] = []
    for source in config.data.sources:
        items += assign_sides(read_source(source, config.data), source, config.data, config.seed)
    check_people(items, config.data.sources)
    if not any(item.side == "train" for item in items):
        raise ManifestError("data.sources: no clip is on the training side; check split and side of the sources")
    return shuffled_truth(items, config.seed) if config.data.shuffle_truth else items


def say_extracted(extracted: Extracted, items: Sequence[Item], *, everything: bool = False) -> None:
    """Print how many examples there are, and what was left out (the first few, or all)."""
    console.print(f"{len(extracted.examples)} examples of {len(items)} clips, {extracted.fresh} extracted now")
    shown = extracted.left_out if everything else extracted.left_out[:5]
    for one in shown:
        console.print(f"  left out {one.clip}: {one.reason}")
    if len(shown) < len(extracted.left_out):
        console.print(f"  and {len(extracted.left_out) - len(shown)} more, all named in {RECORD}")


def prepare(config: TrainConfig, extracted: Sequence[Example]) -> Material:
    """Add the clips beside their own person, fit the heads (or take those of `model.init`), give every opinion.

    Clips that hold nothing of what the model reads are left out and named.
    """
    examples, population = list(extracted), population_of(config, extracted)
    if population:
        examples += with_baselines(examples, config.data.sources, population, config.seed)
    made = _fitted if config.model.init is None else _prepared
    return _readable(made(config, examples, population))


def _readable(material: Material) -> Material:
    """Leave out clips that hold nothing of what the model reads: shown nothing, it would learn to guess from nothing.

    Raises `ManifestError` if no training clip is left.
    """
    kept: list[Example] = []
    lost: list[Example] = []
    wanted = ", ".join(group.name for group in material.groups)
    for example in material.examples:
        there = example.question is not None or inputs_of(example, material.groups, material.opinions)
        (kept if there else lost).append(example)
    if lost:
        console.print(f"{len(lost)} clips hold none of {wanted}, nor words, and are left out: {lost[0].id} …")
    if not any(example.side == "train" for example in kept):
        raise ManifestError(f"model.features: expected {wanted} or words in the training clips, found none in any")
    return replace(
        material, examples=kept, left_out=[LeftOut(e.id, f"holds none of {wanted}, nor words") for e in lost]
    )


def _fitted(config: TrainConfig, examples: list[Example], population: dict[str, NDArray[np.float32]]) -> Material:
    """Fit the heads on the examples."""
    fitted: dict[str, FittedHead] = {}
    for settings in config.model.heads:
        fitted[settings.name] = fit_head(settings, examples, config.seed)
        seen = {side: value for side, value in fitted[settings.name].recall.items() if side != "test"}
        recall = ", ".join(f"{side} {value:.3f}" for side, value in seen.items())
        console.print(f"head {settings.name}: strength {fitted[settings.name].setting:g}, mean recall {recall}")
    return Material(
        examples=examples,
        groups=config.model.features,
        heads={name: one.head for name, one in fitted.items()},
        opinions={name: one.opinions for name, one in fitted.items()},
        recall={name: one.recall for name, one in fitted.items()},
        population=population,
    )


def population_of(config: TrainConfig, examples: Sequence[Example]) -> dict[str, NDArray[np.float32]]:
    """Give the population's means: of the training side, or those of the checkpoint that is gone on with."""
    if config.model.init is None:
        return population_means(examples, config.model.recentre)
    path = checkpoint_folder(config.model.init) / POPULATION
    return load_population(path) if path.is_file() else {}


def all_sources(config: TrainConfig, material: Material) -> list[Source]:
    """The sources, and after each that asks for baselines its clips beside their own person as one more."""
    found = []
    for source in config.data.sources:
        found.append(source)
        if source.baseline is not None and material.population:
            found.append(source.model_copy(update={"name": f"{source.name}{SUFFIX}"}))
    return found


def _prepared(config: TrainConfig, examples: list[Example], population: dict[str, NDArray[np.float32]]) -> Material:
    """Groups and heads of the checkpoint that is gone on with; its heads' opinions as they are."""
    folder = checkpoint_folder(str(config.model.init))
    heads = load_heads(folder / "heads.safetensors") if (folder / "heads.safetensors").is_file() else {}
    groups = tuple(_as_settings(group, heads) for group in read_config(folder).groups)
    names = [group.name for group in groups]
    if unknown := [name for name in config.samples.feature_drop if name not in names]:
        raise ModelError(
            f"samples.feature_drop: {', '.join(unknown)} names no feature group of {folder}; known are "
            f"{', '.join(names)}"
        )
    opinions = {
        name: {e.id: head.opinion(e.arrays[head.array]) for e in examples if head.array in e.arrays}
        for name, head in heads.items()
    }
    return Material(examples, groups, heads, opinions, {}, population)


def _as_settings(group: FeatureGroup, heads: dict[str, EmotionHead]) -> FeatureSettings:
    return FeatureSettings(
        name=group.name,
        modality=group.modality,
        tokens=group.tokens,
        projector=group.projector,
        head=group.name if group.name in heads else None,
        still=group.still,
    )


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
    )
    validation = questions(config, material, "validation", config.validation.clips, config.validation.combinations)
    arguments = training_arguments(config, out, validate=bool(validation))
    return EmotionTrainer(
        trainee.model, trainee.processor, samples, validation, config, arguments, callbacks=[StepReport(a_step)]
    )


def sampler_for(config: TrainConfig, material: Material, stream: str) -> Sampler:
    """Make the sampler of one side: clips as they are, combinations, or a mix."""
    side = "train" if stream == "train" else "validation"
    examples = [e for e in material.examples if e.side == side]
    seed = config.seed + STREAMS[stream]
    words = (examples, all_sources(config, material), material.groups, material.opinions, config.samples, seed)
    if config.samples.mix == "clips":
        return ClipSampler(*words)
    combinations = Combiner(*words)
    share = config.samples.combine_share
    return combinations if share >= 1 else MixedSampler(ClipSampler(*words), combinations, share, seed)


def calibration_questions(config: TrainConfig, settings: CalibrationSettings, material: Material) -> list[TrainSample]:
    """Give what the calibration is fitted on: questions of sources that count for it, stills also as moving faces."""
    left_out = {source.name for source in config.data.sources if not source.calibrate}
    asked = questions(config, material, "calibration", settings.clips, settings.combinations)
    kept = [sample for sample in asked if sample.source.removesuffix(SUFFIX) not in left_out]
    return kept + as_moving(kept, config, material)


def as_moving(samples: Sequence[TrainSample], config: TrainConfig, material: Material) -> list[TrainSample]:
    """Give the questions about still pictures once more, with the features that a moving face has.

    How sure to be of moving faces is fitted on them. Sources on which a head for moving faces was fitted are left out:
    their pictures are no stranger to it, as moving faces are.
    """
    still = {group.name for group in material.groups if group.still}
    moving = {group.head for group in material.groups if group.head and group.modality == "video" and not group.still}
    known = {source for head in config.model.heads if head.name in moving for source in head.sources}
    return [
        replace(
            sample,
            features={name: rows for name, rows in sample.features.items() if name not in still},
            source=f"{sample.source} as moving",
        )
        for sample in samples
        if still & set(sample.features) and sample.source not in known
    ]


def questions(config: TrainConfig, material: Material, stream: str, clips: int, combinations: int) -> list[TrainSample]:
    """Give the label questions of the validation side: clips of each source, and combinations where they are asked."""
    examples = [e for e in material.examples if e.side == "validation"]
    found = closed_samples(examples, material.groups, material.opinions, clips, config.seed + STREAMS[stream])
    if combinations and config.samples.mix == "combine":
        seed = config.seed + STREAMS[stream]
        sources = all_sources(config, material)
        sampler = Combiner(examples, sources, material.groups, material.opinions, config.samples, seed)
        found += combined_questions(sampler, combinations)
    return found


def combined_questions(sampler: Combiner, count: int) -> list[TrainSample]:
    """Draw combinations of at least two inputs, asked with the eight labels of ravdess8."""
    found: list[TrainSample] = []
    number = 0
    while len(found) < count and number < 200 * count:
        sample = sampler.closed(number)
        number += 1
        if sample is not None:
            found.append(sample)
    return found


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
    facts: dict[str, Any] = {"heads": material.recall}
    calibration = Calibration()
    if config.calibration is not None:
        samples = calibration_questions(config, config.calibration, material)
        if samples:
            answers = ask(samples, config.calibration.orders)
            calibration = calibrate(answers, "validation people: " + ", ".join(sorted({a.source for a in answers})))
            facts["validation"] = by_source(answers, calibration)
    if main:  # one that was not fitted says so
        write_json(out / "calibration.json", calibration.model_dump(mode="json"))
    if config.score_test:
        facts["test"] = score_test(ask, material, calibration, out, config)
    return facts


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
