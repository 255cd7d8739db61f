"""Does the conflict flag find clips whose face and voice people hear and see differently? CREMA-D's crowd votes.

    emotion-llama train configs/train/nano-inputs.yaml --data DATA
    python benchmarks/conflict.py --data DATA --run runs/nano-inputs --json docs/conflict.json

DATA holds `ravdess_cremad_features` and `crema_d_labels`. Test actors alone, unless `--side validation`. Systems: the
checkpoint, asked about the face alone and the voice alone; beside it one logistic regression on the face vectors and
one on the voice vectors (strength chosen on validation actors, `crema_d_baseline.py`), taught the emotion that was
played, and two more that were taught what the crowd answered to just that input. Of each, two scores rank the clips:
the Jensen-Shannon divergence of its two answers, which is what the flag looks at, and the chance that two labels drawn
from the two answers differ. AUROC against each truth below, with intervals (actors drawn first). Chance is .5.

The truth can be told in several ways, and all are shown; nothing is chosen by them:

- `winners differ`: the crowd's most frequent answer to the face and to the voice, clips with a tie left out;
- `clearly differ`: the same among clips where both winners have at least half of the votes;
- `votes diverge`: the divergence of the two distributions of votes is above its median.

`rank correlation`: Spearman's, of the system's score with the divergence of the votes. `voice surest`: AUROC of how
sure the voice's answer is, which says how much of the others is that.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from crema_d_baseline import choose, rows_by_side, vectors
from numpy.typing import NDArray

from emotion_llama.analyze.attribution import CLEAR, divergence
from emotion_llama.analyze.features import for_model
from emotion_llama.analyze.scoring import Inputs, score_labels
from emotion_llama.clip import Modality
from emotion_llama.datasets.crema_d import SPLIT, Vote, Votes, read_votes
from emotion_llama.datasets.features import FeatureSet, read_features
from emotion_llama.datasets.splits import read_split
from emotion_llama.encoders.heads import load_heads
from emotion_llama.labels import LABEL_SETS, canonical
from emotion_llama.metrics.ranking import rank_statistic
from emotion_llama.metrics.resample import intervals, speaker_codes
from emotion_llama.metrics.statistic import Metric
from emotion_llama.settings import AnalyzeSettings

LABELS = LABEL_SETS["crema6"]
DRAWS = 2000
CLEAR_SHARE = 0.5
INPUTS: tuple[Modality, ...] = ("video", "audio")

Chances = NDArray[np.float64]
"""Probabilities (n, 6) in the order of `LABELS`."""


@dataclass(frozen=True)
class Answers:
    """What one system says of the same clips from the face alone and from the voice alone."""

    face: Chances
    voice: Chances

    def scores(self) -> dict[str, NDArray[np.float64]]:
        """Name → a score between 0 and 1 of each clip, (n,), that is to be high where the inputs disagree."""
        rows = list(zip(self.face, self.voice, strict=True))
        return {
            "divergence": np.array([divergence(_named(face), _named(voice)) for face, voice in rows]),
            "labels differ": 1 - (self.face * self.voice).sum(axis=1).clip(0, 1),
            "voice surest": self.voice.max(axis=1).clip(0, 1),
        }


@dataclass(frozen=True)
class Truth:
    """The votes of the same clips."""

    face: Sequence[Vote]
    voice: Sequence[Vote]

    def divergence(self) -> NDArray[np.float64]:
        """Divergence of the two distributions of votes, (n,)."""
        return np.array([divergence(_shares(f), _shares(v)) for f, v in zip(self.face, self.voice, strict=True)])

    def definitions(self) -> dict[str, tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
        """Name → which clips count, and which of all clips are in conflict."""
        winners = [(f.emotion, v.emotion) for f, v in zip(self.face, self.voice, strict=True)]
        single = np.array([None not in pair for pair in winners])
        differ = np.array([f != v for f, v in winners])
        clear = np.array([min(_top(f), _top(v)) >= CLEAR_SHARE for f, v in zip(self.face, self.voice, strict=True)])
        apart = self.divergence()
        return {
            "winners differ": (single, differ),
            "clearly differ": (single & clear, differ),
            "votes diverge": (np.ones(len(apart), bool), apart > np.median(apart)),
        }


def _named(row: Chances) -> dict[str, float]:
    return dict(zip(LABELS, map(float, row), strict=True))


def _shares(vote: Vote) -> dict[str, float]:
    total = sum(vote.counts.values())
    return {label: vote.counts[label] / total for label in LABELS}


def _top(vote: Vote) -> float:
    return max(_shares(vote).values())


def auroc(score: NDArray[np.float64], conflict: NDArray[np.bool_], people: Sequence[str | None], seed: int) -> Metric:
    """AUROC of a score between 0 and 1 for finding conflicts, with its interval."""
    found = intervals(
        [], [rank_statistic(score, conflict)], n=len(score), groups=speaker_codes(people), draws=DRAWS, seed=seed
    )
    return found["auroc"]


def report(answers: Answers, truth: Truth, people: Sequence[str | None], seed: int = 0) -> dict[str, Any]:
    """Every score of one system."""
    found: dict[str, Any] = {}
    for name, (counts, conflict) in truth.definitions().items():
        who = [person for person, there in zip(people, counts, strict=True) if there]
        found[name] = {"n": int(counts.sum()), "conflicts": int(conflict[counts].sum())}
        for kind, score in answers.scores().items():
            metric = auroc(score[counts], conflict[counts], who, seed)
            found[name][kind] = [_round(metric.value), _round(metric.low), _round(metric.high)]
    score = answers.scores()["divergence"]
    flagged = (score >= CLEAR) & (answers.face.argmax(axis=1) != answers.voice.argmax(axis=1))
    counts, conflict = truth.definitions()["winners differ"]
    found["flag"] = {
        "raised": int((flagged & counts).sum()),
        "right": int((flagged & conflict & counts).sum()),
        "n": int(counts.sum()),
    }
    apart = truth.divergence()
    found["rank correlation"] = {kind: _round(_spearman(one, apart)) for kind, one in answers.scores().items()}
    agreement = {}
    for name, chances, votes in (("face", answers.face, truth.face), ("voice", answers.voice, truth.voice)):
        known = [(row, vote.emotion) for row, vote in zip(chances, votes, strict=True) if vote.emotion is not None]
        agreement[name] = _round(float(np.mean([LABELS[int(row.argmax())] == emotion for row, emotion in known])))
    found["agrees with the crowd"] = agreement
    return found


def _round(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _spearman(a: NDArray[np.float64], b: NDArray[np.float64]) -> float | None:
    """Spearman's rank correlation; `None` where one of the two is the same for all."""
    ranks = [_ranks(one) for one in (a, b)]
    if min(np.ptp(one) for one in ranks) == 0:
        return None
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks with ties at their mean."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(count)
    return np.asarray((ends - (count - 1) / 2)[place], dtype=np.float64)


