"""`evaluate custom --predictions` as one command: the report it writes, against independent answers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, f1_score, log_loss, precision_recall_fscore_support, recall_score

from emotion_llama.errors import UsageError
from emotion_llama.evaluate.command import Request, run_command
from emotion_llama.evaluate.records import Report
from emotion_llama.labels import LABEL_SETS

LABELS = LABEL_SETS["ravdess8"]
MER2023_LABELS = ("angry", "happy", "neutral", "sad", "surprise", "worried")
MER2023 = (
    (179, 1, 2, 1, 0, 0),
    (2, 152, 7, 4, 3, 1),
    (10, 10, 134, 6, 2, 4),
    (2, 2, 1, 250, 0, 2),
    (1, 0, 3, 1, 6, 3),
    (4, 1, 3, 2, 1, 34),
)
"""The published prediction log of MER2023-SEMI, 834 clips: rows truth, columns answer."""


def manifest(folder: Path, rows: list[str], name: str = "m.csv", heading: str = "clip,emotion") -> Path:
    path = folder / name
    path.write_text("\n".join([heading, *rows]) + "\n", encoding="utf-8")
    return path


def answers(folder: Path, rows: list[dict[str, Any]], name: str = "p.jsonl") -> Path:
    path = folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def run(data: Path, predictions: Path, out: Path, **words: Any) -> dict[str, Any]:
    """Run the command; gives the written report and its exit code as `code`."""
    request = {"suite": "custom", "data": data, "predictions": predictions, "out": out, "draws": 100, **words}
    code = run_command(Request(**request))
    report: dict[str, Any] = json.loads((out / "report.json").read_text(encoding="utf-8"))
    return {**report, "code": code}


def small(folder: Path) -> tuple[Path, Path]:
    data = manifest(folder, ["a,happy", "b,sad", "c,sad"])
    return data, answers(folder, [{"clip": name, "emotion": "sad"} for name in "abc"])


def random_files(folder: Path, n: int = 300) -> tuple[list[str], list[str], NDArray[np.float64], Path, Path]:
    rng = np.random.default_rng(3)
    rows = rng.dirichlet(np.ones(8), n)
    said = [LABELS[i] for i in rows.argmax(axis=1)]
    truth = [s if rng.random() < 0.5 else LABELS[rng.integers(8)] for s in said]
    data = manifest(folder, [f"c{i},{t}" for i, t in enumerate(truth)])
    made = [
        {"clip": f"c{i}", "emotion": s, "probabilities": dict(zip(LABELS, map(float, row), strict=True))}
        for i, (s, row) in enumerate(zip(said, rows, strict=True))
    ]
    return truth, said, rows, data, answers(folder, made)


def test_the_report_agrees_with_scikit_learn(tmp_path: Path) -> None:
    truth, said, rows, data, predictions = random_files(tmp_path)
    report = run(data, predictions, tmp_path / "out", labels="ravdess8")
    value = {name: metric["value"] for name, metric in report["metrics"].items()}
    assert value["war"] == pytest.approx(accuracy_score(truth, said))
    assert value["uar"] == pytest.approx(recall_score(truth, said, average="macro"))
    assert value["weighted_f1"] == pytest.approx(f1_score(truth, said, average="weighted"))
    assert value["macro_f1"] == pytest.approx(f1_score(truth, said, average="macro"))
    order = np.argsort(LABELS)  # log_loss wants columns by alphabet
    assert value["nll"] == pytest.approx(log_loss(truth, rows[:, order], labels=sorted(LABELS)), rel=1e-5)
    truth_rows = np.array([[label == t for label in LABELS] for t in truth], float)
    assert value["brier"] == pytest.approx(np.square(rows - truth_rows).sum(axis=1).mean(), rel=1e-5)
    for place, scores in enumerate(zip(*precision_recall_fscore_support(truth, said, labels=LABELS), strict=True)):
        found = report["per_class"][LABELS[place]]
        assert [found[key]["value"] for key in ("precision", "recall", "f1")] == pytest.approx(list(scores[:3]))
        assert found["support"] == scores[3]


def test_the_published_mer2023_table_through_the_whole_command(tmp_path: Path) -> None:
    pairs = [
        (true, said)
        for true, row in zip(MER2023_LABELS, MER2023, strict=True)
        for said, count in zip(MER2023_LABELS, row, strict=True)
        for _ in range(count)
    ]
    data = manifest(tmp_path, [f"c{n},{true}" for n, (true, _) in enumerate(pairs)])
    path = tmp_path / "p.csv"
    path.write_text("clip,emotion\n" + "".join(f"c{n},{said}\n" for n, (_, said) in enumerate(pairs)))
    report = run(data, path, tmp_path / "out", labels="mer6")
    value = {name: metric["value"] for name, metric in report["metrics"].items()}
    assert (report["n_asked"], report["n_scored"]) == (834, 834)
    assert [round(value[name], 4) for name in ("war", "weighted_f1", "macro_f1", "uar")] == [
        0.9053,
        0.9036,
        0.8134,
        0.8069,
    ]
    places = [LABEL_SETS["mer6"].index(label) for label in MER2023_LABELS]
    matrix = np.array(report["confusion"]["matrix"])
    assert report["confusion"]["labels"] == list(LABEL_SETS["mer6"])
    assert matrix[np.ix_(places, places)].tolist() == [list(row) for row in MER2023]


def test_the_report_holds_what_is_promised(tmp_path: Path) -> None:
    _, _, _, data, predictions = random_files(tmp_path)
    report = run(data, predictions, tmp_path / "out", labels="ravdess8", limit=200, system="Sys <1>")
    for name in ("war", "uar", "weighted_f1", "macro_f1", "ece", "brier", "nll", "invalid_rate", "refusal_rate"):
        assert {"value", "low", "high"} <= report["metrics"][name].keys(), name
        assert report["metrics"][name]["low"] <= report["metrics"][name]["high"]
    assert report["chance"] == 1 / 8 and report["majority"] == max(report["class_counts"].values()) / 200
    assert sum(report["class_counts"].values()) == report["n_asked"] == 200
    assert np.array(report["confusion"]["matrix"]).shape == (8, 8)
    assert set(report["per_class"]) == set(report["confusion"]["labels"]) == set(LABELS)
    settings = report["settings"]
    assert (settings["draws"], settings["seed"], settings["limit"]) == (100, 0, 200)
    assert settings["predictions"] == str(predictions)
    provenance = report["provenance"]
    assert {"git_commit", "package", "versions", "machine", "model", "files_sha256", "date"} <= provenance.keys()
    assert (report["suite"], report["side"], report["system"]) == ("custom", "test", "Sys <1>")
    kept = (tmp_path / "out/scored.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(kept) == 200
    page = (tmp_path / "out/report.html").read_text(encoding="utf-8")
    assert "Sys &lt;1&gt;" in page and "<1>" not in page


def test_everything_wrong_is_counted_and_strict_says_so_with_its_exit_code(tmp_path: Path) -> None:
    data = manifest(tmp_path, ["a,happy", "b,sad", "c,sad", "d,sad"])
    rows = [
        {"clip": "a", "emotion": "happy", "probabilities": {"happy": 0.9, "sad": 0.9}},
        {"clip": "b", "emotion": "hungry"},
        {"clip": "c", "emotion": "sad"},
        {"clip": "c", "emotion": "happy"},
        {"clip": "zz", "emotion": "sad"},
        {"emotion": "sad"},
    ]
    report = run(data, answers(tmp_path, rows), tmp_path / "out", labels="happy,sad")
    found = {(p["kind"], p["clip"], p["line"]) for p in report["problems"]}
    assert found == {
        ("bad-probabilities", "a", 1),
        ("unknown-label", "b", 2),
        ("duplicate", "c", 4),
        ("unknown-clip", "zz", 5),
        ("unreadable", None, 6),
        ("missing-clip", "d", None),
    }
    assert (report["n_asked"], report["n_scored"], report["code"]) == (4, 3, 0)
    assert report["metrics"]["war"]["value"] == 0.5 and report["metrics"]["invalid_rate"]["value"] == 0.25
    assert run(data, answers(tmp_path, rows), tmp_path / "out", labels="happy,sad", strict=True)["code"] == 1
    clean = answers(tmp_path, [{"clip": name, "emotion": "sad"} for name in "abcd"], "clean.jsonl")
    assert run(data, clean, tmp_path / "out", labels="happy,sad", strict=True)["code"] == 0


def test_one_clip_and_one_class_are_scored(tmp_path: Path) -> None:
    data = manifest(tmp_path, ["a,happy"])
    report = run(data, answers(tmp_path, [{"clip": "a", "emotion": "happy"}]), tmp_path / "out", labels="happy,sad")
    war = report["metrics"]["war"]
    assert (war["value"], war["low"], war["high"]) == (1.0, 1.0, 1.0)
    assert report["metrics"]["uar"]["value"] == 1.0 and report["per_class"]["sad"]["recall"]["value"] is None


def test_a_folder_used_again_holds_the_second_report(tmp_path: Path) -> None:
    data, predictions = small(tmp_path)
    first = run(data, predictions, tmp_path / "out", labels="happy,sad")
    second = run(data, predictions, tmp_path / "out", labels="happy,sad,fear", uar_over="configured", seed=1)
    assert first["metrics"]["uar"]["value"] == 0.5
    assert second["metrics"]["uar"]["value"] == pytest.approx(1 / 3)
    assert second["settings"]["seed"] == 1 and second["confusion"]["labels"] == ["happy", "sad", "fear"]


def test_the_answers_as_given_are_never_written_over(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    data, _ = small(tmp_path)
    given = answers(out, [{"clip": name, "emotion": "Sad!", "mood": 1} for name in "abcz"], "predictions.jsonl")
    before = given.read_bytes()
    run(data, given, out, labels="happy,sad")
    assert given.read_bytes() == before


def halves(folder: Path, validation: list[str]) -> tuple[Path, Path]:
    """Test clips t0… and validation clips with a split column, and answers that are right but much too sure."""
    rng = np.random.default_rng(0)
    test = [f"t{n},{'happy' if n % 2 else 'sad'},test,s{n % 4}" for n in range(20)]
    data = manifest(folder, test + validation, heading="clip,emotion,split,speaker")
    rows = []
    for row in test + validation:
        clip, truth, *_ = row.split(",")
        said = truth if rng.random() < 0.6 else "happy"
        rows.append({"clip": clip, "emotion": said, "probabilities": {said: 0.99, "fear": 0.01}})
    return data, answers(folder, rows)


def test_a_temperature_comes_from_the_other_side_of_the_manifest(tmp_path: Path) -> None:
    # no validation clip is fearful, yet the answers give fear a probability: the labels are those of the scored side
    data, predictions = halves(tmp_path, [f"v{n},{'happy' if n % 2 else 'sad'},val,v{n % 4}" for n in range(20)])
    words = {"labels": "happy,sad,fear", "validation_predictions": predictions}
    report = run(data, predictions, tmp_path / "out", **words)
    metrics = report["metrics"]
    assert metrics["scaled_nll"]["value"] < metrics["nll"]["value"]
    assert (
        metrics["war"]["value"]
        == run(data, predictions, tmp_path / "o2", labels="happy,sad")["metrics"]["war"]["value"]
    )
    assert report["settings"]["calibrated_on_validation"] is True
    assert {p["kind"] for p in report["problems"]} == {"unknown-clip"}  # the file's other half


def test_problems_of_the_validation_side_are_told(tmp_path: Path) -> None:
    data, predictions = halves(tmp_path, ["v1,happy,val,v1", "v2,sad,val,v2"])
    other = answers(
        tmp_path,
        [{"clip": "v1", "emotion": "happy", "probabilities": {"happy": 0.9, "sad": 0.1}}, {"clip": 3}],
        "v.jsonl",
    )
    report = run(data, predictions, tmp_path / "out", labels="happy,sad,fear", validation_predictions=other)
    told = [p["message"] for p in report["problems"] if p["message"].startswith("validation side: ")]
    assert len(told) == 2 and "v.jsonl:2" in told[0] and "'v2' has no prediction" in told[1]


@pytest.mark.parametrize(
    ("validation", "what"),
    [
        (["v1,happy,val,s1"], "speaker 's1' is in the validation and in the scored side"),
        (["v1,happy,val,v1"], "carry no probabilities"),
    ],
)
def test_nothing_that_is_scored_is_fitted_on(validation: list[str], what: str, tmp_path: Path) -> None:
    data, predictions = halves(tmp_path, validation)
    bare = answers(tmp_path, [{"clip": "v1", "emotion": "happy"}], "v.jsonl")
    with pytest.raises(UsageError, match=what):
        run(data, predictions, tmp_path / "out", labels="happy,sad,fear", validation_predictions=bare)


def test_clips_on_both_sides_are_refused(tmp_path: Path) -> None:
    data, predictions = small(tmp_path)  # no split column: both sides are all clips
    with pytest.raises(UsageError, match=r"clip 'a' is in the validation and in the scored side.*--validation-data"):
        run(data, predictions, tmp_path / "out", validation_predictions=predictions)
    with pytest.raises(UsageError, match="the validation side is what is scored; give --validation-data"):
        run(data, predictions, tmp_path / "out", validation_predictions=predictions, side="validation")
    with pytest.raises(UsageError, match="--validation-data needs --validation-predictions"):
        run(data, predictions, tmp_path / "out", validation_data=data)


@pytest.mark.parametrize(
    ("words", "what"),
    [
        ({"draws": 50}, "at least 100 draws, found 50"),
        ({"side": "dev"}, "--side: 'dev' is not one of test, validation, train"),
        ({"labels": "ravdess9"}, "unknown label set 'ravdess9'.*'ravdess8'"),
        ({"labels": "open"}, "--labels open: scores need a closed set"),
        ({"uar_over": "all"}, "expected present or configured, found 'all'"),
        ({"suite": "custon"}, r"unknown suite 'custon'.*Did you mean 'custom'\?"),
        ({"model": "nano"}, "not both"),
        ({"predictions": None}, "give --predictions FILE"),
        ({"words": "given", "without": "audio"}, "--without, --words does nothing without --model"),
        ({"engine": "ray", "batch_size": 4}, "--engine, --batch-size does nothing without --model"),
        ({"judge_model": "m"}, "--judge-model does nothing without --judge"),
        ({"judges": ("http://127.0.0.1:1/v1",)}, "nothing for a judge"),
        ({"robustness": "mp3"}, "--export-corrupted DIR"),
    ],
)
def test_wrong_words_are_refused_before_any_work(words: dict[str, Any], what: str, tmp_path: Path) -> None:
    data, predictions = small(tmp_path)
    with pytest.raises(UsageError, match=what):
        run(data, **{"predictions": predictions, "out": tmp_path / "out", **words})
    assert not (tmp_path / "out/report.json").exists()


def test_a_suite_with_labels_of_its_own_takes_no_others(tmp_path: Path) -> None:
    data = manifest(tmp_path, [f"03-01-0{n}-01-01-01-05.wav" for n in (1, 3)], "manifest.csv", "file")
    predictions = answers(tmp_path, [{"clip": "03-01-03-01-01-01-05", "emotion": "happy"}])
    with pytest.raises(UsageError, match="suite ravdess is scored in labels of its own; leave --labels out"):
        run(data.parent, predictions, tmp_path / "out", suite="ravdess", labels="happy,sad")


def test_training_clips_among_the_scored_ones_are_a_leak(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, predictions = small(tmp_path)
    train = manifest(tmp_path, ["a,happy,", "x,sad,"], "train.csv", "clip,emotion,path")
    text = train.read_text().replace("path", "transcript").replace(",\n", ",hello\n")
    train.write_text(text)
    report = run(data, predictions, tmp_path / "out", train_data=train, strict=True)
    assert report["leaks"]["counts"]["any"] == 1 and report["code"] == 1
    assert "1 of 3" in capsys.readouterr().out


def test_a_predictions_file_needs_no_model_library(tmp_path: Path) -> None:
    data, predictions = small(tmp_path)
    heavy = ("torch", "transformers", "peft", "faster_whisper", "mediapipe", "sacrebleu", "requests", "scipy")
    program = (
        "import sys; from pathlib import Path; from emotion_llama.evaluate.command import Request, run_command\n"
        f"r = Request(suite='custom', data=Path({str(data)!r}), predictions=Path({str(predictions)!r}),"
        f" out=Path({str(tmp_path / 'out')!r}), labels='happy,sad', draws=100)\n"
        f"code = run_command(r); print(code, [n for n in {heavy!r} if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.splitlines()[-1] == "0 []"
    assert Report.model_validate_json((tmp_path / "out/report.json").read_bytes()).n_asked == 3
