"""Reasons put together from measured clues, without a language model, in any language that has a file.

Used to make training targets, and where the model's own text cannot be used (then marked as composed). A text holds
only the clues it is given, joined by the fixed words of the language file: nothing is invented, and nothing comes from
the label alone. Observations come in English and are told in the language of the text.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from emotion_llama.clip import Channel, Observation
from emotion_llama.labels import canonical, is_known
from emotion_llama.languages import Language, language
from emotion_llama.perception.describe import WORDS_SOURCE, emotional_words, strength

_REASON_CHOICE = 6
"""So many telling observations a reason chooses from."""


def choose_clues(observations: Sequence[Observation], limit: int = 4) -> tuple[Observation, ...]:
    """Choose the most telling observations, strongest first, from at least two channels when there are.

    The choice knows no label. Strength counts with confidence; what speaks for no emotion counts little, and what was
    said counts only by its emotional words (the prompt holds the words themselves).
    """
    ranked = sorted((o for o in observations if _weight(o) > 0), key=_weight, reverse=True)
    chosen = ranked[:limit]
    channels = {o.channel for o in chosen}
    other = next((o for o in ranked[limit:] if o.channel not in channels and o.supports), None)
    if len(channels) == 1 and other is not None and limit > 1:
        chosen[-1] = other
    return tuple(chosen)


def reason_clues(observations: Sequence[Observation], emotion: str) -> tuple[Observation, ...]:
    """Choose what a reason for `emotion` names, in the order in which it does.

    Of the most telling observations (chosen without the label) up to two that speak for it, from different channels
    when there are, then one that speaks against it; two against where none speaks for it; one that speaks for nothing
    where there is neither.
    """
    name = canonical(emotion) if is_known(emotion) else emotion
    telling = choose_clues(observations, _REASON_CHOICE)
    speaking_for = _apart([o for o in telling if name in o.supports])
    seen = {o.channel for o in speaking_for}
    against = sorted((o for o in telling if o.supports and name not in o.supports), key=lambda o: o.channel in seen)
    chosen = (*speaking_for, *(against[:1] if speaking_for else _apart(against)))
    return chosen or telling[:1]


def clue_phrases(observations: Sequence[Observation], emotion: str | None = None, code: str = "en") -> tuple[str, ...]:
    """Give the short texts that a prompt lists as clues, in a language.

    With `emotion`, the one that is to be explained, each says whether it speaks for it or for other emotions, in words
    that a reason can copy.
    """
    words = language(code)
    texts = [words.tell(o.text) for o in observations]
    if emotion is None:
        return tuple(texts)
    name = canonical(emotion) if is_known(emotion) else emotion
    sides = [words.reason.clue_for if name in o.supports else words.reason.clue_against for o in observations]
    return tuple(
        side.format(clue=text) if o.supports else text for o, side, text in zip(observations, sides, texts, strict=True)
    )


def compose_reason(
    observations: Sequence[Observation],
    emotion: str,
    rng: random.Random,
    transcript: str | None = None,
    code: str = "en",
) -> str:
    """Write two to four sentences that name the `reason_clues` of the given ones and end with `emotion`.

    If none speaks for the emotion the text says so, or that the signs are weak. `transcript` adds that the words name
    no feeling, where our word list finds none. `rng` chooses among equal wordings.
    """
    name = canonical(emotion) if is_known(emotion) else emotion
    told, words = reason_clues(observations, emotion), language(code)
    fixed = words.reason
    speaking_for = [o for o in told if name in o.supports]
    against = [o for o in told if o.supports and name not in o.supports]
    sentences = []
    if speaking_for:
        forms = fixed.two_for if len(speaking_for) == 2 else fixed.one_for
        sentences.append(rng.choice(forms).format(clues=_joined(speaking_for, words)))
        sentences += [_drawn(fixed.against, o, words, rng) for o in against]
    elif against:
        sentences.append(fixed.between_parts.join([fixed.none_for, _drawn(fixed.against, against[0], words, rng)]))
        sentences += [_drawn(fixed.against, o, words, rng) for o in against[1:]]
    else:
        sentences.append(fixed.between_parts.join([fixed.weak, *(_drawn(fixed.besides, o, words, rng) for o in told)]))
    if len(sentences) < 2 and _words_are_plain(observations, transcript) and rng.random() < 0.5:
        sentences.append(fixed.plain_words)
    ending = _ending(emotion, name, words, rng)
    return fixed.between_sentences.join([*(_sentence(text, words) for text in sentences), ending])


def compose_visual(observations: Sequence[Observation], rng: random.Random, code: str = "en") -> str:
    """Describe in one or two sentences what the face and the picture show; no emotion is concluded."""
    return _description(observations, ("face", "scene"), language(code).reason.no_face, rng, language(code))


def compose_audio(observations: Sequence[Observation], rng: random.Random, code: str = "en") -> str:
    """Describe in one or two sentences how the voice sounds; no emotion is concluded."""
    return _description(observations, ("voice", "words"), language(code).reason.no_voice, rng, language(code))


def _weight(observation: Observation) -> float:
    size = strength(observation)
    if observation.channel == "scene" or (observation.channel == "words" and observation.source != WORDS_SOURCE):
        return 0.0
    # a fact such as "the recording is silent" has no size, but must not be lost
    return max(size, 0.05) * observation.confidence * (1.0 if observation.supports else 0.3)


def _description(
    observations: Sequence[Observation],
    channels: tuple[Channel, ...],
    nothing: str,
    rng: random.Random,
    words: Language,
) -> str:
    # jaw and lips that move with speech are one sign in words
    clues = list({o.text: o for o in observations if o.channel in channels}.values())[:4]
    if not clues:
        return _sentence(nothing, words)
    if len(clues) > 2 and rng.random() < 0.5:
        parts = [_sentence(_joined(some, words), words) for some in (clues[:2], clues[2:])]
        return words.reason.between_sentences.join(parts)
    return _sentence(_joined(clues, words), words)


def _apart(clues: Sequence[Observation]) -> list[Observation]:
    """The first two clues, the second from another channel when there is one."""
    if not clues:
        return []
    second = next((o for o in clues[1:] if o.channel != clues[0].channel), None) or next(iter(clues[1:]), None)
    return [*clues[:1], *([second] if second is not None else [])]


def _words_are_plain(observations: Sequence[Observation], transcript: str | None) -> bool:
    noticed = any(o.channel == "words" for o in observations)
    return bool(transcript and transcript.strip()) and not noticed and not emotional_words(transcript or "")


def _ending(emotion: str, name: str, words: Language, rng: random.Random) -> str:
    fixed = words.reason
    feeling = fixed.feelings.get(name, words.label(name)) if is_known(emotion) else None
    endings = (*fixed.label_endings, *fixed.feeling_endings) if feeling is not None else fixed.label_endings
    return rng.choice(endings).format(label=words.label(emotion), feeling=feeling)


def _drawn(forms: Sequence[str], clue: Observation, words: Language, rng: random.Random) -> str:
    return rng.choice(forms).format(clues=words.tell(clue.text))


def _joined(clues: Sequence[Observation], words: Language) -> str:
    texts = [words.tell(o.text) for o in clues]
    if len(texts) == 1:
        return texts[0]
    return words.reason.between.join(texts[:-1]) + words.reason.before_last + texts[-1]


def _sentence(text: str, words: Language) -> str:
    return words.reason.sentence.format(text=f"{text[:1].upper()}{text[1:]}" if words.reason.capital else text)
