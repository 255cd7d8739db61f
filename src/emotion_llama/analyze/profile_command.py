"""What `emotion-llama profile` does with its words."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

from emotion_llama.analyze.inputs import find_clips
from emotion_llama.analyze.profile import GAIN, SUFFIX, Gathered, PersonProfile, gather, make_profile, save_profile
from emotion_llama.encoders.person import LEAST
from emotion_llama.errors import EmotionLlamaError, UsageError
from emotion_llama.perception.describe import word_table


@dataclass(frozen=True)
class ProfileRequest:
    """The command line of `profile`, as typed."""

    inputs: tuple[str, ...]
    out: Path
    model: str = "nano"
    device: str = "auto"
    overwrite: bool = False


def run_profile(request: ProfileRequest) -> int:
    """Make a profile; gives the exit code: 1 if some recordings could not be used.

    Raises `UsageError` before any work for a name that `analyze` would not take for a profile, a file that is there
    already, or too few recordings; after it, too, if too few could be used.
    """
    if request.out.suffix != SUFFIX:
        raise UsageError(f"--out {request.out}: expected a name that ends in {SUFFIX}, as ann.profile{SUFFIX}")
    if request.out.exists() and not request.overwrite:
        raise UsageError(f"--out {request.out} is there already; choose another name, or --overwrite")
    clips = find_clips(request.inputs, None)
    if len(clips) < LEAST:
        raise UsageError(f"profile: expected at least {LEAST} recordings of the person, found {len(clips)}")
    from emotion_llama.analyze.analyzer import load

    model = load(request.model, device=request.device)
    outputs = model.parts.population  # a checkpoint without one cannot use a profile: said before the work
    console = Console(stderr=True)
    gathered: list[Gathered] = []
    failed: list[str] = []
    for clip in track(clips, "looking at recordings", console=console):
        try:
            gathered.append(gather(clip, model.parts))
        except EmotionLlamaError as error:
            failed.append(f"{clip.clip}: {error}")
    for line in failed:
        console.print(f"left out {line}", style="red", markup=False, highlight=False, soft_wrap=True)
    profile = make_profile(gathered, model.preset.name, model.baselines.weights_sha256, outputs)
    save_profile(profile, request.out)
    show_profile(profile, Console())
    print(f"wrote {request.out}")
    return 1 if failed else 0


def show_profile(profile: PersonProfile, console: Console) -> None:
    """Print what is usual for the person, and how many recordings say so."""
    facts, table = profile.facts, word_table().voice
    shown = Table("usual for this person", "median", "recordings")
    for name, own in facts.voice.items():
        shown.add_row(name, f"{own.median:.2f} {table[name].unit}", str(own.n))
    shown.add_row("resting face", "", str(facts.rest_clips))
    for name, count in facts.outputs.items():
        shown.add_row(f"encoder output {name}", "", str(count))
    console.print(f"{facts.clips} recordings, {facts.seconds:.1f} s")
    console.print(shown)
    if facts.clips < GAIN:
        console.print(f"Fewer than {GAIN} recordings gain nothing in accuracy; give more.", style="yellow")
