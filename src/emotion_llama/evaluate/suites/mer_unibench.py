"""MER-UniBench: nine sets answered in free words; hit rate, sign of the sentiment, or emotion wheels."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from emotion_llama.datasets.unibench import SETS, Kind, read_unibench
from emotion_llama.errors import ManifestError
from emotion_llama.evaluate.records import Item, Prediction, Published, Scored
from emotion_llama.evaluate.scorers.sentiment import score_sentiment
from emotion_llama.evaluate.scorers.wheel import CANDIDATES_KEY, score_hits, score_wheel
from emotion_llama.evaluate.suite import Choice, Part, Scorer, ScoreSettings, Suite
from emotion_llama.evaluate.suites.ov_wheel import VARIANTS, choose_tables
from emotion_llama.metrics.wheel_tables import WheelTables

PRIMARY = {"label": "hit_rate", "sentiment": "sign_weighted_f1", "words": "ew_f1_level1"}
"""The score of each kind of set that enters the mean."""
SCORE = "unibench_score"
"""The name that each part's primary score has beside its own, so that the mean over parts can be taken."""

_CONFIRMED = "confirmed in AffectGPT (arXiv 2501.16566)"
_ORDER = ("mer2023", "mer2024", "meld", "iemocap", "mosi", "mosei", "sims", "simsv2", "ovmerd")


def read(folder: Path, choice: Choice) -> list[Part]:
    """Read the sets that the folder holds, each a part. Raises `ManifestError` if it holds none of them."""
    tables = choose_tables(folder, choice.variant)
    parts = []
    for name, one in SETS.items():
        clips = read_unibench(folder, name)
        if clips is not None:
            extra = {CANDIDATES_KEY: one.candidates} if one.candidates else {}
            items = tuple(Item(clip=clip, extra=extra) for clip in clips)
            parts.append(Part(name, items, (), _scorer(one.kind, tables)))
    if not parts:
        raise ManifestError(f"{folder}: expected one or more of {', '.join(SETS)} (folders or manifests), found none")
    return parts


def _scorer(kind: Kind, tables: WheelTables) -> Scorer:
    by_kind: dict[Kind, Scorer] = {
        "label": partial(score_hits, tables=tables),
        "sentiment": score_sentiment,
        "words": partial(score_wheel, tables=tables),
    }
    return partial(_with_primary, by_kind[kind], PRIMARY[kind])


def _with_primary(
    scorer: Scorer,
    primary: str,
    items: Sequence[Item],
    predictions: Sequence[Prediction | None],
    labels: Sequence[str],
    settings: ScoreSettings,
) -> Scored:
    scored = scorer(items, predictions, labels, settings)
    metrics = {SCORE: scored.metrics[primary], **scored.metrics}
    # one headline for all parts: only scores of the same name are averaged over parts
    changes = {"metrics": metrics, "headline": (SCORE,), "settings": {SCORE: primary, **scored.settings}}
    return scored.model_copy(update=changes)


def _row(system: str, *values: float) -> tuple[Published, ...]:
    """One row of the paper's table: the nine sets in `_ORDER`, in per cent, and their mean."""
    *sets, mean = values
    rows = [
        Published(
            system=system, metric=PRIMARY[SETS[name].kind], value=round(v / 100, 4), setting=name, source=_CONFIRMED
        )
        for name, v in zip(_ORDER, sets, strict=True)
    ]
    mean_row = Published(system=system, metric=SCORE, value=round(mean / 100, 4), source=_CONFIRMED)
    return (*rows, mean_row)


SUITE = Suite(
    name="mer-unibench",
    title="MER-UniBench: nine sets answered in free words",
    needs="a folder with one folder or manifest a set, named " + ", ".join(SETS) + "; a manifest has clip and emotion "
    "(the first four), valence (the next four) or labels (ovmerd); a folder holds one, or the official label file "
    "(label-6way.npz, label.npz, label_4way.npz, ovlabel.csv); for official figures also the folder emotion_wheel",
    access="MER2023/2024 and OV-MERD+: EULA on the hub (MERChallenge); IEMOCAP: signed request at USC; MELD, MOSI, "
    "MOSEI, SIMS: their own pages",
    licence="per set; MER and OV-MERD+ CC BY-NC 4.0, no redistribution",
    chance="per part: the hit rate of one label by chance, .5 accuracy of a sign",
    labels=(),
    read=read,
    variants=VARIANTS,
    published=(
        *_row("Emotion-LLaMA", 59.38, 73.62, 46.76, 55.47, 66.13, 67.66, 78.32, 77.23, 52.97, 64.17),
        *_row("AffectGPT", 78.54, 78.80, 55.65, 60.54, 81.30, 80.90, 88.49, 86.18, 62.52, 74.77),
        Published(system="R1-Omni", metric=SCORE, value=0.5961, source="from a later paper's table, not its own"),
        Published(system="MER-R1", metric=SCORE, value=0.8350, source="from a leaderboard excerpt, unconfirmed"),
    ),
    caution="Published figures use the official wheels, a language model for words and signs, and the epoch that is "
    "best on the test sets. Hit rate alone rewards long lists of words: read mscore beside. A mean over fewer than "
    "nine sets is not the published mean.",
)
