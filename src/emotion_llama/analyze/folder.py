"""A run over many clips: one JSON line a clip as it goes, resumable, single bad clips survived.

`OUT/analyses.jsonl` is the result; `OUT/run.json` records the settings, written first, so that a second run with other
settings is refused rather than mixed in; `OUT/.lock` keeps two runs from writing one folder. A run that was killed
starts again where it stopped: finished clips are kept, a half-written last line is dropped, failed clips are tried
again.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from emotion_llama.analyze.writers import ClipFailure, append_jsonl, read_jsonl, write_csv, write_json, write_text
from emotion_llama.clip import Analysis, Clip
from emotion_llama.errors import AssetError, EmotionLlamaError, OutputError, UsageError
from emotion_llama.settings import AnalyzeSettings

if TYPE_CHECKING:
    from emotion_llama.analyze.analyzer import EmotionLlama, Result

ANALYSES = "analyses.jsonl"
RUN = "run.json"
LOCK = ".lock"
LONGEST_STEM = 70
"""Letters of a result's file name: with four bytes a letter some room is left below the usual limit of 255 bytes."""

Task = tuple[Clip, str]
"""A clip to analyse, and the file name (without ending) of its own result files."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FolderRun:
    """How a folder run is done; see `emotion-llama analyze --help`."""

    out: Path
    settings: AnalyzeSettings
    model: str = "nano"
    device: str = "auto"
    formats: tuple[str, ...] = ("json",)
    jobs: int = 1
    overwrite: bool = False


def load_model(run: FolderRun, threads: int | None) -> EmotionLlama:
    """Load the run's model. Raises `UsageError` for an unknown model or device."""
    from emotion_llama.analyze.analyzer import load

    return load(run.model, device=run.device, threads=threads)


Loader = Callable[[FolderRun, int | None], "EmotionLlama"]
"""Gives the object whose `examine` analyses the clips, with so many threads (`None`: all)."""


def check_writable(folder: Path) -> None:
    """Make the output folder. Raises `OutputError` if it cannot be made or written to."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".write-test-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise OutputError(f"{folder}: cannot write results there ({error.strerror}); choose another --out") from error


def file_stem(clip: str) -> str:
    """A file name for one clip's results: its path without the suffix, separators made plain."""
    path = Path(clip)
    parts = [part for part in path.with_suffix("").parts if part not in (path.anchor, "..", ".")]
    return "__".join(parts[-3:])[-LONGEST_STEM:] or "clip"


def file_stems(clips: Sequence[Clip]) -> list[str]:
    """A file name for each clip's results; clips whose names differ in their endings only get a number behind."""
    stems: list[str] = []
    taken: set[str] = set()
    for clip in clips:
        stem = plain = file_stem(clip.clip)
        number = 1
        while stem.casefold() in taken:
            number += 1
            stem = f"{plain}-{number}"
        taken.add(stem.casefold())
        stems.append(stem)
    return stems


def write_files(result: Result, out: Path, formats: Sequence[str], stem: str | None = None) -> list[Path]:
    """Write one clip's own files (`json`, `html`; `csv` too for a single clip). Gives the paths written."""
    from emotion_llama.analyze.report import write_report

    stem = stem or Path(result.analysis.clip).stem or "clip"
    written = []
    for name in formats:
        path = out / f"{stem}.{name}"
        if name == "json":
            write_json(result.analysis, path)
        elif name == "csv":
            write_csv([result.analysis], path)
        else:
            write_report(result.analysis, result.material, path)
        written.append(path)
    return written


def run_folder(clips: Sequence[Clip], run: FolderRun, loader: Loader = load_model) -> int:
    """Analyse every clip not yet done; gives the exit code (1 if any clip failed).

    With several jobs every worker process calls `loader` once.

    Raises `UsageError` when the folder holds results of other settings or another run is writing to it, `OutputError`
    when results cannot be written, `AssetError` when weights are missing: that is no fault of a clip.
    """
    check_writable(run.out)
    try:
        with FileLock(run.out / LOCK, timeout=0):
            return _run_locked(clips, run, loader)
    except Timeout as error:
        raise UsageError(
            f"{run.out}: another run is writing results there; wait until it ends, or choose another --out"
        ) from error


