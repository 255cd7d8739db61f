from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from emotion_llama.encoders import ENCODERS
from emotion_llama.encoders.efficientnet import WEIGHTS_FILE as EFFICIENTNET_FILE
from emotion_llama.encoders.efficientnet import EfficientNetLite0, EfficientNetLite0Net, normalised_square
from emotion_llama.encoders.face_expression import WEIGHTS_FILE as EXPRESSION_FILE
from emotion_llama.encoders.face_expression import FaceExpressionNet
from emotion_llama.encoders.face_opinion import GRAPH_FILE as OPINION_FILE
from emotion_llama.encoders.same_padding import pad_same
from emotion_llama.errors import AssetCorruptError, AssetMissingError, MediaError
from emotion_llama.measurements import EXPRESSIONS
from emotion_llama.perception.expression import OPINION_LABELS, ExpressionNet, FaceOpinionNet


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("vision")
    torch.manual_seed(0)
    save_file(EfficientNetLite0Net().state_dict(), path / EFFICIENTNET_FILE)
    save_file(FaceExpressionNet().state_dict(), path / EXPRESSION_FILE)
    return path


def crops(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 160, 160, 3), dtype=np.uint8)


def test_odd_padding_goes_right_and_down() -> None:
    padded = pad_same(torch.ones(1, 1, 4, 4), kernel=3, stride=2)
    assert padded.shape == (1, 1, 5, 5)
    assert padded[0, 0, 0, 0] == 1 and padded[0, 0, 4].sum() == 0 and padded[0, 0, :, 4].sum() == 0


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "total"), [(15, 3, 2, 2), (60, 3, 2, 1), (56, 5, 2, 3), (7, 3, 1, 2)]
)
def test_same_padding_sizes(size: int, kernel: int, stride: int, total: int) -> None:
    assert pad_same(torch.zeros(1, 1, size, size), kernel, stride).shape[-2:] == (size + total, size + total)


def test_global_feature_has_the_promised_shape(folder: Path) -> None:
    encoder = EfficientNetLite0(folder)
    feature = encoder(crops(1)[0])
    assert feature.shape == (encoder.tokens, encoder.width) and feature.dtype == np.float32
    best = encoder.classify(crops(1)[0], top=1000)
    assert sum(p for _, p in best) == pytest.approx(1.0, abs=1e-4)
    assert sorted(index for index, _ in best) == list(range(1000))


def test_only_the_centre_square_is_seen() -> None:
    frame = np.zeros((100, 300, 3), np.uint8)
    frame[:, 100:200] = (255, 0, 0)
    seen = normalised_square(frame)
    assert seen.shape == (3, 224, 224)
    np.testing.assert_allclose(seen[0], (1 - 0.485) / 0.229, atol=1e-5)
    np.testing.assert_allclose(seen[2], -0.406 / 0.225, atol=1e-5)


def test_preprocessing_equals_crop_then_resize() -> None:
    frame = np.random.default_rng(1).integers(0, 256, (240, 320, 3), dtype=np.uint8)
    cut = Image.fromarray(frame[:, 40:280]).resize((224, 224), Image.Resampling.BICUBIC)
    red = (np.asarray(cut)[..., 0] / 255 - 0.485) / 0.229
    np.testing.assert_allclose(normalised_square(frame)[0], red, atol=1e-4)


@pytest.mark.parametrize("wrong", [np.zeros((8, 8), np.uint8), np.zeros((8, 8, 4), np.uint8), np.zeros((8, 8, 3))])
def test_other_than_rgb_is_refused(folder: Path, wrong: np.ndarray) -> None:
    with pytest.raises(MediaError, match="RGB"):
        EfficientNetLite0(folder)(wrong)
    with pytest.raises(MediaError, match="RGB"):
        ExpressionNet(folder)(wrong[None])


def test_expression_of_one_and_of_many_agree(folder: Path) -> None:
    net, faces = ExpressionNet(folder), crops(70)  # more than one batch
    probabilities, features = net(faces)
    assert probabilities.shape == (70, len(EXPRESSIONS)) and features.shape == (70, 128)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    one, feature = net(faces[66:67])
    np.testing.assert_allclose(one[0], probabilities[66], atol=1e-5)
    np.testing.assert_allclose(feature[0], features[66], atol=1e-4)


def test_no_face_gives_no_rows(folder: Path) -> None:
    probabilities, features = ExpressionNet(folder)(crops(0))
    assert probabilities.shape == (0, 7) and features.shape == (0, 128)


def test_opinion_labels_are_the_expressions_in_another_order() -> None:
    assert sorted(OPINION_LABELS) == sorted(EXPRESSIONS)


def test_damaged_or_missing_weights_are_named(tmp_path: Path) -> None:
    with pytest.raises(AssetMissingError, match=OPINION_FILE):
        FaceOpinionNet(tmp_path)(crops(1))
    (tmp_path / OPINION_FILE).write_bytes(b"not a model")
    with pytest.raises(AssetCorruptError, match=OPINION_FILE):
        FaceOpinionNet(tmp_path)(crops(1))
    (tmp_path / EXPRESSION_FILE).write_bytes(b"not tensors")
    with pytest.raises(AssetCorruptError, match=EXPRESSION_FILE):
        ExpressionNet(tmp_path)(crops(1))


def test_encoders_are_listed_under_their_names() -> None:
    assert {name: encoder.name for name, encoder in ENCODERS.items()} == {name: name for name in ENCODERS}
    assert set(ENCODERS) == {"global", "temporal", "audio"}
