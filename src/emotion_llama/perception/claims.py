"""What a text claims to see and hear: "his brows are furrowed and he speaks slowly" → AU04 present, speech rate low.

Free text of any system, by one table a language (`claim_table`). A claim is a part of the face or of the voice together
with a state in the same clause, or a phrase that says it alone; quoted words are claims about what was said. Feelings
("she is sad", "an angry tone") are conclusions, not signs, and are no claims; a face that "looks angry" is one about
the whole expression. `claim_check` compares claims with measurements.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from emotion_llama.clip import Channel, Record
from emotion_llama.perception.claim_table import Direction, Entry, lexicon

WORD_PREFIX = "word:"

# double quotes of several scripts, or single ones around words (an apostrophe inside a word opens nothing)
_QUOTE = re.compile(r"[“\"„«「]([^”\"“»」\n]{1,300})[”\"“»」]|(?<!\w)['‘]([^'’\n]{2,300})['’](?!\w)")
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_ACTION_UNIT = re.compile(r"(?<!\w)au[\s-]?0*([1-9]\d?)(?!\w)")


class Claim(Record):
    """One sign that a text names.

    `name` is a measurement ("AU12", a field of `VoiceMeasures`, "expression:happy", "brightness"), "word:…" for quoted
    words, or a sign without a measurement here ("tears"). `also` lists measurements that bear the words out as well.
    `direction`: 1 present or above the usual, -1 below it, 0 at rest or usual; `negated`: the text denies it. `text`
    are the words, from `start` to `end` (characters of the whole text).
    """

    channel: Channel
    name: str
    also: tuple[str, ...] = ()
    direction: Direction
    negated: bool = False
    text: str
    start: int
    end: int

    @property
    def key(self) -> tuple[Channel, str, int | None]:
        """What is claimed, without the wording: a denied sign is "at rest" (0), denied rest is `None`."""
        if not self.negated:
            return (self.channel, self.name, self.direction)
        return (self.channel, self.name, 0 if self.direction else None)


_Place = tuple[int, int, str]
"""Start, end and name of a part."""


@dataclass(frozen=True)
class _Clause:
    """A stretch of text from `start` to `end`, in which sentence, and the parts named inside it."""

    start: int
    end: int
    sentence: int
    parts: tuple[_Place, ...]


@dataclass(frozen=True)
class _State:
    """A state word and its clause."""

    start: int
    end: int
    clause: int
    channel: Channel
    entry: Entry


def extract_claims(text: str) -> tuple[Claim, ...]:
    """Give the signs that a text names, in the order of the text, each (channel, name, direction, negated) once."""
    first: dict[tuple[str, str, int, bool], Claim] = {}
    for claim in mentions(text):
        first.setdefault((claim.channel, claim.name, claim.direction, claim.negated), claim)
    return tuple(first.values())


def mentions(text: str) -> tuple[Claim, ...]:
    """Give every place where a text names a sign, repetitions too, in the order of the text."""
    masked = _QUOTE.sub(lambda match: " " * len(match.group()), _lowered(text))
    quoted = [claim for match in _QUOTE.finditer(text) if (claim := _quote_claim(match)) is not None]
    phrases = list(_phrase_claims(masked, text, [], last=False))
    states = list(_state_claims(masked, text, _spans(phrases)))
    last = _phrase_claims(masked, text, _spans([*phrases, *states]), last=True)
    found = [*quoted, *_unit_claims(masked, text), *phrases, *states, *last]
    return tuple(sorted(found, key=lambda claim: (claim.start, claim.end)))


def plain_words(text: str) -> tuple[str, ...]:
    """Give the words of a text in lower case, without punctuation."""
    return tuple(word.lower().replace("’", "'") for word in _WORD.findall(text))


def is_denied(text: str, start: int, end: int) -> bool:
    """Whether the clause denies the words from `start` to `end`: "without any sign of joy", "her smile fades"."""
    lowered = _lowered(text)
    clauses = _clauses(lowered)
    return _negated(lowered, clauses, _clause_at(clauses, start), (start, end))


def _lowered(text: str) -> str:
    """Lower case, one character for one: the offsets stay those of the text."""
    return "".join(c.lower() if len(c.lower()) == 1 else c for c in text).replace("’", "'")


def _quote_claim(match: re.Match[str]) -> Claim | None:
    said = " ".join(plain_words(match.group(1) or match.group(2)))
    if not said:
        return None
    return Claim(
        channel="words", name=WORD_PREFIX + said, direction=1, text=match.group(), start=match.start(), end=match.end()
    )


def _unit_claims(masked: str, text: str) -> Iterator[Claim]:
    """Claims of action units by their number: "AU12"."""
    clauses = _clauses(masked)
    for match in _ACTION_UNIT.finditer(masked):
        entry = Entry(words=match.group(), name=f"AU{int(match.group(1)):02d}", direction=1)
        negated = _negated(masked, clauses, _clause_at(clauses, match.start()), match.span())
        yield _claim("face", entry, text, match.span(), negated)


def _phrase_claims(masked: str, text: str, taken: Sequence[tuple[int, int]], *, last: bool) -> Iterator[Claim]:
    """Claims of single phrases; at one place the table's first holds."""
    clauses, used = _clauses(masked), [*taken]
    for pattern, channel, entry in lexicon().phrases:
        for match in pattern.finditer(masked) if entry.last == last else ():
            if not _overlaps(match.span(), used):
                used.append(match.span())
                negated = _negated(masked, clauses, _clause_at(clauses, match.start()), match.span())
                yield _claim(channel, entry, text, match.span(), negated)


