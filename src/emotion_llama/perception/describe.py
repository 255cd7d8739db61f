"""From measurements to words. Every phrase, threshold and emotion rule stands in one table, `describe.yaml`.

A text says what was measured and how much, in plain words; the number itself is in `value` and `unit`. Nothing is
inferred here: `supports` lists the emotions that the sources named in the table connect with a sign.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np

from emotion_llama.answer import said_emotions
from emotion_llama.clip import Observation, Transcript, VoiceMeasures
from emotion_llama.labels import canonical
from emotion_llama.languages import CODES
from emotion_llama.measurements import ACTION_UNIT_SOURCE as ACTION_UNIT_SOURCE
from emotion_llama.measurements import (
    ACTION_UNIT_SOURCES,
    ACTION_UNITS,
    EXPRESSIONS,
    OWN_REST,
    ActionUnitSeries,
    FaceMeasures,
    OwnMedian,
    SoundMeasures,
)
from emotion_llama.settings import Settings

EXPRESSION_SOURCE = "face-expression-1"
VOICE_SOURCE = "voice-1"
WORDS_SOURCE = "emotion-words-1"

MAX_ACTION_UNITS = 6
MIN_CONFIDENCE = 0.5
MIN_EXPRESSION = 0.5
CLOSED_EYES_S = 0.5
"""A blink is over in 0.1–0.4 s; eyes closed longer are worth a word."""

_STEP_SIZE = {"slight": 0.4, "clear": 0.7, "strong": 1.0}
_USUAL_SIZE = 0.2
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
_MAX_QUOTE = 160


class Phrase(Settings):
    """How a sign is said and what it speaks for; `steps` from slight to strong (none: it has one strength)."""

    phrase: str
    supports: tuple[str, ...]
    steps: tuple[float, float, float] | None = None


class OwnSteps(Settings):
    """How far a measure departs from the person's own median before something is said, from slight to strong.

    `scale`: "difference" in the measure's unit, "semitones" of a frequency, "share" of the median.
    """

    scale: Literal["difference", "semitones", "share"] = "difference"
    low: tuple[float, float, float] | None = None
    high: tuple[float, float, float] | None = None

    def steps(self, side: int, median: float) -> tuple[float, float, float] | None:
        """Values of the measure from which something is said above (`side` 1) or below (-1) a median."""
        offsets = self.high if side == 1 else self.low
        if offsets is None:
            return None
        first, second, third = (self._value(median, offset) for offset in offsets)
        return first, second, third

    def departure(self, value: float, median: float, unit: str) -> str:
        """Say how far a value in `unit` lies from the median: "3.1 semitones over", "20 % under"."""
        size = value - median
        if self.scale == "semitones":
            size, unit = float(12 * np.log2(value / median)), "semitones"
        elif self.scale == "share":
            size, unit = 100 * (value / median - 1), "%"
        digits = 0 if self.scale == "share" else 1
        return f"{abs(size):.{digits}f} {unit} {'over' if size >= 0 else 'under'}"

    def _value(self, median: float, offset: float) -> float:
        if self.scale == "semitones":
            return float(median * 2 ** (offset / 12))
        return median * (1 + offset) if self.scale == "share" else median + offset


class VoiceNorm(Settings):
    """The usual range of one voice measure and what is said outside it; `None` = nothing is said on that side.

    `own`: the steps for a person whose own median is known; `None` = that changes nothing.
    """

    unit: str
    confidence: float = 1.0
    own: OwnSteps | None = None
    low: Phrase | None = None
    high: Phrase | None = None
    usual: Phrase | None = None


class WordTable(Settings):
    """`describe.yaml`."""

    adverbs: dict[str, str]
    action_unit_steps: tuple[float, float, float]
    action_units: dict[int, Phrase]
    speech_action_units: tuple[int, ...]
    speech_phrase: str
    voice: dict[str, VoiceNorm]
    words: dict[str, tuple[str, ...]]
    negations: frozenset[str]


@cache
def word_table() -> WordTable:
    """Give the table, read once. Raises `UsageError` if the installed file is damaged."""
    return WordTable.from_yaml(Path(__file__).with_name("describe.yaml"))


def describe_face(measures: FaceMeasures, speech_s: tuple[tuple[float, float], ...] = ()) -> list[Observation]:
    """Say what the main face shows at its peak: the whole expression, then action units, strongest first.

    Action units of at least 0.8 of 5 with confidence ≥ 0.5, at most six, each with the time it stays above half its
    size. Jaw and lips within `speech_s` (spans in seconds) are put down to speech. Without a face the list is empty.
    """
    if measures.main is None or measures.peak is None:
        return []
    found = _expression(measures)
    if measures.action_units is not None:
        found += _action_units(measures.action_units, measures.peak, speech_s)
        found += _closed_eyes(measures.action_units)
    return found


def describe_voice(sound: SoundMeasures, own: Mapping[str, OwnMedian] | None = None) -> list[Observation]:
    """Say how the voice sounds: each measure against the table's norm, with `direction` −1, 0 or 1.

    `own`: the person's own medians, which then are the norm of the measures that they name. A silent recording, or one
    without speech, gives one observation that says so.
    """
    if sound.silent:
        return [Observation(channel="voice", text="the recording is silent", source=VOICE_SOURCE, name="silence")]
    if sound.voice is None:
        return [
            Observation(channel="voice", text="no speech is heard", source=VOICE_SOURCE, name="speech_s", value=0.0)
        ]
    spans = sound.trace.speech_s if sound.trace is not None else ()
    start_s, end_s = (spans[0][0], spans[-1][1]) if spans else (None, None)
    usual = own or {}
    found = [_voice_observation(sound.voice, name, norm, usual.get(name)) for name, norm in word_table().voice.items()]
    return [o.model_copy(update={"start_s": start_s, "end_s": end_s}) for o in found if o is not None]


def describe_words(transcript: Transcript) -> list[Observation]:
    """Say what was said, and mark openly emotional words. Not transcribed: an empty list.

    English words are our own list; of another language that has a file they are its names of the same emotions.
    """
    if transcript.text is None:
        return []
    said = " ".join(transcript.text.split())
    if not said:
        return [Observation(channel="words", text="nothing is said", source=transcript.source, name="words")]
    quote = said if len(said) <= _MAX_QUOTE else said[:_MAX_QUOTE].rsplit(" ", 1)[0] + " …"
    found = [Observation(channel="words", text=f"the words are “{quote}”", source=transcript.source, name="words")]
    if transcript.language not in (None, *CODES):
        return found
    return found + [_emotional_word(word, emotion, transcript) for word, emotion in emotional_words(said).items()]


def emotional_words(text: str) -> dict[str, str]:
    """Give the openly emotional words of a text as word → canonical emotion, in order, without negated ones."""
    table = word_table()
    emotion_of = {word: emotion for emotion, words in table.words.items() for word in words}
    tokens = [token.lower().replace("’", "'") for token in _WORD.findall(text)]
    found: dict[str, str] = {}
    for place, token in enumerate(tokens):
        # "not at all happy": a negation reaches three words
        if token in emotion_of and not table.negations.intersection(tokens[max(0, place - 3) : place]):
            found.setdefault(token, emotion_of[token])
    for code in CODES[1:]:
        said = said_emotions(text, code)
        found |= {word: emotion for word, emotion in said.items() if emotion in table.words}
    return found


def strength(observation: Observation) -> float:
    """Give 0–1: how far what was noticed departs from the ordinary, by the table's steps. 0 = a bare fact."""
    table = word_table()
    if observation.source == EXPRESSION_SOURCE or observation.source == WORDS_SOURCE:
        return observation.value if observation.value is not None else 0.6
    if observation.name is None or observation.value is None:
        return 0.0
    if observation.source in ACTION_UNIT_SOURCES:
        step = _step(observation.value, table.action_unit_steps)
        return _STEP_SIZE[step] if step else _USUAL_SIZE
    if observation.name not in table.voice:
        return 0.0
    steps = voice_steps(observation.name, observation.direction, observation.norm) if observation.direction else None
    step = _step(observation.value, steps) if steps is not None else None
    return _STEP_SIZE[step] if step else _USUAL_SIZE


