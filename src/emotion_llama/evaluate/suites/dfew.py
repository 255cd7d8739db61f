"""DFEW: faces from films, five folds."""

from __future__ import annotations

from pathlib import Path

from emotion_llama.datasets.dfew import FOLDS, read_dfew
from emotion_llama.evaluate.records import Item, Published
from emotion_llama.evaluate.scorers.labels import score_labels
from emotion_llama.evaluate.suite import Choice, Part, Suite
from emotion_llama.labels import LABEL_SETS


def _read(folder: Path, choice: Choice) -> list[Part]:
    """One fold (the first unless chosen), or all five as a part each."""
    folds = FOLDS if choice.variant == "all" else (choice.variant or "1",)
    return [_part(folder, fold, choice) for fold in folds]


def _part(folder: Path, fold: str, choice: Choice) -> Part:
    clips = read_dfew(folder, fold, "train" if choice.side == "train" else "test")
    return Part(f"fold {fold}", tuple(Item(clip=clip) for clip in clips), LABEL_SETS["dfew7"], score_labels)


def _both(system: str, uar: float, war: float, setting: str, source: str) -> tuple[Published, ...]:
    return (
        Published(system=system, metric="uar", value=uar, setting=setting, source=source),
        Published(system=system, metric="war", value=war, setting=setting, source=source),
    )


_ARITHMETIC = "recalled, arithmetic-checked against the 2,341 clips of fold 1"
_PAPER = "confirmed in the text of Emotion-LLaMA (arXiv 2406.11161), table 2"
_PEERS = "confirmed in the READMEs of HumanOmni and R1-Omni"

SUITE = Suite(
    name="dfew",
    title="DFEW: seven emotions in films",
    needs="EmoLabel_DataSplit/test(single-labeled)/set_1.csv …; to run a model also the clips below Clip/",
    access="signed request at dfew-dataset.github.io",
    licence="academic use only (not confirmed)",
    chance="1 of 7 classes = .143; always neutral: .228 of fold 1",
    labels=LABEL_SETS["dfew7"],
    read=_read,
    variants=("", *FOLDS, "all"),
    published=(
        *_both("Qwen-Audio", 0.2523, 0.3174, "zero-shot, fold 1", _ARITHMETIC),
        *_both("LLaVA-NEXT", 0.2512, 0.3375, "zero-shot, fold 1", _ARITHMETIC),
        *_both("MiniGPT-v2", 0.2529, 0.3447, "zero-shot, fold 1", _ARITHMETIC),
        *_both("Video-LLaVA (video)", 0.2617, 0.3524, "zero-shot, fold 1", _ARITHMETIC),
        *_both("Video-LLaMA", 0.2677, 0.3575, "zero-shot, fold 1", _ARITHMETIC),
        *_both("Emotion-LLaMA", 0.4559, 0.5937, "zero-shot, fold 1", _PAPER),
        Published(system="GPT-4V", metric="war", value=0.5500, setting="zero-shot, fold 1", source=_PAPER),
        *_both("MAE-DFER", 0.6341, 0.7443, "tuned, mean of folds", _PEERS),
        *_both("Emotion-LLaMA", 0.6421, 0.7706, "tuned, fold 1 by its arithmetic", _PEERS),
        *_both("R1-Omni 0.5B", 0.5627, 0.6583, "trained on MAFW and DFEW", "confirmed in the repository's README"),
        *_both("HumanOmni 7B", 0.7486, 0.8246, "DFEW in training", _PEERS),
    ),
    caution="Without a variant fold 1 alone is scored (2,341 clips, 29 of them disgust: one clip is 3.4 points of its "
    "recall). The tuned row of Emotion-LLaMA is one fold; most others are means of five. DFEW has no validation side: "
    "choose nothing on these clips. A clip is its number without leading zeros.",
)
