"""What `emotion-llama analyze` does with its words: check them, load the model, run one clip or many."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from pydantic import ValidationError

from emotion_llama.analyze.folder import FolderRun, run_folder
from emotion_llama.analyze.inputs import find_clips, is_collection
from emotion_llama.clip import MODALITIES, TASKS, Clip
from emotion_llama.errors import UsageError
from emotion_llama.labels import parse_label_set
from emotion_llama.prompt import LAYOUTS
from emotion_llama.settings import AnalyzeSettings, FramePolicy, LabelMethod

FORMATS = ("json", "csv", "html")
DEFAULT_OUT = Path("out")
FRAME_POLICIES: tuple[str, ...] = get_args(FramePolicy)
LABEL_METHODS: tuple[str, ...] = get_args(LabelMethod)


@dataclass(frozen=True)
class Request:
    """The command line of `analyze`, as typed."""

    inputs: tuple[str, ...]
    labels: str
    tasks: str
    transcript: str | None
    transcribe: bool
    model: str
    frame: str
    without: str
    out: Path | None
    formats: str | None
    seed: int
    device: str
    jobs: int
    overwrite: bool
    baseline: tuple[str, ...] = ()
    layout: str | None = None
    label_method: str = "likelihood"
    features: Path | None = None


def words(text: str, known: tuple[str, ...], option: str) -> tuple[str, ...]:
    """Split a comma list and check each word. Raises `UsageError` naming the option and the known words."""
    found = tuple(dict.fromkeys(word.strip().lower() for word in text.split(",") if word.strip()))
    wrong = [word for word in found if word not in known]
    if wrong:
        raise UsageError(f"{option}: {', '.join(wrong)} is not one of {', '.join(known)}")
    return found


def one_word(text: str, known: tuple[str, ...], option: str) -> str:
    """Check a single word. Raises `UsageError` naming the option and the known words."""
    found = words(text, known, option)
    if len(found) != 1:
        raise UsageError(f"{option}: expected one of {', '.join(known)}, found {text!r}")
    return found[0]


def settings_of(request: Request) -> AnalyzeSettings:
    """Turn the typed words into settings. Raises `UsageError` for the first wrong one."""
    try:
        return AnalyzeSettings.model_validate(
            {
                "labels": parse_label_set(request.labels),
                "tasks": words(request.tasks, TASKS, "--task"),
                "frame": one_word(request.frame, FRAME_POLICIES, "--frame"),
                "without": words(request.without, MODALITIES, "--without"),
                "transcribe": request.transcribe,
                "seed": request.seed,
                "baseline": request.baseline,
                "layout": None if request.layout is None else one_word(request.layout, LAYOUTS, "--layout"),
                "features": request.features,
                "label_method": one_word(request.label_method, LABEL_METHODS, "--label-method"),
            }
        )
    except ValidationError as error:
        raise UsageError("; ".join(str(e["msg"]).removeprefix("Value error, ") for e in error.errors())) from error


def run_command(request: Request) -> int:
    """Run `analyze`; gives the exit code: 0 all done, 1 some clips failed. Raises `UsageError` before any work."""
    settings = settings_of(request)
    formats = words(request.formats if request.formats is not None else "json", FORMATS, "--format")
    if not formats:
        raise UsageError(f"--format: expected one or more of {', '.join(FORMATS)}, found {request.formats!r}")
    clips = find_clips(request.inputs, request.transcript)
    if is_collection(request.inputs):
        return run_folder(
            clips,
            FolderRun(
                out=request.out or DEFAULT_OUT,
                settings=settings,
                model=request.model,
                device=request.device,
                formats=formats,
                jobs=request.jobs,
                overwrite=request.overwrite,
            ),
        )
    return _run_one(clips[0], settings, formats, request)


def _run_one(clip: Clip, settings: AnalyzeSettings, formats: tuple[str, ...], request: Request) -> int:
    from rich.console import Console

    from emotion_llama.analyze.analyzer import load
    from emotion_llama.analyze.console import show
    from emotion_llama.analyze.folder import check_writable, write_files

    # one clip is only shown, unless files were asked for
    out = request.out or (DEFAULT_OUT if request.formats is not None else None)
    model = load(request.model, device=request.device)
    if out is not None:
        check_writable(out)
    result = model.examine(clip, settings)
    written = write_files(result, out, formats) if out is not None else []
    show(result.analysis, Console())
    for path in written:
        print(f"wrote {path}")
    return 0
