"""Emotion heads: standardised rows through small nets to chances, written and read back, damage named."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from emotion_llama.encoders.heads import EmotionHead, Layer, load_heads, save_heads
from emotion_llama.errors import ModelError, OutputError

LABELS = ("angry", "happy", "sad")


def draw(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.standard_normal(shape).astype(np.float32)


def linear(width: int = 5, labels: tuple[str, ...] = LABELS, seed: int = 0) -> EmotionHead:
    rng = np.random.default_rng(seed)
    layer = Layer(draw(rng, width, len(labels)), draw(rng, len(labels)))
    return EmotionHead.linear("voice", "audio", labels, (draw(rng, width), 1 + draw(rng, width) ** 2), layer)


def nets(width: int = 5, reduced: int = 4, hidden: int = 6, count: int = 2) -> EmotionHead:
    rng = np.random.default_rng(9)
    members = tuple(
        (Layer(draw(rng, reduced, hidden), draw(rng, hidden)), Layer(draw(rng, hidden, 3), draw(rng, 3)))
        for _ in range(count)
    )
    return EmotionHead(
        "voice", "audio", LABELS, draw(rng, width), 1 + draw(rng, width) ** 2, members, draw(rng, width, reduced), 1.7,
        {"strength": 512, "about": "made"},
    )  # fmt: skip


def test_log_probabilities_are_those_of_a_pipeline_written_by_others() -> None:
    linear_model = pytest.importorskip("sklearn.linear_model")
    rng = np.random.default_rng(1)
    x = rng.normal(3, 4, (60, 5)).astype(np.float32)
    mean, scale = x.mean(axis=0), x.std(axis=0)
    fitted = linear_model.LogisticRegression().fit((x - mean) / scale, np.arange(60) % 3)
    layer = Layer(fitted.coef_.T.astype(np.float32), fitted.intercept_.astype(np.float32))
    mine = EmotionHead.linear("voice", "audio", ("a", "b", "c"), (mean, scale), layer)
    np.testing.assert_allclose(mine.log_probabilities(x), fitted.predict_log_proba((x - mean) / scale), atol=1e-4)


def test_nets_are_torchs_gelu_nets_averaged_and_tempered() -> None:
    head = nets()
    x = draw(np.random.default_rng(2), 7, 5)
    rows = torch.from_numpy((x - head.mean) / head.scale) @ torch.from_numpy(np.asarray(head.reduce))
    logs = []
    for first, last in head.members:
        hidden = rows @ torch.from_numpy(first.weight) + torch.from_numpy(first.bias)
        hidden = torch.nn.functional.gelu(hidden, approximate="tanh")
        logs.append((hidden @ torch.from_numpy(last.weight) + torch.from_numpy(last.bias)).log_softmax(-1))
    expected = (torch.stack(logs).mean(0) / 1.7).log_softmax(-1)
    np.testing.assert_allclose(head.log_probabilities(x), expected.numpy(), atol=1e-5)


def test_a_temperature_of_one_half_squares_the_odds() -> None:
    head, x = linear(), draw(np.random.default_rng(3), 1, 5)
    calm, sharp = np.exp(head.log_probabilities(x)), np.exp(replace(head, temperature=0.5).log_probabilities(x))
    np.testing.assert_allclose(sharp, calm**2 / (calm**2).sum(), rtol=1e-4)


def test_an_opinion_is_the_renormalised_geometric_mean_of_the_rows() -> None:
    layer = Layer(np.eye(2, dtype=np.float32), np.zeros(2, np.float32))
    head = EmotionHead.linear("face", "rows", ("a", "b"), (np.zeros(2, np.float32), np.ones(2, np.float32)), layer)
    chances = np.array([[0.9, 0.1], [0.5, 0.5]], np.float32)
    found = head.opinion(np.log(chances))
    expected = np.sqrt(chances.prod(axis=0))
    assert found.shape == (1, 2) and found.dtype == np.float32
    np.testing.assert_allclose(found[0], expected / expected.sum(), rtol=1e-5)
    np.testing.assert_allclose(head.opinion(np.log(chances[:1])), chances[:1], rtol=1e-5)


@pytest.mark.parametrize("head", [linear(), nets()], ids=["linear", "nets"])
def test_large_features_stay_finite_and_sum_to_one(head: EmotionHead) -> None:
    logs = head.log_probabilities(np.full((2, 5), 1e4, np.float32))
    assert np.isfinite(logs).all() and logs.dtype == np.float32
    np.testing.assert_allclose(np.exp(logs).sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("shape", [(2, 4), (5,), (1, 2, 5)])
def test_another_width_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ModelError, match=r"head 'voice': expected features \(T, 5\), found"):
        linear().log_probabilities(np.zeros(shape, np.float32))


def test_heads_are_read_back_as_written(tmp_path: Path) -> None:
    heads = {"face_emotion": replace(linear(3, ("a", "b")), name="face_emotion"), "voice": nets()}
    save_heads(heads, tmp_path / "heads.safetensors")
    assert [p.name for p in tmp_path.iterdir()] == ["heads.safetensors"]
    assert (tmp_path / "heads.safetensors").stat().st_mode & 0o777 == 0o644
    read = load_heads(tmp_path / "heads.safetensors")
    assert list(read) == ["face_emotion", "voice"]
    assert read["face_emotion"].reduce is None and read["voice"].facts == {"strength": 512, "about": "made"}
    x = {"face_emotion": draw(np.random.default_rng(4), 9, 3), "voice": draw(np.random.default_rng(4), 9, 5)}
    for name, written in heads.items():
        one = read[name]
        assert (one.name, one.array, one.labels, one.temperature) == (
            name, written.array, written.labels, written.temperature,
        )  # fmt: skip
        np.testing.assert_array_equal(one.mean, written.mean)
        np.testing.assert_allclose(one.log_probabilities(x[name]), written.log_probabilities(x[name]), atol=0.05)
        assert one.members[0][0].weight.dtype == np.float32


def test_damage_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "heads.safetensors"
    with pytest.raises(ModelError, match=r"heads\.safetensors: the checkpoint has no heads file"):
        load_heads(path)
    save_heads({"voice": linear()}, path)
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"not a tensor file at all"):
        path.write_bytes(content)
        with pytest.raises(ModelError, match=r"heads\.safetensors: cannot be read as a heads file"):
            load_heads(path)


def test_a_foreign_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "heads.safetensors"
    save_heads({"voice": linear()}, path)
    tensors = load_file(path)
    save_file(tensors, path)
    with pytest.raises(ModelError, match="no heads named in the metadata"):
        load_heads(path)
    facts = '{"labels": ["a", "b"], "array": "audio", "depths": [1], "temperature": 1.0}'
    save_file(tensors, path, metadata={"heads": f'{{"face": {facts}}}'})
    with pytest.raises(ModelError, match=r"face\.0\.0\.weight|face\.mean"):
        load_heads(path)
    save_file(tensors, path, metadata={"heads": '{"voice": {"labels": ["a", "b"]}}'})
    with pytest.raises(ModelError, match="depths"):
        load_heads(path)
    save_file(tensors, path, metadata={"heads": f'{{"voice": {facts}}}'})
    with pytest.raises(ModelError, match=r"head 'voice': expected layers from 5 numbers to 2 labels"):
        load_heads(path)


@pytest.mark.parametrize("part", ["scale", "reduce", "0.0.weight", "1.1.bias"])
def test_parts_that_do_not_fit_together_are_refused(tmp_path: Path, part: str) -> None:
    path = tmp_path / "heads.safetensors"
    save_heads({"voice": nets()}, path)
    with safe_open(path, framework="numpy") as file:
        about = file.metadata()
    tensors = load_file(path)
    name = f"voice.{part}"
    tensors[name] = np.ascontiguousarray(tensors[name][:-1])
    save_file(tensors, path, metadata=about)
    with pytest.raises(ModelError, match="head 'voice': expected layers from"):
        load_heads(path)


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"heads\.safetensors: cannot be written"):
        save_heads({"voice": linear()}, tmp_path / "absent" / "heads.safetensors")
