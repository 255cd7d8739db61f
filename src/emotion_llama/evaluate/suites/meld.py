"""MELD: utterances of a television series, as text or with their clips."""

from __future__ import annotations

from pathlib import Path

from emotion_llama.datasets.meld import has_clips, read_meld
from emotion_llama.evaluate.records import Item, Published
from emotion_llama.evaluate.scorers.labels import score_labels
from emotion_llama.evaluate.suite import Choice, Part, Suite
from emotion_llama.labels import LABEL_SETS


def _read(folder: Path, choice: Choice) -> list[Part]:
    with_clips = choice.variant == "video" or (choice.variant == "" and has_clips(folder, choice.side))
    clips = read_meld(folder, choice.side, with_clips)
    items = tuple(Item(clip=clip) for clip in clips)
    return [Part("video" if with_clips else "text", items, LABEL_SETS["meld7"], score_labels)]


_SCRAPE = "seen in a leaderboard, not in the paper; trained on MELD"

SUITE = Suite(
    name="meld",
    title="MELD: emotion of utterances in dialogues",
    needs="test_sent_emo.csv (validation: dev_sent_emo.csv); for video also the clips: output_repeated_splits_test/ …",
    access="free download from the repository declare-lab/MELD",
    licence="annotation GPL-3.0; the script and the clips belong to their owner",
    chance="1 of 7 classes = .143; always neutral: .481 of the test side",
    labels=LABEL_SETS["meld7"],
    read=_read,
    variants=("", "text", "video"),
    sides=("test", "validation"),
    words="given",
    shares_people=True,
    published=(
        Published(system="MiSTER-E", metric="weighted_f1", value=0.6950, setting="tuned", source=_SCRAPE),
        Published(system="Emotion-LLaMA", metric="weighted_f1", value=0.6711, setting="tuned", source=_SCRAPE),
    ),
    caution="The published split is by dialogue: the same characters speak on every side. Each utterance is asked "
    "alone, without the dialogue around it, which tuned systems see. The hit rates "
    "that MER-UniBench prints for MELD are another measure.",
)
