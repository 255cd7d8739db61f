"""describe_voice: how it is said: a model that takes sound says it, or the measured voice in words."""

from __future__ import annotations

import base64
import io
import wave

import numpy as np

from emotion_llama.build.entry import Entry, Written
from emotion_llama.build.look import Look
from emotion_llama.build.step import Found, Place, Reject, Step, StepSettings
from emotion_llama.build.steps.describe_scene import plain_text
from emotion_llama.clip import Observation
from emotion_llama.media.types import SAMPLE_RATE_HZ, Waveform
from emotion_llama.perception.describe import VOICE_SOURCE, describe_voice

PROMPT_VERSION = "voice-1"
QUESTION = (
    "Listen to the speaker. Say in one plain sentence how the voice sounds: pitch, loudness, pace, tone. "
    "Do not repeat the words, and name no emotion."
)
LONGEST_S = 60.0


class DescribeVoiceSettings(StepSettings):
    """`endpoint`: which of the build's endpoints hears the clip; `None`: pitch, loudness, pace as measured."""

    endpoint: str | None = None


def tell_voice(entry: Entry, settings: DescribeVoiceSettings, look: Look) -> Found | Reject:
    """Describe the voice. Raises `EndpointError` when the endpoint gives no usable answer."""
    if look.sound is None or look.waveform is None:
        return Found(words="no sound to describe")
    if settings.endpoint is not None and not look.sound.silent:
        return _asked(look.waveform, settings.endpoint, look)
    observations = tuple(
        o.model_copy(update={"start_s": _time(o.start_s), "end_s": _time(o.end_s), "value": _value(o.value)})
        for o in describe_voice(look.sound)
    )
    # what is usual says little, and is said only where nothing else is
    telling = [o.text for o in observations if o.direction != 0] or [o.text for o in observations]
    text = ", ".join(telling)
    text = f"{text[:1].upper()}{text[1:]}."
    return Found(words=text, voice=Written(text=text, writer="measured"), observations=observations)


def _asked(waveform: Waveform, endpoint: str, look: Look) -> Found:
    sound = {"data": wav_base64(waveform), "format": "wav"}
    parts = [{"type": "text", "text": QUESTION}, {"type": "input_audio", "input_audio": sound}]
    answer = look.ask("describe_voice", endpoint, [{"role": "user", "content": parts}], plain_text)
    return Found(
        words=answer.value,
        voice=Written(text=answer.value, writer=answer.model, prompt_version=PROMPT_VERSION),
        observations=(Observation(channel="voice", text=answer.value, source=answer.model),),
    )


def wav_base64(waveform: Waveform) -> str:
    """Give the first minute of a sound as a 16-bit WAV file in base64."""
    samples = waveform.samples[: round(LONGEST_S * SAMPLE_RATE_HZ)]
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE_HZ)
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def _time(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _value(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _place(settings: DescribeVoiceSettings) -> Place:
    return "worker" if settings.endpoint is None else "driver"


VOICE = Step(
    "describe_voice", "1", DescribeVoiceSettings, tell_voice, reads=("probe",), place=_place,
    models=lambda settings: (VOICE_SOURCE,) if settings.endpoint is None
    else (PROMPT_VERSION,),
)  # fmt: skip
