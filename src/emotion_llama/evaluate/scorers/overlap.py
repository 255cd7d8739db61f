"""Scores of explanations against a written reference: two deterministic proxies of the EMER overlaps, and shared words.

`clue_overlap_proxy` and `label_overlap_proxy` stand where EMER asks a language model how far two texts agree. They are
proxies and not the EMER numbers: 1 + 9·F1, so that they lie on its scale of 1 to 10, of the signs (channel, name,
direction) and of the emotion words, mapped on our wheels, that both texts name. A judge's own scores are put beside
them by `with_judge`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from emotion_llama.errors import ManifestError, UsageError
from emotion_llama.evaluate.records import Item, Prediction, Problem, Scored
from emotion_llama.evaluate.suite import ScoreSettings
from emotion_llama.metrics.resample import intervals, speaker_codes
from emotion_llama.metrics.statistic import Metric, Scores, Statistic
from emotion_llama.metrics.text_overlap import TextOverlap, is_by_character, text_overlap
from emotion_llama.metrics.wheel_tables import WheelTables, own_tables
from emotion_llama.perception.claims import extract_claims, is_denied, mentions

CLUE_PROXY = "clue_overlap_proxy"
LABEL_PROXY = "label_overlap_proxy"
PROXY_NOTE = (
    f"{CLUE_PROXY} and {LABEL_PROXY} are proxies (1 + 9·F1 of signs and of emotion words that a word list finds), "
    "not the EMER numbers, which are opinions of a language model."
)
SHUFFLED_NOTE = "`chance` of a proxy: the same answers against the reference of the clip half the list further on."

_LEVEL = 1
# in running text these words of the wheels are mostly no feelings ("a certain tone", "pays attention", "make sure")
_EVERYDAY = frozenset(
    {"agreement", "alert", "attention", "aware", "certain", "grave", "hope", "interest", "lost", "none", "please"}
    | {"question", "recognition", "refusal", "sure", "understand", "understanding", "understood", "want", "wanting"}
    | {"wish"}
)
_TEXT_SCORES = tuple(TextOverlap.model_fields)


@dataclass(frozen=True)
class Explanation:
    """What one text names: its signs and its emotion words. `readable` is whether our word lists can read it."""

    text: str
    signs: frozenset[tuple[str, str, int | None]]
    words: frozenset[str]
    readable: bool


def score_reasons(
    items: Sequence[Item], predictions: Sequence[Prediction | None], labels: Sequence[str], settings: ScoreSettings
) -> Scored:
    """Score the reasons of each answer against the reference text of its clip (`clip.reasoning`).

    Both proxies (1–10), `token_f1`, `rouge_l` (0–1), `bleu`, `chrf` (0–100), `missing_rate`. A clip without an answer
    or without reasons counts as nothing said (proxies 1, words 0). A reference that names no sign or no emotion word is
    left out of that proxy, which the notes count; references in Chinese are left out of both, our lists are English.
    Raises `UsageError` for no items, `ManifestError` for a clip without a reference.
    """
    if not items:
        raise UsageError("expected at least one clip to score, found none")
    references = [_reference(item) for item in items]
    answers = [_answer(prediction) for prediction in predictions]
    shift = len(items) // 2
    turned = [*references[shift:], *references[:shift]]
    columns = {
        CLUE_PROXY: _column(_clue_f1, references, answers),
        LABEL_PROXY: _column(_label_f1, references, answers),
        **_text_columns(references, answers),
    }
    shuffled = {CLUE_PROXY: _column(_clue_f1, turned, answers), LABEL_PROXY: _column(_label_f1, turned, answers)}
    missing = np.array([not answer.text for answer in answers], np.float32)
    metrics = intervals(
        [_statistic({**columns, "missing_rate": missing})],
        [],
        n=len(items),
        groups=speaker_codes([item.clip.speaker for item in items]),
        draws=settings.draws,
        seed=settings.seed,
    )
    for name, column in shuffled.items() if shift else ():
        known = column[~np.isnan(column)]
        chance = _proxy(float(known.mean())) if len(known) else None
        metrics[name] = metrics[name].model_copy(update={"chance": chance})
    tables = own_tables()
    return Scored(
        n_asked=len(items),
        n_scored=int((missing == 0).sum()),
        metrics=metrics,
        headline=(CLUE_PROXY, LABEL_PROXY),
        settings={
            "wheel_tables": tables.source,
            "wheel_sha256": tables.sha256,
            "wheel_level": _LEVEL,
            "draws": settings.draws,
            "seed": settings.seed,
        },
        notes=(PROXY_NOTE, SHUFFLED_NOTE, *_left_out(references, answers, columns)),
        problems=tuple(_problems(items, predictions)),
    )


def with_judge(scored: Scored, metrics: Mapping[str, Metric], note: str, problems: Sequence[Problem] = ()) -> Scored:
    """Put a judge's scores before the proxies. Raises `UsageError` if one bears the name of a score that is there."""
    twice = sorted(set(metrics) & set(scored.metrics))
    if twice:
        raise UsageError(f"the judge's scores {', '.join(twice)} are there already; name them otherwise")
    return scored.model_copy(
        update={
            "metrics": {**metrics, **scored.metrics},
            "headline": (*metrics, *scored.headline),
            "notes": (note, *scored.notes),
            "problems": (*scored.problems, *problems),
        }
    )


def clue_overlap_proxy(reference: str, text: str) -> float | None:
    """Give 1 + 9·F1 of the signs that both texts name; `None` if the reference names none. A proxy."""
    f1 = _clue_f1(_explanation(reference, ()), _explanation(text, ()))
    return None if np.isnan(f1) else _proxy(f1)


