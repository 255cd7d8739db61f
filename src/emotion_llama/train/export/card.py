"""A model card for the hub, filled from the run's own record; what the record lacks is said to be not recorded."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCardData
from jinja2 import ChainableUndefined, Environment, PackageLoader, Undefined

from emotion_llama.train.export.licence import NOT_RECORDED, data_terms, licence_of
from emotion_llama.train.export.source import Source

TAGS = ("emotion-recognition", "multimodal", "affective-computing", "emotion-llama")
SCORES = {
    "war": ("accuracy", "WAR"),
    "uar": ("recall", "UAR"),
    "weighted_f1": ("f1", "weighted F1"),
    "nll": ("nll", "NLL"),
    "ece": ("ece", "ECE"),
}
"""Key in the record → the hub's metric type, and the name a reader knows."""


def write_card(source: Source, folder: Path, name: str, *, merged: bool, licence: str | None = None) -> None:
    """Write `README.md` with front matter into `folder`. `name`: of the model, "OWNER/NAME" or a word."""
    page = _environment().get_template("card.md.j2")
    record = source.record
    text = page.render(
        front_matter=front_matter(source, name, licence).to_yaml().strip(),
        name=name,
        merged=merged,
        record=record,
        config=record.get("config") or {},
        settings=dict(_flat(without_folders(record.get("config") or record.get("settings") or {}))),
        groups=source.config.groups,
        lora=source.config.lora,
        llm=source.llm_name,
        calibrated=(source.folder / "calibration.json").is_file(),
        sha256=source.sha256,
        terms=data_terms(record),
        licence=licence_of(source, licence),
        scores=SCORES,
        log=[row for row in record.get("scores") or () if isinstance(row, Mapping)],
        tasks=_tasks(record),
        tests=_tests(record),
    )
    (folder / "README.md").write_text(text, encoding="utf-8")


def front_matter(source: Source, name: str, licence: str | None = None) -> ModelCardData:
    """Give the hub's metadata: licence, base model, data, tags and the test scores as a model index."""
    tests = _tests(source.record)
    short = name.rsplit("/", 1)[-1]
    return ModelCardData(
        license=licence_of(source, licence),
        base_model=source.base_model,
        library_name="emotion-llama",
        tags=[*TAGS, *(["lora"] if source.config.lora else [])],
        datasets=sorted({_slug(str(row["name"])) for row in source.record.get("data") or () if row.get("name")})
        or None,
        metrics=sorted({SCORES[key][0] for row in tests.values() for key in SCORES if _number(row.get(key))}) or None,
        model_name=short,
        eval_results=list(_results(tests)) or None,
    )


def without_folders(value: Any) -> Any:
    """Give a record in which every absolute path is cut to its last part: a home folder is nobody's business."""
    if isinstance(value, Mapping):
        return {key: without_folders(part) for key, part in value.items()}
    if isinstance(value, list):
        return [without_folders(part) for part in value]
    return Path(value).name if isinstance(value, str) and Path(value).is_absolute() else value


def _results(tests: Mapping[str, Mapping[str, Any]]) -> Iterator[EvalResult]:
    for data_set, row in tests.items():
        for key, (kind, title) in SCORES.items():
            if _number(row.get(key)):
                yield EvalResult(
                    task_type="emotion-recognition",
                    task_name="Emotion recognition",
                    dataset_type=_slug(data_set),
                    dataset_name=data_set,
                    dataset_split="test",
                    metric_type=kind,
                    metric_name=title,
                    metric_value=round(float(row[key]), 4),
                )


def _tests(record: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Test scores by data set, each with `chance` (1 / number of labels) where its labels are recorded."""
    found = record.get("test")
    rows = {str(name): dict(row) for name, row in found.items()} if isinstance(found, Mapping) else {}
    for row in rows.values():
        if row.get("labels"):
            row.setdefault("chance", 1 / len(row["labels"]))
    return rows


def _tasks(record: Mapping[str, Any]) -> list[str]:
    rows = [row for row in record.get("scores") or () if isinstance(row, Mapping)]
    return list(dict.fromkeys(task for row in rows for task in row.get("loss_by_task") or ()))


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("emotion_llama.train.export", "."),
        undefined=ChainableUndefined,
        finalize=_told,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # Markdown, not HTML
    )
    environment.filters.update(cell=_cell, number=_shown, score=_score)
    return environment


def _told(value: Any) -> Any:
    return NOT_RECORDED if value is None or isinstance(value, Undefined) else value


def _cell(value: Any) -> str:
    """One cell of a Markdown table: no line break, no column, no HTML."""
    text = " ".join(str(_told(value)).split())
    return text.replace("|", "\\|").replace("<", "&lt;") or "–"


def _shown(value: Any) -> str:
    if isinstance(value, float) and math.isfinite(value):
        return f"{value:.3f}"
    return _cell(value)


def _score(row: Mapping[str, Any], key: str) -> str:
    """One test score with its interval where the record has one (`intervals`: score → [low, high])."""
    bounds = (row.get("intervals") or {}).get(key)
    if not _number(row.get(key)):
        return NOT_RECORDED
    return _shown(row[key]) + (f" ({float(bounds[0]):.3f}–{float(bounds[1]):.3f})" if bounds else "")


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9._-]+", "-", name.lower()).strip("-.") or "data"


def _flat(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Settings as dotted keys, as they are written on the command line."""
    if isinstance(value, Mapping) and value:
        for name, part in value.items():
            yield from _flat(part, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list) and any(isinstance(part, Mapping) for part in value):
        for index, part in enumerate(value):
            yield from _flat(part, f"{key}.{index}")
    elif value is not None and value != "":
        yield key, value
