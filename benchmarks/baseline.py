"""What a person's own baseline does, person by person: recordings with and without it.

    python benchmarks/baseline.py --data DATA --json docs/baseline-scores.json
    python benchmarks/baseline.py --data DATA --steps      # what the steps of describe.yaml are rounded from

DATA holds `ravdess_audio` and `ravdess_av`. People: RAVDESS validation and test voices, and the one man who is seen to
move (`ravdess_av/crop`, his voice is among the test voices too). Of each, `--clips` recordings, evenly over the
emotions, are answered without a baseline and beside all other recordings of the person (never the same sentence,
emotion, strength and repetition), no words; accuracy and negative log-likelihood, and their difference on the same
clips with a 95 % interval (clips of the person drawn; over people: people first). Chance is 1/8.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from emotion_llama.analyze.analyzer import EmotionLlama, load
from emotion_llama.analyze.perceive import Stopwatch, perceive
from emotion_llama.analyze.profile import gather, make_profile
from emotion_llama.clip import Clip
from emotion_llama.datasets.ravdess import SPLIT, read_ravdess
from emotion_llama.datasets.splits import read_split
from emotion_llama.labels import LABEL_SETS
from emotion_llama.media import probe, read_waveform
from emotion_llama.metrics.resample import draw_weights, speaker_codes
from emotion_llama.perception.describe import word_table
from emotion_llama.perception.sound import perceive_sound
from emotion_llama.settings import AnalyzeSettings

LABELS = LABEL_SETS["ravdess8"]
SETTINGS = AnalyzeSettings(labels=LABELS, tasks=("emotion",), transcribe=False, label_orders=2)
DRAWS = 2000
MOVING = "ravdess_av/crop"
PERCENT = (3, 8, 20, 80, 92, 97)


def take(clip: Clip) -> str:
    """What is the same of two views of one moment."""
    return Path(clip.clip).stem[3:]


def evenly(clips: Sequence[Clip], count: int) -> list[Clip]:
    """Give `count` clips, the emotions by turns."""
    by_emotion: dict[str, list[Clip]] = defaultdict(list)
    for clip in sorted(clips, key=take):
        by_emotion[str(clip.emotion)].append(clip)
    turns = [some[at] for at in range(len(clips)) for some in by_emotion.values() if at < len(some)]
    return turns[:count]


def answers(clips: Sequence[Clip], count: int, model: EmotionLlama, about: str) -> NDArray[np.float64]:
    """Whether right and the NLL, without and with the baseline, of `count` clips of one person, (n, 2, 2)."""
    known = {clip.clip: gather(clip, model.parts) for clip in track(clips, f"{about}: looking")}
    found = []
    for clip in track(evenly(clips, count), f"{about}: answering"):
        others = [known[other.clip] for other in clips if take(other) != take(clip)]
        profile = make_profile(others, "nano", model.baselines.weights_sha256, model.parts.population)
        percept = perceive(clip, SETTINGS, model.parts, Stopwatch())
        right = LABELS.index(str(clip.emotion))
        row = []
        for own in (None, profile):
            chances = np.array([model.probabilities(percept, SETTINGS, own)[label] for label in LABELS])
            row.append([float(chances.argmax() == right), float(-np.log(max(chances[right], 1e-6)))])
        found.append(row)
    return np.array(found)


def scores(values: NDArray[np.float64], people: Sequence[str], seed: int = 0) -> dict[str, Any]:
    """Accuracy and NLL without and with (n, 2, 2), and the paired differences with their intervals."""
    gain = values[:, 1] - values[:, 0]  # (n, 2)
    drawn = np.concatenate(
        [
            (weights @ gain) / weights.sum(axis=1, keepdims=True)
            for weights in draw_weights(len(values), speaker_codes(people), DRAWS, seed)
        ]
    )
    low, high = np.percentile(drawn, (2.5, 97.5), axis=0)
    found: dict[str, Any] = {"n": len(values), "people": len(set(people))}
    for column, name in enumerate(("accuracy", "nll")):
        found[name] = {
            "without": round(float(values[:, 0, column].mean()), 4),
            "beside": round(float(values[:, 1, column].mean()), 4),
            "difference": [round(float(x), 4) for x in (gain[:, column].mean(), low[column], high[column])],
        }
    return found


def people_of(data: Path, wanted: Sequence[str]) -> dict[str, tuple[str, list[Clip]]]:
    """Name of a row → side, and the person's clips."""
    split = read_split(SPLIT)
    sides = {person: "validation" for person in split.validation} | {person: "test" for person in split.test}
    rows: dict[str, tuple[str, list[Clip]]] = {}
    for clip in read_ravdess(data / "ravdess_audio"):
        person = str(clip.speaker)
        if person in sides and (not wanted or person in wanted):
            rows.setdefault(f"{person}, voice", (sides[person], []))[1].append(clip)
    if not wanted or "face" in wanted:
        rows["Actor_05, face and voice"] = ("test", list(read_ravdess(data / MOVING)))
    return rows


