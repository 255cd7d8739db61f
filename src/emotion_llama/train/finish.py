"""What follows the last step: how sure to be, fitted on validation people, and the one scoring of the test sides."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from accelerate import PartialState

from emotion_llama.analyze.calibration import Calibration
from emotion_llama.train.calibrate import calibrate
from emotion_llama.train.config import TrainConfig
from emotion_llama.train.material import Material
from emotion_llama.train.questions import calibration_questions
from emotion_llama.train.record import write_json
from emotion_llama.train.scoring import score_test
from emotion_llama.train.validate import Ask, by_source

CALIBRATION = "calibration.json"


def calibrate_and_score(config: TrainConfig, ask: Ask, material: Material, out: Path) -> dict[str, Any]:
    """Write `calibration.json` (one that was not fitted says so) and, where asked for, score the test sides.

    Gives the facts for the record: `validation` and `test`. Raises `OutputError` if a file cannot be written.
    """
    facts: dict[str, Any] = {}
    calibration = Calibration()
    if config.calibration is not None:
        samples = calibration_questions(config, config.calibration, material)
        if samples:
            answers = ask(samples, config.calibration.orders)
            calibration = calibrate(answers, "validation people: " + ", ".join(sorted({a.source for a in answers})))
            facts["validation"] = by_source(answers, calibration)
    if PartialState().is_main_process:
        write_json(out / CALIBRATION, calibration.model_dump(mode="json"))
    if config.score_test:
        facts["test"] = score_test(ask, material, calibration, out, config)
    return facts
