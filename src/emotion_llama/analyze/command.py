"""What `emotion-llama analyze` does with its words: check them, load the model, run one clip or many."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from pydantic import ValidationError

from emotion_llama.analyze.folder import FolderRun, run_folder
from emotion_llama.analyze.formats import FORMATS, write_files
from emotion_llama.analyze.inputs import find_clips, is_collection
from emotion_llama.analyze.numerics import Numerics
from emotion_llama.analyze.parquet import require_pyarrow
from emotion_llama.analyze.render.plan import FilmPlan, film_style, single_target
from emotion_llama.clip import MODALITIES, TASKS, Clip
from emotion_llama.errors import UsageError
from emotion_llama.labels import parse_label_set
from emotion_llama.languages import CODES
from emotion_llama.prompt import LAYOUTS
from emotion_llama.scale.spread import as_engine
from emotion_llama.settings import AnalyzeSettings, FramePolicy, LabelMethod, Person

DEFAULT_OUT = Path("out")
DEFAULT_BATCH_SIZE = 4
"""Clips answered side by side where there is one worker; several workers have a language model each."""
FRAME_POLICIES: tuple[str, ...] = get_args(FramePolicy)
PEOPLE: tuple[str, ...] = get_args(Person)
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
    batch_size: int | None = None
    engine: str = "local"
    address: str | None = None
    baseline: tuple[str, ...] = ()
    layout: str | None = None
    label_method: str = "likelihood"
    features: Path | None = None
    action_units: Path | None = None
    start_s: float | None = None
    end_s: float | None = None
    verified: bool = False
    attribution: bool = False
    min_confidence: float | None = None
    max_risk: float | None = None
    person: str = "main"
    language: str = "en"
    timeline: bool = False
    window_s: float = 6.0
    step_s: float = 3.0
    render: Path | None = None
    drawing: bool = True
    blur_faces: bool = False
    gate: bool = False
    dtype: str = "auto"
    quantize: str | None = None
    compiled: bool = False


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


def person_of(text: str) -> str | int:
    """Whom the answer is about: one of `PEOPLE` or a number. Raises `UsageError` for anything else."""
    if text.strip().isdecimal():
        return int(text)
    try:
        return one_word(text, PEOPLE, "--person")
    except UsageError as error:
        raise UsageError(f"{error}, or the number of a person") from error


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
                "action_units": request.action_units,
                "verified": request.verified,
                "attribution": request.attribution,
                "min_confidence": request.min_confidence,
                "max_risk": request.max_risk,
                "person": person_of(request.person),
                "language": one_word(request.language, CODES, "--language"),
                "timeline": request.timeline,
                "window_s": request.window_s,
                "step_s": request.step_s,
                "blur_faces": request.blur_faces,
                "gate": request.gate,
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
    if "parquet" in formats:
        require_pyarrow()
    clips = _cut(find_clips(request.inputs, request.transcript), request)
    _check_action_units(request.action_units, len(clips))
    films = _films(request)
    if is_collection(request.inputs):
        return run_folder(clips, _folder_run(request, settings, formats, films))
    if request.engine != "local" or request.address is not None:
        raise UsageError("--engine, --address: they spread a folder or a manifest, and one recording was given")
    return _run_one(clips[0], settings, formats, request)


def _folder_run(
    request: Request, settings: AnalyzeSettings, formats: tuple[str, ...], films: FilmPlan | None
) -> FolderRun:
    alone = request.jobs == 1 and request.engine == "local"
    return FolderRun(
        out=request.out or DEFAULT_OUT,
        settings=settings,
        model=request.model,
        device=request.device,
        formats=formats,
        jobs=request.jobs,
        batch_size=request.batch_size or (DEFAULT_BATCH_SIZE if alone else 1),
        overwrite=request.overwrite,
        films=films,
        engine=as_engine(request.engine),
        address=request.address,
        dtype=request.dtype,
        numerics=Numerics.of(request.quantize, request.compiled),
    )


def _films(request: Request) -> FilmPlan | None:
    if not request.drawing and (request.render is None or not request.blur_faces):
        raise UsageError(
            "--no-drawing: leaves bars and lines out of a film with hidden faces; give --render and --blur-faces too"
        )
    if request.render is None:
        return None
    return FilmPlan(request.render, drawing=request.drawing, blur_faces=request.blur_faces)


def _cut(clips: list[Clip], request: Request) -> list[Clip]:
    """The part of the one recording that --start and --end name. Raises `UsageError` if they name none."""
    start_s, end_s = request.start_s, request.end_s
    if start_s is None and end_s is None:
        return clips
    if len(clips) != 1 or clips[0].path is None or is_collection(request.inputs):
        raise UsageError("--start, --end: they cut one recording; for several write a manifest with start_s and end_s")
    if end_s is not None and end_s <= (start_s or 0.0):
        raise UsageError(f"--end {end_s:g}: expected a second after --start ({start_s or 0.0:g})")
    return [clips[0].model_copy(update={"start_s": start_s, "end_s": end_s})]


def _check_action_units(path: Path | None, clips: int) -> None:
    if path is not None and not path.exists():
        raise UsageError(f"--action-units: expected a table or a folder of tables, found nothing at {path}")
    if path is not None and path.is_file() and clips > 1:
        raise UsageError(
            f"--action-units: {path} is the table of one recording, and {clips} were given; give a folder of tables "
            "that are named as the recordings"
        )


def _run_one(clip: Clip, settings: AnalyzeSettings, formats: tuple[str, ...], request: Request) -> int:
    from rich.console import Console

    from emotion_llama.analyze.analyzer import load
    from emotion_llama.analyze.console import show
    from emotion_llama.analyze.folder import check_writable
    from emotion_llama.analyze.timeline.journal import JOURNAL_ENDING, examine_told

    # one clip is only shown, unless files were asked for
    out = request.out or (DEFAULT_OUT if request.formats is not None else None)
    film = None if request.render is None else single_target(request.render, clip, forget_shown=request.blur_faces)
    numerics = Numerics.of(request.quantize, request.compiled)
    model = load(
        request.model,
        device=request.device,
        dtype=request.dtype,
        quantize=numerics.quantize,
        compiled=numerics.compiled,
    )
    if out is not None:
        check_writable(out)
    if settings.timeline:
        windows = None if out is None else out / ((Path(clip.clip).stem or "clip") + JOURNAL_ENDING)
        result = examine_told(model, clip, settings, windows, Console(stderr=True))
    else:
        result = model.examine(clip, settings)
    written = write_files(result, out, formats) if out is not None else []
    if film is not None:
        from emotion_llama.analyze.render.film import write_film

        write_film(result, film, film_style(model, drawing=request.drawing, blur_faces=request.blur_faces))
        written.append(film)
    show(result.analysis, Console())
    for path in written:
        print(f"wrote {path}")
    return 0