def run(data: Path, wanted: Sequence[str], count: int, file: Path | None) -> dict[str, Any]:
    """Answer the clips of each person; `file` is written anew after each of them."""
    model = load("nano")
    found: dict[str, Any] = {}
    voices: list[tuple[str, str, NDArray[np.float64]]] = []
    for name, (side, clips) in people_of(data, wanted).items():
        values = answers(clips, count, model, name)
        found[name] = {"side": side, "other recordings": len(clips) - 1, **scores(values, [name] * len(values))}
        if name.endswith("voice") and "face" not in name:
            voices.append((name, side, values))
        write(found, file)
    for side in ("validation", "test"):
        some = [(name, values) for name, of_side, values in voices if of_side == side]
        if len(some) > 1:
            people = [name for name, values in some for _ in values]
            found[f"all {side} voices"] = {"side": side, **scores(np.concatenate([v for _, v in some]), people)}
    write(found, file)
    return found


def write(found: dict[str, Any], file: Path | None) -> None:
    """Write the scores so far."""
    if file is not None:
        about = {"label_orders": SETTINGS.label_orders, "draws": DRAWS, "people": found}
        file.write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")


def steps(data: Path) -> dict[str, Any]:
    """Percentiles of the voice measures' departures from the person's own median, every second training clip."""
    train = sorted(read_split(SPLIT).train)[:8]
    values: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for person in train:
        mine = [clip for clip in read_ravdess(data / "ravdess_audio") if clip.speaker == person][::2]
        for clip in track(mine, person):
            assert clip.path is not None
            voice = perceive_sound(read_waveform(probe(clip.path)), None, "").voice
            for name in word_table().voice if voice is not None else ():
                if (value := getattr(voice, name)) is not None:
                    values[name][person].append(float(value))
    found = {}
    for name, norm in word_table().voice.items():
        if norm.own is None:
            continue
        rows = [np.array(some) for some in values[name].values()]
        scale = {
            "difference": lambda x: x - np.median(x),
            "share": lambda x: x / np.median(x) - 1,
            "semitones": lambda x: 12 * np.log2(x / np.median(x)),
        }[norm.own.scale]
        departures = np.concatenate([scale(row) for row in rows])
        percentiles = {f"{p} %": round(float(np.percentile(departures, p)), 2) for p in PERCENT}
        found[name] = {"n": len(departures), "scale": norm.own.scale, **percentiles}
    return {"people": train, "departures": found}


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--people", nargs="*", default=(), help="Actor_04 …, or face for the moving one (default: all)")
    parser.add_argument("--clips", type=int, default=32, help="recordings of each that are answered")
    parser.add_argument("--steps", action="store_true", help="only how far voices depart from their own median")
    parser.add_argument("--json", type=Path, help="write the scores to this file")
    options = parser.parse_args()
    found = steps(options.data) if options.steps else run(options.data, options.people, options.clips, options.json)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