def regressions(
    features: FeatureSet,
    sides: Mapping[str, NDArray[np.int64]],
    rows: NDArray[np.int64],
    votes: Mapping[str, Votes] | None,
) -> Answers:
    """Logistic regression on the face vectors and on the voice vectors.

    Taught what was played; with `votes` what the crowd answered to that input, where it has one winner.
    """
    played = np.array([clip.emotion for clip in features.clips])
    found = []
    for inputs, part in (("video", "face"), ("audio", "voice")):
        x = vectors(features, inputs).astype(np.float64)
        emotions, places = played, dict(sides)
        if votes is not None:
            given = [getattr(votes[clip.clip], part) if clip.clip in votes else None for clip in features.clips]
            emotions = np.array([str(vote.emotion) if vote is not None else "None" for vote in given])
            places = {side: of_side[emotions[of_side] != "None"] for side, of_side in sides.items()}
        model, _, _ = choose(x, emotions, places)
        order = [list(model.classes_).index(label) for label in LABELS]
        found.append(model.predict_proba(x[rows])[:, order])
    return Answers(*found)


def opinions(run: Path, features: FeatureSet, rows: NDArray[np.int64]) -> Answers:
    """What the heads of a checkpoint say of each input, without its language model."""
    heads, mean = load_heads(run / "heads.safetensors"), features.mean_video()
    found = []
    for name, array in (("face_emotion", mean), ("voice_emotion", features.audio)):
        head = heads[name]
        columns = [head.labels.index(canonical(label)) for label in LABELS]
        chances = np.stack([head.opinion(array[row][None])[0, columns] for row in rows]).astype(np.float64)
        found.append(chances / chances.sum(axis=1, keepdims=True))
    return Answers(*found)


