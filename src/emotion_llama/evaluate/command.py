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
from emotion_llama.evaluate.records import Item, Prediction, Problem, Report, Side
from emotion_llama.evaluate.report.terminal import show_report
from emotion_llama.evaluate.runner import Answered, Run, match_file, read_parts, score_run
from emotion_llama.evaluate.scored import PREDICTIONS, SCORED, write_predictions, write_scored
from emotion_llama.evaluate.suite import Choice, Part, ScoreSettings, Suite
from emotion_llama.evaluate.suites import find_suite
from emotion_llama.labels import parse_label_set
from emotion_llama.scale.spread import as_engine

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
    batch_size: int | None = None
    engine: str = "local"
    address: str | None = None
    strict: bool = False


def run_command(request: Request) -> int:
    """Run `evaluate`; gives the exit code: 0 scored, 1 some clips could not be asked, or problems with `--strict`."""
    from emotion_llama.evaluate.report.page import write_report  # a missing plotting library is told before any work

    suite = find_suite(request.suite)
    choice = _choice(request, suite)
    if request.predictions is not None and request.model is not None:
        raise UsageError("give --predictions FILE (answers of any system) or --model NAME (to ask a model), not both")
    if request.predictions is None and request.model is None and request.export is None:
        raise UsageError("give --predictions FILE (answers of any system) or --model NAME (to ask a model)")
    _refuse_idle_options(request)
    parts = read_parts(suite, request.data, choice, request.limit)
    if choice.labels and all(part.labels != choice.labels for part in parts):
        raise UsageError(f"suite {suite.name} is scored in labels of its own; leave --labels out")
    if request.predictions is None and request.model is None:
        return _export(request, suite, parts)
    check_writable(request.out)
    problems: list[Problem] = []
    settings = _settings(request, suite, choice, problems)
    parts = _judged(_measured(parts, problems) if request.groups else parts, request)
    path, code = _answers(request, suite, parts)
    run = Run(
        suite=suite,
        choice=choice,
        data=request.data,
        parts=parts,
        predictions=path,
        settings=settings,
        system=request.system or _system(request, path),
        train=request.train_data,
        asked=_asked(request),
    )
    report, answered = score_run(run)
    report = report.model_copy(update={"problems": (*report.problems, *problems)})
    report = _robust(report, request, suite, answered, settings)
    write_scored(answered, request.out / SCORED)
    if path.resolve() != (request.out / PREDICTIONS).resolve():  # the answers as they were given are not written over
        write_predictions([predictions for _, predictions in answered], request.out / PREDICTIONS)
    written = write_report(report, request.out)
    show_report(report, Console(), [path for path in written if path.suffix in (".html", ".json")])
    wrong = report.problems or report.leaks.get("findings") or report.leaks.get("speakers")
    return max(code, 1 if request.strict and wrong else 0)


def _system(request: Request, predictions: Path) -> str:
    """Name what answered: the file, or the model with what it was not given."""
    if request.model is None:
        return predictions.stem
    return f"{request.model} without {request.without.replace(',', ', ')}" if request.without else request.model


def _refuse_idle_options(request: Request) -> None:
    """Raise `UsageError` for an option that would do nothing, so that no one takes it to be in the scores."""
    if request.predictions is not None and request.robustness and request.export is None:
        raise UsageError(
            "--robustness asks a model again about damaged recordings; for another system's predictions, export the "
            "recordings with --export-corrupted DIR, let it answer, and give the same DIR with --predictions"
        )
    if request.model is not None and request.export is not None:
        raise UsageError("--export-corrupted is for systems that are asked elsewhere; leave --model or it out")
    asking = {"--without": request.without, "--words": request.words, "--task": request.tasks}
    asking |= {"--engine": request.engine.replace("local", ""), "--address": request.address or ""}
    asking |= {"--batch-size": str(request.batch_size or "")}
    judging = {"--judge-model": request.judge_model, "--judge-key-env": request.judge_key_env}
    judging |= {"--judge-anchor": str(request.judge_anchor or "")}
    for options, wanted, there in (
        (asking, "--model, the model that is asked", request.model is not None),
        (judging, "--judge, the endpoint that judges", bool(request.judges)),
    ):
        idle = [name for name, value in options.items() if value]
        if idle and not there:
            raise UsageError(f"{', '.join(idle)} does nothing without {wanted}; leave it out")


def _export(request: Request, suite: Suite, parts: tuple[Part, ...]) -> int:
    from emotion_llama.evaluate.robustness.model import export

    assert request.export is not None
    check_writable(request.export)
    made = export(suite, parts, request.robustness, request.export, request.seed)
    print(f"wrote {len(made.levels)} folders of recordings to {request.export}")
    print("put predictions.jsonl or predictions.csv beside each manifest.jsonl, then score with --predictions as well")
    return 0


def _robust(report: Report, request: Request, suite: Suite, answered: Answered, settings: ScoreSettings) -> Report:
    exported = request.export if request.predictions is not None else None
    if exported is None and not (request.model is not None and request.robustness):
        return report
    from emotion_llama.evaluate.robustness.model import (  # loads pictures and sound
        exported_robustness,
        model_robustness,
    )

    if exported is not None:
        found = exported_robustness(answered, exported, settings)
    else:
        found = model_robustness(suite, answered, request.robustness, ask_of(request), request.out, settings)
    return report.model_copy(update={"robustness": found.model_dump(mode="json")})


