"""Does leaving out inputs that cannot be trusted (`analyze --gate`) help? Damaged recordings of validation people.

    python benchmarks/gating.py --data DATA --json docs/gating.json
    python benchmarks/gating.py --data DATA --measures      # what the limits are set on: measures, clean and damaged

No validation person both moves and speaks, so a voice of RAVDESS and a press picture of the same emotion, both of
validation people, make one clip; seven labels, no words. One of the two is damaged, the other is whole. Each clip is
answered without and with `--gate`: accuracy and negative log-likelihood, and their difference on the same clips with
a 95 % interval (clips drawn; chance is 1/7).
"""

from __future__ import annotations

import argparse
import json
import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from emotion_llama.analyze.analyzer import EmotionLlama, load
from emotion_llama.analyze.gating import face_quality, gate, sound_quality
from emotion_llama.analyze.perceive import Percept, Stopwatch, perceive, present_inputs
from emotion_llama.clip import Clip
from emotion_llama.evaluate.robustness.corrupt.noise import noise
from emotion_llama.evaluate.robustness.corrupt.picture import blur, low_light
from emotion_llama.evaluate.robustness.corrupt.sound import add_noise
from emotion_llama.labels import LABEL_SETS, canonical
from emotion_llama.media.types import Frame, Waveform
from emotion_llama.overrides import read_config
from emotion_llama.settings import AnalyzeSettings
from emotion_llama.train.config import TrainConfig
from emotion_llama.train.material import read_items

CONFIG = Path(__file__).resolve().parents[1] / "configs" / "train" / "nano.yaml"
VOICES, PICTURES = "ravdess-voice", "pictures"
LABELS = LABEL_SETS["fer7"]
SETTINGS = AnalyzeSettings(labels=LABELS, tasks=("emotion",), transcribe=False, label_orders=2)
DRAWS = 2000
CLIPPED_GAIN = 30.0

Pixels = NDArray[np.uint8]
Samples = NDArray[np.float32]


