from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emotion_llama.clip import TASKS
from emotion_llama.errors import UsageError
from emotion_llama.prompt import (
    CHATML,
    LLAMA_2,
    PARAPHRASES,
    Marker,
    Soft,
    instruction,
    render,
    spoken_sentence,
)

LABELS = ("happy", "sad", "neutral")


def test_the_papers_turn():
    prompt = render(
        "emotion", labels=LABELS, transcript="I got the job.", soft_tokens={"global": 1, "local": 1, "audio": 4}
    )
    assert prompt.text == (
        "<|im_start|>user\n"
        "<video>⟨global×1⟩</video> <feature>⟨local×1⟩⟨audio×4⟩</feature> The person in video says: I got the job. "
        "[emotion] Please determine which emotion label in the video represents: happy, sad, neutral."
        "<|im_end|>\n<|im_start|>assistant\n"
    )


def test_llama_2_frame():
    prompt = render("emotion", labels=LABELS, transcript="", soft_tokens={"audio": 1}, frame=LLAMA_2)
    assert prompt.text.startswith("<s>[INST] <feature>⟨audio×1⟩</feature> The person in video says nothing. [emotion]")
    assert prompt.text.endswith("neutral. [/INST]")


@pytest.mark.parametrize(
    ("soft_tokens", "transcript", "expected"),
    [
        ({}, None, ""),
        ({}, "", "The person in video says nothing. "),
        ({"global": 2}, None, "<video>⟨global×2⟩</video> "),
        ({"audio": 2}, None, "<feature>⟨audio×2⟩</feature> "),
        ({"audio": 2}, "Hi", "<feature>⟨audio×2⟩</feature> The person in video says: Hi. "),
    ],
)
def test_absent_inputs_are_left_out(soft_tokens, transcript, expected):
    text = render("emotion", labels=LABELS, transcript=transcript, soft_tokens=soft_tokens).text
    assert text.removeprefix("<|im_start|>user\n").startswith(expected + "[emotion]")


def test_prefix_is_the_same_whatever_is_asked():
    inputs = {"transcript": "Hi", "soft_tokens": {"global": 1, "audio": 2}}
    prompts = [render(task, labels=order, **inputs) for task in TASKS for order in (LABELS, LABELS[::-1], ())]
    assert len({prompt.prefix for prompt in prompts}) == 1
    assert len({prompt.suffix for prompt in prompts}) > len(TASKS)
    assert [piece for piece in prompts[0].prefix if isinstance(piece, Soft)] == [Soft("global", 1), Soft("audio", 2)]


def test_tags_and_label_order():
    for task in TASKS:
        assert f"[{task}] " in render(task, labels=LABELS, transcript=None, soft_tokens={}).text
    assert "sad, happy" in render("emotion", labels=("sad", "happy"), transcript=None, soft_tokens={}).text


def test_open_set_asks_for_own_words():
    for task in ("emotion", "reason"):
        assert "own" in instruction(task, ()) and "happy" not in instruction(task, ())
    assert instruction("reason", LABELS).endswith("end with the emotion, one of: happy, sad, neutral.")


def test_clues_are_used_by_every_task_but_emotion():
    clues = ("the lip corners are raised.", "a high voice")
    for task in TASKS:
        text = render(task, labels=LABELS, transcript=None, soft_tokens={}, clues=clues).text
        assert ("Clues: the lip corners are raised; a high voice. Please" in text) == (task != "emotion")


def test_sentence_punctuation_and_white_space():
    assert spoken_sentence("  a\n b\t") == "The person in video says: a b."
    assert spoken_sentence("Really?") == "The person in video says: Really?"
    assert spoken_sentence(" \n") == "The person in video says nothing."
    assert spoken_sentence(None) == ""


@given(st.text())
def test_a_transcript_never_makes_markers(transcript):
    plain = render("emotion", labels=LABELS, transcript="x", soft_tokens={"audio": 1})
    prompt = render("emotion", labels=LABELS, transcript=transcript, soft_tokens={"audio": 1})
    assert prompt.suffix == plain.suffix
    markers = [piece for piece in (*prompt.prefix, *prompt.suffix) if isinstance(piece, Marker)]
    assert markers == [Marker(CHATML.user_open), Marker(CHATML.user_close_assistant_open)]


def test_an_unknown_task_is_a_usage_error():
    with pytest.raises(UsageError, match="unknown task 'mood': choose from emotion"):
        render("mood", labels=LABELS, transcript=None, soft_tokens={})


def test_paraphrases_ask_for_the_same_labels_in_other_words() -> None:
    labels = ("happy", "sad")
    asked = [instruction("emotion", labels, phrasing) for phrasing in range(len(PARAPHRASES) + 1)]
    assert len(set(asked)) == len(asked)
    assert all("happy, sad" in sentence for sentence in asked)
    whole = render("emotion", labels=labels, transcript=None, soft_tokens={}, phrasing=3)
    assert asked[3] in whole.text
