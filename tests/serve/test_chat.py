from __future__ import annotations

import base64
import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("prometheus_client", reason="serving needs emotion-llama[serve]")

from emotion_llama.errors import RequestError
from emotion_llama.labels import LABEL_SETS
from emotion_llama.serve.chat import ChatBody, question_of
from emotion_llama.serve.chat_answer import boxes_text, correction

URI = "data:video/mp4;base64,AAAA"


def user(*parts: Any) -> dict[str, Any]:
    kinds = [{"type": "text", "text": part} if isinstance(part, str) else part for part in parts]
    return {"role": "user", "content": kinds}


def video(uri: str = URI) -> dict[str, Any]:
    return {"type": "video_url", "video_url": {"url": uri}}


def asked(*messages: dict[str, Any], **more: Any) -> Any:
    return question_of(ChatBody.model_validate({"model": "fake", "messages": list(messages), **more}))


def test_tag_words_and_recording_are_found() -> None:
    question = asked(user(video(), "The person in video says: Oh, no... Don't go!. [reason] Why is that?"))
    assert (question.task, question.text, question.recording) == ("reason", "Why is that?", URI)
    assert question.transcript == "Oh, no... Don't go!."


def test_labels_are_read_from_the_papers_sentence() -> None:
    sentence = "Please determine which emotion label in the video represents: happy, sad, neutral."
    assert asked(user(video(), f"[emotion] {sentence}")).labels == ("happy", "sad", "neutral")
    assert asked(user(video(), "[emotion] Which?"), labels="mer9").labels == LABEL_SETS["mer9"]
    assert asked(user(video(), "[emotion] Which?")).labels is None


def test_a_later_turn_asks_about_the_same_recording_and_a_new_one_forgets_the_words() -> None:
    first = user(video("data:video/mp4;base64,BBBB"), "The person in video says: hello. [emotion]")
    answer = {"role": "assistant", "content": "happy"}
    later = asked(first, answer, {"role": "user", "content": "[reason]"})
    assert later.recording == "data:video/mp4;base64,BBBB" and later.transcript == "hello."
    other = asked(first, answer, user(video(), "[reason]"))
    assert other.recording == URI and other.transcript is None


def test_sound_comes_as_openai_sends_it() -> None:
    sound = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}
    assert asked(user(sound, "[audio]")).recording == "data:audio/x;base64,AAAA"
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"}}
    assert asked(user(picture, "[visual]")).recording == "data:image/png;base64,AAAA"


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "assistant", "content": "hello"}],
        [user(video(), video())],
        [user({"type": "file", "file": {}})],
        [user({"type": "video_url"})],
        [user({"type": "input_audio", "input_audio": 3})],
    ],
)
def test_what_is_not_understood_is_refused(messages: list[dict[str, Any]]) -> None:
    with pytest.raises(RequestError) as caught:
        asked(*messages)
    assert caught.value.status == 400


def test_boxes_are_whole_numbers_on_the_grid_of_the_demonstration() -> None:
    assert boxes_text([(0.25, 0.1, 0.5, 0.404)]) == "<p>face</p> {<25><10><50><40>}"
    assert boxes_text([(0, 0, 1, 1), (-0.1, 0.5, 1.3, 1)]) == "<p>face</p> {<0><0><100><100>}<delim>{<0><50><100><100>}"
    assert "no face" in boxes_text([])


def test_a_checked_text_that_differs_is_added_to_what_was_shown() -> None:
    assert correction("a smile. ", "a smile.") == ""
    assert correction("no label", "a smile, so happy.") == "\n\nChecked against the measurements: a smile, so happy."


@pytest.fixture
def uri(make_clip: Callable[..., Path]) -> str:
    content = make_clip("a.mp4", seconds=0.5).read_bytes()
    return "data:video/mp4;base64," + base64.b64encode(content).decode()


@pytest.fixture
def model(fakes: SimpleNamespace) -> Any:
    return fakes.FakeModel()


@pytest.fixture
def openai_client(open_server: Callable[..., tuple[str, Any]], model: Any) -> Any:
    openai = pytest.importorskip("openai", reason="needs the openai client: pip install openai")
    url, _ = open_server(model)
    return openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)


def test_openais_client_works_unchanged(openai_client: Any, uri: str) -> None:
    assert [row.id for row in openai_client.models.list()] == ["fake"]
    ask = openai_client.chat.completions.create
    answer = ask(model="fake", messages=[user(video(uri), "[emotion] Which?")], logprobs=True, top_logprobs=3,
                 extra_body={"labels": "sad,happy,calm"})  # fmt: skip
    assert answer.choices[0].message.content == "sad" and answer.choices[0].finish_reason == "stop"
    (token,) = answer.choices[0].logprobs.content
    assert token.token == "sad" and math.isclose(math.exp(token.logprob), 0.5)
    assert [row.token for row in token.top_logprobs] == ["sad", "happy", "calm"]
    assert answer.model_extra["analysis"]["emotion"] == "sad"


def test_openais_client_streams_what_it_gets_at_once(openai_client: Any, uri: str) -> None:
    ask, messages = openai_client.chat.completions.create, [user(video(uri), "[visual] Describe.")]
    whole = ask(model="fake", messages=messages).choices[0].message.content
    messages[0]["content"][1]["text"] = "[visual] Describe it."
    chunks = list(ask(model="fake", messages=messages, stream=True, max_tokens=97))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == whole
    assert len(chunks) > 4 and chunks[-1].choices[0].finish_reason == "stop"


def test_a_second_turn_is_answered_and_boxes_are_drawn(openai_client: Any, uri: str, model: Any) -> None:
    ask, first = openai_client.chat.completions.create, user(video(uri), "[emotion] Which?")
    turns = [first, {"role": "assistant", "content": "happy"}, {"role": "user", "content": "[detection] face"}]
    assert ask(model="fake", messages=turns).choices[0].message.content == (
        "<p>face</p> {<25><10><50><40>}<delim>{<0><0><100><100>}"
    )


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("What colour is the tie?", "free questions"),
        ("[identify] {<1>}", "[identify]"),
        ("[detection] car", "faces only"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_it_says_what_it_cannot(openai_client: Any, uri: str, model: Any, text: str, part: str, stream: bool) -> None:
    answer = openai_client.chat.completions.create(model="fake", messages=[user(video(uri), text)], stream=stream)
    if stream:
        told = "".join(chunk.choices[0].delta.content or "" for chunk in answer)
    else:
        told = answer.choices[0].message.content
        assert answer.choices[0].message.refusal == told
    assert part in told and model.begun == 0


def test_errors_reach_openais_client_as_its_own(openai_client: Any) -> None:
    import openai

    ask = openai_client.chat.completions.create
    with pytest.raises(openai.NotFoundError, match="not served here"):
        ask(model="gpt-4o", messages=[user("[emotion]")])
    with pytest.raises(openai.BadRequestError, match="paths and addresses are not opened"):
        ask(model="fake", messages=[user(video("file:///etc/passwd"), "[emotion]")])
    with pytest.raises(openai.BadRequestError, match="no known media format"):
        ask(model="fake", messages=[user(video(), "[emotion]")])
    with pytest.raises(openai.BadRequestError, match="tools"):
        ask(model="fake", messages=[user("[emotion]")], tools=[{"type": "function", "function": {"name": "x"}}])
    with pytest.raises(openai.InternalServerError, match="its log says where"):
        ask(model="fake", messages=[user("The person in video says: break [emotion]")])
    with pytest.raises(openai.InternalServerError, match="does not fit"):
        ask(model="fake", messages=[user("The person in video says: refuse [emotion]")])
