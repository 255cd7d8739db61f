"""What the stages hand on: who is in which pool, which lines are read; the shipped settings keep people apart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from emotion_llama.datasets.splits import read_split
from emotion_llama.encoders.heads import EmotionHead
from emotion_llama.train.__main__ import _draw, _pool, _texts
from emotion_llama.train.combine import Pool
from emotion_llama.train.config import NanoTraining
from emotion_llama.train.examples import Example
from emotion_llama.train.heads import FittedHead

ROOT = Path(__file__).resolve().parents[2]
Settings = Callable[..., NanoTraining]


def write_texts(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "labels.txt").write_text("joy\nanger\nneutral\n", encoding="utf-8")
    for name, person in (("train", "train line"), ("dev", "dev line"), ("test", "test line")):
        lines = [f"{person} {n} for [NAME]\t{n % 3}\tid{n}" for n in range(9)]
        lines += ["two feelings\t0,1\tid", f"{'long ' * 30}\t1\tid"]
        (folder / f"{name}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def fitted(name: str, examples: list[Example]) -> FittedHead:
    zeros = np.zeros(2, np.float32)
    head = EmotionHead(name, ("happy", "sad"), zeros, zeros + 1, np.zeros((2, 2), np.float32), zeros)
    return FittedHead(head, {e.id: np.full((1, 2), 0.5, np.float32) for e in examples}, 0.1, {})


def sides(groups: dict[str, list[Example]]) -> list[Example]:
    return [e for members in groups.values() for e in members]


def test_test_people_and_test_lines_reach_no_pool(tmp_path: Path, pool: Pool, settings: Settings) -> None:
    write_texts(tmp_path / "goemotions")
    names = ("train", "validation", "test")
    heard = [replace(e, side=names[n % 3], person=f"V{n % 3}") for n, e in enumerate(sides(pool.voices))]
    seen = [replace(e, side=names[n % 3], person=f"F{n % 3}") for n, e in enumerate(sides(pool.faces))]
    voice, face = fitted("voice_emotion", heard), fitted("face_emotion", seen)
    made = {side: _pool(settings(), tmp_path, side, heard, seen, voice, face) for side in ("train", "validation")}
    for side, own in made.items():
        members = [*sides(own.voices), *sides(own.faces)]
        assert members and {e.side for e in members} == {side}
        word = "train" if side == "train" else "dev"
        assert all(line.text.startswith(word) for lines in own.texts.values() for line in lines)
    people = [{e.person for e in (*sides(p.voices), *sides(p.faces))} for p in made.values()]
    assert not people[0] & people[1]


def test_voices_without_a_head_output_are_left_out(tmp_path: Path, pool: Pool, settings: Settings) -> None:
    write_texts(tmp_path / "goemotions")
    heard, seen = sides(pool.voices), sides(pool.faces)
    made = _pool(settings(), tmp_path, "train", heard, seen, fitted("v", heard[1:]), fitted("f", seen))
    assert heard[0].id not in {e.id for e in sides(made.voices)}
    assert len(sides(made.voices)) == len(heard) - 1


def test_lines_are_short_have_one_emotion_and_no_blanked_names(tmp_path: Path) -> None:
    write_texts(tmp_path / "texts")
    lines = _texts(tmp_path / "texts" / "train.tsv")
    assert [line.emotion for line in lines] == ["happy", "angry", "neutral"] * 3
    assert all("[NAME]" not in line.text and len(line.text) <= 120 for line in lines)
    assert len({line.id for line in lines}) == len(lines)


def test_fixed_sets_repeat_and_streams_differ(pool: Pool, settings: Settings) -> None:
    def clips(stream: int) -> list[tuple[str, tuple[str, ...], str]]:
        return [(s.clip, s.labels, s.answer) for s in _draw(pool, settings(), 20, stream)]

    assert clips(2) == clips(2) != clips(3)
    assert len(clips(2)) == 20
    for sample in _draw(pool, settings(), 60, 2):
        assert sample.task == "emotion" and sample.answer in sample.labels
        assert sample.features or sample.transcript


def test_shipped_settings_keep_the_scored_person_out() -> None:
    config = NanoTraining.from_yaml(ROOT / "configs" / "train" / "nano.yaml")
    splits = {name: read_split(ROOT / path) for name, path in config.splits.items()}
    assert set(splits) == {"ravdess", "emodb"}
    assert "Actor_05" in config.held_out_speakers
    for speaker in config.held_out_speakers:
        assert splits["ravdess"].side_of(speaker) == "test"
