"""`python -m emotion_llama.train CONFIG.yaml --data FOLDER`: from raw data sets to a checkpoint folder."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from rich.console import Console

from emotion_llama.analyze.parts import Parts
from emotion_llama.datasets.goemotions import read_goemotions
from emotion_llama.encoders.heads import EmotionHead, save_heads
from emotion_llama.labels import canonical
from emotion_llama.model.checkpoint import adapter_sha256, save_adapter
from emotion_llama.model.processing import TrainSample
from emotion_llama.model.score import ClipReader
from emotion_llama.train.calibrate import calibrate
from emotion_llama.train.combine import IN_SAMPLE_CORPUS, Combiner, Pool, Text, by_emotion
from emotion_llama.train.config import NanoTraining
from emotion_llama.train.examples import Example
from emotion_llama.train.extract import pictures, voices
from emotion_llama.train.fit import Trainee, build, train
from emotion_llama.train.heads import FittedHead, fit_head

CALIBRATION_SAMPLES = 420
STATISTICS_SAMPLES = 600
MAX_TEXT_CHARACTERS = 120
console = Console(stderr=True)


def main() -> None:
    """Train, calibrate and write one checkpoint."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds the data sets")
    arguments = parser.parse_args()
    run(NanoTraining.from_yaml(arguments.config), arguments.data)


def run(config: NanoTraining, data: Path) -> None:
    """Run all stages; every random choice follows `config.seed`."""
    start = time.perf_counter()
    out = Path(config.out)
    parts = Parts(out, "cpu", 2)
    heard = [e for e in voices(config, data, parts) if e.person not in config.held_out_speakers]
    seen = pictures(config, data, parts)
    voice_head = fit_head("voice_emotion", heard, "audio_layers", config.seed)
    face_head = fit_head("face_emotion", seen, "head_row", config.seed)
    for fitted in (voice_head, face_head):
        console.print(f"{fitted.head.name}: C {fitted.strength}, mean recall {fitted.recall}")
    pools = {side: _pool(config, data, side, heard, seen, voice_head, face_head) for side in ("train", "validation")}
    heads = {"voice_emotion": voice_head.head, "face_emotion": face_head.head}
    trainee = build(config, heads, [s for s in _draw(pools["train"], config, STATISTICS_SAMPLES, 1, closed=False)])
    checks = _draw(pools["validation"], config, config.validation_clips, 2)
    log = train(trainee, config, Combiner(pools["train"], config, config.seed), checks)
    _write(out, trainee, config, heads, log, _draw(pools["validation"], config, CALIBRATION_SAMPLES, 3), start)


def _write(
    out: Path,
    trainee: Trainee,
    config: NanoTraining,
    heads: dict[str, EmotionHead],
    log: list[dict[str, float]],
    samples: list[TrainSample],
    start: float,
) -> None:
    calibration, accuracy = calibrate(
        ClipReader(trainee.model, trainee.processor), samples, "validation people and texts, label-matched combinations"
    )
    out.mkdir(parents=True, exist_ok=True)
    save_adapter(trainee.model, out)
    save_heads(heads, out / "heads.safetensors")
    (out / "calibration.json").write_text(calibration.model_dump_json(indent=2) + "\n", encoding="utf-8")
    record = {
        "settings": config.model_dump(mode="json"),
        "log": log,
        "validation_accuracy_by_inputs": accuracy,
        "seconds": round(time.perf_counter() - start),
        "adapter_sha256": adapter_sha256(out),
    }
    (out / "training.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    console.print(f"validation accuracy by inputs: {accuracy}")
    console.print(f"wrote {out}")


def _pool(
    config: NanoTraining,
    data: Path,
    side: str,
    heard: list[Example],
    seen: list[Example],
    voice_head: FittedHead,
    face_head: FittedHead,
) -> Pool:
    voice = [e for e in heard if e.side == side and e.id in voice_head.outputs]
    face = [e for e in seen if e.side == side and e.id in face_head.outputs]
    if side != "train":  # judged and calibrated only on faces that none of the nets has seen
        face = [e for e in face if e.corpus != IN_SAMPLE_CORPUS]
    return Pool(
        voices=by_emotion(voice),
        faces=by_emotion(face),
        texts=by_emotion(_texts(data / config.goemotions / ("train.tsv" if side == "train" else "dev.tsv"))),
        voice_outputs=voice_head.outputs,
        face_outputs=face_head.outputs,
    )


def _texts(path: Path) -> list[Text]:
    """Short comments with exactly one label, in canonical words."""
    return [
        Text(f"{path.stem}/{row}", line.text.replace("[NAME]", "Alex"), canonical(line.labels[0]))
        for row, line in enumerate(read_goemotions(path))
        if len(line.labels) == 1 and len(line.text) <= MAX_TEXT_CHARACTERS
    ]


def _draw(pool: Pool, config: NanoTraining, count: int, stream: int, *, closed: bool = True) -> list[TrainSample]:
    """Draw a fixed set of samples; with `closed` only those that ask for one label of a set and have an input."""
    combiner = Combiner(pool, config, config.seed + 1000 * stream)
    found: list[TrainSample] = []
    while len(found) < count:
        sample = combiner.draw()
        if not closed or (sample.task == "emotion" and sample.labels and (sample.features or sample.transcript)):
            found.append(sample)
    return found


if __name__ == "__main__":
    main()
