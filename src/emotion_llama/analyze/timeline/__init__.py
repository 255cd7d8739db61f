"""Emotion over time: one pass over a recording of any length, block by block."""
