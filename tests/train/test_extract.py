"""Extraction: cached by content, what cannot be used is named, and equal to what `analyze` feeds the model."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from emotion_llama.analyze.parts import Parts
from emotion_llama.clip import Clip
from emotion_llama.errors import MediaError, OutputError
from emotion_llama.measurements import ACTION_UNITS, ActionUnitSeries, FaceBox, FaceMeasures, FaceSample, FaceTrack
from emotion_llama.media.types import Waveform
from emotion_llama.train.config import TrainConfig
from emotion_llama.train.examples import Example
from emotion_llama.train.extract import Extracted, Task, _extract, cache_folder, extract
from emotion_llama.train.face_pictures import encode_face_picture, to_gray
from emotion_llama.train.material import read_items
from emotion_llama.train.sources import Item

MakeConfig = Callable[..., TrainConfig]
Run = Callable[..., Extracted]


def edit(manifest: Path, clip: str, **changes: Any) -> None:
    """Change one line of a manifest; `None` takes a key out."""
    lines = [json.loads(line) for line in manifest.read_text(encoding="utf-8").splitlines()]
    for line in lines:
        if line["clip"] == clip:
            line.update(changes)
    manifest.write_text("\n".join(map(json.dumps, lines)) + "\n", encoding="utf-8")


@pytest.fixture
def run(make_config: MakeConfig, recordings: Path) -> Run:
    """Read and extract the recordings; words change the settings of their source."""

    def done(*words: str, jobs: int = 1) -> Extracted:
        source = "{name: r, path: manifest.jsonl, split: {validation: 0.2, test: 0.2}, labels: [happy, sad]}"
        config = make_config(f"data.root={recordings.parent}", f"data.sources=[{source}]", *words)
        return extract(read_items(config), config, jobs=jobs)

    return done


def plain(examples: list[Example]) -> list[tuple[Any, ...]]:
    return [
        (e.id, e.side, e.label, e.transcript, e.observations, {name: rows.tolist() for name, rows in e.arrays.items()})
        for e in examples
    ]


def test_every_recording_becomes_an_example_and_the_second_time_comes_from_the_cache(run: Run) -> None:
    first, again = run(), run()
    assert (first.fresh, again.fresh) == (10, 0)
    assert len(first.examples) == 10 and not first.left_out
    assert plain(first.examples) == plain(again.examples)
    assert first.examples[0].transcript == "Take 0."


@pytest.mark.slow
def test_two_processes_give_what_one_gives(run: Run) -> None:
    both = run(jobs=2)
    shutil.rmtree(cache_folder())
    alone = run(jobs=1)
    assert both.fresh == alone.fresh == 10
    assert plain(both.examples) == plain(alone.examples)


def test_only_what_changed_in_a_manifest_is_extracted_again(run: Run, recordings: Path) -> None:
    run()
    edit(recordings, "take3.wav", emotion="sad", speaker="q1")  # a label and a person are no features
    assert run().fresh == 0
    assert next(e for e in run().examples if e.id == "r/take3.wav").label == "sad"
    edit(recordings, "take4.wav", transcript="Other words.")
    assert run().fresh == 1
    edit(recordings, "take5.wav", start_s=0.1, end_s=0.4)
    assert run().fresh == 1
    whole = (recordings.parent / "take6.wav").read_bytes()
    (recordings.parent / "take6.wav").write_bytes(whole[:-200])
    assert run().fresh == 1
    lines = recordings.read_text(encoding="utf-8")
    shutil.copy(recordings.parent / "take7.wav", recordings.parent / "new.wav")
    new = {"clip": "new.wav", "speaker": "q2", "emotion": "sad", "transcript": "Take 7."}
    recordings.write_text(lines + json.dumps(new) + "\n", encoding="utf-8")
    assert run().fresh == 0  # the same recording with the same words, under another name
    recordings.write_text(lines, encoding="utf-8")
    assert run().fresh == 0


def test_settings_that_decide_the_features_are_part_of_the_key(run: Run) -> None:
    run()
    assert run("data.sources.r.without=[video]").fresh == 10
    assert run("schedule.steps=9", "seed=3", "data.sources.r.weight=2", "data.augment.picture=null").fresh == 0


def test_copies_are_made_of_training_recordings_only_and_by_seed(run: Run) -> None:
    found = run("data.sources.r.copies=2")
    copies = [e for e in found.examples if e.copy]
    assert {e.side for e in copies} == {"train"}
    own = {e.id for e in found.examples if e.side == "train" and not e.copy}
    assert {e.id for e in copies} == {f"{name}#{n}" for name in own for n in (1, 2)}
    assert found.fresh == 10 + len(copies) == 10 + 2 * len(own)
    assert run("data.sources.r.copies=2").fresh == 0
    assert run("data.sources.r.copies=3").fresh == len(own)
    assert run("data.sources.r.copies=2", "data.augment.sound.noise.probability=0").fresh == len(copies)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [("gone", "cannot be read"), ("empty", "take2.wav"), ("noise", "take2.wav"), ("wordless", "nothing to analyse")],
)
def test_a_recording_that_cannot_be_used_is_left_out_and_named(
    run: Run, recordings: Path, damage: str, reason: str
) -> None:
    path = recordings.parent / "take2.wav"
    if damage == "gone":
        path.unlink()
    elif damage == "wordless":
        edit(recordings, "take2.wav", transcript=None)
    else:
        path.write_bytes(b"" if damage == "empty" else bytes(range(256)) * 4)
    for _ in range(2):  # the second time too
        found = run()
        assert len(found.examples) == 9 and "r/take2.wav" not in {e.id for e in found.examples}
        (lost,) = found.left_out
        assert lost.clip == "r/take2.wav" and reason in lost.reason


def test_a_damaged_cache_entry_is_made_anew(run: Run) -> None:
    first = run()
    entries = sorted(cache_folder().glob("??/*.safetensors"))
    assert len(entries) == 10
    for entry, content in zip(entries, (b"", entries[1].read_bytes()[:30], b"x" * 100), strict=False):
        entry.write_bytes(content)
    again = run()
    assert again.fresh == 3
    assert plain(again.examples) == plain(first.examples)


def test_a_cache_that_cannot_be_written_is_an_error(run: Run, own_cache: Path) -> None:
    own_cache.write_text("a file where the folder should be", encoding="utf-8")
    with pytest.raises(OutputError, match="cannot be written"):
        run()


def test_text_and_features_of_others_need_no_extraction(
    make_config: MakeConfig, feature_folder: Path, tmp_path: Path, own_cache: Path
) -> None:
    lines = [{"clip": "l1", "path": "", "transcript": "I am so happy!", "emotion": "happy"}]
    (tmp_path / "lines.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    config = make_config(
        f"data.sources=[{{path: {tmp_path}/lines.jsonl, side: train}}, {{path: {feature_folder}, kind: features, "
        "part: CREMA-D, split: {validation: 0.2}}]"
    )
    found = extract(read_items(config), config)
    assert found.fresh == 0 and not found.left_out and len(found.examples) == 1 + 96
    assert found.examples[0].transcript == "I am so happy!" and found.examples[0].arrays == {}
    assert any(o.channel == "words" for o in found.examples[0].observations)
    assert set(found.examples[1].arrays) == {"audio", "video", "video_mean", "both", "stretches"}
    silent = extract(read_items(config), make_config(*_without_words(config)))
    assert silent.examples[0].transcript is None and silent.examples[0].observations == ()


def _without_words(config: TrainConfig) -> list[str]:
    sources = [{**s.model_dump(mode="json"), "words": "none"} for s in config.data.sources]
    return [f"data.sources={json.dumps(sources)}"]


class Ears:
    """Loudness and length as features."""

    def features(self, waveform: Waveform) -> dict[str, np.ndarray]:
        level = np.float32(np.sqrt(np.mean(waveform.samples**2)))
        return {"audio": np.array([[level, len(waveform.samples)]], np.float32)}


MESH = np.random.default_rng(0).normal(80, 20, (468, 3)).astype(np.float32)


class Eyes:
    """A face that fills every frame brighter than 7; its brightness is every number."""

    def read(self, frames: Any, speech_s: Any = ()) -> FaceMeasures:
        seen = list(frames)
        levels = [np.float32(frame.rgb.mean()) for frame in seen]
        if max(levels) <= 7:
            return FaceMeasures(len(seen), (), None, None, None, None, None)
        count = len(seen)
        box = FaceBox(np.array([0, 0, 9, 9], np.float32), np.zeros((6, 2), np.float32), 1.0)
        crop = np.zeros((160, 160, 3), np.uint8)
        samples = tuple(FaceSample(f.index, f.time_s, box, MESH, 1.0, crop) for f in seen)
        units = np.repeat(np.array(levels, np.float32)[:, None] / 255, len(ACTION_UNITS), axis=1)
        series = ActionUnitSeries(
            time_s=np.array([f.time_s for f in seen], np.float32),
            intensity=units,
            confidence=np.ones_like(units),
            pose_deg=np.zeros((count, 3), np.float32),
            baseline="population",
        )
        features = np.repeat(np.array(levels, np.float32)[:, None], 128, axis=1)
        expressions = np.full((count, 7), 1 / 7, np.float32)
        return FaceMeasures(count, (FaceTrack(0, samples),), 0, series, expressions, features, 0)


def fake_parts(**more: Any) -> Parts:
    """Encoders that give known numbers."""
    made = SimpleNamespace(
        audio_encoder=Ears(),
        face_reader=Eyes(),
        opinion_net=SimpleNamespace(
            look=lambda crops: (np.full((len(crops), 7), 1 / 7, np.float32), np.zeros((len(crops), 1280), np.float32))
        ),
        expression_net=SimpleNamespace(grid=lambda crops: np.zeros((len(crops), 512), np.float32)),
        global_encoder=lambda rgb: np.full((1, 3), rgb.mean(), np.float32),
        feature_cache=None,
        own_global=None,
        own_local=None,
        own_temporal=None,
        own_audio=None,
        released=False,
    )
    return cast(Parts, SimpleNamespace(**{**vars(made), **more}))


def task(item: Item, copy: int = 0, face: bool = False, seed: int = 0, **augment: Any) -> Task:
    return Task(item, copy, f"key-{copy}-{seed}", face, "given", (), augment, seed)


def test_a_talking_face_gives_every_array_and_its_copies_differ_repeatably(make_clip: Any) -> None:
    path = make_clip("a.mp4", seconds=1.0, grey=120, level=0.3)
    item = Item("made", Clip(clip="a.mp4", path=path, transcript="hello"), "train")
    own = _extract(task(item), fake_parts())
    assert {name: rows.shape for name, rows in own.items() if name != "notes"} == {
        "global": (1, 3), "local": (2, 135), "face_expressions": (10, 14), "face_view": (10, 1829),
        "temporal": (4, 36), "audio": (1, 2),
    }  # fmt: skip
    copies = [_extract(task(item, copy, seed=seed), fake_parts()) for copy, seed in ((1, 0), (2, 0), (1, 1))]
    numbers = [tuple(one["audio"][0].tolist()) for one in (own, *copies)]
    assert len(set(numbers)) == 4
    again = _extract(task(item, 1, seed=0), fake_parts())
    for name, rows in again.items():
        np.testing.assert_array_equal(rows, copies[0][name])
    untouched = _extract(task(item, 1, sound=None, picture=None), fake_parts())
    for name, rows in untouched.items():
        np.testing.assert_array_equal(rows, own[name])


def test_clues_are_measured_on_the_copy_itself(make_wav: Any, voice_like: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    make_wav(path, voice_like(2.0))
    item = Item("made", Clip(clip="a.wav", path=path), "train")
    quieter = {"sound": {"level": {"probability": 1.0, "gain_db": [-30, -30]}}, "picture": None}
    for name in ("speed", "pitch", "cut", "reverb", "noise", "band"):
        quieter["sound"][name] = {"probability": 0.0}  # type: ignore[index]
    own, copy = (_extract(one, fake_parts()) for one in (task(item), task(item, 1, **quieter)))
    assert copy["audio"][0, 0] == pytest.approx(own["audio"][0, 0] * 10**-1.5, rel=0.02)
    assert own["notes"].tobytes() != copy["notes"].tobytes()


def test_a_picture_without_a_face_is_an_entry_of_its_own() -> None:
    dark = Item("made", Clip(clip="p1"), "train", picture=np.full((48, 48), 3, np.uint8))
    found = _extract(task(dark, face=True), fake_parts())
    assert set(found) == {"notes"}
    assert "p1: expected a face in the picture" in json.loads(found["notes"].tobytes())["left_out"]
    light = Item("made", Clip(clip="p2"), "train", picture=np.full((48, 48), 90, np.uint8))
    seen = _extract(task(light, face=True), fake_parts())
    assert {name: rows.shape for name, rows in seen.items() if name != "notes"} == {
        "global": (1, 3), "local": (2, 135), "face_expressions": (1, 14), "face_view": (1, 1829),
        "action_units": (1, 18),
    }  # fmt: skip


def test_a_recording_that_breaks_off_is_no_picture_without_a_face(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"no recording")
    item = Item("made", Clip(clip="a.mp4", path=tmp_path / "a.mp4"), "train")
    with pytest.raises(MediaError, match=r"a\.mp4"):
        _extract(task(item), fake_parts())


@pytest.mark.parametrize(("side_px", "framed_px"), [(48, 256), (127, 256), (128, 384), (400, 384)])
def test_small_and_large_face_pictures_get_a_border(side_px: int, framed_px: int) -> None:
    shown: list[Any] = []

    def look(rgb: np.ndarray) -> np.ndarray:
        shown.append(rgb)
        return np.zeros((1, 3), np.float32)

    encode_face_picture(np.full((side_px, side_px), 90, np.uint8), "p", fake_parts(global_encoder=look))
    (rgb,) = shown
    assert rgb.shape == (framed_px, framed_px, 3) and (rgb == 90).all()


def test_colour_is_taken_out_of_research_pictures() -> None:
    rgb = np.zeros((4, 4, 3), np.uint8)
    rgb[..., 1] = 90  # colour gives labels away in sets that were put together from several
    assert (to_gray(rgb) == 30).all() and to_gray(rgb).dtype == np.uint8
