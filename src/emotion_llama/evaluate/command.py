"""What `emotion-llama evaluate` does with its words: read the data, ask or read the answers, score, write."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

from rich.console import Console

from emotion_llama.analyze.command import words
from emotion_llama.analyze.folder import check_writable
from emotion_llama.clip import MODALITIES, TASKS
from emotion_llama.errors import UsageError
from emotion_llama.evaluate.asking import Ask, ask_parts
from emotion_llama.evaluate.predictions import index, match, read_predictions
from emotion_llama.evaluate.records import Item, Prediction, Problem, Report, Side
from emotion_llama.evaluate.runner import Answered, Run, read_parts, score_run
from emotion_llama.evaluate.scored import PREDICTIONS, SCORED, write_predictions, write_scored
from emotion_llama.evaluate.suite import Choice, Part, ScoreSettings, Suite
from emotion_llama.evaluate.suites import find_suite
from emotion_llama.evaluate.terminal import show_report
from emotion_llama.labels import parse_label_set

SIDES: tuple[str, ...] = get_args(Side)
WORDS = ("given", "heard", "none")


@dataclass(frozen=True)
class Request:
    """The command line of `evaluate`, as typed."""

    suite: str
    data: Path
    out: Path
    predictions: Path | None = None
    model: str | None = None
    labels: str = ""
    side: str = "test"
    variant: str = ""
    validation_data: Path | None = None
    validation_predictions: Path | None = None
    train_data: Path | None = None
    without: str = ""
    words: str = ""
    tasks: str = ""
    uar_over: str = "present"
    draws: int = 10_000
    seed: int = 0
    label_orders: int = 4
    limit: int | None = None
    robustness: str = ""
    export: Path | None = None
    judges: tuple[str, ...] = ()
    judge_model: str = ""
    judge_key_env: str = ""
    judge_anchor: Path | None = None
    groups: bool = False
    system: str = ""
    device: str = "auto"
    jobs: int = 1
    strict: bool = False


def run_command(request: Request) -> int:
    """Run `evaluate`; gives the exit code: 0 scored, 1 some clips could not be asked, or problems with `--strict`."""
    from emotion_llama.evaluate.report import write_report  # a missing plotting library is told before any work

    suite = find_suite(request.suite)
    choice = _choice(request, suite)
    if request.predictions is not None and request.model is not None:
        raise UsageError("give --predictions FILE (answers of any system) or --model NAME (to ask a model), not both")
    if request.predictions is None and request.model is None and request.export is None:
        raise UsageError("give --predictions FILE (answers of any system) or --model NAME (to ask a model)")
    parts = read_parts(suite, request.data, choice, request.limit)
    if request.predictions is None and request.model is None:
        return _export(request, suite, parts)
    check_writable(request.out)
    settings = _settings(request, suite, choice)
    unmeasured: list[Problem] = []
    parts = _judged(_measured(parts, unmeasured) if request.groups else parts, request)
    path, code = _answers(request, suite, parts)
    run = Run(
        suite=suite,
        choice=choice,
        data=request.data,
        parts=parts,
        predictions=path,
        settings=settings,
        system=request.system or request.model or path.stem,
        train=request.train_data,
        asked=_asked(request),
    )
    report, answered = score_run(run)
    report = report.model_copy(update={"problems": (*report.problems, *unmeasured)})
    report = _robust(report, request, suite, answered, settings)
    write_scored(answered, request.out / SCORED)
    if request.model is None:  # a model's own predictions lie there already
        write_predictions([predictions for _, predictions in answered], request.out / PREDICTIONS)
    written = write_report(report, request.out)
    show_report(report, Console(), [path for path in written if path.suffix in (".html", ".json")])
    return max(code, 1 if request.strict and report.problems else 0)


def _export(request: Request, suite: Suite, parts: tuple[Part, ...]) -> int:
    from emotion_llama.evaluate.robust import export

    assert request.export is not None
    check_writable(request.export)
    made = export(suite, parts, request.robustness, request.export, request.seed)
    print(f"wrote {len(made.levels)} folders of recordings to {request.export}")
    print("put predictions.jsonl or predictions.csv beside each manifest.jsonl, then score with --predictions as well")
    return 0


def _robust(report: Report, request: Request, suite: Suite, answered: Answered, settings: ScoreSettings) -> Report:
    from emotion_llama.evaluate.robust import exported_robustness, model_robustness

    if request.model is not None and request.robustness:
        found = model_robustness(suite, answered, request.robustness, ask_of(request), request.out, settings)
    elif request.predictions is not None and request.export is not None:
        found = exported_robustness([part for part, _ in answered], request.export, settings)
    elif request.robustness:
        raise UsageError(
            "--robustness asks a model again about damaged recordings; for another system's predictions, export the "
            "recordings with --export-corrupted DIR, let it answer, and give the same DIR with --predictions"
        )
    else:
        return report
    return report.model_copy(update={"robustness": found.model_dump(mode="json")})


def _choice(request: Request, suite: Suite) -> Choice:
    if request.side not in SIDES:
        raise UsageError(f"--side: {request.side!r} is not one of {', '.join(suite.sides)}")
    side: Side = request.side  # type: ignore[assignment]  # just checked
    labels = parse_label_set(request.labels) if request.labels else ()
    return Choice(side=side, variant=request.variant, labels=labels)


def _settings(request: Request, suite: Suite, choice: Choice) -> ScoreSettings:
    if request.uar_over not in ("present", "configured"):
        raise UsageError(f"--uar-over: expected present or configured, found {request.uar_over!r}")
    if request.draws < 100:
        raise UsageError(f"--draws: an interval needs at least 100 draws, found {request.draws}")
    validation = _validation(request, suite, choice)
    return ScoreSettings(
        draws=request.draws,
        seed=request.seed,
        uar_classes="configured" if request.uar_over == "configured" else "present",
        validation=validation,
    )


def _validation(request: Request, suite: Suite, choice: Choice) -> tuple[list[Item], list[Prediction | None]] | None:
    """Read what temperatures are fitted on. Raises `UsageError` if any of it is scored too."""
    if request.validation_predictions is None:
        if request.validation_data is not None:
            raise UsageError("--validation-data needs --validation-predictions: the answers to fit temperatures on")
        return None
    data = request.validation_data or request.data
    same = "validation" if request.validation_data is None or "validation" in suite.sides else choice.side
    side: Side = same if same in suite.sides else choice.side
    if request.validation_data is None and side == choice.side:
        raise UsageError(f"suite {suite.name} has no validation side; give --validation-data with other clips")
    parts = read_parts(suite, data, replace(choice, side=side))
    scored = read_parts(suite, request.data, choice)
    _keep_apart(parts, scored)
    answers = index(read_predictions(request.validation_predictions))
    items = [item for part in parts for item in part.items]
    found = [p for part in parts for p in match(part.items, answers, part.labels).predictions]
    return items, found


def _keep_apart(validation: tuple[Part, ...], scored: tuple[Part, ...]) -> None:
    clips = {item.clip.clip for part in scored for item in part.items}
    speakers = {item.clip.speaker for part in scored for item in part.items} - {None}
    for part in validation:
        for item in part.items:
            if item.clip.clip in clips:
                raise UsageError(
                    f"clip {item.clip.clip!r} is in the validation and in the scored side; keep them apart"
                )
            if item.clip.speaker in speakers:
                raise UsageError(
                    f"speaker {item.clip.speaker!r} is in the validation and in the scored side; split by speaker"
                )


def _measured(parts: tuple[Part, ...], problems: list[Problem]) -> tuple[Part, ...]:
    """Measure duration, noise and face size of every recording, to slice by; what cannot be measured is named."""
    from emotion_llama.evaluate.groups import with_groups

    found = []
    for part in parts:
        clips = with_groups([item.clip for item in part.items], problems)
        items = tuple(item.model_copy(update={"clip": clip}) for item, clip in zip(part.items, clips, strict=True))
        found.append(replace(part, items=items))
    return tuple(found)


def _answers(request: Request, suite: Suite, parts: tuple[Part, ...]) -> tuple[Path, int]:
    if request.predictions is not None:
        return request.predictions, 0
    return ask_parts(suite, parts, ask_of(request), request.out)


def ask_of(request: Request) -> Ask:
    """Give how the model is asked. Raises `UsageError` for a wrong word."""
    if request.words and request.words not in WORDS:
        raise UsageError(f"--words: expected one of {', '.join(WORDS)}, found {request.words!r}")
    assert request.model is not None
    return Ask(
        model=request.model,
        device=request.device,
        jobs=request.jobs,
        without=words(request.without, MODALITIES, "--without"),  # type: ignore[arg-type]
        words=request.words or None,
        tasks=words(request.tasks, TASKS, "--task") or None,  # type: ignore[arg-type]
        label_orders=request.label_orders,
        seed=request.seed,
    )


def _asked(request: Request) -> dict[str, object]:
    if request.model is None:
        return {"predictions": str(request.predictions)}
    return {
        "model": request.model,
        "without": request.without,
        "words": request.words or "as the suite says",
        "label_orders": request.label_orders,
    } | ({"limit": request.limit} if request.limit is not None else {})


def _judged(parts: tuple[Part, ...], request: Request) -> tuple[Part, ...]:
    """Let the judges of the command line score what they can. Raises `UsageError` if that is no part of the suite."""
    if not request.judges:
        return parts
    from emotion_llama.evaluate.judging import judged_part, make_judges

    if all(part.judged == "nothing" for part in parts):
        raise UsageError(f"suite {request.suite} has nothing for a judge; leave --judge out")
    judges = make_judges(request.judges, request.judge_model, request.judge_key_env, request.out)
    return tuple(judged_part(part, judges, request.judge_anchor) for part in parts)
