"""Results → what the assistant says, and the chat's JSON."""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Sequence
from typing import Any

from emotion_llama.clip import Analysis, Modality
from emotion_llama.serve.chat import FACES, Question
from emotion_llama.serve.model import Box
from emotion_llama.serve.ticket import Done, Event, Text

HOW_TO_ASK = (
    "Ask with a tag: [emotion] for the emotion, [reason] for the reasons, [visual] for the face, [audio] for the "
    "voice, [detection] face for where faces are."
)
_NEEDED: dict[str, tuple[Modality, str]] = {"visual": ("video", "picture"), "audio": ("audio", "voice")}


def cannot(question: Question) -> str | None:
    """Say what this service cannot answer; `None` for what it can. Nothing is made up in its place."""
    if question.task is None and question.tag:
        return f"I cannot answer [{question.tag}]. {HOW_TO_ASK}"
    if question.task is None:
        return f"I cannot answer free questions: I was trained to read emotion only. {HOW_TO_ASK}"
    if question.task == "detection" and not FACES.fullmatch(question.text or "face"):
        return "I can find faces only: [detection] face."
    if question.recording is None and question.task in ("visual", "audio", "detection"):
        return "There is no recording in this conversation to look at or listen to; send one with the question."
    if question.recording is None and question.transcript is None:
        return "There is nothing to judge yet: send a recording, or words as `The person in video says: … [emotion]`."
    return None


def spoken(question: Question, analysis: Analysis) -> str:
    """What the assistant says of an analysis."""
    missing = _NEEDED.get(question.task or "")
    if missing is not None and not analysis.inputs[missing[0]].present:
        return f"I cannot say: this recording has no usable {missing[1]} ({analysis.inputs[missing[0]].reason})."
    if question.task == "emotion":
        unsure = f"Not sure: {' or '.join(analysis.candidates)}" if analysis.candidates else ""
        return analysis.emotion or unsure or "None of the asked labels."
    text = {"reason": analysis.reasoning, "visual": analysis.visual, "audio": analysis.audio}[str(question.task)]
    return text or "I cannot say."


def correction(written: str, said: str) -> str:
    """What to add to a text that was shown while it was written, where the checked one is another."""
    return "" if written.strip() == said.strip() else f"\n\nChecked against the measurements: {said}"


def boxes_text(boxes: Sequence[Box]) -> str:
    """Faces as MiniGPT-v2 and the paper's demonstration write them: whole numbers on a grid of 0–100."""
    if not boxes:
        return "I found no face in this recording."
    grid = [[min(100, max(0, round(100 * share))) for share in box] for box in boxes]
    return "<p>face</p> " + "<delim>".join(f"{{<{x0}><{y0}><{x1}><{y1}>}}" for x0, y0, x1, y1 in grid)


def label_logprobs(analysis: Analysis, top: int) -> dict[str, Any]:
    """The calibrated probabilities of the labels in OpenAI's form: each label is one token."""
    ranked = sorted(analysis.probabilities.items(), key=lambda item: -item[1])
    rows = [_row(label, chance) for label, chance in ranked]
    chosen = next((row for row in rows if row["token"] == analysis.emotion), None)
    return {"content": [] if chosen is None else [{**chosen, "top_logprobs": rows[:top]}], "refusal": None}


def _row(label: str, chance: float) -> dict[str, Any]:
    # -9999 is what OpenAI's API gives for a token that is out of the question
    return {"token": label, "logprob": math.log(chance) if chance > 0 else -9999.0, "bytes": list(label.encode())}


class Speaking:
    """Events of an analysis → the pieces of what the assistant says."""

    def __init__(self, question: Question) -> None:
        self._question, self._written = question, ""

    def piece(self, event: Event) -> str:
        """Give what an event adds: text as it is written, and at the end what is still to be said."""
        if isinstance(event, Text) and event.task == self._question.task:
            self._written += event.piece
            return event.piece
        if not isinstance(event, Done):
            return ""
        text = boxes_text(event.faces.boxes) if event.analysis is None else spoken(self._question, event.analysis)
        return correction(self._written, text) if self._written else text


class Reply:
    """The JSON around one answer: whole, or in chunks."""

    def __init__(self, model: str) -> None:
        self._head = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": model}

    def whole(
        self, text: str, refusal: str | None, logprobs: dict[str, Any] | None, analysis: Analysis | None
    ) -> dict[str, Any]:
        """One answer; `analysis` is ours, beside OpenAI's fields."""
        message = {"role": "assistant", "content": text, "refusal": refusal}
        choice = {"index": 0, "message": message, "logprobs": logprobs, "finish_reason": "stop"}
        more = {} if analysis is None else {"analysis": analysis.model_dump(mode="json")}
        return {**self._head, "object": "chat.completion", "choices": [choice], **more}

    def chunk(self, delta: dict[str, Any], finish: str | None = None, logprobs: Any = None) -> dict[str, Any]:
        """One piece of an answer."""
        choice = {"index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
        return {**self._head, "object": "chat.completion.chunk", "choices": [choice]}
