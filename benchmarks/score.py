"""Score the shipped `nano` on held-out people: `make score DATA=/path/to/data`.

Prints one row for each test part and combination of inputs (n, WAR, UAR, weighted F1 with 95 % bootstrap intervals,
chance and majority) and writes them to docs/results.json. The data folder is described in docs/training.md. Test
people are in no training or validation split; nothing is chosen on these numbers.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table
from sklearn.metrics import accuracy_score, f1_score, recall_score

import emotion_llama as el
from emotion_llama.analyze.analyzer import EmotionLlama
from emotion_llama.clip import Clip, Modality
from emotion_llama.datasets.emodb import read_emodb
from emotion_llama.datasets.picture_folders import read_picture_folder
from emotion_llama.datasets.ravdess import read_ravdess
from emotion_llama.datasets.splits import read_split, split_clips
from emotion_llama.labels import LABEL_SETS, translate
from emotion_llama.settings import AnalyzeSettings

DRAWS = 2000
INPUTS: dict[str, tuple[Modality, ...]] = {
    "video + voice + words": (),
    "video + voice": ("text",),
    "video": ("audio", "text"),
    "voice": ("video", "text"),
    "words": ("video", "audio"),
}


@dataclass(frozen=True)
class Part:
    """One test part: clips, the label set asked, the input combinations to score."""

    name: str
    clips: Sequence[Clip]
    labels: str
    inputs: tuple[str, ...]


@dataclass(frozen=True)
class Row:
    """One line of the table. Intervals are (low, high) of clips drawn with replacement."""

    part: str
    inputs: str
    n: int
    people: int
    classes: int
    chance: float
    majority: float
    war: float
    war_interval: tuple[float, float]
    uar: float
    uar_interval: tuple[float, float]
    weighted_f1: float
    none: int


def parts(data: Path) -> list[Part]:
    """Collect the test parts that the data folder holds."""
    talking = read_ravdess(data / "ravdess_av")
    crop = [c for c in talking if c.clip.startswith("crop")]
    full = [c for c in talking if c.clip.startswith("full")]
    voice = split_clips(read_ravdess(data / "ravdess_audio"), read_split(Path("configs/splits/ravdess.json")))["test"]
    german = split_clips(read_emodb(data / "emodb_audio"), read_split(Path("configs/splits/emodb.json")))["test"]
    pictures = read_picture_folder(data / "faces" / "muxspace_balanced128", "test")
    return [
        Part("RAVDESS talking faces, Actor_05 (crop)", crop, "ravdess8", tuple(INPUTS)),
        Part("RAVDESS talking faces, Actor_05 (full)", full, "ravdess8", ("video + voice + words", "video", "voice")),
        Part("RAVDESS voices, 4 people", voice, "ravdess8", ("voice",)),
        Part("EmoDB voices, 2 people (2 s)", german, "emodb7", ("voice",)),
        Part("muxspace pictures", pictures, "mux8", ("video",)),
    ]


def answers(model: EmotionLlama, part: Part, inputs: str) -> list[str | None]:
    """Ask the model about every clip of a part."""
    labels = LABEL_SETS[part.labels]
    settings = AnalyzeSettings(labels=labels, tasks=("emotion",), without=INPUTS[inputs])
    found = []
    for clip in track(part.clips, description=f"{part.name}: {inputs}"):
        bare = clip.model_copy(update={"transcript": None, "emotion": None, "speaker": None})
        found.append(model.analyze(bare, settings=settings).emotion)
    return found


def score(part: Part, inputs: str, guessed: Sequence[str | None], seed: int = 0) -> Row:
    """Turn answers into one row; an answer that is no label counts as wrong."""
    words = LABEL_SETS[part.labels]
    truth = np.array([translate(clip.emotion or "", words) for clip in part.clips])
    said = np.array([label or "none" for label in guessed])
    present = sorted(set(truth))
    draws = np.random.default_rng(seed).integers(0, len(truth), (DRAWS, len(truth)))
    right = truth == said
    recalls = [_recalls(right[draws], (truth == label)[draws]) for label in present]
    counts = [int((truth == label).sum()) for label in present]
    return Row(
        part=part.name,
        inputs=inputs,
        n=len(truth),
        people=len({clip.speaker for clip in part.clips}),
        classes=len(words),
        chance=1 / len(words),
        majority=max(counts) / len(truth),
        war=float(accuracy_score(truth, said)),
        war_interval=_interval(right[draws].mean(axis=1)),
        uar=float(recall_score(truth, said, labels=present, average="macro", zero_division=0)),
        uar_interval=_interval(np.nanmean(recalls, axis=0)),
        weighted_f1=float(f1_score(truth, said, labels=present, average="weighted", zero_division=0)),
        none=sum(label is None for label in guessed),
    )


def _recalls(right: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Give the recall of one label in each draw (draws,); NaN in a draw without a clip of it."""
    count = wanted.sum(axis=1)
    return np.where(count > 0, (right & wanted).sum(axis=1) / np.maximum(count, 1), np.nan)


def _interval(values: np.ndarray) -> tuple[float, float]:
    low, high = np.percentile(values, (2.5, 97.5))
    return round(float(low), 4), round(float(high), 4)


def table(rows: Sequence[Row]) -> Table:
    """Lay the rows out for the terminal."""
    shown = Table("test part", "inputs", "n", "chance", "majority", "WAR", "UAR", "weighted F1")
    for row in rows:
        low, high = row.war_interval
        shown.add_row(
            row.part, row.inputs, str(row.n), f"{row.chance:.3f}", f"{row.majority:.3f}",
            f"{row.war:.3f} ({low:.3f}–{high:.3f})", f"{row.uar:.3f}", f"{row.weighted_f1:.3f}",
        )  # fmt: skip
    return shown


def main() -> None:
    """Score every part and write the rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", default="nano")
    parser.add_argument("--out", type=Path, default=Path("docs/results.json"))
    parser.add_argument("--only", default="", help="score only parts whose name contains this")
    parser.add_argument("--threads", type=int)
    arguments = parser.parse_args()
    model = el.load(arguments.model, threads=arguments.threads)
    chosen = [part for part in parts(arguments.data) if arguments.only in part.name]
    rows = [score(part, inputs, answers(model, part, inputs)) for part in chosen for inputs in part.inputs]
    Console(width=160).print(table(rows))
    from emotion_llama.model.checkpoint import adapter_sha256

    record = {
        "date": datetime.now(UTC).date().isoformat(),
        "model": arguments.model,
        "weights_sha256": adapter_sha256(model.preset.folder),
        "label_orders": AnalyzeSettings().label_orders,
        "bootstrap_draws": DRAWS,
        "rows": [asdict(row) for row in rows],
    }
    arguments.out.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
