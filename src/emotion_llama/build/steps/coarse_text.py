"""coarse_text: the clip's clues in one text by a fixed template: scene, face, voice, words (the paper's Table 12)."""

from __future__ import annotations

from emotion_llama.build.entry import Entry, Written
from emotion_llama.build.look import Look
from emotion_llama.build.step import Found, Reject, Step, StepSettings

TEMPLATE = "coarse-1"


class CoarseTextSettings(StepSettings):
    """No settings."""


def write_coarse(entry: Entry, settings: CoarseTextSettings, look: Look) -> Found | Reject:
    """Write the coarse text; a clip without any clue is rejected."""
    parts = []
    if entry.scene is not None:
        parts.append(entry.scene.text)
    if entry.face_phrases:
        parts.append(f"The person's expression and actions include: {', '.join(entry.face_phrases)}.")
    if entry.voice is not None:
        parts.append(entry.voice.text)
    if entry.clip.transcript:
        parts.append(f"Saying: “{entry.clip.transcript}”")
    if not parts:
        return Reject(reason="nothing was seen, heard or said that a text could tell")
    text = " ".join(parts)
    return Found(words=text, coarse_text=Written(text=text, writer=TEMPLATE))


COARSE_TEXT = Step(
    "coarse_text", "1", CoarseTextSettings, write_coarse,
    reads=("describe_face", "describe_scene", "describe_voice", "transcribe"), place=lambda settings: "driver",
)  # fmt: skip
