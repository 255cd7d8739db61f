"""All that is heard in one clip: silence, speech, prosody, words."""

from __future__ import annotations

import numpy as np

from emotion_llama.clip import Transcript
from emotion_llama.measurements import SoundMeasures
from emotion_llama.media.types import SAMPLE_RATE_HZ, Waveform
from emotion_llama.perception.speech import Transcriber, speech_spans
from emotion_llama.perception.voice import measure_voice

SILENCE_DB = -60.0
SILENCE_FRAME_S = 0.05


def perceive_sound(waveform: Waveform, transcriber: Transcriber | None, given: str | None) -> SoundMeasures:
    """Measure one waveform. `given`: the transcript where the user has one; `transcriber` `None`: do not transcribe.

    The transcript's source is "given", "asr:whisper-base" or, when it was neither given nor asked for, "none" with
    text `None`. A silent track is not searched for speech: with a transcriber its text is "" (nothing was said).
    """
    silent = is_silent(waveform)
    spans = () if silent else speech_spans(waveform)
    voice, trace = measure_voice(waveform, spans)
    if given is not None:
        transcript = Transcript(text=given, source="given")
    elif transcriber is None:
        transcript = Transcript(text=None, source="none")
    else:
        transcript = transcriber.transcribe(waveform, spans)
    return SoundMeasures(silent=silent, voice=voice, trace=trace, transcript=transcript)


def is_silent(waveform: Waveform) -> bool:
    """Whether no 50 ms of the sound reach -60 dB re full scale (RMS); an empty waveform is silent."""
    size = round(SILENCE_FRAME_S * SAMPLE_RATE_HZ)
    padded = np.pad(waveform.samples, (0, -len(waveform.samples) % size))
    if not len(padded):
        return True
    power = np.square(padded.reshape(-1, size), dtype=np.float64).mean(axis=1)
    return bool(power.max() < 10 ** (SILENCE_DB / 10))
