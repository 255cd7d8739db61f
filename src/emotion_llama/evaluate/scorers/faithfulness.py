"""Faithfulness: what share of the signs that an answer names do the measurements of its clip bear out?

Claims are read from the reasoning (`perception.claims`) and compared with the action units, the voice and the words of
the same clip (`perception.claim_check`). As a control the same claims are compared with the measurements of another
clip: a measure that cannot tell the two apart says nothing, so `shuffled_…` stands beside every answer's own share.

What is shown can be the language model's own text or one composed from the clues; `texts` scores the two apart.
"""

from __future__ import annotations

import itertools
import random
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from emotion_llama.answer import parse_emotion
from emotion_llama.clip import Channel, Observation
from emotion_llama.evaluate.records import Item, Prediction
from emotion_llama.metrics.resample import intervals, speaker_codes
from emotion_llama.metrics.statistic import Scores, Statistic
from emotion_llama.perception.claim_check import CheckedClaim, Measured, Verdict
from emotion_llama.perception.claims import extract_claims
from emotion_llama.perception.compose import compose_reason

VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
CHANNELS: tuple[Channel, ...] = get_args(Channel)
MOST_FREQUENT = 20

_SAID = re.compile(r"“(.*)”", re.DOTALL)


def faithfulness(
    items: Sequence[Item], predictions: Sequence[Prediction | None], *, draws: int, seed: int
) -> dict[str, Any]:
    """Check the reasons of all answers that have reasons and measurements; everything is plain JSON.

    `metrics`: shares of claims `supported`, `contradicted`, `unverifiable` (also `supported:face`, …),
    `supported_of_checked` (of those that could be checked), the same `shuffled_…`, their difference
    `supported_above_shuffled`; `claims_per_answer`, `checkable_per_answer` (those that could be checked),
    `channels_per_answer` (the face, the voice and the words that these are about), `without_claims` (share of answers
    that name no sign), `names_the_label` (share of answers that conclude the label that was given): each with its 95 %
    interval over clips, speakers first. `distinct_2` is the number of different pairs of neighbouring words among all
    pairs. `texts` has the same for the texts that the model itself `generated`, and for those `composed` from the
    measured clues and the given label without a language model. `clips` holds every claim with verdict and reason,
    `frequent_contradicted` the 20 signs most often contradicted. Measurements are the prediction's, or the item's
    observations where a system gives none. Without a single such answer `metrics` is empty and `notes` says so.
    """
    rows = [(i, p) for i, p in zip(items, predictions, strict=True) if p is not None and p.reasoning]
    measured = [(item, prediction, measured_of(item, prediction)) for item, prediction in rows]
    kept = [_Answer(item, prediction, found) for item, prediction, found in measured if found is not None]
    counts = {"n_answers": len(rows), "n_checked": len(kept), "n_without_measurements": len(rows) - len(kept)}
    if not kept:
        return {**counts, "metrics": {}, "notes": ["no answer has both reasons and measurements: nothing was checked"]}
    said = [answer.prediction.reasoning or "" for answer in kept]
    own, scores = _checked(kept, said, draws, seed)
    return {
        **counts,
        **scores,
        "texts": _texts(kept, draws, seed),
        "frequent_contradicted": _frequent(own),
        "clips": [
            {"clip": answer.item.clip.clip, "reasoning": text, "claims": [_plain(c) for c in checked]}
            for answer, text, checked in zip(kept, said, own, strict=True)
        ],
        "settings": {"draws": draws, "seed": seed, "shuffled_by": len(kept) // 2},
        "notes": _notes(len(kept) // 2),
    }


@dataclass(frozen=True)
class _Answer:
    item: Item
    prediction: Prediction
    measured: Measured


def _generated(answer: _Answer, seed: int) -> str | None:
    """Give the language model's own text; `None` if the prediction keeps none."""
    return answer.prediction.raw.get("reason")


def _composed(answer: _Answer, seed: int) -> str | None:
    """Give the text that the measured clues alone make for the given label; `None` without clues or label."""
    prediction = answer.prediction
    if prediction.emotion is None or not prediction.evidence:
        return None
    clues = [o for o in prediction.evidence if o.channel != "scene"]
    return compose_reason(clues, prediction.emotion, random.Random(seed), answer.measured.transcript)


def _texts(kept: Sequence[_Answer], draws: int, seed: int) -> dict[str, Any]:
    makers: dict[str, Callable[[_Answer, int], str | None]] = {"generated": _generated, "composed": _composed}
    found: dict[str, Any] = {}
    for name, make in makers.items():
        texts = [(answer, make(answer, seed + place)) for place, answer in enumerate(kept)]
        written = [(answer, text) for answer, text in texts if text]
        if written:
            answers, said = zip(*written, strict=True)
            found[name] = {"n": len(written), **_checked(answers, said, draws, seed)[1]}
    return found


def _checked(
    answers: Sequence[_Answer], said: Sequence[str], draws: int, seed: int
) -> tuple[list[tuple[CheckedClaim, ...]], dict[str, Any]]:
    """Check one text an answer: the claims with their verdicts, and the scores."""
    claims = [extract_claims(text) for text in said]
    own = [answer.measured.check(made) for made, answer in zip(claims, answers, strict=True)]
    # half way round: no clip meets itself, and in files sorted by speaker or emotion few meet their like
    shift = len(answers) // 2
    others = [answers[(place + shift) % len(answers)].measured for place in range(len(answers))]
    shuffled = [other.check(made) for made, other in zip(claims, others, strict=True)] if shift else None
    scores = intervals(
        [_statistic(own, shuffled, [_concludes(a.prediction, text) for a, text in zip(answers, said, strict=True)])],
        [],
        n=len(answers),
        groups=speaker_codes([answer.item.clip.speaker for answer in answers]),
        draws=draws,
        seed=seed,
    )
    metrics = {name: metric.model_dump() for name, metric in scores.items()}
    return own, {"metrics": metrics, "distinct_2": distinct_2(said)}


def _concludes(prediction: Prediction, text: str) -> bool | None:
    """Whether a text concludes the label that was given; `None` if none was."""
    if prediction.emotion is None:
        return None
    labels = tuple(prediction.probabilities or {}) or (prediction.emotion,)
    return parse_emotion(text, labels) == prediction.emotion


def distinct_2(texts: Sequence[str]) -> float | None:
    """Give the share of different ones among all pairs of neighbouring words (Li et al. 2016); `None` without pairs."""
    words = [re.findall(r"[\w'-]+", text.lower()) for text in texts]
    pairs = [pair for row in words for pair in itertools.pairwise(row)]
    return len(set(pairs)) / len(pairs) if pairs else None


def measured_of(item: Item, prediction: Prediction) -> Measured | None:
    """Give the measurements of a clip, `None` if there are none: the prediction's, else the item's observations."""
    evidence = prediction.evidence or item.clip.observations
    if not (evidence or prediction.action_units or prediction.voice):
        return None
    transcript = item.clip.transcript if item.clip.transcript is not None else _said(evidence)
    return Measured(evidence, prediction.action_units, prediction.voice, transcript)


def _said(evidence: Sequence[Observation]) -> str | None:
    """Give the words that were recognised, from the observation that quotes them; a shortened quotation is none."""
    words = next((o for o in evidence if o.channel == "words" and o.name == "words"), None)
    if words is None:
        return None
    quoted = _SAID.search(words.text)
    if quoted is None:
        return "" if words.text == "nothing is said" else None
    return None if quoted.group(1).endswith("…") else quoted.group(1)


def _statistic(
    own: Sequence[Sequence[CheckedClaim]],
    shuffled: Sequence[Sequence[CheckedClaim]] | None,
    concludes: Sequence[bool | None],
) -> Statistic:
    channels = [_counts([[c for c in row if c.claim.channel == channel] for row in own]) for channel in CHANNELS]
    control = _counts(shuffled) if shuffled is not None else np.zeros((len(own), len(VERDICTS)), np.float32)
    about = [{c.claim.channel for c in row if c.verdict != "unverifiable"} for row in own]
    rest = [
        [float(not row), float(len(found)), float(said is True), float(said is not None)]
        for row, found, said in zip(own, about, concludes, strict=True)
    ]
    columns = np.concatenate([_counts(own), control, *channels, np.array(rest, np.float32)], axis=1)
    return Statistic(np.zeros(len(own), np.int64), 1, columns, _scores)


def _counts(rows: Sequence[Sequence[CheckedClaim]]) -> NDArray[np.float32]:
    """Claims of each clip by verdict, (n, 3)."""
    counted = [[sum(c.verdict == verdict for c in row) for verdict in VERDICTS] for row in rows]
    return np.array(counted, np.float32).reshape(len(rows), len(VERDICTS))


def _scores(clips: NDArray[np.float64], sums: NDArray[np.float64]) -> Scores:
    step = len(VERDICTS)
    own, control = sums[:, :step], sums[:, step : 2 * step]
    found = _shares(own, "", "") | _shares(control, "shuffled_", "")
    found["supported_above_shuffled"] = found["supported_of_checked"] - found["shuffled_supported_of_checked"]
    for place, channel in enumerate(CHANNELS, start=2):
        found |= _shares(sums[:, place * step : (place + 1) * step], "", f":{channel}")
    silent, about, concludes, given = sums[:, -4:].T
    checkable = own.sum(axis=1) - own[:, VERDICTS.index("unverifiable")]
    found["claims_per_answer"] = _ratio(own.sum(axis=1), clips[:, 0])
    found["checkable_per_answer"] = _ratio(checkable, clips[:, 0])
    found["channels_per_answer"] = _ratio(about, clips[:, 0])
    found["without_claims"] = _ratio(silent, clips[:, 0])
    found["names_the_label"] = _ratio(concludes, given)
    return found


def _shares(counts: NDArray[np.float64], before: str, after: str) -> Scores:
    every = counts.sum(axis=1)
    found = {f"{before}{verdict}{after}": _ratio(counts[:, place], every) for place, verdict in enumerate(VERDICTS)}
    checked = counts[:, VERDICTS.index("supported")] + counts[:, VERDICTS.index("contradicted")]
    found[f"{before}supported_of_checked{after}"] = _ratio(counts[:, VERDICTS.index("supported")], checked)
    return found


def _ratio(above: NDArray[np.float64], below: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0)


def _frequent(checked: Sequence[Sequence[CheckedClaim]]) -> list[dict[str, Any]]:
    wrong = [c.claim for row in checked for c in row if c.verdict == "contradicted"]
    made = Counter(c.claim.key for row in checked for c in row)
    words = {claim.key: claim.text for claim in reversed(wrong)}
    return [
        {"channel": key[0], "name": key[1], "direction": key[2], "n": n, "of": made[key], "text": words[key]}
        for key, n in Counter(claim.key for claim in wrong).most_common(MOST_FREQUENT)
    ]


def _plain(checked: CheckedClaim) -> dict[str, Any]:
    """One claim with its verdict on one level, for tables."""
    claim = checked.claim.model_dump(exclude={"also"})
    return {**claim, **checked.model_dump(exclude={"claim"})}


def _notes(shift: int) -> list[str]:
    notes = [
        "Claims are read from English text by a word list; action units are those of the peak frame, so a sign that "
        "shows only at another time can count as contradicted.",
        "A system that is given measured clues in its prompt, as ours is, can score high by repeating them: that a "
        "sign is borne out does not say that it led to the answer.",
    ]
    if shift:
        notes.append(f"shuffled_…: the same claims against the measurements of the answer {shift} places further on.")
    else:
        notes.append("A single answer: there is no other clip for the shuffled control.")
    return notes
