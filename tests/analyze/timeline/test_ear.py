"""Sound comes in blocks that end in pauses; nothing of it is lost or doubled."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from emotion_llama.analyze.timeline.ear import Spans, hear, last_pause_s
from emotion_llama.clip import Segment, Transcript
from emotion_llama.media.types import SAMPLE_RATE_HZ, Waveform


def loud(waveform: Waveform) -> Spans:
    """Stands for the voice activity detector: whatever is not 0 is speech."""
    there = np.pad(waveform.samples != 0, 1).astype(int)
    edges = np.flatnonzero(np.diff(there)).reshape(-1, 2) / SAMPLE_RATE_HZ + waveform.start_s
    return tuple((float(a), float(b)) for a, b in edges)


def chunks(samples: np.ndarray, chunk_s: float = 30.0) -> Iterator[Waveform]:
    size = round(chunk_s * SAMPLE_RATE_HZ)
    for start in range(0, len(samples), size):
        yield Waveform(samples[start : start + size], start / SAMPLE_RATE_HZ)


def speech(length_s: float, spans: Spans) -> np.ndarray:
    samples = np.zeros(round(length_s * SAMPLE_RATE_HZ), np.float32)
    for start_s, end_s in spans:
        samples[round(start_s * SAMPLE_RATE_HZ) : round(end_s * SAMPLE_RATE_HZ)] = 0.1
    return samples


def test_blocks_end_in_pauses_and_join_to_the_whole_sound() -> None:
    spoken = tuple((float(at), at + 3.4) for at in range(0, 100, 4))
    samples = speech(100.0, spoken)
    blocks = list(hear(chunks(samples), None, loud))
    assert np.array_equal(np.concatenate([block.waveform.samples for block in blocks]), samples)
    assert np.allclose([span for block in blocks for span in block.speech_s], spoken, atol=1e-3)
    assert all(not any(a < block.end_s < b for a, b in spoken) for block in blocks)
    assert max(block.waveform.duration_s for block in blocks) <= 60


def test_somebody_who_never_pauses_does_not_fill_the_memory() -> None:
    blocks = list(hear(chunks(speech(200.0, ((0.0, 200.0),))), None, loud))
    assert max(block.waveform.duration_s for block in blocks) <= 60
    assert sum(block.waveform.duration_s for block in blocks) == pytest.approx(200)


def test_a_second_of_speech_in_a_long_silence_is_transcribed_once() -> None:
    asked: list[Spans] = []

    def transcribe(waveform: Waveform, spans: Spans) -> Transcript:
        asked.append(spans)
        return Transcript(text="hi" if spans else "", source="fake", segments=tuple(
            Segment(text="hi", start_s=a, end_s=b) for a, b in spans
        ))  # fmt: skip

    blocks = list(hear(chunks(speech(130.0, ((59.6, 60.6),))), transcribe, loud))
    assert np.allclose([span for spans in asked for span in spans], [(59.6, 60.6)], atol=1e-3)
    assert len(asked) == len(blocks) and all(block.transcript is not None for block in blocks)


def test_the_last_pause() -> None:
    assert last_pause_s((), 0.0, 30.0) == 30.0
    assert last_pause_s(((0.0, 29.0),), 0.0, 30.0) == 30.0  # a pause at the very end
    assert last_pause_s(((0.0, 20.0), (21.0, 30.0)), 0.0, 30.0) == 20.5
    assert last_pause_s(((0.0, 5.0), (6.0, 30.0)), 0.0, 30.0) == 30.0  # too early
    assert last_pause_s(((29.6, 30.0),), 0.0, 30.0) == 29.1
