"""All that is heard in one clip: silence, speech, prosody, words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from emotion_llama.clip import Transcript
from emotion_llama.measurements import SoundMeasures
from emotion_llama.media.types import SAMPLE_RATE_HZ, Waveform
from emotion_llama.perception.speech import Transcriber, speech_spans
from emotion_llama.perception.voice import measure_voice

SILENCE_DB = -60.0
SILENCE_FRAME_S = 0.05
MARGIN_S = 1.5
"""So much around speech is left as it is: recordings made for research rarely have more before or after it."""


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


def near_speech(waveform: Waveform, spans: Sequence[tuple[float, float]], margin_s: float = MARGIN_S) -> Waveform:
    """Give the sound without what lies further than `margin_s` from any speech; all of it where there is no speech.

    What is kept is put together in its order; `start_s` is that of the first part. `spans`: speech, seconds of the
    recording.
    """
    samples, begin = waveform.samples, waveform.start_s
    near = np.zeros(len(samples), bool)
    for start_s, end_s in spans:
        first = round((start_s - margin_s - begin) * SAMPLE_RATE_HZ)
        last = round((end_s + margin_s - begin) * SAMPLE_RATE_HZ)
        near[max(0, first) : max(0, last)] = True
    if near.all() or not near.any():
        return waveform
    return replace(waveform, samples=samples[near], start_s=begin + int(near.argmax()) / SAMPLE_RATE_HZ)
