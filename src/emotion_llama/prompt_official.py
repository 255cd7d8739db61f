"""The prompts of the released Emotion-LLaMA, letter for letter, in the three orders in which it was fed.

    aligned       <s> [INST] <video> PATCHES </video> <feature> FACE VIDEO AUDIO CLS </feature> … [/INST]
    official-eval <s> <s>[INST] <video> PATCHES FACE VIDEO AUDIO CLS </video> <feature><FeatureHere></feature> … [/INST]
    official-demo as official-eval, but the question stands behind a second "<s>[INST] "

The weights were trained on the first; published scores were made with the second, which moves the four emotion tokens,
begins twice and feeds the word `<FeatureHere>` as text; the third is what the web demonstration sent. Sources: upstream
`minigpt4/models/minigpt_base.py`, `minigpt4/conversation/conversation.py`, `minigpt4/datasets/datasets/first_face.py`.

Each marker is one stretch for the tokenizer: where one begins and ends decides the tokens.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from emotion_llama.clip import Task
from emotion_llama.prompt import GLOBAL, Layout, Marker, Piece, Prompt, Soft

OFFICIAL_LABELS = ("happy", "sad", "neutral", "angry", "worried", "surprise", "fear", "contempt", "doubt")
"""The nine labels in the order of the released prompt, which the weights are sensitive to."""

REASON_INSTRUCTIONS = (
    "Please analyze all the clues in the video and reason out the emotional label of the person in the video.",
    "What is the emotional state of the person in the video? Please tell me the reason.",
    "What are the facial expressions and vocal tone used in the video? What is the intended meaning behind his words? "
    "Which emotion does this reflect?",
    "Please integrate information from various modalities to infer the emotional category of the person in the video.",
    "Could you describe the emotion-related features of the individual in the video? What emotional category do they "
    "fall into?",
)
"""Ways in which the released weights were asked for a reason; training draws one, answering uses the first."""

_CONTROL = re.compile(r"</?s>|<unk>")


DEMO_LENGTH, DEMO_ANSWER = 2000, 500
"""Positions and new tokens that the released demonstration allows for."""


def render_official(
    layout: Layout,
    task: Task,
    *,
    labels: Sequence[str],
    transcript: str | None,
    soft_tokens: Mapping[str, int],
    phrasing: int = 0,
    question: str | None = None,
    tag: str | None = None,
    history: Sequence[str] = (),
) -> Prompt:
    """Render the prompt of one clip as the released code does.

    `transcript` `None` leaves the sentence out (the released code cannot do without; its demonstration can); `""` gives
    its empty sentence. Control strings in a transcript are taken out: here text could not be told from them. `tag`: the
    word in brackets where it is not the task (the fine stage of training used `reason_v2`); "" = none. `question`: this
    instead of the task's instruction. `history`: what the user asked before, in the demonstration's layout, which
    forgets its own answers.
    """
    ask = question.strip() if question is not None else _instruction(task, labels, phrasing)
    named = task if tag is None else tag
    ask = f"[{named}] {ask}" if named else ask
    every = [Soft(name, count) for name, count in soft_tokens.items()]
    if layout == "aligned":
        patches = [soft for soft in every if soft.name == GLOBAL]
        others = [soft for soft in every if soft.name != GLOBAL]
        prefix: tuple[Piece, ...] = (
            Marker("<s>"),
            Marker("[INST] <video>"),
            *patches,
            Marker("</video> <feature>"),
            *others,
        )
        return Prompt(prefix, (Marker(f"</feature> {_sentence(transcript)}{ask}  [/INST]"),))
    prefix = (Marker("<s>"), Marker("<s>[INST] <video>"), *every)
    tags = "</video> <feature><FeatureHere></feature>"
    if layout == "official-eval":
        return Prompt(prefix, (Marker(f"{tags} {_sentence(transcript)}{ask}  [/INST]"),))
    first, *later = (*history, ask)
    turns = "".join(f"</s><s>[INST] {turn} [/INST]" for turn in later)
    return Prompt(prefix, (Marker(f"{tags}<s>[INST] {_typed(transcript)}{first} [/INST]{turns}"),))


def demo_kept(positions: int, max_length: int = DEMO_LENGTH, max_new_tokens: int = DEMO_ANSWER) -> int:
    """How many positions of a prompt the released demonstration reads: the last ones, without a word about the rest.

    Upstream `minigpt4/conversation/conversation.py`. The picture stands first, so it is what gets lost; here a prompt
    that would lose anything is refused.
    """
    return min(positions, max_length - max_new_tokens)


def _sentence(transcript: str | None) -> str:
    """The sentence of the data side: a full stop whatever the words end in, two spaces before the task."""
    return "" if transcript is None else f"The person in video says: {_plain(transcript)}.  "


def _typed(transcript: str | None) -> str:
    """The sentence as the examples of the demonstration have it."""
    return f"The person in video says: {_plain(transcript)}  " if transcript else ""


def _plain(transcript: str) -> str:
    return _CONTROL.sub(" ", transcript)


def _instruction(task: Task, labels: Sequence[str], phrasing: int) -> str:
    if task == "emotion":
        named = ", ".join(labels or OFFICIAL_LABELS)
        return f"Please determine which emotion label in the video represents: {named}."
    if task == "reason":
        return REASON_INSTRUCTIONS[phrasing % len(REASON_INSTRUCTIONS)]
    if task == "visual":
        return "Please describe the facial expressions of the person in the video."
    return "Please describe the tone of voice of the person in the video."
