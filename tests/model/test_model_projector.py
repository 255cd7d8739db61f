"""Ways from encoder rows to soft tokens: all start as the linear one, none mixes clips or sees what is not there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from emotion_llama.errors import ModelError
from emotion_llama.model import EmotionLlamaConfig, FeatureGroup, Lora, new_model
from emotion_llama.model.checkpoint import load_adapter, save_adapter
from emotion_llama.model.projector import LIMIT, Projector

KINDS = ("linear", "mlp", "gated", "attention", "conv-attention")
MIXING = ("gated", "attention", "conv-attention")
WIDTH, HIDDEN = 6, 16


def projector(kind: str, size: float = 0.5) -> Projector:
    torch.manual_seed(3)
    made = Projector(FeatureGroup("g", WIDTH, 4, "video", kind), HIDDEN)  # type: ignore[arg-type]
    made.initialise(size)
    made.standardise(torch.randn(WIDTH), torch.rand(WIDTH) + 0.5)
    return made.eval()


def stirred(kind: str) -> Projector:
    """One whose every part has an effect, as after training."""
    made = projector(kind)
    torch.manual_seed(4)
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return made


@pytest.fixture
def rows() -> torch.Tensor:
    torch.manual_seed(5)
    return torch.randn(3, 4, WIDTH)


@pytest.mark.parametrize("kind", MIXING)
def test_a_fresh_one_equals_the_linear_one(kind: str, rows: torch.Tensor) -> None:
    linear, other = projector("linear"), projector(kind)
    other.layers.load_state_dict(linear.layers.state_dict())
    other.standardise(linear.mean, linear.std)
    present = torch.tensor([[1, 1, 1, 1], [1, 0, 1, 0], [0, 0, 0, 1]], dtype=torch.bool)
    for mask in (None, present):
        kept = torch.ones(3, 4, dtype=torch.bool) if mask is None else mask
        torch.testing.assert_close(other(rows, mask)[kept], linear(rows, mask)[kept])


@pytest.mark.parametrize("kind", MIXING)
def test_every_part_learns_from_the_start(kind: str, rows: torch.Tensor) -> None:
    """A start as the identity must not be a dead end: gradients reach what gives the mixing its effect."""
    made = projector(kind).train()
    made(rows).square().sum().backward()
    moved = {name for name, p in made.named_parameters() if p.grad is not None and p.grad.abs().max() > 0}
    wanted = {"gated": {"gate.weight"}, "attention": {"mix.out.weight"}}.get(
        kind, {"mix.out.weight", "mix.convolution.weight"}
    )
    assert wanted | {"layers.0.weight"} <= moved


@pytest.mark.parametrize("kind", KINDS)
def test_rows_that_are_absent_do_not_matter(kind: str, rows: torch.Tensor) -> None:
    made = stirred(kind)
    present = torch.tensor([[1, 1, 0, 0], [1, 1, 1, 0], [0, 0, 0, 0]], dtype=torch.bool)
    other = torch.where(present.unsqueeze(-1), rows, 50 * torch.randn_like(rows))
    torch.testing.assert_close(made(other, present)[present], made(rows, present)[present])
    assert torch.isfinite(made(rows, present)).all()  # also for a clip without any row


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_of_one_gives_what_a_batch_of_many_gives(kind: str, rows: torch.Tensor) -> None:
    made = stirred(kind)
    counts = (4, 2, 1)
    present = torch.arange(4)[None] < torch.tensor(counts)[:, None]
    together = made(rows * present.unsqueeze(-1), present)
    for clip, count in enumerate(counts):
        alone = made(rows[clip : clip + 1, :count])
        torch.testing.assert_close(together[clip, :count], alone[0])


@pytest.mark.parametrize("kind", ["attention", "conv-attention"])
def test_rows_of_a_group_see_one_another_and_no_other_clip(kind: str, rows: torch.Tensor) -> None:
    made = stirred(kind)
    changed = rows.clone()
    changed[0, 3] += 1.0
    moved = (made(changed) - made(rows)).abs().amax(-1) > 1e-6
    assert moved[0].all() and not moved[1:].any()


@pytest.mark.parametrize("kind", ["linear", "mlp", "gated"])
def test_rows_are_projected_apart(kind: str, rows: torch.Tensor) -> None:
    made = stirred(kind)
    changed = rows.clone()
    changed[0, 3] += 1.0
    moved = (made(changed) - made(rows)).abs().amax(-1) > 1e-6
    assert moved.sum() == 1 and moved[0, 3]


@pytest.mark.parametrize("kind", KINDS)
def test_soft_tokens_start_at_the_size_asked_for(kind: str) -> None:
    torch.manual_seed(0)
    made = Projector(FeatureGroup("g", 64, 4, "video", kind), 128)  # type: ignore[arg-type]
    made.initialise(0.05)
    found = made(torch.randn(32, 4, 64)).detach().square().mean().sqrt()
    assert float(found) == pytest.approx(0.05, rel=0.15)


@pytest.mark.parametrize("kind", KINDS)
def test_outliers_are_held(kind: str) -> None:
    made = stirred(kind)
    far, farther = (made.mean + times * made.std for times in (LIMIT, 100 * LIMIT))
    torch.testing.assert_close(made(far[None, None]), made(farther[None, None]))


@pytest.mark.parametrize("kind", KINDS)
def test_standardised_features_of_any_unit_give_the_same(kind: str, rows: torch.Tensor) -> None:
    made = stirred(kind)
    before = made(rows)
    mean, std = made.mean.clone(), made.std.clone()
    made.standardise(mean * 1000 + 7, std * 1000)
    torch.testing.assert_close(made(rows * 1000 + 7), before, atol=1e-4, rtol=1e-4)
    with pytest.raises(ModelError, match=r"projector 'g': expected 6 finite numbers as std"):
        made.standardise(mean, std * float("nan"))


@pytest.fixture
def models(llm_dir: Path) -> Iterator[dict[str, Any]]:
    """One small model for each kind, their random draws the same."""
    made = {}
    for kind in KINDS:
        groups = (FeatureGroup("local", 6, 2, "video", kind), FeatureGroup("audio", 8, 3, "audio", kind))  # type: ignore[arg-type]
        config = EmotionLlamaConfig.for_llm(llm_dir, groups, lora=Lora(rank=2, alpha=4, dropout=0.0), llm="tiny")
        torch.manual_seed(1)
        made[kind] = new_model(config, llm_dir).eval()
    yield made


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_of_every_kind_is_saved_and_read_back(
    models: dict[str, Any], kind: str, llm_dir: Path, tmp_path: Path
) -> None:
    model = models[kind]
    for name, parameter in model.named_parameters():
        if name.startswith("projectors."):
            torch.nn.init.normal_(parameter, std=0.3)
    save_adapter(model, tmp_path)
    read = load_adapter(tmp_path, llm_dir)
    rows = {"local": torch.randn(2, 2, 6), "audio": torch.randn(2, 3, 8)}
    for name, given in rows.items():
        assert read.projectors[name].kind == kind
        torch.testing.assert_close(read.projectors[name](given), model.projectors[name](given))


@pytest.mark.parametrize("kind", MIXING)
def test_new_models_start_as_the_linear_one(models: dict[str, Any], kind: str) -> None:
    """`new_model` reaches every part: a library that draws weights anew on the way would show here."""
    for name, width in (("local", 6), ("audio", 8)):
        linear, other = models["linear"].projectors[name], models[kind].projectors[name]
        other.layers.load_state_dict(linear.layers.state_dict())
        rows = torch.from_numpy(np.random.default_rng(0).standard_normal((2, 3, width)).astype(np.float32))
        torch.testing.assert_close(other(rows), linear(rows))