def voice_steps(name: str, side: int, own_median: float | None = None) -> tuple[float, float, float] | None:
    """Values of a voice measure that are slight, clear and strong above (`side` 1) or below (-1) its norm.

    The norm is the person's own median where it is given, else the table's. `None`: nothing is said on that side.
    """
    norm = word_table().voice[name]
    phrase = norm.high if side == 1 else norm.low
    if phrase is None:
        return None
    return phrase.steps if own_median is None or norm.own is None else norm.own.steps(side, own_median)


def _step(value: float, steps: tuple[float, float, float]) -> str | None:
    """Give "slight", "clear" or "strong"; steps that fall are for values that are low."""
    rising = steps[-1] > steps[0]
    reached = [
        name for name, step in zip(_STEP_SIZE, steps, strict=True) if (value >= step if rising else value <= step)
    ]
    return reached[-1] if reached else None


def _expression(measures: FaceMeasures) -> list[Observation]:
    if measures.expressions is None or measures.peak is None:
        return []
    row = measures.expressions[measures.peak]
    best = int(np.argmax(row))
    share = round(float(row[best]), 3)
    name = EXPRESSIONS[best]
    words = {"fear": "afraid", "disgust": "disgusted", "surprise": "surprised"}.get(name, name)
    sure = share >= MIN_EXPRESSION
    return [
        Observation(
            channel="face",
            text=f"the whole face reads as {words}" if sure else "the whole face is hard to read",
            source=EXPRESSION_SOURCE,
            name=name,
            value=share,
            unit="probability",
            confidence=min(share, 1.0),
            supports=(canonical(name), *(("calm",) if name == "neutral" else ())) if sure else (),
        )
    ]


