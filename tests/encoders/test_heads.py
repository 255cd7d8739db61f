"""Emotion heads: a softmax of a standardised linear map, written and read back, damage named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from emotion_llama.encoders.heads import EmotionHead, load_heads, save_heads
from emotion_llama.errors import ModelError


def head(width: int = 5, labels: tuple[str, ...] = ("angry", "happy", "sad"), seed: int = 0) -> EmotionHead:
    rng = np.random.default_rng(seed)
    draw = lambda *shape: rng.standard_normal(shape).astype(np.float32)  # noqa: E731
    return EmotionHead("voice", labels, draw(width), 1 + draw(width) ** 2, draw(width, len(labels)), draw(len(labels)))


def test_log_probabilities_are_those_of_a_pipeline_written_by_others() -> None:
    linear = pytest.importorskip("sklearn.linear_model")
    rng = np.random.default_rng(1)
    x = rng.normal(3, 4, (60, 5)).astype(np.float32)
    y = np.arange(60) % 3
    mean, scale = x.mean(axis=0), x.std(axis=0)
    fitted = linear.LogisticRegression().fit((x - mean) / scale, y)
    mine = EmotionHead("voice", ("a", "b", "c"), mean, scale, fitted.coef_.T, fitted.intercept_)
    np.testing.assert_allclose(mine.log_probabilities(x), fitted.predict_log_proba((x - mean) / scale), atol=1e-4)


def test_large_features_stay_finite_and_sum_to_one() -> None:
    logs = head().log_probabilities(np.full((2, 5), 1e4, np.float32))
    assert np.isfinite(logs).all() and logs.dtype == np.float32
    np.testing.assert_allclose(np.exp(logs).sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("shape", [(2, 4), (5,), (1, 2, 5)])
def test_another_width_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ModelError, match=r"head 'voice': expected features \(T, 5\), found"):
        head().log_probabilities(np.zeros(shape, np.float32))


def test_heads_are_read_back_as_written(tmp_path: Path) -> None:
    heads = {"face_emotion": head(3, ("a", "b")), "voice_emotion": head(7, seed=2)}
    save_heads(heads, tmp_path / "heads.safetensors")
    read = load_heads(tmp_path / "heads.safetensors")
    assert read.keys() == heads.keys() and read["face_emotion"].labels == ("a", "b")
    for name, written in heads.items():
        for part in ("mean", "scale", "bias"):
            np.testing.assert_array_equal(getattr(read[name], part), getattr(written, part))
        np.testing.assert_allclose(read[name].weight, written.weight, rtol=1e-3, atol=1e-3)  # half precision
        assert read[name].weight.dtype == np.float32


def test_damage_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "heads.safetensors"
    with pytest.raises(ModelError, match=r"heads\.safetensors: the checkpoint has no heads file"):
        load_heads(path)
    save_heads({"voice": head()}, path)
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"not a tensor file at all"):
        path.write_bytes(content)
        with pytest.raises(ModelError, match=r"heads\.safetensors: cannot be read as a heads file"):
            load_heads(path)


def test_a_foreign_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "heads.safetensors"
    save_heads({"voice": head()}, path)
    tensors = load_file(path)
    save_file(tensors, path)
    with pytest.raises(ModelError, match="no label names in the metadata"):
        load_heads(path)
    save_file(tensors, path, metadata={"labels": '{"face": ["a", "b"]}'})
    with pytest.raises(ModelError, match=r"face\.mean"):
        load_heads(path)
    save_file(tensors, path, metadata={"labels": '{"voice": ["a", "b"]}'})
    with pytest.raises(ModelError, match=r"head 'voice': expected shapes .* for 2 labels"):
        load_heads(path)
