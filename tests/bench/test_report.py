"""The record and its table: nothing is lost, nothing unknown is taken, a busy machine is told."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from pydantic import ValidationError
from rich.console import Console

from emotion_llama.bench.figures import Figures
from emotion_llama.bench.report import busy, table

Record = dict[str, Any]


def test_written_and_read_it_is_the_same(record: Record) -> None:
    found = Figures.model_validate(record)
    assert json.loads(found.model_dump_json()) == record
    assert Figures.model_validate_json(found.model_dump_json()) == found


@pytest.mark.parametrize("change", [{"speed": 1.0}, {"decode_ratio": 0}, {"ttft_s": float("nan")}, {"cores": 0}])
def test_what_cannot_be_is_refused(record: Record, change: Record) -> None:
    with pytest.raises(ValidationError, match=next(iter(change))):
        Figures.model_validate(record | change)


def test_the_table_shows_machine_figures_limits_and_stages(record: Record) -> None:
    text = io.StringIO()
    Console(file=text, width=140).print(table(Figures.model_validate(record)))
    shown = text.getvalue()
    for name in ("rtf_emotion", "clips_per_s cached", "ttft_s", "memory_read_gb_s", "bandwidth_fraction",
                 "video_fraction", "encoders: audio encoder", "reference_ratio", "stage: faces", "2 cores",
                 "bfloat16"):  # fmt: skip
        assert name in shown
    assert "peak_vram_mb" not in shown
    on_gpu = Figures.model_validate(record | {"peak_vram_mb": 512.0})
    text = io.StringIO()
    Console(file=text, width=140).print(table(on_gpu))
    assert "512 MB" in text.getvalue()


@pytest.mark.parametrize(("load", "told"), [(0.3, False), (1.5, True), (None, False)])
def test_a_busy_machine_is_told(record: Record, load: float | None, told: bool) -> None:
    assert busy(Figures.model_validate(record | {"load_average": load})) is told
