"""transcribe: what is said, as the list of clips gives it or as the recogniser hears it."""

from __future__ import annotations

from pydantic import Field

from emotion_llama.build.entry import Entry
from emotion_llama.build.look import Look
from emotion_llama.build.step import Found, Reject, Step, StepSettings
from emotion_llama.perception.describe import describe_words
from emotion_llama.perception.speech import SOURCE


class TranscribeSettings(StepSettings):
    """`min_words`: a clip with fewer spoken words is rejected; 0 keeps silent ones."""

    min_words: int = Field(default=0, ge=0)


def write_words(entry: Entry, settings: TranscribeSettings, look: Look) -> Found | Reject:
    """Write down the words of the clip."""
    transcript = look.transcript
    if transcript.text is None:
        return Reject(reason="no sound to transcribe") if settings.min_words else Found(words="no sound to transcribe")
    count = len(transcript.text.split())
    if count < settings.min_words:
        return Reject(reason=f"{count} words are said; wanted at least {settings.min_words}")
    said = f"“{transcript.text}” ({transcript.source})" if transcript.text else f"nothing is said ({transcript.source})"
    return Found(words=said, transcript=transcript.text, observations=tuple(describe_words(transcript)))


WORDS = Step("transcribe", "1", TranscribeSettings, write_words, reads=("probe",), models=lambda settings: (SOURCE,))