def checkpoint(run: Path, features: FeatureSet, rows: NDArray[np.int64], orders: int) -> Answers:
    """What a checkpoint trained on these features says of each input alone."""
    from rich.progress import track

    from emotion_llama.analyze.analyzer import load

    model = load(run)
    reader, groups = model.reader, model.reader.model.config.groups
    mean = features.mean_video()
    settings = AnalyzeSettings(labels=LABELS, label_orders=orders)
    found: dict[Modality, list[list[float]]] = {name: [] for name in INPUTS}
    for row in track(rows.tolist(), "asking the checkpoint"):
        arrays = {
            "audio": features.audio[row][None],
            "video": features.video[row, : features.video_len[row]],
            "video_mean": mean[row][None],
        }
        inputs = Inputs.of(for_model(arrays, model.parts.heads, groups), None, INPUTS, groups)
        for name in INPUTS:
            chances = score_labels(reader, model.calibration, inputs.only((name,)), settings).probabilities
            found[name].append([chances[label] for label in LABELS])
    return Answers(np.array(found["video"]), np.array(found["audio"]))


def run(
    data: Path, folder: Path | None, side: str, clips: int | None, orders: int, *, alone: bool, heads: bool
) -> dict[str, Any]:
    """Read, ask, score. `alone`: no regressions beside the checkpoint; `heads`: of the checkpoint its heads alone."""
    features = read_features(data / "ravdess_cremad_features", "CREMA-D")
    votes = read_votes(data / "crema_d_labels")
    sides = rows_by_side(features.clips, read_split(SPLIT))
    asked = [row for row in sides[side] if features.clips[row].clip in votes]
    voted = [votes[features.clips[row].clip] for row in asked]
    kept = [place for place, vote in enumerate(voted) if vote.face is not None and vote.voice is not None]
    if clips is not None:
        kept = sorted(np.random.default_rng(0).permutation(kept)[:clips].tolist())
    rows = np.array([asked[place] for place in kept])
    truth = Truth(
        [vote for place in kept if (vote := voted[place].face) is not None],
        [vote for place in kept if (vote := voted[place].voice) is not None],
    )
    people = [features.clips[row].speaker for row in rows]
    systems: dict[str, Answers] = {}
    if not alone:
        systems["logistic regressions"] = regressions(features, sides, rows, None)
        systems["regressions on the crowd's answers"] = regressions(features, sides, rows, votes)
    if folder is not None:
        systems[f"heads of {folder.name}"] = opinions(folder, features, rows)
    if folder is not None and not heads:
        systems[f"checkpoint {folder.name}"] = checkpoint(folder, features, rows, orders)
    return {
        "side": side,
        "n": len(rows),
        "people": len(set(people)),
        "label_orders": orders,
        "draws": DRAWS,
        "systems": {name: report(one, truth, people) for name, one in systems.items()},
    }


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--run", type=Path, help="checkpoint folder of configs/train/nano-inputs.yaml (default: none)")
    parser.add_argument("--side", choices=("validation", "test"), default="test")
    parser.add_argument("--clips", type=int, help="so many of its clips, drawn with a fixed seed (default: all)")
    parser.add_argument("--orders", type=int, default=2, help="label orders")
    parser.add_argument("--alone", action="store_true", help="the checkpoint without the regressions")
    parser.add_argument("--heads", action="store_true", help="of the checkpoint its heads alone (seconds, not minutes)")
    parser.add_argument("--json", type=Path, help="write the scores to this file")
    options = parser.parse_args()
    if options.alone and options.run is None:
        parser.error("--alone: say --run, the checkpoint")
    words = (options.data, options.run, options.side, options.clips, options.orders)
    found = run(*words, alone=options.alone, heads=options.heads)
    text = json.dumps(found, indent=1)
    if options.json is not None:
        options.json.write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
