"""IEMOCAP: four emotions in conversations, a session held out."""

from __future__ import annotations

from pathlib import Path

from emotion_llama.datasets.iemocap import LABELS, SESSIONS, read_iemocap
from emotion_llama.evaluate.records import Item, Published
from emotion_llama.evaluate.scorers.labels import score_labels
from emotion_llama.evaluate.suite import Choice, Part, Suite

USUAL = "5"
"""The session that MER-UniBench and most single-split papers test on (1,241 four-class turns)."""


def _read(folder: Path, choice: Choice) -> list[Part]:
    """One session (the fifth unless chosen) or all as a part each; the side `train` is the other sessions."""
    asked: tuple[str, ...] = SESSIONS if choice.variant == "all" else (choice.variant or USUAL,)
    if choice.side == "train":
        asked = tuple(session for session in SESSIONS if session not in asked)
    return [
        Part(
            f"session {session}", tuple(Item(clip=clip) for clip in read_iemocap(folder, session)), LABELS, score_labels
        )
        for session in asked
    ]


SUITE = Suite(
    name="iemocap",
    title="IEMOCAP: four emotions in conversations",
    needs="Session5/dialog/EmoEvaluation/*.txt …; to run a model also Session5/sentences/wav/",
    access="signed request to the University of Southern California (SAIL)",
    licence="research use under the signed licence",
    chance="1 of 4 classes = .25",
    labels=LABELS,
    read=_read,
    variants=("", *SESSIONS, "all"),
    words="given",
    published=(
        Published(
            system="Emotion-LLaMA",
            metric="weighted_f1",
            value=0.7289,
            setting="tuned",
            source="seen in a leaderboard, not in the paper",
        ),
    ),
    caution="Happiness and excitement are one class; turns without a majority label are not asked. A session has two "
    "speakers. There is no validation side. The hit rates that MER-UniBench prints are another measure.",
)
