"""MER2024 MER-OV: free emotion words for 332 clips, synonyms made one by stored groups."""

from __future__ import annotations

from pathlib import Path

from emotion_llama.datasets.open_labels import find_groups, read_open_clips
from emotion_llama.errors import ManifestError
from emotion_llama.evaluate.records import Item, Published
from emotion_llama.evaluate.scorers.label_sets import GROUPS_KEY, score_grouped
from emotion_llama.evaluate.suite import Choice, Part, Suite

_ARITHMETIC = "table 4 of the paper, recalled; the gap of 8.52 to GPT-4V is confirmed in its text"
_RECALLED = "table 4 of the paper, recalled: weaker, only the mean of its columns was checked"


def read(folder: Path, choice: Choice) -> list[Part]:
    """Read true words and, where the folder has them, the stored groups. Raises `ManifestError`."""
    clips = read_open_clips(folder)
    groups = find_groups(folder if folder.is_dir() else folder.parent)
    if groups is not None and not any(clip.clip in groups for clip in clips):
        raise ManifestError(f"{folder}: the stored groups name none of the clips, for instance {next(iter(groups))!r}")
    items = [
        Item(clip=clip, extra={GROUPS_KEY: groups[clip.clip]} if groups is not None and clip.clip in groups else {})
        for clip in clips
    ]
    return [Part("mer-ov", tuple(items), (), score_grouped, judged="groups")]


def _published(system: str, accuracy: float, recall: float, source: str) -> tuple[Published, ...]:
    average = round((accuracy + recall) / 2, 2)
    values = (("set_avg", average), ("set_accuracy", accuracy), ("set_recall", recall))
    return tuple(
        Published(system=system, metric=metric, value=round(value / 100, 4), setting="GPT-3.5 groups", source=source)
        for metric, value in values
    )


SUITE = Suite(
    name="mer-ov",
    title="MER2024 MER-OV: open-vocabulary emotion words, set accuracy and recall",
    needs="check-openset.csv (name, openset) or a manifest with labels; groups of synonyms made for the answers that "
    "are scored: groups.jsonl, or the official openset-synonym.zip for the official example answers; to run a model, "
    "the clips",
    access="example files: ov_store of MERTools (MER2024); clips: EULA, data set MERChallenge/MER2024, reviewed",
    licence="CC BY-NC 4.0, academic use only, no redistribution",
    chance="random words about .134 accuracy, .249 recall (recalled from the paper)",
    labels=(),
    read=read,
    published=(
        *_published("Emotion-LLaMA", 69.61, 62.59, _ARITHMETIC),
        *_published("GPT-4V", 56.19, 58.97, _ARITHMETIC),
        *_published("AffectGPT (2024)", 66.14, 46.56, _RECALLED),
        *_published("mPLUG-Owl", 44.80, 46.54, _RECALLED),
        *_published("VideoChat", 43.17, 44.92, _RECALLED),
        *_published("SALMONN", 42.20, 44.75, _RECALLED),
        *_published("Video-ChatGPT", 46.20, 39.33, _RECALLED),
        *_published("Otter", 29.64, 23.04, _RECALLED),
    ),
    caution="The published figures rest on groups by a retired language model, made anew for each system and five "
    "times. Groups by another judge, or by our label table, give other numbers. set_accuracy is a precision.",
)
