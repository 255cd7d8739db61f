"""MER2023: six emotions in Chinese films and series, three test sets."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from emotion_llama.datasets.mer import read_mer
from emotion_llama.evaluate.records import Item, Published
from emotion_llama.evaluate.scorers.labels import score_labels, score_labels_and_valence
from emotion_llama.evaluate.suite import Choice, Part, Scorer, Suite
from emotion_llama.labels import LABEL_SETS

_README = "confirmed in the Emotion-LLaMA repository's README (table 3)"
_BASELINE = "confirmed in the abstract of the MER2023 baseline paper (arXiv 2304.08981)"
_VALENCE = (
    "Valence is scored on the data set's own scale, which is wider than -1 to 1: a system that answers on another "
    "scale has to be rescaled first."
)


def _read(folder: Path, choice: Choice, subset: str, score: Scorer) -> list[Part]:
    clips = read_mer(folder, "mer2023-train" if choice.side == "train" else subset)
    return [Part(subset, tuple(Item(clip=clip) for clip in clips), LABEL_SETS["mer6"], score)]


def _suite(name: str, title: str, labels: str, published: tuple[Published, ...], valence: bool) -> Suite:
    return Suite(
        name=name,
        title=title,
        needs=f"{labels}-label.csv (name, discrete, valence) and, to run a model, the clips in {labels}/",
        access="EULA on the hub, data set MERChallenge/MER2023, reviewed by hand",
        licence="CC BY-NC 4.0, academic use only, no redistribution",
        chance="1 of 6 classes = .167",
        labels=LABEL_SETS["mer6"],
        read=partial(_read, subset=name, score=score_labels_and_valence if valence else score_labels),
        published=published,
        caution=_VALENCE if valence else "",
    )


def _weighted_f1(system: str, value: float, setting: str) -> Published:
    return Published(system=system, metric="weighted_f1", value=value, setting=setting, source=_README)


def _score(value: float) -> Published:
    return Published(system="MER2023 baseline", metric="mer2023_score", value=value, source=_DERIVED)


_DERIVED = "weighted F1 less a quarter of the MSE, from the two figures of the MER2023 baseline paper"

SEMI = _suite(
    "mer2023-semi",
    "MER2023 SEMI: 834 labelled clips of the unlabelled pool",
    "test3",
    (
        _weighted_f1("wav2vec 2.0", 0.4028, "audio"),
        _weighted_f1("VGGish", 0.5481, "audio"),
        _weighted_f1("HuBERT", 0.8511, "audio"),
        _weighted_f1("ResNet", 0.4132, "video"),
        _weighted_f1("MAE", 0.5547, "video"),
        _weighted_f1("VideoMAE", 0.6068, "video"),
        _weighted_f1("RoBERTa", 0.4061, "text"),
        _weighted_f1("BERT", 0.4360, "text"),
        _weighted_f1("MacBERT", 0.4632, "text"),
        _weighted_f1("MER2023 baseline", 0.8675, "audio, video"),
        _weighted_f1("MER2023 baseline", 0.8640, "audio, video, text"),
        _weighted_f1("Transformer", 0.8853, "audio, video, text"),
        _weighted_f1("FBP", 0.8855, "audio, video, text"),
        _weighted_f1("VAT", 0.8911, "audio, video"),
        _weighted_f1("Emotion-LLaMA", 0.8905, "audio, video"),
        _weighted_f1("Emotion-LLaMA", 0.9036, "audio, video, text"),
    ),
    valence=False,
)
MULTI = _suite(
    "mer2023-multi",
    "MER2023 MULTI: emotion and valence of 411 clips",
    "test1",
    (
        Published(system="MER2023 baseline", metric="weighted_f1", value=0.7757, source=_BASELINE),
        Published(system="MER2023 baseline", metric="valence_mse", value=0.82, source=_BASELINE),
        _score(0.5707),
    ),
    valence=True,
)
NOISE = _suite(
    "mer2023-noise",
    "MER2023 NOISE: emotion and valence of 412 clips with noise and blur",
    "test2",
    (
        Published(system="MER2023 baseline", metric="weighted_f1", value=0.6982, source=_BASELINE),
        Published(system="MER2023 baseline", metric="valence_mse", value=1.12, source=_BASELINE),
        _score(0.4182),
    ),
    valence=True,
)
SUITES = (SEMI, MULTI, NOISE)
