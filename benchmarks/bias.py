"""Scores of `nano` by the sex and age of held-out speakers: `python benchmarks/bias.py --data /path/to/data`.

Asks the model about the test voices of RAVDESS and EmoDB (two plain `emotion-llama evaluate …` commands; what was
answered already below `--out` is not asked again) and writes docs/bias.json: scores of each group and of each speaker,
and the difference between groups, from which `tables.py` fills the model card. Intervals draw speakers first, then
their clips; a group of one speaker can only draw clips, and a difference between single speakers has no interval by
speaker. Sex and age are those that the data sets publish; RAVDESS gives no age for a single actor.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from score import command, shown

from emotion_llama.clip import Clip
from emotion_llama.datasets import emodb, ravdess
from emotion_llama.datasets.splits import read_split
from emotion_llama.evaluate.groups import group_values
from emotion_llama.evaluate.records import Report
from emotion_llama.evaluate.scored import SCORED, ScoredClip, read_scored
from emotion_llama.metrics.classes import class_statistic
from emotion_llama.metrics.resample import draw_scores, point_scores, speaker_codes, summarise

ROOT = Path(__file__).resolve().parent.parent
PROPERTIES = ("sex", "age")
SCORES = ("war", "uar")
DRAWS, SEED = 10_000, 0
MODEL = "nano"


@dataclass(frozen=True)
class Part:
    """One evaluation: its words for `evaluate`, how its clips are read, who was trained on."""

    name: str
    title: str
    words: str
    folder: str
    read: Callable[[Path], list[Clip]]
    split: Path


PARTS = (
    Part(
        "ravdess-voice", "RAVDESS voices",
        f"ravdess --data {{data}}/ravdess_audio --variant voice --model {MODEL} --without video,text",
        "ravdess_audio", lambda folder: ravdess.read_ravdess(folder, modality="audio-only"), ravdess.SPLIT,
    ),
    Part(
        "emodb", "EmoDB voices (2 s)", f"emodb --data {{data}}/emodb_audio --model {MODEL} --without video,text",
        "emodb_audio", emodb.read_emodb, emodb.SPLIT,
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Group:
    """The scores of some clips: as they are, and in each draw (D,); how many people they are of."""

    value: str
    people: tuple[str, ...]
    n: int
    point: Mapping[str, float]
    drawn: Mapping[str, NDArray[np.float64]]

    def record(self) -> dict[str, Any]:
        """The group as JSON, with intervals."""
        return {
            "value": self.value, "people": list(self.people), "n": self.n,
            **{name: metric(self.point[name], self.drawn[name], self.n) for name in SCORES},
        }  # fmt: skip


def metric(value: float, drawn: NDArray[np.float64] | None, n: int) -> dict[str, float | None]:
    """A score and its 95 % interval; without draws, without one."""
    found = summarise(value, np.zeros(0) if drawn is None else drawn, n)
    return {"value": found.value, "low": found.low, "high": found.high}


def scored_group(value: str, rows: Sequence[ScoredClip], labels: Sequence[str], draws: int, seed: int) -> Group:
    """Score some clips, with draws of speakers and then of their clips; of clips alone where they are of one."""
    place = {label: number for number, label in enumerate(labels)}
    truth = np.array([place[str(row.emotion)] for row in rows], np.int64)
    said = np.array([_said(row, place) for row in rows], np.int64)
    statistic = class_statistic(truth, said, len(labels), over="present")
    codes = speaker_codes([row.speaker for row in rows])
    (drawn,) = draw_scores([statistic], n=len(rows), groups=codes, draws=draws, seed=seed, whole=True)
    people = tuple(sorted({str(row.speaker) for row in rows}))
    point = {name: float(found[0]) for name, found in point_scores(statistic).items()}
    return Group(value, people, len(rows), point, drawn)


def _said(row: ScoredClip, place: Mapping[str, int]) -> int:
    """The column of an answer: a label, invalid or missing."""
    if not row.answered:
        return len(place) + 1
    return len(place) if row.answer is None else place[row.answer]


def difference(a: Group, b: Group) -> dict[str, Any]:
    """B − A in each score. The interval draws people within either group, so each must have two or more.

    `least_p`: the smallest two-sided p value that exchanging whole people between the groups can ever give.
    """
    many = min(len(a.people), len(b.people)) > 1
    ways = math.comb(len(a.people) + len(b.people), len(a.people))
    same_size = len(a.people) == len(b.people)
    return {
        "a": a.value, "b": b.value, "least_p": (2 if same_size else 1) / ways,
        **{
            name: metric(b.point[name] - a.point[name], b.drawn[name] - a.drawn[name] if many else None, a.n + b.n)
            for name in SCORES
        },
    }  # fmt: skip


def by_property(
    name: str, rows: Sequence[ScoredClip], of_clip: Mapping[str, str | None], labels: Sequence[str], draws: int
) -> dict[str, Any] | None:
    """Scores of the groups of one property and their differences; `None` where the clips have fewer than two groups."""
    values = sorted({value for row in rows if (value := of_clip[row.clip]) is not None})
    if len(values) < 2:
        return None
    groups = [
        scored_group(value, [row for row in rows if of_clip[row.clip] == value], labels, draws, SEED + number)
        for number, value in enumerate(values)  # draws of two groups must not be the same ones
    ]
    differences = [difference(groups[0], other) for other in groups[1:]]
    return {"property": name, "groups": [group.record() for group in groups], "differences": differences}


def measured(
    part: Part, report: Report, rows: Sequence[ScoredClip], clips: Sequence[Clip], draws: int = DRAWS
) -> dict[str, Any]:
    """Give the record of one part. `rows` are the scored clips, `clips` those of all sides with their groups."""
    labels = report.settings["labels"]
    known = {clip.clip: clip for clip in clips}
    mine = [known[row.clip] for row in rows]
    found = []
    for name in PROPERTIES:
        values = dict(zip([clip.clip for clip in mine], group_values(mine, name), strict=True))
        found.append(by_property(name, rows, values, labels, draws))
    people = sorted({str(row.speaker) for row in rows})
    facts = {str(clip.speaker): clip.groups for clip in mine}
    one_by_one = [
        {
            **scored_group(one, [row for row in rows if row.speaker == one], labels, draws, SEED).record(),
            **{name: facts[one].get(name) for name in PROPERTIES},
        }
        for one in people
    ]
    return {
        "part": part.title, "command": shown(part.words, part.name), "n": len(rows),
        "learned_from": _learned(part, clips),
        "properties": [one for one in found if one is not None], "people": one_by_one,
    }  # fmt: skip


def _learned(part: Part, clips: Sequence[Clip]) -> dict[str, int]:
    """How many people of each sex the training side holds."""
    split = read_split(part.split)
    sexes = {str(clip.speaker): str(clip.groups["sex"]) for clip in clips if clip.speaker in split.train}
    return {sex: list(sexes.values()).count(sex) for sex in sorted(set(sexes.values()))}


def main() -> None:
    """Ask the model, count and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=ROOT / "out/bias")
    parser.add_argument("--json", type=Path, default=ROOT / "docs/bias.json")
    arguments = parser.parse_args()
    data, out = arguments.data.resolve(), arguments.out.resolve()
    parts, models = [], []
    for part in PARTS:
        subprocess.run(command(part.words, part.name, data, out), check=True)
        report = Report.model_validate_json((out / part.name / "report.json").read_bytes())
        parts.append(measured(part, report, read_scored(out / part.name / SCORED), part.read(data / part.folder)))
        models.append((str(report.provenance["date"])[:10], report.provenance["model"]))
    date, model = models[0]
    written = {
        "date": date, "model": MODEL, "weights_sha256": model["weights_sha256"], "label_orders": model["label_orders"],
        "draws": DRAWS, "seed": SEED, "parts": parts,
    }  # fmt: skip
    arguments.json.write_text(json.dumps(written, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"wrote {arguments.json}; now: python benchmarks/tables.py")


if __name__ == "__main__":
    main()
