from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from transformers import WhisperConfig, WhisperFeatureExtractor
from transformers.models.whisper.modeling_whisper import WhisperEncoder as ReferenceEncoder

from emotion_llama import assets
from emotion_llama.encoders.whisper import CONFIG_FILE, SHORTEST_S, WEIGHTS_FILE, WhisperEncoder
from emotion_llama.encoders.whisper_net import WhisperEncoderConfig, WhisperEncoderNet
from emotion_llama.errors import AssetCorruptError, AssetMissingError, MediaError, ModelError
from emotion_llama.media.types import SAMPLE_RATE_HZ, Waveform

SMALL = WhisperEncoderConfig(width=32, layers=6, heads=4)


def tone(seconds: float) -> Waveform:
    time_s = np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    return Waveform((0.3 * np.sin(2 * np.pi * (180 + 60 * time_s) * time_s)).astype(np.float32))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("whisper")
    torch.manual_seed(0)
    save_file(WhisperEncoderNet(SMALL).state_dict(), path / WEIGHTS_FILE)
    (path / CONFIG_FILE).write_text(SMALL.model_dump_json(), encoding="utf-8")
    return path


def test_net_agrees_with_the_library_on_a_full_window() -> None:
    torch.manual_seed(1)
    config = WhisperConfig(d_model=32, encoder_layers=3, encoder_attention_heads=4, encoder_ffn_dim=128)
    reference = ReferenceEncoder(config).eval()
    net = WhisperEncoderNet(WhisperEncoderConfig(width=32, layers=3, heads=4))
    net.load_state_dict(reference.state_dict(), strict=True)
    mel = torch.randn(1, 80, 3000)
    with torch.inference_mode():
        expected = torch.stack(reference(mel, output_hidden_states=True).hidden_states, dim=1)
        torch.testing.assert_close(net.eval()(mel), expected, atol=1e-4, rtol=1e-4)


def test_features_are_the_means_of_the_hidden_states(folder: Path) -> None:
    encoder = WhisperEncoder(folder)
    sound = tone(2.0)
    states, features = encoder.hidden(sound), encoder.features(sound)
    assert states.shape == (7, 100, 32)
    quarters = [states[4, start : start + 25].mean(axis=0) for start in (0, 25, 50, 75)]
    np.testing.assert_allclose(features["audio"], np.stack(quarters), atol=1e-5)
    statistics = np.stack([states[1:].mean(axis=1), states[1:].std(axis=1)], axis=1)  # (layers, 2, width)
    np.testing.assert_allclose(features["audio_statistics"], statistics.reshape(1, -1), atol=1e-5)
    assert encoder(sound).shape == (encoder.tokens, encoder.width)
    assert encoder(sound).dtype == np.float32


def test_long_sound_is_encoded_in_windows(folder: Path) -> None:
    encoder = WhisperEncoder(folder)
    sound = tone(40.0)
    half = len(sound.samples) // 2
    states = encoder.hidden(sound)
    assert states.shape[1] == 2000
    np.testing.assert_allclose(states[:, 1000:], encoder.hidden(Waveform(sound.samples[half:])), atol=1e-5)
    quarters = states[4].reshape(4, 500, 32).mean(axis=1)
    np.testing.assert_allclose(encoder(sound), quarters, atol=1e-4)


@pytest.mark.parametrize("seconds", [SHORTEST_S, 0.113, 0.2])
def test_short_sound_still_fills_every_chunk(folder: Path, seconds: float) -> None:
    assert np.isfinite(WhisperEncoder(folder)(tone(seconds))).all()


def test_silence_is_encoded_to_finite_numbers(folder: Path) -> None:
    assert np.isfinite(WhisperEncoder(folder)(Waveform(np.zeros(SAMPLE_RATE_HZ, np.float32)))).all()


def test_too_short_or_not_mono_is_refused(folder: Path) -> None:
    with pytest.raises(MediaError, match=r"0\.1 s"):
        WhisperEncoder(folder)(tone(0.05))
    with pytest.raises(MediaError, match="one channel"):
        WhisperEncoder(folder)(Waveform(np.zeros((2, SAMPLE_RATE_HZ), np.float32)))


def test_damaged_folder_is_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(AssetMissingError, match="emotion-llama fetch nano"):
        WhisperEncoder(tmp_path)(tone(1.0))
    (tmp_path / CONFIG_FILE).write_text("{}", encoding="utf-8")  # the sizes of Whisper base: not those of the file
    content = (folder / WEIGHTS_FILE).read_bytes()
    (tmp_path / WEIGHTS_FILE).write_bytes(content)
    with pytest.raises(ModelError, match=WEIGHTS_FILE):
        WhisperEncoder(tmp_path)(tone(1.0))
    (tmp_path / WEIGHTS_FILE).write_bytes(content[: len(content) // 2])
    with pytest.raises(AssetCorruptError, match=WEIGHTS_FILE):
        WhisperEncoder(tmp_path)(tone(1.0))
    (tmp_path / CONFIG_FILE).write_text("{", encoding="utf-8")
    with pytest.raises(AssetCorruptError, match=CONFIG_FILE):
        WhisperEncoder(tmp_path)(tone(1.0))


@pytest.mark.weights
def test_real_weights_agree_with_ctranslate2() -> None:
    ctranslate2 = pytest.importorskip("ctranslate2")
    try:
        folder = assets.path("whisper-base")
    except AssetMissingError:
        pytest.skip("needs the weights: emotion-llama fetch nano sample")
    sound = tone(2.0)
    mel = WhisperFeatureExtractor()(
        sound.samples, sampling_rate=SAMPLE_RATE_HZ, padding=False, return_tensors="np"
    ).input_features
    model = ctranslate2.models.Whisper(str(folder), compute_type="float32", intra_threads=1)
    expected = np.array(model.encode(ctranslate2.StorageView.from_array(mel), to_cpu=True))[0]
    np.testing.assert_allclose(WhisperEncoder(folder).hidden(sound)[-1], expected, atol=5e-3)
