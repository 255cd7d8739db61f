"""A converted release is trained on with feature files; the result is a small folder that rests on it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from emotion_llama.analyze.feature_files import write_clip
from emotion_llama.errors import ModelError
from emotion_llama.model.checkpoint import load_adapter, load_merged, on_whole_model, read_config
from emotion_llama.overrides import read_config as read_settings
from emotion_llama.train.config import TrainConfig
from emotion_llama.train.run import run

SETTINGS = """
out: {out}
about: tuned from a small release
licence: CC0-1.0
model: {{init: {init}, lora: null}}
data:
  root: {root}
  sources:
    - {{name: own, path: m.jsonl, split: {{validation: 0.3}}, labels: [happy, sad], features: [rows]}}
samples: {{tasks: {{emotion: 0.5, reason: 0.5}}, official_answers: true, blank: 0}}
schedule: {{steps: 2, batch_size: 2, warmup_steps: 0, learning_rate: 1.0e-2}}
validation: {{every: 2, clips: 4, metric: last}}
calibration: null
"""


@pytest.fixture(scope="module")
def tuned(converted: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of two steps."""
    root = tmp_path_factory.mktemp("tuning")
    draw = np.random.default_rng(0)
    widths = {group.name: (group.tokens, group.width) for group in read_config(converted).groups}
    lines = []
    for number in range(12):
        rows = {name: draw.normal(0, 0.3, shape).astype(np.float32) for name, shape in widths.items()}
        write_clip(root / "rows", f"c{number}", rows, "own")
        label = ("happy", "sad")[number % 2]
        lines.append({"clip": f"c{number}", "speaker": f"p{number % 6}", "emotion": label, "transcript": "Well.",
                      "reasoning": f"The voice is {label}. So (I think) the emotion is {label}."})  # fmt: skip
    (root / "m.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    path = root / "settings.yaml"
    path.write_text(SETTINGS.format(out=root / "tuned", init=converted, root=root), encoding="utf-8")
    return run(read_settings(TrainConfig, path, []))


def test_the_result_rests_on_the_release_and_has_moved(tuned: Path, converted: Path) -> None:
    config = read_config(tuned)
    assert config.llm == str(converted.resolve()) and config.wording == "official" and config.layout == "aligned"
    assert all(Path(path).is_absolute() for path in config.encoders.values())
    assert not (tuned / "model.safetensors").exists()
    before, after = load_merged(converted).state_dict(), load_adapter(tuned, converted, merge=False).state_dict()
    moved = {name for name in after if not np.array_equal(before[name].numpy(), after[name].numpy())}
    assert any(".lora_B" in name for name in moved) and any(name.startswith("projectors.") for name in moved)
    assert all(".lora_" in name or name.startswith("projectors.") for name in moved)


def test_it_opens_and_answers(tuned: Path) -> None:
    import emotion_llama as el

    found = el.load(tuned, device="cpu").analyze(transcript="Well.", labels=("happy", "sad"), max_new_tokens=4)
    assert sum(found.probabilities.values()) == pytest.approx(1)
    assert found.prompts["emotion"].startswith("<s>[INST] <video></video> <feature></feature>")


def test_another_architecture_is_refused(converted: Path) -> None:
    config = read_config(converted)
    config.lora = {**(config.lora or {}), "rank": 3}
    with pytest.raises(ModelError, match="LoRA or feature groups differ"):
        on_whole_model(config, converted)
    with pytest.raises(ModelError, match="quantize nf4: not for a whole model"):
        on_whole_model(read_config(converted), converted, quantize="nf4")
