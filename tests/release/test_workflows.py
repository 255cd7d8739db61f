"""The workflows: run what is in the tree, ask for no more rights than they need, publish what was checked."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def read(name: str) -> dict[Any, Any]:
    found: dict[Any, Any] = yaml.safe_load((ROOT / ".github" / "workflows" / f"{name}.yml").read_text("utf-8"))
    return found


def steps(job: dict[str, Any]) -> str:
    return "\n".join(str(step.get("run", step.get("uses", ""))) for step in job["steps"])


def test_both_are_there() -> None:
    assert [path.stem for path in FILES] == ["ci", "release"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_what_they_run_is_there_and_can_be_run(path: Path) -> None:
    named = set(re.findall(r"\.ci/[\w-]+", "\n".join(map(steps, read(path.stem)["jobs"].values()))))
    assert named
    for name in named:
        assert os.access(ROOT / name, os.X_OK), name


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_rights_are_asked_for_where_they_are_needed(path: Path) -> None:
    workflow = read(path.stem)
    assert workflow["permissions"] == {"contents": "read"}
    writing = {
        (name, right)
        for name, job in workflow["jobs"].items()
        for right, level in job.get("permissions", {}).items()
        if level == "write"
    }
    assert writing == ({("pypi", "id-token"), ("image", "packages")} if path.stem == "release" else set())


def test_a_contributor_and_the_machine_run_the_same() -> None:
    jobs = read("ci")["jobs"]
    assert ".ci/run" in steps(jobs["check"]) and ".ci/release-check" in steps(jobs["package"])
    assert "make check" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_nothing_is_published_before_it_was_checked() -> None:
    workflow = read("release")
    assert workflow[True] == {"push": {"tags": ["v*"]}}  # YAML reads the key `on` as true
    jobs = workflow["jobs"]
    (checked,) = [step for step in jobs["build"]["steps"] if ".ci/release-check" in step.get("run", "")]
    for word in ('--tag "$GITHUB_REF_NAME"', "--dist dist", "--smoke"):
        assert word in checked["run"]
    assert {name: job.get("needs") for name, job in jobs.items()} == {"build": None, "pypi": "build", "image": "build"}
    assert "pypa/gh-action-pypi-publish" in steps(jobs["pypi"])
    assert "password" not in str(jobs["pypi"])  # trusted publishing: no token
    assert jobs["image"]["strategy"]["matrix"]["target"] == ["cpu", "cuda"]
