"""One clip of a folder run: looked at, answered, its own files written; what goes wrong with it becomes its line."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from emotion_llama.analyze.formats import CLIP_FILES, write_files
from emotion_llama.analyze.numerics import USUAL, Numerics
from emotion_llama.analyze.render.plan import FilmPlan, film_style
from emotion_llama.analyze.timeline.journal import JOURNAL_ENDING, journal
from emotion_llama.analyze.writers import ClipFailure
from emotion_llama.clip import Analysis, Clip
from emotion_llama.errors import AssetError, EmotionLlamaError, OutputError
from emotion_llama.scale.spread import Engine
from emotion_llama.settings import AnalyzeSettings

if TYPE_CHECKING:
    from emotion_llama.analyze.analyzer import EmotionLlama, Result

T = TypeVar("T")

Task = tuple[Clip, str]
"""A clip to analyse, and the file name (without ending) of its own result files."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FolderRun:
    """How a folder run is done; see `emotion-llama analyze --help`.

    `jobs` workers of `engine`, on Ray at `address` (`None`: a Ray of its own). `batch_size` above 1: the language model
    is in this process alone and answers so many clips at once; workers do what comes before it. `dtype`, `numerics`:
    how the language model computes.
    """

    out: Path
    settings: AnalyzeSettings
    model: str = "nano"
    device: str = "auto"
    formats: tuple[str, ...] = ("json",)
    jobs: int = 1
    batch_size: int = 1
    overwrite: bool = False
    films: FilmPlan | None = None
    engine: Engine = "local"
    address: str | None = None
    dtype: str = "auto"
    numerics: Numerics = USUAL


def load_model(run: FolderRun, threads: int | None) -> EmotionLlama:
    """Load the run's model. Raises `UsageError` for an unknown model or device."""
    from emotion_llama.analyze.analyzer import load

    return load(
        run.model,
        device=run.device,
        dtype=run.dtype,
        threads=threads,
        quantize=run.numerics.quantize,
        compiled=run.numerics.compiled,
    )


Loader = Callable[[FolderRun, int | None], "EmotionLlama"]
"""Gives the object whose `examine` analyses the clips, with so many threads (`None`: all)."""


def analyzed(model: EmotionLlama, task: Task, run: FolderRun, named: Path | None = None) -> Analysis | ClipFailure:
    """Analyse one clip; what goes wrong with it becomes its line in the results. Raises what would fail every clip.

    `named`: the recording's own place, where the task has a copy of it.
    """
    try:
        return written(model, task, examined(model.examine, task, run), run, named)
    except Exception as error:
        return failure(task[0], error)


def examined(examine: Callable[..., T], task: Task, run: FolderRun) -> T:
    """Call `examine` for one clip; windows of a timeline go to its journal."""
    clip, stem = task
    if not run.settings.timeline:
        return examine(clip, run.settings)
    with journal(run.out / (stem + JOURNAL_ENDING)) as write:
        return examine(clip, run.settings, lambda window, _: write(window))


def written(model: EmotionLlama, task: Task, result: Result, run: FolderRun, named: Path | None = None) -> Analysis:
    """Write the files of one clip. `named`: as for `analyzed`."""
    clip, stem = task
    formats = [name for name in run.formats if name in CLIP_FILES]
    told = result if named is None else replace(result, material=replace(result.material, media_path=named))
    write_files(told, run.out, formats, stem)
    if run.films is not None:
        _write_film(model, result, clip, stem, run.films)
    return result.analysis


def failure(clip: Clip, error: Exception) -> ClipFailure:
    """Give the line of a clip that failed. Raises what would fail every clip."""
    if isinstance(error, OutputError | AssetError):
        raise error
    if not isinstance(error, EmotionLlamaError):  # a fault of ours with one recording must not cost the others theirs
        log.error("%s: unexpected error; please report it", clip.clip, exc_info=error)
    return ClipFailure.of(clip.clip, error)


def _write_film(model: EmotionLlama, result: Result, clip: Clip, stem: str, films: FilmPlan) -> None:
    path = films.path(clip, stem)
    if path is not None:
        from emotion_llama.analyze.render.film import write_film

        write_film(result, path, film_style(model, drawing=films.drawing, blur_faces=films.blur_faces))