def label_overlap_proxy(reference: str, text: str) -> float | None:
    """Give 1 + 9·F1 of the emotion words, on our wheels, of both texts; `None` if the reference has none. A proxy."""
    f1 = _label_f1(_explanation(reference, ()), _explanation(text, ()))
    return None if np.isnan(f1) else _proxy(f1)


def emotion_words(text: str) -> tuple[str, ...]:
    """Give the words of a text that our wheels know, in order, each once.

    Left out are denied words ("not angry"), words inside a sign ("a lively melody"), quotations, and a few everyday
    words that are mostly no feelings.
    """
    signs = mentions(text)
    found: dict[str, None] = {}
    for match in _word_pattern().finditer(text.lower()):
        inside = any(sign.start < match.end() and match.start() < sign.end for sign in signs)
        if not inside and not is_denied(text, *match.span()):
            found.setdefault(match.group())
    return tuple(found)


@cache
def _word_pattern() -> re.Pattern[str]:
    words = sorted(set(own_tables().forms) - _EVERYDAY, key=lambda word: (-len(word), word))
    return re.compile(r"(?<![\w-])(?:" + "|".join(map(re.escape, words)) + r")(?![\w-])")


def _reference(item: Item) -> Explanation:
    if not item.clip.reasoning or not item.clip.reasoning.strip():
        raise ManifestError(f"clip {item.clip.clip!r}: expected a reference text in `reasoning`, found none")
    return _explanation(item.clip.reasoning, item.clip.labels or ())


def _answer(prediction: Prediction | None) -> Explanation:
    if prediction is None:
        return _explanation("", ())
    return _explanation((prediction.reasoning or "").strip(), prediction.labels or ())


def _explanation(text: str, labels: Sequence[str]) -> Explanation:
    """Labels that are given count in place of the words of the text."""
    signs = frozenset(claim.key for claim in extract_claims(text))
    return Explanation(text, signs, frozenset(labels or emotion_words(text)), not is_by_character(text))


def _clue_f1(reference: Explanation, answer: Explanation) -> float:
    if not reference.readable or not reference.signs:
        return float("nan")
    return _f1(reference.signs, answer.signs)


def _label_f1(reference: Explanation, answer: Explanation) -> float:
    """The mean over our five wheels; wheels that map no word of the reference are left out."""
    tables = own_tables()
    wanted = {wheel: _sectors(reference.words, tables, wheel) for wheel in tables.wheels}
    scores = [_f1(sectors, _sectors(answer.words, tables, wheel)) for wheel, sectors in wanted.items() if sectors]
    return float(np.mean(scores)) if scores and reference.readable else float("nan")


def _sectors(words: Set[str], tables: WheelTables, wheel: str) -> set[str]:
    return {sector for word in words if (sector := tables.sector(word, wheel, _LEVEL)) is not None}


def _f1(wanted: Set[object], given: Set[object]) -> float:
    return 2 * len(wanted & given) / (len(wanted) + len(given))


def _proxy(f1: float) -> float:
    return 1 + 9 * f1


def _column(
    f1: Callable[[Explanation, Explanation], float], references: Sequence[Explanation], answers: Sequence[Explanation]
) -> NDArray[np.float32]:
    return np.array([f1(reference, answer) for reference, answer in zip(references, answers, strict=True)], np.float32)


def _text_columns(references: Sequence[Explanation], answers: Sequence[Explanation]) -> dict[str, NDArray[np.float32]]:
    overlaps = [text_overlap(r.text, a.text) for r, a in zip(references, answers, strict=True)]
    return {name: np.array([getattr(o, name) for o in overlaps], np.float32) for name in _TEXT_SCORES}


def _statistic(columns: Mapping[str, NDArray[np.float32]]) -> Statistic:
    """The mean of each column over the clips where it is defined (not NaN)."""
    names = tuple(columns)
    values = np.stack([columns[name] for name in names], axis=1)
    known = ~np.isnan(values)
    both = np.concatenate([np.where(known, values, 0), known], axis=1).astype(np.float32)

    def finish(_: NDArray[np.float64], sums: NDArray[np.float64]) -> Scores:
        above, below = sums[:, : len(names)], sums[:, len(names) :]
        means = np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0)
        proxies = (CLUE_PROXY, LABEL_PROXY)
        return {name: 1 + 9 * means[:, i] if name in proxies else means[:, i] for i, name in enumerate(names)}

    return Statistic(np.zeros(len(values), np.int64), 1, both, finish)


def _left_out(
    references: Sequence[Explanation], answers: Sequence[Explanation], columns: Mapping[str, NDArray[np.float32]]
) -> list[str]:
    n = len(references)
    notes = []
    for name, what in ((CLUE_PROXY, "sign"), (LABEL_PROXY, "emotion word")):
        lost = int(np.isnan(columns[name]).sum())
        if lost:
            notes.append(f"{name}: {lost} of {n} references name no {what} that our lists know; they are left out.")
    other = sum(
        not answer.readable for answer, r in zip(answers, references, strict=True) if answer.text and r.readable
    )
    if other:
        notes.append(f"{other} of {n} answers are not English: our word lists find nothing in them, which counts as 1.")
    return notes


def _problems(items: Sequence[Item], predictions: Sequence[Prediction | None]) -> list[Problem]:
    return [
        Problem(
            kind="no-label",
            message=f"line {prediction.line}: {item.clip.clip!r} has no reasoning: counted as nothing said",
            clip=item.clip.clip,
            line=prediction.line,
        )
        for item, prediction in zip(items, predictions, strict=True)
        if prediction is not None and not (prediction.reasoning or "").strip()
    ]
