"""Where there is speech (Silero VAD) and what is said (Whisper), both through faster-whisper, without torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.vad import VadOptions, get_speech_timestamps

from emotion_llama.clip import Segment, Transcript, Word
from emotion_llama.errors import AssetMissingError, ModelError
from emotion_llama.media.types import SAMPLE_RATE_HZ, Waveform

SOURCE = "asr:whisper-base"

# Speech closer together than 0.3 s is one span; a span shorter than 0.1 s is a click; 50 ms are added on each side.
VAD = VadOptions(threshold=0.5, min_speech_duration_ms=100, min_silence_duration_ms=300, speech_pad_ms=50)

MIN_MEAN_LOG_PROBABILITY = -1.0  # Whisper's own bound for a failed decoding
MAX_NO_SPEECH_PROBABILITY = 0.6  # the same; counts only together with a doubtful text, as in Whisper
DOUBTFUL_LOG_PROBABILITY = -0.7
MAX_COMPRESSION_RATIO = 2.4  # above it the text repeats itself
MIN_SPEECH_OVERLAP = 0.2  # share of a segment's time that must be speech to the voice activity detector


def speech_spans(waveform: Waveform) -> tuple[tuple[float, float], ...]:
    """Start and end of each stretch of speech, seconds of the recording, in time order; empty when there is none."""
    if not len(waveform.samples):
        return ()
    found = get_speech_timestamps(waveform.samples, VAD, SAMPLE_RATE_HZ)
    return tuple(
        (waveform.start_s + span["start"] / SAMPLE_RATE_HZ, waveform.start_s + span["end"] / SAMPLE_RATE_HZ)
        for span in found
    )


class _EncodeOnce(WhisperModel):  # type: ignore[misc]
    """Whisper whose language detection and first decoding share one run of the encoder, the dearest part.

    faster-whisper runs it for each; the two inputs differ in the one frame that the feature extractor adds at the end.
    An encoder window shorter than 30 s would be faster still, but made Whisper invent and repeat words.
    """

    _last: tuple[Any, Any] | None = None

    def encode(self, features: Any) -> Any:
        """The encoder's output for log-mel `features` (80, 3000)."""
        last = self._last  # read once: threads may share the model
        if last is not None and last[0].shape == features.shape and (last[0] != features).any(axis=0).sum() <= 1:
            return last[1]
        output = super().encode(features)
        self._last = (features, output)
        return output


class Transcriber:
    """Whisper in int8 on the CPU, from a CTranslate2 folder; it never downloads.

    Raises `AssetMissingError` when `model_dir` is no such folder and `ModelError` when its content cannot be loaded.
    """

    def __init__(self, model_dir: Path, threads: int = 2) -> None:
        if not (model_dir / "model.bin").is_file():
            raise AssetMissingError(
                f"{model_dir}: expected a CTranslate2 Whisper folder with model.bin; run: emotion-llama fetch nano"
            )
        try:
            self._model = _EncodeOnce(
                str(model_dir), device="cpu", compute_type="int8", cpu_threads=threads, local_files_only=True
            )
        except (RuntimeError, ValueError) as error:
            raise ModelError(f"{model_dir}: cannot be loaded as Whisper ({error}); fetch it again") from error

    def transcribe(
        self, waveform: Waveform, spans: tuple[tuple[float, float], ...] | None = None, *, language: str | None = None
    ) -> Transcript:
        """What is said, with word times in seconds of the recording.

        `spans`: speech spans where they are known already; they are found otherwise. Without speech the text is "".
        `language` (ISO 639-1) is detected when not given. Segments are dropped when Whisper itself doubts them (mean
        log-probability below -1; no-speech probability above 0.6 with a log-probability below -0.7), when they repeat
        themselves (compression ratio above 2.4), or when less than a fifth of their time is speech.
        """
        spans = speech_spans(waveform) if spans is None else spans
        if not spans:
            return Transcript(text="", source=SOURCE)
        first_s, heard = _speech_part(waveform, spans)
        found, info = self._model.transcribe(
            heard,
            language=language,
            beam_size=1,
            temperature=0.0,
            condition_on_previous_text=False,
            word_timestamps=True,
            vad_filter=False,
        )
        segments = tuple(_segment(part, first_s) for part in found if is_credible(part, first_s, spans))
        return Transcript(
            text=" ".join(segment.text for segment in segments),
            source=SOURCE,
            language=info.language,
            language_probability=float(info.language_probability),
            segments=segments,
        )


def _speech_part(waveform: Waveform, spans: tuple[tuple[float, float], ...]) -> tuple[float, Any]:
    """The sound from the first to the last speech, and the recording time at which it starts."""
    start = max(0, round((spans[0][0] - waveform.start_s) * SAMPLE_RATE_HZ))
    end = round((spans[-1][1] - waveform.start_s) * SAMPLE_RATE_HZ)
    return waveform.start_s + start / SAMPLE_RATE_HZ, np.ascontiguousarray(waveform.samples[start:end])


def is_credible(part: Any, first_s: float, spans: tuple[tuple[float, float], ...]) -> bool:
    """Whether a recognised segment passes the bounds above; `first_s` is the recording time of its time 0."""
    doubtful = part.no_speech_prob > MAX_NO_SPEECH_PROBABILITY and part.avg_logprob < DOUBTFUL_LOG_PROBABILITY
    if doubtful or part.avg_logprob < MIN_MEAN_LOG_PROBABILITY or part.compression_ratio > MAX_COMPRESSION_RATIO:
        return False
    start_s, end_s = part.start + first_s, part.end + first_s
    speech_s = sum(max(0.0, min(end_s, last) - max(start_s, first)) for first, last in spans)
    return bool(part.text.strip()) and speech_s >= MIN_SPEECH_OVERLAP * (end_s - start_s)


def _segment(part: Any, first_s: float) -> Segment:
    words = tuple(
        Word(
            text=word.word.strip(),
            start_s=float(word.start) + first_s,
            end_s=float(word.end) + first_s,
            probability=float(word.probability),
        )
        for word in part.words or ()
    )
    return Segment(text=part.text.strip(), start_s=part.start + first_s, end_s=part.end + first_s, words=words)
