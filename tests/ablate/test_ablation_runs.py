"""Ablations from end to end with a stand-in for the training: resume, failures, kills, parallel runs, files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from filelock import FileLock
from PIL import Image
from rich.console import Console
from typer.testing import CliRunner

from emotion_llama.ablate.command import Request, run_ablation
from emotion_llama.ablate.progress import time_words
from emotion_llama.cli.ablate import ablate
from emotion_llama.errors import UsageError
from tests.ablate.conftest import FAKE

Write = Callable[..., Path]


def run(path: Path, **words: Any) -> tuple[int, str]:
    """Run with the stand-in; gives the exit code and what was said on stderr."""
    said = StringIO()
    code = run_ablation(Request(path, **words), FAKE, Console(file=said, width=200))
    return code, said.getvalue()


def records(out: Path) -> dict[str, dict[str, Any]]:
    """What the finished trainings wrote, by cell and seed."""
    found = {}
    for path in out.glob("*/*/training.json"):
        cell, seed = path.parts[-3].rpartition("-")[0], path.parts[-2]
        found[f"{cell}/{seed}"] = json.loads(path.read_text())
    return found


def test_a_grid_runs_reports_and_is_not_run_again(ablation_file: Write, tmp_path: Path) -> None:
    axes = {"right": {"most": ["about=right-0.9"], "half": ["about=right-0.5"]}}
    path = ablation_file(axes=axes, baseline="most", seeds=[0, 1], threads=3)
    code, said = run(path)
    assert code == 0 and "[4/4] half, seed 1: done in" in said
    log = next((tmp_path / "out").glob("most-*")) / "seed-1.log"
    assert "training seed 1 with OMP_NUM_THREADS=3" in log.read_text()
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").glob("*/*/training.json")}
    report, figure = (tmp_path / "out/ablation.json").read_bytes(), (tmp_path / "out/ablation.png").read_bytes()

    code, said = run(path)
    assert code == 0 and "4 of 4 trainings were done before; 0 to do" in said
    axes["right"]["half"] = ["about=right-0.6"]  # a changed cell is run again, the other is not
    code, said = run(ablation_file(axes=axes, baseline="most", seeds=[0, 1], threads=3))
    assert code == 0 and "2 of 4 trainings were done before; 2 to do" in said
    assert {p: p.stat().st_mtime_ns for p in before} == before
    axes["right"]["half"] = ["about=right-0.5"]
    assert run(ablation_file(axes=axes, baseline="most", seeds=[0, 1], threads=3), report_only=True)[0] == 0
    assert (tmp_path / "out/ablation.json").read_bytes() == report
    assert (tmp_path / "out/ablation.png").read_bytes() == figure


def test_table_json_and_figure_agree(ablation_file: Write, tmp_path: Path) -> None:
    axes = {"right": {"most": ["about=right-0.9"], "a | b": ["about=right-0.4"], "never": ["about=fail"]}}
    assert run(ablation_file(axes=axes, baseline="most", title="A | title"))[0] == 1
    report = json.loads((tmp_path / "out/ablation.json").read_text())
    war = {row["cell"]: row["metrics"]["war"]["score"]["value"] for row in report["scores"]}
    answers = [
        json.loads(line) for p in (tmp_path / "out").glob("most-*/*/test/voices.predictions.jsonl") for line in p.open()
    ]
    truth = ("angry", "happy", "neutral", "sad")
    right = [row["emotion"] == truth[int(row["clip"][1:]) % 4] for row in answers]
    assert war["most"] == pytest.approx(sum(right) / len(right)) and len(right) == 3 * 48
    text = (tmp_path / "out/ablation.md").read_text()
    assert f"| most | {war['most']:.3f} [" in text and r"| a \| b | " in text and "| baseline |" in text
    assert "never, seed 2: failed, exit code 3 (emotion-llama: loss is not a number in clips c01, c02)" in text
    table = [line for line in text.splitlines() if line.startswith("| ")]
    assert len({line.replace(r"\|", "").count("|") for line in table}) == 1
    picture = np.asarray(Image.open(tmp_path / "out/ablation.png").convert("L"))
    assert picture.shape[0] > 300 and (picture < 128).mean() > 0.005
    svg = (tmp_path / "out/ablation.svg").read_text()
    assert ">never<" in svg and ">failed<" in svg and ">A | title<" in svg


def test_a_failure_is_recorded_and_the_others_go_on(ablation_file: Write, tmp_path: Path) -> None:
    axes = {"a": {"bad": ["about=fail"], "hollow": ["about=empty"], "good": ["about=right-0.8"]}}
    code, said = run(ablation_file(axes=axes, seeds=[0]))
    assert code == 1 and "2 of 3 trainings failed" in said and "good, seed 0: done" in said
    assert "loss is not a number in clips c01, c02" in said
    rows = {row["cell"]: row for row in json.loads((tmp_path / "out/ablation.json").read_text())["trainings"]}
    assert rows["bad"]["state"] == "failed" and rows["bad"]["failure"]["reason"] == "exit code 3"
    assert rows["bad"]["failure"]["last_lines"][-1] == "emotion-llama: loss is not a number in clips c01, c02"
    assert rows["hollow"]["failure"]["reason"] == "ended with 0 but wrote no training.json"
    assert rows["good"]["state"] == "finished" and rows["good"]["failure"] is None


def test_a_killed_training_is_begun_again_in_its_folder(ablation_file: Write, tmp_path: Path) -> None:
    path = ablation_file(axes={"a": {"x": ["about=die-once"]}}, seeds=[0])
    code, said = run(path)
    assert code == 1 and "killed by SIGKILL (out of memory?)" in said
    assert not list((tmp_path / "out").glob("ablation.png"))  # nothing to draw yet
    assert run(path)[0] == 0
    (folder,) = (tmp_path / "out").glob("x-*/seed-0")
    assert (folder / "checkpoint").is_file() and not list((tmp_path / "out").glob("*/*.failed.json"))
    assert (folder.parent / "seed-0.log").read_text().count("$ ") == 2


def test_a_stage_starts_from_the_one_before_or_not_at_all(ablation_file: Write, tmp_path: Path) -> None:
    def write(first: str) -> Path:
        return ablation_file(
            seeds=[0],
            stages={"coarse": {"overrides": [first]}, "fine": {"overrides": ["model.init={previous}"]}},
            grid=[{"name": "coarse", "stages": ["coarse"]}, {"name": "fine", "stages": ["coarse", "fine"]}],
        )

    code, said = run(write("about=fail"))
    assert code == 1 and "not started: coarse, stage coarse, seed 0 failed" in said
    assert run(write("about=right-0.6"), jobs=2)[0] == 0
    done = records(tmp_path / "out")
    assert set(done) == {"coarse/seed-0", "fine/seed-0"}  # the coarse training is shared
    (coarse,) = (p.parent for p in (tmp_path / "out").glob("coarse-*/seed-0/training.json"))
    assert done["fine/seed-0"]["init"] == str(coarse)
    assert done["fine/seed-0"]["start"] >= done["coarse/seed-0"]["end"]


def test_folds_are_pooled_and_a_missing_fold_is_seen(ablation_file: Write, tmp_path: Path) -> None:
    folds = {"kind": "folds", "count": 3, "overrides": ["data.folds=3", "data.fold={fold}"]}
    path = ablation_file(axes={"fold": folds}, seeds=[0, 1])
    assert run(path)[0] == 0
    (scores,) = json.loads((tmp_path / "out/ablation.json").read_text())["scores"]
    assert (scores["n"], scores["folds"], scores["speakers"]) == (48, [0, 1, 2], 6)
    assert scores["metrics"]["war"]["over_folds"]["n"] == 3
    assert "(3 folds)" in (tmp_path / "out/ablation.md").read_text()
    next((tmp_path / "out").glob("demo-fold-2-*/seed-1/training.json")).unlink()
    assert run(path, report_only=True)[0] == 0
    text = (tmp_path / "out/ablation.md").read_text()
    assert "seed 1 is left out: it was asked 32 clips, the others 48" in text
    assert "demo, fold 2, seed 1: begun, not finished" in text


def test_jobs_run_side_by_side_and_share_devices(ablation_file: Write, tmp_path: Path) -> None:
    path = ablation_file(axes={"a": {"x": ["about=slow"]}}, seeds=[0, 1, 2, 3], jobs=2, gpus=["0", "3"])
    assert run(path)[0] == 0
    spans = [(row["start"], row["end"], row["gpu"]) for row in records(tmp_path / "out").values()]
    most = max(sum(a <= start < b for a, b, _ in spans) for start, _, _ in spans)
    assert most == 2 and {gpu for _, _, gpu in spans} == {"0", "3"}


def test_only_dry_run_and_extra_overrides(ablation_file: Write, tmp_path: Path) -> None:
    path = ablation_file(axes={"a": {"x": ["about=right-0.8"], "y": ["about=right-0.7"]}}, seeds=[0, 1])
    code, said = run(path, dry_run=True)
    assert code == 0 and "4 of 4 trainings to run" in said and "expected time: unknown" in said
    assert not (tmp_path / "out").exists()
    assert run(path, only=("x",))[0] == 0
    assert set(records(tmp_path / "out")) == {"x/seed-0", "x/seed-1"}
    code, said = run(path, dry_run=True, jobs=2)
    assert "2 of 4 trainings to run, 2 at a time; expected time: 40 s" in said  # 40 and 41 s each, two at a time
    code, said = run(path, overrides=("schedule.steps=2",), dry_run=True)
    assert "4 of 4 trainings to run" in said


@pytest.mark.parametrize(
    ("words", "what"),
    [
        ({"overrides": ("schedule.stepps=3",)}, "did you mean 'steps'"),
        ({"overrides": ("out=x",)}, "gives every training its own"),
        ({"only": ("z",)}, "no such cell; cells: x"),
    ],
)
def test_mistakes_are_told_before_anything_runs(
    ablation_file: Write, tmp_path: Path, words: dict[str, Any], what: str
) -> None:
    with pytest.raises(UsageError, match=what):
        run(ablation_file(axes={"a": {"x": []}}), **words)
    assert not (tmp_path / "out").exists()


def test_two_ablations_do_not_share_a_folder(ablation_file: Write, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with FileLock(tmp_path / "out/.lock"), pytest.raises(UsageError, match="another ablation is writing there"):
        run(ablation_file())


@pytest.mark.slow
def test_a_stopped_ablation_takes_its_trainings_with_it(ablation_file: Write, tmp_path: Path) -> None:
    sleeper = "import os, sys, time; print('pid', os.getpid(), flush=True); time.sleep(600)"
    code = (
        "import sys; from pathlib import Path; from emotion_llama.ablate.command import Request, run_ablation; "
        f"run_ablation(Request(Path(sys.argv[1])), [sys.executable, '-c', {sleeper!r}])"
    )
    path = ablation_file(seeds=[0])
    process = subprocess.Popen([sys.executable, "-c", code, str(path)], stderr=subprocess.DEVNULL)
    log = None
    for _ in range(600):
        log = next((p for p in (tmp_path / "out").glob("*/seed-0.log") if "pid " in p.read_text()), None)
        if log is not None:
            break
        time.sleep(0.1)
    assert log is not None
    training = int(log.read_text().split("\npid ")[1].split()[0])
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) != 0
    with pytest.raises(ProcessLookupError):
        os.kill(training, 0)


def test_the_command_parses_its_words(ablation_file: Write, tmp_path: Path) -> None:
    app = typer.Typer()
    app.command()(ablate)
    path = ablation_file(axes={"a": {"x": []}}, seeds=[0])
    words = [str(path), "schedule.steps=2", "--out", str(tmp_path / "other"), "--only", "x", "--jobs", "2", "--dry-run"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert "1 of 1 trainings to run, 2 at a time" in done.output


def test_times_in_words() -> None:
    assert [time_words(s) for s in (None, 41.2, 420, 7200 * 1.6)] == ["unknown", "41 s", "7 min", "3.2 h"]
