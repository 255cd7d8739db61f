"""The load and the hostile uploads: what they send is their own, and what is wrong would be noticed."""

from __future__ import annotations

import io
import random
import shutil
import wave
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest


@pytest.fixture(scope="module")
def load(script: Callable[[str], ModuleType]) -> ModuleType:
    return script("load")


@pytest.fixture(scope="module")
def hostile(script: Callable[[str], ModuleType]) -> ModuleType:
    return script("hostile")


def answer(asked: Any, **changes: Any) -> dict[str, Any]:
    return {
        "clip": asked.name, "transcript": {"text": asked.words}, "duration_s": asked.duration_s,
        "probabilities": {"a": 0.25, "b": 0.75}, **changes,
    }  # fmt: skip


def test_no_two_clients_ever_ask_the_same(load: ModuleType) -> None:
    asked = [load.question(client, number) for client in range(8) for number in range(8)]
    assert len({one.words for one in asked}) == 64
    sounds = {one.duration_s: one.sound for one in asked if one.sound is not None}
    assert len(sounds) == 8
    for duration_s, content in sounds.items():
        with wave.open(io.BytesIO(content)) as sound:
            assert abs(sound.getnframes() / sound.getframerate() - duration_s) < 0.001


def test_another_clients_answer_is_noticed(load: ModuleType) -> None:
    own, other = load.question(1, 3), load.question(2, 3)
    assert load.fault(own, answer(own)) is None
    assert "answered about client-2-3.wav" in load.fault(own, answer(other))
    assert "answered about" in load.fault(own, answer(own, transcript={"text": other.words}))
    assert "answered about" in load.fault(own, answer(own, duration_s=other.duration_s))
    assert "answered about" in load.fault(own, answer(own, duration_s=None))
    assert "sum to 1" in load.fault(own, answer(own, probabilities={"a": 0.9}))


def test_another_clients_spoken_word_is_noticed(load: ModuleType) -> None:
    own = load.Question("client-1-7.wav", None, b"", 2.0, load.WORDS[1])
    assert load.fault(own, answer(own, transcript={"text": f"Please say {load.WORDS[1].upper()}."})) is None
    assert load.fault(own, answer(own, transcript={"text": "Please stay."})) is None, "not heard, but nobody else's"
    assert "answered about" in load.fault(own, answer(own, transcript={"text": f"I would like {load.WORDS[2]}."}))
    assert not any(one in other for one in load.WORDS for other in load.WORDS if one != other)


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="needs espeak-ng")
def test_speech_differs_at_each_turn_and_tells_its_length(load: ModuleType) -> None:
    (first, first_s), (second, _) = load.spoken("banana", 7), load.spoken("banana", 15)
    assert first != second and first[:4] == b"RIFF" and 1 < first_s < 8


def test_growth_compares_the_last_fifth_with_the_middle_one(load: ModuleType) -> None:
    assert load.growth([500.0] * 5 + [1000.0] * 5) == 0.0
    assert load.growth([900.0] * 5 + [1000.0] * 2 + [1100.0] * 3) == 0.1
    assert load.growth([1.0, 2.0]) is None


def test_uploads_are_drawn_again_the_same_and_are_of_all_kinds(hostile: ModuleType, load: ModuleType) -> None:
    recordings = {"a.wav": load.tone(0.5, 100.0)}
    first, second = (list(hostile.uploads(32, 3, recordings)) for _ in range(2))
    assert first == second and len({kind for kind, _, _ in first}) == 8
    assert all(name in hostile.BAD_NAMES for kind, name, _ in first if kind == "name")
    whole = recordings["a.wav"]
    differ = sum(a != b for a, b in zip(hostile.flipped(random.Random(1), whole, 100), whole, strict=True))
    assert 0 < differ <= 50


def test_a_bad_answer_is_noticed(hostile: ModuleType) -> None:
    def told(status: int, message: str = "the recording is not accepted: it is broken") -> Any:
        return SimpleNamespace(status_code=status, text=message, json=lambda: {"error": {"message": message}})

    assert hostile.fault("cut", told(200)) is None and hostile.fault("cut", told(422)) is None
    assert "status 500" in hostile.fault("cut", told(500))
    assert hostile.fault("name", told(200)) is not None
    assert hostile.fault("cut", told(422, "no")) is not None
    assert hostile.fault("cut", told(422, "/tmp/x/y: cannot be read at all")) is not None
