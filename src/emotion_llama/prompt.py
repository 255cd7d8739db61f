"""The only prompt template: what the language model reads about one clip.

A prompt comes in two parts. The `prefix` (soft tokens, transcript) is the same whatever is asked, so it is computed
once a clip; the `suffix` (task tag, clues, instruction) changes with the task and the label order. The wording follows
the paper's user turn:

    <video>…</video> <feature>…</feature> The person in video says: {sentence}. [emotion] Please determine …

Pieces are tokenised one by one, here and everywhere, so that the token boundaries never depend on what stands next.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from emotion_llama.clip import TASKS, Task
from emotion_llama.errors import UsageError

PROMPT_VERSION = "1"
"""Changes with every change of wording; it is recorded with every result and checkpoint."""

GLOBAL = "global"
"""The feature group that stands between the <video> tags; all other groups stand between the <feature> tags."""

Layout = Literal["aligned", "official-eval", "official-demo"]
LAYOUTS: tuple[Layout, ...] = ("aligned", "official-eval", "official-demo")
"""Known placements of the soft tokens; `aligned` is the one used in training. The others are what the released code
fed its weights when it was evaluated and shown (`prompt_official`)."""


@dataclass(frozen=True)
class Soft:
    """A run of `count` soft tokens of the feature group `name`."""

    name: str
    count: int


@dataclass(frozen=True)
class Marker:
    """Text of the chat frame. Only here may special tokens of the tokenizer be read as such."""

    text: str


Piece = str | Soft | Marker
"""A plain `str` is text: special-token strings inside it (a transcript may hold any) stay plain characters."""


@dataclass(frozen=True)
class Prompt:
    """One rendered prompt: `prefix` is shared by all tasks and label orders of a clip, `suffix` is not."""

    prefix: tuple[Piece, ...]
    suffix: tuple[Piece, ...]

    @property
    def text(self) -> str:
        """The prompt as a person reads it; soft tokens appear as ⟨name×count⟩."""
        return "".join(_readable(piece) for piece in (*self.prefix, *self.suffix))


@dataclass(frozen=True)
class ChatFrame:
    """The strings a chat model was tuned with around a user turn and before the assistant's answer.

    `answer_lead` is put before every answer (a space where the tokenizer's words carry their leading space).
    """

    user_open: str
    user_close_assistant_open: str
    end: str
    answer_lead: str = " "


# SmolLM2's template adds a default system turn; it says nothing of use here and costs tokens, so it is left out.
CHATML = ChatFrame("<|im_start|>user\n", "<|im_end|>\n<|im_start|>assistant\n", "<|im_end|>")
LLAMA_2 = ChatFrame("<s>[INST] ", " [/INST]", "</s>", answer_lead="")


def render(
    task: Task,
    *,
    labels: Sequence[str],
    transcript: str | None,
    soft_tokens: Mapping[str, int],
    clues: Sequence[str] = (),
    frame: ChatFrame = CHATML,
    phrasing: int = 0,
    question: str | None = None,
) -> Prompt:
    """Render the prompt of one clip and task.

    `labels` in the order they are to be listed; `()` asks for free emotion words. `transcript` `None` = not
    transcribed, the sentence is left out; `""` = nothing was said. `soft_tokens` maps each present feature group to its
    number of tokens, in the configuration's order; an absent group is left out with its tags. `clues` are measured
    observations in words, used by every task but `emotion`. `phrasing` as in `instruction`. `question`: ask this
    instead of the task's instruction (tag `[vqa]`, as the base of the released weights was taught).
    Raises `UsageError` for an unknown task.
    """
    if task not in TASKS:
        raise UsageError(f"unknown task {task!r}: choose from {', '.join(TASKS)}")
    prefix = (Marker(frame.user_open), *_inputs(soft_tokens, transcript))
    ask = f"[{task}] " + _clue_sentence(task, clues) + instruction(task, labels, phrasing)
    if question is not None:
        ask = f"[vqa] {question.strip()}"
    lead = " " if len(prefix) > 1 else ""
    return Prompt(prefix, (lead + ask, Marker(frame.user_close_assistant_open)))


PARAPHRASES = (
    "Which of these emotions does the person in the video show: {labels}?",
    "Choose the emotion that fits the person in the video best, from: {labels}.",
    "Look and listen closely, then name the person's emotion. The choices are: {labels}.",
    "The person in the video feels one of the following: {labels}. Say which one.",
)
"""Other ways to ask for a label, for measuring how much the wording matters; no model here was trained on them."""


def instruction(task: Task, labels: Sequence[str], phrasing: int = 0) -> str:
    """Give the sentence that asks for the answer of a task.

    `phrasing` 0 is the sentence used in training; 1 to `len(PARAPHRASES)` are other wordings of the emotion question.
    """
    choice = f"one of: {', '.join(labels)}" if labels else "emotion words of your own"
    if task == "emotion" and labels and phrasing:
        return PARAPHRASES[phrasing - 1].format(labels=", ".join(labels))
    if task == "emotion" and labels:  # the paper's sentence, kept to the letter
        return f"Please determine which emotion label in the video represents: {', '.join(labels)}."
    if task == "emotion":
        return (
            "Please say in your own words which emotions the person in the video shows, as words separated by commas."
        )
    if task == "reason":
        return (
            "Please integrate all the clues, say in one or two sentences why the person feels this way, "
            f"and end with the emotion, {choice}."
        )
    if task == "visual":
        return "Please describe in one sentence what the person's face shows."
    return "Please describe in one sentence how the person's voice sounds."


def spoken_sentence(transcript: str | None) -> str:
    """Give the sentence about the words ("" when the clip was not transcribed). White space is folded."""
    if transcript is None:
        return ""
    words = " ".join(transcript.split())
    if not words:
        return "The person in video says nothing."
    return f"The person in video says: {words}" + ("" if words[-1] in ".!?…。！？" else ".")


def _inputs(soft_tokens: Mapping[str, int], transcript: str | None) -> list[Piece]:
    video = [Soft(name, count) for name, count in soft_tokens.items() if name == GLOBAL]
    others = [Soft(name, count) for name, count in soft_tokens.items() if name != GLOBAL]
    pieces = _tagged("<video>", video, "</video>")
    pieces += _tagged(" <feature>" if video else "<feature>", others, "</feature>")
    sentence = spoken_sentence(transcript)
    return [*pieces, f" {sentence}" if pieces else sentence] if sentence else pieces


def _tagged(opening: str, groups: Sequence[Soft], closing: str) -> list[Piece]:
    return [opening, *groups, closing] if groups else []


def _clue_sentence(task: Task, clues: Sequence[str]) -> str:
    if task == "emotion" or not clues:
        return ""
    return "Clues: " + "; ".join(clue.strip().rstrip(".;") for clue in clues) + ". "


def _readable(piece: Piece) -> str:
    if isinstance(piece, Soft):
        return f"⟨{piece.name}×{piece.count}⟩"
    return piece.text if isinstance(piece, Marker) else piece
