"""Decoding in one place: pictures from `frames`, sound from `sound`."""

from __future__ import annotations

from emotion_llama.media.frames import iter_frames, read_frame
from emotion_llama.media.notes import DecodeNotes
from emotion_llama.media.sound import iter_waveform, read_waveform

__all__ = ["DecodeNotes", "iter_frames", "iter_waveform", "read_frame", "read_waveform"]
