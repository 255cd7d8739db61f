"""What lies in an ablation's folder → its report; nothing is trained, what is missing is named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from emotion_llama import __version__
from emotion_llama.ablate.answers import Answered, pool, read_answers
from emotion_llama.ablate.config import Ablation, Overrides, Scoring
from emotion_llama.ablate.grid import Cell, Training, needed
from emotion_llama.ablate.outcome import Outcome, read_failure, read_outcome, state_of
from emotion_llama.ablate.record import AblationReport, CellScores, Spread, TrainingRow
from emotion_llama.ablate.scoring import compare, score_cell, spread
from emotion_llama.environment import git_commit
from emotion_llama.errors import EmotionLlamaError

Sources = dict[str, dict[int, Answered]]
"""Source → seed → its answers, those of all finished folds together."""


def make_report(ablation: Ablation, cells: Sequence[Cell], extra: Overrides = ()) -> AblationReport:
    """Score everything that is finished. A training whose files cannot be read is left out and named in `notes`."""
    notes: list[str] = []
    outcomes = _outcomes(needed(cells), notes)
    answers = {cell.name: _answers(cell, outcomes, ablation.score, notes) for cell in cells}
    return AblationReport(
        name=ablation.name,
        title=ablation.title or ablation.name,
        baseline=ablation.baseline,
        cells={cell.name: cell.overrides for cell in cells},
        trainings=tuple(_row(one, outcomes.get(one)) for one in needed(cells)),
        validation={cell.name: _validation(cell, outcomes) for cell in cells},
        scores=tuple(_scores(ablation, answers, notes)),
        notes=tuple(notes),
        settings={**ablation.model_dump(mode="json"), "extra_overrides": list(extra)},
        provenance={"package": f"emotion-llama {__version__}", "git_commit": git_commit()},
    )


def _outcomes(trainings: Sequence[Training], notes: list[str]) -> dict[Training, Outcome]:
    found = {}
    for one in trainings:
        if state_of(one.folder) == "finished":
            try:
                found[one] = read_outcome(one.folder)
            except EmotionLlamaError as error:
                notes.append(f"{one.name} is left out: {error}")
    return found


def _answers(cell: Cell, outcomes: Mapping[Training, Outcome], scoring: Scoring, notes: list[str]) -> Sources:
    """The answers of the cell's finished trainings, by source and seed."""
    parts: dict[str, dict[int, list[Answered]]] = {}
    for training in cell.trainings:
        outcome = outcomes.get(training)
        if outcome is None:
            continue
        for source in scoring.sources or outcome.test:
            if source not in outcome.test:
                known = ", ".join(outcome.test) or "none"
                notes.append(f"{training.name}: test source {source!r} was not scored (scored: {known})")
                continue
            try:
                read = read_answers(training.folder, source, outcome.test[source].labels, training.fold)
            except EmotionLlamaError as error:
                notes.append(f"{training.name} is left out: {error}")
                continue
            parts.setdefault(source, {}).setdefault(training.seed, []).append(read)
    return {source: _pooled(cell, seeds, notes) for source, seeds in parts.items()}


def _pooled(cell: Cell, seeds: Mapping[int, list[Answered]], notes: list[str]) -> dict[int, Answered]:
    found = {}
    for seed, parts in seeds.items():
        try:
            found[seed] = pool(parts)
        except EmotionLlamaError as error:
            notes.append(f"{cell.name}, seed {seed} is left out: {error}")
    return found


def _scores(ablation: Ablation, answers: Mapping[str, Sources], notes: list[str]) -> list[CellScores]:
    """Scores of every cell on every source, sources together; with the difference to the baseline."""
    found = []
    for source in dict.fromkeys(source for sources in answers.values() for source in sources):
        for cell, sources in answers.items():
            if not sources.get(source):
                continue
            try:
                scores = score_cell(cell, source, sources[source], ablation.score)
                if ablation.baseline not in (None, cell):
                    scores = _compared(scores, answers[ablation.baseline or ""].get(source), sources[source], ablation)
            except EmotionLlamaError as error:
                notes.append(f"{cell} on {source} is left out: {error}")
            else:
                found.append(scores)
    return found


def _compared(
    scores: CellScores, baseline: Mapping[int, Answered] | None, own: Mapping[int, Answered], ablation: Ablation
) -> CellScores:
    compared = compare(baseline, own, ablation.score) if baseline else None
    if compared is None:
        note = f"no difference to {ablation.baseline}: no seed, clip or label set in common that is finished"
        return scores.model_copy(update={"notes": (*scores.notes, note)})
    notes = scores.notes
    if compared.n < scores.n or len(compared.seeds) < len(scores.seeds):
        notes += (f"difference on {compared.n} clips and seeds {', '.join(map(str, compared.seeds))} in common",)
    return scores.model_copy(update={"compared": compared, "notes": notes})


def _validation(cell: Cell, outcomes: Mapping[Training, Outcome]) -> dict[str, Spread]:
    """The kept checkpoints' validation scores over seeds and folds, by the metric they were chosen by."""
    values: dict[str, list[float | None]] = {}
    for training in cell.trainings:
        outcome = outcomes.get(training)
        if outcome is not None and outcome.best is not None:
            values.setdefault(outcome.best.metric, []).append(outcome.best.value)
    return {metric: spread(listed) for metric, listed in values.items()}


def _row(training: Training, outcome: Outcome | None) -> TrainingRow:
    return TrainingRow(
        cell=training.cell,
        stage=training.stage,
        fold=training.fold,
        seed=training.seed,
        key=training.key,
        folder=str(training.folder),
        state=state_of(training.folder),
        base=str(training.base),
        overrides=training.overrides,
        seconds=outcome.seconds if outcome else None,
        best=outcome.best if outcome else None,
        git_commit=outcome.git_commit if outcome else None,
        adapter_sha256=outcome.adapter_sha256 if outcome else None,
        failure=read_failure(training.folder),
    )