def _action_units(series: ActionUnitSeries, peak: int, speech_s: tuple[tuple[float, float], ...]) -> list[Observation]:
    table = word_table()
    time_s = float(series.time_s[peak])
    speaking = any(start <= time_s <= end for start, end in speech_s)
    rows = []
    for column, unit in enumerate(ACTION_UNITS):
        value, sure = float(series.intensity[peak, column]), float(series.confidence[peak, column])
        if unit in table.action_units and value >= table.action_unit_steps[0] and sure >= MIN_CONFIDENCE:
            rows.append((value, column, unit))
    if not rows:
        return [_resting(series, peak)]
    rows.sort(key=lambda row: -row[0])
    return [
        _action_unit(series, peak, column, speaking and unit in table.speech_action_units)
        for _, column, unit in rows[:MAX_ACTION_UNITS]
    ]


def _action_unit(series: ActionUnitSeries, peak: int, column: int, speech: bool) -> Observation:
    table = word_table()
    value = round(float(series.intensity[peak, column]), 2)
    entry = table.action_units[ACTION_UNITS[column]]
    step = _step(value, table.action_unit_steps) or "slight"
    start_s, end_s = _span(series, peak, column)
    return Observation(
        channel="face",
        text=table.speech_phrase if speech else entry.phrase.format(much=table.adverbs[step]),
        source=series.source,
        name=f"AU{ACTION_UNITS[column]:02d}",
        value=value,
        unit="of 5",
        direction=1,
        start_s=start_s,
        end_s=end_s,
        confidence=_share(series.confidence[peak, column]),
        supports=() if speech else entry.supports,
        note=_rest_words(series),
    )


def _rest_words(series: ActionUnitSeries) -> str | None:
    """What the sizes are above, where it is neither this recording's own rest nor an average face."""
    return "above the person's own rest over other recordings" if series.baseline == OWN_REST else None


