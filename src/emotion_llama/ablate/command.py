"""What `emotion-llama ablate` does with its words: make the grid, run what is not done, report what is there."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout
from rich.console import Console
from rich.table import Table
from rich.text import Text

from emotion_llama.ablate.config import Ablation, check_overrides
from emotion_llama.ablate.grid import Cell, Training, choose, make_cells, needed
from emotion_llama.ablate.outcome import state_of
from emotion_llama.ablate.progress import Progress, expected_s, time_words
from emotion_llama.ablate.record import AblationReport
from emotion_llama.ablate.report import make_report
from emotion_llama.ablate.runs import TRAIN, Launch, finished, known_seconds, run_trainings
from emotion_llama.ablate.table import markdown, metrics, show
from emotion_llama.analyze.console import printable
from emotion_llama.analyze.folder import check_writable
from emotion_llama.analyze.writers import write_text
from emotion_llama.errors import UsageError
from emotion_llama.overrides import read_config
from emotion_llama.scale.worker import thread_share

LOCK = ".lock"


@dataclass(frozen=True)
class Request:
    """The command line of `ablate`, as typed; `None` = as the file says."""

    config: Path
    overrides: tuple[str, ...] = ()
    data: Path | None = None
    out: Path | None = None
    only: tuple[str, ...] = ()
    jobs: int | None = None
    dry_run: bool = False
    report_only: bool = False


def run_ablation(request: Request, command: Sequence[str] = TRAIN, console: Console | None = None) -> int:
    """Run an ablation; gives the exit code: 0 all done, 1 a training failed. `command` is what trains.

    Raises `UsageError` for a file, cell or override that is none, or while another run writes the same folder.
    """
    console = console or Console(stderr=True)
    ablation = _ablation(request)
    cells = make_cells(ablation, request.overrides)
    chosen = choose(cells, request.only)
    if not request.report_only:
        check_trainings(needed(chosen))
    if request.dry_run:
        _show_grid(ablation, chosen, console)
        return 0
    check_writable(ablation.out)
    failed = 0 if request.report_only else _run(ablation, chosen, tuple(command), console)
    report = make_report(ablation, cells, request.overrides)
    show(report, Console(), write_report(report, ablation.out))
    if failed:
        console.print(Text(f"{failed} of {len(needed(chosen))} trainings failed", style="red"))
    return 1 if failed else 0


def check_trainings(trainings: Sequence[Training]) -> None:
    """Raise `UsageError` naming cell and key if a training's overrides do not fit: now, not hours later."""
    from emotion_llama.train.config import TrainConfig

    for one in {training.key: training for training in trainings}.values():
        try:
            read_config(TrainConfig, one.base, [*one.overrides, f"out={one.folder}", f"seed={one.seed}"])
        except UsageError as error:
            raise UsageError(f"cell {one.name}: {error}") from error


def write_report(report: AblationReport, out: Path) -> list[Path]:
    """Write `ablation.json`, `.md`, and with scores `.svg` and `.png`; gives the paths. Raises `OutputError`."""
    paths = [out / "ablation.json", out / "ablation.md"]
    write_text(json.dumps(report.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n", paths[0])
    write_text(markdown(report), paths[1])
    pictures = [out / "ablation.svg", out / "ablation.png"]
    if not report.scores:
        for path in pictures:
            path.unlink(missing_ok=True)  # a picture of scores that are no longer there would mislead
        return paths
    from emotion_llama.ablate.figure import ablation_figure
    from emotion_llama.evaluate.report.figure_style import save

    figure = ablation_figure(report, metrics(report)[0])
    for path in pictures:
        save(figure, path)
    return paths + pictures


def _ablation(request: Request) -> Ablation:
    ablation = read_config(Ablation, request.config)
    try:
        check_overrides(request.overrides)
    except ValueError as error:
        raise UsageError(str(error)) from error
    given = {"data": request.data, "out": request.out, "jobs": request.jobs}
    return ablation.model_copy(update={name: value for name, value in given.items() if value is not None})


def _run(ablation: Ablation, cells: Sequence[Cell], command: tuple[str, ...], console: Console) -> int:
    """Run what is not finished; gives how many trainings failed."""
    try:
        with FileLock(ablation.out / LOCK, timeout=0):
            every = needed(cells)
            todo = [one for one in every if not finished(one)]
            done = len(every) - len(todo)
            if done:
                console.print(f"{done} of {len(every)} trainings were done before; {len(todo)} to do")
            threads = ablation.threads or thread_share(ablation.jobs)
            launch = Launch(command=command, jobs=ablation.jobs, threads=threads, gpus=ablation.gpus)
            progress = Progress(todo, ablation.jobs, known_seconds(every), console)
            with progress:
                return len(run_trainings(todo, launch, progress))
    except Timeout as error:
        raise UsageError(
            f"{ablation.out}: another ablation is writing there; wait until it ends, or choose another --out"
        ) from error


def _show_grid(ablation: Ablation, cells: Sequence[Cell], console: Console) -> None:
    """Print the cells, how far they are, and how long the rest will take."""
    every = needed(cells)
    known = known_seconds(every)
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("cell", "changes", "done", "to do", "time"):
        table.add_column(name, overflow="fold")
    for cell in cells:
        own = needed([cell])
        todo = [one for one in own if not finished(one)]
        stages = f" ({' → '.join(cell.stages)})" if cell.stages else ""
        changes = (" ".join(cell.overrides) or "nothing") + stages
        states = f"{len(own) - len(todo)} of {len(own)}"
        failed = sum(state_of(one.folder) == "failed" for one in todo)
        left = f"{len(todo)}" + (f" ({failed} failed)" if failed else "")
        row = (cell.name, changes, states, left, time_words(_expected(todo, known)))
        table.add_row(*(Text(printable(text)) for text in row))
    console.print(table)
    todo = [one for one in every if not finished(one)]
    total = _expected(todo, known)
    rest = time_words(None if total is None else total / max(1, min(ablation.jobs, len(todo))))
    console.print(f"{len(todo)} of {len(every)} trainings to run, {ablation.jobs} at a time; expected time: {rest}")


def _expected(todo: Sequence[Training], known: dict[str, list[float]]) -> float | None:
    """Seconds of all, one after the other; `None` while nothing is finished to learn it from."""
    times = [expected_s(one, known) for one in todo]
    return None if None in times else sum(seconds or 0.0 for seconds in times)
