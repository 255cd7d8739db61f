"""Reasons put together from measured clues, without a language model.

Used to make training targets, and where the model's own text cannot be used (then marked as composed). A text holds
only the clues it is given, joined by fixed words: nothing is invented, and nothing comes from the label alone.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from emotion_llama.clip import Channel, Observation
from emotion_llama.labels import canonical, is_known
from emotion_llama.perception.describe import WORDS_SOURCE, emotional_words, strength

LABEL_FRAMES = (
    "So the emotion is {label}.",
    "Taken together, the emotion is {label}.",
    "All in all, the emotion is {label}.",
    "On balance, the emotion is {label}.",
    "Overall, the emotion is {label}.",
    "In conclusion, the emotion is {label}.",
    "Therefore the emotion is {label}.",
)
FEELING_FRAMES = (
    "So the person seems {feeling}.",
    "Overall, the person seems {feeling}.",
    "Therefore the person seems {feeling}.",
    "Hence the person seems {feeling}.",
    "In summary, the person seems {feeling}.",
    "Thus the person seems {feeling}.",
)
"""How a reason ends; each is read back by `answer.parse_emotion`."""

_FOR = ("{clues}, which speaks for it", "{clues}, which fits", "one sign for it is that {clues}")
_FOR_SEVERAL = ("{clues}, which both speak for it", "{clues}, and both fit", "two signs for it are that {clues}")
_AGAINST = ("{clues}, which speaks against it", "against it, {clues}", "{clues}, which does not fit")
_BESIDES = ("besides, {clues}", "{clues}, which says little", "also, {clues}")
_WEAK = "the measured signs are weak"
_NONE_FOR = "no measured sign speaks for it"
_REASON_CHOICE = 6
"""So many telling observations a reason chooses from."""
_NO_FEELING_IN_WORDS = "the words name no feeling"

# canonical names that are not said of a person as they stand; `None` = there is no such word
_FEELINGS: dict[str, str | None] = {
    "admiration": "admiring",
    "approval": "approving",
    "contempt": "contemptuous",
    "desire": None,
    "disapproval": "disapproving",
    "disgust": "disgusted",
    "doubt": "doubtful",
    "fear": "afraid",
    "grief": "grieving",
    "love": "loving",
    "optimism": "hopeful",
    "realization": None,
    "remorse": "remorseful",
    "surprise": "surprised",
}


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


def clue_phrases(observations: Sequence[Observation], emotion: str | None = None) -> tuple[str, ...]:
    """Give the short texts that a prompt lists as clues.

    With `emotion`, the one that is to be explained, each says whether it speaks for it or for other emotions, in words
    that a reason can copy.
    """
    if emotion is None:
        return tuple(o.text for o in observations)
    name = canonical(emotion) if is_known(emotion) else emotion
    return tuple(f"{o.text}, which speaks {_side(o, name)} it" if o.supports else o.text for o in observations)


def _side(observation: Observation, name: str) -> str:
    return "for" if name in observation.supports else "against"


def compose_reason(
    observations: Sequence[Observation], emotion: str, rng: random.Random, transcript: str | None = None
) -> str:
    """Write two to four sentences that name the `reason_clues` of the given ones and end with `emotion`.

    If none speaks for the emotion the text says so, or that the signs are weak. `transcript` adds that the words name
    no feeling, where our word list finds none. `rng` chooses among equal wordings.
    """
    name = canonical(emotion) if is_known(emotion) else emotion
    told = reason_clues(observations, emotion)
    speaking_for = [o for o in told if name in o.supports]
    against = [o for o in told if o.supports and name not in o.supports]
    sentences = []
    if speaking_for:
        forms = _FOR_SEVERAL if len(speaking_for) == 2 else _FOR
        sentences.append(rng.choice(forms).format(clues=_joined(speaking_for)))
        sentences += [rng.choice(_AGAINST).format(clues=o.text) for o in against]
    elif against:
        sentences.append(f"{_NONE_FOR}; {rng.choice(_AGAINST).format(clues=against[0].text)}")
        sentences += [rng.choice(_AGAINST).format(clues=o.text) for o in against[1:]]
    else:
        sentences.append("; ".join([_WEAK, *(rng.choice(_BESIDES).format(clues=o.text) for o in told)]))
    if len(sentences) < 2 and _words_are_plain(observations, transcript) and rng.random() < 0.5:
        sentences.append(_NO_FEELING_IN_WORDS)
    return " ".join([*(_sentence(text) for text in sentences), _ending(emotion, name, rng)])


def compose_visual(observations: Sequence[Observation], rng: random.Random) -> str:
    """Describe in one or two sentences what the face and the picture show; no emotion is concluded."""
    return _description(observations, ("face", "scene"), "nothing of the face was measured", rng)


def compose_audio(observations: Sequence[Observation], rng: random.Random) -> str:
    """Describe in one or two sentences how the voice sounds; no emotion is concluded."""
    return _description(observations, ("voice", "words"), "nothing of the voice was measured", rng)


def _weight(observation: Observation) -> float:
    size = strength(observation)
    if observation.channel == "scene" or (observation.channel == "words" and observation.source != WORDS_SOURCE):
        return 0.0
    # a fact such as "the recording is silent" has no size, but must not be lost
    return max(size, 0.05) * observation.confidence * (1.0 if observation.supports else 0.3)


def _description(
    observations: Sequence[Observation], channels: tuple[Channel, ...], nothing: str, rng: random.Random
) -> str:
    clues = [o for o in observations if o.channel in channels][:4]
    if not clues:
        return _sentence(nothing)
    if len(clues) > 2 and rng.random() < 0.5:
        return f"{_sentence(_joined(clues[:2]))} {_sentence(_joined(clues[2:]))}"
    return _sentence(_joined(clues))


def _apart(clues: Sequence[Observation]) -> list[Observation]:
    """The first two clues, the second from another channel when there is one."""
    if not clues:
        return []
    second = next((o for o in clues[1:] if o.channel != clues[0].channel), None) or next(iter(clues[1:]), None)
    return [*clues[:1], *([second] if second is not None else [])]


def _words_are_plain(observations: Sequence[Observation], transcript: str | None) -> bool:
    noticed = any(o.channel == "words" for o in observations)
    return bool(transcript and transcript.strip()) and not noticed and not emotional_words(transcript or "")


def _ending(emotion: str, name: str, rng: random.Random) -> str:
    feeling = _FEELINGS.get(name, name) if is_known(emotion) else None
    frame = rng.choice((*LABEL_FRAMES, *FEELING_FRAMES) if feeling is not None else LABEL_FRAMES)
    return frame.format(label=emotion, feeling=feeling)


def _joined(clues: Sequence[Observation]) -> str:
    texts = [o.text for o in clues]
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."
