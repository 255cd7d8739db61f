"""Learning rates: the released training code's to the letter (golden numbers), and ours."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from emotion_llama.train.config import ScheduleSettings
from emotion_llama.train.schedule import learning_rate, optimizer, scheduler

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "lr_schedule.json").read_text(encoding="utf-8"))
STAGES = sorted(name for name in GOLDEN if name != "about")


def _official(config: dict[str, Any]) -> ScheduleSettings:
    return ScheduleSettings(
        shape="official",
        steps=config["max_epoch"] * config["iters_per_epoch"],
        steps_an_epoch=config["iters_per_epoch"],
        learning_rate=config["init_lr"],
        min_learning_rate=config["min_lr"],
        warmup_learning_rate=config["warmup_lr"],
        warmup_steps=config["warmup_steps"],
    )


class _Model(nn.Module):
    """A projector and something that stands for LoRA, with weights and biases."""

    def __init__(self) -> None:
        super().__init__()
        self.projectors = nn.ModuleDict({"audio": nn.Linear(3, 2)})
        self.lora = nn.Linear(2, 2)
        self.frozen = nn.Linear(2, 2).requires_grad_(False)


def test_all_golden_stages_are_here() -> None:
    assert STAGES == ["long_warmup", "stage1", "stage2"]


@pytest.mark.parametrize("stage", STAGES)
def test_the_official_schedule_equals_the_golden_values(stage: str) -> None:
    config, values = GOLDEN[stage]["config"], GOLDEN[stage]["values"]
    settings = _official(config)
    assert len(values) >= 8
    for epoch, step, rate in values:
        found = learning_rate(settings, epoch * config["iters_per_epoch"] + step)
        assert found == pytest.approx(rate, rel=1e-12), (epoch, step)


@pytest.mark.parametrize("stage", STAGES)
def test_the_optimizer_really_has_these_rates(stage: str) -> None:
    config = GOLDEN[stage]["config"]
    wanted = {epoch * config["iters_per_epoch"] + step: rate for epoch, step, rate in GOLDEN[stage]["values"]}
    settings = _official(config)
    adam = optimizer(_Model(), settings)
    course = scheduler(adam, settings)
    seen = {}
    for step in range(max(wanted) + 1):
        if step in wanted:
            seen[step] = adam.param_groups[0]["lr"]
        adam._opt_called = True  # the library warns where no step was taken before; here only rates matter
        course.step()
    assert seen == pytest.approx(wanted, rel=1e-9)


def test_our_cosine_rises_over_the_warmup_and_falls_to_its_share() -> None:
    settings = ScheduleSettings(steps=110, warmup_steps=10, learning_rate=2.0, min_share=0.1)
    rates = [learning_rate(settings, step) for step in range(111)]
    assert rates[0] == pytest.approx(0.2) and rates[9] == pytest.approx(2.0)
    assert rates[60] == pytest.approx(2.0 * (0.1 + 0.9 * 0.5), rel=1e-6)  # half way between
    assert rates[110] == pytest.approx(0.2)
    assert all(a >= b for a, b in itertools.pairwise(rates[9:]))


def test_a_constant_schedule_stays() -> None:
    settings = ScheduleSettings(steps=50, warmup_steps=5, learning_rate=1e-3, shape="constant")
    assert {learning_rate(settings, step) for step in range(5, 50)} == {1e-3}


def test_a_run_without_warmup_starts_at_the_top() -> None:
    for shape in ("cosine", "official", "constant"):
        assert math.isclose(learning_rate(ScheduleSettings(warmup_steps=0, shape=shape), 0), 5e-4)


def test_projectors_have_their_own_rate_on_the_same_course() -> None:
    settings = ScheduleSettings(steps=20, warmup_steps=2, learning_rate=1e-3, projector_learning_rate=1e-2)
    model = _Model()
    adam = optimizer(model, settings)
    course = scheduler(adam, settings)
    for _ in range(7):
        adam.step()
        course.step()
    rates = {id(p): group["lr"] for group in adam.param_groups for p in group["params"]}
    assert rates[id(model.lora.weight)] == pytest.approx(learning_rate(settings, 7))
    assert rates[id(model.projectors["audio"].weight)] == pytest.approx(10 * learning_rate(settings, 7))


@pytest.mark.parametrize("exempt", [True, False])
def test_biases_have_no_weight_decay_if_the_settings_say_so(exempt: bool) -> None:
    model = _Model()
    adam = optimizer(model, ScheduleSettings(weight_decay=0.05, decay_exempt=exempt, betas=(0.9, 0.95)))
    decay = {id(p): group["weight_decay"] for group in adam.param_groups for p in group["params"]}
    assert decay.keys() == {id(p) for p in model.parameters() if p.requires_grad}
    assert decay[id(model.lora.weight)] == 0.05
    assert decay[id(model.lora.bias)] == decay[id(model.projectors["audio"].bias)] == (0.0 if exempt else 0.05)
    assert {group["betas"] for group in adam.param_groups} == {(0.9, 0.95)}


def test_a_step_moves_by_about_the_rate() -> None:
    settings = ScheduleSettings(warmup_steps=0, learning_rate=1e-2, weight_decay=0.0)
    model = _Model()
    before = model.lora.weight.detach().clone()
    adam = optimizer(model, settings)
    model.lora(torch.ones(1, 2)).sum().backward()
    adam.step()
    assert (before - model.lora.weight.detach()).tolist() == [pytest.approx([1e-2] * 2, rel=1e-3)] * 2