def _choice(request: Request, suite: Suite) -> Choice:
    if request.side not in SIDES:
        raise UsageError(f"--side: {request.side!r} is not one of {', '.join(suite.sides)}")
    side: Side = request.side  # type: ignore[assignment]  # just checked
    labels = parse_label_set(request.labels) if request.labels else ()
    if request.labels and not labels:
        raise UsageError(
            f"--labels {request.labels}: scores need a closed set; leave it out for the labels that occur in the data"
        )
    return Choice(side=side, variant=request.variant, labels=labels)


def _settings(request: Request, suite: Suite, choice: Choice, problems: list[Problem]) -> ScoreSettings:
    if request.uar_over not in ("present", "configured"):
        raise UsageError(f"--uar-over: expected present or configured, found {request.uar_over!r}")
    if request.draws < 100:
        raise UsageError(f"--draws: an interval needs at least 100 draws, found {request.draws}")
    validation = _validation(request, suite, choice, problems)
    return ScoreSettings(
        draws=request.draws,
        seed=request.seed,
        uar_classes="configured" if request.uar_over == "configured" else "present",
        validation=validation,
    )


def _validation(
    request: Request, suite: Suite, choice: Choice, problems: list[Problem]
) -> tuple[list[Item], list[Prediction | None]] | None:
    """Read what temperatures are fitted on. Raises `UsageError` if any of it is scored too."""
    if request.validation_predictions is None:
        if request.validation_data is not None:
            raise UsageError("--validation-data needs --validation-predictions: the answers to fit temperatures on")
        return None
    data = request.validation_data or request.data
    same = "validation" if request.validation_data is None or "validation" in suite.sides else choice.side
    side: Side = same if same in suite.sides else choice.side
    if request.validation_data is None and side == choice.side:
        why = "is what is scored" if "validation" in suite.sides else f"is not in suite {suite.name}"
        raise UsageError(f"the validation side {why}; give --validation-data with other clips to fit temperatures on")
    scored = read_parts(suite, request.data, choice)
    labels = scored[0].labels  # the clips that are fitted on need not show every label
    if not labels or any(part.labels != labels for part in scored):
        raise UsageError(
            f"suite {suite.name} is not scored in one set of labels, so there is no temperature to fit; leave "
            "--validation-predictions out"
        )
    read = read_parts(suite, data, replace(choice, side=side, labels=labels))
    parts = tuple(replace(part, labels=labels) for part in read)
    _keep_apart(parts, scored, people_too=not suite.shares_people)
    answered, wrong = match_file(request.validation_predictions, parts)
    # one file may hold the answers about both sides: those about the scored one are no problem here
    problems += [
        problem.model_copy(update={"message": f"validation side: {problem.message}"})
        for problem in wrong
        if problem.kind != "unknown-clip"
    ]
    return [item for part in parts for item in part.items], [p for _, found in answered for p in found]


def _keep_apart(validation: tuple[Part, ...], scored: tuple[Part, ...], people_too: bool) -> None:
    """Raise `UsageError` for a clip on both sides, and for a person unless the data set's own split shares people."""
    clips = {item.clip.clip for part in scored for item in part.items}
    speakers = {item.clip.speaker for part in scored for item in part.items} - {None}
    for part in validation:
        for item in part.items:
            if item.clip.clip in clips:
                raise UsageError(
                    f"clip {item.clip.clip!r} is in the validation and in the scored side; keep them apart (custom: by "
                    "a column split in --data, or another file as --validation-data)"
                )
            if people_too and item.clip.speaker in speakers:
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
        batch_size=request.batch_size or 1,
        engine=as_engine(request.engine),
        address=request.address,
        without=words(request.without, MODALITIES, "--without"),  # type: ignore[arg-type]
        words=request.words or None,
        tasks=words(request.tasks, TASKS, "--task") or None,  # type: ignore[arg-type]
        label_orders=request.label_orders,
        seed=request.seed,
    )


def _asked(request: Request) -> dict[str, object]:
    limit: dict[str, object] = {"limit": request.limit} if request.limit is not None else {}
    if request.model is None:
        return {"predictions": str(request.predictions), **limit}
    return {
        "model": request.model,
        "without": request.without,
        "words": request.words or "as the suite says",
        "label_orders": request.label_orders,
        **limit,
    }


def _judged(parts: tuple[Part, ...], request: Request) -> tuple[Part, ...]:
    """Let the judges of the command line score what they can. Raises `UsageError` if that is no part of the suite."""
    if not request.judges:
        return parts
    from emotion_llama.evaluate.judge.parts import judged_part, make_judges

    if all(part.judged == "nothing" for part in parts):
        raise UsageError(f"suite {request.suite} has nothing for a judge; leave --judge out")
    judges = make_judges(request.judges, request.judge_model, request.judge_key_env, request.out)
    return tuple(judged_part(part, judges, request.judge_anchor) for part in parts)
