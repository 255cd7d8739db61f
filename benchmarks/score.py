"""Score the shipped weights on held-out people: `make score DATA=/path/to/data`.

Every row is a plain `emotion-llama evaluate …` command; its report stays below `--out`, and the figures of all rows
go to docs/results.json, from which `tables.py` writes docs/results.md and the tables of README and the model card. The
data folder is described in docs/training.md. Test people are in no training or validation side; nothing is chosen on
these numbers. A killed run goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emotion_llama.datasets.picture_folders import read_picture_folder
from emotion_llama.evaluate.records import Report, Scored
from emotion_llama.evaluate.scored import SCORED, ScoredClip, read_scored
from emotion_llama.manifest import write_manifest

ROOT = Path(__file__).resolve().parent.parent
SCORES = (
    *("war", "uar", "weighted_f1", "macro_f1", "ece", "scaled_ece", "nll", "scaled_nll", "brier", "aurc"),
    *("invalid_rate", "order_sensitivity"),
)
REASONS = (
    *("checkable_per_answer", "channels_per_answer", "supported_of_checked", "shuffled_supported_of_checked"),
    "names_the_label",
)


@dataclass(frozen=True)
class Row:
    """One evaluation. `{data}` and `{out}` in the words stand for the two folders."""

    name: str
    title: str
    inputs: str
    words: str


def rows(model: str) -> Iterator[Row]:
    """Give every evaluation of the table."""
    ask = f"--model {model}"
    faces = f"ravdess --data {{data}}/ravdess_av --variant face {ask}"
    for name, inputs, without in (
        ("all", "video + voice + words", " --task emotion,reason"),
        ("video-voice", "video + voice", " --without text"),
        ("video", "video", " --without audio,text"),
        ("voice", "voice", " --without video,text"),
        ("words", "words", " --without video,audio"),
    ):
        yield Row(f"ravdess-face-{name}", "RAVDESS talking faces of one man", inputs, faces + without)
    yield Row(
        "ravdess-voice", "RAVDESS voices", "voice",
        f"ravdess --data {{data}}/ravdess_audio --variant voice {ask} --without video,text "
        "--validation-predictions {out}/ravdess-voice-validation/predictions.jsonl",
    )  # fmt: skip
    yield Row(
        "emodb", "EmoDB voices (2 s)", "voice",
        f"emodb --data {{data}}/emodb_audio {ask} --without video,text "
        "--validation-predictions {out}/emodb-validation/predictions.jsonl",
    )  # fmt: skip
    yield Row(
        "meld-text", "MELD lines", "words",
        f"meld --data {{data}}/text/MELD --variant text {ask} "
        "--validation-predictions {out}/meld-text-validation/predictions.jsonl",
    )  # fmt: skip
    yield Row(
        "pictures", "press pictures (muxspace)", "video",
        f"custom --data {{out}}/pictures.jsonl --labels mux8 {ask}",
    )  # fmt: skip
    yield Row(
        "crema-d-baseline", "CREMA-D, logistic regression on features", "video + voice",
        "crema-d --data {data}/ravdess_cremad_features --predictions {out}/crema-d/test.jsonl "
        "--validation-predictions {out}/crema-d/validation.jsonl --system logistic-regression",
    )  # fmt: skip


def robustness_rows(model: str) -> Iterator[Row]:
    """Give the evaluations with damaged recordings, on some clips of each part: every level is asked anew."""
    yield Row(
        "ravdess-voice-robustness",
        "RAVDESS voices",
        "voice",
        f"ravdess --data {{data}}/ravdess_audio --variant voice --model {model} --without video,text --limit 48 "
        "--robustness snr,mp3,telephone,label-order,phrasing",
    )
    yield Row(
        "pictures-robustness",
        "press pictures (muxspace)",
        "video",
        f"custom --data {{out}}/pictures.jsonl --labels mux8 --model {model} --limit 40 "
        "--robustness blur,low-light,occlusion",
    )


def reasons_row(model: str) -> Row:
    """Give the evaluation of reasons on several voices; those of the talking faces are checked in their own row."""
    return Row(
        "ravdess-voice-reasons",
        "RAVDESS voices",
        "voice + words",
        f"ravdess --data {{data}}/ravdess_audio --variant voice --model {model} --task emotion,reason --limit 96",
    )


def validation(model: str) -> dict[str, str]:
    """Give the evaluations of validation sides that temperatures are fitted on: name → words."""
    return {
        "ravdess-voice-validation": f"ravdess --data {{data}}/ravdess_audio --variant voice --side validation "
        f"--model {model} --without video,text",
        "emodb-validation": f"emodb --data {{data}}/emodb_audio --side validation --model {model} --without video,text",
        "meld-text-validation": f"meld --data {{data}}/text/MELD --variant text --side validation --model {model}",
    }


def command(words: str, name: str, data: Path, out: Path) -> list[str]:
    """Give the command line of one evaluation."""
    filled = [word.format(data=data, out=out) for word in words.split()]
    return [sys.executable, "-m", "emotion_llama", "evaluate", *filled, "--out", str(out / name)]


def shown(words: str, name: str) -> str:
    """Give the command as a reader types it."""
    return f"emotion-llama evaluate {words.format(data='$DATA', out='$OUT')} --out $OUT/{name}"


def prepare(data: Path, out: Path) -> None:
    """Write what two rows need: the list of test pictures, and the predictions of the CREMA-D baseline."""
    clips = read_picture_folder(data / "faces" / "muxspace_balanced128", "test")
    write_manifest([clip.model_copy(update={"groups": {}}) for clip in clips], out / "pictures.jsonl")
    subprocess.run(
        [sys.executable, str(ROOT / "benchmarks/crema_d_baseline.py"), "--data", str(data / "ravdess_cremad_features"),
         "--out", str(out / "crema-d")],
        check=True,
    )  # fmt: skip


def record(row: Row, report: Report, clips: Sequence[ScoredClip]) -> list[dict[str, Any]]:
    """Give the lines of the table: one a part of the suite. `clips` are those that were scored."""
    parts: dict[str, Report | Scored] = dict(report.parts) or {"": report}
    return [
        {
            "name": row.name,
            "part": f"{row.title}{f', {name}' if name else ''}",
            "inputs": row.inputs,
            "system": report.settings.get("model") or report.system,
            "command": shown(row.words, row.name),
            "n": part.n_asked,
            "n_scored": part.n_scored,
            "people": len({c.speaker for c in clips if name in ("", c.part)} - {None}),
            "chance": part.chance,
            "majority": part.majority,
            "metrics": {
                score: {
                    "value": part.metrics[score].value,
                    "low": part.metrics[score].low,
                    "high": part.metrics[score].high,
                }
                for score in SCORES
                if score in part.metrics
            },
            "null_ece": part.settings.get("null_ece"),
        }
        for name, part in parts.items()
    ]


def reasons(row: Row, report: Report) -> dict[str, Any]:
    """Give how far the reasons of one evaluation fit what was measured, by kind of text."""
    texts = {
        kind: {
            "n": one["n"],
            "distinct_2": one["distinct_2"],
            "metrics": {name: one["metrics"][name] for name in REASONS},
        }
        for kind, one in report.faithfulness["texts"].items()
    }
    return {"part": row.title, "inputs": row.inputs, "command": shown(row.words, row.name), "texts": texts}


def curves(row: Row, report: Report) -> dict[str, Any]:
    """Give the robustness of one evaluation, one line a condition."""
    lines = []
    for one in report.robustness["conditions"]:
        if one["not_applicable"] is None:
            levels = {level["level"]: level["value"]["value"] for level in one["levels"]}
            kept = {name: one[name] for name in ("condition", "title", "unit", "metric", "worst", "difference", "area")}
            lines.append({**kept, "clean": one["clean"]["value"], "levels": levels, "changed": one["changed"]})
    return {"part": row.title, "inputs": row.inputs, "command": shown(row.words, row.name), "n": report.n_asked,
            "conditions": lines}  # fmt: skip


def main() -> None:
    """Run every row and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", default="nano")
    parser.add_argument("--out", type=Path, default=ROOT / "out/scores")
    parser.add_argument("--only", default="", help="run only rows whose name contains this; others are read from --out")
    arguments = parser.parse_args()
    data, out = arguments.data.resolve(), arguments.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    prepare(data, out)
    for name, words in validation(arguments.model).items():
        if arguments.only in name:
            _run(command(words, name, data, out))
    lines: list[dict[str, Any]] = []
    told: list[dict[str, Any]] = []
    first: Report | None = None
    for row in [*rows(arguments.model), reasons_row(arguments.model)]:
        if arguments.only in row.name:
            _run(command(row.words, row.name, data, out))
        report = Report.model_validate_json((out / row.name / "report.json").read_bytes())
        if not row.name.endswith("-reasons"):
            lines += record(row, report, read_scored(out / row.name / SCORED))
        if "reason" in row.words:
            told.append(reasons(row, report))
        first = first or report
    assert first is not None
    damaged = []
    for row in robustness_rows(arguments.model):
        if arguments.only in row.name:
            _run(command(row.words, row.name, data, out))
        damaged.append(curves(row, Report.model_validate_json((out / row.name / "report.json").read_bytes())))
    written = {
        "date": str(first.provenance["date"])[:10],
        "weights_sha256": first.provenance["model"].get("weights_sha256"),
        "label_orders": first.provenance["model"].get("label_orders"),
        "bootstrap_draws": first.settings["draws"],
        "seed": first.settings["seed"],
        "rows": lines,
        "reasons": told,
        "robustness": damaged,
    }
    (ROOT / "docs/results.json").write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")


def _run(words: list[str]) -> None:
    print(f"\n$ {shlex.join(words[1:])}", flush=True)
    subprocess.run(words, check=True)


if __name__ == "__main__":
    main()
