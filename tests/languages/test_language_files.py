"""Every language file is whole: all keys of English, all that varies, and every text that the program says."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from emotion_llama import languages
from emotion_llama.answer import parse_emotion
from emotion_llama.clip import Observation
from emotion_llama.errors import UsageError
from emotion_llama.labels import LABEL_SETS, SYNONYMS, canonical
from emotion_llama.languages import CODES, ENGLISH, language
from emotion_llama.perception.compose import compose_reason
from tests.languages.source_texts import in_modules, in_table, in_templates

OTHERS = [code for code in CODES if code != "en"]
PLACE = re.compile(r"\{(\w*)[^}]*\}")

PARTS = {
    "in which somebody is seen or heard", "that it could be cut into", "parts of 7 s happy: happy",
    "Not sure enough to choose between happy, as asked.", "happy to happy", "weighted by the time of speech in each",
    "weighted by their length", "a still picture has", "words alone have", "none: no face is seen",
    "The emotion of the whole is the mean over happy windows, happy; reasons, evidence, voice and face are those of "
    "the strongest stretch, happy.",
    "Looked at closely, happy is happy: the reasons are about that, the whole is happy.",
    "There is no timeline: happy no course of time.", "not sure: happy", " (other parts of this one)",
    "Read beside happy recordings of the same personhappy.", "the happyface is in the happy of the picture",
    "7 happy over", "7 happy under", ", happy the speaker's own median", "happy; it does not know happy",
}  # fmt: skip
"""Texts of the source that are parts of others, or are filled with parts: `WHOLES` has them as a reader sees them."""

NOT_SAID = {
    "happy: nobody there has the number happy; found happy", "wrote happy", "bold cyan", "happy 7", "happy happy",
    "happy 7 %", "black on happy", "happy 7, happy–happy",
}  # fmt: skip
"""Styles, numbers, names, and what is told of files and errors."""

WHOLES = [
    "parts of 5 s in which somebody is seen or heard: 3",
    "parts of 5 s that it could be cut into: 3",
    "Not sure enough to choose between happy and sad, as asked.",
    "The emotion of the whole is the mean over 9 windows, weighted by the time of speech in each; reasons, evidence, "
    "voice and face are those of the strongest stretch, 0:01 to 0:07.",
    "The emotion of the whole is the mean over 9 windows, weighted by their length; reasons, evidence, voice and face "
    "are those of the strongest stretch, 0:01 to 0:07.",
    "Looked at closely, 0:01 to 0:07 is happy: the reasons are about that, the whole is sad.",
    "There is no timeline: a still picture has no course of time.",
    "There is no timeline: words alone have no course of time.",
    "not sure: happy or sad",
    "Read beside 9 recordings of the same person.",
    "Read beside 9 recordings of the same person (a profile).",
    "Read beside 9 recordings of the same person (other parts of this one).",
    *(f"the {size}face is in the left of the picture" for size in ("", "small ", "large ")),
    *(f"the {size}face is in the middle of the picture" for size in ("", "small ", "large ")),
    *(f"the {size}face is in the right of the picture" for size in ("", "small ", "large ")),
    "the voice is high, 3.1 semitones over the speaker's own median",
    "the voice is low, 20 % under the speaker's own median",
    "the face net says happy (0.93); it does not know worried",
    *("afraid", "disgusted"),
]  # fmt: skip


def leaves(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every text of a file with where it stands."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield from leaves(value, f"{path}.{key}")
    elif isinstance(node, list | tuple):
        for value in node:
            yield from leaves(value, path)
    else:
        yield path, node


def varying(node: Any) -> dict[str, set[tuple[str, ...]]]:
    """What varies in the texts of each key (a list may be longer or shorter in another language)."""
    found: dict[str, set[tuple[str, ...]]] = {}
    for path, text in leaves(node):
        if isinstance(text, str) and ".feelings" not in path:
            found.setdefault(path, set()).add(tuple(places(text)))
    return found


def places(text: str) -> list[str]:
    return sorted(PLACE.findall(text))


@pytest.mark.parametrize("code", OTHERS)
def test_reasons_and_prompts_have_all_that_varies(code: str) -> None:
    found = language(code)
    for part in ("reason", "prompt"):
        own, wanted = (varying(getattr(one, part).model_dump()) for one in (found, ENGLISH))
        assert own == wanted
    assert len(found.prompt.paraphrases) == len(ENGLISH.prompt.paraphrases)
    assert set(found.reason.feelings) <= set(SYNONYMS)
    for pattern in found.answer.model_dump().values():
        re.compile(pattern)


@pytest.mark.parametrize("code", CODES)
def test_every_emotion_has_a_name_and_no_word_means_two(code: str) -> None:
    labels = language(code).labels
    assert tuple(labels) == tuple(SYNONYMS)
    words = [word for found in labels.values() for word in found]
    assert len(words) == len(set(words)) and all(word == word.strip().lower() for word in words)
    assert all(canonical(word) == emotion for emotion, found in labels.items() for word in found)


@pytest.mark.parametrize("code", OTHERS)
def test_texts_have_all_that_varies(code: str) -> None:
    for english, own in language(code).texts.items():
        assert places(own) == places(english), english
        assert own.strip() and len(set(places(english))) == len(places(english)), english


@pytest.mark.parametrize("code", OTHERS)
def test_every_text_of_the_program_is_known(code: str) -> None:
    tell = language(code).tell
    in_source = [text for _, text in in_modules() if text not in PARTS and text not in NOT_SAID]
    assert len(in_source) > 120  # the search itself works
    said = [*in_source, *in_templates(), *in_table()]
    unknown = [text for text in said if tell(text) == text]
    unknown += [text for text in WHOLES if tell(text) == text and language(code).label(text) == text]
    assert unknown == []


def test_parts_are_still_in_the_source() -> None:
    """A text that is no longer said does not stand in the lists above for ever."""
    there = {text for _, text in in_modules()}
    assert there >= PARTS | NOT_SAID


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("label", [*LABEL_SETS["mer9"], *LABEL_SETS["ravdess8"], *SYNONYMS])
def test_composed_reasons_are_read_back(code: str, label: str) -> None:
    smile = Observation(
        channel="face", text="the lip corners are strongly pulled up", source="mesh-au-1", name="AU12", value=4.0,
        supports=("happy",),
    )  # fmt: skip
    endings = set()
    for seed in range(60):
        text = compose_reason([smile], label, random.Random(seed), None, code)
        assert parse_emotion(text, (label, "fear" if canonical(label) == "sad" else "sad")) == label, text
        endings.add(text)
    assert len(endings) > 12  # every clue form and ending is drawn


def test_english_is_what_the_program_says() -> None:
    assert ENGLISH.texts == {}
    assert ENGLISH.tell("The picture is nearly black.") == "The picture is nearly black."
    assert (ENGLISH.label("joy"), ENGLISH.shown("joy"), ENGLISH.label("高兴")) == ("joy", "joy", "happy")


def test_what_is_unknown_stays_as_it_is() -> None:
    chinese = language("zh")
    assert chinese.tell("A coder wrote this by hand") == "A coder wrote this by hand"
    assert chinese.shown("joy") == "高兴 (joy)" and chinese.shown("快乐") == "快乐"
    assert chinese.shown("hangry") == "hangry" and chinese.labelled(["happy", "sad"]) == "高兴、悲伤"
    assert chinese.tell(chinese.tell("the speech is slightly fast")) == "语速略微偏快"  # told twice, told once


def test_texts_within_texts_are_told_too() -> None:
    tell = language("zh").tell
    assert tell("the voice is slightly high, 3.1 semitones over the speaker's own median") == (
        "音调略微偏高，比说话者自己的中位数高 3.1 个半音"
    )
    assert tell("left out as asked: the face is small (20 px), the face is dark (30 of 255)") == (
        "按要求未使用：人脸很小（20 像素），面部很暗（30 / 255）"
    )
    assert tell(
        "The model was never trained on: calm, hangry. Their probabilities are a guess from the word alone."
    ) == ("模型从未针对以下标签训练过：平静、hangry。它们的概率只是根据词本身的猜测。")


def test_what_somebody_said_stays_as_it_was_said() -> None:
    tell = language("zh").tell
    assert tell("the words are “nothing is said”") == "说的是“nothing is said”"
    assert tell("“sad” is an openly emotional word") == "“sad”是直接表达情感的词"


def test_an_unknown_language_is_refused() -> None:
    with pytest.raises(UsageError, match="choose from en, zh"):
        language("tlh")


def test_every_file_of_the_folder_is_a_language() -> None:
    folder = Path(str(languages.__file__)).parent
    assert sorted(path.stem for path in folder.glob("*.yaml")) == sorted(CODES)
    assert all(language(code).code == code for code in CODES)
