"""A run over many clips: one JSON line a clip as it goes, resumable, single bad clips survived.

`OUT/analyses.jsonl` is the result; `OUT/run.json` records the settings, written first, so that a second run with other
settings is refused rather than mixed in; `OUT/.lock` keeps two runs from writing one folder. A run that was killed
starts again where it stopped: finished clips are kept, a half-written last line is dropped, failed clips are tried
again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

from filelock import FileLock, Timeout
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from emotion_llama.analyze.folder_clip import FolderRun as FolderRun
from emotion_llama.analyze.folder_clip import Loader as Loader
from emotion_llama.analyze.folder_clip import load_model as load_model
from emotion_llama.analyze.folder_results import check_workers, results_of
from emotion_llama.analyze.formats import CLIP_FILES, TABLES, write_tables
from emotion_llama.analyze.numerics import USUAL
from emotion_llama.analyze.report import hides_faces
from emotion_llama.analyze.writers import ClipFailure, append_jsonl, read_jsonl, write_text
from emotion_llama.clip import Analysis, Clip
from emotion_llama.errors import OutputError, UsageError
from emotion_llama.settings import AnalyzeSettings

ANALYSES = "analyses.jsonl"
RUN = "run.json"
LOCK = ".lock"
_HTML = CLIP_FILES["html"][0]
LONGEST_STEM = 70
"""Letters of a result's file name: with four bytes a letter some room is left below the usual limit of 255 bytes."""


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


def run_folder(clips: Sequence[Clip], run: FolderRun, loader: Loader = load_model) -> int:
    """Analyse every clip not yet done; gives the exit code (1 if any clip failed).

    With several jobs or on Ray every worker process calls `loader` once; what it gives there and the clips are pickled.

    Raises `UsageError` where engine, address and device do not go together, and when the folder holds results of other
    settings or another run is writing to it, `OutputError` when results cannot be written, `AssetError` when weights
    are missing: that is no fault of a clip.
    """
    check_workers(run)
    check_writable(run.out)
    try:
        with FileLock(run.out / LOCK, timeout=0):
            return _run_locked(clips, run, loader)
    except Timeout as error:
        raise UsageError(
            f"{run.out}: another run is writing results there; wait until it ends, or choose another --out"
        ) from error


def _run_locked(clips: Sequence[Clip], run: FolderRun, loader: Loader) -> int:
    stems = dict(zip((clip.clip for clip in clips), file_stems(clips), strict=True))
    if run.films is not None:
        run.films.check(stems, clips)
    _claim(run)
    done = _finished(run, stems, {clip.clip for clip in clips if clip.path is not None})
    todo = [task for task in zip(clips, stems.values(), strict=True) if task[0].clip not in done]
    if run.settings.blur_faces:
        _forget_shown(run, [stem for _, stem in todo])
    console = Console(stderr=True)
    if done:
        console.print(f"{len(clips) - len(todo)} of {len(clips)} clips were done before; {len(todo)} to do")
    with closing(results_of(todo, run, loader)) as results:
        failures = _record(results, len(todo), run.out / ANALYSES, console)
    asked = {clip.clip for clip in clips}
    if any(name in TABLES for name in run.formats):
        rows = [row for row in read_jsonl(run.out / ANALYSES) if row.clip in asked]
        write_tables(rows, run.out, run.formats, Path(ANALYSES).stem)
    console.print(f"{len(clips) - len(failures)} of {len(clips)} clips analysed → {run.out / ANALYSES}", soft_wrap=True)
    if run.films is not None:
        console.print(f"films → {run.films.folder}", soft_wrap=True)
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
    record: dict[str, object] = {
        "model": run.model,
        "settings": run.settings.model_dump(mode="json"),
        **_changed_numerics(run),
    }
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


def _changed_numerics(run: FolderRun) -> dict[str, object]:
    """How the language model computes, where that is not as usual."""
    found = {"dtype": run.dtype, **run.numerics.model_dump(mode="json")}
    usual = {"dtype": "auto", **USUAL.model_dump(mode="json")}
    return {} if found == usual else {"numerics": found}


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
    # a setting that is not there was not known yet: it was as it is by default
    usual = AnalyzeSettings().model_dump(mode="json")
    names = [key for key in after if not isinstance(before, dict) or before.get(key, usual[key]) != after[key]]
    names = [key for key in names if key != "blur_faces"]  # no analysis depends on it; pictures are made anew
    others = [key for key in ("model", "numerics") if earlier.get(key) != now.get(key)]
    return others + names


def _finished(run: FolderRun, stems: Mapping[str, str], with_media: set[str]) -> set[str]:
    """Names of the finished clips; rewrites the results without failures and without a half-written last line.

    A clip that lacks one of the files asked for (a format that the earlier run did not write) is not finished, nor one
    whose film or page was made with faces shown where they are to be hidden, or the other way round.
    """
    path = run.out / ANALYSES
    if not path.exists():
        return set()
    found = {row.clip: row for row in read_jsonl(path) if isinstance(row, Analysis)}
    done = {
        clip: row
        for clip, row in found.items()
        if clip not in stems or _has_files(run, stems[clip], clip in with_media)
    }
    lines = (json.dumps(row.model_dump(mode="json"), ensure_ascii=False) + "\n" for row in done.values())
    write_text("".join(lines), path)
    return set(done)


def _has_files(run: FolderRun, stem: str, has_media: bool) -> bool:
    endings = [CLIP_FILES[name][0] for name in run.formats if name in CLIP_FILES]
    if not all((run.out / (stem + ending)).is_file() for ending in endings):
        return False
    if "html" in run.formats and hides_faces(run.out / (stem + _HTML)) != run.settings.blur_faces:
        return False
    return run.films is None or not has_media or run.films.has(stem)


def _forget_shown(run: FolderRun, stems: Sequence[str]) -> None:
    """Remove what an earlier run left under the names of this one and shows faces. Raises `OutputError`."""
    for stem in stems:
        page = run.out / (stem + _HTML)
        if "html" in run.formats and page.is_file() and not hides_faces(page):
            try:
                page.unlink()
            except OSError as error:
                raise OutputError(f"{page}: shows faces and cannot be replaced ({error.strerror})") from error
        if run.films is not None:
            run.films.forget_shown(stem)


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