def _resting(series: ActionUnitSeries, peak: int) -> Observation:
    columns = [column for column, unit in enumerate(ACTION_UNITS) if unit in series.measured]
    moved = [column for column in columns if ACTION_UNITS[column] != 45]
    return Observation(
        channel="face",
        text="the face stays close to its resting shape",
        source=series.source,
        name="largest_action_unit",
        value=round(float(series.intensity[peak, moved].max(initial=0.0)), 2),
        unit="of 5",
        direction=0,
        confidence=_share(series.confidence[peak, columns].mean()),
        supports=("neutral", "calm"),
        note=_rest_words(series),
    )


def _closed_eyes(series: ActionUnitSeries) -> list[Observation]:
    column = ACTION_UNITS.index(45)
    place = int(np.argmax(series.intensity[:, column]))
    value, sure = float(series.intensity[place, column]), float(series.confidence[place, column])
    start_s, end_s = _span(series, place, column)
    if start_s is None or end_s is None or value < word_table().action_unit_steps[1] or sure < MIN_CONFIDENCE:
        return []
    if end_s - start_s < CLOSED_EYES_S:
        return []
    return [
        Observation(
            channel="face",
            text="the eyes stay closed for a while",
            source=series.source,
            name="AU45",
            value=round(value, 2),
            unit="of 5",
            direction=1,
            start_s=start_s,
            end_s=end_s,
            confidence=_share(sure),
        )
    ]


def _span(series: ActionUnitSeries, place: int, column: int) -> tuple[float | None, float | None]:
    """Times around a sample while the unit stays above half its size there; (`None`, `None`) for a single picture."""
    if len(series.time_s) < 2:
        return None, None
    above = series.intensity[:, column] >= series.intensity[place, column] / 2
    first = last = place
    while first > 0 and above[first - 1]:
        first -= 1
    while last < len(above) - 1 and above[last + 1]:
        last += 1
    return round(float(series.time_s[first]), 3), round(float(series.time_s[last]), 3)


def _share(value: float | np.floating) -> float:
    return round(min(1.0, max(0.0, float(value))), 3)


def _voice_observation(voice: VoiceMeasures, name: str, norm: VoiceNorm, own: OwnMedian | None) -> Observation | None:
    value = getattr(voice, name)
    if value is None:
        return None
    own = own if norm.own is not None else None
    chosen, direction, step = norm.usual, 0, None
    for side, way in ((norm.low, -1), (norm.high, 1)):
        steps = voice_steps(name, way, own.median if own is not None else None)
        if side is not None and steps is not None and (reached := _step(value, steps)):
            chosen, direction, step = side, way, reached
    if chosen is None:
        return None
    text = chosen.phrase.format(much=word_table().adverbs[step] if step else "")
    if own is not None and norm.own is not None and direction:
        text += f", {norm.own.departure(float(value), own.median, norm.unit)} the speaker's own median"
    return Observation.model_validate(
        {
            "channel": "voice",
            "text": text,
            "source": VOICE_SOURCE,
            "name": name,
            "value": round(float(value), 2),
            "unit": norm.unit,
            "direction": direction,
            "confidence": norm.confidence,
            "supports": chosen.supports,
            "norm": None if own is None else round(own.median, 2),
            "note": None if own is None else _norm_words(own, norm.unit),
        }
    )


def _norm_words(own: OwnMedian, unit: str) -> str:
    return f"compared with the speaker's own median of {own.median:.2f} {unit} over {own.n} recordings"


def _holds(spoken: str, word: str) -> bool:
    return word in (_WORD.findall(spoken.lower()) if word.isascii() else spoken)


def _emotional_word(word: str, emotion: str, transcript: Transcript) -> Observation:
    spoken = [w for segment in transcript.segments for w in segment.words if _holds(w.text, word)]
    return Observation(
        channel="words",
        text=f"“{word}” is an openly emotional word",
        source=WORDS_SOURCE,
        name=word,
        start_s=spoken[0].start_s if spoken else None,
        end_s=spoken[0].end_s if spoken else None,
        confidence=_share(spoken[0].probability) if spoken else 1.0,
        supports=(emotion,),
    )
