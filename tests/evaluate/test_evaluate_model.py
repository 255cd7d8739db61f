"""One evaluation of the real small model, from a recording to the report."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from emotion_llama.cli import app
from emotion_llama.evaluate.records import Report

pytestmark = [pytest.mark.weights, pytest.mark.slow]


def evaluate(*words: str | Path) -> str:
    found = CliRunner().invoke(app, ["evaluate", *map(str, words)])
    assert found.exit_code == 0, found.output
    return " ".join(found.output.split())


def test_a_model_is_asked_damaged_scored_and_reported(tmp_path: Path, model_name: str) -> None:
    from emotion_llama import assets

    speech = next(assets.path("sample-speech").glob("*.mp4"))
    data, out = tmp_path / "m.csv", tmp_path / "out"
    data.write_text(f"clip,path,start_s,end_s,emotion\none,{speech},2,3.5,neutral\n", encoding="utf-8")
    asking = [
        "--model",
        model_name,
        "--device",
        "cpu",
        "--task",
        "emotion,reason",
        "--words",
        "none",
        "--label-orders",
        "1",
    ]
    words = ["custom", "--data", data, "--labels", "ravdess8", *asking, "--draws", "200", "--out", out]
    told = evaluate(*words, "--robustness", "label-order,telephone")
    report = Report.model_validate_json((out / "report.json").read_bytes())

    assert (report.n_asked, report.n_scored, report.problems) == (1, 1, ())
    assert report.metrics["brier"].value is not None
    assert report.faithfulness["n_checked"] == 1
    assert report.faithfulness["metrics"]["claims_per_answer"]["value"] > 0
    assert all(clip["reasoning"] and clip["claims"] for clip in report.faithfulness["clips"])
    conditions = {one["condition"]: one for one in report.robustness["conditions"]}
    assert [level["level"] for level in conditions["telephone"]["levels"]] == ["g711"]
    assert len(conditions["label-order"]["levels"]) == 6 and conditions["label-order"]["n"] == 1
    assert len(report.provenance["model"]["weights_sha256"]) == 64
    assert (out / "figures/robustness-01.svg").is_file() and (out / "report.html").stat().st_size > 20_000
    assert "Signs that the reasons name (1 answers): supported" in told and "Under damage:" in told

    for line in (out / "predictions.jsonl").open(encoding="utf-8"):
        row = json.loads(line)
        assert set(row["prompts"]) == {"emotion", "reason"} and "surprised" in row["prompts"]["emotion"]
        assert row["raw"]["reason"] and row["reasoning"]
        assert sum(row["probabilities"].values()) == pytest.approx(1.0, abs=1e-3)
        assert row["transcript"] == {"text": None, "source": "none"} | row["transcript"]

    kept = {path: path.stat().st_mtime_ns for path in (out / "robustness").glob("*.jsonl")}
    assert len(kept) == 7
    evaluate(*words, "--robustness", "label-order,telephone")  # a second run reads what the first one kept
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert Report.model_validate_json((out / "report.json").read_bytes()).robustness == report.robustness