def _state_claims(masked: str, text: str, taken: Sequence[tuple[int, int]]) -> Iterator[Claim]:
    """Claims of a part with a state. At one place a part has one state: the table's first."""
    clauses = _clauses(masked)
    states = _states(masked, clauses, taken)
    speaking = {state.clause for state in states if _own_part(state, clauses) is not None}
    used: list[tuple[int, int, str]] = []
    for state in states:
        for start, end, part in _parts_of(masked, state, clauses, speaking):
            if any(name == part and _overlaps((state.start, state.end), [(a, b)]) for a, b, name in used):
                continue
            used.append((state.start, state.end, part))
            span = (min(start, state.start), max(end, state.end))
            negated = _negated(masked, clauses, state.clause, (state.start, state.end))
            yield _claim(state.channel, state.entry, text, span, negated)


def _states(masked: str, clauses: Sequence[_Clause], taken: Sequence[tuple[int, int]]) -> list[_State]:
    return [
        _State(match.start(), match.end(), _clause_at(clauses, match.start()), channel, entry)
        for pattern, channel, entry in lexicon().states
        for match in pattern.finditer(masked)
        if not _overlaps(match.span(), taken)
    ]


def _own_part(state: _State, clauses: Sequence[_Clause]) -> _Place | None:
    """Give the nearest part in the state's clause, if it can have this state.

    Of the voice also a farther one: "speaks quickly at a high volume". A nearer "hands" takes "raised" from the brows.
    """
    apart = [
        (max(start - state.end, state.start - end), (start, end, part))
        for start, end, part in clauses[state.clause].parts
    ]
    near = [place for gap, place in sorted(apart) if gap >= 0]
    for place in near if state.channel == "voice" else near[:1]:
        if place[2] in state.entry.parts:
            return place
    return None


def _parts_of(masked: str, state: _State, clauses: Sequence[_Clause], speaking: set[int]) -> list[_Place]:
    """Give the parts a state belongs to: one of its clause, else the last before it, else the next one."""
    here = clauses[state.clause]
    if here.parts:
        own, shared = _own_part(state, clauses), _shared_part(state, clauses, speaking)
        return [place for place in (own, shared) if place is not None]
    before, after = _carried(state, clauses, -1), _carried(state, clauses, 1)
    # an article opens what follows: "raised brows and a soft, low voice"
    opens = re.search(r"\ban?\b", masked[here.start : state.start]) and after is not None
    part = after if opens or before not in state.entry.parts else before
    return [(state.start, state.end, part)] if part is not None and part in state.entry.parts else []


