"""What `emotion-llama bench` does with its words."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from rich.console import Console

from emotion_llama.analyze.analyzer import EmotionLlama
from emotion_llama.analyze.preset import Preset, load_preset
from emotion_llama.bench.clips import REASON, asked_of, cuts, measure_clips
from emotion_llama.bench.figures import Figures
from emotion_llama.bench.guard import MOST_LOSS, fallen, read_stored, require_comparable
from emotion_llama.bench.language import TOGETHER, measure_language
from emotion_llama.bench.limits import measure_limits
from emotion_llama.bench.machine import describe
from emotion_llama.bench.reference import measure_reference
from emotion_llama.bench.report import busy, table
from emotion_llama.errors import OutputError


@dataclass(frozen=True)
class Size:
    """How much is measured: rounds of each pair of sides, tokens of each text, clips that both ways answer, clips."""

    rounds: int
    tokens: int
    reference_clips: int
    clips: int


WHOLE = Size(rounds=5, tokens=64, reference_clips=6, clips=20)
QUICK = Size(rounds=2, tokens=24, reference_clips=2, clips=4)


@dataclass(frozen=True)
class BenchRequest:
    """The command line of `bench`. `clips` `None`: as many as the size has."""

    model: str = "nano"
    device: str = "auto"
    quick: bool = False
    json: Path | None = None
    check: Path | None = None
    clips: int | None = None


def run_bench(request: BenchRequest) -> int:
    """Measure, print, write and compare; the exit code is 1 if a ratio fell by more than may be.

    Raises `UsageError` for a file that cannot be compared with and `AssetMissingError` where weights or sample
    recordings were not fetched, both before anything is measured.
    """
    preset = load_preset(request.model, device=request.device, dtype="auto", threads=None)
    stored = None if request.check is None else read_stored(request.check)
    if stored is not None and request.check is not None:
        dtype = str(preset.dtype).removeprefix("torch.")
        require_comparable(stored, request.check, preset.name, preset.device, dtype)
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


def measure(preset: Preset, size: Size, *, quick: bool = False) -> Figures:
    """Measure everything, what users meet first and before anything else is loaded, so that its memory is its own."""
    told = Console(stderr=True)
    clips, machine = cuts(max(size.clips, size.reference_clips)), describe(preset, quick)
    model = EmotionLlama(replace(preset, keep_features=False))
    told.print(f"clips: {size.clips}, cold, warm, side by side …")
    looked = [asked_of(model, clip) for clip in clips[:TOGETHER]]
    model.examine(clips[0], REASON)
    by_clip = measure_clips(model, clips[: size.clips], [inputs for _, inputs in looked], size.rounds)
    told.print("language model: first token, tokens a second, label scorings …")
    plain = replace(preset, dtype=torch.float32).load_reader()
    asked = [one for one, _ in looked]
    language = measure_language(model.reader, plain, asked, rounds=size.rounds, tokens=size.tokens)
    told.print("limits of the machine …")
    decoder = model.reader.model.language_model.get_decoder()
    limits = measure_limits(decoder, language, machine.dtype, preset.device)
    told.print(f"the released way: {size.reference_clips} clips …")
    reference = measure_reference(model, plain, clips[: size.reference_clips])
    return Figures(**{
        name: value
        for part in (machine, by_clip, language, limits, reference)
        for name, value in part.model_dump().items()
    })  # fmt: skip


def write(found: Figures, path: Path) -> None:
    """Write the figures as JSON, beside first, then renamed. Raises `OutputError` where that is not possible."""
    partial = path.with_name(path.name + ".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(found.model_dump_json(indent=2) + "\n", encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror}); choose another file") from error
