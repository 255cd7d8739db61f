"""A finished run calibrated once more: its weights stay, what it says of itself follows, other people are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from emotion_llama.analyze.calibration import Calibration
from emotion_llama.errors import ManifestError, UsageError
from emotion_llama.model.checkpoint import read_config
from emotion_llama.train.again import calibrate_again
from emotion_llama.train.material import read_items
from emotion_llama.train.record import RECORD
from emotion_llama.train.run import run
from tests.train.tiny_run import configured, largest_difference, weights

CHANGES = (
    "schedule.steps=6", "score_test=true", "calibration.orders=2",
    "model.heads=[{name: ear, array: both, strengths: [0.01, 0.1], folds: 3}]",
    "model.features=[{name: video, modality: video}, {name: audio, modality: audio}, "
    "{name: ear, modality: audio, head: ear}]",
)  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run; its settings and data lie one above."""
    return run(configured(tmp_path_factory.mktemp("again"), *CHANGES, people=8, takes=4))


def record_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    return found


def test_the_same_settings_give_the_same_calibration_scores_and_weights(finished: Path) -> None:
    before, record = weights(finished), record_of(finished)
    calibration = Calibration.read(finished / "calibration.json")
    heads = (finished / "heads.safetensors").read_bytes()
    (finished / "calibration.json").write_text("{}", encoding="utf-8")
    assert calibrate_again(configured(finished.parent, *CHANGES)) == finished
    assert largest_difference(before, weights(finished)) == 0.0
    assert (finished / "heads.safetensors").read_bytes() == heads
    again = Calibration.read(finished / "calibration.json")
    assert again.fitted_on == calibration.fitted_on
    now = record_of(finished)
    assert "calibrated_again" not in record and set(now["calibrated_again"]) == {"git_commit", "date"}
    for side in ("validation", "test"):
        assert now[side]["voices"]["nll"] == pytest.approx(record[side]["voices"]["nll"], abs=0.02)
    assert {key: now[key] for key in ("seed", "scores", "best", "data", "adapter_sha256")} == {
        key: record[key] for key in ("seed", "scores", "best", "data", "adapter_sha256")
    }


def test_a_test_source_may_be_added_and_known_people_not(finished: Path) -> None:
    settings = configured(finished.parent, *CHANGES)
    known = tuple(sorted({str(i.clip.speaker) for i in read_items(settings) if i.side != "test"}))
    voices = settings.data.sources[0]
    seven = voices.model_copy(
        update={"name": "seven", "split": None, "side": "test", "leave_out": ("calm",), "exclude": known}
    )
    for exclude, refused in ((known, False), (known[1:], True)):
        more = seven.model_copy(update={"exclude": exclude})
        data = settings.data.model_copy(update={"sources": (voices, more)})
        if refused:
            with pytest.raises(ManifestError, match="Actor_0"):
                calibrate_again(settings.model_copy(update={"data": data}))
        else:
            calibrate_again(settings.model_copy(update={"data": data}))
            assert record_of(finished)["test"]["seven"]["n"] == 28
            assert (finished / "test" / "seven.predictions.jsonl").is_file()


def test_only_the_named_sources_are_scored(finished: Path) -> None:
    for named, scored in (("true", {"voices"}), ("[voices]", {"voices"}), ("[voices@person]", set())):
        calibrate_again(configured(finished.parent, *CHANGES, f"score_test={named}"))
        assert set(record_of(finished)["test"]) == scored
    with pytest.raises(UsageError, match="score_test: nobody names no source; known are voices"):
        configured(finished.parent, *CHANGES, "score_test=[nobody]")


def test_a_group_may_become_one_for_stills_without_training(finished: Path) -> None:
    before = weights(finished)
    calibrate_again(configured(finished.parent, *CHANGES, "model.features.video.still=true"))
    assert record_of(finished)["calibrated_again"]["still_changed"] == ["video"]
    assert [group.name for group in read_config(finished).groups if group.still] == ["video"]
    assert largest_difference(before, weights(finished)) == 0.0
    calibrate_again(configured(finished.parent, *CHANGES))
    assert not any(group.still for group in read_config(finished).groups)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("seed=3", r"\(seed\)"),
        ("samples.blank=0.5", r"\(samples\)"),
        ("model.lora.rank=8", r"\(model\)"),
        ("data.folds=3", r"\(data\.fold\)"),
        ("data.sources.voices.split={validation: 0.3, test: 0.17}", "learned from other clips .*voices"),
        ("data.sources.voices.name=others", "learned from other clips .*others, voices"),
    ],
)
def test_another_model_or_other_people_are_refused(finished: Path, change: str, named: str) -> None:
    before = (finished / RECORD).read_bytes()
    with pytest.raises(UsageError, match=named):
        calibrate_again(configured(finished.parent, *CHANGES, change))
    assert (finished / RECORD).read_bytes() == before


def test_a_folder_without_a_finished_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"training\.json"):
        calibrate_again(configured(tmp_path, *CHANGES))
