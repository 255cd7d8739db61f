"""The chat frame and the placeholder are found in the tokenizer of any language model."""

from __future__ import annotations

import pytest
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

from emotion_llama.errors import ModelError
from emotion_llama.model.chat import PLACEHOLDERS, frame_of, placeholder_of
from emotion_llama.prompt import CHATML, LLAMA_2, ChatFrame
from tests import chat

MARKS = (
    "<|im_start|>",
    "<|im_end|>",
    "<|eot_id|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<s>",
    "</s>",
    "[INST]",
)


def _tokenizer(template: str | None) -> PreTrainedTokenizerFast:
    found = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel({mark: i for i, mark in enumerate(MARKS)}, unk_token="<s>")),
        bos_token="<s>",
        additional_special_tokens=list(MARKS),
    )
    found.chat_template = template
    return found


@pytest.mark.parametrize(
    ("template", "frame"),
    [
        (chat.LLAMA_2, LLAMA_2),
        (chat.SMOLLM, CHATML),
        (
            chat.CHATML,
            ChatFrame("<|im_start|>user\n", "<|im_end|>\n<|im_start|>assistant\n", "<|im_end|>", answer_lead=""),
        ),
        (
            chat.THINKING,
            ChatFrame(
                "<|im_start|>user\n",
                "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n",
                "<|im_end|>",
                answer_lead="",
            ),
        ),
        (
            chat.DATED,
            ChatFrame(
                "<s><|start_header_id|>system<|end_header_id|>\n\nToday Date: 26 Jul 2024<|eot_id|>"
                "<|start_header_id|>user<|end_header_id|>\n\n",
                "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
                "<|eot_id|>",
                answer_lead="",
            ),
        ),
        (chat.BRACKETS, ChatFrame("<s>[INST] ", "[/INST]", "</s>", answer_lead=" ")),
    ],
    ids=["llama-2", "smollm", "chatml", "thinking", "dated", "brackets"],
)
def test_the_frame_is_read_from_the_template(template: str, frame: ChatFrame) -> None:
    assert frame_of(_tokenizer(template)) == frame


@pytest.mark.parametrize("template", [chat.CHATML, chat.THINKING, chat.DATED, chat.BRACKETS])
def test_framed_turns_are_what_the_template_writes(template: str) -> None:
    """The library's own rendering of a question is the independent answer."""
    tokenizer = _tokenizer(template)
    frame = frame_of(tokenizer)
    turns = [{"role": "user", "content": "How is she?"}]
    settings = {"tokenize": False, "enable_thinking": False, "date_string": "26 Jul 2024"}
    asked = tokenizer.apply_chat_template(turns, add_generation_prompt=True, **settings)
    assert frame.user_open + "How is she?" + frame.user_close_assistant_open == asked
    answered = tokenizer.apply_chat_template([*turns, {"role": "assistant", "content": "Sad."}], **settings)
    assert (frame.answer_lead + "Sad." + frame.end) in answered


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (None, "found none; set chat_frame"),
        (chat.FAILING, r"fails \(no turns\)"),
        (chat.MUTE, "does not repeat what is said"),
        (chat.ENDLESS, "expected a special token behind an answer"),
    ],
)
def test_a_template_without_a_frame_is_refused(template: str | None, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        frame_of(_tokenizer(template))


@pytest.mark.parametrize("token", PLACEHOLDERS)
def test_a_reserved_token_of_each_family_is_found(token: str) -> None:
    assert placeholder_of({"a": 0, token: 1}) == token


def test_the_named_token_is_taken_or_missed_by_name() -> None:
    vocabulary = {"<|image_pad|>": 0, "<mine>": 1}
    assert placeholder_of(vocabulary, "<mine>") == "<mine>"
    with pytest.raises(ModelError, match="'<yours>'"):
        placeholder_of(vocabulary, "<yours>")
    with pytest.raises(ModelError, match=r"<empty_output>, .* name an unused special one"):
        placeholder_of({"a": 0})
