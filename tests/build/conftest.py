"""Small recordings, and a build that needs no nets: labels and words are given, a model or the composer writes."""

from __future__ import annotations

import runpy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from emotion_llama.build.plan import BuildConfig
from emotion_llama.clip import Clip

TESTS = Path(__file__).parent.parent
Server = runpy.run_path(str(TESTS / "llm_server.py"))
write_clip = runpy.run_path(str(TESTS / "conftest.py"))["write_clip"]
Say = Server["Say"]

LIGHT: list[dict[str, Any]] = [
    {"name": "probe", "min_side_px": 32},
    {"name": "coarse_label", "labels": "mer9", "pseudo_label": "given"},
    {"name": "describe_voice"},
    {"name": "transcribe"},
    {"name": "coarse_text"},
    {"name": "refine"},
    {"name": "consistency"},
    {"name": "dedupe"},
    {"name": "balance"},
    {"name": "split"},
]
EMOTIONS = ("happy", "sad", "angry", "neutral")


def light(**changed: dict[str, Any]) -> BuildConfig:
    """The light build, with changed settings of steps: `light(refine={"endpoint": "writer"})`."""
    endpoints = changed.pop("endpoints", {})
    stages = tuple({**stage, **changed.get(stage["name"], {})} for stage in LIGHT)
    return BuildConfig.model_validate({"name": "light", "endpoints": endpoints, "stages": stages})


@pytest.fixture(scope="session")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight short clips, each with a sound of its own."""
    folder = tmp_path_factory.mktemp("recordings")
    for number in range(8):
        write_clip(folder / f"clip{number}.mp4", seconds=1.0 + 0.1 * number, grey=40 + 20 * number, noise=number)
    return folder


def clips_of(folder: Path) -> list[Clip]:
    """A clip for each recording, with a label and words of its own."""
    return [
        Clip(
            clip=path.name, path=path, transcript=f"This is sentence number {number}.",
            emotion=EMOTIONS[number % 4], speaker=f"person{number % 5}",
        )
        for number, path in enumerate(sorted(folder.glob("*.mp4")))
    ]  # fmt: skip


@pytest.fixture
def clips(recordings: Path) -> list[Clip]:
    return clips_of(recordings)


@pytest.fixture
def llm() -> Iterator[Any]:
    """A loopback server that speaks as an OpenAI-compatible endpoint does."""
    with Server["LlmServer"]() as server:
        yield server


MakeConfig = Callable[..., BuildConfig]
