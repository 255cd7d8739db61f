"""EMER: how far the written reasons agree with those of human annotators, table 1 of the paper."""

from __future__ import annotations

from pathlib import Path

from emotion_llama.datasets.emer import Language, Version, read_texts
from emotion_llama.evaluate.records import Item, Published
from emotion_llama.evaluate.scorers.overlap import score_reasons
from emotion_llama.evaluate.suite import Choice, Part, Suite

VARIANTS: dict[str, tuple[Version, Language]] = {
    "": (1, "english"),
    "chinese": (1, "chinese"),
    "v2": (2, "english"),
    "v2-chinese": (2, "chinese"),
}

_JUDGE = "scale 1 to 10, judge gpt-3.5-turbo-16k-0613, 100 clips"
_TABLE = "table 1 of the paper (arXiv 2406.11161); confirmed in its repository's README"
_OTHERS = "reported elsewhere, read in a summary and not in the paper; judge not known"


def read(folder: Path, choice: Choice) -> list[Part]:
    """Read the reference texts of a variant, or a manifest with `reasoning`. Raises `ManifestError`."""
    version, language = VARIANTS[choice.variant]
    clips = read_texts(folder, version, language)
    return [Part("emer", tuple(Item(clip=clip) for clip in clips), (), score_reasons, judged="overlap")]


def _published(system: str, clue: float, label: float, setting: str, source: str) -> tuple[Published, ...]:
    return tuple(
        Published(system=system, metric=metric, value=value, setting=setting, source=source)
        for metric, value in (("clue_overlap", clue), ("label_overlap", label))
    )


SUITE = Suite(
    name="emer",
    title="EMER: clue and label overlap of written reasons",
    needs="gt-eng.csv (100 clips; variants: chinese = gt-chi.csv, v2 and v2-chinese = final-EMER-reason.csv, 332 "
    "clips) or a manifest with the column reasoning; to run a model, the clips of MER2023 beside it or in video/",
    access="texts: public, zeroQiaoba/AffectGPT, folder EMER; clips: MER2023 under its EULA, reviewed by hand",
    licence="research only; clips: CC BY-NC, academic use only, no redistribution",
    chance="1 for a text that shares nothing; what a text of another clip reaches stands beside each proxy",
    labels=(),
    read=read,
    variants=tuple(VARIANTS),
    words="given",
    tasks=("reason",),
    published=(
        *_published("Emotion-LLaMA", 7.83, 6.25, _JUDGE, _TABLE),
        *_published("Valley", 7.24, 5.77, _JUDGE, _TABLE),
        *_published("VideoChat-Embed", 7.15, 5.65, _JUDGE, _TABLE),
        *_published("PandaGPT", 7.14, 5.51, _JUDGE, _TABLE),
        *_published("Video-ChatGPT", 6.95, 5.74, _JUDGE, _TABLE),
        *_published("Video-LLaMA", 6.64, 4.89, _JUDGE, _TABLE),
        *_published("VideoChat-Text", 6.42, 3.94, _JUDGE, _TABLE),
        *_published("EmoThinker", 8.67, 7.53, "", _OTHERS),
    ),
    caution="The published overlaps are opinions of a language model that has been retired; they cannot be reproduced. "
    "The proxies given here are not comparable with them; a judge's scores are so only when that judge was anchored on "
    "the published systems. Version 1 has no neutral clip.",
)
