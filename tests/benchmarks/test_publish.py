"""What trainings found is taken over as it was written, and rendered in the results."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

Script = Callable[[str], ModuleType]
SCORES = {"war": 0.75, "uar": 0.7, "weighted_f1": 0.74, "ece": 0.05, "nll": 0.8, "order_spread": 0.02, "n": 40}
BESIDE = {"baseline": {"war": 0.7}, "above_baseline": {"war": [0.05, -0.02, 0.12]}}


def run(folder: Path, **test: Any) -> Path:
    one = {**SCORES, "intervals": {"war": [0.6, 0.9]}, "without_heads": {"war": 0.72}}
    record = {"about": "x", "seed": 3, "date": "2026-11-21", "git_commit": "abc", "seconds": 600, "machine": {}}
    folder.mkdir()
    (folder / "training.json").write_text(json.dumps({**record, "test": {k: one | v for k, v in test.items()}}))
    return folder


def test_a_training_is_published_and_rendered(script: Script, tmp_path: Path) -> None:
    publish, tables = script("publish"), script("tables")
    path = publish.publish(run(tmp_path / "nano", voices=BESIDE, lines={}), tmp_path / "docs")
    assert path == tmp_path / "docs/trainings/nano.json"
    record = json.loads(path.read_text())
    assert "machine" not in record
    text = tables.trainings([record])
    assert (
        "| nano | voices | 40 | 0.750 (0.600–0.900) | 0.700 | 0.740 | 0.050 | 0.720 | 0.700 "
        "| +0.050 (-0.020 to +0.120) | ± 0.010 |" in text
    )
    assert "| nano | lines | 40 | 0.750 (0.600–0.900) | 0.700 | 0.740 | 0.050 | 0.720 | – | – | ± 0.010 |" in text


def test_an_ablation_is_published_with_its_figure(script: Script, tmp_path: Path) -> None:
    publish = script("publish")
    folder = tmp_path / "tokens"
    folder.mkdir()
    (folder / "ablation.md").write_text("# Tokens\n\n## voices\n")
    (folder / "ablation.svg").write_text("<svg/>")
    path = publish.publish(folder, tmp_path / "docs")
    assert path.read_text() == "# Tokens\n\n## voices\n"
    assert (tmp_path / "docs/ablations/tokens.svg").read_text() == "<svg/>"


def test_what_has_no_test_scores_is_refused(script: Script, tmp_path: Path) -> None:
    publish = script("publish")
    with pytest.raises(SystemExit, match="score_test=true"):
        publish.publish(run(tmp_path / "untested"), tmp_path / "docs")
    with pytest.raises(SystemExit, match=r"training\.json"):
        publish.publish(tmp_path, tmp_path / "docs")
