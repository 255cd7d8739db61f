"""Recordings in, frames and waveform out: what a file holds, its pictures and its sound, with times in seconds."""

from emotion_llama.media.decode import DecodeNotes, iter_frames, iter_waveform, read_frame, read_waveform
from emotion_llama.media.listing import MEDIA_SUFFIXES, list_media
from emotion_llama.media.probe import probe
from emotion_llama.media.types import SAMPLE_RATE_HZ, Frame, MediaInfo, Waveform

__all__ = [
    "MEDIA_SUFFIXES",
    "SAMPLE_RATE_HZ",
    "DecodeNotes",
    "Frame",
    "MediaInfo",
    "Waveform",
    "iter_frames",
    "iter_waveform",
    "list_media",
    "probe",
    "read_frame",
    "read_waveform",
]
