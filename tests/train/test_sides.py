"""Every clip gets one side, and no person is on two."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from emotion_llama.clip import Clip
from emotion_llama.errors import ManifestError
from emotion_llama.train.config import DataSettings, Source
from emotion_llama.train.sides import assign_sides, check_people, shuffled_truth
from emotion_llama.train.sources import Item, Side


def source(name: str = "made", **settings: Any) -> Source:
    return Source.model_validate({"name": name, "path": "made.jsonl", **settings})


def item(number: int, speaker: str | None = "A", side: Side | None = None, name: str = "made", **more: Any) -> Item:
    clip = Clip(clip=f"{number}.mp4", speaker=speaker, path=more.pop("path", None), **more)
    return Item(name, clip, side, label=("happy", "sad")[number % 2])


def people(count: int, takes: int = 4) -> list[Item]:
    return [item(takes * person + take, f"P{person:02d}") for person in range(count) for take in range(takes)]


def assigned(items: Sequence[Item], settings: dict[str, Any], seed: int = 0, **data: Any) -> list[Item]:
    one = source(**settings)
    return assign_sides(items, one, DataSettings(sources=(one,), **data), seed)


def speakers(items: Sequence[Item]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for one in items:
        found[str(one.side)].add(str(one.clip.speaker))
    return dict(found)


def test_shares_are_of_speakers_who_stay_whole() -> None:
    items = people(20)
    sided = assigned(items, {"split": {"validation": 0.2, "test": 0.1}})
    found = speakers(sided)
    assert {side: len(on) for side, on in found.items()} == {"train": 14, "validation": 4, "test": 2}
    assert not found["train"] & found["validation"] and not found["train"] & found["test"]
    assert not found["validation"] & found["test"]
    assert [one.clip for one in sided] == [one.clip for one in items]  # nothing lost, nothing moved


def test_shares_are_drawn_by_the_seed() -> None:
    def drawn(seed: int, items: list[Item]) -> dict[str, set[str]]:
        return speakers(assigned(items, {"split": {"validation": 0.2}}, seed))

    assert drawn(1, people(20)) == drawn(1, people(20)[::-1])  # not by the order of the list
    assert len({frozenset(drawn(seed, people(20))["validation"]) for seed in range(5)}) > 1


def test_a_share_holds_at_least_one_speaker_and_leaves_one_to_train() -> None:
    assert {side: len(on) for side, on in speakers(assigned(people(3), {"split": {}})).items()} == {
        "train": 2, "validation": 1,
    }  # fmt: skip
    with pytest.raises(ManifestError, match=r"made: 1 speakers are too few .*validation_path"):
        assigned(people(1), {"split": {}})


def test_items_with_a_side_of_their_own_keep_it() -> None:
    items = [*people(6), item(100, "T", "test"), item(101, "V", "validation")]
    sided = assigned(items, {"split": {"validation": 0.2}})
    assert [one.side for one in sided[-2:]] == ["test", "validation"]


def test_a_split_by_speaker_needs_speakers_a_split_by_clip_does_not() -> None:
    nobody = [item(number, None) for number in range(10)]
    for split in ({"validation": 0.2}, "folds"):
        with pytest.raises(ManifestError, match=r"clip 0\.mp4: expected a speaker to split by"):
            assigned(nobody, {"split": split})
    sided = assigned(nobody, {"split": {"validation": 0.2, "unit": "clip"}})
    assert Counter(one.side for one in sided) == {"train": 8, "validation": 2}


def test_folds_partition_the_speakers_the_same_for_every_seed() -> None:
    items, folds = people(20), 6
    tested: list[str] = []
    validated: list[str] = []
    for fold in range(folds):
        by_seed = [speakers(assigned(items, {"split": "folds"}, seed, folds=folds, fold=fold)) for seed in (0, 1, 7)]
        assert by_seed[0] == by_seed[1] == by_seed[2]
        found = by_seed[0]
        assert sum(map(len, found.values())) == 20  # each speaker on one side
        tested += found["test"]
        validated += found["validation"]
    everybody = sorted(f"P{number:02d}" for number in range(20))
    assert sorted(tested) == everybody and sorted(validated) == everybody


def test_fewer_speakers_than_folds_are_refused() -> None:
    with pytest.raises(ManifestError, match=r"made: 5 speakers are too few for 6 folds"):
        assigned(people(5), {"split": "folds"})


def test_a_split_file_decides_and_must_name_everybody(tmp_path: Path) -> None:
    sides = {"name": "own", "train": ["P00", "P01"], "validation": ["P02"], "test": ["P03"]}
    (tmp_path / "own.json").write_text(json.dumps(sides), encoding="utf-8")
    found = speakers(assigned(people(4), {"split": "own.json"}, root=str(tmp_path)))
    assert found == {"train": {"P00", "P01"}, "validation": {"P02"}, "test": {"P03"}}
    assert found == speakers(assigned(people(4), {"split": str(tmp_path / "own.json")}))
    with pytest.raises(ManifestError, match=r"clip 16\.mp4: speaker 'P04' is on no side of split 'own'"):
        assigned(people(5), {"split": str(tmp_path / "own.json")})
    with pytest.raises(ManifestError, match=r"speaker None is on no side"):
        assigned([item(0, None)], {"split": str(tmp_path / "own.json")})
    with pytest.raises(ManifestError, match=r"split 'owm.json': expected official, folds"):
        assigned(people(4), {"split": "owm.json"}, root=str(tmp_path))


def test_shipped_splits_are_known_by_name() -> None:
    named = speakers(assigned([item(0, "Actor_05"), item(1, "Actor_02")], {"split": "ravdess"}))
    assert "Actor_05" in named["test"]


def test_one_side_for_all_and_a_side_for_everybody() -> None:
    assert speakers(assigned(people(2), {"side": "test"})) == {"test": {"P00", "P01"}}
    with pytest.raises(ManifestError, match=r"source made, clip 0\.mp4: it is on no side"):
        assigned(people(2), {"split": "official"})


@pytest.mark.parametrize("limit", [1, 4, 100])
def test_a_limit_is_of_clips_a_label_and_a_quarter_elsewhere(limit: int) -> None:
    def limited(seed: int) -> list[Item]:
        return assigned(people(20, takes=6), {"split": {"validation": 0.3}, "limit": limit}, seed)

    counts = Counter((one.side, one.label) for one in limited(0))
    for label in ("happy", "sad"):
        assert counts["train", label] == min(limit, 42)
        assert counts["validation", label] == min(max(1, limit // 4), 18)
    assert limited(0) == limited(0)
    if limit == 4:
        assert [one.clip.clip for one in limited(0)] != [one.clip.clip for one in limited(1)]


def test_a_person_on_two_sides_is_refused() -> None:
    items = [item(0, "A", "train"), item(1, "A", "validation")]
    with pytest.raises(ManifestError, match=r"speaker 'A' is on train \(source made\) and validation \(source made\)"):
        check_people(items, [source(split={})])
    across = [item(0, "A", "train"), item(1, "A", "test", name="other")]
    for split in ({}, "official"):
        with pytest.raises(ManifestError, match=r"speaker 'A' is on train \(source made\) and test \(source other\)"):
            check_people(across, [source(split=split), source("other", split=split)])
    check_people([replace(one, side="train") for one in across], [source(split={}), source("other", split={})])


def test_a_data_sets_own_split_is_taken_as_published() -> None:
    items = [item(0, "A", "train"), item(1, "A", "validation"), item(2, "B", "test")]
    check_people(items, [source(split="official")])


def test_a_recording_on_two_sides_is_refused_even_of_nobody(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    twice = [
        item(0, None, "train", path=path),
        item(1, None, "test", name="other", path=tmp_path / "x" / ".." / "a.mp4"),
    ]
    with pytest.raises(ManifestError, match=r"recording a\.mp4 is on train \(source made\) and test \(source other\)"):
        check_people(twice, [source(split={}), source("other", split={})])
    parts = [
        item(0, None, "train", path=path, start_s=0.0, end_s=1.0),
        item(1, None, "test", path=path, start_s=1.0, end_s=2.0),
    ]
    check_people(parts, [source(split={})])  # spans of a long recording are clips of their own


def test_how_many_more_are_shared_is_said() -> None:
    items = [item(2 * n + k, f"P{n}", ("train", "test")[k]) for n in range(3) for k in range(2)]
    with pytest.raises(ManifestError, match="and 2 more like this"):
        check_people(items, [source(split={})])


def test_shuffled_truth_deals_the_training_labels_anew_and_no_others() -> None:
    items = [
        replace(item(n, f"P{n}", "train" if n < 200 else "validation"), labels=("happy", "sad", "calm"))
        for n in range(240)
    ]
    dealt = shuffled_truth(items, seed=0)
    assert [one.clip for one in dealt] == [one.clip for one in items]
    assert dealt[200:] == items[200:]
    assert Counter(one.label for one in dealt) == Counter(one.label for one in items)
    same = sum(one.label == other.label for one, other in zip(dealt[:200], items[:200], strict=True))
    assert 70 < same < 130  # half of 200, five standard deviations
    assert dealt == shuffled_truth(items, seed=0) != shuffled_truth(items, seed=1)
