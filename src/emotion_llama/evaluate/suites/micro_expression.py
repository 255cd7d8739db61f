"""Macro- and micro-expressions from a manifest of the user's: the nearest thing to PRISM, whose data are not public."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from emotion_llama.errors import ManifestError, UsageError
from emotion_llama.evaluate.records import Published
from emotion_llama.evaluate.scorers.labels import score_labels
from emotion_llama.evaluate.suite import Choice, Part, Suite
from emotion_llama.evaluate.suites import custom

KINDS = ("macro", "micro")


def read(path: Path, choice: Choice) -> Sequence[Part]:
    """Give the parts "macro" and "micro" by the manifest's column `kind`; a kind that does not occur is left out.

    Labels that are not given are those that occur in the part. Raises `ManifestError` naming the clip whose kind is
    neither, `UsageError` if a part holds a single label, and otherwise as the suite `custom`.
    """
    items = [item for part in custom.read(path, choice) for item in part.items]
    for item in items:
        kind = item.clip.groups.get("kind")
        if kind not in KINDS:
            found = "none" if kind is None else repr(kind)
            raise ManifestError(f"{path}: clip {item.clip.clip!r}: expected kind macro or micro, found {found}")
    parts = []
    for kind in KINDS:
        own = tuple(item for item in items if item.clip.groups["kind"] == kind)
        labels = choice.labels or tuple(sorted({item.clip.emotion or "" for item in own}))
        if own and len(labels) < 2:
            raise UsageError(f"{path}: only the label {', '.join(labels)} occurs in kind {kind}; give --labels")
        if own:
            parts.append(Part(kind, own, labels, score_labels))
    return parts


SUITE = Suite(
    name="micro-expression",
    title="Macro- and micro-expressions",
    needs="a manifest (.csv or .jsonl) with the columns clip, kind (macro or micro) and emotion; speaker if known",
    access=(
        "your own data. The data of PRISM / ConvoInsight-DB (arXiv 2512.04728) are not public: no data page, size, "
        "split, protocol or formula could be located"
    ),
    licence="that of your data",
    chance="1 / number of labels of the part",
    labels=(),
    read=read,
    sides=("test", "validation", "train"),
    published=(
        Published(
            system="Emotion-LLaMA",
            metric="macro war",
            value=0.735,
            setting="PRISM macro-expressions; neither data nor formula known",
            source="figure handed down with this project, its origin not traced",
        ),
    ),
    caution=(
        "Scores here are not PRISM's: its data and protocol are not public, and its 73.5 cannot be checked or compared "
        "with. Micro-expressions last under half a second: a model that looks at a few frames a second may see none."
    ),
)
