"""The guard: falling ratios are named, seconds are not looked at, damaged files are told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from emotion_llama.analyze.numerics import Numerics
from emotion_llama.bench.figures import Figures
from emotion_llama.bench.guard import MOST_LOSS, Stored, fallen, read_stored, require_comparable
from emotion_llama.errors import UsageError

Record = dict[str, Any]
RATIOS = (
    "reference_ratio", "reference_reloaded_ratio", "decode_ratio", "together_ratio", "folder_with_reasons.ratio",
    "label_scoring.ratio", "bandwidth_fraction", "prefill_fraction", "prefill_ratio", "scoring_fraction",
    "scoring_one_order_fraction", "video_fraction",
)  # fmt: skip


def written(record: Record, folder: Path) -> Path:
    path = folder / "speed.json"
    path.write_text(json.dumps(record), encoding="utf-8")
    return path


def changed(record: Record, name: str, factor: float) -> Record:
    first, _, inner = name.partition(".")
    value = record[first]
    return record | {first: value | {inner: value[inner] * factor} if inner else value * factor}


def test_all_ratios_are_compared(record: Record) -> None:
    assert set(Stored.model_validate(record).ratios()) == set(RATIOS)
    earlier = {name: value for name, value in record.items() if name != "video_fraction"}
    assert set(Stored.model_validate(earlier).ratios()) == {*RATIOS} - {"video_fraction"}


@pytest.mark.parametrize("name", RATIOS)
def test_a_ratio_that_fell_is_named_alone(record: Record, name: str, tmp_path: Path) -> None:
    stored = read_stored(written(record, tmp_path))
    (one,) = fallen(stored, Figures.model_validate(changed(record, name, 0.8)))
    assert one.name == name and one.found == pytest.approx(0.8 * one.stored)
    assert name in str(one) and "20 % less" in str(one)


@pytest.mark.parametrize("factor", [1 - MOST_LOSS + 0.01, 1.0, 3.0])
def test_what_fell_less_or_rose_is_no_fault(record: Record, factor: float, tmp_path: Path) -> None:
    stored = read_stored(written(record, tmp_path))
    assert fallen(stored, Figures.model_validate(changed(record, "decode_ratio", factor))) == []


def test_seconds_of_a_slower_machine_are_no_fault(record: Record, tmp_path: Path) -> None:
    stored, slow = read_stored(written(record, tmp_path)), dict(record)
    for name in ("warm_emotion_s", "warm_reason_s", "ttft_s", "help_s", "reference_s", "ours_s"):
        slow[name] *= 10
    for name in ("decode_tok_s", "prefill_tok_s", "label_scorings_s", "memory_read_gb_s"):
        slow[name] /= 10
    assert fallen(stored, Figures.model_validate(slow)) == []


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "speed.json"),
        ("{", "speed.json"),
        ("[]", "speed.json"),
        ('{"decode_ratio": 2}', "reference_ratio: Field required"),
    ],
)
def test_a_file_that_is_no_record_is_told_with_what_to_do(content: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "speed.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(UsageError, match="bench --json") as error:
        read_stored(path)
    assert told in str(error.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (name, value)
        for name in RATIOS
        for value in (None, "4", 0, -1.0, float("nan"), float("inf"), True)
        if (name, value) != ("video_fraction", None)  # none is as in an earlier record
    ],
)
def test_a_ratio_that_is_no_number_above_zero_is_named(
    record: Record, name: str, value: object, tmp_path: Path
) -> None:
    first, _, inner = name.partition(".")
    damaged = record | {first: record[first] | {inner: value} if inner else value}
    with pytest.raises(UsageError) as error:
        read_stored(written(damaged, tmp_path))
    assert f"{name}: " in str(error.value) and "speed.json" in str(error.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere\.json: cannot be read"):
        read_stored(tmp_path / "nowhere.json")


@pytest.mark.parametrize(
    ("now", "told"),
    [
        (("other", "cpu", "bfloat16", Numerics()), "model nano, not other"),
        (("nano", "cuda:1", "bfloat16", Numerics()), "device cpu, not cuda"),
        (("nano", "cpu", "float32", Numerics()), "dtype bfloat16, not float32"),
        (("nano", "cpu", "bfloat16", Numerics(quantize="int8")), "quantize None, not int8"),
        (("nano", "cpu", "bfloat16", Numerics(compiled=True)), "compile False, not True"),
    ],
)
def test_only_like_is_compared_with_like(
    record: Record, now: tuple[str, str, str, Numerics], told: str, tmp_path: Path
) -> None:
    path = written(record, tmp_path)
    require_comparable(read_stored(path), path, "nano", "cpu", "bfloat16", Numerics())
    with pytest.raises(UsageError) as error:
        require_comparable(read_stored(path), path, *now)
    assert told in str(error.value)
