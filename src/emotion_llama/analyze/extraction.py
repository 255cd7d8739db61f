"""What `emotion-llama extract` does with recordings: every clip through a model's encoders, the results as files."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

from emotion_llama.analyze.analyzer import load
from emotion_llama.analyze.command import one_word, words
from emotion_llama.analyze.feature_files import (
    ENCODERS,
    FORMATS,
    FileFormat,
    file_names,
    is_written,
    lacking,
    wanted_arrays,
    write_clip,
)
from emotion_llama.analyze.features import FEATURES_VERSION, encode
from emotion_llama.analyze.inputs import find_clips
from emotion_llama.analyze.parts import Parts
from emotion_llama.analyze.perceive import Stopwatch, is_heard, perceive
from emotion_llama.clip import Clip, Modality
from emotion_llama.errors import MediaError, OutputError, UsageError
from emotion_llama.official.feature_folders import FOLDERS
from emotion_llama.scale.spread import Failure, as_engine, spread
from emotion_llama.settings import AnalyzeSettings
from emotion_llama.train.progress import console, working

RECORD = "features.json"
"""Says which model made the features of a folder: another model's are refused beside them."""


@dataclass(frozen=True)
class Extraction:
    """The command line of `extract` for recordings, as typed; `encoders` empty = all that the form can hold."""

    inputs: tuple[str, ...]
    out: Path
    encoders: str = ""
    form: str = "own"
    model: str = "nano"
    device: str = "auto"
    jobs: int = 1
    engine: str = "local"
    address: str | None = None
    overwrite: bool = False


@dataclass(frozen=True)
class _Plan:
    """What every worker does, and where it writes."""

    out: Path
    encoders: tuple[str, ...]
    form: FileFormat
    model: str
    device: str
    threads: int | None


def extract_clips(request: Extraction) -> int:
    """Extract what is not there yet; gives the exit code: 1 if clips failed, or lack a feature that was asked for.

    Raises `UsageError` for wrong words, or a folder that holds features of another model.
    """
    form = cast(FileFormat, one_word(request.form, FORMATS, "--format"))
    possible = tuple(FOLDERS) if form == "official" else tuple(ENCODERS)
    encoders = words(request.encoders, possible, "--features") or possible
    clips = [clip for clip in find_clips(request.inputs, None) if clip.path is not None]
    names = file_names([clip.clip for clip in clips])
    plan = _Plan(request.out, encoders, form, request.model, request.device, 1 if request.jobs > 1 else None)
    _claim(plan, overwrite=request.overwrite)
    pairs = list(zip(clips, names, strict=True))
    todo = [p for p in pairs if request.overwrite or not is_written(plan.out, p[1], encoders, form)]
    if len(todo) < len(pairs):
        console.print(f"{len(pairs) - len(todo)} of {len(pairs)} clips were extracted before; {len(todo)} to do")
    bad: list[str] = []
    make = partial(_worker, plan)
    gpu = None if request.device == "auto" else request.device != "cpu"
    with closing(
        spread(make, todo, jobs=request.jobs, engine=as_engine(request.engine), address=request.address, gpu=gpu)
    ) as done:
        for index, result in working(done, total=len(todo), about="extracting features"):
            clip = todo[index][0].clip
            if isinstance(result, Failure):
                bad.append(f"failed: {clip}: {result.error}")
            elif result:
                bad.append(f"{clip}: has no {', '.join(result)}")
    for line in bad:
        console.print(line, style="red", markup=False, highlight=False, soft_wrap=True)
    console.print(f"{len(pairs) - len(bad)} of {len(pairs)} clips have {', '.join(encoders)} → {plan.out}")
    return 1 if bad else 0


def _claim(plan: _Plan, *, overwrite: bool) -> None:
    """Write which model and form the folder is of, or check that they are the same."""
    preset = load(plan.model, device=plan.device).preset
    config = preset.config()
    mine: dict[str, Any] = {
        "model": preset.name,
        "encoders": dict(config.encoders),
        "format": plan.form,
        "features_version": FEATURES_VERSION,
    }
    path = plan.out / RECORD
    try:
        if path.is_file() and not overwrite:
            theirs = json.loads(path.read_text(encoding="utf-8"))
            different = [key for key, value in mine.items() if theirs.get(key) != value]
            if different:
                raise UsageError(
                    f"{plan.out} holds features of another kind ({', '.join(different)}); choose another --out, or "
                    "--overwrite"
                )
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(mine, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error}); choose another --out") from error
    except ValueError as error:
        raise UsageError(f"{path}: not a record of features ({error}); choose another --out, or --overwrite") from error


def _worker(plan: _Plan) -> Callable[[tuple[Clip, str]], tuple[str, ...]]:
    """Made once in each worker process: the model's encoders."""
    parts = load(plan.model, device=plan.device, threads=plan.threads, keep_features=False).parts

    def work(task: tuple[Clip, str]) -> tuple[str, ...]:
        clip, name = task
        features = _extract(clip, plan.encoders, parts)
        missing = lacking(features, plan.encoders)
        if len(missing) == len(plan.encoders):
            raise MediaError(f"{clip.clip}: has no {', '.join(missing)}; nothing was written")
        write_clip(plan.out, name, features, plan.form)
        return missing

    return work


def _extract(clip: Clip, encoders: tuple[str, ...], parts: Parts) -> dict[str, Any]:
    """The arrays of the encoders asked for; the others do not run, and what only they need is not decoded."""
    seen, heard = set(encoders) & {"global", "local", "temporal"}, "audio" in encoders
    left_out: tuple[Modality, ...] = (*(() if seen else ("video",)), *(() if heard else ("audio",)))
    settings = AnalyzeSettings(transcribe=False, without=left_out)
    watch = Stopwatch()
    percept = perceive(clip.model_copy(update={"transcript": None}), settings, parts, watch)
    skipped = tuple(name for name in ENCODERS if name not in encoders)
    found = encode(percept, parts, is_heard(percept, settings), watch, skipped)
    wanted = wanted_arrays(encoders)
    return {name: rows for name, rows in found.items() if name in wanted}
