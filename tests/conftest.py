"""What several test folders need: generated recordings, and the real model where its weights were fetched."""

from __future__ import annotations

import os
from collections.abc import Callable
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from emotion_llama import EmotionLlama


@cache
def _group(path: Path) -> str:
    """What one process of several runs: a file, or all files with tests of Ray, which know of one another's Rays."""
    return "ray" if '"ray"' in path.read_text("utf-8") or "ray" in path.stem else str(path)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Say which tests stay together (`--dist loadgroup`)."""
    for item in items:
        item.add_marker(pytest.mark.xdist_group(_group(item.path)))


MakeClip = Callable[..., Path]

# The same tree gets the same verdict, on a busy machine too. HYPOTHESIS_PROFILE=search draws other examples every time.
settings.register_profile("fixed", derandomize=True, deadline=None)
settings.register_profile("search", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))


def write_clip(
    path: Path,
    *,
    seconds: float = 1.0,
    size: tuple[int, int] | None = (64, 48),
    level: float | None = 0.3,
    grey: int = 120,
    rotation: int = 0,
    rate: int = 10,
    noise: int | None = None,
) -> Path:
    """A plain picture (none with `size` `None`) and a 220 Hz tone of height `level` (no sound stream with `None`).

    `noise`: instead of the tone, noise that swells and fades, drawn with this seed.
    """
    import av

    with av.open(str(path), "w") as out:
        video = audio = None
        if size is not None:
            video = out.add_stream("libx264", rate=rate, options={"preset": "ultrafast"})
            video.width, video.height, video.pix_fmt = *size, "yuv420p"
            if rotation:
                video.set_display_rotation(rotation)
        if level is not None:
            audio = out.add_stream("pcm_s16le" if path.suffix == ".wav" else "aac", rate=16_000, layout="mono")
        if video is not None:
            picture = np.full((size[1], size[0], 3), grey, np.uint8)
            for index in range(max(1, round(seconds * rate))):
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                frame.pts, frame.time_base = index, Fraction(1, rate)
                out.mux(video.encode(frame))
            out.mux(video.encode(None))
        if audio is not None:
            time_s = np.arange(round(16_000 * seconds)) / 16_000
            wave = level * 32_000 * np.sin(2 * np.pi * 220 * time_s)
            if noise is not None:
                draw = np.random.default_rng(noise).standard_normal(len(wave)).cumsum() % 2 - 1
                wave = level * 16_000 * draw * (1.2 + np.sin(2 * np.pi * (1 + noise % 3) * time_s))
            for start in range(0, len(wave), 1024):
                part = av.AudioFrame.from_ndarray(
                    wave[None, start : start + 1024].astype(np.int16), format="s16", layout="mono"
                )
                part.sample_rate, part.pts, part.time_base = 16_000, start, Fraction(1, 16_000)
                out.mux(audio.encode(part))
            out.mux(audio.encode(None))
    return path


@pytest.fixture
def make_clip(tmp_path: Path) -> MakeClip:
    """Write a small recording: `make_clip("a.mp4", seconds=1, size=(64, 48), level=0.3)`; `level=0` is silence."""
    return lambda name, **kinds: write_clip(tmp_path / name, **kinds)


@pytest.fixture
def analysis_json() -> dict[str, object]:
    """The least that a written analysis holds, as JSON."""
    return {
        "clip": "a.mp4", "duration_s": 1.0, "emotion": "happy", "labels": [], "valence": None, "confidence": 0.7,
        "probabilities": {"happy": 0.7, "sad": 0.3}, "label_scores": None, "order_sensitivity": 0.0,
        "reasoning": None, "visual": None, "audio": None, "evidence": [],
        "transcript": {"text": "hello", "source": "given"}, "peak_frame": None, "faces": [], "action_units": {},
        "voice": None, "inputs": {"text": {"present": True, "reason": "present"}}, "warnings": [], "timings_s": {},
        "raw": {},
        "provenance": {
            "package": "emotion-llama 0", "model": "nano", "weights_sha256": None, "weights_licence": None,
            "prompt_version": "1", "layout": "aligned", "label_orders": 1, "seed": 0, "device": "cpu",
            "dtype": "float32", "versions": {},
        },
    }  # fmt: skip


@pytest.fixture(scope="session")
def model_name() -> str:
    """The model that tests with real weights use: `nano`, or the checkpoint folder EMOTION_LLAMA_TEST_MODEL."""
    from emotion_llama import assets
    from emotion_llama.assets.cache import state

    for asset in assets.load_catalog().select(["nano", "sample"]):
        if state(asset, assets.cache_dir()) != "ready":
            pytest.skip(f"asset {asset.name} is not here; run: emotion-llama fetch nano sample")
    return os.environ.get("EMOTION_LLAMA_TEST_MODEL", "nano")


@pytest.fixture(scope="session")
def nano(model_name: str) -> EmotionLlama:
    """The real model, loaded once for all tests; one thread, so that a busy machine slows it down and no more."""
    import emotion_llama as el

    return el.load(model_name, device="cpu", threads=1)


@pytest.fixture(scope="session")
def exact(model_name: str) -> EmotionLlama:
    """The real model in float32: in bfloat16 two words can be equally likely, and then the batch decides."""
    import emotion_llama as el

    return el.load(model_name, device="cpu", dtype="float32", threads=1)


@pytest.fixture(scope="session")
def faces_picture(model_name: str) -> Path:
    """A photograph with several faces."""
    from emotion_llama import assets

    return next(assets.path("sample-faces").glob("*.jpg"))
