"""Windows made by hand, for tests."""

from __future__ import annotations

from emotion_llama.timeline import Window


def window(at: float, chances: dict[str, float], person: int | None = 0, length_s: float = 6.0) -> Window:
    """A window that was scored, with the likeliest label as its emotion; without chances nobody was there."""
    best = max(chances, key=lambda label: chances[label]) if chances else None
    return Window(
        start_s=at, end_s=at + length_s, emotion=best, confidence=chances[best] if best else None,
        probabilities=chances, inputs=("video",) if chances else (), person=person if chances else None,
    )  # fmt: skip


def of(happy: float) -> dict[str, float]:
    """Chances of two labels."""
    return {"happy": happy, "sad": 1 - happy}
