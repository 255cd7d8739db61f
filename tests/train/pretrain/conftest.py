"""Moving pictures that pass for faces, a reader that takes them for such, and a pre-training of seconds."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from emotion_llama.clip import Clip
from emotion_llama.measurements import FaceBox, FaceMeasures, FaceSample, FaceTrack
from emotion_llama.media.types import Frame
from emotion_llama.train.pretrain.settings import PretrainSettings

DARK = 30
"""A frame darker than this shows no face."""


class FakeReader:
    """Takes every frame that is not dark for one face of 80 px; counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    def read(self, frames: Iterable[Frame], /) -> FaceMeasures:
        self.asked += 1
        seen = list(frames)
        samples = tuple(_sample(frame) for frame in seen if frame.rgb.mean() >= DARK)
        tracks = (FaceTrack(0, samples),) if samples else ()
        return FaceMeasures(len(seen), tracks, 0 if tracks else None, None, None, None, None)


def _sample(frame: Frame) -> FaceSample:
    box = FaceBox(np.array([0, 0, 80, 80], np.float32), np.zeros((6, 2), np.float32), 1.0)
    crop = np.asarray(cv2.resize(frame.rgb, (160, 160)), dtype=np.uint8)
    return FaceSample(frame.index, frame.time_s, box, np.zeros((468, 3), np.float32), 1.0, crop)


def write_moving(path: Path, seed: int, frames: int = 12, level: int = 128) -> Path:
    """A pattern of stripes that moves; `seed` chooses direction, colour and speed, `level` 0 is a black film."""
    rng = np.random.default_rng(seed)
    wave, colour, speed = rng.uniform(-0.08, 0.08, 2), rng.uniform(0.5, 1, 3), rng.uniform(0.2, 0.8)
    y, x = np.mgrid[:64, :64]
    with av.open(str(path), "w") as out:
        stream = out.add_stream("mpeg4", rate=10, options={"qscale": "2"})
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for index in range(frames):
            light = level * (1 + 0.8 * np.sin(wave[0] * x + wave[1] * y + speed * index))
            picture = np.clip(light[:, :, None] * colour, 0, 255).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 10)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


@pytest.fixture(scope="session")
def make_reader() -> type[FakeReader]:
    return FakeReader


@pytest.fixture()
def reader() -> FakeReader:
    return FakeReader()


@pytest.fixture()
def moving(tmp_path: Path) -> Callable[..., Clip]:
    """Write a film and give it as a clip: `moving("a.mp4", seed=1, frames=12, level=128, speaker=None)`."""

    def make(name: str, seed: int, speaker: str | None = None, **kinds: Any) -> Clip:
        path = write_moving(tmp_path / name, seed, **kinds)
        return Clip(clip=name, path=path, speaker=speaker)

    return make


@pytest.fixture(scope="session")
def films(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Clip], Path]:
    """Four recordings of twelve faces each, and a cache folder for what is kept of them."""
    folder = tmp_path_factory.mktemp("films")
    paths = [write_moving(folder / f"film{seed}.mp4", seed) for seed in range(4)]
    return [Clip(clip=path.name, path=path) for path in paths], tmp_path_factory.mktemp("cache")


@pytest.fixture()
def four_films(films: tuple[list[Clip], Path], monkeypatch: pytest.MonkeyPatch) -> list[Clip]:
    """The four recordings; their faces are looked for once for all tests."""
    monkeypatch.setenv("EMOTION_LLAMA_CACHE", str(films[1]))
    return films[0]


@pytest.fixture(scope="session")
def settings() -> Callable[..., PretrainSettings]:
    """Settings of a run of seconds; keywords change them, `schedule` and `faces` key by key."""

    def make(kind: str = "face-mae", **changes: Any) -> PretrainSettings:
        sizes = {
            "image_size": 16, "patch_size": 4, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
            "intermediate_size": 32, "decoder_hidden_size": 8, "decoder_num_hidden_layers": 1,
            "decoder_num_attention_heads": 2, "decoder_intermediate_size": 16,
        }  # fmt: skip
        video = kind == "face-videomae"
        values: dict[str, Any] = {
            "kind": kind,
            "model": sizes | ({"num_frames": 4, "tubelet_size": 2} if video else {}),
            "mask_ratio": 0.9 if video else 0.75,
            "schedule": {"steps": 6, "batch_size": 4, "learning_rate": 1e-3, "warmup_steps": 1},
            "held_back": {"share": 0.25, "samples": 8, "pictures": 2, "every": 3},
            "faces": {"frames_s": 10.0, "crop_px": 24},
            "device": "cpu",
            "log_every": 1,
            "save_every": 2,
        }
        for name, value in changes.items():
            values[name] = {**values[name], **value} if isinstance(value, dict) and name in values else value
        return PretrainSettings.model_validate(values)

    return make
