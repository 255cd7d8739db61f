"""What went wrong while a recording was decoded, for the caller to tell."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class DecodeNotes:
    """Filled by a decoder that was given it; one object a decoder call, to be read when the decoder has finished.

    `damaged`: a part could not be decoded, or the stream ends well before the header says. `reason`: the first thing
    that went wrong, in words. `last_s`: recording time in seconds up to which the stream could be decoded.
    """

    damaged: bool = False
    reason: str | None = None
    last_s: float | None = None

    def damage(self, reason: str) -> None:
        """Record one problem; the first reason is kept."""
        self.damaged = True
        self.reason = self.reason or reason

    def reached(self, time_s: float) -> None:
        """Record that decoding came as far as `time_s`."""
        self.last_s = time_s if self.last_s is None else max(self.last_s, time_s)