def _shared_part(state: _State, clauses: Sequence[_Clause], speaking: set[int]) -> _Place | None:
    """Give the part of the clause before, if it is alone there, without a state: "his eyes and mouth are wide"."""
    if state.clause == 0 or state.clause - 1 in speaking:
        return None
    before = clauses[state.clause - 1]
    alone = len(before.parts) == 1 and before.sentence == clauses[state.clause].sentence
    if not alone or before.parts[0][2] not in state.entry.parts:
        return None
    return (state.start, state.end, before.parts[0][2])


def _carried(state: _State, clauses: Sequence[_Clause], way: int) -> str | None:
    """Give the nearest part before (-1) or after (1) the state's clause in its sentence."""
    place = state.clause + way
    while 0 <= place < len(clauses) and clauses[place].sentence == clauses[state.clause].sentence:
        if clauses[place].parts:
            return clauses[place].parts[-1 if way < 0 else 0][2]
        place += way
    return None


def _clauses(masked: str) -> list[_Clause]:
    """Cut a text into clauses; every character belongs to one."""
    marks = [(m.start(), m.end(), True) for m in lexicon().sentence_end.finditer(masked)]
    marks += [(m.start(), m.end(), False) for m in lexicon().boundary.finditer(masked)]
    found = (m for part in lexicon().parts for m in part.finditer(masked))
    parts = sorted((m.start(), m.end(), str(m.lastgroup)) for m in found)
    clauses, start, sentence = [], 0, 0
    for mark_start, _, ends in [*sorted(marks), (len(masked), len(masked), True)]:
        inside = tuple(part for part in parts if start <= part[0] < mark_start)
        clauses.append(_Clause(start, mark_start, sentence, inside))
        start, sentence = mark_start, sentence + ends
    return clauses


def _clause_at(clauses: Sequence[_Clause], place: int) -> int:
    return next(i for i, clause in enumerate(clauses) if place < clause.end or i == len(clauses) - 1)


def _negated(masked: str, clauses: Sequence[_Clause], number: int, span: tuple[int, int]) -> bool:
    """Whether the clause denies what stands at `span`: before it ("not smiling") or after it ("the smile fades").

    "Does not frown, smile or cry": a list that ends in "or" is denied as a whole.
    """
    clause = clauses[number]
    if _denies(masked[clause.start : span[0]]) or lexicon().withdrawal.search(masked, span[1], clause.end):
        return True
    rest = [c for c in clauses[number:] if c.sentence == clause.sentence]
    in_list = any(re.search(r"\b(?:or|nor)\b", masked[c.start : c.end]) for c in rest) and masked[clause.start] == ","
    before = [c for c in clauses[:number] if c.sentence == clause.sentence]
    return in_list and any(_denies(masked[c.start : c.end]) for c in before[-3:])


def _denies(words: str) -> bool:
    return lexicon().negation.search(lexicon().affirmation.sub(" ", words)) is not None


def _claim(channel: Channel, entry: Entry, text: str, span: tuple[int, int], negated: bool) -> Claim:
    return Claim(
        channel=channel,
        name=entry.name,
        also=entry.also,
        direction=entry.direction,
        negated=negated,
        text=text[span[0] : span[1]],
        start=span[0],
        end=span[1],
    )


def _spans(claims: Sequence[Claim]) -> list[tuple[int, int]]:
    return [(claim.start, claim.end) for claim in claims]


def _overlaps(span: tuple[int, int], others: Sequence[tuple[int, int]]) -> bool:
    return any(span[0] < end and start < span[1] for start, end in others)
