"""The chat frame and the placeholder of any language model, found in its tokenizer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jinja2.exceptions import TemplateError

from emotion_llama.errors import ModelError
from emotion_llama.prompt import CHATML, LLAMA_2, ChatFrame

PLACEHOLDERS = (
    "<empty_output>",  # SmolLM2
    "<|reserved_special_token_0|>",  # Llama 3
    "<|image_pad|>",  # Qwen 2.5 and 3
    "<|fim_pad|>",  # Qwen 2.5 coder
    "<|dummy_0|>",  # Phi 3 and 4
    "<unused0>",  # Gemma
    "[control_8]",  # Mistral
)
"""Special tokens that no chat text uses, of one family each: one of them holds the place of a soft token."""

_ADVICE = "set chat_frame in config.json"

_SETTINGS = {"enable_thinking": False, "date_string": "26 Jul 2024"}
"""Qwen 3 is not to think aloud; Llama 3 says what day it is, which must not make answers differ from day to day."""

_QUESTION, _ANSWER = "What is asked…", "What is answered…"


def frame_of(tokenizer: Any) -> ChatFrame:
    """Read the strings around a user turn and behind an answer from the tokenizer's own chat template.

    Raises `ModelError` for a tokenizer without a template, or one whose template does not show them: then set
    `chat_frame` in the configuration.
    """
    template = getattr(tokenizer, "chat_template", None)
    if template is None:
        raise ModelError(f"chat frame: expected a chat template in the tokenizer, found none; {_ADVICE}")
    if "[INST]" in template and "<<SYS>>" in template:
        return LLAMA_2
    if "<|im_start|>" in template and "SmolLM" in template:
        return CHATML  # its default system turn says nothing of use here and costs tokens
    turns = [{"role": "user", "content": _QUESTION}]
    both = [*turns, {"role": "assistant", "content": _ANSWER}]
    try:
        asked = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True, **_SETTINGS)
        answered = tokenizer.apply_chat_template(both, tokenize=False, **_SETTINGS)
    except (TemplateError, ValueError, TypeError) as error:
        raise ModelError(f"chat frame: the tokenizer's template fails ({error}); {_ADVICE}") from error
    if asked.count(_QUESTION) != 1 or answered.count(_ANSWER) != 1:
        raise ModelError(f"chat frame: the tokenizer's template does not repeat what is said; {_ADVICE}")
    opening, closing = asked.split(_QUESTION)
    behind = answered.split(_ANSWER)[1].lstrip()
    ends = [token for token in map(str, tokenizer.all_special_tokens) if behind.startswith(token)]
    if not ends:
        raise ModelError(f"chat frame: expected a special token behind an answer, found {behind[:20]!r}; {_ADVICE}")
    lead = "" if closing[-1:].isspace() or closing.endswith(">") else " "
    return ChatFrame(opening, closing, max(ends, key=len), answer_lead=lead)


def placeholder_of(vocabulary: Mapping[str, int], wanted: str | None = None) -> str:
    """Choose the token that holds the place of a soft token: `wanted`, or the first known one that is there.

    Raises `ModelError` if it is not in the tokenizer.
    """
    for token in PLACEHOLDERS if wanted is None else (wanted,):
        if token in vocabulary:
            return token
    named = ", ".join(PLACEHOLDERS) if wanted is None else repr(wanted)
    raise ModelError(
        f"tokenizer: expected the token {named} to hold the place of soft tokens; name an unused special one"
    )
