"""What made a report is written down."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from emotion_llama.environment import file_sha256, git_commit
from emotion_llama.evaluate.provenance import provenance
from emotion_llama.evaluate.records import Prediction


def of(model: str) -> Prediction:
    return Prediction(clip="a", provenance={"model": model, "prompt_version": "1", "weights_sha256": "ab"})


def test_code_machine_packages_and_files_are_named(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_bytes(b"x")
    found = provenance([None], {"predictions": path, "data": tmp_path, "none": None})
    assert found["files_sha256"] == {"predictions": hashlib.sha256(b"x").hexdigest(), "data": None}
    assert found["package"] and found["versions"]["numpy"] and found["versions"]["python"].startswith("3.")
    assert found["machine"]["cores"] >= 1 and found["date"].endswith("+00:00")
    assert found["command"].startswith("emotion-llama")
    assert json.loads(json.dumps(found)) == found


def test_the_manifest_of_a_data_folder_stands_for_it(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_bytes(b"clip\n")
    assert file_sha256(tmp_path) == hashlib.sha256(b"clip\n").hexdigest()
    assert file_sha256(tmp_path / "none") is None


def test_what_predictions_say_of_their_model_is_kept() -> None:
    assert provenance([of("nano"), None, of("nano")], {})["model"]["model"] == "nano"
    mixed = provenance([of("nano"), of("7b")], {})["model"]["mixed"]
    assert [record["model"] for record in mixed] == ["nano", "7b"]
    assert "nothing" in provenance([Prediction(clip="a")], {})["model"]["stated"]


def test_the_commit_is_of_this_package_or_none() -> None:
    commit = git_commit()
    assert commit is None or len(commit.removesuffix("+changes")) == 40
