"""Extraction with the real encoders: equal to what `analyze` feeds the model, and to itself a second time."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import cv2
import numpy as np
import pytest

from emotion_llama import assets
from emotion_llama.clip import Clip
from emotion_llama.media.types import SAMPLE_RATE_HZ
from emotion_llama.train.asking import features_of
from emotion_llama.train.config import FeatureSettings, TrainConfig
from emotion_llama.train.extract import Extracted, cache_folder, extract
from emotion_llama.train.material import read_items

if TYPE_CHECKING:
    from emotion_llama import EmotionLlama

MakeConfig = Callable[..., TrainConfig]


def plain(found: Extracted) -> list[tuple[Any, ...]]:
    return [
        (e.id, e.transcript, e.observations, {name: rows.tolist() for name, rows in e.arrays.items()})
        for e in found.examples
    ]


@pytest.fixture
def fetched_cache(own_cache: Path, model_name: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache in which the fetched assets can be seen."""
    monkeypatch.delenv("EMOTION_LLAMA_CACHE")
    real = assets.cache_dir()
    monkeypatch.setenv("EMOTION_LLAMA_CACHE", str(own_cache))
    own_cache.mkdir()
    for folder in real.iterdir():
        if folder.name in {asset.name for asset in assets.load_catalog().assets}:
            (own_cache / folder.name).symlink_to(folder)
    return own_cache


@pytest.mark.weights
def test_extraction_gives_the_model_what_analyze_gives_it(
    nano: EmotionLlama, fetched_cache: Path, make_config: MakeConfig, tmp_path: Path, face_clip: Path
) -> None:
    heard: list[dict[str, np.ndarray]] = []
    model = nano.reader.model
    hooks = [
        projector.register_forward_pre_hook(
            lambda module, given: heard.append({module.name: given[0][0].detach().float().numpy()})
        )
        for projector in model.projectors.values()
    ]
    try:
        nano.analyze(Clip(clip="a.mp4", path=face_clip, transcript="hello"), tasks=("emotion",), label_orders=1)
    finally:
        for hook in hooks:
            hook.remove()
    analysed = {name: rows for one in heard for name, rows in one.items()}
    (tmp_path / "m.jsonl").write_text(
        json.dumps({"clip": "a.mp4", "path": str(face_clip), "emotion": "happy", "transcript": "hello"}),
        encoding="utf-8",
    )
    config = make_config(f"data.sources=[{{path: {tmp_path}/m.jsonl, side: train}}]")
    found = extract(read_items(config), config)
    (example,) = found.examples
    heads = nano.parts.heads
    groups = [
        FeatureSettings(
            name=g.name,
            modality=g.modality,
            tokens=g.tokens,
            head=g.name if g.name in heads else None,
            still=g.still,
        )
        for g in model.config.groups
    ]
    opinions = {name: {example.id: head.opinion(example.arrays[head.array])} for name, head in heads.items()}
    trained = features_of(example, groups, opinions, ("video", "audio"))
    assert set(trained) == set(analysed) >= {"temporal", "face_expression", "voice_emotion"}
    assert not {"global", "local"} & set(analysed)  # for stills alone
    for name, rows in trained.items():
        np.testing.assert_allclose(rows, analysed[name], rtol=1e-4, atol=1e-4, err_msg=name)


@pytest.fixture
def face_clip(faces_picture: Path, voice_like: Any, tmp_path: Path) -> Path:
    """A second of film in which a photograph of faces is pushed along, with a voice-like sound."""
    rgb = cv2.cvtColor(cv2.imread(str(faces_picture)), cv2.COLOR_BGR2RGB)
    rgb = cv2.resize(rgb, (480, 320))
    path = tmp_path / "face.mp4"
    with av.open(str(path), "w") as out:
        video = out.add_stream("libx264", rate=10, options={"preset": "ultrafast"})
        video.width, video.height, video.pix_fmt = 480, 320, "yuv420p"
        audio = out.add_stream("aac", rate=16_000, layout="mono")
        for index in range(10):
            frame = av.VideoFrame.from_ndarray(np.roll(rgb, 2 * index, axis=1), format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 10)
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
        part = av.AudioFrame.from_ndarray(voice_like(1.0)[None], format="s16", layout="mono")
        part.sample_rate = SAMPLE_RATE_HZ
        out.mux(audio.encode(part))
        out.mux(audio.encode(None))
    return path


@pytest.mark.weights
def test_cached_and_fresh_features_agree_and_a_faceless_picture_is_left_out_once(
    fetched_cache: Path, make_config: MakeConfig, faces_picture: Path, make_clip: Any, tmp_path: Path
) -> None:
    folder = tmp_path / "press"
    folder.mkdir()
    for name in ("faces.jpg", "more.jpg"):
        shutil.copy(faces_picture, folder / name)
    cv2.imwrite(str(folder / "wall.png"), np.full((200, 200), 128, np.uint8))
    rows = "file,label,split,group\nfaces.jpg,anger,train,A\nwall.png,happiness,train,B\nmore.jpg,anger,test,C\n"
    (folder / "manifest.csv").write_text(rows, encoding="utf-8")
    sounds = [make_clip(f"s{n}.wav", seconds=1.0 + n / 10, size=None) for n in range(2)]
    (tmp_path / "m.jsonl").write_text(
        "".join(json.dumps({"clip": p.name, "emotion": "sad"}) + "\n" for p in sounds), encoding="utf-8"
    )
    config = make_config(
        f"data.sources=[{{path: {tmp_path}/m.jsonl, side: train, copies: 1}}, "
        f"{{path: {folder}, kind: pictures, split: official}}]"
    )
    items = read_items(config)
    fresh = extract(items, config)
    cached = extract(items, config)
    shutil.rmtree(cache_folder())
    again = extract(items, config)
    assert (fresh.fresh, cached.fresh, again.fresh) == (7, 0, 7)
    for found in (fresh, cached, again):
        (lost,) = found.left_out
        assert lost.clip == "press/wall.png" and "expected a face" in lost.reason
    assert plain(fresh) == plain(cached) == plain(again)
    own, copy = (next(e for e in again.examples if e.id == f"m/s0.wav{n}") for n in ("", "#1"))
    assert np.abs(own.arrays["audio_mix"] - copy.arrays["audio_mix"]).max() > 0.01
