"""Voice activity and the rules around the recogniser; the recogniser itself needs its weights."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from emotion_llama import assets
from emotion_llama.errors import AssetMissingError, ModelError
from emotion_llama.media import read_waveform
from emotion_llama.media.types import SAMPLE_RATE_HZ, Waveform
from emotion_llama.perception.speech import Transcriber, is_credible, speech_spans

SPANS = ((1.0, 3.0),)


def part(**changes: object) -> SimpleNamespace:
    usual = {"text": " hello", "start": 0.0, "end": 2.0, "no_speech_prob": 0.1, "avg_logprob": -0.3}
    return SimpleNamespace(**{**usual, "compression_ratio": 1.1, **changes})


def test_silence_tones_and_nothing_are_not_speech() -> None:
    at_s = np.arange(2 * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    for samples in (np.zeros_like(at_s), 0.3 * np.sin(2 * np.pi * 1000 * at_s), at_s[:0]):
        assert speech_spans(Waveform(samples.astype(np.float32))) == ()


def test_credible_text_stays_and_invented_text_goes() -> None:
    assert is_credible(part(), 1.0, SPANS)
    assert not is_credible(part(), 5.0, SPANS)  # nobody speaks then
    assert not is_credible(part(text="  "), 1.0, SPANS)
    assert not is_credible(part(avg_logprob=-1.2), 1.0, SPANS)
    assert not is_credible(part(compression_ratio=3.0), 1.0, SPANS)
    assert not is_credible(part(no_speech_prob=0.8, avg_logprob=-0.8), 1.0, SPANS)
    assert is_credible(part(no_speech_prob=0.8, avg_logprob=-0.2), 1.0, SPANS)


def test_a_missing_or_damaged_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(AssetMissingError, match="emotion-llama fetch nano"):
        Transcriber(tmp_path)
    (tmp_path / "model.bin").write_bytes(b"not a model")
    with pytest.raises(ModelError, match=str(tmp_path)):
        Transcriber(tmp_path)


@pytest.mark.slow
@pytest.mark.weights
def test_the_sample_clip_is_transcribed_in_recording_time() -> None:
    try:
        model_dir, clip = assets.path("whisper-base"), next(assets.path("sample-speech").glob("*.mp4"))
    except AssetMissingError:
        pytest.skip("needs the weights and the sample clip: emotion-llama fetch nano sample")
    whole = read_waveform(clip)
    assert whole is not None
    transcriber = Transcriber(model_dir)
    heard = transcriber.transcribe(Waveform(whole.samples, 10.0))
    assert heard.language == "en" and heard.text is not None and "years of negotiations" in heard.text
    words = [word for segment in heard.segments for word in segment.words]
    assert all(10.0 <= word.start_s <= word.end_s <= 10.1 + whole.duration_s for word in words)
    assert [word.start_s for word in words] == sorted(word.start_s for word in words)
    assert transcriber.transcribe(Waveform(np.zeros(SAMPLE_RATE_HZ, np.float32))).text == ""
