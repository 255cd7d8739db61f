"""One language: names of emotions, how a reason is put together, how a model is asked, and every text in it.

The program says everything in English first, because that is what claims are checked in and most models read. `tell`
gives a text that it has said in another language: a language file pairs each English text with its own, and `{name}`
stands for what varies: a number, a name or another text; `{texts}` for several texts, `{label…}` for an emotion,
`{labels}` for several. What somebody said or wrote (`{said…}`) is never told.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache, cached_property
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from emotion_llama.errors import UsageError

_FOLDER = Path(__file__).parent
_LISTED = re.compile(r"[,;] ")
_PLACE = re.compile(r"\{(\w+)\}")

CODES: tuple[str, ...] = ("en", *sorted(p.stem for p in _FOLDER.glob("*.yaml") if p.stem != "en"))
"""ISO 639-1 codes of the languages there are: one for each file of this folder, English first."""


class _Words(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ReasonWords(_Words):
    """How measured clues become sentences.

    `label_endings` and `feeling_endings` say the emotion (`{label}`, `{feeling}`); `feelings`: how an emotion is said
    of a person where that is not its name, `None` = it cannot be said so. `one_for` … `besides` hold `{clues}`; of
    equal wordings one is drawn. `clue_for`, `clue_against`: a clue of a prompt with its side. `between`, `before_last`
    join clues, `between_parts` the parts of a sentence, `between_sentences` whole ones; `capital`: a sentence begins
    with a capital letter.
    """

    label_endings: tuple[str, ...]
    feeling_endings: tuple[str, ...]
    feelings: dict[str, str | None]
    one_for: tuple[str, ...]
    two_for: tuple[str, ...]
    against: tuple[str, ...]
    besides: tuple[str, ...]
    weak: str
    none_for: str
    plain_words: str
    no_face: str
    no_voice: str
    clue_for: str
    clue_against: str
    between: str
    before_last: str
    between_parts: str
    sentence: str
    between_sentences: str
    capital: bool


class PromptWords(_Words):
    """What a model is asked, by task; `paraphrases`: other wordings of `emotion`, as many in every language.

    `labels` are joined by `between_labels`, clues by `between_clues`. `says` is followed by `full_stop` where the words
    have none.
    """

    emotion: str
    emotion_open: str
    paraphrases: tuple[str, ...]
    reason: str
    choice: str
    choice_open: str
    visual: str
    audio: str
    says: str
    says_nothing: str
    full_stop: str
    clues: str
    between_labels: str
    between_clues: str


class AnswerWords(_Words):
    """How an answer is read, as patterns: what denies the emotion right behind it, and what opens a conclusion."""

    denial: str
    conclusion: str
    either: str


class Language(_Words):
    """One language file. `labels`: for each emotion the words for it, its name first. `texts`: English → this one."""

    code: str
    name: str
    labels: dict[str, tuple[str, ...]]
    reason: ReasonWords
    prompt: PromptWords
    answer: AnswerWords
    texts: dict[str, str]

    def label(self, word: str) -> str:
        """The name of an emotion in this language; a word of this language, or one that is unknown, stays as it is."""
        emotion = spoken(word)
        words = self.labels.get(emotion, ()) if emotion is not None else ()
        return word if not words or word.strip().lower() in words else words[0]

    def shown(self, word: str) -> str:
        """An emotion as a reader sees it: its name here, and the key that files have: "高兴 (happy)"."""
        name = self.label(word)
        return word if name == word else f"{name} ({word})"

    def labelled(self, emotions: Iterable[str]) -> str:
        """The names of several emotions, joined as this language joins them."""
        return self.prompt.between_labels.join(self.label(word) for word in emotions)

    def tell(self, text: str) -> str:
        """Give a text of the program in this language; what the file does not know stays as it is."""
        if text in self.texts:
            return self.texts[text]
        for pattern, target in self._patterns:
            found = pattern.fullmatch(text)
            if found is not None:
                return target.format(**{name: self._part(name, part) for name, part in found.groupdict().items()})
        return text

    def _part(self, name: str, part: str) -> str:
        if name.startswith("said"):
            return part
        if name == "texts":
            return self.reason.between.join(self.tell(one) for one in _LISTED.split(part))
        if name.startswith("labels"):
            return self.labelled(part.split(", "))
        return self.label(part) if name.startswith("label") else self.tell(part)

    @cached_property
    def _patterns(self) -> tuple[tuple[re.Pattern[str], str], ...]:
        """Texts in which something varies, in the file's order."""
        return tuple((_pattern(text), target) for text, target in self.texts.items() if _PLACE.search(text))


@cache
def language(code: str) -> Language:
    """Give a language by its code. Raises `UsageError` for one that has no file, or whose file is damaged."""
    if code not in CODES:
        raise UsageError(
            f"unknown language {code!r}: choose from {', '.join(CODES)} (docs/languages.md: how to add one)"
        )
    path = _FOLDER / f"{code}.yaml"
    try:
        return Language.model_validate(yaml.load(path.read_text(encoding="utf-8"), Loader=_LOADER))
    except (OSError, yaml.YAMLError, ValidationError) as error:
        raise UsageError(f"language file {path}: {error}") from error


def spoken(word: str) -> str | None:
    """The emotion that a word of any language names, by its canonical English name; `None` for any other word."""
    return _emotions().get(word.strip().lower())


def words_of(codes: Iterable[str] = CODES) -> dict[str, str]:
    """Every word for an emotion in some languages → the emotion's canonical name; of two meanings the first holds."""
    found: dict[str, str] = {}
    for code in codes:
        for emotion, words in language(code).labels.items():
            for word in words:
                found.setdefault(word, emotion)
    return found


# the C reader of YAML is ten times as fast; not every build of the library has it
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@cache
def _emotions() -> dict[str, str]:
    return words_of()


def _pattern(text: str) -> re.Pattern[str]:
    parts = _PLACE.split(text)
    places = (re.escape(part) if number % 2 == 0 else f"(?P<{part}>.*?)" for number, part in enumerate(parts))
    return re.compile("".join(places), re.DOTALL)
