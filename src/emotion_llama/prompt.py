"""The only prompt template: what the language model reads about one clip.

A prompt comes in two parts. The `prefix` (soft tokens, transcript) is the same whatever is asked, so it is computed
once a clip; the `suffix` (task tag, clues, instruction) changes with the task and the label order. The wording follows
the paper's user turn:

    <video>…</video> <feature>…</feature> The person in video says: {sentence}. [emotion] Please determine …

That is English; the wording of every language stands in its language file.

Pieces are tokenised one by one, here and everywhere, so that the token boundaries never depend on what stands next.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from emotion_llama.clip import TASKS, Task
from emotion_llama.errors import UsageError
from emotion_llama.languages import language

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
    code: str = "en",
) -> Prompt:
    """Render the prompt of one clip and task.

    `labels` in the order they are to be listed; `()` asks for free emotion words. `transcript` `None` = not
    transcribed, the sentence is left out; `""` = nothing was said. `soft_tokens` maps each present feature group to its
    number of tokens, in the configuration's order; an absent group is left out with its tags. `clues` are measured
    observations in words, used by every task but `emotion`. `phrasing` as in `instruction`. `question`: ask this
    instead of the task's instruction (tag `[vqa]`, as the base of the released weights was taught). `code`: the
    language of the prompt, in which labels are listed by their names there; clues come in it already.
    Raises `UsageError` for an unknown task.
    """
    if task not in TASKS:
        raise UsageError(f"unknown task {task!r}: choose from {', '.join(TASKS)}")
    prefix = (Marker(frame.user_open), *_inputs(soft_tokens, transcript, code))
    ask = f"[{task}] " + _clue_sentence(task, clues, code) + instruction(task, labels, phrasing, code)
    if question is not None:
        ask = f"[vqa] {question.strip()}"
    lead = " " if len(prefix) > 1 else ""
    return Prompt(prefix, (lead + ask, Marker(frame.user_close_assistant_open)))


PARAPHRASES = language("en").prompt.paraphrases
"""Other ways to ask for a label, for measuring how much the wording matters; no model here was trained on them."""


def instruction(task: Task, labels: Sequence[str], phrasing: int = 0, code: str = "en") -> str:
    """Give the sentence that asks for the answer of a task, in a language.

    `phrasing` 0 is the sentence used in training; 1 to `len(PARAPHRASES)` are other wordings of the emotion question.
    """
    words = language(code).prompt
    listed = words.between_labels.join(language(code).label(label) for label in labels)
    if task == "emotion" and labels:
        return (words.paraphrases[phrasing - 1] if phrasing else words.emotion).format(labels=listed)
    if task == "emotion":
        return words.emotion_open
    if task == "reason":
        return words.reason.format(choice=words.choice.format(labels=listed) if labels else words.choice_open)
    return words.visual if task == "visual" else words.audio


def spoken_sentence(transcript: str | None, code: str = "en") -> str:
    """Give the sentence about the words ("" when the clip was not transcribed). White space is folded."""
    if transcript is None:
        return ""
    words, said = language(code).prompt, " ".join(transcript.split())
    if not said:
        return words.says_nothing
    return words.says.format(words=said) + ("" if said[-1] in ".!?…。！？" else words.full_stop)


def _inputs(soft_tokens: Mapping[str, int], transcript: str | None, code: str) -> list[Piece]:
    video = [Soft(name, count) for name, count in soft_tokens.items() if name == GLOBAL]
    others = [Soft(name, count) for name, count in soft_tokens.items() if name != GLOBAL]
    pieces = _tagged("<video>", video, "</video>")
    pieces += _tagged(" <feature>" if video else "<feature>", others, "</feature>")
    sentence = spoken_sentence(transcript, code)
    return [*pieces, f" {sentence}" if pieces else sentence] if sentence else pieces


def _tagged(opening: str, groups: Sequence[Soft], closing: str) -> list[Piece]:
    return [opening, *groups, closing] if groups else []


def _clue_sentence(task: Task, clues: Sequence[str], code: str) -> str:
    if task == "emotion" or not clues:
        return ""
    words = language(code).prompt
    return words.clues.format(clues=words.between_clues.join(clue.strip().rstrip(".;。；") for clue in clues))


def _readable(piece: Piece) -> str:
    if isinstance(piece, Soft):
        return f"⟨{piece.name}×{piece.count}⟩"
    return piece.text if isinstance(piece, Marker) else piece
