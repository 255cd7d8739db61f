"""What `emotion-llama bench` does with its words; what is wrong with them is told before torch is loaded."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from emotion_llama.analyze.numerics import Numerics
from emotion_llama.bench.figures import Figures
from emotion_llama.bench.guard import MOST_LOSS, fallen, read_stored, require_comparable
from emotion_llama.bench.report import busy, table
from emotion_llama.bench.samples import cuts
from emotion_llama.errors import OutputError


@dataclass(frozen=True)
class BenchRequest:
    """The command line of `bench`. `clips` `None`: as many as the size has."""

    model: str = "nano"
    device: str = "auto"
    quick: bool = False
    json: Path | None = None
    check: Path | None = None
    clips: int | None = None
    dtype: str = "auto"
    quantize: str | None = None
    compiled: bool = False


def run_bench(request: BenchRequest) -> int:
    """Measure, print, write and compare; the exit code is 1 if a ratio fell by more than may be.

    Raises `UsageError` for a file that cannot be compared with and `AssetMissingError` where weights or sample
    recordings were not fetched, both before anything is measured.
    """
    stored = None if request.check is None else read_stored(request.check)
    cuts(1)
    from emotion_llama.analyze.preset import load_preset
    from emotion_llama.bench.run import QUICK, WHOLE, measure

    numerics = Numerics.of(request.quantize, request.compiled)
    preset = load_preset(request.model, device=request.device, dtype=request.dtype, threads=None, numerics=numerics)
    if stored is not None and request.check is not None:
        dtype = str(preset.dtype).removeprefix("torch.")
        require_comparable(stored, request.check, preset.name, preset.device, dtype, numerics)
    size = QUICK if request.quick else WHOLE
    size = size if request.clips is None else replace(size, clips=request.clips)
    found = measure(preset, size, quick=request.quick)
    console = Console()
    console.print(table(found))
    if busy(found):
        console.print(
            f"The machine was busy (load average {found.load_average:g} on {found.cores} cores): measure again when it "
            "is not, before these figures are passed on.", soft_wrap=True,
        )  # fmt: skip
    if request.json is not None:
        write(found, request.json)
    lost = [] if stored is None else fallen(stored, found)
    for one in lost:
        console.print(f"slower: {one}", markup=False, highlight=False, soft_wrap=True)
    if stored is not None and not lost:
        console.print(f"no ratio lost more than {100 * MOST_LOSS:.0f} % of what {request.check} holds", soft_wrap=True)
    return 1 if lost else 0


def write(found: Figures, path: Path) -> None:
    """Write the figures as JSON, beside first, then renamed. Raises `OutputError` where that is not possible."""
    partial = path.with_name(path.name + ".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(found.model_dump_json(indent=2) + "\n", encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror}); choose another file") from error
