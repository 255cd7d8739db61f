"""MER2024 NOISE: six emotions in Chinese films and series, with noise and blur added."""

from __future__ import annotations

from pathlib import Path

from emotion_llama.datasets.mer import read_mer
from emotion_llama.evaluate.records import Item, Published
from emotion_llama.evaluate.scorers.labels import score_labels
from emotion_llama.evaluate.suite import Choice, Part, Suite
from emotion_llama.labels import LABEL_SETS


def _read(folder: Path, choice: Choice) -> list[Part]:
    clips = read_mer(folder, "mer2024-train" if choice.side == "train" else "mer2024-noise")
    return [Part("mer2024-noise", tuple(Item(clip=clip) for clip in clips), LABEL_SETS["mer6"], score_labels)]


def _published(
    system: str, value: float, source: str = "confirmed in the Emotion-LLaMA repository (figure 10)"
) -> Published:
    return Published(system=system, metric="weighted_f1", value=value, source=source)


SUITE = Suite(
    name="mer2024-noise",
    title="MER2024 NOISE: emotion of clips with noise and blur",
    needs="the released labels of the noise track (name, discrete) as noise-label.csv, test2_name_convert_label.csv or "
    "MER2024-noise_NCE.txt and, to run a model, the clips in video-unlabeled-with-test2noise/",
    access="EULA on the hub, data set MERChallenge/MER2024, reviewed by hand",
    licence="CC BY-NC 4.0, academic use only, no redistribution",
    chance="1 of 6 classes = .167",
    labels=LABEL_SETS["mer6"],
    read=_read,
    published=(
        _published("SZTU-CMU (Conv-Attention, trained with Emotion-LLaMA's pseudo-labels)", 0.8530),
        _published("Emotion-LLaMA (one model)", 0.8452, "confirmed in the text of the paper (arXiv 2406.11161)"),
        _published("BZL arc06", 0.8383),
        _published("VIRlab", 0.8365),
        _published("T_MERG", 0.8271),
        _published("AI4AI", 0.8128),
        _published("USTC-IAT", 0.8066),
        _published("fzq", 0.8062),
        _published("BUPT-BIT", 0.8059),
        _published("Soul AI", 0.8017),
        _published("NWPU-SUST", 0.7972),
        _published("iai-zjy", 0.7842),
        _published("SJTU-XLANCE", 0.7835),
        _published("ILR", 0.7833),
        _published("ACRG_GL", 0.7782),
    ),
    caution="The names of the released label files changed between releases; the columns did not.",
)