@dataclass(frozen=True)
class Damage:
    """Changes a recording on its way in; what is `None` stays whole. An `Alteration` of `perceive`."""

    picture: Callable[[Iterable[Pixels]], Iterator[Pixels]] | None = None
    voice: Callable[[Samples], Samples] | None = None

    def sound(self, waveform: Waveform) -> Waveform:
        """Give the sound to listen to."""
        return waveform if self.voice is None else replace(waveform, samples=self.voice(waveform.samples))

    def frames(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """Give the frames to look at."""
        for frame in frames:
            yield frame if self.picture is None else replace(frame, rgb=next(self.picture([frame.rgb])))

    def original_s(self, time_s: float) -> float:
        """Times stay."""
        return time_s


def noisy(snr_db: float) -> Callable[[Samples], Samples]:
    """Give white noise beside the voice."""
    return lambda samples: add_noise(samples, noise("white", len(samples), 0, 0), snr_db)


def clipped(samples: Samples) -> Samples:
    """Turn far up, and cut off at full scale."""
    return np.clip(samples / max(float(np.abs(samples).max()), 1e-6) * CLIPPED_GAIN, -1, 1).astype(np.float32)


DAMAGES = {
    "whole": Damage(),
    "face blurred (sigma 6 px of 256)": Damage(picture=lambda rows: blur(rows, 6.0)),
    "face blurred (sigma 12 px of 256)": Damage(picture=lambda rows: blur(rows, 12.0)),
    "face dark (6 stops)": Damage(picture=lambda rows: low_light(rows, 6.0, 0)),
    "face dark (9 stops)": Damage(picture=lambda rows: low_light(rows, 9.0, 0)),
    "voice in noise (10 dB)": Damage(voice=noisy(10.0)),
    "voice in noise (0 dB)": Damage(voice=noisy(0.0)),
    "voice in noise (-10 dB)": Damage(voice=noisy(-10.0)),
    "voice clipped (30 dB too loud)": Damage(voice=clipped),
}


@dataclass(frozen=True)
class Pair:
    """A voice and a picture of one emotion."""

    emotion: str
    voice: Path
    picture: Path


def pairs(data: Path, count: int, seed: int) -> list[Pair]:
    """Draw pairs of validation people, the emotions evenly."""
    items = read_items(read_config(TrainConfig, CONFIG, [f"data.root={data}"]))
    found: dict[str, dict[str, list[Path]]] = defaultdict(lambda: defaultdict(list))
    for item in items:
        if item.side == "validation" and item.source in (VOICES, PICTURES) and item.clip.path is not None:
            found[canonical(str(item.emotion))][item.source].append(item.clip.path)
    known = [name for name in map(canonical, LABELS) if len(found[name]) == 2]
    rng = random.Random(seed)
    drawn = []
    for number in range(count):
        emotion = known[number % len(known)]
        drawn.append(Pair(emotion, rng.choice(found[emotion][VOICES]), rng.choice(found[emotion][PICTURES])))
    return drawn


def perceived(pair: Pair, damage: Damage, model: EmotionLlama) -> Percept:
    """What is seen and heard of a pair, as one clip."""
    seen = perceive(Clip(clip=str(pair.picture), path=pair.picture), SETTINGS, model.parts, Stopwatch(), damage)
    heard = perceive(Clip(clip=str(pair.voice), path=pair.voice), SETTINGS, model.parts, Stopwatch(), damage)
    together = (*seen.observations, *heard.observations)
    return replace(heard, faces=seen.faces, frame=seen.frame, peak=seen.peak, observations=together)


def answer(percept: Percept, right: int, model: EmotionLlama) -> dict[str, Any]:
    """Chance of the right label and whether it is the likeliest, without and with the gate."""
    gated = gate(percept, present_inputs(percept, SETTINGS))
    plain = model.probabilities(percept, SETTINGS)
    changed = SETTINGS.model_copy(update={"gate": True})
    careful = model.probabilities(percept, changed) if gated.reasons else plain
    rows = [np.array([chances[label] for label in LABELS]) for chances in (plain, careful)]
    return {
        "gated": sorted(gated.reasons),
        "right": [bool(row.argmax() == right) for row in rows],
        "nll": [float(-np.log(max(row[right], 1e-6))) for row in rows],
    }


def scores(answers: Sequence[dict[str, Any]], seed: int = 0) -> dict[str, Any]:
    """Accuracy and mean NLL without and with the gate, and the paired differences with intervals."""
    found: dict[str, Any] = {
        "n": len(answers),
        "left out": {name: sum(name in one["gated"] for one in answers) for name in ("video", "audio")},
    }
    drawn = np.random.default_rng(seed).integers(0, len(answers), (DRAWS, len(answers)))
    for name in ("right", "nll"):
        values = np.array([one[name] for one in answers], dtype=np.float64)  # (n, 2)
        gain = values[:, 1] - values[:, 0]
        low, high = np.percentile(gain[drawn].mean(axis=1), (2.5, 97.5))
        found["accuracy" if name == "right" else name] = {
            "plain": round(float(values[:, 0].mean()), 4),
            "gated": round(float(values[:, 1].mean()), 4),
            "difference": [round(float(x), 4) for x in (gain.mean(), low, high)],
        }
    return found


def run(data: Path, count: int, seed: int) -> dict[str, Any]:
    """Answer every pair under every damage."""
    model = load("nano", keep_features=False)  # features are kept by content of the file, which damage does not change
    drawn = pairs(data, count, seed)
    names = [canonical(label) for label in LABELS]
    found = {}
    for name, damage in DAMAGES.items():
        answers = [
            answer(perceived(pair, damage, model), names.index(pair.emotion), model) for pair in track(drawn, name)
        ]
        found[name] = scores(answers)
    return {"labels": list(LABELS), "label_orders": SETTINGS.label_orders, "seed": seed, "damages": found}


def measures(data: Path, count: int, seed: int) -> dict[str, Any]:
    """5th, 50th and 95th percentile of each measure that the gate looks at, by damage."""
    model = load("nano", keep_features=False)
    drawn = pairs(data, count, seed)
    found = {}
    for name, damage in DAMAGES.items():
        rows: dict[str, list[float]] = defaultdict(list)
        for pair in track(drawn, name):
            percept = perceived(pair, damage, model)
            face = face_quality(percept.faces) if percept.faces is not None else None
            sound = (
                sound_quality(percept.sound, percept.waveform.samples) if percept.sound and percept.waveform else None
            )
            rows["no face"].append(float(face is None))
            for quality in (face, sound):
                for key, value in vars(quality).items() if quality is not None else ():
                    if value is not None:
                        rows[key].append(value)
        found[name] = {
            key: [round(float(x), 3) for x in np.percentile(some, (5, 50, 95))] for key, some in rows.items()
        }
    return found


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--clips", type=int, default=42, help="pairs of a voice and a picture")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--measures", action="store_true", help="only what the gate measures")
    parser.add_argument("--json", type=Path, help="write the scores to this file")
    options = parser.parse_args()
    found = (measures if options.measures else run)(options.data, options.clips, options.seed)
    text = json.dumps(found, indent=1)
    if options.json is not None:
        options.json.write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