def _run_locked(clips: Sequence[Clip], run: FolderRun, loader: Loader) -> int:
    _claim(run)
    done = _finished(run.out / ANALYSES)
    todo = [task for task in zip(clips, file_stems(clips), strict=True) if task[0].clip not in done]
    console = Console(stderr=True)
    if done:
        console.print(f"{len(clips) - len(todo)} of {len(clips)} clips were done before; {len(todo)} to do")
    with _results(todo, run, loader) as results:
        failures = _record(results, len(todo), run.out / ANALYSES, console)
    asked = {clip.clip for clip in clips}
    if "csv" in run.formats:
        rows = [row for row in read_jsonl(run.out / ANALYSES) if row.clip in asked]
        write_csv(rows, run.out / "analyses.csv")
    console.print(f"{len(clips) - len(failures)} of {len(clips)} clips analysed → {run.out / ANALYSES}", soft_wrap=True)
    for failure in failures:
        console.print(
            f"failed: {failure.clip}: {failure.error.message}",
            style="red",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
    return 1 if failures else 0


def _claim(run: FolderRun) -> None:
    """Write the run's settings, or check that they are the ones of the earlier run in this folder."""
    record: dict[str, object] = {"model": run.model, "settings": run.settings.model_dump(mode="json")}
    if run.overwrite:
        (run.out / ANALYSES).unlink(missing_ok=True)
    elif (run.out / ANALYSES).exists():
        differing = _differences(_earlier(run.out / RUN), record)
        if differing:
            raise UsageError(
                f"{run.out} holds results made with other settings ({', '.join(differing)}); "
                "choose another --out, or --overwrite to forget them"
            )
        return
    write_text(json.dumps(record, indent=2) + "\n", run.out / RUN)


def _earlier(path: Path) -> dict[str, object]:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{path}: expected the settings of the results beside it, found {error}; "
            "choose another --out, or --overwrite to forget the results"
        ) from error
    return record if isinstance(record, dict) else {}


def _differences(earlier: dict[str, object], now: dict[str, object]) -> list[str]:
    before, after = earlier.get("settings"), now["settings"]
    assert isinstance(after, dict)
    names = [key for key in after if not isinstance(before, dict) or before.get(key) != after[key]]
    return (["model"] if earlier.get("model") != now["model"] else []) + names


def _finished(path: Path) -> set[str]:
    """Names of the finished clips; rewrites the file without failures and without a half-written last line."""
    if not path.exists():
        return set()
    done = {row.clip: row for row in read_jsonl(path) if isinstance(row, Analysis)}
    lines = (json.dumps(row.model_dump(mode="json"), ensure_ascii=False) + "\n" for row in done.values())
    write_text("".join(lines), path)
    return set(done)


def _record(results: Iterator[Analysis | ClipFailure], count: int, path: Path, console: Console) -> list[ClipFailure]:
    """Append each result to `path` as it comes; gives the failures among them."""
    failures = []
    progress = Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn(),
        console=console, disable=not console.is_terminal,
    )  # fmt: skip
    with progress, path.open("a", encoding="utf-8") as file:
        bar = progress.add_task("analysing", total=count)
        for row in results:
            append_jsonl(row, file)
            if isinstance(row, ClipFailure):
                failures.append(row)
            progress.advance(bar)
    return failures


@contextmanager
def _results(todo: Sequence[Task], run: FolderRun, loader: Loader) -> Iterator[Iterator[Analysis | ClipFailure]]:
    """Give results in order of completion, from this process or from `jobs` worker processes."""
    if not todo:
        yield iter(())
        return
    model = loader(run, None)  # reads no weights yet: a wrong name or device ends the run here
    if run.jobs == 1 or len(todo) < 2:
        yield (_analyze(model, task, run) for task in todo)
        return
    threads = max(1, model.preset.threads // run.jobs)
    pool = ProcessPoolExecutor(
        run.jobs, get_context("spawn"), initializer=_start_worker, initargs=(run, threads, loader)
    )
    try:
        yield (future.result() for future in as_completed([pool.submit(_analyze_in_worker, task) for task in todo]))
    except BrokenProcessPool as error:
        raise EmotionLlamaError(
            f"{run.out}: a worker process ended before its work was done (out of memory?); finished clips are kept: "
            "give the same command again, with fewer --jobs"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _analyze(model: EmotionLlama, task: Task, run: FolderRun) -> Analysis | ClipFailure:
    """One clip; what goes wrong with it becomes its line in the results, and the run goes on."""
    clip, stem = task
    try:
        result = model.examine(clip, run.settings)
        if "html" in run.formats:
            write_files(result, run.out, ["html"], stem=stem)
        return result.analysis
    except (OutputError, AssetError):
        raise
    except EmotionLlamaError as error:
        return ClipFailure.of(clip.clip, error)
    except Exception as error:  # a fault of ours with one recording must not cost the others theirs
        log.exception("%s: unexpected error; please report it", clip.clip)
        return ClipFailure.of(clip.clip, error)


_worker_model: EmotionLlama | None = None
_worker_run: FolderRun | None = None


def _start_worker(run: FolderRun, threads: int, loader: Loader) -> None:
    global _worker_model, _worker_run
    _worker_model, _worker_run = loader(run, threads), run


def _analyze_in_worker(task: Task) -> Analysis | ClipFailure:
    assert _worker_model is not None and _worker_run is not None
    return _analyze(_worker_model, task, _worker_run)
